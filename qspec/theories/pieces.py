"""Elementwise functions as pieces: every staircase and table is constants and even floors, each from some argument on.

Rounding is decomposed here, for all theories, into `floor((numerator * a + offset) / denominator)` by the identities in `_basic`; a
saturated end is a constant piece. An even piece whose denominator is not a power of two, or whose multiplier is large (a float scale), is
replaced by the smallest multiply-and-shift that has the same steps on the range of the argument.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd
from typing import Literal, assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray, magnitude, shrink
from qspec.arithmetic.rounding import Rounding
from qspec.ir.staircase import Rescale, Steps

FEW = 4
"""Up to this many codes a piece is written as comparisons."""

MANY = 1024
"""Above this many codes the steps of a piece are not listed to look for a smaller multiplier."""


@dataclass(frozen=True, slots=True)
class FloorDivision:
    """`floor((numerator * a + offset) / denominator)`; numerator and denominator are positive."""

    numerator: int
    offset: int
    denominator: int

    def __call__(self, a: int) -> int:
        return (self.numerator * a + self.offset) // self.denominator

    def first(self, code: int) -> int:
        """Return the least argument that reaches a code."""
        return -((self.offset - code * self.denominator) // self.numerator)


@dataclass(frozen=True, slots=True)
class Piece:
    """From `start` on the function is `constant + sum of floors`."""

    start: int
    constant: int
    floors: tuple[FloorDivision, ...] = ()

    def __call__(self, a: int) -> int:
        return self.constant + sum(f(a) for f in self.floors)

    @property
    def is_shifted_identity(self) -> bool:
        return len(self.floors) == 1 and self.floors[0].numerator == self.floors[0].denominator == 1


_Basic = Literal["floor", "ceiling", "half up", "half down"]

_SIGNED: dict[Rounding, tuple[_Basic, _Basic]] = {
    Rounding.TRN: ("floor", "floor"),
    Rounding.TRN_ZERO: ("ceiling", "floor"),
    Rounding.RND: ("half up", "half up"),
    Rounding.RND_ZERO: ("half up", "half down"),
    Rounding.RND_INF: ("half down", "half up"),
    Rounding.RND_MIN_INF: ("half down", "half down"),
}
"""What a rounding does below and from zero; RND_CONV is half up to even codes and half down to odd ones."""


def _basic(kind: _Basic, n: int, o: int, d: int) -> FloorDivision:
    match kind:
        case "floor":
            floor = n, o, d
        case "ceiling":
            floor = n, o + d - 1, d
        case "half up":
            floor = 2 * n, 2 * o + d, 2 * d
        case "half down":
            floor = 2 * n, 2 * o + d - 1, 2 * d
        case _:
            assert_never(kind)
    return _reduced(*floor)


def _reduced(n: int, o: int, d: int) -> FloorDivision:
    common = gcd(n, d)
    return FloorDivision(n // common, o // common, d // common)


@dataclass(frozen=True, slots=True)
class _Element:
    """One element of a Rescale without its saturation."""

    numerator: int
    offset: int
    denominator: int
    rounding: Rounding

    def floor(self, code: int) -> FloorDivision:
        """Return the floor whose step to `code` is that of this element."""
        if self.rounding is Rounding.RND_CONV:
            kind: _Basic = "half down" if code % 2 else "half up"
        else:
            kind = _SIGNED[self.rounding][code > 0]
        return _basic(kind, self.numerator, self.offset, self.denominator)

    def first(self, code: int) -> int:
        """Return the least argument that reaches a code."""
        return self.floor(code).first(code)

    def code(self, a: int) -> int:
        """Return the code of an argument."""
        guess = (self.numerator * a + self.offset) // self.denominator
        return guess + (self.first(guess + 1) <= a)


def staircase(stairs: Rescale | Steps, k: int, low: int, high: int) -> list[Piece]:
    """Return element `k` of a staircase on arguments from `low` to `high` as pieces, the first at `low`."""
    match stairs:
        case Rescale():
            return _rescale(stairs, k, low, high)
        case Steps():
            return _steps(stairs, k, low, high)
        case _:
            assert_never(stairs)


def _rescale(steps: Rescale, k: int, low: int, high: int) -> list[Piece]:
    n, o, d = int(steps.numerator[k]), int(steps.offset[k]), int(steps.denominator[k])
    element = _Element(n, o, d, steps.rounding)
    end = high + 1
    head: list[Piece] = []
    tail: list[Piece] = []
    if steps.upper is not None and (start := element.first(int(steps.upper[k]))) < end:
        end = max(start, low)
        tail = [Piece(end, int(steps.upper[k]))]
    if steps.lower is not None and (start := element.first(int(steps.lower[k]) + 1)) > low:
        head = [Piece(low, int(steps.lower[k]))]
        low = min(start, high + 1)
    middle = _even(element, low, end - 1) if low < end else []
    return [p for p in (*head, *middle, *tail) if p.start <= high]


def _even(element: _Element, low: int, high: int) -> list[Piece]:
    """Return pieces of an element that does not saturate between `low` and `high`."""
    first, last = element.code(low), element.code(high)
    if last - first < FEW:
        return [Piece(max(low, element.first(c)) if c > first else low, c) for c in range(first, last + 1)]
    below, above = element.floor(0), element.floor(1)
    if below == above and _is_shift(above):
        return [Piece(low, 0, (above,))]
    if last - first <= MANY:
        codes = range(first + 1, last + 1)
        found = fit(
            [element.first(c) for c in codes], first, low, high, FloorDivision(element.numerator, element.offset, element.denominator)
        )
        if found is not None:
            return [Piece(low, 0, (found,))]
    if element.rounding is Rounding.RND_CONV:
        return [Piece(low, 0, tuple(shift(f, low, high) for f in _convergent(element)))]
    zero = -(element.offset // element.numerator)
    if below == above or zero <= low or zero > high:
        return [Piece(low, 0, (shift(below if zero > high else above, low, high),))]
    return [Piece(low, 0, (shift(below, low, zero - 1),)), Piece(zero, 0, (shift(above, zero, high),))]


def _convergent(element: _Element) -> tuple[FloorDivision, FloorDivision]:
    """Round half to even as the number of even codes reached plus the number of odd ones.

    With x = N / d, an even code 2i is reached when 2i <= x + 1/2 and an odd one 2i + 1 when 2i + 1 < x + 1/2, so the rounding is
    floor((x + 1/2) / 2) + ceiling((x - 1/2) / 2).
    """
    n, o, d = element.numerator, element.offset, element.denominator
    return _reduced(2 * n, 2 * o + d, 4 * d), _reduced(2 * n, 2 * o + 3 * d - 1, 4 * d)


def _is_shift(floor: FloorDivision) -> bool:
    return floor.numerator == 1 and floor.denominator.bit_count() == 1


def shift(floor: FloorDivision, low: int, high: int) -> FloorDivision:
    """Return a floor with a power of two as denominator that equals `floor` from `low` to `high`.

    With V = numerator * a + offset - base in 0..top and m = ceiling(2**s / d), floor(V * m / 2**s) = floor(V / d) if
    top * (m * d - 2**s) < 2**s. Source: Granlund and Montgomery, Division by invariant integers using multiplication, 1994.
    """
    if floor.denominator.bit_count() == 1:
        return floor
    first, last = floor(low), floor(high)
    if last - first <= MANY:
        found = fit([floor.first(c) for c in range(first + 1, last + 1)], first, low, high, floor)
        if found is not None:
            return found
    d = floor.denominator
    base = first * d
    top = floor.numerator * high + floor.offset - base
    s = d.bit_length()
    while top * ((m := -(-(1 << s) // d)) * d - (1 << s)) >= 1 << s:
        s += 1
    return FloorDivision(floor.numerator * m, (floor.offset - base) * m + (first << s), 1 << s)


def fit(starts: Sequence[int], first: int, low: int, high: int, slope: FloorDivision) -> FloorDivision | None:
    """Return the floor with the smallest power of two as denominator whose steps on `low..high` are exactly these, or None.

    `starts[j]` is the least argument of code `first + 1 + j`. A multiplier m near `slope` fits if some offset c satisfies
    `m * t + c >= 2**s * code` at each start t of a code, and `m * t + c < 2**s * (code + 1)` at the last argument t of each.
    """
    least = shrink(np.array([low, *starts], dtype=object))
    greatest = shrink(np.array([*(t - 1 for t in starts), high], dtype=object))
    codes = shrink(np.arange(least.size).astype(object) + first)
    limit = 2 * (high - low + 1).bit_length() + 2
    wide = max(magnitude(least), magnitude(greatest), abs(first) + least.size)
    if wide.bit_length() + limit + (slope.numerator // slope.denominator + 1).bit_length() >= 60:
        least, greatest, codes = least.astype(object), greatest.astype(object), codes.astype(object)
    for s in range(limit + 1):
        for m in {(slope.numerator << s) // slope.denominator, -(-(slope.numerator << s) // slope.denominator)}:
            c_low = int(((codes << s) - m * least).max())
            c_high = int((((codes + 1) << s) - m * greatest).min()) - 1
            if m > 0 and c_low <= c_high:
                return FloorDivision(m, _roundest(c_low, c_high), 1 << s)
    return None


def _roundest(low: int, high: int) -> int:
    """Return the integer from `low` to `high` with most trailing zero bits."""
    if low <= 0 <= high:
        return 0
    kept = (high ^ (low - 1)).bit_length() - 1
    return high >> kept << kept


def _steps(stairs: Steps, k: int, low: int, high: int) -> list[Piece]:
    thresholds: list[int] = stairs.thresholds[k].tolist()
    below, reached = bisect_right(thresholds, low), bisect_right(thresholds, high)
    base = int(stairs.base[k]) + below
    starts = [low, *thresholds[below:reached]]
    return [Piece(s, base + j) for j, s in enumerate(starts) if j + 1 == len(starts) or starts[j + 1] > s]


def table(first: int, values: IntArray, low: int, high: int) -> list[Piece]:
    """Return a row of a table on arguments from `low` to `high` as constant pieces, one for each run of equal values."""
    low, high = max(low, first), min(high, first + values.size - 1)
    row = values[low - first : high - first + 1]
    starts = np.concatenate([[0], 1 + np.flatnonzero(row[1:] != row[:-1])])
    return [Piece(low + int(s), int(row[s])) for s in starts]
