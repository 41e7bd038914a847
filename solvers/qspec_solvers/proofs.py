"""Proofs of SMT solvers, and the programs of other people that check them.

- CPC: cvc5 writes a proof of the whole problem, which ethos checks by the rules in cvc5's repository (`proofs/eo/cpc`). Ethos also compares
  what the proof assumes with the problem.
- LRAT: Bitwuzla writes clauses, CaDiCaL refutes them, drat-trim turns that into LRAT, and a checker in ACL2's books follows it; its
  soundness is proved. Where there is no ACL2, drat-trim's lrat-check does. From the problem to clauses Bitwuzla is believed.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from qspec.problem import Problem, SmtProblem
from qspec.solver import Answer, Availability, CheckedProof, Limits
from qspec_solvers.process import End, Finished, run

RULES = "QSPEC_CPC_RULES"
"""The environment variable that names the folder `proofs/eo/cpc` of cvc5's sources."""
ETHOS = f"build ethos (https://github.com/cvc5/ethos; cmake, GMP), put it on PATH, and set {RULES} to proofs/eo/cpc of cvc5's sources"
COPIES = 3
"""So many times its size is held while a proof in CPC is prepared."""
CADICAL = "apt-get install cadical"
DRAT_TRIM = "build drat-trim (https://github.com/marijnheule/drat-trim; make), and put it on PATH"
LRAT = "apt-get install acl2 acl2-books-source acl2-books-certs, or put lrat-check of drat-trim on PATH"
BOOK = "projects/sat/lrat/list-based/run"


class Checker(NamedTuple):
    """A program that checks proofs: its name as results show it, its command, what it reads, and the line that says that it accepts one."""

    name: str
    command: Sequence[str]
    text: str
    accepts: str


# ---------------------------------------------------------------- cvc5, CPC, ethos


def cpc_checking() -> Availability:
    """Return whether proofs in CPC can be checked here."""
    rules = os.environ.get(RULES, "")
    if shutil.which("ethos") is None:
        return Availability(False, missing="ethos", install=ETHOS)
    if not (Path(rules) / "Cpc.eo").is_file():
        return Availability(False, missing=f"rules of CPC ({RULES}={rules})", install=ETHOS)
    return Availability(True, version=_ethos())


def cpc(problem: Problem, limits: Limits, place: str, solve: Callable[[Limits, str], Answer]) -> Answer:
    """Return the answer of cvc5, which writes its proof to a file, and if it is `unsat` what ethos says of that."""
    deadline = limits.deadline()
    printed = f"{place}.cpc"
    Path(printed).unlink(missing_ok=True)
    answer = solve(limits, printed)
    if answer.status != "unsat" or not isinstance(problem, SmtProblem) or not Path(printed).is_file():
        return answer
    size = Path(printed).stat().st_size
    if COPIES * size > deadline.room():
        return replace(answer, detail=f"there is no room in memory to prepare its proof of {size:,} bytes for ethos")
    reference = f"{place}.smt2"
    Path(reference).write_text(flat_indices(problem.text), encoding="utf-8")
    wrap_cpc(printed, reference)
    return replace(answer, checked=check_cpc(printed, reference, replace_seconds(limits, deadline.granted())))


def flat_indices(text: str) -> str:
    """Return a problem in the syntax of proofs, which has `(extract 3 1 x)` where SMT-LIB 2 has `((_ extract 3 1) x)`."""
    return re.sub(r"\(\(_ (\w+)((?: \d+)+)\) ", r"(\1\2 ", text)


def wrap_cpc(printed: str, reference: str) -> None:
    """Make a file for ethos of what cvc5 printed: the rules, the problem, and the proof without the brackets around it.

    The constants are those of the problem, so that what declares them again, as others of the same name, is left out.
    """
    proof = Path(printed).read_bytes().strip().removeprefix(b"(").removesuffix(b")")
    proof = re.sub(rb"^\(declare-const .*\n", b"", proof, flags=re.MULTILINE)
    rules = Path(os.environ[RULES]).resolve()
    files = (rules / "Cpc.eo", rules / "expert" / "CpcExpert.eo")
    head = "".join(f'(include "{f}")\n' for f in files if f.is_file()) + f'(reference "{reference}")\n'
    Path(printed).write_bytes(head.encode() + proof + b"\n")


def check_cpc(proof: str, reference: str, limits: Limits) -> CheckedProof:
    """Return what ethos says of a proof, all of whose assumptions must be assertions of the problem, and which must end in `false`."""
    command = ("ethos", "--require-proof-of-false", "--reference-define-fun", proof)
    return _checked("CPC", reference, proof, Checker(_ethos(), command, "", "correct"), limits)


