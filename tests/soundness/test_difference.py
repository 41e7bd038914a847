"""Bounds of differences of networks against enumeration: no error, no sum and no candidate lies outside, in exact arithmetic."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qspec as qs
from qspec.engines.difference.aligned_layers import LayerPair, Pair, pair
from qspec.engines.difference.dual import Goal, PartBatch, evaluate, tables
from qspec.engines.difference.joint_bounds import Region, consistent
from qspec.engines.difference.largest import exact_errors
from qspec.engines.difference.replay import outputs
from qspec.engines.difference.root import free_regions, root
from qspec.engines.difference.vertices import corners, half
from qspec.extremes.quantization_errors import error_bounds, largest_error
from qspec.ir.staircase import Rescale, climb

ROUNDINGS = list(qs.Rounding)
INPUT = qs.Fixed(3, 1)


def networks(seed: int, *, scale: float = 1.0, output: bool = True) -> tuple[qs.Network, qs.real.Network]:
    """Return a small real network and its quantisation; every third has two hidden layers, and formats and roundings vary."""
    random = np.random.default_rng(seed)
    widths = [2, 3, *([3] if seed % 3 == 0 else []), 2]
    layers = [
        qs.real.Dense(
            random.normal(size=(a, b)) * scale, random.normal(size=b) * 0.4 * scale, qs.ReLU() if k < len(widths) - 2 else qs.Linear()
        )
        for k, (a, b) in enumerate(itertools.pairwise(widths))
    ]
    real = qs.real.Sequential(qs.real.Input((2,)), *layers)
    rounding = ROUNDINGS[seed % len(ROUNDINGS)]
    codes = qs.Fixed(int(random.integers(4, 8)), int(random.integers(1, 5)), rounding=rounding)
    fixed = real.quantize(input=INPUT, weights=qs.Fixed(6, 3), activations=codes, output=codes if output else qs.Fixed(16, 6))
    return fixed, real


def every_code() -> Any:
    return np.array(list(itertools.product(range(-4, 4), repeat=2)))


def errors(fixed: qs.Network, real: qs.real.Network) -> Any:
    """Return the errors at all inputs, exactly, (inputs, outputs)."""
    return np.array([exact_errors(fixed, real, codes) for codes in every_code()])


@pytest.mark.parametrize("seed", range(18))
def test_bounds_contain_every_error(seed: int) -> None:
    fixed, real = networks(seed)
    found = error_bounds(fixed, real)
    true = errors(fixed, real)
    for k in range(2):
        assert Fraction(found.lower[k]) <= min(true[:, k])
        assert max(true[:, k]) <= Fraction(found.upper[k])


@pytest.mark.parametrize("seed", range(1, 6))
def test_largest_error_is_that_of_enumeration(seed: int) -> None:
    fixed, real = networks(seed, output=seed % 2 == 0)
    found = largest_error(fixed, real, timeout=None)
    assert found.closed
    assert found.lower == abs(errors(fixed, real)).max()
    assert abs(exact_errors(fixed, real, found.codes)[found.output]) == found.lower


@pytest.mark.parametrize("seed", [1, 4])
def test_verdicts_turn_exactly_at_the_largest_error(seed: int) -> None:
    fixed, real = networks(seed)
    largest = abs(errors(fixed, real)).max()
    z = fixed.input("z")
    apart = abs(fixed(z) - real(z))
    tiny = Fraction(1, 2**80)
    asked = [apart <= largest, apart < largest, apart <= largest - tiny, apart < largest + tiny]
    results = [qs.verify(qs.forall(z, then=qs.all(a)), timeout=None) for a in asked]
    assert [r.verdict.name for r in results] == ["HOLDS", "VIOLATED", "VIOLATED", "HOLDS"]
    assert all(r.answers[0].theory == "difference" for r in results)


@pytest.mark.parametrize("scale", [1.0, 2.0**20, 2.0**-30])
def test_regions_contain_every_sum(scale: float) -> None:
    for seed in range(4):
        fixed, real = networks(seed, scale=scale)
        both = pair(fixed, real)
        assert both is not None
        known = root(both, np.full(2, -4.0), np.full(2, 3.0), steps=5)
        for codes in every_code():
            for layer, k, sums in zip(both.layers, known, exact_sums(both, codes), strict=True):
                for j, (a, b) in enumerate(zip(*sums, strict=True)):
                    apart = Fraction(layer.scale[j]) * int(a) - b
                    for value, low, high in ((a, *k.region[:2]), (b, *k.region[2:4]), (apart, *k.region[4:])):
                        assert Fraction(low[0, j]) <= value <= Fraction(high[0, j])


def exact_sums(both: Pair, codes: Any) -> list[tuple[Any, Any]]:
    """Return the sums of both networks at an input, layer by layer, in integers and Fractions."""
    code, signal = codes.astype(object), np.array([Fraction(int(c)) for c in codes])
    found: list[tuple[Any, Any]] = []
    for layer in both.layers:
        a = layer.fixed.value.astype(int).astype(object) @ code + layer.fixed_bias.astype(int).astype(object)
        products = [[Fraction(w) * x for w, x in zip(row, signal, strict=True)] for row in layer.exact]
        b = np.array([sum(row) + Fraction(c) for row, c in zip(products, layer.exact_bias, strict=True)])
        found.append((a, b))
        code, signal = climb(layer.steps, a).astype(object), np.maximum(b, 0) if layer.relu else b
    return found


def test_replay_agrees_with_the_references() -> None:
    for seed in range(6):
        fixed, real = networks(seed)
        both = pair(fixed, real)
        assert both is not None
        for codes in every_code()[::7]:
            ours, theirs = outputs(both, codes)
            assert list(ours - theirs) == list(exact_errors(fixed, real, codes))


@given(st.data())
@settings(max_examples=100)
def test_no_pair_lies_below_its_candidates(data: Any) -> None:
    """`c · (step(a), relu(b)) - p · (a, b)` is nowhere in the polygon below the least candidate."""
    whole = st.integers(-40, 40)
    steps = Rescale(
        np.array([data.draw(st.integers(1, 3))]),
        np.array([data.draw(whole)]),
        np.array([data.draw(st.sampled_from([1, 2, 4, 5, 16]))]),
        data.draw(st.sampled_from(ROUNDINGS)),
        np.array([data.draw(st.integers(-3, 0))]),
        data.draw(st.sampled_from([None, np.array([3]), np.array([12])])),
    )
    one, scale = np.ones((1, 1)), np.array([data.draw(st.sampled_from([0.25, 1.0, 0.3]))])
    layer = LayerPair(None, one[0], steps, None, one[0], data.draw(st.booleans()), scale, None, None)  # pyright: ignore[reportArgumentType]
    ends = [sorted(data.draw(st.tuples(whole, whole))) for _ in range(3)]
    (f0, f1), (r0, r1), (d0, d1) = ((float(a), float(b)) for a, b in ends)
    region = consistent(Region(*(one * v for v in (f0, f1, r0 / 4, r1 / 4, d0 / 8, d1 / 8))), scale)
    if region.empty:
        return
    c = [Fraction(data.draw(whole), 8) for _ in range(2)]
    p = [Fraction(data.draw(whole), 8) for _ in range(2)]
    table = corners(layer, region, np.array([0]))
    code = table.code_low if c[0] > 0 else table.code_high
    least = (float(c[0]) * code + float(c[1]) * table.signal - float(p[0]) * table.fixed - float(p[1]) * table.real).min()
    for a in range(int(region.fixed_low[0, 0]), int(region.fixed_high[0, 0]) + 1):
        low = max(Fraction(region.real_low[0, 0]), Fraction(scale[0]) * a - Fraction(region.apart_high[0, 0]))
        high = min(Fraction(region.real_high[0, 0]), Fraction(scale[0]) * a - Fraction(region.apart_low[0, 0]))
        y = int(climb(steps, np.array([a]))[0])
        for b in [*(low + (high - low) * k / 4 for k in range(5)), min(max(Fraction(0), low), high)] if low <= high else []:
            value = c[0] * y + c[1] * (max(b, 0) if layer.relu else b) - p[0] * a - p[1] * b
            assert float(value) >= least - 1e-9


def test_the_kink_of_the_real_signal_is_a_candidate() -> None:
    """`relu(b) - b / 2` is 0 at 0 and 1/2 at both ends, also where no other corner is at 0."""
    steps = Rescale(np.array([1]), np.array([0]), np.array([1]), qs.Rounding.RND, None, None)
    one = np.ones(1)
    layer = LayerPair(None, one, steps, None, one, True, one, None, None)  # pyright: ignore[reportArgumentType]
    region = Region(*(np.array([[v]]) for v in (0.0, 0.0, -1.0, 1.0, -2.0, 2.0)))
    table = corners(layer, region, np.array([0]))
    assert (table.signal - table.real / 2).min() == 0


def test_the_band_of_a_rounding_contains_it() -> None:
    a = np.arange(-50, 51)[:, None]
    for rounding in ROUNDINGS:
        steps = Rescale(np.array([3]), np.array([1]), np.array([8]), rounding, None, None)
        low, high = half(steps)
        rest = climb(steps, a)[:, 0] - (3 * a[:, 0] + 1) / 8
        assert low[0] <= rest.min()
        assert rest.max() <= high[0]


@pytest.mark.parametrize("seed", range(4))
def test_any_multipliers_give_a_bound(seed: int) -> None:
    """Random multipliers, too: the dual is a lower bound for whatever they are."""
    fixed, real = networks(seed)
    both = pair(fixed, real)
    assert both is not None
    known = root(both, np.full(2, -4.0), np.full(2, 3.0))
    random = np.random.default_rng(seed)
    rows = 40
    c = (random.normal(size=(rows, 2)), random.normal(size=(rows, 2)))
    goal = Goal(c, np.zeros(rows), np.zeros(rows))
    free = tuple((random.normal(size=(rows, k.free.size)), random.normal(size=(rows, k.free.size))) for k in known)
    part = PartBatch(np.full((1, 2), -4.0), np.full((1, 2), 3.0), tables(known, free_regions(known)))
    found = evaluate(known, part, goal, free).certain(both.terms)
    for codes in every_code():
        code, signal = codes.astype(object), np.array([Fraction(int(v)) for v in codes])
        for layer, (a, b) in zip(both.layers, exact_sums(both, codes), strict=True):
            code, signal = climb(layer.steps, a).astype(object), np.maximum(b, 0) if layer.relu else b
        for row in range(rows):
            value = sum(Fraction(x) * int(y) for x, y in zip(c[0][row], code, strict=True)) + sum(
                Fraction(x) * y for x, y in zip(c[1][row], signal, strict=True)
            )
            assert Fraction(found[row]) <= value
