"""HiGHS: branch and cut in double precision. What it proves is not certified, and every answer of it says so (`Answer.numerical`)."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from qspec.problem import MilpProblem, Problem
from qspec.solver import Answer, Availability, Limits, Reason
from qspec_solvers import availability
from qspec_solvers.process import run, worker
from qspec_solvers.reply import interpret


@dataclass(frozen=True, slots=True)
class Highs:
    """HiGHS by its Python package `highspy`; `options` are its own, for example `("mip_heuristic_effort=0.2",)`."""

    options: tuple[str, ...] = ()
    theories: tuple[str, ...] = ("milp",)
    name: str = "highs"
    cite: str = "Q. Huangfu, J. A. J. Hall. Parallelizing the dual revised simplex method. 2018. https://doi.org/10.1007/s12532-017-0130-5"

    def availability(self) -> Availability:
        return availability.package("highspy", "highspy", "'qspec[highs]'")

    def solve(self, problem: Problem, limits: Limits) -> Answer:
        """Return the first solution, each value rounded to the next integer; or `unsat` if HiGHS reports infeasible; both are numerical."""
        if not isinstance(problem, MilpProblem):
            return Answer("unknown", reason=Reason.UNSUPPORTED, detail=f"it takes milp, not {problem.theory}")
        seconds = () if limits.seconds is None else (f"time_limit={limits.seconds}",)
        command = worker("run_highs", f"random_seed={limits.seed % 2**31}", *seconds, *self.options)
        answer = interpret(run(command, written(problem), limits), problem.symbols, limits)
        return replace(answer, numerical=answer.status in ("sat", "unsat"))


def written(problem: MilpProblem) -> str:
    """Return the arrays of a problem as JSON, and which columns are asked for."""
    place = {name: k for k, name in enumerate(problem.names)}
    arrays = {
        "lower": problem.lower, "upper": problem.upper, "integral": problem.integral, "starts": problem.starts, "columns": problem.columns,
        "coefficients": problem.coefficients, "row_lower": problem.row_lower, "row_upper": problem.row_upper,
    }  # fmt: skip
    content: dict[str, object] = {name: array.tolist() for name, array in arrays.items()}
    return json.dumps(content | {"wanted": {s.text: place[s.text] for s in problem.symbols if s.text in place}})
