"""What a tensor of a QONNX graph is while it is read: constants, or numbers that integers of a signal become by steps.

`a = code - zero` of the signal is an integer between `lower` and `upper`; it stands for `a * unit`, which the steps then change. Quantisers
become staircases of `a`: each threshold is found by bisection with the very arithmetic that runs the steps, and so is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod
from typing import Literal

import numpy as np

from qspec.arithmetic.formats import Affine
from qspec.arithmetic.integers import IntArray, common_unit, integers
from qspec.arithmetic.tensor import Tensor
from qspec.errors import UnsupportedError
from qspec.network.graph import Signal, apply
from qspec.network.kernel_layers import Reinterpret, Thresholds
from qspec.network.layers import Conv2D, Dense
from qspec.readers.onnx_codes import Codes, bare, fresh, from_image, image, plain, reshaped, scaled
from qspec.runtimes import qonnx
from qspec.runtimes.qonnx import Array, Kind, Quantizer, TensorOperation

EXACT_FLOAT = 1 << 24
"""Integers up to here are exact in float32."""
MOST_STEPS = 1 << 22
"""Thresholds of a layer, at most."""
TABULATED = 1 << 14
"""Values of a tensor that are compared with a straight line, at most."""


@dataclass(frozen=True, slots=True, eq=False)
class ExecutorConstant:
    """A constant as the executor holds it; behind a quantiser also its codes less the zero point, and the scale, which broadcasts."""

    values: Array
    codes: IntArray | None = None
    scale: Array | None = None


@dataclass(frozen=True, slots=True, eq=False)
class VariableTensor:
    """A tensor that depends on the input."""

    codes: Codes
    lower: int
    upper: int
    steps: tuple[TensorOperation, ...] = ()
    left_out: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        return self.codes.shape

    @property
    def constants(self) -> list[Array]:
        """The constants of the steps."""
        return [step.values for step in self.steps]

    def then(self, step: TensorOperation) -> VariableTensor:
        """Return the numbers after one more step."""
        return self if step.idle else replace(self, steps=(*self.steps, step))


State = ExecutorConstant | VariableTensor


def units(x: VariableTensor) -> Array:
    """Return what `a` counts, as an array of Fractions that broadcasts to the tensor."""
    grid, shape = x.codes.signal.type.grid, x.shape
    found = np.array(grid.units, dtype=object)
    if grid.channels == 1:
        return found.reshape((1,) * len(shape))
    axis = x.codes.order.index(len(x.codes.order) - 1) + len(shape) - len(bare(shape))
    return found.reshape(tuple(grid.channels if k == axis else 1 for k in range(len(shape))))


def decoded(x: VariableTensor, codes: IntArray, *, exact: bool) -> Array:
    """Return the numbers of a tensor for codes of its signal, of shape (samples, *signal), in the shape (samples, *file)."""
    grid = x.codes.signal.type.grid
    a = np.asarray(codes) - np.array(grid.zeros, dtype=np.int64)
    order = tuple(1 + k for k in x.codes.order)
    return qonnx.values(a.transpose(0, *order).reshape(len(codes), *x.shape), units(x), x.steps, exact=exact)


def moved(x: VariableTensor, codes: Codes, perm: Sequence[int] | None = None) -> VariableTensor:
    """Return numbers whose codes were moved: transposed by `perm`, or reshaped; their constants move along."""

    def move(c: Array) -> Array:
        if c.size == 1:
            return c.reshape((1,) * len(codes.shape))
        full = np.broadcast_to(c, x.shape)
        return _collapsed(full.transpose(perm) if perm is not None else full.reshape(codes.shape))

    return replace(x, codes=codes, steps=tuple(replace(s, values=move(s.values)) for s in x.steps))


def _collapsed(c: Array) -> Array:
    """Return constants with one entry along every axis on which they do not differ."""
    for axis in range(c.ndim):
        if np.all(c == np.take(c, [0], axis)):
            c = np.take(c, [0], axis)
    return c


@dataclass(frozen=True, slots=True)
class ConstantAxes:
    """Where constants differ: the shape that all of them broadcast to, and the signal on whose last axis they lie."""

    pattern: tuple[int, ...]
    place: Literal["nowhere", "last", "image", "flat"]


def _rows(x: VariableTensor, more: Sequence[Array] = ()) -> ConstantAxes:
    """Return where the constants of the steps, and more of them, differ; raises UnsupportedError if they repeat the tensor."""
    shape = x.shape
    pattern = np.broadcast_shapes((1,) * len(shape), units(x).shape, *(c.shape for c in (*x.constants, *more)))
    if len(pattern) > len(shape) or any(p not in (1, n) for p, n in zip(pattern, shape, strict=True)):
        raise UnsupportedError("constants that repeat a signal", given=f"{pattern} for {shape}", expected="constants that fit the tensor")
    wide = [k for k, p in enumerate(pattern) if p > 1]
    skipped = len(shape) - len(bare(shape))
    if not wide:
        return ConstantAxes(pattern, "nowhere")
    if len(wide) == 1 and x.codes.order[wide[0] - skipped] == len(x.codes.order) - 1:
        return ConstantAxes(pattern, "last")
    return ConstantAxes(pattern, "image") if wide == [1] and len(shape) == 4 and skipped else ConstantAxes(shape, "flat")


def _signal(x: VariableTensor, rows: ConstantAxes) -> Signal:
    match rows.place:
        case "image":
            return image(x.codes)
        case "flat":
            return reshaped(plain(x.codes), (prod(x.shape),))
        case _:
            return x.codes.signal


def _back(x: VariableTensor, rows: ConstantAxes, signal: Signal) -> Codes:
    match rows.place:
        case "image":
            return from_image(signal, True)
        case "flat":
            return fresh(signal, x.shape, True)
        case _:
            return replace(x.codes, signal=signal)


def quantized(x: VariableTensor, quantizer: Quantizer, meaning: tuple[Array, Array, int], name: str, *, exact: bool) -> VariableTensor:
    """Return the codes of numbers; `meaning` is (scale, zero point, bits): a code stands for `(code - zero) * scale`."""
    scale, zero, bits = meaning
    rows = _rows(x, [*quantizer.constants, scale, zero])
    unit = units(x)

    def function(a: IntArray) -> IntArray:
        return qonnx.codes(a, unit, x.steps, quantizer, exact=exact)

    ends = [np.broadcast_to(function(np.full(rows.pattern, end)), rows.pattern) for end in (x.lower, x.upper)]
    signal, lower, upper = _signal(x, rows), x.lower, x.upper
    sign = np.where(ends[1] < ends[0], -1, 1)
    if np.any(sign < 0):
        signal, lower, upper = _mirrored(signal, sign.reshape(-1)), min(lower, -upper), max(upper, -lower)
    low, high = int(min(e.min() for e in ends)), int(max(e.max() for e in ends))
    if (high - low) * prod(rows.pattern) > MOST_STEPS:
        given = f"{high - low} steps for {prod(rows.pattern)} rows"
        raise UnsupportedError("a staircase of so many steps", given=given, expected=f"at most {MOST_STEPS} in all")
    fmt, offset = _format(rows, scale, zero, bits, low, high)
    same = rows.place == "nowhere" and np.all(sign > 0) and upper - lower < TABULATED
    every = np.arange(lower, upper + 1).reshape(-1, *rows.pattern) if same else np.zeros(0)
    if same and np.array_equal(function(every) - offset.reshape(-1)[0], every):
        if signal.type.grid != fmt.grid():
            shifted = Affine(64, True, fmt.grid().units, signal.type.grid.zeros)
            signal = apply(Reinterpret(shifted), signal) if signal.type.grid != shifted.grid() else signal
    else:
        table = _thresholds(_turned(function, sign), lower, upper, range(low + 1, high + 1), rows.pattern)
        plain_format = fmt if len(fmt.grid().units) == 1 else Affine(fmt.width, fmt.signed, Fraction(1))
        signal = apply(Thresholds(plain_format, np.full(len(table), low), table, name), signal)
        signal = signal if plain_format is fmt else apply(Reinterpret(fmt), signal)
    return VariableTensor(_back(x, rows, signal), low - int(offset.max()), high - int(offset.min()))


def _format(rows: ConstantAxes, scale: Array, zero: Array, bits: int, low: int, high: int) -> tuple[Affine, IntArray]:
    """Return the format of codes between ends, as wide as they and the zero points need, and the zero points."""
    scales = tuple(Fraction(float(s)) for s in np.broadcast_to(scale, rows.pattern).reshape(-1))
    zeros = np.broadcast_to(zero, rows.pattern).reshape(-1).astype(np.int64)
    if len(set(scales)) == 1 and np.all(zeros == zeros[0]):
        scales, zeros = scales[:1], zeros[:1]
    least, most = min(low, int(zeros.min())), max(high, int(zeros.max()))
    signed = least < 0
    width = max(bits, most.bit_length() + signed, (-least - 1).bit_length() + 1 if signed else 1)
    return Affine(width, signed, scales, tuple(int(z) for z in zeros)), zeros


def _turned(function: Callable[[IntArray], IntArray], sign: IntArray) -> Callable[[IntArray], IntArray]:
    """Return the function of `sign * a`."""

    def of(a: IntArray) -> IntArray:
        return function(a * sign)

    return of


def _thresholds(function: Callable[[IntArray], IntArray], lower: int, upper: int, levels: range, pattern: tuple[int, ...]) -> IntArray:
    """Return for each row and level the least integer of which a non-decreasing function reaches it; `upper + 1` if none does."""
    wanted = np.array(levels, dtype=np.int64).reshape(-1, *(1 for _ in pattern))
    below = np.full((len(levels), *pattern), lower - 1)
    above = np.full((len(levels), *pattern), upper + 1)
    while np.any(above - below > 1):
        middle = np.maximum((below + above) // 2, lower)
        reached = function(middle) >= wanted
        open_ = above - below > 1
        above, below = np.where(open_ & reached, middle, above), np.where(open_ & ~reached, middle, below)
    return integers(above.reshape(len(levels), prod(pattern)).T)


def _mirrored(signal: Signal, sign: IntArray) -> Signal:
    """Return a signal of `sign * a`, with a sign for each entry of the last axis, or one for all."""
    layer = signal.layer
    channels = signal.shape[-1]
    signs = np.broadcast_to(sign, (channels,))
    if isinstance(layer, Dense | Conv2D) and layer.output is None and layer.accumulator is None and layer.bias is None:
        return apply(replace(layer, kernel=Tensor(layer.kernel.codes * signs, _symmetric(layer.kernel))), *signal.arguments)
    return scaled(signal, Tensor(signs, Affine(2, True, Fraction(1))))


def _symmetric(kernel: Tensor) -> Affine:
    grid = kernel.format.grid()
    return Affine(min(64, _bits(kernel.codes) + 1), True, grid.units, grid.zeros)


def _bits(codes: IntArray) -> int:
    return max(1, int(max(abs(int(codes.max())), abs(int(codes.min())))).bit_length() + 1)


def linear(x: VariableTensor, *, exact: bool) -> VariableTensor:
    """Return numbers that are multiples `a * unit` of integers, without steps, and exact where floats are meant.

    Raises UnsupportedError if they are not.
    """
    if x.steps:
        x = straight(x, exact=exact)
    most = max(abs(x.lower), abs(x.upper))
    if not exact and any(most * u.numerator > EXACT_FLOAT or u.denominator & (u.denominator - 1) for u in x.codes.signal.type.grid.units):
        given = f"{float(x.codes.signal.type.grid.units[0])} times up to {most}"
        raise _inexact("a scale whose multiples float32 rounds", given, "a power of two, or another scale of few bits")
    return x


def line(x: VariableTensor, *, exact: bool) -> tuple[list[Fraction], list[Fraction]] | None:
    """Return slopes and shifts of `slope * a + shift`, for each row, if the steps are affine and no float32 rounds; else None."""
    pattern = _rows(x).pattern
    slope, shift = np.broadcast_to(units(x), pattern).reshape(-1), np.full(prod(pattern), Fraction(0), dtype=object)
    for step in x.steps:
        c = qonnx.constant(np.broadcast_to(step.values, pattern).reshape(-1), slope)
        match step.kind:
            case Kind.ADD:
                shift = shift + c
            case Kind.SUBTRACT:
                shift = shift - c
            case Kind.SUBTRACT_FROM:
                slope, shift = -slope, c - shift
            case Kind.MULTIPLY:
                slope, shift = slope * c, shift * c
            case Kind.DIVIDE:
                slope, shift = slope / c, shift / c
            case _:
                return None
        if not exact and not all(_held(m, s, x) for m, s in zip(slope, shift, strict=True)):
            return None
    return list(slope), list(shift)


def _held(slope: Fraction, shift: Fraction, x: VariableTensor) -> bool:
    """Say whether float32 holds `slope * a + shift` for every `a`."""
    unit = common_unit([slope, shift])
    most = max(abs(slope * end + shift) for end in (x.lower, x.upper))
    return unit.denominator & (unit.denominator - 1) == 0 and most / unit * unit.numerator <= EXACT_FLOAT


def straight(x: VariableTensor, *, exact: bool) -> VariableTensor:
    """Return the same numbers without steps, as multiples of another unit from another zero; raises UnsupportedError if they are none."""
    found = line(x, exact=exact) or _tabulated(x, exact=exact)
    slope, offset = found
    if any(s <= 0 for s in slope) or any((o / s).denominator != 1 for o, s in zip(offset, slope, strict=True)):
        raise _inexact("operators that make no multiples of a unit", [s.kind.value for s in x.steps], "a quantiser behind them")
    signal, back, _ = placed(x)
    shift = [int(o / s) for o, s in zip(offset, slope, strict=True)]
    own = signal.type.grid.zeros
    zeros = tuple(z - k for z, k in zip(own * len(shift) if len(own) == 1 else own, shift, strict=True))
    signal = apply(Reinterpret(Affine(64, True, tuple(slope), zeros)), signal)
    return VariableTensor(back(signal), x.lower + min(shift), x.upper + max(shift))


def _tabulated(x: VariableTensor, *, exact: bool) -> tuple[list[Fraction], list[Fraction]]:
    """Return slopes and shifts by looking at every value; raises UnsupportedError if they are no line."""
    rows = _rows(x)
    if (x.upper - x.lower + 1) * prod(rows.pattern) > TABULATED:
        raise _inexact("operators that float32 may round", [s.kind.value for s in x.steps], "a quantiser behind them")
    a = np.arange(x.lower, x.upper + 1)
    found = qonnx.each(qonnx.fraction, table(x, a, exact=exact))
    slope = [s / max(a.size - 1, 1) for s in found[-1] - found[0]]
    if np.any(found[0] + np.arange(a.size).reshape(-1, 1) * np.array(slope, dtype=object) != found):
        raise _inexact("operators that make no multiples of a unit", [s.kind.value for s in x.steps], "a quantiser behind them")
    return slope, [t - x.lower * s for t, s in zip(found[0], slope, strict=True)]


def table(x: VariableTensor, a: IntArray, *, exact: bool) -> Array:
    """Return the numbers that integers become, a row for each and a column wherever constants differ."""
    pattern = _rows(x).pattern
    every = np.broadcast_to(a.reshape(-1, *(1 for _ in pattern)), (a.size, *pattern))
    return qonnx.values(every, units(x), x.steps, exact=exact).reshape(a.size, -1)


def placed(x: VariableTensor) -> tuple[Signal, Callable[[Signal], Codes], int]:
    """Return a signal on whose last axis constants differ, what makes codes of such a signal again, and how many rows there are."""
    rows = _rows(x)
    return _signal(x, rows), lambda s: _back(x, rows, s), prod(rows.pattern)


def weights(x: ExecutorConstant, axis: int, *, exact: bool) -> tuple[IntArray, tuple[Fraction, ...]]:
    """Return whole numbers and units, one or one for each entry of an axis, whose products are a constant.

    Behind a quantiser they are its codes and scales; where float32 rounds a product of the two, the constant is what it is in float32.
    """
    if x.codes is not None and x.scale is not None:
        scale = np.broadcast_to(x.scale, x.values.shape)
        per_axis = np.moveaxis(scale, axis, 0).reshape(scale.shape[axis], -1)
        same = bool(np.all(per_axis == per_axis[:, :1]))
        rounded = not exact and not np.array_equal(x.codes * scale.astype(np.float64), x.values.astype(np.float64))
        if same and not rounded:
            found = [Fraction(float(v)) for v in per_axis[:, 0]]
            return x.codes, tuple(found[:1]) if len(set(found)) == 1 else tuple(found)
        if not same and exact:
            raise UnsupportedError("weights whose scale differs within an output", given=x.scale.shape, expected="a scale per output")
    flat = np.moveaxis(x.values, axis, 0).reshape(x.values.shape[axis], -1)
    if not np.all(np.isfinite(flat)):
        raise UnsupportedError("weights that are not finite", given=flat.ravel()[:4], expected="finite numbers")
    unit = common_unit([Fraction(float(v)) for v in np.unique(np.abs(flat)) if v]) if np.any(flat) else Fraction(1)
    codes = qonnx.each(qonnx.fraction, x.values) / unit
    return integers(codes), (unit,)


def as_tensor(codes: IntArray, units_: tuple[Fraction, ...]) -> Tensor:
    """Return weights, outputs on the last axis, as narrow as their codes."""
    width = _bits(codes)
    if width > 64:
        raise UnsupportedError("weights of so many bits", given=width, expected="at most 64", advice="quantise the weights")
    return Tensor(codes, Affine(width, True, units_))


def expect_exact_sum(kernel: Tensor, x: VariableTensor, bias: Sequence[Fraction] | None, *, exact: bool) -> tuple[int, int]:
    """Return the ends of the sums of a kernel (…, outputs) in units of products.

    Raises UnsupportedError where floats are meant and some partial sum, the bias among it, may need more than 24 bits.
    """
    flat = kernel.codes.reshape(-1, kernel.shape[-1]).astype(object)
    positive, negative = np.maximum(flat, 0).sum(axis=0), np.minimum(flat, 0).sum(axis=0)
    low = positive * x.lower + negative * x.upper
    high = positive * x.upper + negative * x.lower
    ends = min(0, int(low.min())), max(0, int(high.max()))
    if exact:
        return ends
    total = (positive - negative) * max(abs(x.lower), abs(x.upper))
    x_unit = x.codes.signal.type.grid.units
    kernel_units = kernel.format.grid().units
    for k, size in enumerate(total):
        unit = x_unit[0] * kernel_units[k if len(kernel_units) > 1 else 0]
        more = abs(bias[k]) if bias is not None else Fraction(0)
        step = common_unit([unit, more]) if more else unit
        if (int(size) * unit + more) / step * step.numerator > EXACT_FLOAT or step.denominator & (step.denominator - 1):
            given = f"sums of up to {int(size)} times {float(unit):.6g} in output {k}"
            raise _inexact("sums that float32 may round, in an order that the file does not say", given, "sums of at most 24 bits")
    return ends


def _inexact(what: str, given: object, expected: str) -> UnsupportedError:
    return UnsupportedError(
        what, given=given, expected=expected, advice='semantics="qonnx-exact" gives the graph its meaning in exact numbers'
    )
