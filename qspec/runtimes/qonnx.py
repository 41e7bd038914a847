"""What the operators of a QONNX graph compute on single elements, node by node, in float32 or exactly.

A step maps a number to a number and never changes the order of two of them (or reverses it throughout). A quantiser maps a number to a
code. Both are written once, for numpy's arithmetic: on arrays of floats it is that of qonnx's executor, with the types of the file's
constants; on arrays of Fractions it is exact. Rules: qonnx 1.0.0 (`Quant`, `BipolarQuant`, `Trunc`, `MultiThreshold`), onnxruntime 1.31.1
and 1.32.0 (float32, one rounding for each operation; BatchNormalization as a factor and a shift that are rounded first), by experiment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from math import ceil, floor
from operator import attrgetter, mul
from typing import Any, assert_never

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.integers import IntArray
from qspec.errors import UnsupportedError

Array = npt.NDArray[Any]
MOST_CODE = 1 << 62
"""The size of a code, at most."""


def _nearest(y: Array, up: Callable[[Array], Array]) -> Array:
    """Round the size of a number, and give it its sign again."""
    return np.sign(y) * up(np.abs(y))


def each(rule: Callable[..., object], *arrays: Array) -> Array:
    """Apply a function of Python numbers elementwise; the result holds Python objects."""
    made: Any = np.frompyfunc(rule, len(arrays), 1)
    return np.asarray(made(*arrays), dtype=object)


def fraction(value: Any) -> Fraction:
    """Return a number exactly."""
    return value if isinstance(value, Fraction) else Fraction(value)


ROUNDINGS: Mapping[str, Callable[[Array], Array]] = {
    "ROUND": np.round,
    "HALF_EVEN": np.round,
    "CEIL": np.ceil,
    "FLOOR": np.floor,
    "UP": lambda y: _nearest(y, np.ceil),
    "DOWN": np.trunc,
    "HALF_UP": lambda y: _nearest(y, lambda s: np.floor(s + 0.5)),
    "HALF_DOWN": lambda y: _nearest(y, lambda s: np.ceil(s - 0.5)),
}
"""The rounding modes of QONNX on floats: HALF_UP and UP go away from zero, HALF_DOWN and DOWN towards it."""
_HALF = Fraction(1, 2)
_EXACT: Mapping[str, Callable[[Any], int]] = {
    "ROUND": round,
    "HALF_EVEN": round,
    "CEIL": ceil,
    "FLOOR": floor,
    "UP": lambda v: ceil(v) if v > 0 else floor(v),
    "DOWN": lambda v: floor(v) if v > 0 else ceil(v),
    "HALF_UP": lambda v: floor(v + _HALF) if v > 0 else ceil(v - _HALF),
    "HALF_DOWN": lambda v: ceil(v - _HALF) if v > 0 else floor(v + _HALF),
}


def rounded(mode: str, y: Array) -> Array:
    """Round by a mode of QONNX: floats as numpy does, Fractions exactly."""
    return each(_EXACT[mode], y) if y.dtype == object else ROUNDINGS[mode](y)


def _cut(y: Array, low: int, high: int) -> Array:
    """Return numbers within ends, in their own type."""
    return np.minimum(np.maximum(y, low), high)


def constant(values: Array, like: Array) -> Array:
    """Return constants in the arithmetic of `like`: as they are stored, or as Fractions."""
    if like.dtype != object or values.dtype == object:
        return values
    return each(fraction, values)


class Kind(Enum):
    """What is done with a constant c."""

    ADD = "x + c"
    SUBTRACT = "x - c"
    SUBTRACT_FROM = "c - x"
    MULTIPLY = "x * c"
    DIVIDE = "x / c"
    AT_LEAST = "max(x, c)"
    AT_MOST = "min(x, c)"
    LEAK = "x, or x * c below zero"


@dataclass(frozen=True, slots=True, eq=False)
class TensorOperation:
    """An operation with constants, whose shape broadcasts to that of the tensor."""

    kind: Kind
    values: Array

    def on(self, x: Array) -> Array:
        """Return the result, elementwise."""
        c = constant(self.values, x)
        match self.kind:
            case Kind.ADD:
                return x + c
            case Kind.SUBTRACT:
                return x - c
            case Kind.SUBTRACT_FROM:
                return c - x
            case Kind.MULTIPLY:
                return x * c
            case Kind.DIVIDE:
                return x / c
            case Kind.AT_LEAST:
                return np.maximum(x, c)
            case Kind.AT_MOST:
                return np.minimum(x, c)
            case Kind.LEAK:
                return np.where(x >= 0, x, x * c)
            case _:
                assert_never(self.kind)

    @property
    def idle(self) -> bool:
        """Whether nothing changes."""
        match self.kind:
            case Kind.ADD | Kind.SUBTRACT:
                return not np.any(self.values)
            case Kind.MULTIPLY | Kind.DIVIDE | Kind.LEAK:
                return bool(np.all(self.values == 1))
            case _:
                return False


def ends(bits: int, *, signed: bool, narrow: bool) -> tuple[int, int]:
    """Return the least and the greatest code of a width."""
    return (-(2 ** (bits - 1)) + narrow, 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1 - narrow)


@dataclass(frozen=True, slots=True, eq=False)
class IntQuant:
    """`Quant` and `IntQuant`: `x / scale + zero`, cut to the ends, rounded; one signed bit is the sign, -1 or +1."""

    scale: Array
    zero: Array
    bits: int
    signed: bool
    narrow: bool
    mode: str

    @property
    def bipolar(self) -> bool:
        return self.bits == 1 and self.signed

    @property
    def ends(self) -> tuple[int, int]:
        """The least and the greatest code."""
        return (-1, 1) if self.bipolar else ends(self.bits, signed=self.signed, narrow=self.narrow)

    def codes(self, x: Array) -> Array:
        """Return the codes of numbers."""
        y = x / constant(self.scale, x) + constant(self.zero, x)
        if self.bipolar:
            return np.where(y >= 0, 1, -1)
        return rounded(self.mode, _cut(y, *self.ends))

    @property
    def constants(self) -> tuple[Array, ...]:
        return (self.scale, self.zero)


@dataclass(frozen=True, slots=True, eq=False)
class Bipolar:
    """`BipolarQuant`: the sign, with +1 for zero, times the scale."""

    scale: Array
    bits: int = 1

    @property
    def zero(self) -> Array:
        return np.zeros((), np.float32)

    def codes(self, x: Array) -> Array:
        """Return the codes of numbers."""
        return np.where(x >= 0, 1, -1)

    @property
    def constants(self) -> tuple[Array, ...]:
        return (self.scale,)


@dataclass(frozen=True, slots=True, eq=False)
class Truncation:
    """`Trunc`: `x / scale + zero` to the nearest integer, divided by a power of two, cut to ends if there are any, and rounded.

    The result stands for `(code - output zero) * output scale`; version 1 leaves scale and zero point as they were.
    """

    scale: Array
    zero: Array
    divisor: Array
    scale_out: Array
    zero_out: Array
    limits: tuple[int, int] | None
    mode: str

    def codes(self, x: Array) -> Array:
        """Return the codes of numbers."""
        y = rounded("ROUND", x / constant(self.scale, x) + constant(self.zero, x)) / constant(self.divisor, x)
        return rounded(self.mode, y if self.limits is None else _cut(y, *self.limits))

    @property
    def constants(self) -> tuple[Array, ...]:
        return (self.scale, self.zero, self.scale_out, self.zero_out)


@dataclass(frozen=True, slots=True, eq=False)
class MultiThreshold:
    """`MultiThreshold`: how many of the thresholds, on the last axis, are at most the number, as the level of that count."""

    thresholds: Array
    levels: IntArray

    def codes(self, x: Array) -> Array:
        """Return the codes of numbers: of thresholds in order, the count is found by bisection, all at once."""
        ordered = np.sort(constant(self.thresholds, x), axis=-1)  # NaN, which no number reaches, comes last
        ordered = ordered.reshape((1,) * (x.ndim + 1 - ordered.ndim) + ordered.shape)
        count = np.zeros((*np.broadcast_shapes(x.shape, ordered.shape[:-1]), 1), dtype=np.int64)
        most = ordered.shape[-1]
        for power in reversed(range(most.bit_length())):
            further = count + (1 << power)
            last = np.take_along_axis(ordered, np.minimum(further, most) - 1, axis=-1)
            count = np.where((further <= most) & (x[..., None] >= last), further, count)
        return self.levels[count[..., 0]]

    @property
    def constants(self) -> tuple[Array, ...]:
        return (self.thresholds[..., 0],)


@dataclass(frozen=True, slots=True, eq=False)
class QuantizeLinear:
    """ONNX's `QuantizeLinear`: `x / scale` to the nearest integer, ties to even, then the zero point, then the ends of the type."""

    scale: Array
    zero: Array
    ends: tuple[int, int]

    def codes(self, x: Array) -> Array:
        """Return the codes of numbers."""
        y = rounded("ROUND", x / constant(self.scale, x)) + constant(self.zero.astype(np.float32), x)
        return _cut(y, *self.ends)

    @property
    def constants(self) -> tuple[Array, ...]:
        return (self.scale, self.zero)


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """The place of a number among all that occur: what is left of a float result where only the order counts."""

    values: Array
    constants: tuple[Array, ...] = ()

    def codes(self, x: Array) -> Array:
        """Return the codes of numbers."""
        return np.searchsorted(self.values, x)


