"""Accumulators: ranges contain what is reached, in every order of the terms; least widths are the least; what overflows is refuted."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest

import qspec as qs
from qspec.cli import main
from qspec.ir.reference import evaluate
from qspec.lowering.evaluate import program

INPUT = qs.Affine(3, True, Fraction(1, 2), 1)
WEIGHT = qs.Fixed(4, 0)


def dense(kernel: object, bias: object = None, **rest: object) -> qs.Dense:
    stored = None if bias is None else qs.Tensor(np.array(bias), qs.Fixed(6, 1))
    return qs.Dense(qs.Tensor(np.array(kernel), WEIGHT), stored, **rest)  # pyright: ignore[reportArgumentType]


NET = qs.Sequential(
    qs.Input((3,), INPUT),
    dense([[3, -7], [-2, 5], [1, 1]], [5, -9], activation=qs.ReLU(), output=qs.Fixed(4, 0, signed=False), name="first"),
    dense([[5, -6], [-4, 7]], name="second"),
    name="small",
)


def sums(network: qs.Network, layer: str) -> np.ndarray:
    """Return the exact sums of a layer at every input, shape (inputs, neurons)."""
    (free,) = network.inputs
    nodes, taps = program(network)
    codes = np.array(list(product(range(-4, 4), repeat=free.type.size)))
    node = taps[layer].accumulator
    assert node is not None
    return np.asarray(evaluate(nodes, {free.name: codes})[node])


def bits(least: int, most: int) -> int:
    return next(w for w in range(1, 99) if -(1 << (w - 1)) <= least and most < 1 << (w - 1))


@pytest.mark.parametrize("layer", ["first", "second"])
def test_ranges_contain_what_is_reached_and_widths_are_the_least(layer: str) -> None:
    every = sums(NET, layer)
    bounded, least = qs.accumulators(NET)[layer], qs.least_accumulators(NET)[layer]
    assert bounded.lower <= every.min() <= every.max() <= bounded.upper
    assert bounded.width == bits(bounded.lower, bounded.upper)
    assert least.width == bits(int(every.min()), int(every.max()))
    assert least.narrowest is True
    assert least.witness is not None
    at = sums(NET, layer)[int(np.ravel_multi_index(tuple(least.witness + 4), (8, 8, 8)))]
    assert max(bits(int(v), int(v)) for v in at) == least.width
    if layer == "first":  # intervals of the first layer are attained
        assert (bounded.lower, bounded.upper) == (every.min(), every.max())


def test_partial_sums_in_every_order() -> None:
    """Of the first layer, by hand: the products with centred codes, and the bias, in all orders, at all inputs of a box."""
    found = qs.accumulators(NET, lower=[-2, 0, 1], upper=[1, 3, 2])["first"]
    kernel, bias = np.array([[3, -7], [-2, 5], [1, 1]]), np.array([5, -9])
    reached: set[int] = set()
    for codes in product(range(-2, 2), range(4), range(1, 3)):
        for j in range(2):
            terms = [*(int(kernel[i, j]) * (codes[i] - 1) for i in range(3)), int(bias[j])]  # half units, as the bias has them
            for order in permutations(terms):
                reached.update(np.cumsum(order).tolist())
    assert (found.partial_lower, found.partial_upper) == (min(reached), max(reached))
    assert found.partial_width == bits(min(reached), max(reached))
    assert found.partial_lower <= found.lower <= found.upper <= found.partial_upper


def test_convolutions_and_pads() -> None:
    kernel = qs.Tensor(np.arange(-4, 4).reshape(2, 2, 1, 2), WEIGHT)
    net = qs.Sequential(qs.Input((3, 3, 1), qs.Fixed(2, 0)), qs.Conv2D(kernel, padding="same", name="conv"))
    found = qs.accumulators(net)["conv"]
    reached = (
        [sum(min(0, -2 * w, w) for w in kernel.codes[..., j].flat) for j in range(2)],
        [sum(max(0, -2 * w, w) for w in kernel.codes[..., j].flat) for j in range(2)],
    )
    assert (found.partial_lower, found.partial_upper) == (min(reached[0]), max(reached[1]))
    assert "conv" in str(qs.accumulators(net))


def test_a_network_that_overflows_is_refuted_with_an_input() -> None:
    x = NET.input("x")
    true = qs.forall(x, then=NET(x)[0] <= 1000, name="small")
    for width in range(4, 12):
        fits = all(bits(int(s.min()), int(s.max())) <= width for s in (sums(NET, "first"), sums(NET, "second")))
        result = qs.verify(qs.deployed(true, bits=width))
        assert result.verdict is (qs.Verdict.HOLDS if fits else qs.Verdict.VIOLATED)
        if fits:
            assert result.certificate is not None
        else:
            index = int(np.ravel_multi_index(tuple(result.counterexample["x"] + 4), (8, 8, 8)))  # pyright: ignore[reportOptionalSubscript]
            at = [sums(NET, layer)[index] for layer in ("first", "second")]
            assert any(bits(int(v.min()), int(v.max())) > width for v in at)


def test_declared_accumulators_count_with_their_own_width() -> None:
    narrow = qs.Fixed(5, 1, overflow=qs.Overflow.WRAP)
    net = qs.Sequential(qs.Input((2,), qs.Fixed(3, 0)), dense([[3], [3]], accumulator=narrow, name="held"))
    x = net.input("x")
    true = qs.forall(x, then=net(x)[0] <= 1000)
    assert qs.verify(true).verdict is qs.Verdict.HOLDS
    assert qs.verify(qs.deployed(true)).verdict is qs.Verdict.VIOLATED
    assert qs.accumulators(net)["held"].declared == str(narrow)


def test_what_is_refused() -> None:
    x = NET.input("x")
    with pytest.raises(qs.SpecError, match="all inputs"):
        qs.deployed(qs.exists(x, then=NET(x)[0] >= 0))
    with pytest.raises(qs.SpecError, match="nothing is summed"):
        qs.deployed(qs.forall(x, then=x[0] <= 9))
    with pytest.raises(qs.SpecError, match="width of an accumulator"):
        qs.deployed(qs.forall(x, then=NET(x)[0] >= 0), bits=1)
    with pytest.raises(qs.SpecError, match="empty domain"):
        qs.accumulators(NET, lower=3, upper=2)
    with pytest.raises(qs.SpecError, match="no sums in this layer"):
        qs.accumulators(NET)["third"]


def test_what_overflows_is_named_with_what_it_needs() -> None:
    """At every input: the neurons whose sums leave the accumulator, and no others; what they reach is what some input reaches."""
    held, out = qs.Fixed(5, 0, overflow=qs.Overflow.WRAP), qs.Fixed(4, 0, overflow=qs.Overflow.SAT)
    net = qs.Sequential(qs.Input((2,), qs.Fixed(3, 0)), dense([[3, -7], [-2, 5]], accumulator=held, output=out, name="sums"), name="tiny")
    every = np.array(list(product(range(-4, 4), repeat=2)))
    sums = every @ np.array([[3, -7], [-2, 5]])
    result = qs.verify(qs.properties.no_overflow(net))
    assert result.codes is not None
    assert qs.overflows(net, result.codes["x"])
    for x, (first, second) in zip(every, sums, strict=True):
        found = qs.overflows(net, x)
        assert {(o.neuron, o.value) for o in found} == {((k,), int(v)) for k, v in enumerate((first, second)) if not -16 <= v <= 15}
        for o in found:
            assert (o.layer, o.place, o.low, o.high) == ("sums", "accumulator", -16, 15)
            own = sums[:, o.neuron[0]]
            assert (o.reach_low, o.reach_high, o.width) == (own.min(), own.max(), bits(int(own.min()), int(own.max())))
            assert f"sums[{o.neuron[0]}]: {o.value} is not within -16 to 15" in str(o)
        outputs = [o for o in qs.overflows(net, x, saturation=True) if o.place == "output"]
        assert all(not -8 <= o.value <= 7 for o in outputs)
    with pytest.raises(qs.SpecError, match="not codes of the input"):
        qs.overflows(net, [9, 9])


@pytest.mark.parametrize(
    ("kernel", "saturates"), [([[127, 1], [127, 1]], True), ([[64, 1], [64, 1]], False), ([[65, -65], [64, -64]], True)]
)
@pytest.mark.parametrize("signed", [False, True])
def test_pairs_of_products_that_leave_int16_are_shown_by_an_input(kernel: list[list[int]], saturates: bool, signed: bool) -> None:
    """Planted: 255 · 127 · 2 is more than int16 holds, and 255 · 64 · 2 is not. Signed activations are moved up by 128."""
    bytes_of = qs.Fixed(8, 0, signed=False, overflow=qs.Overflow.SAT)
    weights = [np.array(kernel), np.array([[127], [100]])]
    first, second = (qs.Tensor(w, qs.Fixed(8, 0)) for w in weights)
    layers = [qs.Dense(first, None, qs.ReLU(), bytes_of, name="first"), qs.Dense(second, None, name="second")]
    found = qs.pair_sums(qs.Sequential(qs.Input((2,), qs.Fixed(8, 0, signed=signed)), *layers, name="bytes"), timeout=20)
    corners = np.array(list(product((0, 255), repeat=2)))
    every = np.array(list(product(range(256), repeat=2)))
    hidden = np.clip((every - 128 * signed) @ weights[0], 0, 255)
    own = [corners @ weights[0], hidden @ weights[1]]
    assert [p.layer for p in found] == ["first", "second"]
    assert [p.verdict.name for p in found] == ["HOLDS" if np.all((o >= -(2**15)) & (o < 2**15)) else "VIOLATED" for o in own]
    assert (found[0].verdict is qs.Verdict.VIOLATED) == saturates
    assert (found[0].lower, found[0].upper) == (own[0].min(), own[0].max())
    for pair, w, values in zip(found, weights, (None, hidden), strict=True):
        if pair.witness is not None:
            at = pair.witness + 128 * signed
            read = at if values is None else values[256 * at[0] + at[1]]
            assert pair.value == sum(int(read[k]) * int(w[k, pair.channel]) for k in pair.pair)


@pytest.mark.parametrize(
    ("signed", "looked_at"), [((True, True), True), ((False, False), True), ((False, True), False), ((True, False), False)]
)
def test_pairs_are_of_bytes_of_one_kind(signed: tuple[bool, bool], looked_at: bool) -> None:
    """Joined codes are moved up together or not at all, and a sum of two bytes is none."""
    x = qs.apply(qs.Input((2,), qs.Fixed(8, 0), name="x"))
    own = [qs.apply(qs.Requantize(qs.Fixed(8, 0, signed=s, overflow=qs.Overflow.SAT)), x) for s in signed]
    kernel = qs.Tensor(np.full((4, 1), 127), qs.Fixed(8, 0))
    joined = qs.Network.of(qs.apply(qs.Dense(kernel, name="d"), qs.apply(qs.Concat(), *own)))
    found = {p.layer: p.verdict.name for p in qs.pair_sums(joined)}
    assert found == ({"d": "VIOLATED" if all(signed) else "HOLDS"} if looked_at else {})
    added = qs.apply(qs.Dense(qs.Tensor(kernel.codes[:2], kernel.format), name="d"), qs.apply(qs.Add(), *own))
    assert qs.pair_sums(qs.Network.of(added)) == ()


def test_the_command_says_what_fits_and_what_overflows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 0 where bounds show it, 1 where an input shows that it is not so, 3 where nobody was asked."""
    np.save(tmp_path / "x.npy", np.array([3, 3, 0, 0, 3, 0, 0, 3]))
    where = str(tmp_path / "found.json")
    assert main(["accumulators", "digits-tiny", "--pairs", "--at", str(tmp_path / "x.npy"), "--json", where]) == 0
    assert capsys.readouterr().out.startswith("HOLDS\n")
    found = json.loads(Path(where).read_text())
    assert {layer["layer"]: layer["width"] for layer in found["accumulators"]["layers"]} == {"dense_1": 9, "dense_2": 11}
    assert (set(found["fits"].values()), found["overflows"]) == ({"HOLDS"}, [])
    assert main(["accumulators", "digits-tiny", "--bits", "8"]) == 3
    assert main(["accumulators", "digits-tiny", "--bits", "6", "--least", "--timeout", "5"]) == 1
    assert main(["accumulators", "digits-tiny", "--bits", "1"]) == 2


def test_no_limit_is_none_for_least_widths_too(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    found = qs.accumulators(qs.load("digits-tiny", kind=qs.Network))
    monkeypatch.setattr("qspec.cli.accumulators.least_accumulators", lambda _, timeout: asked.append(timeout) or found)
    for text in ("none", "5"):
        main(["accumulators", "digits-tiny", "--least", "--timeout", text])
    assert asked == [None, 5.0]
