"""Look a quantised file over: its parameters, and on given inputs its signals, alone and beside the float network that it was made from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from qspec.arithmetic.integers import IntArray, integers
from qspec.bounds.interval import bound
from qspec.errors import ShapeError, SpecError, UnsupportedError
from qspec.face import Network, RealNetwork
from qspec.lint import onnx, tflite
from qspec.lint.finding import NOT_READ, Finding
from qspec.lint.parameters import Weighted, about
from qspec.lint.signals import Beside, against, saturated
from qspec.lowering.evaluate import program, trace
from qspec.network.layers import Conv2D, Dense
from qspec.readers.load import load
from qspec.readers.onnx_file import read_graph
from qspec.readers.onnx_quantized import expect_semantics
from qspec.readers.tflite_file import read_model
from qspec.runtimes.registry import tflite_runtime
from qspec.support import checks
from qspec.support.plain import document

ORDER = {"error": 0, "warning": 1, "note": 2}
SAMPLES = 256
"""Inputs that are looked at, at most."""


@dataclass(frozen=True, slots=True)
class Lint:
    """What was found in a file, the worst first; and each layer beside its twin, if there is one."""

    file: str
    findings: tuple[Finding, ...]
    beside: tuple[Beside, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether there is neither an error nor a warning."""
        return all(f.rule.severity == "note" for f in self.findings)

    def to_dict(self) -> dict[str, object]:
        """Return everything as JSON values, schema `qspec.lint/1`; exact numbers stay exact."""
        return document(self, "qspec.lint/1")

    def __str__(self) -> str:
        counts = {s: sum(f.rule.severity == s for f in self.findings) for s in ORDER}
        head = f"{self.file}: " + ", ".join(f"{n} {s}{'s' * (n != 1)}" for s, n in counts.items())
        return "\n".join([head, *map(str, self.findings)])


def lint(path: str | Path, *, twin: str | Path | RealNetwork | None = None, inputs: object = None, semantics: str | None = None) -> Lint:
    """Look a quantised `.tflite`, `.onnx` or `.qspec` file over, and return what is wrong with it or likely to be.

    Parameters are looked at in any case: biases at the end of int32, dead channels, accumulators that can leave int32, float parameters,
    pairs that onnxruntime merges. With `inputs`, codes of shape (samples, *input shape), signals that saturate; and beside `twin`, the
    float network or its file, each layer's distance in codes and activations that the converter dropped. The first 256 inputs are looked
    at. Raises ModelFileError on a damaged file, ShapeError or SpecError on inputs that do not fit, UnsupportedError on unknown semantics.
    """
    checks.path(path, "a file")
    if semantics is not None:
        _expect_semantics(str(path), checks.text(semantics, "the semantics"))
    if twin is not None and inputs is None:
        raise SpecError("a twin is compared on inputs", given="no inputs", expected="inputs=…, codes of the quantised network")
    found = list(_parameters(path))
    beside: list[Beside] = []
    network = _network(path, semantics)
    if isinstance(network, Finding):
        found.append(network)
    elif inputs is not None:
        traced = trace(network, {network.inputs[0].name: _codes(network, inputs)})
        found += saturated(network, traced)
        if twin is not None:
            beside, more = against(network, traced, _twin(network, twin))
            found += more
    return Lint(Path(path).name, tuple(sorted(found, key=lambda f: ORDER[f.rule.severity])), tuple(beside))


def _parameters(path: str | Path) -> Iterator[Finding]:
    text = str(path)
    if text.endswith(".tflite"):
        model = read_model(path)
        layers: Iterator[Weighted] = tflite.layers(model)
        yield from tflite.floats(model)
    elif text.endswith((".onnx", ".onnx.gz")):
        graph = read_graph(path)
        layers = onnx.layers(graph)
        yield from onnx.floats(graph)
        yield from onnx.pairs(graph)
    else:
        layers = _of_network(load(path, kind=Network))
    for layer in layers:
        yield from about(layer)


def _of_network(network: Network) -> Iterator[Weighted]:
    """Yield the layers with weights of a network; the reach of what they read is that of its codes in their format."""
    nodes, taps = program(network)
    known = bound(nodes)
    for stage in network.stages:
        if isinstance(stage.layer, Dense | Conv2D):
            before = network.stages[stage.arguments[0]]
            codes, zeros = known[taps[before.name].output], before.type.grid.per_element(before.type.shape)[1]
            reach = int(max(np.abs(codes.lower - zeros).max(), np.abs(codes.upper - zeros).max()))
            bias = None if stage.layer.bias is None else stage.layer.bias.codes
            yield Weighted(repr(stage.name), stage.layer.kernel.codes, bias, reach)


def _expect_semantics(path: str, semantics: str) -> None:
    """Raise UnsupportedError on a name that no runtime of such files has: that nothing reads a file is a finding, this is none."""
    if path.endswith(".tflite"):
        tflite_runtime(semantics)
    elif path.endswith((".onnx", ".onnx.gz")):
        expect_semantics(semantics)


def _network(path: str | Path, semantics: str | None) -> Network | Finding:
    """Return the network in a file, or the finding that it is not read."""
    try:
        return load(path, kind=Network, **({} if semantics is None else {"semantics": semantics}))
    except UnsupportedError as error:
        return Finding(NOT_READ, error.what, str(error.given))


def _twin(network: Network, twin: str | Path | RealNetwork) -> RealNetwork:
    real = twin if isinstance(twin, RealNetwork) else _loaded(twin)
    given, ours = real.inputs[0].shape, network.inputs[0].type
    if prod(given) != ours.size:
        raise ShapeError("the twin reads inputs of another size", given=given, expected=str(ours.shape))
    return real


def _loaded(twin: str | Path) -> RealNetwork:
    """Return the twin in a file; roots in it may be rounded, since it is only looked at."""
    checks.path(twin, "the twin")
    try:
        return load(twin, kind=RealNetwork)
    except UnsupportedError as error:
        try:
            return load(twin, kind=RealNetwork, round_roots=True)
        except SpecError:
            raise error from None


def _codes(network: Network, inputs: object) -> IntArray:
    if len(network.inputs) != 1:
        raise ShapeError("several inputs", given=len(network.inputs), expected="a network with one input")
    shape, given = network.inputs[0].type.shape, integers(inputs)
    if given.ndim < 1 or not len(given) or given.shape[1:] not in (shape, (prod(shape),)):
        raise ShapeError("inputs do not fit", given=given.shape, expected=f"codes (samples, {', '.join(map(str, shape))})")
    return given[:SAMPLES]
