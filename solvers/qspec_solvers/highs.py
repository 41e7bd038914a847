"""HiGHS: linear relaxations and branch and cut in double precision, of which nothing is believed: every conclusion is drawn on integers.

A solution meets every row exactly. `unsat` is a tree over boxes of the columns: each leaf is refuted by bounds propagated on integers, or
by a sum of rows with whole multipliers, rounded from the dual ray of the relaxation (Farkas). What HiGHS alone calls infeasible is unknown.
Source of the method: W. Cook, T. Koch, D. E. Steffy, K. Wolter. A hybrid branch-and-bound approach for exact rational mixed-integer
programming. Mathematical Programming Computation 2013, https://doi.org/10.1007/s12532-013-0055-6. Here the columns are bounded, so that any
multipliers do.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace

from qspec.problem import MilpProblem, Problem
from qspec.solver import Answer, Availability, Limits, Reason
from qspec_solvers import availability
from qspec_solvers.process import run, worker
from qspec_solvers.reply import interpret

UNCONFIRMED = "HiGHS reports infeasible in floating point, and no exact proof of it was found in time; ask bounds, z3 or cvc5"


@dataclass(frozen=True, slots=True)
class Highs:
    """HiGHS by its Python package `highspy`; `options` are its own, for example `("mip_heuristic_effort=0.2",)`."""

    options: tuple[str, ...] = ()
    theories: tuple[str, ...] = ("milp",)
    name: str = "highs"
    cite: str = "Q. Huangfu, J. A. J. Hall. Parallelizing the dual revised simplex method. 2018. https://doi.org/10.1007/s12532-017-0130-5"

    def availability(self) -> Availability:
        return availability.package("highspy", "highspy", "'qspec-verify[highs]'")

    def solve(self, problem: Problem, limits: Limits) -> Answer:
        """Return the first solution found, or `unsat` if a tree is closed on integers; else unknown, because of time or of rounding."""
        if not isinstance(problem, MilpProblem):
            return Answer("unknown", reason=Reason.UNSUPPORTED, detail=f"it takes milp, not {problem.theory}")
        until = "inf" if limits.seconds is None else str(time.monotonic() + limits.seconds)
        command = worker("run_highs", until, f"random_seed={limits.seed % 2**31}", *self.options)
        return _explained(interpret(run(command, written(problem), limits, channel=True), problem.symbols, limits))


def _explained(answer: Answer) -> Answer:
    """Return an answer with the reason why it is unknown, or marked as numerical where a solution was rounded and misses a row."""
    ended = answer.statistics.get("search", "")
    match answer.status, answer.reason:
        case "sat", _:
            return replace(answer, numerical="rounded" in answer.statistics)
        case "unknown", Reason.INCOMPLETE if ended == "infeasible":
            return replace(answer, reason=Reason.NUMERICAL, detail=UNCONFIRMED)
        case "unknown", Reason.INCOMPLETE if ended == "time limit" or not ended:
            return replace(answer, reason=Reason.TIMEOUT, detail="neither a solution nor an exact proof within the limit")
        case "unknown", Reason.INCOMPLETE:
            return replace(answer, detail=f"HiGHS: {ended}")
        case _:
            return answer


def written(problem: MilpProblem) -> str:
    """Return the arrays of a problem as JSON, and which columns are asked for."""
    place = {name: k for k, name in enumerate(problem.names)}
    arrays = {
        "lower": problem.lower, "upper": problem.upper, "integral": problem.integral, "starts": problem.starts, "columns": problem.columns,
        "coefficients": problem.coefficients, "row_lower": problem.row_lower, "row_upper": problem.row_upper,
    }  # fmt: skip
    content: dict[str, object] = {name: array.tolist() for name, array in arrays.items()}
    return json.dumps(content | {"wanted": {s.text: place[s.text] for s in problem.symbols if s.text in place}})
