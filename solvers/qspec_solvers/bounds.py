"""The native engine: exact bounds, attack, and branch and bound, with a certificate for every `unsat`; needs nothing but JAX.

In this process, because it is our own engine and looks at clock and memory between blocks of bounded size.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from qspec.arithmetic.integers import IntArray
from qspec.deadline import Deadline
from qspec.errors import UnsupportedError
from qspec.ir.integer import Query
from qspec.problem import GridProblem, Problem, grid_model
from qspec.solver import Answer, Availability, Limits, Reason
from qspec_solvers import availability

POINTS = 1 << 20
"""Assignments that are listed at most where the engine cannot search."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Branch and bound in JAX; cuts staircase steps first, or inputs (`branching="input"`; of itself where only a few are free)."""

    branching: Literal["steps", "input"] | None = None
    theories: tuple[str, ...] = ("query", "grid")
    name: str = "bounds"
    cite: str = (
        "qspec.engines.dual: dual bounds over staircases (Dvijotham et al. 2018, Zhang et al. 2018, Wang et al. 2021), "
        "concluded in integers"
    )

    def availability(self) -> Availability:
        return availability.package("jax", "jax", "jax")

    def solve(self, problem: Problem, limits: Limits) -> Answer:
        """Return the answer; `unsat` comes with what its certificate is made of, `sat` with a solution that was evaluated exactly."""
        began = time.monotonic()
        if not isinstance(problem, GridProblem):
            return Answer("unknown", reason=Reason.UNSUPPORTED, detail=f"it takes the query itself, not {problem.theory}")
        # Imported here, because listing the solvers must not load the engine.
        from qspec.attack.reach import check_reach
        from qspec.engines.dual.branch_and_bound import prove
        from qspec.engines.dual.options import EngineOptions

        deadline = limits.deadline()
        attack = _attack(limits, deadline) if problem.attack else None
        try:
            check_reach(problem.query)
            outcome = prove(problem.query, deadline, EngineOptions(branching=self.branching), attack)
        except UnsupportedError as error:
            return self._listed(problem, deadline, began, error)
        seconds = time.monotonic() - began
        counts: Mapping[str, int] = {"domains": outcome.visited, "leaves": outcome.leaves, "open": outcome.open}
        if outcome.solution is not None:
            return Answer("sat", grid_model(outcome.solution), seconds=seconds, statistics=counts, trace=outcome.trace)
        if outcome.proof is None:
            detail = outcome.ended or f"{outcome.visited} domains were bounded, {outcome.open} are open"
            return Answer("unknown", reason=Reason.TIMEOUT, detail=detail, seconds=seconds, statistics=counts, trace=outcome.trace)
        return Answer("unsat", seconds=seconds, statistics=counts, proof=outcome.proof.mapping(), trace=outcome.trace)

    def _listed(self, problem: GridProblem, deadline: Deadline, began: float, error: UnsupportedError) -> Answer:
        """Enumerate what is too wide for floats to search, if that is little; such an answer has no certificate."""
        from qspec.engines.enumerate.enumerate import enumerate_query

        try:
            found = enumerate_query(problem.query, deadline, limit=POINTS)
        except UnsupportedError:
            return Answer("unknown", reason=Reason.UNSUPPORTED, detail=str(error), seconds=time.monotonic() - began)
        seconds = time.monotonic() - began
        if found.first is not None:
            return Answer("sat", grid_model(found.first), seconds=seconds)
        if not found.complete:
            return Answer("unknown", reason=Reason.TIMEOUT, detail=str(error), seconds=seconds)
        return Answer("unsat", seconds=seconds)


def _attack(limits: Limits, deadline: Deadline) -> Callable[[Query], Callable[[], Mapping[str, IntArray] | None]]:
    """Return a search for solutions that takes turns with the proof."""

    def attack(query: Query) -> Callable[[], Mapping[str, IntArray] | None]:
        from qspec.attack.falsify import turns

        return turns(query, deadline, seed=limits.seed)

    return attack
