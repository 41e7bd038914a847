"""The arguments at which an elementwise operation can touch a line: both ends of every step, and of every turn of a wrap.

Between two of them the operation is constant or a line, so `c f(a) - p a` is least at one of them, whatever `c` and `p` are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray, magnitude, shrink, widen
from qspec.arithmetic.rounding import Rounding, wrap
from qspec.bounds.interval import Interval
from qspec.ir.integer import Staircase, Table, Wrap
from qspec.ir.staircase import Rescale, Steps, climb, reach

Elementwise = Staircase | Table | Wrap

MAX_POINTS = 1 << 12
"""Steps, entries or turns beyond which points are not listed."""
COPIES = 4
"""Arrays of points under way: codes, arguments, clipped arguments, values."""
EVEN = (Rounding.TRN, Rounding.RND, Rounding.RND_MIN_INF)
"""Roundings that treat all codes alike."""


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Arguments and values, shape (k, ..., size); `complete` if no others can be touched."""

    arguments: IntArray
    values: IntArray
    complete: bool


def points(node: Elementwise, lower: IntArray, upper: IntArray, most: int = MAX_POINTS) -> Points:
    """Return the points of an operation on intervals of shape (..., size), `lower <= upper`; both ends come first.

    At most about `most` steps are listed, the first and the last among them, which is all that matters where steps are evenly spaced.
    """
    match node:
        case Staircase(_, steps):
            return _staircase(steps, lower, upper, most)
        case Table(_, first, values):
            return _table(first, values, lower, upper, most)
        case Wrap(_, width, signed):
            return _wrap(width, signed, lower, upper, most)
        case _:
            assert_never(node)


def points_bytes(node: Elementwise, x: Interval, most: int = MAX_POINTS) -> int:
    """Return about how many bytes listing the points of an operation on intervals takes, without listing them."""
    match node:
        case Staircase(_, steps):
            count = 2 if _even(steps) else int((climb(steps, x.upper) - climb(steps, x.lower)).max(initial=0))
        case Table(_, _, values):
            count = min(int((x.upper - x.lower).max(initial=0)), values.shape[1])
        case Wrap():
            count = 2
        case _:
            assert_never(node)
    return COPIES * 8 * (2 * min(count, most) + 2) * x.lower.size


def _even(steps: Rescale | Steps) -> bool:
    """Return whether steps are evenly spaced, so that the first and the last are enough."""
    return isinstance(steps, Rescale) and steps.rounding in EVEN and bool(np.all(steps.numerator == 1))


def _staircase(steps: Rescale | Steps, lower: IntArray, upper: IntArray, most: int) -> Points:
    first, last = climb(steps, lower), climb(steps, upper)
    count = int((last - first).max(initial=0))
    even = _even(steps)
    if even or most == 1:
        codes = np.stack([np.minimum(first + 1, last), last])
    elif count <= most:
        codes = np.minimum(first + np.arange(1, max(1, count) + 1).reshape(-1, *[1] * first.ndim), last)
    else:
        share = np.arange(most).reshape(-1, *[1] * first.ndim)
        rest = widen(np.maximum(0, last - first - 1), count * most)
        codes = np.minimum(first + 1 + rest * share // (most - 1), last)
    start = _reach(steps, codes)
    listed = np.concatenate([lower[None], upper[None], start - 1, start])
    arguments = np.clip(listed, lower, upper)
    return Points(arguments, climb(steps, arguments), even or count <= most)


def _reach(steps: Rescale | Steps, codes: IntArray) -> IntArray:
    """Return the least arguments of codes of shape (..., size)."""
    flat = np.moveaxis(codes, -1, 0).reshape(codes.shape[-1], -1)
    return np.moveaxis(reach(steps, flat).reshape(codes.shape[-1], *codes.shape[:-1]), 0, -1)


def _table(first: IntArray, values: IntArray, lower: IntArray, upper: IntArray, most: int) -> Points:
    """Intervals may be wider than the table, which covers what the argument can really be."""
    last = first + values.shape[1] - 1
    lower, upper = np.clip(lower, first, last), np.clip(upper, first, last)
    count = int((upper - lower).max(initial=0))
    if count <= most:
        arguments = np.minimum(lower + np.arange(count + 1).reshape(-1, *[1] * lower.ndim), upper)
    else:
        share = np.arange(most + 1).reshape(-1, *[1] * lower.ndim)
        arguments = lower + (upper - lower) * share // most
    arguments = np.concatenate([lower[None], upper[None], arguments])
    return Points(arguments, values[np.arange(first.size), (arguments - first).astype(np.int64)], count <= most)


def _wrap(width: IntArray, signed: bool, lower: IntArray, upper: IntArray, most: int) -> Points:
    """Turns are evenly spaced, so the first and the last are enough."""
    del most
    wide = 2 * max(magnitude(lower), magnitude(upper)) + (4 << int(width.max(initial=1)))
    bits = width.astype(object) if wide >= 2**62 else width
    low, high = widen(lower, wide), widen(upper, wide)
    modulus = np.left_shift(np.ones_like(bits), bits)
    least = -(modulus // 2) if signed else np.zeros_like(modulus)
    turns = np.stack([((low - least) // modulus + 1) * modulus + least, (high - least) // modulus * modulus + least])
    listed = np.concatenate([low[None], high[None], turns - 1, turns])
    arguments = np.clip(listed, low, high)
    return Points(shrink(arguments), shrink(wrap(arguments, bits, signed)), True)
