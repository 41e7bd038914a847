"""Square roots of rationals: exactly where they are rational, else as the nearest double."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

BITS = 256
"""Bits of a root beyond those of its integer part that are computed before it is rounded to a double."""


def rational_root(square: Fraction) -> Fraction | None:
    """Return the square root of a rational that is not negative, None if it is not rational."""
    root = Fraction(isqrt(square.numerator), isqrt(square.denominator))
    return root if root * root == square else None


def nearest_root(square: Fraction) -> Fraction:
    """Return the double nearest to the square root of a rational that is not negative; raises OverflowError if no double is."""
    bits = BITS + 2 * abs(square.numerator.bit_length() - square.denominator.bit_length())
    return Fraction(float(Fraction(isqrt((square.numerator << (2 * bits)) // square.denominator), 1 << bits)))
