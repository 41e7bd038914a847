"""Compare a network as qspec reads it with the runtime that deploys it, tensor by tensor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qspec.arithmetic.formats import code_range
from qspec.arithmetic.integers import IntArray
from qspec.conformance.runtime import run_runtime
from qspec.errors import ShapeError
from qspec.face import Network
from qspec.lowering.evaluate import trace
from qspec.network.layers import Input
from qspec.readers.tflite import read_tensors
from qspec.readers.tflite_file import TfliteModel, read_model

BLOCK = 64
"""Samples that are compared at a time."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first tensor, in the order of the file, that differs for some sample: where, and both codes."""

    tensor: str
    operator: str
    sample: int
    index: tuple[int, ...]
    ours: int
    theirs: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a comparison found: values compared and differing over all tensors, and over the outputs alone."""

    semantics: str
    runtime: str
    samples: int
    compared: int
    differing: int
    outputs: int
    outputs_differing: int
    first: Difference | None

    def __str__(self) -> str:
        counts = f"{self.samples} inputs, {self.compared} values of all tensors, {self.differing} differ"
        head = f"semantics {self.semantics} against runtime {self.runtime}: {counts}"
        tail = f"; {self.outputs_differing} of {self.outputs} output codes differ"
        if self.first is None:
            return head + tail
        f = self.first
        where = f"first at {f.operator}, tensor {f.tensor!r}, input {f.sample}, element {f.index}: {f.ours} here, {f.theirs} there"
        return f"{head}{tail}\n{where}"


def agree(
    path: str | Path, semantics: str = "tflm", runtime: str | None = None, *, inputs: object = None, samples: int = 100, seed: int = 0
) -> Agreement:
    """Run a `.tflite` file in a real runtime (the one that `semantics` names, unless given) and here, and compare every tensor.

    `inputs` are codes of shape (samples, *input shape), or one array per input; without them `samples` random ones are drawn: half uniform,
    half around one code each, as images are. Raises what `load` and `run_runtime` raise, ShapeError on inputs that do not fit.
    """
    model = read_model(path)
    network, tensors = read_tensors(model, semantics)
    arrays = _inputs(network, inputs, samples, seed)
    order = [t for t in tensors if model.tensors[t].type in ("INT8", "UINT8")]
    ours = {t: network.stages[o].name for t, o in zip(tensors, network.outputs, strict=True)}
    tally, first = dict.fromkeys(order, 0), dict[int, Difference]()
    total = dict.fromkeys(order, 0)
    for start in range(0, len(arrays[0]), BLOCK):
        part = [a[start : start + BLOCK] for a in arrays]
        names = [stage.name for stage in network.inputs]
        here = trace(network, dict(zip(names, part, strict=True)))
        there = run_runtime(model, runtime or semantics, _raw(model, network, part), order)
        for t, codes in zip(order, there, strict=True):
            own = here[ours[t]]
            other = codes.reshape(own.shape).astype(np.int64)
            differs = own != other
            total[t], tally[t] = total[t] + own.size, tally[t] + int(differs.sum())
            if t not in first and differs.any():
                place = tuple(int(v) for v in np.argwhere(differs)[0])
                first[t] = Difference(
                    model.tensors[t].name, _operator(model, t), start + place[0], place[1:], int(own[place]), int(other[place])
                )
    final = order[-len(model.outputs) :]
    found = next((first[t] for t in order if t in first), None)
    counts = (sum(total.values()), sum(tally.values()), sum(total[t] for t in final), sum(tally[t] for t in final))
    return Agreement(semantics, runtime or semantics, len(arrays[0]), *counts, found)


def _inputs(network: Network, given: object, samples: int, seed: int) -> list[IntArray]:
    shapes = [stage.type.shape for stage in network.inputs]
    if given is not None:
        arrays = [np.asarray(a) for a in (given if isinstance(given, list | tuple) else [given])]  # pyright: ignore[reportUnknownVariableType]
        fits = [a.shape[1:] == s and a.dtype.kind in "iu" for a, s in zip(arrays, shapes, strict=False)]
        if len(arrays) != len(shapes) or not all(fits):
            shown = [(a.shape, str(a.dtype)) for a in arrays]
            raise ShapeError("inputs do not fit", given=shown, expected=f"integer codes (samples, *shape) for the shapes {shapes}")
        return [a.astype(np.int64) for a in arrays]
    random = np.random.default_rng(seed)
    drawn: list[IntArray] = []
    for stage in network.inputs:
        assert isinstance(stage.layer, Input)
        low, high = (int(end[0]) for end in code_range(stage.layer.format, stage.layer.shape))
        codes = random.integers(low, high + 1, (samples, *stage.type.shape))
        half = samples // 2
        level = random.integers(low, high + 1, (half, *(1 for _ in stage.type.shape)))
        codes[:half] = np.clip(level + random.integers(-20, 21, (half, *stage.type.shape)), low, high)
        drawn.append(codes)
    return drawn


def _raw(model: TfliteModel, network: Network, codes: list[IntArray]) -> list[IntArray]:
    """Return what the file's inputs are: codes, or the real values of codes where the file quantises a float input itself."""
    values: list[IntArray] = []
    for index, stage, own in zip(model.inputs, network.inputs, codes, strict=True):
        if model.tensors[index].type != "FLOAT32":
            values.append(own)
            continue
        grid = stage.type.grid
        values.append(((own - grid.zeros[0]) * np.float32(float(grid.units[0]))).astype(np.float32))
    return values


def _operator(model: TfliteModel, tensor: int) -> str:
    return next((f"operator {k} ({o.kind})" for k, o in enumerate(model.operators) if tensor in o.outputs), "an input")
