"""The second statement of what networks compute: against a third (`naive.py`), hand-derived values, and functions of mpmath."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qspec.arithmetic.formats import Affine, Fixed, PerChannel
from qspec.arithmetic.rounding import Overflow, Rounding
from qspec.arithmetic.tensor import Tensor
from qspec.errors import UnsupportedError
from qspec.face import RealSequential, Sequential
from qspec.network.activations import Sigmoid
from qspec.network.layers import AveragePool2D, Conv2D, Dense, Input, Requantize
from qspec.network.real_layers import Activate, Exp, RealConv2D, RealDense, RealInput, Softmax
from qspec.semantics import enclosed, exact, fixed, reals, series, storing
from qspec.semantics.exact import Numbers, spread
from qspec.semantics.functions import nearest_code
from tests.unit import naive
from tests.unit.random_networks import random_codes, random_network

rationals = st.builds(Fraction, st.integers(-(2**80), 2**80), st.integers(1, 2**80))
FUNCTIONS: dict[str, Callable[[mpmath.mpf], mpmath.mpf]] = {
    "exp": mpmath.exp,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "tanh": mpmath.tanh,
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
}


def values(numbers: Numbers) -> list[Fraction]:
    units = spread(numbers.units, numbers.shape[-1])
    return [n * units[k % len(units)] for k, n in enumerate(numbers.whole.reshape(-1).tolist())]


@pytest.mark.parametrize("extreme", [False, True])
@pytest.mark.parametrize("first", range(0, 100, 20))
def test_random_networks(first: int, extreme: bool) -> None:
    for seed in range(first, first + 20):
        network = random_network(seed, extreme=extreme)
        codes = random_codes(network, seed, most=4)
        for case in range(len(next(iter(codes.values())))):
            expected = naive.evaluate(network, {name: own[case].reshape(-1).tolist() for name, own in codes.items()})
            found = fixed.evaluate(network, [codes[s.name][case] for s in network.inputs])
            for name, signal in expected.items():
                assert values(found[name].output.exact) == signal.values
                assert signal.codes in (None, found[name].output.codes.reshape(-1).tolist())


@pytest.mark.parametrize("rounding", Rounding)
@given(st.lists(rationals, min_size=1, max_size=5), st.sampled_from(Overflow), st.integers(1, 64), st.integers(-70, 70), st.booleans())
def test_one_rounding_and_one_overflow(
    rounding: Rounding, given: list[Fraction], overflow: Overflow, width: int, frac: int, signed: bool
) -> None:
    fmt = Fixed(width, frac, signed, rounding, overflow)
    for v in given:
        found = storing.stored(Numbers(np.array([v.numerator], dtype=object), [Fraction(1, v.denominator)]), fmt)
        assert found.codes.tolist() == [naive.code_of((v, v), naive.channel_of(fmt, 0))]


def test_a_layer_by_hand() -> None:
    """`1/2 * 3 - 1/4 * 5 + 3/8 = 5/8` is held in quarters (a tie, away from zero): 3/4; in halves the even 2, and the zero point 1."""
    held, output = Fixed(6, 2, rounding=Rounding.RND_INF), Affine(4, True, Fraction(1, 2), 1)
    dense = Dense(Tensor(np.array([[2], [-1]]), Fixed(3, 2)), Tensor(np.array([3]), Fixed(5, 3)), output=output, accumulator=held)
    taps = fixed.evaluate(Sequential(Input((2,), Fixed(4, 0)), dense), [np.array([3, 5])])["dense_1"]
    assert taps.accumulator is not None
    assert taps.held is not None
    assert values(taps.accumulator) == [Fraction(5, 8)]
    assert (taps.held.codes.tolist(), taps.output.codes.tolist()) == ([3], [3])


def test_windows_by_hand() -> None:
    """A mean over the places inside the image, and a kernel of two taps, two apart."""
    image = np.arange(1, 5).reshape(1, 4, 1)
    pool = AveragePool2D((1, 3), (1, 2), "same", output=Fixed(8, 1))
    assert fixed.evaluate(Sequential(Input((1, 4, 1), Fixed(8, 0)), pool), [image])["averagepool2d_1"].output.codes.tolist() == [[[4], [7]]]
    taps = Conv2D(Tensor(np.array([1, 3]).reshape(1, 2, 1, 1), Fixed(4, 0)), padding=((0, 0), (1, 2)), stride=(1, 2), dilation=(1, 2))
    found = fixed.evaluate(Sequential(Input((1, 4, 1), Fixed(8, 0)), taps), [image])["conv2d_1"].output.codes
    assert found.reshape(-1).tolist() == [3 * 2, 2 + 3 * 4, 4]


def test_functions_settle_where_they_are_close_to_a_boundary() -> None:
    """Far out a sigmoid is below one by less than any float shows; `TRN` sees it, and zero and one half are exact."""
    fmt = Fixed(4, 2, False, Rounding.TRN)
    network = Sequential(Input((1,), Fixed(64, -1000)), Requantize(fmt, Sigmoid()))
    assert [int(fixed.evaluate(network, [np.array([c])])["requantize_1"].output.codes[0]) for c in (-(2**62), 0, 1)] == [0, 2, 3]
    small = Fraction(3, 2**200)
    assert [nearest_code("tanh", v, small / 12, Rounding.TRN) for v in (small, -small)] == [11, -12]
    channels = PerChannel((Fixed(4, 1), Fixed(4, 3)))
    both = Sequential(Input((2,), Fixed(4, 0)), Requantize(channels, Sigmoid()))
    assert fixed.evaluate(both, [np.array([0, 0])])["requantize_1"].output.codes.tolist() == [1, 4]


@pytest.mark.parametrize("name", FUNCTIONS)
@given(st.builds(Fraction, st.integers(-(2**60), 2**60), st.sampled_from([2**54, 2**60, 3 * 2**58, 2**90, 2**200])))
def test_series_enclose_and_are_narrow(name: str, x: Fraction) -> None:
    with mpmath.workdps(400):
        exact = FUNCTIONS[name](mpmath.mpf(x.numerator) / x.denominator)
        for bits in (60, 300):
            found = series.outward(getattr(series, name)(x, bits), bits)
            low, high = (mpmath.mpf(end.numerator) / end.denominator for end in (found.lower, found.upper))
            assert low <= exact <= high
            assert high - low <= abs(exact) * mpmath.mpf(2) ** (4 - bits)


def test_exp_of_a_huge_number_is_refused() -> None:
    series.exp(Fraction(-series.LARGEST), 60)
    with pytest.raises(UnsupportedError, match="exp of a huge number"):
        series.exp(Fraction(series.LARGEST + 1), 60)


def test_a_real_network_by_hand() -> None:
    """`1/3 * 3 - 1/2 = 1/2` and `-1 * 3 + 1 = -2`, exactly, and softmax of these; a bias that is free replaces what is stored."""
    kernel = np.array([[Fraction(1, 3), Fraction(-1)]], dtype=object)
    network = RealSequential(RealInput((1,)), RealDense(kernel, np.array([-0.5, 1.0])), Activate(Softmax()), Activate(Exp()))
    three = series.Enclosure(Fraction(3), Fraction(3))
    found = reals.evaluate(network, [[three]], {}, 80)
    assert [(v.lower, v.upper) for v in found["dense_1"].listed()] == [(Fraction(1, 2),) * 2, (Fraction(-2),) * 2]
    first, second = (float(v.lower) for v in found["activate_1"].listed())
    assert (first, second) == (pytest.approx(1 / (1 + np.exp(-2.5))), pytest.approx(1 / (1 + np.exp(2.5))))
    free = {("dense_1", "bias"): [three, series.Enclosure(Fraction(0), Fraction(1))]}
    moved = reals.evaluate(network, [[three]], free, 80)["dense_1"].listed()
    assert [(v.lower, v.upper) for v in moved] == [(Fraction(4), Fraction(4)), (Fraction(-3), Fraction(-2))]


def test_products_of_enclosures_contain_all_products() -> None:
    rng = np.random.default_rng(2)
    for _ in range(50):
        x, w = (
            [
                series.Enclosure(Fraction(a, 8), Fraction(a + d, 8))
                for a, d in zip(rng.integers(-9, 9, 4), rng.integers(0, 3, 4), strict=True)
            ]
            for _ in range(2)
        )
        total = enclosed.product_sum(
            enclosed.enclosures(x, (4,)), enclosed.enclosures(w, (4, 1)), lambda a, b: exact.contracted(a, b, 1)
        ).listed()[0]
        corners = [[a * b for a in (p.lower, p.upper) for b in (q.lower, q.upper)] for p, q in zip(x, w, strict=True)]
        assert total.lower <= sum(map(min, corners))
        assert total.upper >= sum(map(max, corners))


def test_a_real_convolution_is_the_quantised_one_where_nothing_rounds() -> None:
    rng = np.random.default_rng(6)
    codes, image = rng.integers(-8, 8, (2, 3, 2, 4)), rng.integers(-8, 8, (5, 6, 4))
    options: dict[str, Any] = {"stride": (2, 1), "padding": "same", "dilation": (1, 2), "groups": 2}
    quantised = Sequential(Input((5, 6, 4), Fixed(4, 3)), Conv2D(Tensor(codes, Fixed(4, 3)), **options))
    real = RealSequential(RealInput((5, 6, 4)), RealConv2D(codes / 8, **options))
    point = [series.Enclosure(Fraction(int(c), 8), Fraction(int(c), 8)) for c in image.reshape(-1)]
    expected = values(fixed.evaluate(quantised, [image])["conv2d_1"].output.exact)
    assert [v.lower for v in reals.evaluate(real, [point], {}, 80)["conv2d_1"].listed()] == expected
