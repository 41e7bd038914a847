"""Linear bounds contain every value that a node takes, and lines lie on their side of each staircase."""

from __future__ import annotations

import numpy as np
import pytest

from qspec.bounds import backward, interval
from qspec.evaluate.reference import evaluate
from qspec.integers import IntArray
from qspec.ir import Query
from qspec.rounding import Rounding
from qspec.staircase import Rescale, Steps, climb, reach
from tests.soundness.random_queries import random_query


def all_assignments(query: Query) -> dict[str, IntArray]:
    """Return every assignment of a small query, as one batch."""
    axes = [np.arange(int(lo), int(hi) + 1) for n in query.inputs.values() for lo, hi in zip(n.lower, n.upper, strict=True)]
    points = np.stack([a.reshape(-1) for a in np.meshgrid(*axes, indexing="ij")], axis=-1) if axes else np.zeros((1, 0), dtype=np.int64)
    start, result = 0, {}
    for name, node in query.inputs.items():
        result[name] = points[:, start : start + node.lower.size]
        start += node.lower.size
    return result


def test_bounds_contain_every_value_and_sometimes_tighten() -> None:
    rng = np.random.default_rng(7)
    tighter = 0
    for _ in range(250):
        query = random_query(rng, max_points=1500)
        values = evaluate(query.program, all_assignments(query))
        tight = backward.bound(query.program, range(len(query.program)))
        loose = interval.bound(query.program)
        for value, inner, outer in zip(values, tight, loose, strict=True):
            assert np.all(value >= inner.lower)
            assert np.all(value <= inner.upper)
            assert np.all(inner.lower >= outer.lower)
            assert np.all(inner.upper <= outer.upper)
            tighter += bool(np.any(inner.lower > outer.lower) or np.any(inner.upper < outer.upper))
    assert tighter > 10


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
