"""Ask a real runtime for every tensor of a file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.errors import UnsupportedError
from qspec.face import Network
from qspec.network.graph import ROUNDING, Stage
from qspec.readers.tflite_file import TYPES, TfliteModel
from qspec.readers.tflite_write import to_bytes
from qspec.support.optional import need

PACKAGES: Mapping[str, tuple[str, str]] = {
    "tflm": ("tflite_micro", "tflm"),
    "litert-reference": ("ai_edge_litert", "litert"),
    "litert-optimized": ("ai_edge_litert", "litert"),
    "xnnpack": ("ai_edge_litert", "litert"),
}
"""The package of each runtime of TensorFlow Lite files, and the extra of qspec that brings it."""
PACKAGES_ONNX: Mapping[str, tuple[str, str]] = {"ort-qlinear": ("onnxruntime", "onnx"), "ort-qdq": ("onnxruntime", "onnx")}
"""The same for quantised ONNX files."""
PACKAGES_QONNX: Mapping[str, tuple[str, str]] = {"qonnx": ("qonnx", "qonnx")}
"""The same for QONNX files."""
KNOWN = {**PACKAGES, **PACKAGES_ONNX, **PACKAGES_QONNX}
Run = Callable[[Sequence[IntArray]], list[IntArray]]
"""Values of tensors for inputs with samples on the first axis."""
WORKER = Path(__file__).with_name("worker.py")


def installed(runtime: str) -> bool:
    """Say whether a real runtime can be asked; raises UnsupportedError if there is none of this name."""
    if runtime not in KNOWN:
        raise UnsupportedError("no such runtime", given=repr(runtime), expected=", ".join(KNOWN))
    return find_spec(KNOWN[runtime][0]) is not None


def run_tflite(model: TfliteModel, runtime: str, tensors: Sequence[int]) -> Run:
    """Return what runs a file for inputs of shape (samples, *shape without the batch), and puts out one array per tensor.

    The file is written once, here. Integer inputs are codes. Raises PackageMissingError without the runtime; a run raises UnsupportedError
    if the runtime refuses the file, fails, or takes too long.
    """
    expect_installed(runtime)
    types = [TYPES[model.tensors[i].type] for i in model.given]
    content = to_bytes(replace(model, inputs=model.given, outputs=tuple(tensors)))

    def run(inputs: Sequence[IntArray]) -> list[IntArray]:
        arrays = [np.asarray(x).astype(t) for x, t in zip(inputs, types, strict=True)]
        return run_worker(runtime, content, arrays, len(tensors), model.name)

    return run


def given_inputs(network: Network) -> list[Stage]:
    """Return the inputs that a runtime is given: all but those that stand for its rounding errors."""
    return [stage for stage in network.inputs if not stage.name.endswith(ROUNDING)]


def tflite_inputs(model: TfliteModel, network: Network, codes: Sequence[IntArray]) -> list[Any]:
    """Return what a runtime is given for codes: themselves, or real values where the file quantises a float input itself."""
    floats = [model.tensors[index].type == "FLOAT32" for index in model.given]
    return [real_values(stage, own) if real else own for real, stage, own in zip(floats, network.inputs, codes, strict=True)]


def real_values(stage: Stage, codes: IntArray) -> Any:
    """Return the float32 numbers that codes of an input mean, as a runtime is given them that quantises its input itself."""
    grid = stage.type.grid
    return (codes - grid.zeros[0]).astype(np.float32) * np.float32(float(grid.units[0]))


def expect_installed(runtime: str) -> None:
    """Raise PackageMissingError, which says how to get it, unless a real runtime can be asked; UnsupportedError if there is none."""
    if not installed(runtime):
        need(*KNOWN[runtime], f"the runtime {runtime!r}")


def run_worker(
    runtime: str, content: bytes, inputs: Sequence[IntArray], count: int, name: str, *, timeout: float = 600.0
) -> list[IntArray]:
    """Return the `count` outputs of a file for inputs with samples on the first axis, from a process of its own.

    Raises UnsupportedError if the runtime refuses the file, fails, or takes more than `timeout` seconds.
    """
    arrays = {f"x{k}": np.asarray(x) for k, x in enumerate(inputs)}
    with TemporaryDirectory(prefix="qspec-runtime-") as folder:
        files = [Path(folder) / part for part in ("model", "inputs.npz", "outputs.npz")]
        files[0].write_bytes(content)
        np.savez(files[1], outputs=np.array(count), **arrays)  # pyright: ignore[reportArgumentType]
        command = [sys.executable, "-P", str(WORKER), runtime, *map(str, files)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, cwd=folder)
        except subprocess.TimeoutExpired:
            raise UnsupportedError(f"the runtime {runtime!r} took too long", given=name, expected=f"{timeout:g} s") from None
        if done.returncode or not files[2].exists():
            said = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
            raise UnsupportedError(f"the runtime {runtime!r} refuses the file or fails", given=said, expected="a file that it runs")
        with np.load(files[2]) as stored:
            return [np.asarray(stored[f"y{k}"]) for k in range(count)]
