"""Correctly rounded sigmoid and tanh as staircases over an integer argument.

The k-th threshold is the least integer `a` for which the rounded function of `a * unit` reaches the k-th code. It is the ceiling of an
inverse
function at a rounding boundary; the inverse is computed with as many decimal digits as the ceiling needs to be certain (Ziv's strategy).
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction
from functools import cache
from math import ceil, floor
from typing import Literal

from qspec.arithmetic.integers import IntArray, integers
from qspec.arithmetic.rounding import Rounding
from qspec.errors import FormatError

MAX_STEPS = 1 << 16
Function = Literal["sigmoid", "tanh"]


def check_steps(function: Function, out_unit: Fraction) -> Fraction:
    """Return the infimum of the function; raises FormatError if its range has more than 2**16 steps of the output format."""
    low = Fraction(0) if function == "sigmoid" else Fraction(-1)
    if (1 - low) / out_unit > MAX_STEPS:
        raise FormatError(
            f"output format too fine for an exact {function}",
            given=f"unit {float(out_unit):.3g}",
            expected=f"at most {MAX_STEPS} steps",
            advice="use fewer fraction bits, or a table",
        )
    return low


@cache
def thresholds(function: Function, unit: Fraction, out_unit: Fraction, rounding: Rounding) -> tuple[int, IntArray]:
    """Return the lowest code and the thresholds of `round(f(a * unit) / out_unit)` over all integers `a`.

    Raises FormatError if the output format has more than 2**16 steps in the range of the function.
    """
    low = check_steps(function, out_unit)
    first, last = floor(low / out_unit) - 1, ceil(1 / out_unit) + 1
    base: int | None = None
    found: list[int] = []
    for code in range(first, last + 1):
        boundary, inclusive = _boundary(code, rounding)
        value = boundary * out_unit
        if value <= low:
            base = code
        elif value < 1:
            found.append(_least(function, value, inclusive, unit))
    assert base is not None
    return base, integers(found)


def _boundary(code: int, rounding: Rounding) -> tuple[Fraction, bool]:
    """Return the least value (in codes) that rounds to at least `code`, and whether that value itself does."""
    half = Fraction(2 * code - 1, 2)
    match rounding:
        case Rounding.TRN:
            return Fraction(code), True
        case Rounding.TRN_ZERO:
            return (Fraction(code), True) if code > 0 else (Fraction(code - 1), False)
        case Rounding.RND:
            return half, True
        case Rounding.RND_MIN_INF:
            return half, False
        case Rounding.RND_ZERO:
            return half, code <= 0
        case Rounding.RND_INF:
            return half, code > 0
        case Rounding.RND_CONV:
            return half, code % 2 == 0


def _least(function: Function, value: Fraction, inclusive: bool, unit: Fraction) -> int:
    """Return the least integer `a` with `f(a * unit) >= value` (`>` if not inclusive); `value` lies strictly inside the range of f."""
    centre = Fraction(1, 2) if function == "sigmoid" else Fraction(0)
    if value == centre:
        return 0 if inclusive else 1
    ratio = value / (1 - value) if function == "sigmoid" else (1 + value) / (1 - value)
    scale = unit if function == "sigmoid" else 2 * unit
    digits = 40
    while True:
        with localcontext() as context:
            context.prec = digits
            x = (Decimal(ratio.numerator) / Decimal(ratio.denominator)).ln() / (Decimal(scale.numerator) / Decimal(scale.denominator))
            error = (abs(x) + 1 + Decimal(scale.denominator) / Decimal(scale.numerator)) * Decimal(10) ** (10 - digits)
            below, above = ceil(x - error), ceil(x + error)
        if below == above:
            return above
        digits *= 2
