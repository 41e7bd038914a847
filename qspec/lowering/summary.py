"""A network as a table of plain text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import numpy as np

from qspec.arithmetic.formats import Format, PerChannel
from qspec.arithmetic.integers import IntArray
from qspec.arithmetic.tensor import Tensor
from qspec.bounds.interval import Interval, bound
from qspec.lowering.evaluate import program
from qspec.lowering.layers import Taps
from qspec.network.activations import Lookup
from qspec.network.graph import Graph, RealGraph, Stage
from qspec.network.kernel_layers import Constant, Multiplier, Pad, Reinterpret, Reshape, Thresholds, Transpose
from qspec.network.layers import Add, AveragePool2D, Concat, Conv2D, Dense, Feature, Flatten, Input, MaxPool2D, Requantize
from qspec.network.real_layers import Activate, RealConv2D, RealDense, RealInput, RealLayer, RealSparse

HEADER = ("layer", "kind", "reads", "shape", "format", "parameters", "accumulator")


def summary(network: Graph) -> str:
    """Return a table of the layers, the totals, and the features of the inputs.

    `accumulator` is the width in bits, in two's complement, of the exact sum over all codes of the inputs, by interval bounds: no input
    needs more. Storage counts each parameter at the width of its format.
    """
    nodes, taps = program(network)
    known = bound(nodes)
    rows = [HEADER, *(_row(network, stage, taps[stage.name], known) for stage in network.stages)]
    stored = [t for stage in network.stages for t in _parameters(stage)]
    count = sum(t.codes.size for t in stored)
    size = -(-sum(_bits(t) for t in stored) // 8)
    outputs = ", ".join(network.stages[o].name for o in network.outputs)
    title = network.name if network.semantics == "exact" else f"{network.name}, as {network.semantics} computes it"
    lines = [title, "", *aligned(rows), "", f"parameters: {count:,} in {size:,} bytes", f"outputs: {outputs}"]
    for stage in network.inputs:
        if isinstance(stage.layer, Input) and stage.layer.features:
            lines += ["", f"features of {stage.name}", *aligned([_feature(f) for f in stage.layer.features])]
    return "\n".join(lines)


def real_summary(network: RealGraph) -> str:
    """Return a table of the layers of a real network, and how many exact numbers it stores."""
    rows = [("layer", "kind", "reads", "shape", "parameters")]
    total = 0
    for stage in network.stages:
        count = _stored(stage.layer)
        total += count
        reads = ", ".join(network.stages[a].name for a in stage.arguments)
        kind = type(stage.layer).__name__.removeprefix("Real")
        rows.append((stage.name, kind, reads, "x".join(map(str, stage.shape)), f"{count:,}" if count else ""))
    outputs = ", ".join(network.stages[o].name for o in network.outputs)
    return "\n".join([network.name, "", *aligned(rows), "", f"parameters: {total:,} exact numbers", f"outputs: {outputs}"])


def _stored(layer: RealLayer) -> int:
    """Return how many numbers a layer of reals stores."""
    match layer:
        case RealDense() | RealConv2D():
            return layer.kernel.size + (0 if layer.bias is None else layer.bias.size)
        case RealSparse():
            return layer.coefficients.size + (0 if layer.bias is None else layer.bias.size)
        case RealInput() | Activate() | AveragePool2D() | MaxPool2D() | Flatten() | Add() | Concat():
            return 0
        case _:
            assert_never(layer)


def signed_width(values: Interval) -> int:
    """Return the least width of two's complement that holds every value."""
    least, most = (int(values.lower.min()), int(values.upper.max())) if values.lower.size else (0, 0)
    return 1 + max(most.bit_length() if most > 0 else 0, (~least).bit_length() if least < 0 else 0)


def _row(network: Graph, stage: Stage, tap: Taps, known: Sequence[Interval]) -> tuple[str, ...]:
    reads = ", ".join(network.stages[a].name for a in stage.arguments)
    shape = "x".join(map(str, stage.type.shape))
    count = sum(t.codes.size for t in _parameters(stage))
    return (
        stage.name,
        type(stage.layer).__name__,
        reads,
        shape,
        _format(stage),
        f"{count:,}" if count else "",
        _accumulator(stage, tap, known),
    )


def _accumulator(stage: Stage, tap: Taps, known: Sequence[Interval]) -> str:
    if tap.accumulator is None:
        return ""
    exact = f"{signed_width(known[tap.accumulator])} bits"
    declared = stage.layer.accumulator if isinstance(stage.layer, Dense | Conv2D) else None
    return exact if declared is None else f"{exact}, declared {declared}"


def _format(stage: Stage) -> str:
    chosen: Format | None
    match stage.layer:
        case Input():
            chosen = stage.layer.format
        case Dense() | Conv2D():
            chosen = stage.layer.output or stage.layer.accumulator
        case AveragePool2D() | Add() | Concat() | Requantize():
            chosen = stage.layer.output
        case Reinterpret() | Multiplier() | Thresholds():
            chosen = stage.layer.format
        case Constant(value):
            chosen = value.format
        case MaxPool2D() | Flatten() | Reshape() | Transpose() | Pad():
            return "as read"
        case _:
            assert_never(stage.layer)
    if chosen is not None:
        return str(chosen)
    if isinstance(stage.layer, Concat):
        return "as read"
    units = {str(u) for u in stage.type.grid.units}
    return f"exact, unit {units.pop()}" if len(units) == 1 else "exact, units per channel"


def _parameters(stage: Stage) -> list[Tensor]:
    """Return the tensors that a layer stores: kernel, bias, and the table of its activation."""
    match stage.layer:
        case Dense() | Conv2D():
            own = [stage.layer.kernel, *([] if stage.layer.bias is None else [stage.layer.bias])]
            activation = stage.layer.activation
        case Add() | Requantize():
            own, activation = list[Tensor](), stage.layer.activation
        case Constant(value):
            return [value]
        case Input() | AveragePool2D() | MaxPool2D() | Concat() | Flatten() | Reshape() | Transpose() | Pad() | Reinterpret():
            return []
        case Multiplier() | Thresholds():
            return []
        case _:
            assert_never(stage.layer)
    return [*own, activation.outputs] if isinstance(activation, Lookup) else own


def _bits(tensor: Tensor) -> int:
    fmt = tensor.format
    if not isinstance(fmt, PerChannel):
        return tensor.codes.size * fmt.width
    widths: IntArray = np.array([f.width for f in fmt.formats])
    return int(np.sum(widths)) * (tensor.codes.size // widths.size)


def _feature(feature: Feature) -> tuple[str, str]:
    return feature.name, f"one of {', '.join(feature.categories)}" if feature.categories else f"{feature.lower}..{feature.upper}"


def aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return rows as lines whose columns stand under each other."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
