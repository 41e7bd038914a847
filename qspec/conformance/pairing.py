"""One file read under two semantics, tensor beside tensor, and how far the tensors can be apart near an input."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from qspec.arithmetic.formats import check_codes, code_range
from qspec.arithmetic.integers import IntArray, integers
from qspec.bounds.interval import Interval
from qspec.engines.difference.drift import Drift, drifts
from qspec.errors import ShapeError, SpecError, UnsupportedError
from qspec.face import Network
from qspec.network.layers import Input
from qspec.readers.tflite import output_tensors, read_tensors
from qspec.readers.tflite_file import TfliteModel, read_model
from qspec.runtimes.registry import tflite_runtime
from qspec.support import checks


@dataclass(frozen=True, slots=True, eq=False)
class Pairing:
    """A `.tflite` file under two semantics; both networks put out the tensors `tensors` of the file, in order."""

    model: TfliteModel
    semantics: tuple[str, str]
    networks: tuple[Network, Network]
    tensors: tuple[int, ...]
    output: int
    """The tensor whose codes are the network's output."""

    @classmethod
    def of(cls, path: str | Path, first: str, second: str) -> Pairing:
        """Read a file twice; raises UnsupportedError on one of several inputs or outputs, SpecError on one semantics given twice."""
        checks.path(path, "a file")
        for name in (first, second):
            tflite_runtime(checks.text(name, "the semantics"))
        model = read_model(path)
        if len(model.inputs) != 1 or len(model.outputs) != 1:
            given = f"{len(model.inputs)} inputs, {len(model.outputs)} outputs"
            raise UnsupportedError("a file whose runtimes are not compared", given=given, expected="one input and one output")
        if first == second:
            raise SpecError("a runtime is compared with itself", given=first, expected="two semantics")
        (output,) = output_tensors(model)
        if output in model.inputs:
            given = f"the output {model.tensors[output].name!r} is the input"
            raise UnsupportedError("a file that computes nothing", given=given, expected="an operator other than those at the end")
        (a, tensors), (b, _) = (read_tensors(model, s) for s in (first, second))
        return cls(model, (first, second), (a, b), tuple(tensors), output)

    @property
    def stages(self) -> list[tuple[str, str]]:
        """The names of the stages that are the same tensor."""
        a, b = self.networks
        return [(a.stages[i].name, b.stages[j].name) for i, j in zip(a.outputs, b.outputs, strict=True)]

    @property
    def ends(self) -> tuple[Network, Network]:
        """The networks with the output of the file alone."""
        place = self.tensors.index(self.output)
        a, b = (replace(n, outputs=(n.outputs[place],)) for n in self.networks)
        return a, b

    @property
    def source(self) -> Input:
        layer = self.networks[0].inputs[0].layer
        assert isinstance(layer, Input)
        return layer

    def centres(self, inputs: object) -> IntArray:
        """Return inputs as (samples, size); raises ShapeError or SpecError on others."""
        shape, given = self.source.shape, integers(inputs)
        if given.ndim < 1 or not len(given) or given.shape[1:] not in (shape, (int(np.prod(shape)),)):
            raise ShapeError("inputs do not fit", given=given.shape, expected=f"codes (samples, {', '.join(map(str, shape))})")
        flat = given.reshape(len(given), -1)
        check_codes(flat, self.source.format, shape, "the inputs")
        return flat

    def box(self, centre: IntArray, radius: int) -> Interval:
        """Return the codes within a radius of a centre, (inputs,)."""
        low, high = code_range(self.source.format, self.source.shape)
        return Interval(np.maximum(centre - radius, low), np.minimum(centre + radius, high))


def drift(path: str | Path, first: str = "tflm", second: str = "xnnpack", *, centre: object, radius: int = 0) -> list[tuple[str, Drift]]:
    """Return for every tensor of a `.tflite` file, by name, how far its codes under two semantics can be apart near an input of codes.

    The bounds are exact integers, and hold for all inputs within `radius` LSB of `centre` (l-infinity). Raises UnsupportedError on a file
    of several inputs or outputs, ShapeError or SpecError on a centre that does not fit.
    """
    checks.whole(radius, "the radius", least=0, most=255)
    pairing = Pairing.of(path, first, second)
    (x,) = pairing.centres(integers(centre)[None])
    box = pairing.box(x, radius)
    found = drifts(*pairing.networks, pairing.stages, box.lower, box.upper)
    return list(zip([pairing.model.tensors[t].name for t in pairing.tensors], found, strict=True))
