"""Exact steps of a backward bound: through ReLUs, through maps, and the least value at a corner of the box, in whole numbers."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import lcm

import numpy as np

from qspec.certificate.whole import Ints, WholeMultiples, parts, product
from qspec.errors import CertificateError
from qspec.ir.real import Entries, RealMap
from qspec.ir.real_proof import Floats

GRID = 52
"""Multipliers are multiples of 2**-52."""


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
    about = c.doubles()
    open_ = (low < 0) & (high > 0)
    chord = np.where(open_, high / np.where(open_, high - low, 1.0), np.where(low >= 0, 1.0, 0.0))
    wanted = np.where(open_ & (about >= 0), slopes, chord) * about + shifts
    if not bool(np.all(np.abs(wanted) < 2.0**60)):
        raise CertificateError("the proof is wrong: multipliers", given=float(np.abs(wanted).max()), expected="below 2**60")
    numbers = np.empty(wanted.size, dtype=object)
    numbers[:] = [int(v) for v in np.rint(np.ldexp(wanted, GRID)).reshape(-1).tolist()]
    p = WholeMultiples(numbers.reshape(wanted.shape), 1 << GRID)
    ends = [WholeMultiples.of(v) for v in (low, high)]
    unit = lcm(c.unit, p.unit)
    scale_c, scale_p = unit // c.unit, unit // p.unit
    common = lcm(ends[0].unit, ends[1].unit)
    values: list[Ints] = []
    for end in ends:
        v = np.broadcast_to(end.numbers * (common // end.unit), c.numbers.shape)
        values.append(c.numbers * np.maximum(v, 0) * scale_c - p.numbers * v * scale_p)
    least = np.where(values[0] <= values[1], values[0], values[1])
    least = np.where(np.broadcast_to(open_, least.shape) & (least > 0), 0, least)
    return p, WholeMultiples(least.sum(axis=1) if least.shape[1] else np.zeros(len(least), dtype=object), unit * common)


def corner(c: WholeMultiples, boxes: Sequence[ExactBox], place: slice) -> WholeMultiples:
    """Return the least values of linear functions on boxes."""
    found: list[Fraction] = []
    known: dict[int, tuple[WholeMultiples, WholeMultiples]] = {}
    for row in range(len(c.numbers)):
        box = boxes[row if len(boxes) > 1 else 0]
        if id(box) not in known:
            ends = (np.array(v[place], dtype=object) for v in (box.lower, box.upper))
            lower, upper = (WholeMultiples.of(v) for v in ends)
            known[id(box)] = lower, upper
        lower, upper = known[id(box)]
        own = c.numbers[row]
        rising = np.array(own > 0, dtype=np.bool_)
        ends = (np.dot(own[rising], lower.numbers[rising]), np.dot(own[~rising], upper.numbers[~rising]))
        found.append(Fraction(int(ends[0]), c.unit * lower.unit) + Fraction(int(ends[1]), c.unit * upper.unit))
    return WholeMultiples.of(np.array(found, dtype=object))


def prepared(m: RealMap) -> tuple[list[Floats] | Entries, WholeMultiples]:
    """Return a map in short parts, or its entries, with its numbers."""
    if isinstance(m, Entries):
        return m, WholeMultiples.of(m.coefficients)
    whole = WholeMultiples.of(m.matrix)
    return parts(whole.numbers), whole


def through(c: WholeMultiples, m: list[Floats] | Entries, whole: WholeMultiples) -> WholeMultiples:
    """Return the coefficients of what a map reads."""
    if not isinstance(m, Entries):
        return WholeMultiples(product(c.numbers, m), c.unit * whole.unit)
    found = np.zeros((m.inputs, len(c.numbers)), dtype=object)
    np.add.at(found, m.columns, (c.numbers[:, m.rows] * whole.numbers).T)
    return WholeMultiples(found.T, c.unit * whole.unit)


def interval(
    m: list[Floats] | Entries, whole: WholeMultiples, lower: WholeMultiples, upper: WholeMultiples
) -> tuple[WholeMultiples, WholeMultiples]:
    """Return between what a map lies where its argument is in an interval."""
    unit = lcm(lower.unit, upper.unit)
    low, high = lower.numbers * (unit // lower.unit), upper.numbers * (unit // upper.unit)
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
