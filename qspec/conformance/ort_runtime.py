"""Ask ONNX Runtime for the tensors of codes of a quantised ONNX file, and find the rounding errors that it has made."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from qspec.arithmetic.formats import Affine
from qspec.arithmetic.integers import IntArray
from qspec.conformance.runtime import Run, expect_installed, given_inputs, real_values, run_worker
from qspec.face import Network
from qspec.lowering.evaluate import trace
from qspec.network.graph import Stage
from qspec.network.kernel_layers import Reinterpret, Reshape, Thresholds, Transpose
from qspec.network.layers import Add, Input
from qspec.readers.onnx_file import Port, read_graph, read_proto

FUSED = ("Conv", "Gemm", "MatMul", "Add", "AveragePool", "GlobalAveragePool", "Sigmoid", "LeakyRelu")
"""Float operators that ONNX Runtime fuses with the DequantizeLinear and QuantizeLinear around them."""


def run_onnx(path: str | Path, network: Network, tensors: Sequence[str], semantics: str) -> Run:
    """Return what runs a file for codes of the inputs with samples on the first axis, and puts out tensors of codes, by name.

    The file is read once, here. It runs with graph optimisation off, unless it has float operators that the semantics "ort-qlinear" has
    fused into integer ones. Raises PackageMissingError without onnxruntime; a run raises UnsupportedError if it refuses
    the file or fails.
    """
    expect_installed("ort-qlinear")
    graph = read_graph(path)
    onnx: Any = import_module("onnx")
    model: Any = read_proto(path)
    present: set[str] = {o.name for o in model.graph.output}
    for name in tensors:
        if name not in present:
            model.graph.output.append(onnx.ValueInfoProto(name=name))
    order: list[str] = [o.name for o in model.graph.output]
    runtime = "ort-fused" if semantics == "ort-qlinear" and any(n.op in FUSED for n in graph.nodes) else "ort"
    prepared: bytes = model.SerializeToString()

    def run(codes: Sequence[IntArray]) -> list[IntArray]:
        named = {stage.name: (stage, x) for stage, x in zip(given_inputs(network), codes, strict=True)}
        given = [named.get(name) or (named.get("x") if len(graph.inputs) == 1 else None) for name in graph.inputs]
        inputs = [_values(known, len(codes[0]), port) for known, port in zip(given, graph.inputs.values(), strict=True)]
        found = run_worker(runtime, prepared, inputs, len(order), Path(path).name)
        return [found[order.index(name)] for name in tensors]

    return run


def _values(known: tuple[Stage, IntArray] | None, samples: int, port: Port) -> IntArray:
    """Return what an input of the file is: codes, or the float values of codes, in its own shape; zeros where nothing reads it."""
    full = (samples, *(1 if n is None else n for n in port.shape))
    if known is None:
        return np.zeros(full, np.float32 if port.type == "FLOAT" else np.dtype(port.type.lower()))
    stage, codes = known
    if port.type != "FLOAT":
        return codes.astype(np.dtype(port.type.lower())).reshape(full)
    return real_values(stage, codes).reshape(full)


def followed(network: Network, tensors: Sequence[str], inputs: dict[str, object], found: Sequence[IntArray]) -> dict[str, object]:
    """Return codes of all inputs: those given, and rounding errors within their bounds with which layers put out what a session found.

    `tensors` are the stages that stand for what was found. Layers are taken in order, each with what the session gave those before it.
    """
    codes = dict(inputs)
    codes |= {s.name: np.zeros(s.type.shape, np.int64) for s in network.inputs if s.name not in inputs}
    places = {stage.name: k for k, stage in enumerate(network.stages)}
    theirs = dict(_unmoved(network, places[name], own) for name, own in zip(tensors, found, strict=True))
    for k, stage in enumerate(network.stages):
        if not (isinstance(stage.layer, Thresholds) and isinstance(network.stages[stage.arguments[0]].layer, Add) and k in theirs):
            continue
        sums, errors = (network.stages[a] for a in network.stages[stage.arguments[0]].arguments)
        if errors.name in inputs or not isinstance(errors.layer, Input):
            continue
        own = trace(network, codes)[sums.name]
        codes[errors.name] = _errors(stage.layer, own, theirs[k].reshape(own.shape), errors.layer)
    return codes


def _errors(stage: Thresholds, sums: IntArray, codes: IntArray, errors: Input) -> IntArray:
    """Return the least errors with which sums have these codes, cut to their bounds."""
    assert isinstance(errors.format, Affine)
    rows = np.broadcast_to(stage.thresholds, (sums.shape[-1], stage.thresholds.shape[1]))
    ends = np.pad(rows, ((0, 0), (1, 1)), constant_values=((0, 0), (-(2**40), 2**40)))
    place = np.clip(codes - stage.base, 0, rows.shape[1])
    channel: IntArray = np.arange(int(sums.shape[-1]))
    least, most = ends[channel, place] - sums, ends[channel, place + 1] - 1 - sums
    return np.clip(np.clip(0, least, most), errors.format.lower, errors.format.upper)


def _unmoved(network: Network, place: int, codes: IntArray) -> tuple[int, IntArray]:
    """Return the stage behind which codes were only moved, and the codes as they lay there, samples first."""
    stage = network.stages[place]
    shaped = np.asarray(codes).astype(np.int64).reshape(len(codes), *stage.type.shape)
    while isinstance(stage.layer, Transpose | Reshape | Reinterpret):
        if isinstance(stage.layer, Transpose):
            shaped = shaped.transpose(0, *(1 + np.argsort(stage.layer.axes)))
        place = stage.arguments[0]
        stage = network.stages[place]
        shaped = shaped.reshape(len(codes), *stage.type.shape)
    return place, shaped
