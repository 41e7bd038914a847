"""From a query to the problem of a theory that a solver decides."""

from __future__ import annotations

from collections.abc import Sequence

from qspec.deadline import NEVER, Deadline
from qspec.errors import UnsupportedError
from qspec.ir.integer import Query, formula_nodes
from qspec.problem import Fidelity, GridProblem, Problem, RealProblem
from qspec.solver import Solver


def compile_problem(part: Query, solver: Solver, theory: str | None = None, *, linear: bool = True, deadline: Deadline = NEVER) -> Problem:
    """Return the problem of a query in a theory that the solver decides; raises UnsupportedError if there is none."""
    if theory is not None and theory not in solver.theories:
        raise UnsupportedError(f"{solver.name} does not decide this theory", given=theory, expected=", ".join(solver.theories))
    problem = lower_query(part, theory or solver.theories[0], linear=linear, deadline=deadline)
    if problem.theory not in solver.theories:
        raise UnsupportedError(
            f"{solver.name} does not decide {problem.theory}",
            given=theory,
            expected=", ".join(solver.theories),
            advice="products of variables need QF_BV",
        )
    return problem


def lower_query(part: Query, theory: str, *, linear: bool = True, deadline: Deadline = NEVER) -> Problem:
    """Return a query as a problem of a theory: "QF_BV", "QF_LIA" (QF_NIA if variables are multiplied), "milp", or "grid".

    "QF_LRA" (QF_NRA if variables are multiplied) and "real" relax it to reals: their problems have more solutions than the query.
    Widths and constants come from linear bounds of the nodes, or from intervals alone if not `linear`.
    Raises OutOfTime and OutOfMemory.
    """
    from qspec.bounds import interval, tighten
    from qspec.compile.relaxation import relax
    from qspec.theories import bitvector, integer, milp, real_smtlib

    def bounds(wanted: Sequence[int] = ()) -> list[interval.Interval]:
        return tighten.bound(part.program, wanted, deadline) if linear else interval.bound(part.program)

    match theory:
        case "grid" | "query":
            return GridProblem(part, theory=theory)
        case "QF_BV":
            return bitvector.lower(part, bounds(), deadline=deadline)
        case "QF_LIA" | "QF_NIA":
            return integer.lower(part, bounds(), deadline=deadline)
        case "milp":
            return milp.lower(part, bounds(tuple(formula_nodes(part.goal))), deadline)
        case "QF_LRA" | "QF_NRA":
            return real_smtlib.lower(relax(part, bounds(), deadline), tuple(part.inputs), deadline)
        case "real":
            return RealProblem(relax(part, bounds(), deadline), fidelity=Fidelity.OVER, whole=tuple(part.inputs))
        case _:
            raise UnsupportedError(
                "no such theory", given=theory, expected="query, QF_BV, QF_LIA, QF_NIA, QF_LRA, QF_NRA, real, milp or grid"
            )
