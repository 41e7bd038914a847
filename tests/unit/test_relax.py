"""Lines and linear bounds stay exact where products leave machine words."""

from __future__ import annotations

import numpy as np
import pytest

from qspec.bounds.backward import bound
from qspec.bounds.interval import Interval
from qspec.bounds.relax import SCALE, constant_lines, staircase_lines
from qspec.builder import Builder
from qspec.evaluate.reference import evaluate
from qspec.integers import integers
from qspec.rounding import Rounding
from qspec.staircase import Rescale, climb


@pytest.mark.parametrize("end", [3, 2**40, 2**52, 2**61, 2**70])
def test_constant_lines_are_multiples_of_the_ends(end: int) -> None:
    lines = constant_lines(Interval(integers([-end]), integers([end])))
    assert (lines.low.tolist(), lines.high.tolist()) == ([-SCALE * end], [SCALE * end])


@pytest.mark.parametrize("shift", [0, 2**30, 2**36, 2**45, 2**58, 2**61])
@pytest.mark.parametrize("step", [1, 2**20, 2**40])
def test_staircases_lie_between_their_lines(shift: int, step: int) -> None:
    one = integers([1])
    steps = Rescale(one, integers([step // 3]), integers([step]), Rounding.RND, None, None)
    x = Interval(integers([shift - 3 * step]), integers([shift + 4 * step]))
    lines = staircase_lines(steps, x)
    for a in {int(x.lower[0]) + k * step // 2 + j for k in range(14) for j in (0, 1)}:
        y = SCALE * int(climb(steps, integers([a]))[0])
        assert int(lines.low_slope[0]) * a + int(lines.low[0]) <= y <= int(lines.high_slope[0]) * a + int(lines.high[0])


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
