"""Whole numbers in numpy arrays: int64 where their magnitude proves that nothing overflows, Python integers (dtype object) elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from math import gcd
from typing import Any

import numpy as np
import numpy.typing as npt

Whole = npt.NDArray[Any]
"""An array of dtype int64 or object (Python integers)."""
FITS = 2**62
"""Magnitude below which int64 holds a number, and the sum of two."""


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """Exact numbers: `whole * unit`, with one unit for all, or one per channel (last axis)."""

    whole: Whole
    units: Sequence[Fraction]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.whole.shape

    def scaled(self, units: Sequence[Fraction]) -> Numbers:
        """Return the same numbers in units that divide these."""
        pairs = list(zip(*(spread(u, max(len(self.units), len(units))) for u in (self.units, units)), strict=True))
        return Numbers(times(self.whole, [whole(old / new) for old, new in pairs]), [new for _, new in pairs])

    def finer(self, *constants: Fraction) -> Numbers:
        """Return the same numbers in units of which these constants are multiples, too."""
        return self.scaled([shared([u, *constants]) for u in self.units])


def whole(value: Fraction) -> int:
    """Return a rational that has to be an integer."""
    assert value.denominator == 1, f"{value} is not whole"
    return value.numerator


def shared(units: Iterable[Fraction]) -> Fraction:
    """Return the largest rational of which all of these are multiples."""
    return reduce(_common, units)


def _common(a: Fraction, b: Fraction) -> Fraction:
    return Fraction(gcd(a.numerator * b.denominator, b.numerator * a.denominator), a.denominator * b.denominator)


def spread(entries: Sequence[Any], channels: int) -> list[Any]:
    """Return one entry per channel."""
    return list(entries) * channels if len(entries) == 1 else list(entries)


def size(array: Whole) -> int:
    """Return the largest magnitude in an array."""
    return max(int(array.max()), -int(array.min())) if array.size else 0


def fitting(array: Whole, bound: int) -> Whole:
    """Return an array in a dtype that holds numbers of this magnitude."""
    return array.astype(np.int64 if bound < FITS else object)


def packed(array: Whole) -> Whole:
    """Return an array in the narrower dtype that holds it."""
    return fitting(array, size(array))


def listed(numbers: Sequence[int]) -> Whole:
    """Return Python integers as an array."""
    return packed(np.array(numbers, dtype=object))


def times(array: Whole, factors: Sequence[int]) -> Whole:
    """Multiply by one factor, or by one per channel."""
    bound = max(size(array), 1) * max(1, *(abs(f) for f in factors))
    return fitting(array, bound) * fitting(np.array(factors, dtype=object), bound)


def plus(array: Whole, other: Whole) -> Whole:
    """Add two arrays, or one number per channel to an array."""
    bound = size(array) + size(other)
    return fitting(array, bound) + fitting(other, bound)


def contracted(windows: Whole, kernel: Whole, axes: int) -> Whole:
    """Sum products over the last `axes` axes of one array and the first of another."""
    terms = int(np.prod(kernel.shape[:axes], dtype=np.int64))
    bound = max(size(windows), 1) * max(size(kernel), 1) * terms
    return packed(np.tensordot(fitting(windows, bound), fitting(kernel, bound), axes=axes))
