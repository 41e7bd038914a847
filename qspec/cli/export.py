"""`qspec export`: a property as SMT-LIB 2 text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qspec.cli.outcome import Outcome
from qspec.cli.report import check_writable
from qspec.cli.specs import read_specs
from qspec.errors import SpecError
from qspec.export import to_smtlib


def run(*, target: str, theory: str, presolve: bool, param: Sequence[str], out: str | None) -> Outcome:
    """Return the text of one property, or write it to a file."""
    check_writable(out)
    cases = read_specs(target, param)
    if len(cases) > 1:
        raise SpecError("one property at a time", given=", ".join(c.name for c in cases), expected=f"{target}:{cases[0].name}")
    case = cases[0]
    found, absent = ("VIOLATED", "HOLDS") if case.spec.kind == "forall" else ("HOLDS", "VIOLATED")
    script = to_smtlib(case.spec, theory=theory, presolve=presolve, **case.parameters)
    text = f"; {case.name}, written by qspec: sat means {found}, unsat means {absent}\n{script}"
    if out is None:
        return Outcome(text)
    Path(out).write_text(text, encoding="utf-8")
    return Outcome("")
