"""Decide a claim about an ONNX file for every order in which ONNX Runtime may add float32 numbers.

Rounding errors that depend on the order are inputs of the network, within proved bounds (`qspec/runtimes/ort_qdq.py`). A claim that holds
for all of them holds for every order. A counterexample counts only if a real session, with graph optimisation off, has it: its tensors say
which errors it made, the network must come to the same codes with these, and the claim must be false there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Unpack

from qspec.arithmetic.integers import IntArray
from qspec.conformance.ort_runtime import followed, run_onnx
from qspec.conformance.runtime import expect_installed, given_inputs
from qspec.deadline import Deadline
from qspec.errors import SoundnessError, SpecError
from qspec.face import Network
from qspec.language.inputs import Variable
from qspec.language.interpret import witnesses
from qspec.language.property import Property
from qspec.lowering.evaluate import trace
from qspec.readers.onnx_quantized import TensorOfCodes, read_enclosed_onnx, read_quantized_tensors, roundings
from qspec.solver import Limits
from qspec.support import checks
from qspec.support.plain import document
from qspec.verify.decide import falsify, verify
from qspec.verify.options import LimitOptions, limits_of
from qspec.verify.result import Result, Verdict

SEMANTICS = "ort-qdq"
SEARCH = 4
"""One part in so many of the time is for a search without rounding errors, at most."""
Claim = Callable[..., Property]


@dataclass(frozen=True, slots=True)
class AnyOrder:
    """What came of a claim: `HOLDS` for every order, `VIOLATED` in a real session, or `UNKNOWN`.

    `codes` are the inputs of the counterexample, `outputs` the codes that the session put out for them, both in the shapes of the network.
    `roundings` says how many rounding errors are not known; `result` is that of the network in which they are inputs.
    """

    verdict: Verdict
    semantics: str
    roundings: int
    codes: Mapping[str, IntArray] | None = None
    outputs: tuple[IntArray, ...] = ()
    detail: str = ""
    result: Result | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, object]:
        """Return everything but the result as JSON values, schema `qspec.any-order/1`; exact numbers stay exact."""
        return document(replace(self, result=None), "qspec.any-order/1")

    def __str__(self) -> str:
        about = f"{self.verdict.name} under {self.semantics}, {self.roundings} rounding errors not known"
        return f"{about}: {self.detail}" if self.detail else about


def any_order(path: str | Path, claim: Claim, **options: Unpack[LimitOptions]) -> AnyOrder:
    """Decide a claim about a quantised `.onnx` file as ONNX Runtime computes it without graph optimisation, whatever the order of its sums.

    `claim` takes a variable for each input of the file and then its outputs, and returns a `qs.forall(…)` about the inputs; `options` are
    those of `qs.verify`, `timeout` for all but the session. A counterexample is one that the real session shows. Raises what `qs.load`
    raises, SpecError on another claim, PackageMissingError without onnxruntime, SoundnessError if a session leaves the proved bounds.
    """
    checks.path(path, "a file")
    if not callable(claim):
        raise SpecError("a claim is of the wrong kind", given=repr(claim), expected="a function of inputs and outputs")
    expect_installed(SEMANTICS)
    timeout, memory, seed = limits_of(options)
    deadline = Deadline.after(checks.seconds(timeout))
    subject = _Subject.of(path)
    count = sum(s.type.size for s in roundings(subject.network))
    found = falsify(subject.property(claim, exact=True), limits=Limits(deadline.granted(SEARCH), memory, seed))
    if found.verdict is not Verdict.VIOLATED:
        found = verify(subject.property(claim), limits=Limits(deadline.granted(), memory, seed))
    about = AnyOrder(Verdict.UNKNOWN, SEMANTICS, count, detail=found.detail, result=found)
    if found.verdict is Verdict.HOLDS:
        return replace(about, verdict=Verdict.HOLDS, detail="for every order of the sums")
    if found.codes is None:
        return about
    shown = subject.shown(claim, found.codes)
    if shown is None:
        return replace(about, detail="rounding errors within their bounds would violate it, but the session does not make them")
    return replace(about, verdict=Verdict.VIOLATED, codes=shown[0], outputs=shown[1], detail="shown in a session")


@dataclass(frozen=True, slots=True)
class _Subject:
    """A file: the network with its rounding errors as inputs, one that puts out every tensor, and the tensors."""

    path: Path
    network: Network
    taps: Network
    tensors: Sequence[TensorOfCodes]

    @classmethod
    def of(cls, path: str | Path) -> _Subject:
        taps, tensors = read_quantized_tensors(path, SEMANTICS)
        return cls(Path(path), read_enclosed_onnx(path, SEMANTICS), taps, tensors)

    def property(self, claim: Claim, *, exact: bool = False) -> Property:
        """Return a claim about all rounding errors within their bounds, or with `exact` about sums that are not rounded."""
        names = {s.name for s in roundings(self.network)}
        variables = {s.name: self._variable(s.name, fixed=exact and s.name in names) for s in self.network.inputs}
        given = [v for name, v in variables.items() if name not in names]
        spec = claim(*given, *self.network.outputs_of(*variables.values()))
        if not isinstance(spec, Property) or spec.kind != "forall":  # pyright: ignore[reportUnnecessaryIsInstance]
            raise SpecError("a claim is no property of all inputs", given=repr(spec), expected="qs.forall(…)")
        return replace(spec, variables=(*spec.variables, *(variables[n] for n in variables if n in names)))

    def _variable(self, name: str, *, fixed: bool) -> Variable:
        ends = {"lower": 0, "upper": 0} if fixed else {}
        return self.network.input(name, of=name, **ends)

    def shown(self, claim: Claim, codes: Mapping[str, IntArray]) -> tuple[dict[str, IntArray], tuple[IntArray, ...]] | None:
        """Return inputs and outputs of a session at a point that violates a claim there, or None if the session does not violate it."""
        given = [codes[s.name][None] for s in given_inputs(self.network)]
        found = run_onnx(self.path, self.taps, [t.name for t in self.tensors], SEMANTICS)(given)
        names = [self.taps.stages[o].name for o in self.taps.outputs]
        inputs = {s.name: x for s, x in zip(given_inputs(self.network), given, strict=True)}
        point = followed(self.taps, names, dict[str, object](inputs), found)
        here = trace(self.taps, point)
        for tensor, name, theirs in zip(self.tensors, names, found, strict=True):
            if not (here[name].reshape(-1) == theirs.reshape(-1)).all():
                raise SoundnessError("a session leaves the bounds of its rounding errors", given=tensor.name, expected="codes within them")
        whole = {s.name: here[s.name][0] for s in self.network.inputs}
        if not witnesses(self.property(claim), whole):
            return None
        own = trace(self.network, dict[str, object](whole))
        ends = tuple(own[self.network.stages[o].name] for o in self.network.outputs)
        return {s.name: whole[s.name] for s in given_inputs(self.network)}, ends
