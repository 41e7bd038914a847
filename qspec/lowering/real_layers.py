"""What every layer of a real network computes, as operations on reals: the semantics of real networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray, rational
from qspec.arithmetic.shapes import check_one
from qspec.errors import ShapeError, UnsupportedError
from qspec.ir import linear
from qspec.ir.enclosure import DIGITS, evaluate
from qspec.ir.real import Entries, ExactArray, Function, Matrix, RealMap, exact
from qspec.ir.real_builder import RealBuilder, placement
from qspec.network.activations import HardSigmoid, HardTanh, LeakyReLU, Linear, ReLU, Sigmoid, Sign, Tanh
from qspec.network.graph import RealGraph, RealStage
from qspec.network.layers import Add, AveragePool2D, Concat, Flatten, MaxPool2D
from qspec.network.real_layers import (
    Activate,
    Exp,
    RealActivation,
    RealConv2D,
    RealDense,
    RealInput,
    RealSparse,
    Softmax,
    Softplus,
    sum_activation,
)
from qspec.network.shapes import padding_pairs
from qspec.network.types import pool_counts, pool_windows

ParameterName = tuple[str, str]
"""A stored parameter: the name of its stage, and "kernel" or "bias"."""


def lower(
    builder: RealBuilder, network: RealGraph, inputs: Sequence[int], parameters: Mapping[ParameterName, int] | None = None
) -> dict[str, int]:
    """Add a network to a program, reading its inputs from `inputs`; returns the node of each stage, by name.

    `parameters` maps parameters that are variables to the nodes that hold them; the others are the stored constants. Raises
    UnsupportedError on the sign function, which no operation on reals is.
    """
    free = parameters or {}
    given = iter(inputs)
    nodes: list[int] = []
    for stage in network.stages:
        if isinstance(stage.layer, RealInput):
            nodes.append(next(given))
        else:
            shapes = [network.stages[a].shape for a in stage.arguments]
            nodes.append(_lower_stage(builder, stage, shapes, [nodes[a] for a in stage.arguments], free))
    return {stage.name: node for stage, node in zip(network.stages, nodes, strict=True)}


def enclose(network: RealGraph, values: object, digits: int = DIGITS[0]) -> tuple[ExactArray, ExactArray]:
    """Return rationals below and above the first output, in its shape, for exact values of the one input."""
    point = exact(values)
    if len(network.inputs) != 1:
        raise ShapeError("several inputs", given=[s.name for s in network.inputs], expected="a network with one input")
    check_one(point.shape, network.inputs[0].shape, f"values for input {network.inputs[0].name!r}")
    builder = RealBuilder()
    flat = point.reshape(-1)
    nodes = lower(builder, network, [builder.input("x", flat, flat)])  # a constant would be folded, number by number
    stage = network.stages[network.outputs[0]]
    found = evaluate(builder.program, {"x": flat}, digits)[nodes[stage.name]]
    lower_ends, upper_ends = (
        np.array(ends, dtype=object).reshape(stage.shape) for ends in ([e.lower for e in found], [e.upper for e in found])
    )
    return lower_ends, upper_ends


def _lower_stage(b: RealBuilder, stage: RealStage, shapes: list[tuple[int, ...]], x: list[int], free: Mapping[ParameterName, int]) -> int:
    layer = stage.layer
    match layer:
        case RealInput():
            raise AssertionError("inputs are lowered by the caller")
        case RealDense() | RealConv2D():
            return activate(b, layer.activation, _sum(b, stage, layer, shapes[0], x[0], free), stage.shape[-1])
        case RealSparse():
            entries = Entries(stage.size, b.size(x[0]), layer.rows, layer.columns, layer.coefficients)
            return b.affine([(entries, x[0])], 0 if layer.bias is None else layer.bias)
        case Activate():
            return activate(b, layer.activation, x[0], stage.shape[-1])
        case Flatten():
            return x[0]
        case MaxPool2D():
            return b.maximum(x[0], _groups(layer, shapes[0]))
        case AveragePool2D():
            groups = _groups(layer, shapes[0])
            row, place = np.nonzero(groups >= 0)
            image = (shapes[0][0], shapes[0][1], shapes[0][2])
            shares = exact([Fraction(1, int(c)) for c in np.repeat(pool_counts(layer, image).reshape(-1), image[2])])
            return b.affine([(Entries(groups.shape[0], b.size(x[0]), row, groups[row, place], shares[row]), x[0])])
        case Add():
            return activate(b, sum_activation(layer), b.sum(*x), stage.shape[-1])
        case Concat():
            return _concat(b, stage, shapes, x)
        case _:
            assert_never(layer)


def _sum(
    b: RealBuilder, stage: RealStage, layer: RealDense | RealConv2D, shape: tuple[int, ...], x: int, free: Mapping[ParameterName, int]
) -> int:
    """Add the weighted sum of a layer; a kernel that is a variable makes products of weights and signals."""
    terms: list[tuple[RealMap, int]] = []
    kernel = free.get((stage.name, "kernel"))
    if kernel is None:
        terms.append((constant_map(layer, shape), x))
    else:
        rows, columns, position = connections(layer, shape)
        products = b.product(b.select(kernel, position), b.select(x, columns))
        terms.append((Entries(stage.size, rows.size, rows, np.arange(rows.size), np.ones(rows.size)), products))
    bias: ExactArray = np.zeros(stage.size)
    free_bias = free.get((stage.name, "bias"))
    channel = np.tile(np.arange(stage.shape[-1]), stage.size // stage.shape[-1])
    if free_bias is not None:
        terms.append((Entries(stage.size, stage.shape[-1], np.arange(stage.size), channel, np.ones(stage.size)), free_bias))
    elif layer.bias is not None:
        bias = layer.bias[channel]
    return b.affine(terms, bias)


def constant_map(layer: RealDense | RealConv2D, shape: tuple[int, ...]) -> RealMap:
    """Return the map of the stored kernel on an input of this shape."""
    if isinstance(layer, RealDense):
        return Matrix(layer.kernel.T)
    rows, columns, position = connections(layer, shape)
    size = int(np.prod(shape, dtype=np.int64))
    return Entries(_outputs(layer, shape), size, rows, columns, layer.kernel.reshape(-1)[position])


def connections(layer: RealDense | RealConv2D, shape: tuple[int, ...]) -> tuple[IntArray, IntArray, IntArray]:
    """Return output, input and flat kernel position of every product of a layer."""
    if isinstance(layer, RealDense):
        inputs, outputs = (int(n) for n in layer.kernel.shape)
        rows, columns = np.repeat(np.arange(outputs), inputs), np.tile(np.arange(inputs), outputs)
        return rows, columns, columns * outputs + rows
    numbered = linear.to_sparse(_convolution(layer, shape))
    return numbered.rows, numbered.columns, numbered.coefficients - 1


def _convolution(layer: RealConv2D, shape: tuple[int, ...]) -> linear.Convolution:
    """Return the convolution whose kernel is the position of each element, counted from one."""
    image = (shape[0], shape[1], shape[2])
    pads = padding_pairs(layer.padding, image[:2], layer.kernel.shape[:2], layer.stride, layer.dilation)
    positions = (np.arange(layer.kernel.size) + 1).reshape(layer.kernel.shape)
    return linear.Convolution(positions, image, layer.stride, pads, layer.dilation, layer.groups)


def _outputs(layer: RealConv2D, shape: tuple[int, ...]) -> int:
    return _convolution(layer, shape).outputs


def _groups(layer: MaxPool2D | AveragePool2D, shape: tuple[int, ...]) -> IntArray:
    """Return the flat positions in each window and channel, -1 in the padding."""
    index = pool_windows(layer, (shape[0], shape[1], shape[2]))
    rows, columns, kh, kw = index.shape
    flat = index.reshape(rows, columns, 1, kh * kw)
    places = flat + np.where(flat >= 0, np.arange(shape[2])[:, None], 0)
    return places.reshape(-1, kh * kw)


def _concat(b: RealBuilder, stage: RealStage, shapes: list[tuple[int, ...]], x: list[int]) -> int:
    terms: list[tuple[RealMap, int]] = []
    start = 0
    for node, shape in zip(x, shapes, strict=True):
        k = np.arange(b.size(node))
        terms.append((placement(k // shape[-1] * stage.shape[-1] + start + k % shape[-1], stage.size), node))
        start += shape[-1]
    return b.affine(terms)


def activate(b: RealBuilder, activation: RealActivation, v: int, classes: int) -> int:
    """Add an activation; `classes` is the length of the last axis, over which a softmax goes."""
    match activation:
        case Linear():
            return v
        case ReLU(None):
            return b.apply(Function.RELU, v)
        case ReLU(maximum):
            return _clip(b, v, Fraction(0), rational(maximum))
        case LeakyReLU(slope):
            relu = b.apply(Function.RELU, v)
            return b.sum(b.scale(v, Fraction(slope)), b.scale(relu, 1 - Fraction(slope)))
        case HardTanh():
            return _clip(b, v, Fraction(-1), Fraction(1))
        case HardSigmoid(slope, offset):
            return _clip(b, b.scale(v, Fraction(slope), Fraction(offset)), Fraction(0), Fraction(1))
        case Sigmoid():
            return b.apply(Function.SIGMOID, v)
        case Tanh():
            return b.apply(Function.TANH, v)
        case Softplus():
            return b.apply(Function.SOFTPLUS, v)
        case Exp():
            return b.apply(Function.EXP, v)
        case Softmax():
            return softmax(b, v, classes)
        case Sign():
            raise UnsupportedError(
                "the sign function is not continuous, and no operation on reals", given="Sign", expected="another activation"
            )
        case _:
            assert_never(activation)


def _clip(b: RealBuilder, v: int, lower: Fraction, upper: Fraction) -> int:
    """Add `min(upper, max(lower, v))` as `lower + relu(v - lower) - relu(v - upper)`."""
    rises, stops = b.apply(Function.RELU, b.scale(v, 1, -lower)), b.apply(Function.RELU, b.scale(v, 1, -upper))
    return b.scale(b.difference(rises, stops), 1, lower)


def softmax(b: RealBuilder, v: int, classes: int) -> int:
    """Add the softmax over runs of `classes` elements: `1 / (1 + Σ exp(v[j] - v[k]))`, which of two is a sigmoid."""
    size = b.size(v)
    own = np.arange(size)
    if classes == 1:
        return b.constant(np.ones(size))
    run, others = own // classes * classes, np.array([[j for j in range(classes) if j != k] for k in range(classes)])
    other = (run[:, None] + others[own % classes]).reshape(-1)
    rows = np.arange(other.size)
    signs = np.repeat([-1.0, 1.0] if classes == 2 else [1.0, -1.0], other.size)
    columns = np.concatenate([other, np.repeat(own, classes - 1)])
    ahead = b.affine([(Entries(other.size, size, np.tile(rows, 2), columns, signs), v)])
    if classes == 2:
        made = b.apply(Function.SIGMOID, ahead)
    else:
        total = Entries(size, other.size, rows // (classes - 1), rows, np.ones(other.size))
        made = b.apply(Function.RECIPROCAL, b.affine([(total, b.apply(Function.EXP, ahead))], 1))
    return b.keeps_order(made, v) if size == classes else made
