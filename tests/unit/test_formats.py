"""Formats mean what they say, values become codes by the stated rounding and overflow, and what is malformed is refused."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qspec as qs
from qspec.arithmetic.formats import Affine, Fixed, Format, PerChannel, code_range
from qspec.arithmetic.rounding import Overflow, Rounding, round_ratio, wrap
from qspec.arithmetic.tensor import Tensor, quantize
from qspec.errors import FormatError
from tests.unit import naive

MODES = list(product(Rounding, Overflow))
widths, fracs = st.integers(1, 64), st.integers(-80, 80)
fixed = st.builds(Fixed, widths, fracs, st.booleans(), st.sampled_from(Rounding), st.sampled_from(Overflow))
rationals = st.builds(Fraction, st.integers(-(2**80), 2**80), st.integers(1, 2**80))


@given(rationals, st.sampled_from(Rounding))
def test_rounding_follows_the_definitions(value: Fraction, rounding: Rounding) -> None:
    numerator, denominator = (np.array([part], dtype=object) for part in (value.numerator, value.denominator))
    assert round_ratio(numerator, denominator, rounding).tolist() == [naive.rounded(value, rounding)]


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("denominator", [1, 2, 3, 4, 7, 8])
def test_rounding_small_ratios_in_int64(rounding: Rounding, denominator: int) -> None:
    numerators = np.arange(-40, 41)
    codes = round_ratio(numerators, np.full(81, denominator), rounding)
    assert codes.dtype == np.int64
    assert codes.tolist() == [naive.rounded(Fraction(int(n), denominator), rounding) for n in numerators]


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("width", [1, 2, 5, 16, 61])
def test_wrapping_keeps_the_low_bits(width: int, signed: bool) -> None:
    codes = np.array([-(2**61), -(2**16), -33, -17, -1, 0, 1, 15, 16, 31, 2**40 + 3, 2**61 - 1])
    c = naive.Channel(Fraction(1), 0, width, signed, Rounding.TRN, Overflow.WRAP)
    assert wrap(codes, width, signed).tolist() == [naive.overflowed(int(code), c) for code in codes]


@given(fixed, st.lists(rationals, min_size=1, max_size=4))
def test_quantising_fractions(fmt: Fixed, values: list[Fraction]) -> None:
    c = naive.channel_of(fmt, 0)
    assert quantize(values, fmt).codes.tolist() == [naive.code_of((v, v), c) for v in values]


@given(fixed, st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_means_its_exact_double(fmt: Fixed, value: float) -> None:
    exact = Fraction(value)
    assert quantize([value], fmt).codes.tolist() == [naive.code_of((exact, exact), naive.channel_of(fmt, 0))]


@pytest.mark.parametrize(("rounding", "overflow"), MODES)
def test_quantising_by_channel(rounding: Rounding, overflow: Overflow) -> None:
    """Channels of different widths, fractions and signs, and affine scales with zero points."""
    values = [[Fraction(n, 16), Fraction(n, 6), Fraction(-n, 5)] for n in range(-40, 41)]
    formats: list[Format] = [
        PerChannel((Fixed(3, 1, True, rounding, overflow), Fixed(2, 0, False, rounding, overflow), Fixed(5, 4, True, rounding, overflow))),
        Affine(4, True, (Fraction(1, 3), Fraction(1, 4), Fraction(2)), (-3, 0, 7), rounding, overflow),
        Affine(4, False, (Fraction(1, 3), Fraction(1, 4), Fraction(2)), 9, rounding, overflow),
    ]
    for fmt in formats:
        expected = [[naive.code_of((v, v), naive.channel_of(fmt, k)) for k, v in enumerate(row)] for row in values]
        assert quantize(values, fmt).codes.tolist() == expected


@given(fixed)
def test_a_format_reads_its_own_text(fmt: Fixed) -> None:
    assert Fixed.parse(str(fmt)) == fmt
    assert Fixed.parse(f"ap_{fmt}") == fmt


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ap_fixed<16,6>", Fixed(16, 10, True, Rounding.TRN, Overflow.WRAP)),
        ("ap_ufixed<8, 0, AP_RND, AP_SAT>", Fixed(8, 8, False, Rounding.RND, Overflow.SAT)),
        ("ap_fixed<8,12,RND_CONV>", Fixed(8, -4, True, Rounding.RND_CONV, Overflow.WRAP)),
        ("ap_fixed<4,-2>", Fixed(4, 6, True, Rounding.TRN, Overflow.WRAP)),
        ("Q3.4", Fixed(8, 4)),
        ("UQ0.8", Fixed(8, 8, False)),
    ],
)
def test_texts_of_other_tools(text: str, expected: Fixed) -> None:
    assert Fixed.parse(text) == expected


@given(fixed)
def test_the_range_of_codes(fmt: Fixed) -> None:
    low, high = code_range(fmt, (3,))
    c = naive.channel_of(fmt, 0)
    reachable = [naive.overflowed(code, c) for code in (fmt.lower - 1, fmt.lower, 0, fmt.upper, fmt.upper + 1)]
    assert all(low[0] <= code <= high[0] for code in reachable)
    assert fmt.overflow is Overflow.SAT_ZERO or {int(low[0]), int(high[0])} <= set(reachable)
    assert (high - low).tolist() == [int(high[0]) - int(low[0])] * 3


def test_the_named_affine_formats() -> None:
    assert [(f.width, f.signed, f.lower, f.upper) for f in (qs.int4(1), qs.int8(1), qs.uint8(1), qs.int16(1))] == [
        (4, True, -8, 7),
        (8, True, -128, 127),
        (8, False, 0, 255),
        (16, True, -32768, 32767),
    ]
    assert qs.int8(0.1).scale == Fraction(0.1)
    assert qs.int8("0.1", 3).grid().units == (Fraction(1, 10),)


def test_a_tensor_keeps_its_own_copy() -> None:
    given_codes = np.array([1, 2, 3])
    tensor = Tensor(given_codes, Fixed(4, 0))
    given_codes[0] = 7
    assert tensor.codes.tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="read-only"):
        tensor.codes[0] = 0


def test_values_of_a_tensor() -> None:
    assert Tensor(np.array([[-8, 0], [7, 1]]), PerChannel((Fixed(4, 1), Fixed(4, 4)))).values().tolist() == [[-4.0, 0.0], [3.5, 0.0625]]
    assert Tensor(np.array([0, 255]), qs.uint8("0.5", 128)).values().tolist() == [-64.0, 63.5]


def test_a_list_of_mixed_numbers_rounds_nothing() -> None:
    assert quantize([2**60 + 1, 0.5, "1/3"], Fixed(64, 0)).codes.tolist() == [2**60 + 1, 1, 0]


@pytest.mark.parametrize("width", [0, -3, 65, 10**6, True, 8.0, "8", None])
@pytest.mark.parametrize("make", [lambda w: Fixed(w, 0), lambda w: Affine(w, True, Fraction(1))], ids=["Fixed", "Affine"])
def test_widths_out_of_range_are_refused(make, width: object) -> None:
    with pytest.raises(FormatError, match=r"width out of range(.|\n)*expected: an integer from 1 to 64"):
        make(width)


@pytest.mark.parametrize("values", [[np.nan], np.array([[1.0, np.inf]]), np.float32("-inf"), [1, 2, float("nan")]])
def test_values_that_are_not_finite_are_refused_with_their_place(values: object) -> None:
    with pytest.raises(FormatError, match=r"value at index \[.*\] is not finite"):
        quantize(values, Fixed(8, 4))


@pytest.mark.parametrize(
    ("codes", "fmt"), [([8], Fixed(4, 0)), ([-8], Fixed(4, 0, overflow=Overflow.SAT_SYM)), ([-1], Fixed(64, 0, False))]
)
def test_codes_outside_their_format_are_refused(codes: list[int], fmt: Fixed) -> None:
    with pytest.raises(FormatError, match="code at flat index 0 does not fit"):
        Tensor(np.array(codes), fmt)
