"""What several commands say of results: one line for each, counterexamples in full, and JSON."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from qspec.arithmetic.integers import IntArray
from qspec.certificate.claim import domains
from qspec.cli.outcome import overall, vacuous
from qspec.cli.terminal import colour, columns, painted
from qspec.errors import SpecError
from qspec.files.atomic import check_plain, writable
from qspec.ir.real import ExactArray
from qspec.language.property import Property, bind
from qspec.language.traversal import is_real
from qspec.show.counterexample import explain
from qspec.show.point import explain_point
from qspec.solver import CheckedProof, Reason
from qspec.verify.result import VACUOUSLY, Evidence, Result, Verdict

SCHEMA = "qspec.results/1"
MOST = 3
"""Counterexamples printed in full; `--json` keeps all."""


def verdict_line(result: Result, width: int) -> str:
    """Return `name: VERDICT`, padded, and on what it stands."""
    verdict = painted(result.verdict.name) + " " * (8 - len(result.verdict.name))
    return f"{result.name + ':':<{width + 1}} {verdict}  {grounds(result)}, {result.times.total:.2f} s"


def steps(result: Result) -> list[str]:
    """Return a line for each means that was tried on the way to a verdict, and one for why the last did not decide."""
    tried = [f"  {r.name:<16} {r.seconds:7.2f} s  {r.outcome}" for r in result.trace]
    return tried + ([f"  open: {result.detail or (result.reason and result.reason.value)}"] if result.reason is not None else [])


def proof_line(proof: CheckedProof) -> str:
    """Return where the proof of a solver is, and what a checker said of it."""
    word = "accepted" if proof.accepted else f"refused ({proof.output})"
    return f"proof: {proof.file}, {proof.format}, {proof.size:,} bytes, {word} by {proof.checker} in {proof.seconds:.2f} s"


def caveat(results: Sequence[Result]) -> str:
    """Return what to add to the verdict on several properties, if something holds only because nothing meets its assumption."""
    return f" {VACUOUSLY}" if overall(results) is Verdict.HOLDS and vacuous(results) else ""


def grounds(result: Result) -> str:
    """Return on what a verdict stands, in a few words."""
    match result.evidence:
        case Evidence.BOUNDS:
            text = "by exact bounds"
        case Evidence.ATTACK:
            text = "found by search"
        case Evidence.MODEL:
            text = f"model of {result.solver}"
        case Evidence.PROOF:
            text = f"proved by {result.solver}"
            if result.certificate is not None:
                text += f" in {domains(len(result.certificate.assumed))}, elsewhere by branch and bound, with a partial certificate"
        case Evidence.CHECKED:
            text = f"proved by {result.solver}, its proof accepted by {' and '.join(sorted({p.checker for p in result.proofs}))}"
        case Evidence.CERTIFICATE:
            text = "proved by branch and bound, with a certificate"
        case Evidence.NONE:
            text = f"{result.solver}: {result.reason.value if result.reason else 'nothing conclusive'}"
    if result.vacuous:
        text += "; vacuously: nothing meets the assumption"
    if result.unexamined:
        text += "; not examined whether anything meets the assumption"
    if result.violations:
        text += f"; {result.violations} {'violations' if result.kind == 'forall' else 'witnesses'} in all"
    detail = result.detail.strip().splitlines()
    telling = result.verdict is Verdict.UNKNOWN and detail and result.reason is not Reason.TIMEOUT
    return text + (f" ({detail[-1].strip()[:120]})" if telling else "")


def solutions(specs: Sequence[Property], results: Sequence[Result]) -> list[str]:
    """Return the counterexamples and witnesses among some results, each as a paragraph under its title."""
    found = [(c, r) for c, r in zip(specs, results, strict=True) if r.codes is not None or r.point is not None]
    parts = [solution(c, r.codes or {}, r.point) for c, r in found[:MOST]]
    if len(found) > MOST:
        parts.append(f"{len(found) - MOST} more are not shown; --json keeps them all")
    return parts


def solution(spec: Property, codes: Mapping[str, IntArray], point: Mapping[str, ExactArray] | None = None) -> str:
    """Return a counterexample or witness of a property as text."""
    bound = bind(spec)
    what = "counterexample to" if spec.kind == "forall" else "witness of"
    title = f"{what} {spec.name}"
    head = f"{title}\n{'─' * len(title)}\n"
    if is_real(bound):
        return head + explain_point(bound, codes, point or {}, columns=columns())
    return head + explain(bound, codes, columns=columns(), colour=colour())


def check_writable(where: str | None) -> None:
    """Raise SpecError, before anything takes time, if a file cannot be written there."""
    if where is None or where == "-":
        return
    if not writable(Path(where)):
        raise SpecError("cannot write there", given=where, expected="a file in a folder that exists")
    check_plain(where, "what is written to")
    if not os.access(where if Path(where).exists() else Path(where).resolve().parent, os.W_OK):
        raise SpecError("cannot write there", given=where, expected="a place that you may write to")


def document(target: str, results: Sequence[Result]) -> dict[str, object]:
    """Return results as JSON values, schema `qspec.results/1`."""
    return {
        "schema": SCHEMA,
        "target": target,
        "verdict": overall(results).name,
        "vacuous": vacuous(results),
        "results": [r.to_dict() for r in results],
    }
