"""Run a file in its real runtime: a script in a process of its own, because a runtime may end the process it runs in.

`worker.py RUNTIME MODEL INPUTS OUTPUTS`: inputs and outputs are `.npz` files with one array per tensor, the first axis over samples.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

ARENA = 1 << 26
"""Bytes for the tensors of TensorFlow Lite Micro."""


def tflm(content: bytes, inputs: list[Any], outputs: int) -> list[list[Any]]:
    """Run every sample in TensorFlow Lite Micro."""
    runtime = import_module("tflite_micro").runtime
    interpreter = runtime.Interpreter.from_bytes(content, arena_size=ARENA)
    rows: list[list[Any]] = []
    for sample in range(len(inputs[0])):
        for k, x in enumerate(inputs):
            interpreter.set_input(x[sample][None], k)
        interpreter.invoke()
        rows.append([np.array(interpreter.get_output(k))[0] for k in range(outputs)])
    return rows


def litert(content: bytes, inputs: list[Any], outputs: int, resolver: str) -> list[list[Any]]:
    """Run every sample in LiteRT, on one thread, with the kernels of a resolver."""
    module = import_module("ai_edge_litert.interpreter")
    kinds = getattr(module.OpResolverType, resolver)
    interpreter = module.Interpreter(model_content=content, num_threads=1, experimental_op_resolver_type=kinds)
    interpreter.allocate_tensors()
    given, found = interpreter.get_input_details(), interpreter.get_output_details()
    rows: list[list[Any]] = []
    for sample in range(len(inputs[0])):
        for k, x in enumerate(inputs):
            interpreter.set_tensor(given[k]["index"], x[sample][None])
        interpreter.invoke()
        rows.append([interpreter.get_tensor(found[k]["index"])[0].copy() for k in range(outputs)])
    return rows


def ort(content: bytes, inputs: list[Any], outputs: int, level: str) -> list[list[Any]]:
    """Run every sample in ONNX Runtime, on one thread, at a level of graph optimisation; int8 is fused into integer operators, too."""
    module = import_module("onnxruntime")
    options = module.SessionOptions()
    options.graph_optimization_level = getattr(module.GraphOptimizationLevel, level)
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = module.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    return [session.run(None, {n: x[sample] for n, x in zip(names, inputs, strict=True)})[:outputs] for sample in range(len(inputs[0]))]


def qonnx(content: bytes, inputs: list[Any]) -> list[list[Any]]:
    """Run every sample in the executor of the package qonnx, one sample at a time, and return the tensors that its properties name.

    Files name its domain in several ways; the one-node models that the executor makes are written for the onnxruntime that is installed.
    Sessions are kept from sample to sample.
    """
    onnx: Any = import_module("onnx")
    onnx.IR_VERSION = 10
    executor: Any = import_module("qonnx.core.onnx_exec")
    executor.rt = SimpleNamespace(InferenceSession=lru_cache(maxsize=None)(executor.rt.InferenceSession))
    model = onnx.load_model_from_string(content)
    names = next(p.value for p in model.metadata_props if p.key == "tensors").split("\n")
    wrapper = import_module("qonnx.core.modelwrapper").ModelWrapper(model)
    infer = import_module("qonnx.transformation.infer_shapes").InferShapes
    fold = import_module("qonnx.transformation.fold_constants").FoldConstants
    for step in (infer(), fold(exclude_op_types=[]), infer()):
        wrapper = wrapper.transform(step)
    stored = {t.name for t in wrapper.graph.initializer}
    given = [i.name for i in wrapper.graph.input if i.name not in stored]
    rows: list[list[Any]] = []
    for sample in range(len(inputs[0])):
        found = executor.execute_onnx(wrapper, {n: x[sample] for n, x in zip(given, inputs, strict=True)}, True)
        rows.append([np.asarray(found[n]) for n in names])
    return rows


LEVELS = {"ort": "ORT_DISABLE_ALL", "ort-fused": "ORT_ENABLE_EXTENDED"}
RESOLVERS = {"litert-reference": "BUILTIN_REF", "litert-optimized": "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "xnnpack": "AUTO"}


def main(runtime: str, model: str, inputs: str, outputs: str) -> None:
    """Run a file, and write what it puts out."""
    content = Path(model).read_bytes()
    with np.load(inputs) as stored:
        count = int(stored["outputs"])
        arrays = [stored[f"x{k}"] for k in range(len(stored.files) - 1)]
    if runtime == "qonnx":
        rows = qonnx(content, arrays)
    elif runtime in LEVELS:
        rows = ort(content, arrays, count, LEVELS[runtime])
    else:
        rows = tflm(content, arrays, count) if runtime == "tflm" else litert(content, arrays, count, RESOLVERS[runtime])
    found: dict[str, Any] = {f"y{k}": np.stack([row[k] for row in rows]) for k in range(count)}
    np.savez(outputs, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
