"""Monotone step functions from accumulator to code: shift, round and saturate, ReLU-N, sign, and quantised monotone tables are all this.

Every rounding mode and every saturation of one layer is one staircase, so that a consumer that knows staircases knows them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray, magnitude, shrink, widen, within
from qspec.arithmetic.rounding import Rounding, round_ratio


@dataclass(frozen=True, slots=True, eq=False)
class Rescale:
    """An even staircase: `clamp(round((numerator * a + offset) / denominator), lower, upper)`, all per element.

    `numerator` and `denominator` are positive. `lower` and `upper` are None where nothing saturates.
    """

    numerator: IntArray
    offset: IntArray
    denominator: IntArray
    rounding: Rounding
    lower: IntArray | None
    upper: IntArray | None


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """A staircase given step by step: `base + number of k with a >= thresholds[:, k]`; rows of `thresholds` never decrease."""

    base: IntArray
    thresholds: IntArray


def climb(steps: Rescale | Steps, x: IntArray) -> IntArray:
    """Return the staircase at `x`, shape (..., size); exact."""
    match steps:
        case Rescale(numerator, offset, denominator, rounding, lower, upper):
            bound = 2 * (magnitude(numerator) * magnitude(x) + magnitude(offset)) + 2 * magnitude(denominator)
            exact = widen(x, bound)
            codes = round_ratio(widen(numerator, bound) * exact + widen(offset, bound), widen(denominator, bound), rounding)
            codes = codes if lower is None else np.maximum(codes, lower)
            return within(codes if upper is None else np.minimum(codes, upper), bound)
        case Steps(base, thresholds):
            return shrink(base + (x[..., None] >= thresholds).sum(axis=-1))
        case _:
            assert_never(steps)


def reach(steps: Rescale | Steps, codes: IntArray) -> IntArray:
    """Return the least argument at which the staircase is at least each code, shape (size, k) for codes of shape (size, k).

    Codes must be above the lowest and at most the highest that each element takes; others give a meaningless argument.
    """
    match steps:
        case Rescale(numerator, offset, denominator, rounding, _, _):
            # round(v) >= code exactly if v >= b (or v > b); with v = (n a + o) / d and b = h / 2 that is 2 n a >= h d - 2 o (or >).
            halves, inclusive = boundary(codes, rounding)
            limit = 2 * magnitude(offset) + magnitude(halves) * magnitude(denominator) + 2 * magnitude(numerator) + 2
            n, o, d = (widen(v, limit)[:, None] for v in (numerator, offset, denominator))
            level = widen(halves, limit) * d - 2 * o
            return shrink(np.where(inclusive, -((-level) // (2 * n)), level // (2 * n) + 1))
        case Steps(base, thresholds):
            index = np.clip(codes - base[:, None] - 1, 0, max(0, thresholds.shape[1] - 1)).astype(np.int64)
            return np.take_along_axis(thresholds, index, axis=1) if thresholds.shape[1] else np.zeros_like(codes)
        case _:
            assert_never(steps)


def boundary(codes: IntArray, rounding: Rounding) -> tuple[IntArray, IntArray]:
    """Return twice the boundary at which a value rounds to at least each code, and whether the boundary itself does."""
    true = np.ones(codes.shape, dtype=bool)
    match rounding:
        case Rounding.TRN:
            return 2 * codes, true
        case Rounding.TRN_ZERO:
            return np.where(codes > 0, 2 * codes, 2 * codes - 2), codes > 0
        case Rounding.RND:
            return 2 * codes - 1, true
        case Rounding.RND_MIN_INF:
            return 2 * codes - 1, ~true
        case Rounding.RND_ZERO:
            return 2 * codes - 1, codes <= 0
        case Rounding.RND_INF:
            return 2 * codes - 1, codes > 0
        case Rounding.RND_CONV:
            return 2 * codes - 1, codes % 2 == 0
        case _:
            assert_never(rounding)
