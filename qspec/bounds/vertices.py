"""The points of an elementwise operation that any line can touch: of an even staircase, vertices of its convex hull, in closed form.

`c f(a) - p a` is least at a vertex of the hull of the points of `f`. Step `j` of an even staircase begins at `ceil(v_j / N)` for evenly
spaced `v_j`, so what it is late by, `r_j = -v_j mod N`, falls by `g mod N` with every step. A vertex among the beginnings of steps has a
smaller `r` than all before it, or than all after it, and such records follow each other in runs of equal steps, of which only the ends are
vertices: a handful of 255 codes. For the ends of steps, `N - 1 - r_j` takes the place of `r_j`. Source: the sails of a lattice (Klein
1895), records of `i g mod N` (one-sided best approximations).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qspec.arithmetic.integers import SAFE, IntArray, magnitude
from qspec.arithmetic.rounding import Rounding
from qspec.bounds.breakpoints import EVEN, MAX_POINTS, Elementwise, Points, points
from qspec.ir.integer import Staircase
from qspec.ir.staircase import Rescale, boundary, climb, reach

FEW = 12
"""Steps up to which listing them all is as good."""
MANY, LARGE = 8, 1 << 16
"""Rows, or else steps of all elements together, from which on it pays to find the vertices."""


@dataclass(frozen=True, slots=True, eq=False)
class _Ladder:
    """Codes `first + stride * i` for `0 <= i < count`, shape (size,), that begin at even distances."""

    first: IntArray
    count: IntArray
    stride: int


def vertices(node: Elementwise, lower: IntArray, upper: IntArray, rows: int = MANY) -> Points:
    """Return the points of an operation on intervals of shape (..., size) that so many rows of coefficients need; both ends come first.

    They are complete but for uneven staircases of over `MAX_POINTS` steps, of which none but the first and the last are looked at.
    """
    if not isinstance(node, Staircase) or not isinstance(node.steps, Rescale):
        return points(node, lower, upper)
    steps = node.steps
    first, last = climb(steps, lower), climb(steps, upper)
    count = int((last - first).max(initial=0))
    if count > MAX_POINTS:
        return points(node, lower, upper, 1)
    single = steps.rounding in EVEN and bool(np.all(steps.numerator == 1))
    pays = lower.ndim == 1 and count > FEW and (rows >= MANY or count * lower.size > LARGE)
    if single or not pays or not _narrow(steps, count, lower, upper):
        return points(node, lower, upper)
    kind, one = _kinds(steps)
    ends: list[IntArray] = []
    starts: list[IntArray] = []
    for ladder in _ladders(steps.rounding, first, last):
        late = _lateness(steps, ladder)
        modulus = 2 * steps.numerator
        end = np.maximum(ladder.count - 1, 0)
        fall = 2 * ladder.stride * steps.denominator % modulus
        final = (late - end * fall) % modulus
        down, up = (_Records.of(kind, f[one], modulus[one], end) for f in (fall, (modulus - fall) % modulus))
        starts += [ladder.first + ladder.stride * i for i in (*_chain(late, down, end), *(end - i for i in _chain(final, up, end)))]
        late, final = modulus - 1 - late, modulus - 1 - final
        ends += [ladder.first + ladder.stride * i for i in (*_chain(late, up, end), *(end - i for i in _chain(final, down, end)))]
    low, high = np.minimum(first + 1, last), last
    before, after = (np.clip(np.stack(codes), low, high) for codes in (ends, starts))
    inside = np.concatenate([_reach(steps, before) - 1, _reach(steps, after)])
    arguments = np.concatenate([lower[None], upper[None], np.clip(inside, lower, upper)])
    return Points(arguments, climb(steps, arguments), True)


def _narrow(steps: Rescale, count: int, lower: IntArray, upper: IntArray) -> bool:
    """Return whether everything below fits 64 bits."""
    if any(a.dtype == object for a in (steps.numerator, steps.offset, steps.denominator, lower, upper)):
        return False
    codes = magnitude(steps.numerator) * max(magnitude(lower), magnitude(upper)) + magnitude(steps.offset)
    least = int(steps.denominator.min(initial=magnitude(steps.denominator)))
    most = 4 * (codes // least + 2 + count) * magnitude(steps.denominator) + 2 * magnitude(steps.offset)
    return max(most, 2 * magnitude(steps.numerator) * (count + 1)) < SAFE


def _ladders(rounding: Rounding, first: IntArray, last: IntArray) -> Iterator[_Ladder]:
    """Yield the steps above `first`, up to `last`, in families that begin at even distances; empty ones have no steps."""
    match rounding:
        case Rounding.TRN | Rounding.RND | Rounding.RND_MIN_INF:
            yield _Ladder(first + 1, last - first, 1)
        case Rounding.RND_CONV:
            yield _Ladder(first + 1, (last - first + 1) // 2, 2)
            yield _Ladder(first + 2, (last - first) // 2, 2)
        case Rounding.TRN_ZERO | Rounding.RND_ZERO | Rounding.RND_INF:
            yield _Ladder(first + 1, np.minimum(last, 0) - first, 1)
            yield _Ladder(np.maximum(first + 1, 1), last - np.maximum(first, 0), 1)


def _lateness(steps: Rescale, ladder: _Ladder) -> IntArray:
    """Return how late the first step of a ladder begins, in units of `1 / (2 numerator)`."""
    halves, inclusive = boundary(ladder.first, steps.rounding)
    return -(halves * steps.denominator - 2 * steps.offset + ~inclusive) % (2 * steps.numerator)


def _kinds(steps: Rescale) -> tuple[IntArray, IntArray]:
    """Return numbers (size,) of the pairs of numerator and denominator that occur, and an element with each."""
    tops, top = np.unique(steps.numerator, return_inverse=True)
    _, bottom = np.unique(steps.denominator, return_inverse=True)
    _, one, kind = np.unique(bottom * tops.size + top, return_index=True, return_inverse=True)
    return kind, one


@dataclass(frozen=True, slots=True, eq=False)
class _Records:
    """Of each kind, the least positive `i fall mod modulus` for i up to 1, 2, …; `kind` is that of each element."""

    kind: IntArray
    least: IntArray

    @classmethod
    def of(cls, kind: IntArray, fall: IntArray, modulus: IntArray, last: IntArray) -> _Records:
        drops = fall[:, None] * np.arange(1, int(last.max(initial=0)) + 1) % modulus[:, None]
        return cls(kind, np.minimum.accumulate(np.where(drops == 0, modulus[:, None], drops), axis=1))


def _chain(late: IntArray, records: _Records, last: IntArray) -> list[IntArray]:
    """Return, beginning with 0, indices up to `last` at which runs of ever smaller values of `late - i fall mod modulus` end."""
    at: IntArray = np.zeros_like(last)
    found = [at]
    value, most = late.copy(), records.least.shape[1]
    going = np.flatnonzero((late > 0) & (last > 0))
    while going.size:
        own, v = records.kind[going], value[going]
        step = _first_at_most(records.least, own, v)
        drop = records.least[own, np.minimum(step, most - 1)]
        runs: IntArray = np.where(step < most, np.minimum(v // drop, (last[going] - at[going]) // (step + 1)), 0)
        on = runs > 0
        going, runs, step, drop = going[on], runs[on], step[on], drop[on]
        if going.size:
            at = at.copy()
            at[going] += runs * (step + 1)
            value[going] -= runs * drop
            found.append(at)
        going = going[(value[going] > 0) & (at[going] < last[going])]
    return found


def _first_at_most(falling: IntArray, row: IntArray, limit: IntArray) -> IntArray:
    """Return the first place in a row of numbers that never rise that is at most a limit, or the length of the row: by bisection."""
    length: int = falling.shape[1]
    low, high = np.zeros_like(limit), np.full_like(limit, length)
    for _ in range(length.bit_length()):
        middle = (low + high) // 2
        right = (middle < high) & (falling[row, np.minimum(middle, length - 1)] > limit)
        low, high = np.where(right, middle + 1, low), np.where(right, high, middle)
    return low


def _reach(steps: Rescale, codes: IntArray) -> IntArray:
    """Return the least arguments of codes of shape (k, size)."""
    return reach(steps, codes.T).T
