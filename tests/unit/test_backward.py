"""Linear bounds contain every value that a node takes, whatever its size, and are no looser than intervals."""

from __future__ import annotations

import numpy as np
import pytest

from qspec.arithmetic.integers import IntArray
from qspec.arithmetic.rounding import Rounding
from qspec.bounds import interval, tighten
from qspec.ir.integer import Query
from qspec.ir.integer_builder import Builder
from qspec.ir.reference import evaluate
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
        tight = tighten.bound(query.program, range(len(query.program)))
        loose = interval.bound(query.program)
        for value, inner, outer in zip(values, tight, loose, strict=True):
            assert np.all(value >= inner.lower)
            assert np.all(value <= inner.upper)
            assert np.all(inner.lower >= outer.lower)
            assert np.all(inner.upper <= outer.upper)
            tighter += bool(np.any(inner.lower > outer.lower) or np.any(inner.upper < outer.upper))
    assert tighter > 10


@pytest.mark.parametrize("factor", [1, 2**30, 2**56])
def test_long_chains_have_sound_bounds(factor: int) -> None:
    b = Builder()
    x = b.input("x", [-8, -8], [7, 7])
    node = x
    for _ in range(9):
        node = b.rescale(b.scale(node, 3, 1), 1, 4, Rounding.RND)
    wide = b.scale(node, factor)
    total = b.maximum(b.scale(node, factor), [[0, 1]])
    b.rescale(b.difference(b.scale(total, 1), b.select(wide, [0])), 1, 2, Rounding.TRN)
    points = np.stack(np.meshgrid(np.arange(-8, 8), np.arange(-8, 8)), axis=-1).reshape(-1, 2)
    values = evaluate(b.program, {"x": points})
    for value, inside in zip(values, tighten.bound(b.program, range(len(b.program))), strict=True):
        assert np.all(value >= inside.lower)
        assert np.all(value <= inside.upper)
