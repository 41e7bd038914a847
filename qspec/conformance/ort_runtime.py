"""Ask ONNX Runtime for the tensors of codes of a quantised ONNX file."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.conformance.runtime import Run, expect_installed, real_values, run_worker
from qspec.face import Network
from qspec.network.graph import Stage
from qspec.readers.onnx_file import Port, read_graph, read_proto

FUSED = ("Conv", "Gemm", "MatMul", "Add", "AveragePool", "GlobalAveragePool", "Sigmoid", "LeakyRelu")
"""Float operators that ONNX Runtime fuses with the DequantizeLinear and QuantizeLinear around them."""


def run_onnx(path: str | Path, network: Network, tensors: Sequence[str]) -> Run:
    """Return what runs a file for codes of the inputs with samples on the first axis, and puts out tensors of codes, by name.

    The file is read once, here. One without float operators runs with graph optimisation off; another one runs with it on, so that its
    float operators are fused into integer ones. Raises PackageMissingError without onnxruntime; a run raises UnsupportedError if it refuses
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
    runtime = "ort-fused" if any(n.op in FUSED for n in graph.nodes) else "ort"
    prepared: bytes = model.SerializeToString()

    def run(codes: Sequence[IntArray]) -> list[IntArray]:
        named = {stage.name: (stage, x) for stage, x in zip(network.inputs, codes, strict=True)}
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
