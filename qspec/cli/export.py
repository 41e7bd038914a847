"""`qspec export`: a property as SMT-LIB 2 text, or as an LP or MPS file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qspec.cli.outcome import Outcome
from qspec.cli.report import check_writable
from qspec.cli.specs import read_specs
from qspec.errors import SpecError
from qspec.files.atomic import replacing, writing
from qspec.verify.export import to_lp, to_mps, to_smtlib

COMMENTS = {"smt2": ";", "lp": "\\", "mps": "*"}
"""What begins a comment in each format."""


def run(*, target: str, theory: str, format: str | None, presolve: bool, param: Sequence[str], out: str | None) -> Outcome:
    """Return the text of one property, or write it to a file."""
    check_writable(out)
    written = format or ("lp" if theory == "milp" else "smt2")
    if (theory == "milp") is (written == "smt2"):
        expected = "milp as lp or mps, others as smt2"
        raise SpecError("this theory is not written in this format", given=f"{theory}, {written}", expected=expected)
    cases = read_specs(target, param)
    if len(cases) > 1:
        raise SpecError("one property at a time", given=", ".join(c.name for c in cases), expected=f"{target}:{cases[0].name}")
    case = cases[0]
    found, absent = ("VIOLATED", "HOLDS") if case.spec.kind == "forall" else ("HOLDS", "VIOLATED")
    if written == "smt2":
        script, words = to_smtlib(case.spec, theory=theory, presolve=presolve, **case.parameters), ("sat", "unsat")
    else:
        to = to_lp if written == "lp" else to_mps
        script, words = to(case.spec, presolve=presolve, **case.parameters), ("feasible", "infeasible")
    text = f"{COMMENTS[written]} {case.name}, written by qspec: {words[0]} means {found}, {words[1]} means {absent}\n{script}"
    if out is None:
        return Outcome(text)
    with writing(out), replacing(Path(out)) as stream:
        stream.write(text.encode())
    return Outcome("")
