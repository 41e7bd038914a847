"""From a query to the problem of a theory that a solver decides."""

from __future__ import annotations

from qspec.errors import UnsupportedError
from qspec.ir import Query, formula_nodes
from qspec.problem import GridProblem, Problem
from qspec.solver import Solver


def compile_problem(part: Query, solver: Solver, theory: str | None = None) -> Problem:
    """Return the problem of a query in a theory that the solver decides; raises UnsupportedError if there is none."""
    if theory is not None and theory not in solver.theories:
        raise UnsupportedError(f"{solver.name} does not decide this theory", given=theory, expected=", ".join(solver.theories))
    problem = lower_query(part, theory or solver.theories[0])
    if problem.theory not in solver.theories:
        raise UnsupportedError(
            f"{solver.name} does not decide {problem.theory}",
            given=theory,
            expected=", ".join(solver.theories),
            advice="products of variables need QF_BV",
        )
    return problem


def lower_query(part: Query, theory: str) -> Problem:
    """Return a query as a problem of a theory: "QF_BV", "QF_LIA" (QF_NIA if variables are multiplied), "milp", or "grid"."""
    from qspec.bounds.backward import bound
    from qspec.theories import bitvector, integer, milp

    match theory:
        case "grid" | "query":
            return GridProblem(part, theory=theory)
        case "QF_BV":
            return bitvector.lower(part, bound(part.program))
        case "QF_LIA" | "QF_NIA":
            return integer.lower(part, bound(part.program))
        case "milp":
            return milp.lower(part, bound(part.program, tuple(formula_nodes(part.goal))))
        case _:
            raise UnsupportedError("no such theory", given=theory, expected="query, QF_BV, QF_LIA, QF_NIA, milp or grid")