def _ethos() -> str:
    said = run(("ethos", "--show-config"), "", Limits(10.0)).output
    found = re.search(r"ethos version ([\w.]*\w)", said)
    return "ethos" if found is None else f"ethos {found[1]}"


# ---------------------------------------------------------------- Bitwuzla, CaDiCaL, LRAT


def lrat_checking() -> Availability:
    """Return whether clauses can be refuted here, and the proof be checked."""
    for name, install in (("cadical", CADICAL), ("drat-trim", DRAT_TRIM)):
        if shutil.which(name) is None:
            return Availability(False, missing=name, install=install)
    if shutil.which("acl2") is None and shutil.which("lrat-check") is None:
        return Availability(False, missing="acl2 or lrat-check", install=LRAT)
    return Availability(True, version="ACL2" if shutil.which("acl2") else "lrat-check")


def lrat(limits: Limits, place: str, solve: Callable[[Limits, str], Answer]) -> Answer:
    """Return the answer of Bitwuzla, which writes clauses to a file, and if it is `unsat` what a checker says of their refutation."""
    deadline = limits.deadline()
    clauses, found, proof = (f"{place}.{end}" for end in ("cnf", "drat", "lrat"))
    for file in (clauses, found, proof):
        Path(file).unlink(missing_ok=True)
    answer = solve(limits, clauses)
    if answer.status != "unsat":
        return answer
    if not Path(clauses).is_file():
        return replace(answer, detail="Bitwuzla decided it by rewriting alone, of which there is no proof; ask cvc5")

    def left() -> Limits:
        return replace_seconds(limits, deadline.granted())

    refuted = run(("cadical", "-q", "-n", clauses, found), "", left())
    if (refuted.end, refuted.code) != (End.EXIT, 20):
        return replace(answer, detail=f"CaDiCaL does not refute the clauses: {_words(refuted)}")
    seconds = left().seconds
    limited = () if seconds is None else ("-t", str(max(1, int(seconds))))
    trimmed = run(("drat-trim", clauses, found, "-L", proof, *limited), "", left())
    if "s VERIFIED" not in trimmed.output.splitlines() or not Path(proof).is_file():
        return replace(answer, detail=f"drat-trim does not accept the proof: {_words(trimmed)}")
    Path(found).unlink()
    return replace(answer, checked=check_lrat(proof, clauses, left()))


def check_lrat(proof: str, clauses: str, limits: Limits) -> CheckedProof:
    """Return what a checker says of a proof that clauses have no solution: the one in ACL2's books, or lrat-check."""
    return _checked("LRAT", clauses, proof, _in_acl2(clauses, proof) if shutil.which("acl2") else _lrat_check(clauses, proof), limits)


def _in_acl2(clauses: str, proof: str) -> Checker:
    names = " ".join('"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"' for name in (clauses, proof))
    text = f'(include-book "{BOOK}" :dir :system)\n(lrat::lrat-check {names})\n(good-bye)\n'
    command = ("env", "ACL2_CUSTOMIZATION=NONE", "acl2")
    return Checker("lrat-check, verified in ACL2", command, text, "s VERIFIED")


def _lrat_check(clauses: str, proof: str) -> Checker:
    return Checker("lrat-check", ("lrat-check", clauses, proof), "", "c VERIFIED")


# ---------------------------------------------------------------- both


def replace_seconds(limits: Limits, seconds: float | None) -> Limits:
    """Return limits with what is left of the time."""
    return Limits(seconds, limits.memory, limits.seed)


def _checked(kind: str, problem: str, proof: str, checker: Checker, limits: Limits) -> CheckedProof:
    ended = run(checker.command, checker.text, limits)
    accepted = ended.end is End.EXIT and ended.code == 0 and checker.accepts in ended.output.splitlines()
    said = "accepted" if accepted else _words(ended)
    return CheckedProof(kind, problem, proof, Path(proof).stat().st_size, checker.name, accepted, said, ended.seconds)


def _words(ended: Finished) -> str:
    """Return how a program ended, and its last words."""
    lines = [line.strip() for line in (ended.output + "\n" + ended.errors).splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"error|fail|not verified|message|incomplete", line, re.IGNORECASE)] or lines
    how = "" if ended.end is End.EXIT else f"{ended.end.value}: "
    return (how + (telling[-1] if telling else f"nothing, status {ended.code}"))[:300]
