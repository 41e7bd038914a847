"""What each layer puts out: shape and number grid, checked when the layer is applied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm, prod
from typing import assert_never

import numpy as np

from qspec.arithmetic.formats import Format, Grid
from qspec.arithmetic.integers import IntArray, common_unit
from qspec.arithmetic.tensor import Tensor
from qspec.arithmetic.transcendental import check_steps
from qspec.arithmetic.windows import window_count, windows
from qspec.errors import NetworkError, ShapeError
from qspec.network.activations import Activation, Linear, Lookup, ReLU, Sigmoid, Tanh
from qspec.network.kernel_layers import Constant, KernelLayer, Multiplier, Pad, Reinterpret, Reshape, Thresholds, Transpose
from qspec.network.layers import (
    Add,
    AveragePool2D,
    Concat,
    Conv2D,
    Dense,
    Flatten,
    Input,
    Layer,
    MaxPool2D,
    Requantize,
    dense_misfit,
    window_sizes,
)
from qspec.network.shapes import check_shape, padding_pairs


@dataclass(frozen=True, slots=True)
class Type:
    """Shape of a signal and the values that its codes stand for."""

    shape: tuple[int, ...]
    grid: Grid

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))


def infer(layer: Layer, arguments: Sequence[Type]) -> Type:
    """Return the type of a layer's result; raises ShapeError or NetworkError if the arguments do not fit."""
    _check_arity(layer, len(arguments))
    match layer:
        case Input(shape, format):
            format.grid().check(shape)
            return Type(shape, format.grid())
        case Dense():
            x = arguments[0]
            if x.shape != (layer.kernel.shape[0],):
                raise dense_misfit(layer.name, x.shape, layer.kernel.shape)
            return _output((layer.kernel.shape[1],), layer, accumulator_grid(layer, x))
        case Conv2D():
            x = arguments[0]
            height, width, channels = _image(x, "convolution")
            kh, kw, depth, outputs = layer.kernel.shape
            if depth * layer.groups != channels:
                raise ShapeError(
                    f"convolution {layer.name!r} does not fit its input", given=x.shape, expected=f"(height, width, {depth * layer.groups})"
                )
            pads = padding_pairs(layer.padding, (height, width), (kh, kw), layer.stride, layer.dilation)
            rows, columns = (window_count((height, width)[a], (kh, kw)[a], layer.stride[a], pads[a], layer.dilation[a]) for a in (0, 1))
            _check_windows(rows, columns, kh * kw, outputs)
            return _output((rows, columns, outputs), layer, accumulator_grid(layer, x))
        case AveragePool2D() | MaxPool2D():
            x = arguments[0]
            index = pool_windows(layer, _image(x, "pooling"))
            shape = (*index.shape[:2], x.shape[2])
            return Type(shape, x.grid) if isinstance(layer, MaxPool2D) else _output(shape, layer, accumulator_grid(layer, x))
        case Flatten():
            x = arguments[0]
            repeat = 1 if x.grid.channels == 1 else x.size // x.grid.channels
            return Type((x.size,), Grid(x.grid.units * repeat, x.grid.zeros * repeat))
        case Add():
            if len({a.shape for a in arguments}) > 1:
                raise ShapeError("tensors to add differ in shape", given=[a.shape for a in arguments], expected="one shape")
            return _output(arguments[0].shape, layer, accumulator_grid(layer, *arguments))
        case Concat():
            return _concat(layer, arguments)
        case Requantize():
            return _output(arguments[0].shape, layer, None)
        case Reinterpret() | Reshape() | Transpose() | Pad() | Constant() | Multiplier() | Thresholds():
            return _kernel_type(layer, arguments)
        case _:
            assert_never(layer)


