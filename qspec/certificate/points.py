"""Where a function of one integer can be extreme together with a line: the ends of its steps and turns, evaluated exactly.

Every function here returns points and values of shape (size, points); all points lie within the bounds, so that one too many does no
harm.
"""

from __future__ import annotations

import numpy as np

from qspec.arithmetic.integers import SAFE, IntArray, magnitude, shrink, widen
from qspec.arithmetic.rounding import Rounding
from qspec.ir.integer import Table, Wrap
from qspec.ir.staircase import Rescale, Steps, climb, reach

MAX_CODES = 1 << 12
"""A `Rescale` is looked at step by step up to so many codes."""

EVEN = (Rounding.TRN, Rounding.RND, Rounding.RND_MIN_INF)
"""Roundings that treat all codes alike."""

Points = tuple[IntArray, IntArray]


def steps_points(steps: Steps, lower: IntArray, upper: IntArray) -> Points:
    """Return both ends of every step within the bounds."""
    start = np.clip(steps.thresholds, lower[:, None], upper[:, None])
    x = _with_ends(start, lower, upper)
    counts: list[IntArray] = [np.searchsorted(row, at, side="right") for row, at in zip(steps.thresholds, x, strict=True)]
    return x, shrink(steps.base[:, None] + np.array(counts, dtype=np.int64).reshape(x.shape))


def evenly_spaced(steps: Rescale) -> bool:
    """Return whether each step begins `denominator` after the one before: a numerator of 1, and a rounding that treats all codes alike."""
    return steps.rounding in EVEN and bool(np.all(steps.numerator == 1))


def period(steps: Rescale, most: int) -> int:
    """Return after how many codes the lengths of steps repeat, at most `most`; `most` if the rounding treats codes differently.

    With numerator n and denominator d, in lowest terms, code j + n begins exactly d after code j.
    """
    if steps.rounding not in EVEN:
        return most
    return min(most, int((steps.numerator // np.gcd(steps.numerator, steps.denominator)).max(initial=1)))


def rescale_points(steps: Rescale, lower: IntArray, upper: IntArray) -> Points:
    """Return both ends of the steps within the bounds: all of them, or those of the first and of the last period if they repeat.

    From a step to that one period later, any `c·y - p·x` changes by the same amount, so it is least in the first period or in the last.
    """
    first, last = climb(steps, lower), climb(steps, upper)
    count = max(0, int((last - first).max(initial=0)))
    index = np.arange(period(steps, count))
    codes = np.minimum(first[:, None] + 1 + index, last[:, None])
    codes = np.concatenate([codes, last[:, None] - index], axis=1) if count else codes
    start = np.clip(reach(steps, codes), lower[:, None], upper[:, None]) if count else lower[:, None]
    x = _with_ends(start, lower, upper)
    return x, climb(steps, x.T).T


def clamp_points(steps: Rescale, lower: IntArray, upper: IntArray, sign: int) -> Points:
    """Return the corners of `denominator * clamp(v + sign)`, `v` being the value before rounding, at integers.

    The staircase is nowhere below it for sign -1 and nowhere above it for sign 1. It is clamped to the codes taken within the bounds.
    """
    first, last = climb(steps, lower), climb(steps, upper)
    ends = max(magnitude(first), magnitude(last)) + 1
    most = 4 * (magnitude(steps.numerator) * max(magnitude(lower), magnitude(upper)) + magnitude(steps.offset))
    most += 4 * magnitude(steps.denominator) * (ends + 1)
    n, o, d, low, high, first, last = (
        widen(v, most) for v in (steps.numerator, steps.offset, steps.denominator, lower, upper, first, last)
    )
    kinks = [(d * end - o - sign * d) // n for end in (first, last)]
    x = np.clip(np.stack([low, high, *(k + j for k in kinks for j in (0, 1))], axis=1), low[:, None], high[:, None])
    y = np.clip(n[:, None] * x + (o + sign * d)[:, None], (d * first)[:, None], (d * last)[:, None])
    return shrink(x), shrink(y)


def table_points(node: Table, lower: IntArray, upper: IntArray) -> Points:
    """Return every entry within the bounds."""
    entries: int = node.values.shape[1]
    last = node.first + (entries - 1)
    low, high = (np.clip(end, node.first, last)[:, None] for end in (lower, upper))
    x = np.clip(node.first[:, None] + np.arange(entries), low, high)
    return x, np.take_along_axis(node.values, (x - node.first[:, None]).astype(np.int64), axis=1)


def wrap_points(node: Wrap, lower: IntArray, upper: IntArray) -> Points:
    """Return both ends of the first and of the last turn within the bounds; between them values go on in even steps."""
    wide = 4 * max(magnitude(lower), magnitude(upper)) + (8 << int(node.width.max(initial=1)))
    low, high = widen(lower, wide), widen(upper, wide)
    modulus = np.left_shift(np.ones_like(low), node.width.astype(low.dtype))
    least = -(modulus // 2) if node.signed else np.zeros_like(modulus)
    first = least + ((low - least) // modulus + 1) * modulus
    last = least + (high - least) // modulus * modulus
    x = np.clip(np.stack([low, high, first - 1, first, last - 1, last], axis=1), low[:, None], high[:, None])
    return shrink(x), shrink((x - least[:, None]) % modulus[:, None] + least[:, None])


def corners(points: Points) -> Points:
    """Return those points that some line touches: vertices of the convex hull, below and above, padded by others of the same points.

    A linear function is least at a vertex, so none of the rest is needed. Source: Andrew 1979, one chain for all elements at a time.
    """
    x, y = points
    if 8 * max(1, magnitude(x)) * max(1, magnitude(y)) >= SAFE:
        return points
    order = np.argsort(x, axis=1, kind="stable")
    x, y = np.take_along_axis(x, order, axis=1), np.take_along_axis(y, order, axis=1)
    index = np.concatenate([_chain(x, y), _chain(x, -y)], axis=1)
    return np.take_along_axis(x, index, axis=1), np.take_along_axis(y, index, axis=1)


def _chain(x: IntArray, y: IntArray) -> IntArray:
    """Return the places (size, most) of the vertices of the hull from below; no row of `x` falls, and where equal, `y` is equal, too."""
    size, count = int(x.shape[0]), int(x.shape[1])
    kept: IntArray = np.zeros((size, count), dtype=np.int64)
    depth: IntArray = np.ones(size, dtype=np.int64)
    everything: IntArray = np.arange(size)
    for j in range(1, count):
        new = np.flatnonzero(x[:, j] > x[everything, kept[everything, depth - 1]])
        open_ = new[depth[new] > 1]
        while open_.size:
            a, b = kept[open_, depth[open_] - 2], kept[open_, depth[open_] - 1]
            across, up = x[open_, j] - x[open_, a], y[open_, j] - y[open_, a]
            above = (y[open_, b] - y[open_, a]) * across >= up * (x[open_, b] - x[open_, a])
            open_ = open_[above]
            depth[open_] -= 1
            open_ = open_[depth[open_] > 1]
        kept[new, depth[new]] = j
        depth[new] += 1
    inside: IntArray = np.arange(count) < depth[:, None]
    return np.where(inside, kept, 0)[:, : int(depth.max(initial=1))]


def _with_ends(start: IntArray, lower: IntArray, upper: IntArray) -> IntArray:
    before = np.maximum(start - 1, lower[:, None])
    return shrink(np.concatenate([lower[:, None], upper[:, None], start, before], axis=1))