Quantizer = Order | IntQuant | Bipolar | Truncation | MultiThreshold | QuantizeLinear


def start(a: IntArray, units: Array, *, exact: bool) -> Array:
    """Return the numbers that integers stand for: `a * unit` as Fractions, or the float32 nearest to it."""
    if exact:
        return each(mul, np.asarray(a).astype(object), units)
    top, bottom = (each(attrgetter(part), units).astype(np.float64) for part in ("numerator", "denominator"))
    return np.asarray((np.asarray(a).astype(np.float64) * top) / bottom).astype(np.float32)


def values(a: IntArray, units: Array, steps: Sequence[TensorOperation], *, exact: bool) -> Array:
    """Return the numbers that integers become after steps; raises UnsupportedError where float32 overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        x = start(a, units, exact=exact)
        for step in steps:
            x = step.on(x)
    if x.dtype != object and not np.all(np.isfinite(x)):
        raise UnsupportedError("numbers that float32 does not hold", given=[s.kind.value for s in steps], expected="finite numbers")
    return x


def codes(a: IntArray, units: Array, steps: Sequence[TensorOperation], quantizer: Quantizer, *, exact: bool) -> IntArray:
    """Return the codes that integers become after steps and a quantiser; raises UnsupportedError on such that are too large."""
    return whole(quantizer.codes(values(a, units, steps, exact=exact)))


def whole(codes: Array) -> IntArray:
    """Return codes as int64; raises UnsupportedError on infinities, on what is no number, and on codes beyond `MOST_CODE`."""
    held = np.asarray(np.abs(codes) <= MOST_CODE, dtype=bool)
    if not np.all(held):
        expected = "a larger scale, or limits before the quantiser"
        raise UnsupportedError("codes that are no numbers of 62 bits", given=codes[~held].reshape(-1)[:4], expected=expected)
    return codes.astype(np.int64)


def normalization(gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float) -> tuple[Array, Array]:
    """Return factor and shift of a BatchNormalization, each rounded to float32 at every operation, as onnxruntime does."""
    one = np.ones((), np.float32)
    factor = gamma * (one / np.sqrt(variance + np.float32(epsilon)))
    return factor, beta - mean * factor
