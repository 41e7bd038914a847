"""cvc5: bit-vectors by bit-blasting (CaDiCaL), integers by cuts and branching."""

from __future__ import annotations

from dataclasses import dataclass

from qspec.problem import Problem
from qspec.solver import Answer, Availability, Limits
from qspec_solvers import availability
from qspec_solvers._workers.channel import PROOF_FILE
from qspec_solvers.process import worker
from qspec_solvers.proofs import cpc, cpc_checking
from qspec_solvers.smtlib import ask


@dataclass(frozen=True, slots=True)
class Cvc5:
    """cvc5 by its Python package; `options` are its own, for example `("bv-solver=bitblast-internal",)`."""

    options: tuple[str, ...] = ()
    theories: tuple[str, ...] = ("QF_BV", "QF_LIA", "QF_NIA", "QF_LRA", "QF_NRA", "QF_NRAT")
    name: str = "cvc5"
    cite: str = (
        "H. Barbosa et al. cvc5: A Versatile and Industrial-Strength SMT Solver. TACAS 2022. https://doi.org/10.1007/978-3-030-99524-9_24"
    )

    def availability(self) -> Availability:
        return availability.package("cvc5", "cvc5", "cvc5")

    def solve(self, problem: Problem, limits: Limits) -> Answer:
        eager = ("bitblast=eager",) if problem.theory == "QF_BV" else ()
        return ask(worker("run_cvc5", *_seeds(limits), *eager, *self.options), problem, limits, self.theories)

    def checking(self) -> Availability:
        return cpc_checking()

    def prove(self, problem: Problem, limits: Limits, place: str) -> Answer:
        def solve(limits: Limits, file: str) -> Answer:
            command = worker("run_cvc5", *_seeds(limits), *self.options, "proof-granularity=dsl-rewrite", f"{PROOF_FILE}={file}")
            return ask(command, problem, limits, self.theories)

        return cpc(problem, limits, place, solve)


def _seeds(limits: Limits) -> tuple[str, str]:
    seed = limits.seed % 2**31
    return f"seed={seed}", f"sat-random-seed={seed}"
