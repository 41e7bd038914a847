"""Intervals in double precision that contain the exact result, whatever rounding did: one text for numpy and for JAX.

`xp` is `numpy` or `jax.numpy` with 64-bit types. Every operation computes to nearest and then moves outward by a bound of its error,
instead of switching the rounding mode, which neither offers. The bounds also hold where subnormal numbers are flushed to zero and where
a product and a sum are fused, as XLA does. A bound that is not a number (∞ - ∞, 0 · ∞) becomes infinite, so that nothing is concluded
from it. What is trusted: that +, -, ·, / are off by at most one unit in the last place or 2**-1022 (IEEE 754 gives half a unit), and that
`exp` and `log1p` are off by at most 16 units or 2**-1022; tests compare both libraries with rational enclosures.
Sources: Moore 1966, Neumaier 1990; sums and matrix products by Higham 2002, §3.1, midpoint and radius by Rump 1999.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple, assert_never

import numpy as np
import numpy.typing as npt

from qspec.ir.real import ExactArray, Function

Array = Any
"""An array of doubles of `xp`."""
Floats = npt.NDArray[np.float64]

UNIT = 2.0**-52
LIBRARY = 2.0**-48
"""Relative errors: of one operation, and of `exp` and `log1p`."""
TINY = 2.0**-1020
"""More than what flushing the arguments and the result of a sum to zero can change."""
SMALLEST_MAGNITUDE = 2.0**-960


class OutwardInterval(NamedTuple):
    """`lower <= x <= upper`; arrays of one shape, (batch, size)."""

    lower: Array
    upper: Array


@dataclass(frozen=True, slots=True, eq=False)
class DoubleMatrix:
    """A matrix as doubles: what is exact differs from `value` by at most `2**-52 * magnitude`; both (outputs, inputs)."""

    value: Array
    magnitude: Array

    @property
    def terms(self) -> int:
        """The number of products in a sum."""
        return self.value.shape[1]

    def of(self, xp: Any, x: Array) -> Array:
        """Return `value @ x` for x (batch, inputs)."""
        del xp
        return x @ self.value.T

    def size_of(self, xp: Any, x: Array) -> Array:
        """Return `magnitude @ x` for x (batch, inputs)."""
        del xp
        return x @ self.magnitude.T


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """A matrix with at most one entry in each row, at `column`; a row without one has value and magnitude 0. All (outputs,)."""

    column: npt.NDArray[np.int64]
    value: Array
    magnitude: Array

    @property
    def terms(self) -> int:
        """The number of products in a sum."""
        return 1

    def of(self, xp: Any, x: Array) -> Array:
        """Return `value @ x` for x (batch, inputs)."""
        return xp.where(self.value == 0, 0.0, x[:, self.column] * self.value)

    def size_of(self, xp: Any, x: Array) -> Array:
        """Return `magnitude @ x` for x (batch, inputs)."""
        return xp.where(self.magnitude == 0, 0.0, x[:, self.column] * self.magnitude)


Linear = DoubleMatrix | Selection


def coefficients(matrix: ExactArray) -> DoubleMatrix | Selection:
    """Return the nearest doubles of an exact matrix, with magnitudes that pay for rounding and for what may be flushed to zero."""
    value = nearest(matrix)
    present = ~value_is_zero(matrix)
    magnitude = np.where(present, np.maximum(np.abs(value) * (1 + UNIT), SMALLEST_MAGNITUDE), 0.0)
    if value.size and bool((present.sum(1) <= 1).all()):
        column = present.argmax(1)
        rows = np.arange(len(value))
        return Selection(column, value[rows, column], magnitude[rows, column])
    return DoubleMatrix(value, magnitude)


def value_is_zero(array: ExactArray) -> npt.NDArray[np.bool_]:
    """Return which elements are exactly zero."""
    return np.asarray(array == 0, dtype=np.bool_)


def nearest(array: ExactArray) -> Floats:
    """Return the nearest doubles of exact numbers; infinite where they are beyond all doubles."""
    if array.dtype != object:
        return array.astype(np.float64)
    return np.array([_nearest(v) for v in array.reshape(-1).tolist()], dtype=np.float64).reshape(array.shape)


def _nearest(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf


def enclosed(lower: ExactArray, upper: ExactArray) -> OutwardInterval:
    """Return doubles around exact bounds, none of them subnormal."""
    with np.errstate(all="ignore"):
        low, high = nearest(lower), nearest(upper)
        low = np.where(_differs(lower, low), down(np, low), low)
        high = np.where(_differs(upper, high), up(np, high), high)
        return bounds(np, low, high)


def _differs(array: ExactArray, doubles: Floats) -> npt.NDArray[np.bool_]:
    """Return where doubles are not the number itself, or are subnormal."""
    subnormal = (doubles != 0) & (np.abs(doubles) < 2.0**-1022)
    if array.dtype != object:
        return subnormal
    flat = zip(array.reshape(-1).tolist(), doubles.reshape(-1).tolist(), strict=True)
    rounded = np.array([not np.isfinite(d) or Fraction(d) != v for v, d in flat], dtype=np.bool_)
    return rounded.reshape(array.shape) | subnormal


def bounds(xp: Any, lower: Array, upper: Array) -> OutwardInterval:
    """Return an interval, infinite where a bound is not a number."""
    return OutwardInterval(xp.where(lower == lower, lower, -xp.inf), xp.where(upper == upper, upper, xp.inf))


def down(xp: Any, x: Array, error: float = UNIT) -> Array:
    """Return numbers below all that `x` may stand for after one operation.

    With `error = 2**-52`: `|x| * 2**-52` is at least one unit in the last place of `x` (or TINY is), the exact difference is below the next
    double, and rounding is monotone. Plus infinity becomes NaN, which `bounds` makes minus infinity: an overflow says nothing from below.
    """
    return x - (xp.abs(x) * error + TINY)


def up(xp: Any, x: Array, error: float = UNIT) -> Array:
    """Return numbers above all that `x` may stand for after one operation."""
    return x + (xp.abs(x) * error + TINY)


def add(xp: Any, x: OutwardInterval, y: OutwardInterval) -> OutwardInterval:
    """Return the sum."""
    return bounds(xp, down(xp, x.lower + y.lower), up(xp, x.upper + y.upper))


def multiply(xp: Any, x: OutwardInterval, y: OutwardInterval) -> OutwardInterval:
    """Return the product, elementwise."""
    a, b, c, d = x.lower * y.lower, x.lower * y.upper, x.upper * y.lower, x.upper * y.upper
    low = xp.minimum(xp.minimum(a, b), xp.minimum(c, d))
    high = xp.maximum(xp.maximum(a, b), xp.maximum(c, d))
    return bounds(xp, down(xp, low), up(xp, high))


def linear(xp: Any, m: Linear, x: OutwardInterval) -> OutwardInterval:
    """Return `m @ x` for `x` (batch, inputs), as (batch, outputs).

    With midpoint c and radius r of x, exactly `|m x - m c| <= |m| r`. In floats, in whatever order it is summed up, fused or not,
    `|fl(m c) - m c| <= γ |m| |c|` with `γ = n u / (1 - n u)`, u = 2**-53 (Higham 2002, 3.1). `share` is `(2 n + 16) u`: the half of it pays
    for γ, the rest for the rounding of m itself (2 u) and of the sum `r + share |c|`; the second product is too small by a factor `1 - γ`
    at most, which `1 + share` pays. What is flushed to zero is below 2**-1022 for each argument, product and sum.
    """
    share = (m.terms + 8) * UNIT
    tiny = (m.terms + 8) * TINY
    middle = 0.5 * x.lower + 0.5 * x.upper
    radius = up(xp, xp.maximum(x.upper - middle, middle - x.lower))
    value = m.of(xp, middle)
    error = m.size_of(xp, radius + share * xp.abs(middle)) * (1 + share) + tiny
    return bounds(xp, down(xp, value - error), up(xp, value + error))


def total(xp: Any, terms: Array) -> Array:
    """Return upper bounds of the sums of (batch, n) over n, as (batch,); the bound of the error is that of `linear`."""
    share = (terms.shape[-1] + 8) * UNIT
    return up(xp, terms.sum(-1) + (xp.abs(terms).sum(-1) * share + (terms.shape[-1] + 8) * TINY))


def maximum(xp: Any, x: OutwardInterval, groups: npt.NDArray[np.int64]) -> OutwardInterval:
    """Return the largest of the members of each group, -1 being absent, as (batch, groups)."""
    present = groups >= 0
    low, high = (xp.where(present, v[:, xp.maximum(groups, 0)], -xp.inf).max(-1) for v in x)
    return OutwardInterval(low, high)


def apply(xp: Any, function: Function, x: OutwardInterval) -> OutwardInterval:
    """Return the range of a function on an interval."""
    match function:
        case Function.RELU:
            return OutwardInterval(xp.maximum(x.lower, 0.0), xp.maximum(x.upper, 0.0))
        case Function.EXP:
            return exp(xp, x)
        case Function.TANH:
            return tanh(xp, x)
        case Function.SIGMOID:
            return sigmoid(xp, x)
        case Function.SOFTPLUS:
            return softplus(xp, x)
        case Function.RECIPROCAL:
            return reciprocal(xp, x)
        case _:
            assert_never(function)


def exp(xp: Any, x: OutwardInterval) -> OutwardInterval:
    """Return the range of exp, at least 0."""
    found = bounds(xp, down(xp, xp.exp(x.lower), LIBRARY), up(xp, xp.exp(x.upper), LIBRARY))
    return OutwardInterval(xp.maximum(found.lower, 0.0), found.upper)


def reciprocal(xp: Any, x: OutwardInterval) -> OutwardInterval:
    """Return the range of `1 / x` where x is positive, and everything where it may not be."""
    positive = x.lower > 0
    low = down(xp, 1.0 / xp.where(positive, x.upper, 1.0))
    high = up(xp, 1.0 / xp.where(positive, x.lower, 1.0))
    return OutwardInterval(xp.where(positive, xp.maximum(low, 0.0), -xp.inf), xp.where(positive, high, xp.inf))


def sigmoid(xp: Any, x: OutwardInterval) -> OutwardInterval:
    """Return the range of `1 / (1 + exp(-x))`, within [0, 1]."""
    e = exp(xp, OutwardInterval(-x.upper, -x.lower))
    low = down(xp, 1.0 / up(xp, 1.0 + e.upper))
    high = up(xp, 1.0 / down(xp, 1.0 + e.lower))
    return OutwardInterval(xp.maximum(low, 0.0), xp.minimum(high, 1.0))


def tanh(xp: Any, x: OutwardInterval) -> OutwardInterval:
    """Return the range of `1 - 2 / (1 + exp(2 x))`, within [-1, 1]; the absolute error is about 2**-49."""
    e = exp(xp, OutwardInterval(2.0 * x.lower, 2.0 * x.upper))
    low = down(xp, 1.0 - up(xp, 2.0 / down(xp, 1.0 + e.lower)))
    high = up(xp, 1.0 - down(xp, 2.0 / up(xp, 1.0 + e.upper)))
    return OutwardInterval(xp.maximum(low, -1.0), xp.minimum(high, 1.0))


def softplus(xp: Any, x: OutwardInterval) -> OutwardInterval:
    """Return the range of `ln(1 + exp(x)) = max(x, 0) + ln(1 + exp(-|x|))`."""
    low_rest = exp(xp, OutwardInterval(-xp.abs(x.lower), -xp.abs(x.lower))).lower
    high_rest = exp(xp, OutwardInterval(-xp.abs(x.upper), -xp.abs(x.upper))).upper
    low = down(xp, xp.maximum(x.lower, 0.0) + xp.maximum(down(xp, xp.log1p(low_rest), LIBRARY), 0.0))
    high = up(xp, xp.maximum(x.upper, 0.0) + up(xp, xp.log1p(high_rest), LIBRARY))
    found = bounds(xp, low, high)
    return OutwardInterval(xp.maximum(found.lower, 0.0), found.upper)


def slope(xp: Any, function: Function, x: OutwardInterval, y: OutwardInterval) -> OutwardInterval:
    """Return the range of the derivative on x, where y is the range of the function (of Clarke's derivative at the kink of ReLU)."""
    one = OutwardInterval(xp.ones_like(y.lower), xp.ones_like(y.upper))
    match function:
        case Function.RELU:
            return OutwardInterval(xp.where(x.lower > 0, 1.0, 0.0), xp.where(x.upper < 0, 0.0, 1.0))
        case Function.EXP:
            return y
        case Function.SOFTPLUS:
            return sigmoid(xp, x)
        case Function.TANH:
            s = square(xp, y)
            found = add(xp, one, OutwardInterval(-s.upper, -s.lower))
            return OutwardInterval(xp.maximum(found.lower, 0.0), xp.minimum(found.upper, 1.0))
        case Function.SIGMOID:
            # s (1 - s) = 1/4 - (s - 1/2)²
            half = add(xp, y, OutwardInterval(xp.full_like(y.lower, -0.5), xp.full_like(y.upper, -0.5)))
            s = square(xp, half)
            found = add(xp, OutwardInterval(0.25 * one.lower, 0.25 * one.upper), OutwardInterval(-s.upper, -s.lower))
            return OutwardInterval(xp.maximum(found.lower, 0.0), xp.minimum(found.upper, 0.25))
        case Function.RECIPROCAL:
            s = square(xp, y)
            return OutwardInterval(-s.upper, -s.lower)
        case _:
            assert_never(function)


def square(xp: Any, x: OutwardInterval) -> OutwardInterval:
    """Return the range of x²."""
    far = xp.maximum(xp.abs(x.lower), xp.abs(x.upper))
    near = xp.maximum(xp.maximum(x.lower, -x.upper), 0.0)
    found = bounds(xp, down(xp, near * near), up(xp, far * far))
    return OutwardInterval(xp.maximum(found.lower, 0.0), found.upper)
