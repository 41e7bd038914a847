"""Monotone step functions from accumulator to code: shift, round and saturate, ReLU-N, sign, and quantised monotone tables are all this.

Every rounding mode and every saturation of one layer is one staircase, so that a consumer that knows staircases knows them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import assert_never, overload

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.integers import SAFE, IntArray, magnitude, shrink, widen, within
from qspec.arithmetic.rounding import Rounding, round_ratio

MANY = 16
"""Thresholds from which a search by halves is quicker than comparing with all of them."""


@dataclass(frozen=True, eq=False)
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

    @cached_property
    def magnitudes(self) -> tuple[int, int, int]:
        """The largest absolute values of numerator, offset and denominator."""
        return magnitude(self.numerator), magnitude(self.offset), magnitude(self.denominator)

    @cached_property
    def shifts(self) -> tuple[IntArray, IntArray] | None:
        """What is added to `numerator * a`, and by how many bits that is shifted then, where rounding is so simple; else None.

        A tie that goes away from zero needs one unit less where the sum before the half was below zero; the caller takes it off.
        """
        d, ends = self.denominator, [e for e in (self.lower, self.upper) if e is not None]
        halved = self.rounding in (Rounding.RND, Rounding.RND_INF)
        if not (halved or self.rounding is Rounding.TRN) or any(v.dtype == object for v in (d, self.offset, self.numerator, *ends)):
            return None
        if np.any(d & (d - 1)):
            return None
        if halved and np.any(d == 1):
            return None
        return self.offset + (d >> 1 if halved else 0), np.frexp(d.astype(np.float64))[1].astype(np.int64) - 1


@dataclass(frozen=True, eq=False)
class Steps:
    """A staircase given step by step: `base + number of k with a >= thresholds[:, k]`; rows of `thresholds` never decrease."""

    base: IntArray
    thresholds: IntArray

    @cached_property
    def lines(self) -> tuple[IntArray, IntArray, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The rows that differ, one after the other, each between two ends beyond all integers; where that of each element begins; and the
        first threshold and the thresholds per unit of a line through the first and the last."""
        numbers: dict[bytes, int] = {}
        which = np.array([numbers.setdefault(row.tobytes(), len(numbers)) for row in self.thresholds], dtype=np.int64)
        sample = np.zeros(len(numbers), dtype=np.int64)
        sample[which] = np.arange(len(which))
        rows, limit = self.thresholds[sample], np.iinfo(np.int64)
        ends = np.pad(rows, ((0, 0), (1, 1)), constant_values=((0, 0), (limit.min, limit.max)))
        first, span = rows[:, 0].astype(np.float64), np.maximum(1, rows[:, -1] - rows[:, 0])
        return ends.reshape(-1), which * ends.shape[1], first[which], ((rows.shape[1] - 1) / span)[which]


@overload
def restricted(steps: Rescale, index: IntArray) -> Rescale: ...
@overload
def restricted(steps: Rescale | Steps, index: IntArray) -> Rescale | Steps: ...
def restricted(steps: Rescale | Steps, index: IntArray) -> Rescale | Steps:
    """Return the staircases of the elements in `index`."""
    match steps:
        case Rescale(numerator, offset, denominator, rounding, lower, upper):
            ends = [None if end is None else end[index] for end in (lower, upper)]
            return Rescale(numerator[index], offset[index], denominator[index], rounding, ends[0], ends[1])
        case Steps(base, thresholds):
            return Steps(base[index], thresholds[index])
        case _:
            assert_never(steps)


def climb(steps: Rescale | Steps, x: IntArray) -> IntArray:
    """Return the staircase at `x`, shape (..., size); exact."""
    match steps:
        case Rescale(numerator, offset, denominator, rounding, lower, upper):
            most, added, divided = steps.magnitudes
            bound = 2 * (most * magnitude(x) + added) + 2 * divided
            exact = widen(x, bound)
            if bound < SAFE and exact.dtype != object and steps.shifts is not None:
                return _shifted(steps, exact, *steps.shifts)
            codes = round_ratio(widen(numerator, bound) * exact + widen(offset, bound), widen(denominator, bound), rounding)
            codes = codes if lower is None else np.maximum(codes, lower)
            return within(codes if upper is None else np.minimum(codes, upper), bound)
        case Steps(base, thresholds):
            if x.dtype == object or thresholds.dtype == object or thresholds.shape[1] < MANY:
                return shrink(base + (x[..., None] >= thresholds).sum(axis=-1))
            return shrink(base + _counted(steps, x))
        case _:
            assert_never(steps)


def _counted(steps: Steps, x: IntArray) -> IntArray:
    """Return how many thresholds each argument reaches: on a line from the first to the last, put right by one, else by halves."""
    ends, place, first, rate = steps.lines
    most = steps.thresholds.shape[1]
    found = np.clip((x - first) * rate + 1, 0, most).astype(np.int64)
    for _ in range(2):
        at = place + found
        above, below = x >= ends[at + 1], x < ends[at]
        found += above
        found -= below
    wrong = np.nonzero((x < ends[place + found]) | (x >= ends[place + found + 1]))
    if wrong[0].size:
        found[wrong] = _halved(ends, np.broadcast_to(place, x.shape)[wrong], x[wrong], most)
    return found


def _halved(ends: IntArray, place: IntArray, x: IntArray, most: int) -> IntArray:
    """Return how many of `most` thresholds each argument reaches, a search by halves in all rows at once."""
    found = np.zeros(x.shape, dtype=np.int64)
    step = 1 << most.bit_length() >> 1
    while step:
        tried = np.minimum(found + step, most)
        found += (tried - found) * (x >= ends[place + tried])
        step >>= 1
    return found


def _shifted(steps: Rescale, x: IntArray, added: IntArray, shift: IntArray) -> IntArray:
    """Return an even staircase in place, by a product, a sum and a shift."""
    codes = x * steps.numerator
    codes += added
    if steps.rounding is Rounding.RND_INF:
        codes -= codes < steps.denominator >> 1
    codes >>= shift
    if steps.lower is not None:
        np.maximum(codes, steps.lower, out=codes)
    if steps.upper is not None:
        np.minimum(codes, steps.upper, out=codes)
    return codes


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
