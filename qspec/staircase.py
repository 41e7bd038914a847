"""Monotone step functions from accumulator to code: shift, round and saturate, ReLU-N, sign, and quantised monotone tables are all this.

Every rounding mode and every saturation of one layer is one staircase, so that a consumer that knows staircases knows them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

import numpy as np

from qspec.integers import IntArray, magnitude, shrink, widen
from qspec.rounding import Rounding, round_ratio


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
            return shrink(codes if upper is None else np.minimum(codes, upper))
        case Steps(base, thresholds):
            return shrink(base + (x[..., None] >= thresholds).sum(axis=-1))
        case _:
            assert_never(steps)
