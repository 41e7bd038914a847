"""Which elements of an elementwise node are affine functions of their argument, on the interval of that argument.

A staircase whose ends are equal is constant; two points always make a line; a shift without remainder and a wrap that stays on one turn
are lines of any length. Everything is decided exactly, on the integer grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray, magnitude, shrink, widen
from qspec.arithmetic.rounding import Rounding
from qspec.bounds.interval import Interval
from qspec.ir.integer import Staircase, Table, Wrap
from qspec.ir.staircase import Rescale, Steps, climb
from qspec.passes.base import Mask
from qspec.passes.elements import Elementwise, restricted, value

NARROW = 16
"""Intervals of at most this many points are tried point by point."""


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """`y = slope * x + intercept` for the elements in `found`; slope and intercept are zero elsewhere."""

    found: Mask
    slope: IntArray
    intercept: IntArray


def lines(node: Elementwise, x: Interval) -> Lines:
    """Return the elements of a node that are affine on the interval of its argument."""
    x = covered(node, x)
    found, slope = _wide(node, x)
    limit = node.values.shape[1] if isinstance(node, Table) else NARROW
    width = widen(x.upper, 2 * x.magnitude) - x.lower
    narrow = np.flatnonzero(~found & (width < limit))
    if narrow.size:
        found[narrow], rise = _narrow(restricted(node, 0, narrow), Interval(x.lower[narrow], x.upper[narrow]), int(width[narrow].max()))
        slope = widen(slope, magnitude(rise))
        slope[narrow] = rise
    low = value(node, x.lower)
    bound = magnitude(low) + magnitude(slope) * x.magnitude
    intercept = widen(low, bound) - widen(slope, bound) * widen(x.lower, bound)
    return Lines(found, slope, shrink(np.where(found, intercept, 0)))


def covered(node: Elementwise, x: Interval) -> Interval:
    """Return the part of the interval on which the node is defined; every value that its argument takes lies there."""
    if not isinstance(node, Table):
        return x
    return Interval(np.maximum(x.lower, node.first), np.minimum(x.upper, node.first + node.values.shape[1] - 1))


def _narrow(node: Elementwise, x: Interval, width: int) -> tuple[Mask, IntArray]:
    """Try every point of every interval; `width` is the largest difference of ends."""
    steps = np.minimum(np.arange(width + 1)[:, None], (x.upper - x.lower).astype(np.int64))
    y = value(node, x.lower + steps)
    bound = 4 * magnitude(y) * (width + 1)
    y = widen(y, bound)
    slope = y[min(1, width)] - y[0]
    found = np.all(y - y[0] == slope * steps, axis=0)
    return found, shrink(np.where(found, slope, 0))


def _wide(node: Elementwise, x: Interval) -> tuple[Mask, IntArray]:
    """Recognise lines on intervals of any length by the form of the node."""
    none = np.zeros(x.lower.shape, dtype=np.int64)
    match node:
        case Staircase(_, steps):
            constant: Mask = climb(steps, x.lower) == climb(steps, x.upper)
            if isinstance(steps, Steps):
                return constant, none
            shifted = ~constant & (steps.numerator % steps.denominator == 0) & _unclamped(steps, x) & _even(steps, x)
            return constant | shifted, np.where(shifted, steps.numerator // steps.denominator, 0)
        case Table():
            single: Mask = x.lower == x.upper
            return single, none
        case Wrap():
            unwrapped: Mask = value(node, x.upper) - value(node, x.lower) == x.upper - x.lower
            return unwrapped, np.where(unwrapped, 1, none)
        case _:
            assert_never(node)


def _unclamped(steps: Rescale, x: Interval) -> Mask:
    below, above = clamps(steps, x)
    return ~(below | above)


def clamps(steps: Rescale, x: Interval) -> tuple[Mask, Mask]:
    """Return for each element whether the lower, and the upper clamp changes any value on the interval."""
    free = Rescale(steps.numerator, steps.offset, steps.denominator, steps.rounding, None, None)
    none = np.zeros(steps.offset.shape, dtype=np.bool_)
    below = none if steps.lower is None else climb(free, x.lower) < steps.lower
    above = none if steps.upper is None else climb(free, x.upper) > steps.upper
    return below, above


def _even(steps: Rescale, x: Interval) -> Mask:
    """Return whether `round(slope * x + offset / denominator) = slope * x + constant`, for an integer slope, on the interval.

    Floor, and to nearest with ties in one direction, always move with an integer. The other modes treat the remainder of the offset by
    the sign of the value (not where it keeps its sign) or, at a tie, by its parity (not where the slope is even).
    """
    anywhere = np.ones(steps.offset.shape, dtype=np.bool_)
    remainder = steps.offset % steps.denominator
    bound = 2 * (magnitude(steps.numerator) * x.magnitude + magnitude(steps.offset))
    low, high = (widen(steps.numerator, bound) * widen(end, bound) + steps.offset for end in (x.lower, x.upper))
    one_sign = (low >= 0) | (high <= 0)
    no_tie = 2 * remainder.astype(object) != steps.denominator
    match steps.rounding:
        case Rounding.TRN | Rounding.RND | Rounding.RND_MIN_INF:
            return anywhere
        case Rounding.TRN_ZERO:
            return one_sign | (remainder == 0)
        case Rounding.RND_ZERO | Rounding.RND_INF:
            return one_sign | no_tie
        case Rounding.RND_CONV:
            return no_tie | (steps.numerator // steps.denominator % 2 == 0)
