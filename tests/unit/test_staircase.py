"""A staircase reaches each code at the least argument that enumeration finds."""

from __future__ import annotations

import numpy as np
import pytest

from qspec.arithmetic.rounding import Rounding
from qspec.ir.staircase import Rescale, Steps, climb, reach


def random_staircase(rng: np.random.Generator, rounding: Rounding, size: int) -> Rescale:
    ends = np.sort(rng.integers(-9, 10, (2, size)), axis=0)
    lower, upper = (None if rng.random() < 0.3 else e for e in ends)
    return Rescale(rng.integers(1, 6, size), rng.integers(-20, 21, size), rng.integers(1, 9, size), rounding, lower, upper)


@pytest.mark.parametrize("rounding", list(Rounding))
def test_reach_is_the_least_argument(rounding: Rounding) -> None:
    rng = np.random.default_rng(3)
    for _ in range(60):
        steps = random_staircase(rng, rounding, 5)
        x = np.arange(-40, 41)[:, None] + np.zeros(5, dtype=np.int64)
        y = climb(steps, x)
        codes = (y.min(axis=0) + 1)[:, None] + np.arange(4)
        found = reach(steps, codes)
        for element in range(5):
            for k in range(4):
                if codes[element, k] <= y[:, element].max():
                    assert found[element, k] == x[np.argmax(y[:, element] >= codes[element, k]), element]


def test_reach_of_steps_is_the_threshold() -> None:
    steps = Steps(np.array([-2, 5]), np.array([[-3, 0, 0], [1, 2, 9]]))
    assert reach(steps, np.array([[-1, 0, 1], [6, 7, 8]])).tolist() == [[-3, 0, 0], [1, 2, 9]]


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("shift", [0, 1, 5])
@pytest.mark.parametrize("clipped", [True, False])
def test_shifts_are_the_quotients_they_stand_for(rounding: Rounding, shift: int, clipped: bool) -> None:
    """A denominator that is a power of two is shifted by; Python integers say what comes of it, ties of both signs included."""
    x = np.arange(-400, 400)[:, None] + np.zeros(3, dtype=np.int64)
    numerator, offset, denominator = np.array([1, 3, 7]), np.array([0, -5, 16]), np.full(3, 1 << shift)
    ends = (np.full(3, -20), np.full(3, 30)) if clipped else (None, None)
    steps = Rescale(numerator, offset, denominator, rounding, *ends)
    wide = Rescale(numerator.astype(object), offset.astype(object), denominator.astype(object), rounding, *ends)
    assert np.array_equal(climb(steps, x), climb(wide, x.astype(object)).astype(np.int64))
    odd = Rescale(3 * numerator, 3 * offset, 3 * denominator, rounding, *ends)
    assert np.array_equal(climb(steps, x), climb(odd, x))


@pytest.mark.parametrize("count", [1, 15, 16, 17, 31, 255, 256])
def test_steps_are_counted_by_halves_as_one_by_one(count: int) -> None:
    """Rows that several elements share, thresholds that occur twice, and arguments at, next to and beyond all of them."""
    rng = np.random.default_rng(count)
    rows = np.sort(rng.integers(-300, 300, (3, count)), axis=1)
    thresholds = rows[[0, 1, 0, 2, 1]]
    x = np.concatenate([thresholds.T + shift for shift in (-1, 0, 1)] + [np.full((1, 5), v) for v in (-(2**61), 2**61)])
    expected = np.array([[sum(int(v) >= int(t) for t in thresholds[e]) - 7 for e, v in enumerate(row)] for row in x])
    assert np.array_equal(climb(Steps(np.full(5, -7), thresholds), x), expected)
