"""`qspec vnnlib`: decide a property of VNN-LIB about a network in ONNX."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from qspec.cli.outcome import CommandOutput, status
from qspec.cli.report import caveat, document, verdict_line
from qspec.cli.terminal import painted, progress
from qspec.deadline import OutOfTime
from qspec.ir.real import ExactArray, fractions
from qspec.readers.onnx import ImportedNetwork, import_onnx
from qspec.readers.vnnlib import Vnnlib, read_vnnlib
from qspec.readers.vnnlib_conditions import NetworkUse
from qspec.solver import Limits, Reason
from qspec.verify.decide import verify
from qspec.verify.result import Evidence, Result, Verdict

COMPETITION = {Verdict.HOLDS: "unsat", Verdict.VIOLATED: "sat"}


def run(
    *,
    network: str,
    property: str,
    solver: str,
    theory: str | None,
    delta: float,
    timeout: float | None,
    memory: int | None,
    seed: int,
    allow_vacuous: bool,
) -> CommandOutput:
    """Return the verdict, the word that VNN-COMP has for it, one line on what it stands, and a counterexample in the form of VNN-COMP.

    Reading both files is part of the time.
    """
    limits = Limits(timeout, memory, seed)
    deadline = limits.deadline()
    imported = import_onnx(network)
    name = Path(property).name.split(".")[0]
    shown: list[str] = []
    with progress(1) as report:
        report(f"{name} · {solver}")
        try:
            query = read_vnnlib(property, deadline)
            spec = query.property(imported.network, name=name)
            left = deadline.granted()
            result = verify(spec, solver=solver, theory=theory, delta=delta, timeout=left, memory=memory, seed=seed)
            result = replace(result, limits=limits)
            if result.point is not None:
                shown = ["", counterexample(imported, query, result)]
        except OutOfTime:
            late = "the time was over before the property was read"
            result = Result(
                Verdict.UNKNOWN, "forall", name, Evidence.NONE, reason=Reason.TIMEOUT, detail=late, solver=solver, limits=limits
            )
    ended = status(result.verdict, [result], allow_vacuous=allow_vacuous)
    head = [painted(result.verdict.name) + caveat([result]), f"VNN-COMP: {word(result)}", verdict_line(result, len(name))]
    head += [f"note: {note}" for note in imported.notes]
    return CommandOutput("\n".join([*head, *shown]), ended, lambda: document(f"{network} {property}", [result]))


def word(result: Result) -> str:
    """Return what VNN-COMP calls a verdict: sat, unsat, timeout or unknown."""
    return COMPETITION.get(result.verdict, "timeout" if result.reason is Reason.TIMEOUT else "unknown")


def counterexample(imported: ImportedNetwork, query: Vnnlib, result: Result) -> str:
    """Return the inputs, exact, and the outputs, rounded to doubles, in the order of ONNX and the syntax of VNN-COMP, or of VNN-LIB 2."""
    assert result.point is not None
    if query.applications:
        named = zip(query.applications, query.variables, strict=True)
        return "\n".join(line for a, name in named for line in _assigned(imported, a, result.point[name]))
    inputs, outputs = _values(imported, result.point["x"])
    lines = [f"(X_{k} {_exact(v)})" for k, v in enumerate(inputs)] + [f"(Y_{k} {float(v)!r})" for k, v in enumerate(outputs)]
    return "(" + "\n ".join(lines) + ")"


def _assigned(imported: ImportedNetwork, one: NetworkUse, point: ExactArray) -> list[str]:
    """Return the lines that give an input and an output their values: a declaration, then an element a line."""
    inputs, outputs = _values(imported, point)
    sides = ((one.input, map(_exact, inputs)), (one.output, (repr(float(v)) for v in outputs)))
    return [line for t, values in sides for line in (t.declared, *values)]


def _values(imported: ImportedNetwork, point: ExactArray) -> tuple[list[Fraction], list[Fraction]]:
    x = fractions(point)
    y, _ = imported.network.enclose(x.reshape(imported.network.inputs[0].shape))
    return x.reshape(-1)[imported.input_order].tolist(), y.reshape(-1)[imported.output_order].tolist()


def _exact(value: Fraction) -> str:
    """Return a double as its shortest decimal text, and any other rational as a ratio."""
    return repr(float(value)) if Fraction(float(value)) == value else str(value)
