"""Slopes with which to start: of lines below and above each operation, as multiples of `2**-SLOPE_BITS`.

Slopes carry no proof (`conjugate.py` finds the best intercept of any line), so they are computed in floating point. Those of a staircase
are of the clamped line that it rounds, not of its own hull: edges of hulls differ from element to element by up to a step, and sums of
them no longer cancel. Source: CROWN, Zhang et al. 2018; DeepPoly, Singh et al. 2019.
"""

from __future__ import annotations

from typing import assert_never

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.integers import IntArray
from qspec.bounds.breakpoints import points
from qspec.bounds.interval import Interval
from qspec.bounds.layout import Layout, Relaxed
from qspec.ir.integer import Affine, Input, Maximum, Product, Program, Staircase, Table, Wrap
from qspec.ir.staircase import Steps

SLOPE_BITS = 28
SHARE = 0.7
"""A line that is clamped at one end bounds that side by itself if it is free on more than the clamped part divided by this."""
Slopes = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def slopes(program: Program, layout: Layout, known: list[Interval], upto: int | None = None) -> Slopes:
    """Return slopes `low` and `high`, shape (..., multipliers), of all relaxed nodes (before node `upto`), for intervals (..., size)."""
    batch = known[0].lower.shape[:-1] if known else ()
    low, high = (np.zeros((*batch, layout.total)) for _ in range(2))
    for k, (first, end) in layout.places.items():
        node = program[k]
        if isinstance(node, Input | Affine) or (upto is not None and k >= upto):
            continue
        low[..., first:end], high[..., first:end] = node_slopes(node, known)
    return low, high


def node_slopes(node: Relaxed, known: list[Interval]) -> Slopes:
    """Return the slopes of one node, shape (..., count)."""
    match node:
        case Staircase(a):
            return _staircase(node, known[a])
        case Table(a):
            ends = points(node, known[a].lower, known[a].upper, 1)
            chord = (ends.values[1] - ends.values[0]) / np.maximum(1, ends.arguments[1] - ends.arguments[0])
            return chord.astype(np.float64), chord.astype(np.float64)
        case Wrap(a):
            ends = points(node, known[a].lower, known[a].upper)
            one = (ends.values[1] - ends.values[0] == ends.arguments[1] - ends.arguments[0]).astype(np.float64)
            return one, one
        case Product(left, right):
            x, y = known[left], known[right]
            return _floats([y.lower, x.lower]), _floats([y.upper, x.lower])
        case Maximum(a, groups):
            return _maximum(groups, known[a])
        case _:
            assert_never(node)


def _floats(parts: list[IntArray]) -> npt.NDArray[np.float64]:
    return np.concatenate([p.astype(np.float64) for p in parts], axis=-1)


def _staircase(node: Staircase, x: Interval) -> Slopes:
    """Return the slope of the line that is rounded wherever it is not clamped: the same for all elements of a map, so that sums cancel.

    Where the line is clamped at one end only, it or a constant bounds that side; the other side takes the edge of the hull. Where it is
    clamped at both ends, and where steps are uneven, the lower edge rises from the last argument of the lowest code, the upper one to
    the first argument of the highest.
    """
    found = points(node, x.lower, x.upper, 1)
    first, last, lower, upper = (v.astype(np.float64) for v in (*found.values[:2], x.lower, x.upper))
    leave, arrive = found.arguments[2].astype(np.float64), found.arguments[-1].astype(np.float64)
    rise, middle = last - first, (lower + upper) / 2
    below, above = rise / np.maximum(1, upper - leave), rise / np.maximum(1, arrive - lower)
    low, high = np.where(middle > leave, below, 0.0), np.where(middle < arrive, above, 0.0)
    if isinstance(node.steps, Steps):
        return low, high
    line = node.steps.numerator.astype(np.float64) / node.steps.denominator.astype(np.float64)
    least, most = (leave - lower) * line > 1, (upper - arrive) * line > 1
    rising, falling = SHARE * (upper - leave) > leave - lower, SHARE * (arrive - lower) > upper - arrive
    low = np.where(most, low, np.where(least & ~rising, 0.0, line))
    high = np.where(least, high, np.where(most & ~falling, 0.0, line))
    return np.where(rise > 0, low, 0.0), np.where(rise > 0, high, 0.0)


def _maximum(groups: IntArray, x: Interval) -> Slopes:
    """Below, the member with the greatest lower end; above, the same if it exceeds all others, else a constant."""
    present = groups >= 0
    member = np.where(present, groups, groups.max(axis=1, keepdims=True))
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    low, high = (np.where(present, end.astype(np.float64)[..., member], -np.inf) for end in (x.lower, x.upper))
    members: int = groups.shape[1]
    chosen = np.arange(members) == np.argmax(low, axis=-1)[..., None]
    largest = np.max(low, axis=-1, keepdims=True)
    rivals = np.any(~chosen & (high > largest), axis=-1, keepdims=True)
    flat = (*chosen.shape[:-2], groups.size)
    below = chosen.astype(np.float64)
    return below.reshape(flat), np.where(rivals, 0.0, below).reshape(flat)


def rounded(values: npt.NDArray[np.float64]) -> IntArray:
    """Return slopes as integers, in units of `2**-SLOPE_BITS`; those too steep for 64 bits become 0, which is sound as any other."""
    scaled = np.rint(values * 2.0**SLOPE_BITS)
    return np.where(np.abs(scaled) < 2.0**61, scaled, 0.0).astype(np.int64)
