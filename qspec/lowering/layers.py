"""What every layer computes, as integer operations: the semantics of networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import lcm
from typing import assert_never

import numpy as np

from qspec.arithmetic.formats import Grid
from qspec.arithmetic.integers import IntArray, integers, magnitude, widen
from qspec.ir import linear
from qspec.ir.integer_builder import Builder
from qspec.ir.linear import Convolution, LinearMap
from qspec.lowering.kernels import lower_kernel
from qspec.lowering.requantize import requantize
from qspec.network.activations import Activation, Linear, ReLU
from qspec.network.graph import Graph, Stage
from qspec.network.kernel_layers import Constant, Multiplier, Pad, Reinterpret, Reshape, Thresholds, Transpose
from qspec.network.layers import Add, AveragePool2D, Concat, Conv2D, Dense, Flatten, Input, Layer, MaxPool2D, Requantize
from qspec.network.shapes import padding_pairs
from qspec.network.types import Type, accumulator_grid, pool_counts, pool_windows, spread

ParameterName = tuple[str, str]
"""A stored parameter: the name of its stage, and "kernel" or "bias"."""


@dataclass(frozen=True, slots=True, eq=False)
class Taps:
    """What can be observed of one stage: nodes, with the unit of one LSB per element and the zero code.

    `accumulator` is the exact sum. `held` adds the code of a declared accumulator before it overflows, `rounded` the output code before it
    overflows, once they are asked for; both are None where nothing overflows.
    """

    output: int
    accumulator: int | None = None
    accumulator_units: np.ndarray | None = None
    held: Callable[[], int] | None = None
    rounded: Callable[[], int] | None = None


def lower(
    builder: Builder, network: Graph, inputs: Sequence[int], parameters: Mapping[ParameterName, int] | None = None
) -> dict[str, Taps]:
    """Add a network to a program, reading the codes of its inputs from `inputs`; returns what can be observed of each stage, by name.

    `parameters` maps parameters that are variables to the nodes that hold their codes; the others are the stored constants.
    """
    free = parameters or {}
    codes = iter(inputs)
    taps: list[Taps] = []
    for stage in network.stages:
        if isinstance(stage.layer, Input):
            taps.append(Taps(next(codes)))
            continue
        types = [network.stages[a].type for a in stage.arguments]
        taps.append(_lower_stage(builder, stage, types, [taps[a].output for a in stage.arguments], free))
    return {stage.name: tap for stage, tap in zip(network.stages, taps, strict=True)}


def _lower_stage(builder: Builder, stage: Stage, types: list[Type], x: list[int], free: Mapping[ParameterName, int]) -> Taps:
    layer = stage.layer
    match layer:
        case Input():
            raise AssertionError("inputs are lowered by the caller")
        case Flatten():
            return Taps(x[0])
        case MaxPool2D():
            return Taps(builder.maximum(x[0], pool_groups(layer, types[0])))
        case Dense() | Conv2D():
            if (stage.name, "kernel") in free:
                node = _variable_sum(builder, stage, types[0], x[0], free)
            else:
                weights, bias = constant_sum(layer, types[0])
                terms = [(weights, x[0])]
                if layer.bias is not None and (stage.name, "bias") in free:
                    terms.append((_bias_map(layer, types[0], stage.type), free[stage.name, "bias"]))
                    bias = bias - _bias_codes(layer, types[0], stage.type)
                node = builder.affine(terms, bias)
            return _finish(builder, node, _units(accumulator_grid(layer, types[0])), stage, layer.activation)
        case AveragePool2D():
            weights = _average_map(layer, types[0])
            node = builder.affine([(weights, x[0])], -linear.apply(weights, _zero_codes(types[0])))
            return _finish(builder, node, _units(accumulator_grid(layer, types[0])), stage, Linear())
        case Add():
            return _add(builder, stage, layer, types, x)
        case Concat():
            return _concat(builder, stage, layer, types, x)
        case Requantize():
            return _finish(builder, builder.scale(x[0], 1, -_zero_codes(types[0])), _units(types[0].grid), stage, layer.activation)
        case Reinterpret() | Reshape() | Transpose() | Pad() | Constant() | Multiplier() | Thresholds():
            return Taps(lower_kernel(builder, layer, types, x))
        case _:
            assert_never(layer)


def _finish(builder: Builder, node: int, units: np.ndarray, stage: Stage, activation: Activation) -> Taps:
    """Add the declared accumulator, the activation and the output format of a stage; `units` are one, or one per entry of the last axis."""
    layer: Layer = stage.layer
    shape = stage.type.shape
    held: Callable[[], int] | None = None
    exact, exact_units = node, np.tile(units, stage.type.size // len(units))
    if isinstance(layer, Dense | Conv2D) and layer.accumulator is not None:
        kept = requantize(builder, node, units, layer.accumulator, shape, Linear())
        held, node = kept.rounded, kept.code
        units = _units(layer.accumulator.grid())
    output = layer.output if isinstance(layer, Dense | Conv2D | AveragePool2D | Add | Requantize | Concat) else None
    if output is None:
        code = builder.clamp(node, 0, None) if isinstance(activation, ReLU) else node
        return Taps(code, exact, exact_units, held)
    done = requantize(builder, node, units, output, shape, activation)
    return Taps(done.code, exact, exact_units, held, done.rounded)


def _units(grid: Grid) -> np.ndarray:
    """Return the units of all channels, or the one of all."""
    return np.array(grid.units, dtype=object)


def _zero_codes(x: Type) -> IntArray:
    """Return the zero code of every element."""
    return np.tile(integers(x.grid.zeros), x.size // x.grid.channels)


@lru_cache(maxsize=64)
def constant_sum(layer: Dense | Conv2D, x: Type) -> tuple[LinearMap, IntArray]:
    """Return the map from input codes to the exact accumulator, and its bias (zero points folded in); kept for the next query."""
    kernel = _centred(layer)
    bound = magnitude(kernel) * magnitude(_product_factors(layer, x))
    weights = _as_map(layer, x, widen(kernel, bound) * widen(_product_factors(layer, x), bound))
    bias = -linear.apply(weights, _zero_codes(x))
    repeats = bias.size // layer.kernel.shape[-1]
    if layer.bias is None:
        return weights, bias
    stored = np.tile(
        _bias_factors(layer, x) * (widen(layer.bias.codes, 2**62) - _zeros(layer.bias.format.grid().zeros, layer.kernel.shape[-1])), repeats
    )
    return weights, integers(stored + bias)


def _as_map(layer: Dense | Conv2D, x: Type, kernel: IntArray) -> LinearMap:
    if isinstance(layer, Dense):
        return linear.Dense(integers(kernel).T)
    image = (x.shape[0], x.shape[1], x.shape[2])
    pads = padding_pairs(layer.padding, image[:2], layer.kernel.shape[:2], layer.stride, layer.dilation)
    return Convolution(integers(kernel), image, layer.stride, pads, layer.dilation, layer.groups)


def _zeros(zeros: tuple[int, ...], channels: int) -> IntArray:
    return np.array(zeros * (channels if len(zeros) == 1 else 1), dtype=object)


def _centred(layer: Dense | Conv2D) -> IntArray:
    """Kernel codes less their zero points."""
    return integers(widen(layer.kernel.codes, 2**62) - _zeros(layer.kernel.format.grid().zeros, layer.kernel.shape[-1]))


def _product_factors(layer: Dense | Conv2D, x: Type) -> IntArray:
    """Multiples of the accumulator's unit that a product of one kernel LSB and one input LSB is worth; broadcasts to the kernel."""
    channels = layer.kernel.shape[-1]
    unit = spread(accumulator_grid(layer, x).units, channels)
    kernel = spread(layer.kernel.format.grid().units, channels)
    if x.grid.channels == 1:
        return integers([int(k * x.grid.units[0] / u) for k, u in zip(kernel, unit, strict=True)])
    depth, per_group = layer.kernel.shape[-2], channels // (layer.groups if isinstance(layer, Conv2D) else 1)
    columns = [[int(kernel[o] * x.grid.units[(o // per_group) * depth + i] / unit[o]) for o in range(channels)] for i in range(depth)]
    return integers(columns)


def _bias_factors(layer: Dense | Conv2D, x: Type) -> IntArray:
    assert layer.bias is not None
    channels = layer.kernel.shape[-1]
    unit, bias = spread(accumulator_grid(layer, x).units, channels), spread(layer.bias.format.grid().units, channels)
    return np.array([int(b / u) for b, u in zip(bias, unit, strict=True)], dtype=object)


def _bias_map(layer: Dense | Conv2D, x: Type, out: Type) -> LinearMap:
    """Map from bias codes to the accumulators, without zero points."""
    channels = layer.kernel.shape[-1]
    column = np.tile(np.arange(channels), out.size // channels)
    return linear.sparse(out.size, channels, np.arange(out.size), column, integers(_bias_factors(layer, x))[column])


def _bias_codes(layer: Dense | Conv2D, x: Type, out: Type) -> IntArray:
    """What the stored bias codes add to each accumulator, without zero points."""
    assert layer.bias is not None
    return linear.apply(_bias_map(layer, x, out), layer.bias.codes)


def _variable_sum(builder: Builder, stage: Stage, x: Type, node: int, free: Mapping[ParameterName, int]) -> int:
    """Add the accumulator with kernel codes as variables: every product of a weight and an input becomes a node element."""
    layer = stage.layer
    assert isinstance(layer, Dense | Conv2D)
    size = layer.kernel.codes.size
    numbered = linear.to_sparse(_as_map(layer, x, (np.arange(size) + 1).reshape(layer.kernel.shape)))
    position = numbered.coefficients - 1
    zeros = np.broadcast_to(_zeros(layer.kernel.format.grid().zeros, layer.kernel.shape[-1]), layer.kernel.shape).reshape(-1)
    factors = np.broadcast_to(_product_factors(layer, x), layer.kernel.shape).reshape(-1)
    x_zeros = _zero_codes(x)
    weights = builder.affine([(linear.selection(position, size), free[stage.name, "kernel"])], -integers(zeros[position]))
    inputs = builder.affine([(linear.selection(numbered.columns, numbered.inputs), node)], -x_zeros[numbered.columns])
    products = builder.product(weights, inputs)
    gather = linear.sparse(numbered.outputs, position.size, numbered.rows, np.arange(position.size), factors[position])
    terms: list[tuple[LinearMap, int]] = [(gather, products)]
    bias: IntArray = np.zeros(numbered.outputs, dtype=np.int64)
    if layer.bias is not None:
        channels = layer.kernel.shape[-1]
        offset = _zeros(layer.bias.format.grid().zeros, channels) * _bias_factors(layer, x)
        bias = -integers(np.tile(offset, numbered.outputs // channels))
        if (stage.name, "bias") in free:
            terms.append((_bias_map(layer, x, stage.type), free[stage.name, "bias"]))
        else:
            bias = bias + _bias_codes(layer, x, stage.type)
    return builder.affine(terms, bias)


def pool_groups(layer: MaxPool2D, x: Type) -> IntArray:
    """Return the flat positions that each element of the result is the maximum of, -1 in the padding."""
    index = pool_windows(layer, (x.shape[0], x.shape[1], x.shape[2]))
    rows, columns, kh, kw = index.shape
    places = index.reshape(rows, columns, 1, kh * kw) + np.where(
        index.reshape(rows, columns, 1, kh * kw) >= 0, np.arange(x.shape[2])[:, None], 0
    )
    return np.broadcast_to(places, (rows, columns, x.shape[2], kh * kw)).reshape(-1, kh * kw)


def _average_map(layer: AveragePool2D, x: Type) -> LinearMap:
    """Map from input codes to the mean, in units of the accumulator."""
    image = (x.shape[0], x.shape[1], x.shape[2])
    counts, groups = pool_counts(layer, image), pool_groups(MaxPool2D(layer.window, layer.stride, layer.padding), x)
    whole = lcm(*{int(c) for c in counts.flat})
    share = np.repeat((whole // counts).reshape(-1), x.shape[2])
    row, place = np.nonzero(groups >= 0)
    return linear.sparse(groups.shape[0], x.size, row, groups[row, place], share[row])


def _add(builder: Builder, stage: Stage, layer: Add, types: list[Type], x: list[int]) -> Taps:
    units = accumulator_grid(layer, *types).units
    terms: list[tuple[LinearMap, int]] = []
    bias: IntArray = np.zeros(len(units), dtype=object)
    for node, t in zip(x, types, strict=True):
        factor = integers([int(o / u) for o, u in zip(spread(t.grid.units, len(units)), units, strict=True)])
        terms.append((linear.diagonal(np.tile(factor, t.size // factor.size)), node))
        bias = bias - widen(factor, 2**62) * _zeros(t.grid.zeros, len(units))
    whole = np.tile(integers(bias), stage.type.size // len(units))
    return _finish(builder, builder.affine(terms, whole), np.array(units, dtype=object), stage, layer.activation)


def _concat(builder: Builder, stage: Stage, layer: Concat, types: list[Type], x: list[int]) -> Taps:
    terms: list[tuple[LinearMap, int]] = []
    units, zeros = [u for t in types for u in spread(t.grid.units, t.shape[-1])], np.zeros(stage.type.size, dtype=np.int64)
    width, start = stage.type.shape[-1], 0
    for node, t in zip(x, types, strict=True):
        own = t.shape[-1]
        index = (np.arange(t.size) // own) * width + start + np.arange(t.size) % own
        zeros[index] = _zero_codes(t)
        terms.append((linear.placement(index, stage.type.size), node))
        start += own
    if layer.output is None:
        return Taps(builder.affine(terms))
    return _finish(builder, builder.affine(terms, -zeros), np.array(units, dtype=object), stage, Linear())
