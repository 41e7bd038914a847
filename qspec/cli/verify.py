"""`qspec verify`: decide the properties of a file."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from qspec.certificate.claim import domains
from qspec.certificate.file import Certificate
from qspec.cli.outcome import CommandOutput, overall, status
from qspec.cli.report import caveat, check_writable, document, proof_line, solutions, steps, verdict_line
from qspec.cli.specs import read_specs
from qspec.cli.terminal import painted, progress
from qspec.errors import QspecError, SpecError, UnsupportedError
from qspec.language.property import Property
from qspec.language.traversal import is_real
from qspec.solver import get_solver
from qspec.verify.decide import default_solver, verify
from qspec.verify.options import DEFAULT_SOLVER, Presolve
from qspec.verify.result import Result


def run(
    *,
    target: str,
    solver: str | None,
    theory: str | None,
    delta: float,
    timeout: float | None,
    memory: int | None,
    seed: int,
    attack: bool,
    without: Sequence[str],
    presolve: Presolve,
    param: Sequence[str],
    certificate: str | None,
    proof: str | None,
    allow_vacuous: bool,
    explain: bool,
) -> CommandOutput:
    """Return the verdict on every property, then one line for each, then where certificates are, then counterexamples.

    To `explain` is to say after each line what was tried on the way to that verdict.
    """
    cases = read_specs(target, param)
    places = [] if certificate is None else _places(certificate, cases, solver or DEFAULT_SOLVER, theory, presolve)
    results: list[Result] = []
    with progress(len(cases)) as report:
        for case in cases:
            chosen = solver or default_solver(case)
            report(f"{case.name} · {chosen}")
            results.append(
                verify(
                    case,
                    solver=chosen,
                    theory=theory,
                    timeout=timeout,
                    memory=memory,
                    seed=seed,
                    attack=attack,
                    without=without,
                    presolve=presolve,
                    delta=delta,
                    proof=proof,
                )
            )
    verdict = overall(results)
    width = max(len(c.name) for c in cases)
    lines = [
        painted(verdict.name) + caveat(results),
        *(line for r in results for line in (verdict_line(r, width), *(steps(r) if explain else ()))),
        *(proof_line(p) for r in results for p in r.proofs),
    ]
    try:
        head = "\n".join([*lines, *_saved(places, certificate, results)])
    except QspecError:
        sys.stdout.write("\n".join(lines) + "\n")  # what was found is not lost for a certificate that cannot be written
        raise
    ended = status(verdict, results, allow_vacuous=allow_vacuous)
    return CommandOutput("\n\n".join([head, *solutions(cases, results)]), ended, lambda: document(target, results))


def _places(where: str, cases: Sequence[Property], solver: str, theory: str | None, presolve: Presolve) -> list[Path]:
    """Return where the certificate of each property goes: the file itself, or files in a folder, which is made if there are several.

    Raises UnsupportedError if the solver gives none, SpecError if nothing can be written there; both before anything takes time.
    """
    theories = get_solver(solver).theories
    if not all(map(is_real, cases)) and (theory or theories[0]) != "query" and presolve != "branch":
        given = solver if theory is None else f"{solver}, theory {theory}"
        raise UnsupportedError("this solver gives no certificates", given=given, expected="--solver bounds, or --presolve branch")
    folder = Path(where)
    if len(cases) == 1 and not folder.is_dir():
        check_writable(where)
        return [folder]
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise SpecError("cannot write there", given=where, expected="a folder for the certificates of several properties") from error
    names = [re.sub(r"[^\w.\[\]-]", "_", c.name) for c in cases]
    return [folder / f"{name}{f'-{names[:k].count(name) + 1}' if name in names[:k] else ''}.certificate" for k, name in enumerate(names)]


def _saved(places: Sequence[Path], where: str | None, results: Sequence[Result]) -> list[str]:
    """Write the certificates and return the line that says where they are; none if they were not asked for."""
    if not places:
        return []
    proofs = [(place, r.certificate or r.real_certificate) for place, r in zip(places, results, strict=True)]
    kept = [(place, proof) for place, proof in proofs if proof is not None]
    for place, proof in kept:
        proof.save(place)
    if not kept:
        return ["certificate: none, because nothing was proved"]
    partial = [len(proof.assumed) for _, proof in kept if isinstance(proof, Certificate) and proof.assumed]
    if len(results) == 1:
        return [f"certificate: {kept[0][0]}" + (f" (partial: {domains(partial[0])} assumed to have no solution)" if partial else "")]
    return [f"certificates: {len(kept)} of {len(results)}, in {where}" + (f" ({len(partial)} partial)" if partial else "")]
