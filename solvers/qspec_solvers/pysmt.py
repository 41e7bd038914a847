"""pySMT: any solver that pySMT finds (MathSAT, Yices, Z3, cvc5, Boolector, …)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec

from qspec.problem import Problem
from qspec.solver import Answer, Availability, Limits
from qspec_solvers.availability import package
from qspec_solvers.process import worker
from qspec_solvers.smtlib import ask

MODULES = {"msat": "mathsat", "z3": "z3", "cvc5": "cvc5", "yices": "yicespy", "btor": "pyboolector", "bdd": "pycudd", "picosat": "picosat"}
"""The module by which pySMT reaches each of its solvers, in its own order of preference."""


@dataclass(frozen=True, slots=True)
class PySmt:
    """A solver behind pySMT: `solver` names it as pySMT does ("msat", "yices", …); None takes the first that knows the logic."""

    solver: str | None = None
    theories: tuple[str, ...] = ("QF_BV", "QF_LIA", "QF_LRA", "QF_NRA")
    name: str = "pysmt"
    cite: str = "M. Gario, A. Micheli. PySMT: a solver-agnostic library for fast prototyping of SMT-based algorithms. SMT Workshop 2015"

    def availability(self) -> Availability:
        found = package("pysmt", "pysmt", "pysmt")
        if not found.ok:
            return found
        solvers = [name for name, module in MODULES.items() if find_spec(module) is not None]
        if not solvers or (self.solver is not None and self.solver not in solvers):
            missing = f"{self.solver or 'any solver'} for pySMT (found: {', '.join(solvers) or 'none'})"
            return Availability(False, found.version, missing, f"pysmt-install --{self.solver or 'msat'}")
        return replace(found, version=f"{found.version} with {self.solver or ', '.join(solvers)}")

    def solve(self, problem: Problem, limits: Limits) -> Answer:
        return ask(worker("run_pysmt", self.solver or ""), problem, limits, self.theories)
