"""Linear bounds stay exact where products leave machine words."""

from __future__ import annotations

import numpy as np
import pytest

from qspec.bounds.backward import bound
from qspec.builder import Builder
from qspec.evaluate.reference import evaluate
from qspec.rounding import Rounding


@pytest.mark.parametrize("factor", [1, 2**30, 2**56])
def test_long_chains_have_sound_bounds(factor: int) -> None:
    b = Builder()
    x = b.input("x", [-8, -8], [7, 7])
    node = x
    for _ in range(9):
        node = b.rescale(b.scale(node, 3, 1), 1, 4, Rounding.RND)
    wide = b.scale(node, factor)
    total = b.maximum(b.affine([(b.program[-1].terms[0][0], node)]), [[0, 1]])  # pyright: ignore[reportAttributeAccessIssue]
    b.rescale(b.difference(b.scale(total, 1), b.select(wide, [0])), 1, 2, Rounding.TRN)
    points = np.stack(np.meshgrid(np.arange(-8, 8), np.arange(-8, 8)), axis=-1).reshape(-1, 2)
    values = evaluate(b.program, {"x": points})
    for value, interval in zip(values, bound(b.program, range(len(b.program))), strict=True):
        assert np.all(value >= interval.lower)
        assert np.all(value <= interval.upper)
