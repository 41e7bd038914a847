"""Lines below and above each operation, exact: `low_slope * a + low <= SCALE * y <= high_slope * a + high` on the interval of the argument.

Slopes are whole, so everything stays an integer. The intercepts are the best for their slopes: a staircase is below a rising line furthest
just before a step and above it furthest on a step, so only the ends of steps are looked at. Slopes are those of the convex envelope of a
clamped line, chosen by the area between the lines. Source of the method: CROWN, Zhang et al. 2018; DeepPoly, Singh et al. 2019.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qspec.bounds.interval import Interval
from qspec.integers import SAFE, IntArray, magnitude, shrink, widen
from qspec.staircase import Rescale, Steps, climb, reach

SCALE = 1 << 12
MAX_CODES = 1 << 10
"""Staircases with more codes than this on the interval are bounded by constants."""
MAX_MAGNITUDE = SAFE // (8 * SCALE * MAX_CODES)
"""Arguments and codes beyond this are bounded by constants too, so that no product of a slope and an argument overflows."""


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """`low_slope * a + low <= SCALE * y <= high_slope * a + high`, elementwise."""

    low_slope: IntArray
    low: IntArray
    high_slope: IntArray
    high: IntArray


def constant_lines(y: Interval) -> Lines:
    """Return the lines of slope zero."""
    zero = np.zeros_like(y.lower)
    low, high = (SCALE * widen(end, SCALE * magnitude(end)) for end in (y.lower, y.upper))
    return Lines(zero, shrink(low), zero, shrink(high))


def staircase_lines(steps: Rescale | Steps, x: Interval) -> Lines:
    """Return lines around a staircase on an interval, one pair for each element."""
    first, last = climb(steps, x.lower), climb(steps, x.upper)
    flat = constant_lines(Interval(first, last))
    largest = max(magnitude(end) for end in (x.lower, x.upper, first, last))
    if first.size == 0 or largest > MAX_MAGNITUDE or int((last - first).max()) > MAX_CODES:
        return flat
    count = int((last - first).max())
    codes = np.minimum(first[:, None] + 1 + np.arange(count), last[:, None])
    start = np.clip(reach(steps, codes), x.lower[:, None], x.upper[:, None]) if count else np.zeros((first.size, 0), dtype=np.int64)
    return _best(np.concatenate([first[:, None], codes], axis=1), np.concatenate([x.lower[:, None], start], axis=1), x)


def _best(codes: IntArray, start: IntArray, x: Interval) -> Lines:
    """Choose between the two slopes of the envelope on each side; `codes[:, k]` is taken from `start[:, k]` on."""
    first, last = codes[:, 0], codes[:, -1]
    rise = SCALE * (last - first)
    end = np.concatenate([start[:, 1:] - 1, x.upper[:, None]], axis=1)
    # Padded codes repeat the highest one; their starts repeat too, so `end` may precede `start`: such steps are empty and must not count.
    end = np.where(codes == last[:, None], x.upper[:, None], end)
    leave, arrive = end[:, 0], start[:, -1]
    zero = np.zeros_like(first)
    low_slope = rise // np.maximum(1, x.upper - leave)
    high_slope = rise // np.maximum(1, arrive - x.lower)
    low = (SCALE * codes - low_slope[:, None] * end).min(axis=1)
    high = (SCALE * codes - high_slope[:, None] * start).max(axis=1)
    middle = x.lower + x.upper
    steep_low = low_slope * middle + 2 * low > 2 * SCALE * first
    steep_high = high_slope * middle + 2 * high < 2 * SCALE * last
    return Lines(
        np.where(steep_low, low_slope, zero),
        np.where(steep_low, low, SCALE * first),
        np.where(steep_high, high_slope, zero),
        np.where(steep_high, high, SCALE * last),
    )
