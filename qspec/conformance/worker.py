"""Run a file in its real runtime: a script in a process of its own, because a runtime may end the process it runs in.

`worker.py RUNTIME MODEL INPUTS OUTPUTS`: inputs and outputs are `.npz` files with one array per tensor, the first axis over samples.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
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


LEVELS = {"ort": "ORT_DISABLE_ALL", "ort-fused": "ORT_ENABLE_EXTENDED"}
RESOLVERS = {"litert-reference": "BUILTIN_REF", "litert-optimized": "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "xnnpack": "AUTO"}


def main(runtime: str, model: str, inputs: str, outputs: str) -> None:
    """Run a file, and write what it puts out."""
    content = Path(model).read_bytes()
    with np.load(inputs) as stored:
        count = int(stored["outputs"])
        arrays = [stored[f"x{k}"] for k in range(len(stored.files) - 1)]
    if runtime in LEVELS:
        rows = ort(content, arrays, count, LEVELS[runtime])
    else:
        rows = tflm(content, arrays, count) if runtime == "tflm" else litert(content, arrays, count, RESOLVERS[runtime])
    found: dict[str, Any] = {f"y{k}": np.stack([row[k] for row in rows]) for k in range(count)}
    np.savez(outputs, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
