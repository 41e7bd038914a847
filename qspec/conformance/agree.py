"""Compare a network as qspec reads it with the runtime that deploys it, tensor by tensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np

from qspec.arithmetic.formats import code_range
from qspec.arithmetic.integers import IntArray, integers
from qspec.conformance.runtime import Run, given_inputs, run_tflite, tflite_inputs
from qspec.errors import ShapeError, SpecError, UnsupportedError
from qspec.face import Network
from qspec.lowering.evaluate import check_input_codes, trace
from qspec.network.layers import Input
from qspec.readers.input_format import InputFormat
from qspec.readers.onnx_file import has_quantizers
from qspec.readers.qonnx import SEMANTICS as QONNX
from qspec.readers.qonnx import read_qonnx_tensors
from qspec.readers.tflite import read_tensors
from qspec.readers.tflite_file import TfliteModel, read_model
from qspec.support import checks
from qspec.support.plain import document
from qspec.verify.result import Verdict

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

    @property
    def verdict(self) -> Verdict:
        """HOLDS if nothing differs."""
        return Verdict.VIOLATED if self.differing else Verdict.HOLDS

    def to_dict(self) -> dict[str, object]:
        """Return everything as JSON values, schema `qspec.agreement/1`; exact numbers stay exact."""
        return document(self, "qspec.agreement/1")

    def __str__(self) -> str:
        counts = f"{self.samples} inputs, {self.compared} values of all tensors, {self.differing} differ"
        head = f"semantics {self.semantics} against runtime {self.runtime}: {counts}"
        tail = f"; {self.outputs_differing} of {self.outputs} output codes differ"
        if self.first is None:
            return head + tail
        f = self.first
        where = f"first at {f.operator}, tensor {f.tensor!r}, input {f.sample}, element {f.index}: {f.ours} here, {f.theirs} there"
        return f"{head}{tail}\n{where}"


Compared = Callable[[int, IntArray, IntArray], tuple[IntArray, IntArray, IntArray]]


def _codes(_: int, own: IntArray, found: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    other = found.reshape(own.shape).astype(np.int64)
    return own != other, own, other


Follow = Callable[[dict[str, object], list[IntArray]], dict[str, object]]


def _alone(inputs: dict[str, object], _: list[IntArray]) -> dict[str, object]:
    return inputs


@dataclass(frozen=True, slots=True)
class Subject:
    """A file in both readings: `tensors` are names, operators and stages of what is compared, the last of them the outputs.

    `run` asks the runtime for them all, for codes of the inputs. `compared` says of the codes here and what the runtime gives, by place,
    which elements differ, and both as codes. `follow` adds to the codes of inputs the rounding errors, within their bounds, with which the
    network comes to what the runtime found.
    """

    network: Network
    tensors: Sequence[tuple[str, str, str]]
    outputs: int
    run: Run
    compared: Compared = field(default=_codes)
    follow: Follow = field(default=_alone)


def agree(
    path: str | Path,
    semantics: str | None = None,
    runtime: str | None = None,
    *,
    inputs: object = None,
    samples: int = 100,
    seed: int = 0,
    input: InputFormat = None,
) -> Agreement:
    """Run a quantised `.tflite` or `.onnx` file in a real runtime (that of `semantics`, unless given) and here, and compare every tensor.

    `semantics` is that of `load`, unless given; `input` is the format of a QONNX input, as there. `inputs` are codes of shape (samples,
    *input shape), or one array per input; without them `samples` random ones are drawn: half uniform, half around one code each, as images
    are. Raises what `load` and the runtime raise, ShapeError on inputs that do not fit, SpecError on no number of samples or no seed.
    """
    checks.path(path, "a file")
    for name, given in (("the semantics", semantics), ("the runtime", runtime)):
        if given is not None:
            checks.text(given, name)
    checks.whole(samples, "the number of samples", least=1)
    checks.seed(seed)
    is_onnx = str(path).endswith((".onnx", ".onnx.gz"))
    semantics = semantics or (("qonnx" if has_quantizers(Path(path)) else "ort-qlinear") if is_onnx else "tflm")
    is_qonnx = is_onnx and semantics in QONNX
    runtime = runtime or ("qonnx" if is_qonnx else semantics)
    if input is not None and not is_qonnx:
        raise SpecError("only inputs of QONNX files are given a format", given=repr(input), expected="no input=")
    subject = _qonnx(path, semantics, runtime, input) if is_qonnx else (_onnx if is_onnx else _tflite)(path, semantics, runtime)
    arrays = _inputs(subject.network, inputs, samples, seed)
    count = len(subject.tensors)
    tally, total, first = [0] * count, [0] * count, dict[int, Difference]()
    names = [stage.name for stage in given_inputs(subject.network)]
    for start in range(0, len(arrays[0]), BLOCK):
        part = [a[start : start + BLOCK] for a in arrays]
        theirs = subject.run(part)
        here = trace(subject.network, subject.follow(dict(zip(names, part, strict=True)), theirs))
        for k, ((tensor, operator, stage), codes) in enumerate(zip(subject.tensors, theirs, strict=True)):
            differs, own, other = subject.compared(k, here[stage], codes)
            total[k], tally[k] = total[k] + own.size, tally[k] + int(differs.sum())
            if k not in first and differs.any():
                place = tuple(int(v) for v in np.argwhere(differs)[0])
                first[k] = Difference(tensor, operator, start + place[0], place[1:], int(own[place]), int(other[place]))
    last = count - subject.outputs
    found = first[min(first)] if first else None
    return Agreement(semantics, runtime, len(arrays[0]), sum(total), sum(tally), sum(total[last:]), sum(tally[last:]), found)


def _tflite(path: str | Path, semantics: str, runtime: str) -> Subject:
    model = read_model(path)
    network, tensors = read_tensors(model, semantics)
    stages = {t: network.stages[o].name for t, o in zip(tensors, network.outputs, strict=True)}
    order = [t for t in tensors if model.tensors[t].type in ("INT8", "UINT8", "INT16")]
    compared = [(model.tensors[t].name, _operator(model, t), stages[t]) for t in order]
    run = run_tflite(model, runtime, order)
    return Subject(network, compared, len(model.outputs), lambda codes: run(tflite_inputs(model, network, codes)))


def _onnx(path: str | Path, semantics: str, runtime: str) -> Subject:
    from qspec.conformance.ort_runtime import followed, run_onnx
    from qspec.readers.onnx_quantized import expect_semantics, read_quantized_tensors

    expect_semantics(semantics)
    expect_semantics(runtime)
    network, tensors = read_quantized_tensors(path, semantics)
    compared = [(t.name, t.operator, network.stages[o].name) for t, o in zip(tensors, network.outputs, strict=True)]
    run = run_onnx(path, network, [t.name for t in tensors], runtime)
    stages = [stage for _, _, stage in compared]
    return Subject(network, compared, sum(t.final for t in tensors), run, follow=partial(followed, network, stages))


def _qonnx(path: str | Path, semantics: str, runtime: str, input: InputFormat) -> Subject:
    from qspec.conformance.qonnx_runtime import run_qonnx

    if runtime != "qonnx":
        raise UnsupportedError("no such runtime for QONNX", given=repr(runtime), expected="qonnx")
    network, tensors = read_qonnx_tensors(path, semantics=semantics, input=input)
    named = [(t.name, t.operator, network.stages[o].name) for t, o in zip(tensors, network.outputs, strict=True)]

    def compared(place: int, own: IntArray, found: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        """Compare float32 numbers bit by bit; under exact semantics, where theirs are rounded, the codes that they are nearest to."""
        t = tensors[place]
        here = t.decode(own)
        there = found.reshape(here.shape)
        codes = [np.rint(v.astype(np.float64) / t.unit).astype(np.int64) for v in (here, there)]
        return (here != there if semantics == "qonnx" else codes[0] != codes[1]), codes[0], codes[1]

    return Subject(network, named, sum(t.final for t in tensors), run_qonnx(path, network, tensors), compared)


def _inputs(network: Network, given: object, samples: int, seed: int) -> list[IntArray]:
    shapes = [stage.type.shape for stage in given_inputs(network)]
    if given is not None:
        arrays = [np.asarray(a) for a in (cast("Sequence[object]", given) if isinstance(given, list | tuple) else [given])]
        fits = [a.shape[1:] == s and a.dtype.kind in "iu" for a, s in zip(arrays, shapes, strict=False)]
        if len(arrays) != len(shapes) or not all(fits):
            shown = [(a.shape, str(a.dtype)) for a in arrays]
            raise ShapeError("inputs do not fit", given=shown, expected=f"integer codes (samples, *shape) for the shapes {shapes}")
        for stage, codes in zip(given_inputs(network), arrays, strict=True):
            check_input_codes(stage.name, stage.layer, codes.reshape(len(codes), -1))
        return [integers(a) for a in arrays]
    random = np.random.default_rng(seed)
    drawn: list[IntArray] = []
    for stage in given_inputs(network):
        assert isinstance(stage.layer, Input)
        low, high = (int(end[0]) for end in code_range(stage.layer.format, stage.layer.shape))
        codes = random.integers(low, high + 1, (samples, *stage.type.shape))
        half = samples // 2
        level = random.integers(low, high + 1, (half, *(1 for _ in stage.type.shape)))
        codes[:half] = np.clip(level + random.integers(-20, 21, (half, *stage.type.shape)), low, high)
        drawn.append(codes)
    return drawn


def _operator(model: TfliteModel, tensor: int) -> str:
    writes = [(k, o.kind) for k, o in enumerate(model.operators) if tensor in o.outputs or (tensor in model.states and tensor in o.inputs)]
    return "operator {} ({})".format(*writes[0]) if writes else "an input"
