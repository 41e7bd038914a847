"""Ask the executor of the package qonnx for the tensors of a QONNX file."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.conformance.runtime import Run, expect_installed, run_worker
from qspec.face import Network
from qspec.network.graph import Stage
from qspec.readers.onnx_file import QUANTIZERS, is_qonnx, read_graph, read_proto
from qspec.readers.qonnx import TensorOfNumbers
from qspec.runtimes.qonnx import start

DOMAIN = "qonnx.custom_op.general"


def run_qonnx(path: str | Path, network: Network, tensors: Sequence[TensorOfNumbers]) -> Run:
    """Return what runs a file for codes of the inputs with samples on the first axis, and puts out tensors of floats.

    The file is read once, here. Raises PackageMissingError without qonnx; a run raises UnsupportedError if it refuses the file or fails.
    """
    expect_installed("qonnx")
    graph = read_graph(path, quantizers=True)
    onnx: Any = import_module("onnx")
    model: Any = read_proto(path)
    _use_one_domain(onnx, model)
    order = list(dict.fromkeys(t.name for t in tensors))
    onnx.helper.set_model_props(model, {"tensors": "\n".join(order)})  # the worker reads which are wanted
    prepared: bytes = model.SerializeToString()

    def run(codes: Sequence[IntArray]) -> list[IntArray]:
        named = {stage.name: (stage, x) for stage, x in zip(network.inputs, codes, strict=True)}
        inputs: list[IntArray] = []
        for name, port in graph.inputs.items():
            stage, x = named.get(name) or named["x"]
            inputs.append(_values(stage, x).reshape(len(x), *(1 if n is None else n for n in port.shape)))
        found = run_worker("qonnx", prepared, inputs, len(order), Path(path).name)
        return [found[order.index(t.name)] for t in tensors]

    return run


def _values(stage: Stage, codes: IntArray) -> Any:
    """Return the float32 numbers that codes of an input stand for."""
    grid = stage.type.grid
    return start(codes - np.array(grid.zeros, dtype=np.int64), np.array(grid.units, dtype=object), exact=False)


def _use_one_domain(onnx: Any, model: Any) -> None:
    """Give the operators of QONNX the domain under which the package knows them, with the version of the file."""
    versions = [o.version for o in model.opset_import if is_qonnx(o.domain)]
    for node in model.graph.node:
        if node.op_type in QUANTIZERS and (not node.domain or is_qonnx(node.domain)):
            node.domain = DOMAIN
    kept = [o for o in model.opset_import if not is_qonnx(o.domain)]
    copies = [onnx.OperatorSetIdProto.FromString(o.SerializeToString()) for o in kept]
    del model.opset_import[:]
    model.opset_import.extend([*copies, onnx.helper.make_opsetid(DOMAIN, max(versions, default=1))])