def _kernel_type(layer: KernelLayer, arguments: Sequence[Type]) -> Type:
    """Return the type of what a layer of integer kernels puts out; raises ShapeError if its argument does not fit."""
    if isinstance(layer, Constant):
        return Type(layer.value.shape, layer.value.format.grid())
    x, shape = arguments[0], arguments[0].shape
    match layer:
        case Reinterpret(format):
            format.grid().check(shape)
            return Type(shape, format.grid())
        case Reshape(new):
            if prod(new) != x.size:
                raise ShapeError("a reshape changes the number of elements", given=f"{shape} to {new}", expected=f"{x.size} elements")
            return Type(new, _moved_grid(x, np.arange(x.size).reshape(new)))
        case Transpose(axes):
            if len(axes) != len(shape):
                raise ShapeError("a transpose does not fit its input", given=shape, expected=f"{len(axes)} axes")
            index = np.arange(x.size).reshape(shape).transpose(axes)
            return Type(index.shape, _moved_grid(x, index))
        case Pad(before, after):
            if len(before) != len(shape):
                raise ShapeError("a padding does not fit its input", given=shape, expected=f"{len(before)} axes")
            if x.grid.channels != 1 and (before[-1] or after[-1]):
                raise ShapeError("channels are padded that have formats of their own", given=x.grid.channels, expected="one format")
            return Type(check_shape(tuple(n + b + a for n, b, a in zip(shape, before, after, strict=True))), x.grid)
        case Multiplier():
            if layer.entries not in (1, shape[-1], x.size):
                raise ShapeError("multipliers do not fit", given=layer.entries, expected=f"1, {shape[-1]} channels, or {x.size} elements")
            return Type(shape, layer.format.grid())
        case Thresholds():
            if layer.base.size not in (1, shape[-1]):
                raise ShapeError("the rows of a staircase do not fit", given=layer.base.size, expected=f"1 or {shape[-1]}")
            return Type(shape, layer.format.grid())
        case _:
            assert_never(layer)


def _moved_grid(x: Type, index: np.ndarray) -> Grid:
    """Return the grid of elements that were put elsewhere; raises ShapeError unless it is one, or one for each entry of the last axis."""
    if x.grid.channels == 1:
        return x.grid
    channel: IntArray = (index % x.grid.channels).reshape(-1, index.shape[-1])
    if np.any(channel != channel[0]):
        raise ShapeError("formats per channel do not stay on the last axis", given=x.shape, expected="one format for all channels")
    order = [int(c) for c in channel[0]]
    return Grid(tuple(x.grid.units[c] for c in order), tuple(x.grid.zeros[c] for c in order))


def accumulator_grid(layer: Dense | Conv2D | AveragePool2D | Add | Concat | Requantize, *arguments: Type) -> Grid:
    """Return the grid of the exact sum: for each output channel the largest unit of which every product and the bias are multiples."""
    x = arguments[0]
    match layer:
        case Dense() | Conv2D():
            channels = layer.kernel.shape[-1]
            kernel = spread(layer.kernel.format.grid().units, channels)
            inputs = set(x.grid.units)
            bias = spread(layer.bias.format.grid().units, channels) if isinstance(layer.bias, Tensor) else [Fraction(0)] * channels
            known: dict[tuple[Fraction, Fraction], Fraction] = {}
            for key in set(zip(kernel, bias, strict=True)):
                known[key] = common_unit([*(key[0] * u for u in inputs), key[1]])
            units = tuple(known[k] for k in zip(kernel, bias, strict=True))
            return Grid(units, (0,) * channels) if len(set(units)) > 1 else Grid(units[:1], (0,))
        case AveragePool2D():
            counts = pool_counts(layer, (x.shape[0], x.shape[1], x.shape[2]))
            return Grid(tuple(u / lcm(*{int(c) for c in counts.flat}) for u in x.grid.units), (0,) * x.grid.channels)
        case Add():
            channels = max(a.grid.channels for a in arguments)
            units = tuple(common_unit(column) for column in zip(*(spread(a.grid.units, channels) for a in arguments), strict=True))
            return Grid(units, (0,) * channels)
        case Concat() | Requantize():
            return Grid(x.grid.units, (0,) * x.grid.channels)
        case _:
            assert_never(layer)


def pool_windows(layer: AveragePool2D | MaxPool2D, image: tuple[int, int, int]) -> np.ndarray:
    """Return the flat index of channel 0 at (row, column, window row, window column), -1 in the padding."""
    stride = layer.stride or layer.window
    pads = padding_pairs(layer.padding, image[:2], layer.window, stride, (1, 1))
    rows, columns = (window_count(image[a], layer.window[a], stride[a], pads[a], 1) for a in (0, 1))
    _check_windows(rows, columns, layer.window[0] * layer.window[1], image[2])
    index = windows(image, layer.window, stride, pads, (1, 1))
    if np.any(window_sizes(index) == 0):
        raise NetworkError("a pooling window lies in the padding altogether", given=pads, expected="padding smaller than the window")
    return index


