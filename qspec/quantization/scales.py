"""Scales from magnitudes: the units with which codes of some width hold the greatest magnitudes of a tensor, or of each of its channels.

"fixed" scales are powers of two: the fewest integer bits with which the greatest magnitude is still inside. "affine" scales put that
magnitude at the last code; they are rounded up to numbers of `DIGITS` binary digits, so that the integers of a network stay small.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

from qspec.arithmetic.formats import Affine, Fixed, Format, PerChannel
from qspec.arithmetic.rounding import Overflow, Rounding

Scales = Literal["fixed", "affine"]
DIGITS = 8


def exponent(peak: Fraction) -> int:
    """Return the least e with peak <= 2^e; 0 for 0."""
    if peak == 0:
        return 0
    e = peak.numerator.bit_length() - peak.denominator.bit_length()
    return e if peak <= power(e) else e + 1


def power(e: int) -> Fraction:
    """Return 2^e."""
    return Fraction(1 << e) if e >= 0 else Fraction(1, 1 << -e)


def unit(peak: Fraction, bits: int, *, signed: bool, scales: Scales) -> Fraction:
    """Return the unit with which codes of so many bits hold a magnitude."""
    if scales == "fixed":
        return power(exponent(peak) - bits + signed)
    exact = (peak or Fraction(1)) / ((1 << (bits - signed)) - 1)
    digit = power(exponent(exact) - DIGITS)
    return -(-exact // digit) * digit


def wide_unit(peak: Fraction, least: Fraction, width: int) -> Fraction:
    """Return the least of `least`, twice that, four times that, … with which signed codes of `width` bits hold a magnitude."""
    return least * power(max(0, exponent(peak / least) - (width - 1)))


def with_units(units: Sequence[Fraction], width: int, signed: bool, rounding: Rounding, overflow: Overflow) -> Format:
    """Return the format of codes with these units: one for all, or one for each channel."""
    alike = len(set(units)) == 1
    if all(_binary(u) for u in units):
        formats = tuple(Fixed(width, _frac(u), signed, rounding, overflow) for u in (units[:1] if alike else units))
        return formats[0] if alike else PerChannel(formats)
    return Affine(width, signed, units[0] if alike else tuple(units), 0, rounding, overflow)


def _binary(u: Fraction) -> bool:
    """Return whether a positive number is a power of two."""
    return u.numerator & (u.numerator - 1) == 0 and u.denominator & (u.denominator - 1) == 0


def _frac(u: Fraction) -> int:
    return u.denominator.bit_length() - u.numerator.bit_length()
