"""Arrays of exact integers: int64 where they provably fit, Python integers (dtype object) where they do not."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from fractions import Fraction
from numbers import Integral, Rational, Real
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from qspec.errors import FormatError

IntArray = npt.NDArray[Any]
"""An array of dtype int64 or object (Python integers); nothing else."""

SAFE = 2**62
"""Magnitude below which int64 is used: one bit is left for a sum of two such numbers."""


def integers(values: object) -> IntArray:
    """Return `values` as an array of exact integers.

    Accepts nested sequences or arrays of integers, and of floats and Fractions that are whole; raises FormatError for anything else.
    """
    array = exact_array(values)
    kind = array.dtype.kind
    if array.dtype == np.int64:
        return array if _fits(array) else array.astype(object)
    if kind in "bi" or (kind == "u" and array.dtype.itemsize < 8):
        return array.astype(np.int64)
    if kind == "u":
        return shrink(array.astype(object))
    if kind == "f" and np.all(np.abs(array) < np.float64(SAFE)) and np.all(array == np.floor(array)):
        return array.astype(np.int64)
    if kind == "O" and set(map(type, array.flat)) == {int}:
        return shrink(array)
    if kind in "fO":
        return shrink(np.array([_whole(v) for v in array.flat], dtype=object).reshape(array.shape))
    raise FormatError("integers expected", given=array.dtype, expected="an array of whole numbers")


def integer_row(values: object) -> tuple[int, ...]:
    """Return a list of integers as a tuple; raises FormatError on anything that has not one axis of whole numbers."""
    found = integers(values)
    if found.ndim != 1:
        raise FormatError("integers in one row expected", given=f"shape {found.shape}", expected="one axis of whole numbers")
    return tuple(int(v) for v in found)


def exact_array(values: object) -> npt.NDArray[Any]:
    """Return numbers as an array that holds each as it was given; raises FormatError on rows of different lengths.

    Of a list that mixes kinds numpy makes doubles or texts, which would round large integers or read doubles as decimals.
    """
    try:
        array: npt.NDArray[Any] = np.asarray(values)
        return np.asarray(values, dtype=object) if array.dtype.kind in "fcU" and isinstance(values, list | tuple) else array
    except ValueError:
        raise FormatError("not an array", given=repr(cast(object, values)), expected="a rectangular array: rows of equal length") from None


def _whole(value: object) -> int:
    if isinstance(value, Rational) and value.denominator == 1:
        return int(value.numerator)
    if isinstance(value, Real) and not isinstance(value, Rational) and math.isfinite(value):
        whole = int(float(value))
        if value - whole == 0:
            return whole
    raise FormatError(
        "integers expected", given=repr(value), expected="whole finite numbers", advice="round the array first, or use qs.quantize"
    )


def _fits(array: IntArray) -> bool:
    return array.size == 0 or (int(array.max()) < SAFE and int(array.min()) > -SAFE)


def shrink(array: IntArray) -> IntArray:
    """Return the same integers as int64 if their magnitude is below `SAFE`, else as Python integers."""
    if array.dtype == object:
        return array.astype(np.int64) if _fits(array) else array
    return array if _fits(array) else array.astype(object)


def magnitude(array: IntArray) -> int:
    """Return the largest absolute value in `array` (0 if empty)."""
    # Reductions are called as such: the methods of an array take half as long again, and proofs ask this a million times.
    return 0 if array.size == 0 else max(abs(int(np.maximum.reduce(array, axis=None))), abs(int(np.minimum.reduce(array, axis=None))))


def within(array: IntArray, bound: int) -> IntArray:
    """Return the same integers as `shrink` would, if they are known not to exceed `bound` in magnitude."""
    return array if bound < SAFE and array.dtype != object else shrink(array)


def widen(array: IntArray, bound: int) -> IntArray:
    """Return `array` in a dtype in which integers of magnitude `bound` are exact."""
    return array if bound < SAFE or array.dtype == object else array.astype(object)


def rational(value: object) -> Fraction:
    """Return `value` as an exact rational: integers, Fractions, decimal strings ("0.05", "1/3") and finite floats (their exact double)."""
    try:
        if isinstance(value, bool):
            raise TypeError
        if isinstance(value, str) and re.search(r"[eE][-+]?[0-9]{4}", value.replace("_", "")):
            raise ValueError  # a power of ten with more digits than anything exact needs
        if isinstance(value, int | str | float | Fraction):
            return Fraction(value)
        if isinstance(value, Integral):
            return Fraction(int(value))
        if isinstance(value, Real) and float(value) == value:
            return Fraction(float(value))
        raise TypeError
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        raise FormatError(
            "a number is expected", given=repr(value), expected="an integer, a Fraction, a decimal string, or a finite float"
        ) from None


def common_unit(units: Iterable[Fraction]) -> Fraction:
    """Return the largest positive rational of which every given unit is an integer multiple (1 if there is none but zeros)."""
    return in_common_unit(units)[1]


def in_common_unit(values: Iterable[Fraction]) -> tuple[list[int], Fraction]:
    """Return rationals as whole multiples of the largest unit that they share, and that unit (1 if all are zero)."""
    given = list(values)
    denominator = math.lcm(*(v.denominator for v in given))
    whole = [v.numerator * (denominator // v.denominator) for v in given]
    unit = math.gcd(*whole)
    return ([w // unit for w in whole], Fraction(unit, denominator)) if unit else (whole, Fraction(1))


def rationals(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return every element of an array as `rational` does, in an array of objects."""
    given = array.reshape(-1).tolist()
    if array.dtype == object:
        exact = [rational(v) for v in given]
    else:  # an image has few different pixels
        known = {v: rational(v) for v in dict.fromkeys(given)}
        exact = [known[v] for v in given]
    return np.array(exact, dtype=object).reshape(array.shape)
