"""`qspec vnnlib`: decide a property of VNN-LIB about a network in ONNX."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from qspec.cli.outcome import Outcome, status
from qspec.cli.report import caveat, check_writable, deliver, verdict_line
from qspec.cli.terminal import painted, progress
from qspec.ir.real import fractions
from qspec.readers.onnx import ImportedNetwork, import_onnx
from qspec.readers.vnnlib import read_vnnlib
from qspec.solver import Reason
from qspec.verify.decide import verify
from qspec.verify.result import Result, Verdict

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
    json: str | None,
    allow_vacuous: bool,
) -> Outcome:
    """Return the verdict, the word that VNN-COMP has for it, one line on what it stands, and a counterexample in the form of VNN-COMP."""
    check_writable(json)
    imported = import_onnx(network)
    spec = read_vnnlib(property).property(imported.network, name=Path(property).name.split(".")[0])
    with progress(1) as report:
        report(f"{spec.name} · {solver}")
        result = verify(spec, solver=solver, theory=theory, delta=delta, timeout=timeout, memory=memory, seed=seed)
    ended = status(result.verdict, [result], allow_vacuous=allow_vacuous)
    head = [painted(result.verdict.name) + caveat([result]), f"VNN-COMP: {word(result)}", verdict_line(result, len(spec.name))]
    head += [f"note: {note}" for note in imported.notes]
    text = "\n".join([*head, *([] if result.point is None else ["", counterexample(imported, result)])])
    return Outcome(deliver(text, json, f"{network} {property}", [result], ended), ended)


def word(result: Result) -> str:
    """Return what VNN-COMP calls a verdict: sat, unsat, timeout or unknown."""
    return COMPETITION.get(result.verdict, "timeout" if result.reason is Reason.TIMEOUT else "unknown")


def counterexample(imported: ImportedNetwork, result: Result) -> str:
    """Return the inputs, exact, and the outputs, rounded to doubles, in the order of ONNX and the syntax of VNN-COMP."""
    assert result.point is not None
    x = fractions(result.point["x"])
    y, _ = imported.network.enclose(x.reshape(imported.network.inputs[0].shape))
    inputs: list[Fraction] = x.reshape(-1)[imported.input_order].tolist()
    outputs: list[Fraction] = y.reshape(-1)[imported.output_order].tolist()
    lines = [f"(X_{k} {_exact(v)})" for k, v in enumerate(inputs)] + [f"(Y_{k} {float(v)!r})" for k, v in enumerate(outputs)]
    return "(" + "\n ".join(lines) + ")"


def _exact(value: Fraction) -> str:
    """Return a double as its shortest decimal text, and any other rational as a ratio."""
    return repr(float(value)) if Fraction(float(value)) == value else str(value)
