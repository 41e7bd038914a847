"""The vertices of a staircase hold a minimiser of every line, and are few: found by trying all points that are listed."""

from __future__ import annotations

import numpy as np
import pytest

from qspec.arithmetic.rounding import Rounding
from qspec.bounds.breakpoints import points
from qspec.bounds.vertices import FEW, vertices
from qspec.ir.integer import Staircase
from qspec.ir.staircase import Rescale, climb
from tests.unit.test_points import KINDS, argument, made


def assert_same_least(rng: np.random.Generator, node: Staircase, lower: np.ndarray, upper: np.ndarray) -> int:
    every, few = points(node, lower, upper), vertices(node, lower, upper)
    assert few.complete
    assert np.array_equal(few.arguments[:2], [lower, upper])
    assert np.all((few.arguments >= lower) & (few.arguments <= upper))
    assert np.array_equal(few.values, climb(node.steps, few.arguments))
    slope = np.abs((every.values[1] - every.values[0]) / np.maximum(1, upper - lower))
    for factor in (0.0, 0.5, 0.97, 1.0, 1.003, 1.1, 3.0, -1.0):
        for sign in (1, -1):
            c = sign * rng.integers(1 << 18, 1 << 20, lower.size)
            p = np.rint(c * slope * factor).astype(np.int64) + rng.integers(-3, 4, lower.size)
            least = [(c * x.values - p * x.arguments).min(axis=0) for x in (every, few)]
            assert np.array_equal(*least)
    return len(few.arguments)


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("width", [(1, 9, 9), (200, 40, 1000), (1 << 20, 1 << 24, 100_000), (1 << 30, 1 << 37, 200_000)])
def test_vertices_touch_what_all_points_touch(rounding: Rounding, width: tuple[int, int, int]) -> None:
    numerator, denominator, reach = width
    rng = np.random.default_rng(denominator)
    size = 20
    for _ in range(4):
        own = Rescale(
            rng.integers(1, numerator + 1, size),
            rng.integers(-denominator, denominator, size),
            rng.integers(max(1, denominator // 300), denominator + 1, size),
            rounding,
            rng.integers(-300, 1, size),
            rng.integers(0, 300, size),
        )
        lower = rng.integers(-reach, reach, size)
        upper = lower + rng.integers(0, reach, size) * rng.integers(0, 2, size)
        assert_same_least(rng, Staircase(0, own), lower, upper)


@pytest.mark.parametrize("kind", KINDS)
def test_vertices_of_other_operations_are_their_points(kind: str) -> None:
    rng = np.random.default_rng(7)
    for _ in range(5):
        node, x = made(rng, kind), argument(rng, kind)
        every, few = points(node, x.lower, x.upper), vertices(node, x.lower, x.upper)
        for _ in range(8):
            c, p = rng.integers(-12, 13, (2, x.lower.size))
            assert np.array_equal(*((c * v.values - p * v.arguments).min(axis=0) for v in (every, few)))


def test_of_255_codes_a_handful_are_vertices() -> None:
    rng = np.random.default_rng(1)
    size = 200
    one = np.ones(size, dtype=np.int64)
    own = Rescale(rng.integers(1 << 30, 1 << 31, size), one << 30, one << 38, Rounding.TRN, -128 * one, 127 * one)
    assert FEW < assert_same_least(rng, Staircase(0, own), np.full(size, -30000), np.full(size, 30001)) <= 40


def test_steps_of_equal_length_but_one_have_the_longest_runs() -> None:
    for numerator, denominator in ((255, 256), (256, 255), (254, 255 * 3), (1000, 1001), (2, 511)):
        rng = np.random.default_rng(numerator)
        ends = np.arange(-600, 600, 29)
        one = np.ones_like(ends)
        own = Rescale(numerator * one, 3 * one, denominator * one, Rounding.RND, -128 * one, 127 * one)
        assert_same_least(rng, Staircase(0, own), ends - 300, ends + 400)
