"""Networks on concrete codes, by the reference integers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from qspec.arithmetic.formats import code_range
from qspec.arithmetic.integers import IntArray, integers, shrink
from qspec.arithmetic.shapes import batch_axes
from qspec.errors import ShapeError
from qspec.ir import reference
from qspec.ir.integer import Program, sizes
from qspec.ir.integer_builder import Builder
from qspec.lowering.layers import Taps, lower
from qspec.network.graph import Graph, Stage
from qspec.network.layers import Input

CACHED = 1 << 16
"""Numbers of the widest node that are computed at a time: what stays near the processor."""


@lru_cache(maxsize=8)
def program(network: Graph) -> tuple[Program, Mapping[str, Taps]]:
    """Return the network as a program over all codes of its inputs, and what can be observed of each stage; the last few are kept."""
    builder = Builder()
    nodes: list[int] = []
    for stage in network.inputs:
        assert isinstance(stage.layer, Input)
        nodes.append(builder.input(stage.name, *code_range(stage.layer.format, stage.layer.shape)))
    taps = lower(builder, network, nodes)
    return builder.program, taps


def evaluate(network: Graph, codes: object) -> IntArray:
    """Return the codes of the first output, shape (..., *output shape), for codes of the one input, shape (..., *input shape)."""
    if len(network.inputs) != 1:
        raise ShapeError("several inputs", given=[s.name for s in network.inputs], expected="a network with one input", advice="use trace")
    stage = network.stages[network.outputs[0]]
    return _stored(network, {network.inputs[0].name: codes}, [stage])[stage.name]


def trace(network: Graph, codes: dict[str, object]) -> dict[str, IntArray]:
    """Return the output codes of every layer, shape (..., *layer shape), for codes of each input.

    Raises ShapeError or FormatError on a misfit.
    """
    return _stored(network, codes, network.stages)


def _stored(network: Graph, codes: dict[str, object], stages: Sequence[Stage]) -> dict[str, IntArray]:
    """Return the output codes of these layers."""
    nodes, taps = program(network)
    names = [stage.name for stage in network.inputs]
    if sorted(codes) != sorted(names):
        raise ShapeError("codes are given for each input", given=", ".join(codes) or "nothing", expected=", ".join(names))
    assignment = {stage.name: _flat(stage, integers(codes[stage.name])) for stage in network.inputs}
    try:
        batch = np.broadcast_shapes(*(own.shape[:-1] for own in assignment.values()))
    except ValueError:
        shapes = {name: own.shape[:-1] for name, own in assignment.items()}
        raise ShapeError("batches do not fit together", given=shapes, expected="equal leading axes, or axes that broadcast") from None
    outputs = [taps[s.name].output for s in stages]
    wide = {name: np.broadcast_to(own, (*batch, own.shape[-1])).reshape(-1, own.shape[-1]) for name, own in assignment.items()}
    rows, block = int(np.prod(batch, dtype=np.int64)), max(1, CACHED // max(sizes(nodes)))
    parts = [_values(nodes, {name: own[k : k + block] for name, own in wide.items()}, outputs) for k in range(0, max(1, rows), block)]
    return {
        s.name: shrink(np.concatenate(own)).reshape(*batch, *s.type.shape) for s, own in zip(stages, zip(*parts, strict=True), strict=True)
    }


def _values(nodes: Program, assignment: dict[str, IntArray], outputs: Sequence[int]) -> list[IntArray]:
    """Return the values of some nodes for a few rows of inputs, (rows, size)."""
    rows = len(next(iter(assignment.values())))
    values = reference.evaluate(nodes, assignment)
    return [np.broadcast_to(values[k], (rows, values[k].shape[-1])) for k in outputs]


def _flat(stage: Stage, codes: IntArray) -> IntArray:
    """Return the codes of an input as shape (..., size); they may come in its shape or flat."""
    flat = codes.reshape(*batch_axes(codes.shape, stage.type.shape, f"codes for input {stage.name!r}"), stage.type.size)
    check_input_codes(stage.name, stage.layer, flat)
    return flat


def check_input_codes(name: str, layer: object, codes: IntArray) -> None:
    """Raise ShapeError unless codes of an input, flat in their last axis, lie in its format."""
    assert isinstance(layer, Input)
    low, high = code_range(layer.format, layer.shape)
    if np.any(codes < low) or np.any(codes > high):
        bad = codes[(codes < low) | (codes > high)].flat[0]
        raise ShapeError(f"code outside the format of input {name!r}", given=int(bad), expected=f"{low.min()}..{high.max()}")