def _check_windows(rows: int, columns: int, places: int, channels: int) -> None:
    check_shape((rows, columns, max(places, channels)))


def pool_counts(layer: AveragePool2D, image: tuple[int, int, int]) -> np.ndarray:
    """Return the number of places that each window's mean divides by, shape (rows, columns)."""
    index = pool_windows(layer, image)
    return np.full(index.shape[:2], layer.window[0] * layer.window[1]) if layer.count_padding else window_sizes(index)


def spread(units: tuple[Fraction, ...], channels: int) -> list[Fraction]:
    """Return one unit per channel."""
    if len(units) not in (1, channels):
        raise ShapeError("a per-channel format does not fit", given=f"{len(units)} entries", expected=f"1 or {channels}")
    return list(units) * (channels if len(units) == 1 else 1)


def _output(shape: tuple[int, ...], layer: Dense | Conv2D | AveragePool2D | Add | Requantize, exact: Grid | None) -> Type:
    accumulator = layer.accumulator if isinstance(layer, Dense | Conv2D) else None
    chosen: Format | None = layer.output or accumulator
    if isinstance(layer, Dense | Conv2D) and accumulator is not None:
        accumulator.grid().check(shape)
    if layer.output is None:
        _check_raw(layer)
    if chosen is None:
        if exact is None:
            raise NetworkError("this layer needs an output format", given=type(layer).__name__, expected="output=Fixed(…)")
        return Type(shape, exact)
    chosen.grid().check(shape)
    if not isinstance(layer, AveragePool2D):
        _check_function(layer.activation, chosen)
    return Type(shape, chosen.grid())


def _check_function(activation: Activation, output: Format) -> None:
    """Raise NetworkError if a lookup table holds codes of another format than the layer's, FormatError if an exact function is too fine."""
    if isinstance(activation, Lookup) and activation.outputs.format != output:
        raise NetworkError("a table holds codes of another format", given=activation.outputs.format, expected=f"output={output}")
    if isinstance(activation, Sigmoid | Tanh):
        for unit in set(output.grid().units):
            check_steps("sigmoid" if isinstance(activation, Sigmoid) else "tanh", unit)


def _check_raw(layer: Dense | Conv2D | AveragePool2D | Add | Requantize) -> None:
    activation = Linear() if isinstance(layer, AveragePool2D) else layer.activation
    if not (isinstance(activation, Linear) or (isinstance(activation, ReLU) and activation.maximum is None)):
        raise NetworkError(
            "a raw accumulator can only be linear or ReLU",
            given=activation,
            expected="Linear() or ReLU()",
            advice="give the layer an output format",
        )


def _concat(layer: Concat, arguments: Sequence[Type]) -> Type:
    if len({a.shape[:-1] for a in arguments}) > 1:
        raise ShapeError(
            "tensors to concatenate differ before the last axis", given=[a.shape for a in arguments], expected="equal leading axes"
        )
    shape = (*arguments[0].shape[:-1], sum(a.shape[-1] for a in arguments))
    units = [u for a in arguments for u in spread(a.grid.units, a.shape[-1])]
    zeros = [z for a in arguments for z in (a.grid.zeros if a.grid.channels > 1 else a.grid.zeros * a.shape[-1])]
    alike = len(set(units)) == 1 and len(set(zeros)) == 1
    if layer.output is not None:
        layer.output.grid().check(shape)
    joined = Grid(tuple(units[:1]), tuple(zeros[:1])) if alike else Grid(tuple(units), tuple(zeros))
    return Type(shape, layer.output.grid() if layer.output is not None else joined)


def _image(x: Type, what: str) -> tuple[int, int, int]:
    if len(x.shape) != 3:
        raise ShapeError(f"{what} needs an image", given=x.shape, expected="(height, width, channels)")
    return x.shape[0], x.shape[1], x.shape[2]


def _check_arity(layer: Layer, given: int) -> None:
    match layer:
        case Input() | Constant():
            least, most = 0, 0
        case Add() | Concat():
            least, most = 1, 2**16
        case _:
            least, most = 1, 1
    if not least <= given <= most:
        raise NetworkError(
            f"{type(layer).__name__} reads the wrong number of signals",
            given=given,
            expected=str(least) if least == most else "one or more",
        )
