"""Z3: bit-vectors by bit-blasting, linear integers by simplex and cuts."""

from __future__ import annotations

from dataclasses import dataclass

from qspec.problem import Problem
from qspec.solver import Answer, Availability, Limits
from qspec_solvers.availability import executable, program
from qspec_solvers.smtlib import ask


@dataclass(frozen=True, slots=True)
class Z3:
    """Z3 by the executable of its Python package (which starts in 20 ms; `import z3` takes 200).

    `options` are its parameters, for example `("sat.threads=2",)`; `tactic` is an SMT-LIB tactic expression such as
    `(then simplify solve-eqs bit-blast sat)`, and empty for z3's own choice by logic.
    """

    options: tuple[str, ...] = ()
    tactic: str = ""
    theories: tuple[str, ...] = ("QF_BV", "QF_LIA", "QF_NIA", "QF_LRA", "QF_NRA")
    name: str = "z3"
    cite: str = "L. de Moura, N. Bjørner. Z3: An Efficient SMT Solver. TACAS 2008. https://doi.org/10.1007/978-3-540-78800-3_24"

    def availability(self) -> Availability:
        return program("z3", "z3-solver", "z3-solver")

    def solve(self, problem: Problem, limits: Limits) -> Answer:
        seed = limits.seed % 2**31
        command = (executable("z3", "z3-solver") or "z3", "-in", f"smt.random_seed={seed}", f"sat.random_seed={seed}", *self.options)
        check = f"(check-sat-using {self.tactic})" if self.tactic else "(check-sat)"
        return ask(command, problem, limits, self.theories, check=check, channel="option")
