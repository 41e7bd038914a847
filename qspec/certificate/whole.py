"""Whole numbers over one denominator, and exact products of their matrices at the speed of doubles.

A product of matrices of whole numbers is a sum of products of short parts, each of which fits into doubles without rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import lcm
from typing import Any

import numpy as np
import numpy.typing as npt

from qspec.ir.real import ExactArray, whole

Ints = npt.NDArray[Any]
"""Whole numbers (dtype object)."""
Floats = npt.NDArray[np.float64]
PART, TERMS = 20, 1 << 12
"""Bits of the parts of whole numbers, and so many products of two parts are added without rounding in doubles."""


@dataclass(frozen=True, slots=True, eq=False)
class WholeMultiples:
    """Numbers `numbers / unit`."""

    numbers: Ints
    unit: int

    @classmethod
    def of(cls, array: ExactArray) -> WholeMultiples:
        """Return exact numbers over one denominator."""
        return cls(*whole(array))

    def plus(self, other: WholeMultiples) -> WholeMultiples:
        """Return the sum, elementwise."""
        unit = lcm(self.unit, other.unit)
        return WholeMultiples(self.numbers * (unit // self.unit) + other.numbers * (unit // other.unit), unit)

    def doubles(self) -> Floats:
        """Return about the same numbers."""
        bits = max(0, self.unit.bit_length() - 64)
        return (self.numbers >> bits).astype(np.float64) / float(self.unit >> bits)


def parts(numbers: Ints) -> list[Floats]:
    """Return doubles whose sum, each times a power of 2**20, is the numbers; all are in [0, 2**20) but the last, which is above -2**20."""
    found: list[Floats] = []
    left = numbers
    while True:
        if not left.size or (int(left.max()) < 1 << PART and int(left.min()) >= -(1 << PART)):
            return [*found, left.astype(np.float64)]
        found.append((left & ((1 << PART) - 1)).astype(np.float64))
        left = left >> PART


def product(left: Ints, right: Sequence[Floats]) -> Ints:
    """Return the product of a matrix of whole numbers with one that is given in parts, exactly."""
    total: Ints = np.zeros((left.shape[0], right[0].shape[1]), dtype=object)
    for start in range(0, left.shape[1], TERMS):
        columns = slice(start, start + TERMS)
        for i, a in enumerate(parts(left[:, columns])):
            for j, b in enumerate(right):
                total = total + ((a @ b[columns]).astype(np.int64).astype(object) << (PART * (i + j)))
    return total
