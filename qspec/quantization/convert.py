"""From quantised networks to real ones and back: the same layers, with stated roundings or with none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import assert_never, cast

import numpy as np

from qspec.arithmetic.formats import Affine, Fixed, Format, PerChannel
from qspec.arithmetic.tensor import Tensor, quantize
from qspec.errors import InternalError, UnsupportedError
from qspec.ir.real import ExactArray, exact
from qspec.network.activations import Activation, Lookup, Sigmoid, Tanh
from qspec.network.graph import Graph, RealGraph, RealStage, Stage
from qspec.network.kernel_layers import Constant, Multiplier, Pad, Reinterpret, Reshape, Thresholds, Transpose
from qspec.network.layers import Add, AveragePool2D, Concat, Conv2D, Dense, Flatten, Input, Layer, MaxPool2D, Requantize
from qspec.network.real_layers import (
    Activate,
    Exp,
    RealActivation,
    RealConv2D,
    RealDense,
    RealInput,
    RealLayer,
    RealSparse,
    Softmax,
    Softplus,
    real_shape,
)
from qspec.network.types import Type, infer
from qspec.quantization.scales import power


def to_real(network: Graph) -> RealGraph:
    """Return the same graph with the stored parameters read as exact numbers; raises UnsupportedError on tables."""
    stages: list[RealStage] = []
    for s in network.stages:
        layer = _real_layer(s, [network.stages[a].type for a in s.arguments])
        stages.append(RealStage(s.name, layer, s.arguments, real_shape(layer, [stages[a].shape for a in s.arguments])))
    return RealGraph(tuple(stages), network.outputs, network.name)


def _real_layer(stage: Stage, arguments: Sequence[Type]) -> RealLayer:
    layer = stage.layer
    match layer:
        case Input(shape):
            return RealInput(shape, layer.name)
        case Dense():
            return RealDense(_values(layer.kernel), _bias(layer.bias), _real_activation(layer.activation), layer.name)
        case Conv2D():
            return RealConv2D(
                _values(layer.kernel),
                _bias(layer.bias),
                layer.stride,
                layer.padding,
                layer.dilation,
                layer.groups,
                _real_activation(layer.activation),
                layer.name,
            )
        case AveragePool2D():
            return AveragePool2D(layer.window, layer.stride, layer.padding, layer.count_padding, name=layer.name)
        case Add():
            return Add(cast(Activation, _real_activation(layer.activation)), name=layer.name)
        case Concat():
            return Concat(name=layer.name)
        case Requantize():
            return Activate(_real_activation(layer.activation), layer.name)
        case MaxPool2D() | Flatten():
            return layer
        case Reinterpret():
            return _reread(layer, arguments[0], stage.type)
        case Reshape() | Transpose() | Pad() | Constant() | Multiplier() | Thresholds():
            kind = type(layer).__name__
            raise UnsupportedError(
                "a layer of integer kernels has no real counterpart", given=f"{kind} {layer.name!r}", expected="other layers"
            )
        case _:
            assert_never(layer)


def _reread(layer: Reinterpret, read: Type, out: Type) -> RealSparse:
    """Return what a reinterpretation of codes does to their values: element by element a factor, and an offset where zeros move."""
    (units, zeros), (given, before) = out.grid.per_element(out.shape), read.grid.per_element(read.shape)
    offsets = units * (before - zeros)
    bias = exact(offsets) if np.any(before != zeros) else None
    everywhere = np.arange(out.size)
    return RealSparse(out.shape, everywhere, everywhere, exact(units / given), bias, layer.name)


def _real_activation(activation: Activation) -> RealActivation:
    """Return the function that an activation approximates: of a table of a sigmoid or tanh the function itself."""
    match activation:
        case Sigmoid():
            return Sigmoid()
        case Tanh():
            return Tanh()
        case Lookup():
            raise UnsupportedError("a lookup table has no real counterpart", given="Lookup", expected="a function such as Sigmoid or Tanh")
        case _:
            return activation


def _values(tensor: Tensor) -> ExactArray:
    units, zeros = tensor.format.grid().per_element(tensor.shape)
    return exact(units * (tensor.codes.reshape(-1).astype(object) - zeros)).reshape(tensor.shape)


def _bias(tensor: Tensor | None) -> ExactArray | None:
    return None if tensor is None else _values(tensor)


@dataclass(frozen=True, slots=True)
class Formats:
    """The formats of one layer; each states its rounding and overflow. Of an input `output` is the format of the input itself.

    `columns` are exponents by channel of what a dense or convolution layer reads: it reads x · 2^-e, and its weights are w · 2^e. Without
    an `output` the exact sum is what the layer puts out.
    """

    weights: Format
    biases: Format
    output: Format | None
    accumulator: Fixed | None = None
    columns: tuple[int, ...] = ()


def quantized(network: RealGraph, formats: Callable[[RealStage, Sequence[Type]], Formats]) -> Graph:
    """Return the network in fixed point, each stage in the formats that it gets, given the types of what it reads.

    Columns that are scaled are read through a `Reinterpret` of their codes, called as the layer with `_columns` after it. Raises
    UnsupportedError on an activation that has no layer there.
    """
    stages: list[Stage] = []
    place: list[int] = []
    for s in network.stages:
        arguments = tuple(place[a] for a in s.arguments)
        chosen = formats(s, [stages[a].type for a in arguments])
        if chosen.columns:
            scaled = Reinterpret(_scaled_columns(stages[arguments[0]].layer, chosen.columns))
            stages.append(Stage(f"{s.name}_columns", scaled, arguments, infer(scaled, [stages[arguments[0]].type])))
            arguments = (len(stages) - 1,)
        layer = _fixed_layer(s, chosen)
        place.append(len(stages))
        stages.append(Stage(s.name, layer, arguments, infer(layer, [stages[a].type for a in arguments])))
    return Graph(tuple(stages), tuple(place[k] for k in network.outputs), network.name)


def _scaled_columns(layer: Layer, columns: tuple[int, ...]) -> Format:
    """Return the format in which the codes of an input stand for x · 2^-e in each column."""
    if not isinstance(layer, Input):
        raise InternalError("only columns of an input are scaled", given=type(layer).__name__, expected="Input")
    fmt = layer.format
    if isinstance(fmt, Affine):
        grid = fmt.grid()
        scales = grid.units * (len(columns) if grid.channels == 1 else 1)
        return replace(fmt, scale=tuple(u * power(-e) for u, e in zip(scales, columns, strict=True)))
    formats = fmt.formats if isinstance(fmt, PerChannel) else (fmt,) * len(columns)
    return PerChannel(tuple(replace(f, frac=f.frac + e) for f, e in zip(formats, columns, strict=True)))


def _weights(kernel: ExactArray, columns: tuple[int, ...]) -> ExactArray:
    """Return weights of shape (..., columns, outputs), those of each column times 2^e."""
    if not columns:
        return kernel
    factors = np.array([2.0**e if kernel.dtype == np.float64 else power(e) for e in columns], dtype=kernel.dtype)
    return kernel * factors[:, None]


def _fixed_layer(stage: RealStage, formats: Formats) -> Layer:
    layer, output = stage.layer, formats.output
    match layer:
        case RealInput(shape):
            return Input(shape, _given(output), layer.name)
        case RealDense():
            kernel, bias = quantize(_weights(layer.kernel, formats.columns), formats.weights), _stored(layer.bias, formats.biases)
            return Dense(kernel, bias, _fixed_activation(layer.activation), output, formats.accumulator, layer.name)
        case RealConv2D():
            return Conv2D(
                quantize(_weights(layer.kernel, formats.columns), formats.weights),
                _stored(layer.bias, formats.biases),
                layer.stride,
                layer.padding,
                layer.dilation,
                layer.groups,
                _fixed_activation(layer.activation),
                output,
                formats.accumulator,
                layer.name,
            )
        case RealSparse():
            raise UnsupportedError(
                "a sparse layer has no fixed-point layer",
                given=stage.name,
                expected="dense and convolution layers",
                advice="it rearranges or sums what no dense layer, convolution or pooling says",
            )
        case Activate():
            return Requantize(_given(output), _fixed_activation(layer.activation), layer.name)
        case AveragePool2D():
            return AveragePool2D(layer.window, layer.stride, layer.padding, layer.count_padding, output, layer.name)
        case Add():
            return Add(layer.activation, output, layer.name)
        case Concat():
            return Concat(output, layer.name)
        case MaxPool2D() | Flatten():
            return layer
        case _:
            assert_never(layer)


def _given(output: Format | None) -> Format:
    if output is None:
        raise InternalError("a layer that rounds has no format", given=output, expected="Fixed, Affine or PerChannel")
    return output


def _stored(bias: ExactArray | None, fmt: Format) -> Tensor | None:
    return None if bias is None else quantize(np.asarray(bias), fmt)


def _fixed_activation(activation: RealActivation) -> Activation:
    if isinstance(activation, Softplus | Exp | Softmax):
        raise UnsupportedError(
            "this activation has no fixed-point layer",
            given=type(activation).__name__,
            expected="Linear, ReLU, Sigmoid, Tanh, …",
            advice="a softmax at the end changes no argmax: leave it out" if isinstance(activation, Softmax) else "",
        )
    return activation
