"""Proofs that solvers write and programs of somebody else check: who can be asked for them, and where they go."""

from __future__ import annotations

import re
from pathlib import Path

from qspec.errors import SolverMissingError, SpecError, UnsupportedError
from qspec.ir.digest import digest
from qspec.ir.integer import Query
from qspec.solver import ProvingSolver, Solver
from qspec.verify.options import Settings


def check_proving(asked: Solver, settings: Settings) -> None:
    """Make the folder for proofs if one is asked for.

    Raises UnsupportedError if the solver writes none, SolverMissingError if a program that checks them is missing, SpecError if there can
    be no such folder.
    """
    if settings.proof is None:
        return
    if not isinstance(asked, ProvingSolver):
        advice = "the native engine (bounds) gives certificates, which qspec check-certificate checks"
        raise UnsupportedError(
            "this solver writes no proofs that can be checked", given=asked.name, expected="cvc5, bitwuzla", advice=advice
        )
    if settings.presolve == "branch":
        raise UnsupportedError("proofs are of whole queries", given='presolve="branch"', expected='presolve="passes"')
    state = asked.checking()
    if not state.ok:
        raise SolverMissingError(
            f"proofs of {asked.name} cannot be checked here", given=f"no {state.missing}", expected="a checker", advice=state.install
        )
    try:
        Path(settings.proof).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SpecError("cannot write there", given=settings.proof, expected="a folder for proofs", advice=str(error)) from None


def proof_place(folder: str, name: str, part: Query) -> str:
    """Return with what the files begin that belong to the proof about a part of a query: the name of the property, and a digest."""
    plain = re.sub(r"[^\w-]", "_", name, flags=re.ASCII)[:60]
    return str(Path(folder).resolve() / f"{plain}-{digest(part)[:12]}")
