"""Enumeration: evaluate the goal at every assignment; complete, exact counts, for small input spaces.

In this process, because it is our own engine and looks at the clock between calls on the device; the memory limit does not apply to it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from qspec.errors import UnsupportedError
from qspec.problem import GridProblem, Problem, grid_model
from qspec.solver import Answer, Availability, Limits, Reason
from qspec_solvers import availability


@dataclass(frozen=True, slots=True)
class Enumerate:
    """Exhaustive evaluation in JAX; `points` is the largest number of assignments that it takes on."""

    points: int = 2**28
    theories: tuple[str, ...] = ("grid",)
    name: str = "enumerate"
    cite: str = "qspec.engines.enumerate.enumerate: every assignment of the query, evaluated exactly on the device"

    def availability(self) -> Availability:
        return availability.package("jax", "jax", "jax")

    def solve(self, problem: Problem, limits: Limits) -> Answer:
        """Return the answer, with the exact numbers of `points` and `violations`; `sat` comes with the first solution.

        Raises SoundnessError if the device contradicts the reference evaluator.
        """
        began = time.monotonic()
        if not isinstance(problem, GridProblem):
            return Answer("unknown", reason=Reason.UNSUPPORTED, detail=f"it takes grid, not {problem.theory}")
        # Imported here, because listing the solvers must not load the engine.
        from qspec.engines.enumerate.enumerate import enumerate_query

        try:
            found = enumerate_query(problem.query, limits.deadline(), limit=self.points)
        except UnsupportedError as error:
            return Answer("unknown", reason=Reason.TOO_LARGE, detail=f"{error.what}: {error.given} (at most {self.points})")
        seconds = time.monotonic() - began
        if not found.complete and found.first is None:
            return Answer(
                "unknown", reason=Reason.TIMEOUT, detail=f"{found.checked} of {found.total} assignments were checked", seconds=seconds
            )
        counts: dict[str, float | int | str] = {"points": found.total}
        counts |= {"violations": found.violations} if found.complete else {"checked": found.checked}
        model = None if found.first is None else grid_model(found.first)
        return Answer("unsat" if model is None else "sat", model, seconds=seconds, statistics=counts)
