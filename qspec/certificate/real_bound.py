"""Exact steps of a backward bound: through ReLUs, through maps, and the least value at a corner of the box, in whole numbers."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import lcm

import numpy as np

from qspec.arithmetic.integers import IntArray, integers, shrink
from qspec.certificate.whole import WholeMultiples, parts, product
from qspec.errors import CertificateError
from qspec.ir.real import Entries, RealMap
from qspec.ir.real_proof import Floats

GRID = 52
"""Multipliers, and coefficients of what is at least zero, are multiples of 2**-52."""


class ExactBox:
    """The exact box of a part: ends of all inputs in a row."""

    def __init__(self, lower: list[Fraction], upper: list[Fraction]) -> None:
        self.lower, self.upper = lower, upper

    def part(self, place: int, cut: Fraction, above: bool) -> ExactBox:
        """Return the part on one side of a cut."""
        lower, upper = list(self.lower), list(self.upper)
        (lower if above else upper)[place] = cut
        return ExactBox(lower, upper)


def relu(c: WholeMultiples, low: Floats, high: Floats, slopes: Floats, shifts: Floats) -> tuple[WholeMultiples, WholeMultiples]:
    """Return multipliers of what a ReLU reads, and the exact least values of the rest."""
    if (1 << GRID) % c.unit == 0:
        c = c.over(1 << GRID)
    about = c.doubles()
    open_ = (low < 0) & (high > 0)
    chord = np.where(open_, high / np.where(open_, high - low, 1.0), np.where(low >= 0, 1.0, 0.0))
    wanted = np.where(open_ & (about >= 0), slopes, chord) * about + shifts
    if not bool(np.all(np.abs(wanted) < 2.0**60)):
        raise CertificateError("the proof is wrong: multipliers", given=float(np.abs(wanted).max()), expected="below 2**60")
    p = WholeMultiples(integers(np.rint(np.ldexp(wanted, GRID))), 1 << GRID)
    if c.unit == p.unit:  # What is handed on as it is needs no rounding, and leaves no rest.
        p = WholeMultiples(np.where(wanted == about, c.numbers, p.numbers), p.unit)
    none, same = p.numbers == 0, (p.numbers == c.numbers) & (p.unit == c.unit)
    free = open_ & (c.numbers >= 0)
    row, column = np.nonzero(~((none & ((high <= 0) | free)) | (same & ((low >= 0) | free))))  # The rest of the others is zero.
    own, handed = (v.numbers[row, column].astype(object) for v in (c, p))
    ends = [WholeMultiples.of(np.broadcast_to(v, c.numbers.shape)[row, column]) for v in (low, high)]
    unit = lcm(c.unit, p.unit)
    scale_c, scale_p = unit // c.unit, unit // p.unit
    common = lcm(ends[0].unit, ends[1].unit)
    values: list[IntArray] = []
    for end in ends:
        v = end.over(common).numbers
        values.append(own * np.maximum(v, 0) * scale_c - handed * v * scale_p)
    least = np.where(values[0] <= values[1], values[0], values[1])
    least = np.where(np.broadcast_to(open_, c.numbers.shape)[row, column] & (least > 0), 0, least)
    rest = np.zeros(len(c.numbers), dtype=object)
    np.add.at(rest, row, least)
    return p, WholeMultiples(rest, unit * common)


def corner(c: WholeMultiples, boxes: Sequence[ExactBox], place: slice) -> WholeMultiples:
    """Return the least values of linear functions, each on its box; one box is that of all."""
    own = boxes[:1] if all(box is boxes[0] for box in boxes) else boxes
    lower, upper = (WholeMultiples.of(np.array([getattr(box, end)[place] for box in own], dtype=object)) for end in ("lower", "upper"))
    unit = lcm(lower.unit, upper.unit)
    ends = np.where(c.numbers > 0, lower.over(unit).numbers, upper.over(unit).numbers)
    return WholeMultiples((c.numbers * ends).sum(axis=1), c.unit * unit)


def prepared(m: RealMap) -> tuple[list[Floats] | Entries, WholeMultiples]:
    """Return a map in short parts, or its entries, with its numbers."""
    if isinstance(m, Entries):
        return m, WholeMultiples.of(m.coefficients)
    whole = WholeMultiples.of(m.matrix)
    return parts(whole.numbers), whole


def through(c: WholeMultiples, m: list[Floats] | Entries, whole: WholeMultiples, *, down: bool) -> WholeMultiples:
    """Return the coefficients of what a map reads, rounded down to the grid if so asked: where what is read is at least zero."""
    unit = c.unit * whole.unit
    drop = max(0, unit.bit_length() - 1 - GRID) if down and unit & (unit - 1) == 0 else 0
    if not isinstance(m, Entries):
        return WholeMultiples(product(c.numbers, m, drop), unit >> drop)
    found = np.zeros((m.inputs, len(c.numbers)), dtype=object)
    np.add.at(found, m.columns, (c.numbers[:, m.rows] * whole.numbers).T)
    return WholeMultiples(shrink(found.T >> drop), unit >> drop)


def interval(
    m: list[Floats] | Entries, whole: WholeMultiples, lower: WholeMultiples, upper: WholeMultiples
) -> tuple[WholeMultiples, WholeMultiples]:
    """Return between what a map lies where its argument is in an interval."""
    unit = lcm(lower.unit, upper.unit)
    low, high = lower.over(unit).numbers, upper.over(unit).numbers
    rising, falling = np.maximum(whole.numbers, 0), np.minimum(whole.numbers, 0)
    if isinstance(m, Entries):
        least, most = np.zeros(m.outputs, dtype=object), np.zeros(m.outputs, dtype=object)
        np.add.at(least, m.rows, rising * low[m.columns] + falling * high[m.columns])
        np.add.at(most, m.rows, rising * high[m.columns] + falling * low[m.columns])
    else:
        least, most = rising @ low + falling @ high, rising @ high + falling @ low
    return WholeMultiples(least, unit * whole.unit), WholeMultiples(most, unit * whole.unit)


def hold(held: dict[int, WholeMultiples], a: int, c: WholeMultiples) -> None:
    """Add coefficients to those that a node has."""
    held[a] = held[a].plus(c) if a in held else c
