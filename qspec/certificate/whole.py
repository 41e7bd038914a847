"""Whole numbers over one denominator, and exact products of their matrices at the speed of doubles.

A product of matrices of whole numbers is a sum of products of short parts, each of which fits into doubles without rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import lcm

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.integers import SAFE, IntArray, magnitude, shrink, widen
from qspec.ir.real import ExactArray, whole

Floats = npt.NDArray[np.float64]
PART, TERMS = 20, 1 << 12
"""Bits of the parts of whole numbers, and so many products of two parts are added without rounding in doubles."""


@dataclass(frozen=True, slots=True, eq=False)
class WholeMultiples:
    """Numbers `numbers / unit`."""

    numbers: IntArray
    unit: int

    @classmethod
    def of(cls, array: ExactArray) -> WholeMultiples:
        """Return exact numbers over one denominator."""
        return cls(*whole(array))

    def over(self, unit: int) -> WholeMultiples:
        """Return the same numbers over a multiple of the denominator."""
        factor = unit // self.unit
        if factor == 1:
            return self
        bound = 0 if self.numbers.dtype == object else max(1, magnitude(self.numbers)) * factor
        return WholeMultiples(widen(self.numbers, bound) * factor, unit)

    def plus(self, other: WholeMultiples) -> WholeMultiples:
        """Return the sum, elementwise."""
        unit = lcm(self.unit, other.unit)
        found: IntArray = self.over(unit).numbers + other.over(unit).numbers
        return WholeMultiples(found if found.dtype == object else shrink(found), unit)

    def doubles(self) -> Floats:
        """Return about the same numbers."""
        bits = max(0, self.unit.bit_length() - 64)
        return (self.numbers >> bits).astype(np.float64) / float(self.unit >> bits)


def parts(numbers: IntArray) -> list[Floats]:
    """Return doubles whose sum, each times a power of 2**20, is the numbers; all are in [0, 2**20) but the last, which is above -2**20."""
    found: list[Floats] = []
    left = numbers
    while True:
        if not left.size or (int(left.max()) < 1 << PART and int(left.min()) >= -(1 << PART)):
            return [*found, left.astype(np.float64)]
        found.append((left & ((1 << PART) - 1)).astype(np.float64))
        left = left >> PART


def product(left: IntArray, right: Sequence[Floats], drop: int = 0) -> IntArray:
    """Return the product of a matrix of whole numbers with one that is given in parts, exactly, or over 2**drop and rounded down."""
    terms = left.shape[1]
    if terms > TERMS:
        pieces = [slice(start, start + TERMS) for start in range(0, terms, TERMS)]
        total: IntArray = np.zeros((len(left), right[0].shape[1]), dtype=object)
        for piece in pieces:
            total = total + product(left[:, piece], [b[piece] for b in right])
        return shrink(total >> drop)
    own = parts(left)
    # A sum of TERMS products of two parts is at most 2**52, and so many of these are added.
    dtype = np.int64 if min(len(own), len(right)) << 52 < SAFE else object
    sums: list[IntArray] = [np.zeros((len(left), right[0].shape[1]), dtype=dtype) for _ in range(len(own) + len(right) - 1)]
    for i, a in enumerate(own):
        for j, b in enumerate(right):
            sums[i + j] += (a @ b).astype(np.int64)
    return _together(sums, drop)


def _together(sums: list[IntArray], drop: int) -> IntArray:
    """Return the sum of numbers, each times a power of 2**20, over 2**drop and rounded down."""
    while drop >= PART:
        carried = sums[0] >> PART
        sums = [sums[1] + carried, *sums[2:]] if len(sums) > 1 else [carried]
        drop -= PART
    total = sums[-1]
    for lower in reversed(sums[:-1]):
        total = (widen(total, (magnitude(total) << PART) + magnitude(lower)) << PART) + lower
    return shrink(total >> drop)
