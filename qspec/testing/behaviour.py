"""How a solver must behave, whatever it decides: complete models, limits that bind, problems that it cannot take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import monotonic

import numpy as np

from qspec.arithmetic.integers import IntArray, integers
from qspec.errors import UnsupportedError
from qspec.ir import linear
from qspec.ir.integer import FALSE, TRUE, All, And, Query
from qspec.ir.integer_builder import Builder
from qspec.ir.reference import satisfies
from qspec.problem import GridProblem, Problem, RealProblem, SmtProblem
from qspec.solver import Answer, Limits, Reason, Solver, get_solver
from qspec.testing import reals
from qspec.testing.examples.parts import codes
from qspec.theories.lowering import lower_query

GRACE = 20.0
"""Seconds by which a run may exceed its limit: processes are started and cleared up on a busy machine."""

Check = Callable[[Solver, str], str]
"""Returns a complaint about a solver in a theory, or nothing."""


def check_solver_behaviour(solver: str | Solver) -> tuple[str, ...]:
    """Check a solver on problems that are not about networks, in every theory that it decides; return the names of the checks.

    Raises AssertionError that lists every check that failed, with what the solver answered.
    """
    chosen = get_solver(solver)
    state = chosen.availability()
    failures = [] if state.ok else [f"it is not available: {state.missing}"]
    if not (chosen.name and chosen.theories and chosen.cite):
        failures.append("it does not state its name, its theories and whom to cite")
    done: list[str] = []
    for theory in chosen.theories:
        for name, check in _checks(theory, chosen.theories).items():
            complaint = check(chosen, theory)
            done.append(f"{theory}: {name}")
            failures += [f"{theory}: {name}: {complaint}"] if complaint else []
    if failures:
        raise AssertionError("\n".join([f"{chosen.name}: {len(failures)} of {len(done)} checks failed", *failures]))
    return tuple(done)


def _model(solver: Solver, theory: str) -> str:
    """Two inputs of both signs; the equation has solutions, but few."""
    return _expect_model(solver, theory, _equation([[5, 7, -11]], [-23], low=[-9, -30, 2], high=[9, -1, 4]))


def _unsat(solver: Solver, theory: str) -> str:
    return _expect_unsat(solver, theory, _equation([[6, 10, -4]], [7], low=[-9, -3, 0], high=[9, 3, 5]))


def _nothing(solver: Solver, theory: str) -> str:
    """No variables and nothing to meet: satisfiable."""
    return _expect_model(solver, theory, Query((), TRUE))


def _contradiction(solver: Solver, theory: str) -> str:
    return _expect_unsat(solver, theory, Query((), FALSE))


def _fixed_elements(solver: Solver, theory: str) -> str:
    """Bounds fix one element, which then has no symbol."""
    return _expect_model(solver, theory, _equation([[1, 1]], [2], low=[5, -7], high=[5, 7]))


def _wide_integers(solver: Solver, theory: str) -> str:
    """A solution beyond every machine word; an engine on the grid, or in floating point, may find that too large."""
    wide = _equation([[3, -1]], [2**70 + 1], low=[0, -5], high=[2**80, 5])
    return _expect_model(solver, theory, wide, may_refuse=theory in ("query", "grid", "milp"))


def _strange_name(solver: Solver, theory: str) -> str:
    return _expect_model(solver, theory, _equation([[2, 3]], [7], low=[0, 0], high=[3, 3], name='0 |a" (b);é\\_1'))


def _many_symbols(solver: Solver, theory: str) -> str:
    pattern = codes(1200, seed=5, low=0, high=1)
    b = Builder()
    x = b.input("x", np.zeros(1200, dtype=np.int64), np.ones(1200, dtype=np.int64))
    return _expect_model(solver, theory, _equals(b, x, pattern), may_refuse=theory in ("query", "grid"))


def _time_limit(solver: Solver, theory: str) -> str:
    """A market split problem (Cornuéjols and Dawande 1998): far beyond one second, but with a planted solution."""
    weights, planted = codes(5, 45, seed=8, low=1, high=99), codes(45, seed=9, low=0, high=1)
    problem = _equation(weights.tolist(), (weights @ planted).tolist(), low=[0] * 45, high=[1] * 45)
    began = monotonic()
    answer = solver.solve(lower_query(problem, theory), Limits(seconds=1.0))
    spent = monotonic() - began
    if spent > 1.0 + GRACE:
        return f"a limit of 1 s, but {spent:.0f} s were spent"
    if answer.status == "sat":
        return _replayed(lower_query(problem, theory), answer, problem)
    return _expect_unknown(answer)


def _repeatable(solver: Solver, theory: str) -> str:
    query = _equation([[5, 7, -11]], [-23], low=[-9, -30, 2], high=[9, -1, 4])
    first, second = (solver.solve(lower_query(query, theory), Limits(seed=7)) for _ in range(2))
    return "" if first.status == second.status else f"first {_show(first)}, then {_show(second)}"


def _foreign_theory(solver: Solver, theory: str) -> str:
    """A logic that the solver does not list, and a problem of another kind: unknown, not an exception."""
    text = "(set-logic QF_S)\n(declare-fun s () String)\n(assert (= (str.len s) 3))\n"
    other: Problem = GridProblem(Query((), TRUE)) if theory not in ("query", "grid") else lower_query(Query((), TRUE), "QF_BV")
    foreign = [p for p in (SmtProblem("QF_S", text, (), {}), other) if p.theory not in solver.theories]
    complaints = [_expect_unknown(solver.solve(p, Limits())) for p in foreign]
    return "; ".join(c for c in complaints if c)


def _malformed_text(solver: Solver, theory: str) -> str:
    if theory in ("query", "grid"):
        return ""
    return _expect_unknown(solver.solve(SmtProblem(theory, f"(set-logic {theory})\n(assert (= x", (), {}), Limits()))


CHECKS: Mapping[str, Check] = {
    "model": _model,
    "unsat": _unsat,
    "nothing": _nothing,
    "contradiction": _contradiction,
    "fixed elements": _fixed_elements,
    "wide integers": _wide_integers,
    "strange name": _strange_name,
    "many symbols": _many_symbols,
    "time limit": _time_limit,
    "repeatable": _repeatable,
    "foreign theory": _foreign_theory,
    "malformed text": _malformed_text,
}

REAL_THEORIES = ("QF_LRA", "QF_NRA", "QF_NRAT", "real")
REAL_CHECKS: Mapping[str, Check] = {**reals.CHECKS, "foreign theory": _foreign_theory, "malformed text": _malformed_text}
"""What solvers of the reals must do instead."""


def _checks(theory: str, decided: Sequence[str]) -> Mapping[str, Check]:
    """Return the checks of a theory; where a solver decides QF_LRA as well, larger logics are asked only about what they add."""
    if theory not in REAL_THEORIES:
        return CHECKS
    grown = theory in ("QF_NRA", "QF_NRAT") and "QF_LRA" in decided
    return {name: check for name, check in REAL_CHECKS.items() if not grown or name in reals.GROWN}


def _equation(weights: list[list[int]], totals: list[int], *, low: list[int], high: list[int], name: str = "x") -> Query:
    """Return the query for integers between bounds whose weighted sums are these totals; the last element is an input of its own."""
    b = Builder()
    x, y = b.input(name, low[:-1], high[:-1]), b.input(f"{name}.last", low[-1:], high[-1:])
    matrix = integers(weights)
    total = b.affine([(linear.Dense(matrix[:, :-1]), x), (linear.Dense(matrix[:, -1:]), y)])
    return _equals(b, total, integers(totals))


def _equals(builder: Builder, node: int, values: IntArray) -> Query:
    atoms = (All(builder.scale(node, 1, -values)), All(builder.scale(node, -1, values)))
    return Query(builder.program, And(atoms))


def _expect_model(solver: Solver, theory: str, query: Query, *, may_refuse: bool = False) -> str:
    try:
        problem = lower_query(query, theory)
    except UnsupportedError as error:
        return "" if may_refuse else f"expected sat, got {error.what}"
    answer = solver.solve(problem, Limits())
    if may_refuse and answer.status == "unknown" and answer.reason in (Reason.TOO_LARGE, Reason.UNSUPPORTED):
        return ""
    return _replayed(problem, answer, query) if answer.status == "sat" else f"expected sat, got {_show(answer)}"


def _expect_unsat(solver: Solver, theory: str, query: Query) -> str:
    answer = solver.solve(lower_query(query, theory), Limits())
    return "" if answer.status == "unsat" and not answer.model else f"expected unsat without a model, got {_show(answer)}"


def _expect_unknown(answer: Answer) -> str:
    return "" if answer.status == "unknown" and answer.reason is not None else f"expected unknown with a reason, got {_show(answer)}"


def _replayed(problem: Problem, answer: Answer, query: Query) -> str:
    if answer.model is None:
        return "sat without a model"
    missing = set[str]() if isinstance(problem, GridProblem | RealProblem) else {s.text for s in problem.symbols} - set(answer.model)
    if missing:
        return f"the model lacks {len(missing)} symbols, such as {min(missing)}"
    if any(type(v) is not int for v in answer.model.values()):
        return "a value of the model is not a Python integer"
    return "" if satisfies(query, problem.decode(answer.model)) else f"the model is no solution: {str(dict(answer.model))[:200]}"


def _show(answer: Answer) -> str:
    parts = [answer.status, answer.reason.name if answer.reason else "", answer.detail[:120]]
    return " ".join(p for p in parts if p)
