"""Bitwuzla: bit-blasting for bit-vectors, the strongest default for QF_BV."""

from __future__ import annotations

from dataclasses import dataclass

from qspec.problem import Problem
from qspec.solver import Answer, Availability, Limits
from qspec_solvers import availability
from qspec_solvers.process import worker
from qspec_solvers.proofs import lrat, lrat_checking
from qspec_solvers.smtlib import ask


@dataclass(frozen=True, slots=True)
class Bitwuzla:
    """Bitwuzla by its Python package; `options` are its own, for example `("bv-solver=preprop",)`."""

    options: tuple[str, ...] = ()
    theories: tuple[str, ...] = ("QF_BV",)
    name: str = "bitwuzla"
    cite: str = "A. Niemetz, M. Preiner. Bitwuzla. CAV 2023. https://doi.org/10.1007/978-3-031-37703-7_1"

    def availability(self) -> Availability:
        return availability.package("bitwuzla", "bitwuzla", "bitwuzla")

    def solve(self, problem: Problem, limits: Limits) -> Answer:
        return self._asked(problem, limits)

    def checking(self) -> Availability:
        return lrat_checking()

    def prove(self, problem: Problem, limits: Limits, place: str) -> Answer:
        return lrat(limits, place, lambda limits, file: self._asked(problem, limits, f"write-cnf={file}"))

    def _asked(self, problem: Problem, limits: Limits, *more: str) -> Answer:
        return ask(worker("run_bitwuzla", f"seed={limits.seed % 2**32}", *self.options, *more), problem, limits, self.theories)
