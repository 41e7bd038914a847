"""The one place that rounds and the one place that overflows.

Names and meanings are those of `ap_fixed` (AMD UG1399, "Quantization Modes" and "Overflow Modes"). Everything here is exact integer
arithmetic on numpy arrays of int64 or Python integers (dtype object); see `integers.py` for how the two are chosen.
"""

from __future__ import annotations

from enum import Enum
from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray


class Rounding(Enum):
    """How a value between two codes becomes a code."""

    TRN = "TRN"
    """Towards minus infinity (drop the bits; floor)."""
    TRN_ZERO = "TRN_ZERO"
    """Towards zero."""
    RND = "RND"
    """To nearest, ties towards plus infinity (round half up)."""
    RND_ZERO = "RND_ZERO"
    """To nearest, ties towards zero."""
    RND_INF = "RND_INF"
    """To nearest, ties away from zero."""
    RND_MIN_INF = "RND_MIN_INF"
    """To nearest, ties towards minus infinity."""
    RND_CONV = "RND_CONV"
    """To nearest, ties to the even code (convergent; IEEE 754, ONNX, TensorFlow Lite)."""


class Overflow(Enum):
    """What becomes of a code outside the range of its format."""

    WRAP = "WRAP"
    """Keep the low bits (two's complement)."""
    SAT = "SAT"
    """The nearest end of the range."""
    SAT_ZERO = "SAT_ZERO"
    """Zero."""
    SAT_SYM = "SAT_SYM"
    """The nearest end of the symmetric range; the lowest signed code is never produced."""


def round_ratio(numerator: IntArray, denominator: IntArray, rounding: Rounding) -> IntArray:
    """Round `numerator / denominator` to integers, elementwise and exactly.

    `denominator` must be positive. The caller guarantees that `2 * numerator + denominator` fits the dtype.
    """
    match rounding:
        case Rounding.TRN:
            return _floor(numerator, denominator)
        case Rounding.TRN_ZERO:
            return np.where(numerator >= 0, _floor(numerator, denominator), -_floor(-numerator, denominator))
        case Rounding.RND:
            return _floor(2 * numerator + denominator, 2 * denominator)
        case Rounding.RND_MIN_INF:
            return -_floor(denominator - 2 * numerator, 2 * denominator)
        case Rounding.RND_ZERO:
            up, down = _half_up_and_down(numerator, denominator)
            return np.where(numerator >= 0, down, up)
        case Rounding.RND_INF:
            if not np.any(denominator & 1):  # a half is whole, and one unit less of it turns ties downwards
                return _floor(numerator + (denominator >> 1) - (numerator < 0), denominator)
            up, down = _half_up_and_down(numerator, denominator)
            return np.where(numerator >= 0, up, down)
        case Rounding.RND_CONV:
            up, down = _half_up_and_down(numerator, denominator)
            return np.where(up % 2 == 0, up, down)
        case _:
            assert_never(rounding)


def _floor(numerator: IntArray, denominator: IntArray) -> IntArray:
    """Return `numerator // denominator`: a shift where all denominators are powers of two."""
    if numerator.dtype != np.int64 or denominator.dtype != np.int64 or np.any(denominator & (denominator - 1)):
        return numerator // denominator
    return numerator >> np.frexp(denominator.astype(np.float64))[1] - 1


def _half_up_and_down(numerator: IntArray, denominator: IntArray) -> tuple[IntArray, IntArray]:
    return round_ratio(numerator, denominator, Rounding.RND), round_ratio(numerator, denominator, Rounding.RND_MIN_INF)


def wrap(codes: IntArray, width: IntArray | int, signed: bool) -> IntArray:
    """Keep the low `width` bits of each code, read as two's complement when `signed`."""
    modulus = np.left_shift(np.ones_like(codes), width)
    low = codes % modulus
    return np.where(low >= modulus // 2, low - modulus, low) if signed else low
