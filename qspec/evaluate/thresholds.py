"""Even staircases as lists of thresholds: the exact way out where their products do not fit a machine integer."""

from __future__ import annotations

from typing import assert_never

import numpy as np

from qspec.integers import IntArray, shrink
from qspec.rounding import Rounding
from qspec.staircase import Rescale, Steps, climb


def thresholds(steps: Rescale, lower: IntArray, upper: IntArray) -> Steps:
    """Return the steps that equal an even staircase for every argument in `lower..upper`, shape (size,) each.

    Rows with fewer steps than others are filled up with `upper + 1`, which no argument reaches.
    """
    lowest, highest = (climb(steps, end).astype(object) for end in (lower, upper))
    count = int((highest - lowest).max(initial=0))
    codes = lowest[:, None] + np.arange(1, count + 1).astype(object)[None, :]
    numerator, offset, denominator = (v.astype(object)[:, None] for v in (steps.numerator, steps.offset, steps.denominator))
    least = codes * denominator - _slack(steps.rounding, codes, denominator) - offset
    unreached = upper.astype(object)[:, None] + 1
    return Steps(shrink(lowest), shrink(np.where(codes <= highest[:, None], -(-least // numerator), unreached)))


def _slack(rounding: Rounding, codes: IntArray, denominator: IntArray) -> IntArray:
    """Return the greatest `c` such that `n >= code * denominator - c` makes `round(n / denominator) >= code`."""
    up, down = denominator // 2, (denominator - 1) // 2
    match rounding:
        case Rounding.TRN:
            return np.zeros_like(codes)
        case Rounding.TRN_ZERO:
            return np.where(codes > 0, 0, denominator - 1)
        case Rounding.RND:
            return up
        case Rounding.RND_MIN_INF:
            return down
        case Rounding.RND_ZERO:
            return np.where(codes > 0, down, up)
        case Rounding.RND_INF:
            return np.where(codes > 0, up, down)
        case Rounding.RND_CONV:
            return np.where(codes % 2 == 0, up, down)
        case _:
            assert_never(rounding)
