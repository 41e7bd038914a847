"""The layers of a QONNX graph: sums of integers, maxima, and what of a tail of float operators the outputs need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import prod

import numpy as np

from qspec.arithmetic.formats import Affine
from qspec.arithmetic.integers import IntArray, common_unit, integers
from qspec.arithmetic.tensor import Tensor
from qspec.errors import UnsupportedError
from qspec.network.graph import apply
from qspec.network.layers import Add, Conv2D, Dense, MaxPool2D, Requantize
from qspec.network.types import accumulator_grid
from qspec.readers.onnx_codes import Codes, fresh, from_image, image, plain, rows, scaled
from qspec.readers.onnx_quantized_layers import Windows, concatenation
from qspec.readers.qonnx_values import (
    EXACT_FLOAT,
    TABULATED,
    ExecutorConstant,
    VariableTensor,
    as_tensor,
    expect_exact_sum,
    line,
    linear,
    placed,
    quantized,
    straight,
    table,
    units,
    weights,
)
from qspec.runtimes.qonnx import Array, Kind, Order, TensorOperation, fraction


def product(x: VariableTensor, kernel: ExecutorConstant, bias: Array | None, name: str, *, exact: bool) -> VariableTensor:
    """Return a tensor (…, n) times a matrix (n, outputs), and a bias that is added to the sums."""
    x = _readable(x, exact=exact)
    codes, own = weights(kernel, 1, exact=exact)
    matrix = as_tensor(codes, own)
    low, high = expect_exact_sum(matrix, x, _fractions(bias, matrix.shape[1]), exact=exact)
    signal, count = rows(x.codes)
    layer = Dense(matrix, name=name)
    if count > 1:
        layer = Conv2D(Tensor(matrix.codes.reshape(1, 1, *matrix.shape), matrix.format), name=name)
    made = VariableTensor(fresh(apply(layer, signal), (*x.shape[:-1], matrix.shape[1]), True), low, high)
    return made if bias is None else made.then(TensorOperation(Kind.ADD, bias.reshape(*(1 for _ in x.shape[:-1]), -1)))


def convolution(
    x: VariableTensor, kernel: ExecutorConstant, bias: Array | None, windows: Windows, groups: int, name: str, *, exact: bool
) -> VariableTensor:
    """Return the convolution of a tensor (1, channels, height, width) with a kernel (outputs, channels / groups, height, width)."""
    x = _readable(x, exact=exact)
    codes, own = weights(kernel, 0, exact=exact)
    stored = as_tensor(integers(codes.transpose(2, 3, 1, 0)), own)
    low, high = expect_exact_sum(stored, x, _fractions(bias, stored.shape[3]), exact=exact)
    layer = Conv2D(stored, None, windows.stride, windows.pads, windows.dilation, groups, name=name)
    made = VariableTensor(from_image(apply(layer, image(x.codes)), True), low, high)
    return made if bias is None else made.then(TensorOperation(Kind.ADD, bias.reshape(1, -1, 1, 1)))


def average(x: VariableTensor, windows: Windows, name: str, *, exact: bool) -> VariableTensor:
    """Return the mean over windows of a tensor (1, channels, height, width): the exact sum, divided once."""
    channels = x.shape[1]
    ones = ExecutorConstant(np.ones((channels, 1, *windows.size), np.float32))
    made = convolution(x, ones, None, windows, channels, name, exact=exact)
    return made.then(TensorOperation(Kind.DIVIDE, np.full((1, 1, 1, 1), prod(windows.size), np.float32)))


def maximum(x: VariableTensor, windows: Windows, name: str, *, exact: bool) -> VariableTensor:
    """Return the maximum over windows; what the steps do must keep the order, and be the same all over the image."""
    ends = [table(x, np.asarray([end]), exact=exact) for end in (x.lower, x.upper)]
    if any(c.shape[2:] != (1, 1) and c.size > 1 for c in x.constants) or np.any(ends[1] < ends[0]):
        raise UnsupportedError(
            "a maximum behind steps that turn the order", given=[s.kind.value for s in x.steps], expected="a growing function"
        )
    signal = apply(MaxPool2D(windows.size, windows.stride, windows.pads, name), image(x.codes))
    return replace(x, codes=from_image(signal, True))


def addition(a: VariableTensor, b: VariableTensor, name: str, *, exact: bool) -> VariableTensor:
    """Return the sum of two tensors of one shape."""
    if a.shape != b.shape:
        raise UnsupportedError("an addition that repeats a signal", given=(a.shape, b.shape), expected="signals of one shape")
    parts = [linear(v, exact=exact) for v in (a, b)]
    alike = parts[0].codes.order == parts[1].codes.order and parts[0].codes.signal.shape == parts[1].codes.signal.shape
    signals = [v.codes.signal if alike else plain(v.codes) for v in parts]
    layer = Add(name=name)
    grid = accumulator_grid(layer, *(s.type for s in signals))
    low = high = 0
    for k, unit in enumerate(grid.units):
        factors = [int(s.type.grid.units[k if s.type.grid.channels > 1 else 0] / unit) for s in signals]
        ends = [sum(f * e for f, e in zip(factors, (getattr(v, side) for v in parts), strict=True)) for side in ("lower", "upper")]
        low, high = min(low, ends[0]), max(high, ends[1])
        if not exact and max(abs(ends[0]), abs(ends[1])) * unit.numerator > EXACT_FLOAT:
            raise UnsupportedError(
                "a sum that float32 may round",
                given=f"{ends} times {float(unit):.6g}",
                expected="at most 24 bits",
                advice='semantics="qonnx-exact" gives the graph its meaning in exact numbers',
            )
    made = apply(layer, *signals)
    return VariableTensor(replace(parts[0].codes, signal=made) if alike else fresh(made, a.shape, True), low, high)


def joined(parts: Sequence[VariableTensor], axis: int, name: str, *, exact: bool) -> VariableTensor:
    """Return tensors side by side along an axis, as multiples of one unit."""
    found = [_readable(x, exact=exact) for x in parts]
    unit = common_unit([x.codes.signal.type.grid.units[0] for x in found])
    made: list[Codes] = []
    low = high = 0
    for x in found:
        grid = x.codes.signal.type.grid
        factor = int(grid.units[0] / unit)
        ends = x.lower * factor, x.upper * factor
        low, high = min(low, ends[0]), max(high, ends[1])
        width = max(abs(e) for e in ends).bit_length() + 1
        if width > 64:
            raise UnsupportedError("scales that are too far apart in one tensor", given=[float(u) for u in grid.units], expected="64 bits")
        alike = factor == 1 and grid.zeros == (0,)
        signal = x.codes.signal if alike else apply(Requantize(Affine(max(width, 2), True, unit)), x.codes.signal)
        made.append(replace(x.codes, signal=signal, signed=True))
    return VariableTensor(concatenation(made, axis, name), low, high)


def _readable(x: VariableTensor, *, exact: bool) -> VariableTensor:
    """Return numbers as multiples of one unit."""
    x = linear(x, exact=exact)
    if x.codes.signal.type.grid.channels > 1:
        raise UnsupportedError("a product of a signal with several scales", given=x.codes.signal.type.grid.channels, expected="one scale")
    return x


def _fractions(values: Array | None, count: int) -> Sequence[Fraction] | None:
    return None if values is None else [fraction(v) for v in np.broadcast_to(values.reshape(-1), (count,)).tolist()]


def output(x: VariableTensor, *, exact: bool) -> Codes:
    """Return the codes that stand for an output.

    Steps at the end stay as exact multiples of a unit where they are such; an increasing function that is the same for all elements is left
    out; other affine ones become a layer in exact numbers; else the codes are the places of the float results in their order.
    """
    if not x.steps:
        return x.codes
    try:
        return straight(x, exact=exact).codes
    except UnsupportedError:
        pass
    count = prod(np.broadcast_shapes((1,) * len(x.shape), *(c.shape for c in x.constants), units(x).shape))
    small = (x.upper - x.lower + 1) * count <= TABULATED * 16
    found = table(x, np.arange(x.lower, x.upper + 1), exact=exact) if small else None
    if found is not None and count == 1 and np.all(found[1:] > found[:-1]):
        return x.codes
    affine = line(x, exact=exact)
    if affine is not None:
        return _affine(x, *affine)
    if found is None:
        raise UnsupportedError(
            "a tail of so many values", given=f"{x.upper - x.lower + 1} for {count} rows", expected=f"{TABULATED * 16} in all"
        )
    order = Order(np.unique(found))
    one = np.ones((), np.float32)
    return quantized(x, order, (one, np.zeros((), np.int64), order.values.size.bit_length()), "order", exact=exact).codes


def _affine(x: VariableTensor, slope: Sequence[Fraction], shift: Sequence[Fraction]) -> Codes:
    """Return `slope * a + shift`, as a layer with exact numbers."""
    signal, back, rows_ = placed(x)
    channels = signal.shape[-1]
    repeat = channels // rows_
    own = signal.type.grid.units * (channels if signal.type.grid.channels == 1 else 1)
    ratios = [s / u for s, u in zip([*slope] * repeat, own, strict=True)]
    return back(scaled(signal, _signed(ratios), _signed([*shift] * repeat), name="tail"))


def _signed(values: Sequence[Fraction]) -> Tensor:
    """Return exact numbers as a sign and a unit each."""
    codes: IntArray = np.array([(v > 0) - (v < 0) for v in values], dtype=np.int64)
    return Tensor(codes, Affine(2, True, tuple(abs(v) or Fraction(1) for v in values), (0,) * len(values)))
