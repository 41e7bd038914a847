"""How a solver of the reals must behave: exact numbers, strict comparisons, piecewise linear functions, complete models, limits.

A solver that decides up to δ (theory "real") may answer `delta-sat` wherever there is a solution; its `unsat` is a proof.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from time import monotonic

import numpy as np

from qspec.ir.enclosure import inside, satisfies
from qspec.ir.real import (
    FALSE,
    TRUE,
    Affine,
    All,
    And,
    Apply,
    Entries,
    Formula,
    Function,
    Input,
    Matrix,
    Maximum,
    Node,
    Product,
    Query,
    exact,
)
from qspec.problem import RealProblem, SmtProblem
from qspec.solver import Answer, Limits, Solver
from qspec.testing.examples.parts import codes
from qspec.theories import real_smtlib

GRACE = 20.0
"""Seconds by which a run may exceed its limit: processes are started and cleared up on a busy machine."""


@dataclass
class _Sketch:
    """Nodes of a query about inputs `x` in a box."""

    nodes: list[Node] = field(default_factory=list[Node])

    def input(self, low: object, high: object, name: str = "x") -> int:
        return self.add(Input(name, exact(low), exact(high)))

    def affine(self, node: int, rows: list[list[object]], bias: list[object]) -> int:
        return self.add(Affine(((Matrix(exact(rows)), node),), exact(bias)))

    def add(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    def query(self, *goal: Formula) -> Query:
        return Query(tuple(self.nodes), And(goal))


def _equation() -> Query:
    """`x / 3 - 2 y / 7 = 1 / 5`, which no double solves."""
    s = _Sketch()
    x = s.input([-2, Fraction(1, 3)], [2, Fraction(5, 3)])
    row: list[object] = [Fraction(1, 3), Fraction(-2, 7)]
    rows: list[list[object]] = [row, [-Fraction(1, 3), Fraction(2, 7)]]
    return s.query(All(s.affine(x, rows, [Fraction(-1, 5), Fraction(1, 5)])))


def _model(solver: Solver, theory: str) -> str:
    return _expect_model(solver, theory, _equation())


def _piecewise() -> tuple[_Sketch, int]:
    """`relu(x - y) + max(x, y, 1/2)` on a box, from 1/2 to 3."""
    s = _Sketch()
    x = s.input([-1, -1], [1, 1])
    hinge = s.add(Apply(s.affine(x, [[1, -1]], [0]), Function.RELU))
    greatest = s.add(Maximum(s.affine(x, [[1, 0], [0, 1], [0, 0]], [0, 0, Fraction(1, 2)]), np.array([[0, 1, 2, -1]])))
    one = Matrix(exact([[1]]))
    return s, s.add(Affine(((one, hinge), (one, greatest)), exact([0])))


def _piecewise_model(solver: Solver, theory: str) -> str:
    s, y = _piecewise()
    return _expect_model(solver, theory, s.query(All(s.affine(y, [[1]], [Fraction(-29, 10)]))))


def _piecewise_unsat(solver: Solver, theory: str) -> str:
    s, y = _piecewise()
    return _expect_unsat(solver, theory, s.query(All(s.affine(y, [[1]], [Fraction(-31, 10)]))))


def _strict(solver: Solver, theory: str) -> str:
    """Two sums are at least zero, and their sum is below: impossible by a margin; with strictness alone for exact theories."""
    s = _Sketch()
    x = s.input([-1, -1], [1, 1])
    margin = 0 if theory != "real" else Fraction(-1, 10)
    return _expect_unsat(solver, theory, s.query(All(x), All(s.affine(x, [[-1, -1]], [margin]), strict=True)))


def _nothing(solver: Solver, theory: str) -> str:
    return _expect_model(solver, theory, Query((), TRUE))


def _contradiction(solver: Solver, theory: str) -> str:
    return _expect_unsat(solver, theory, Query((), FALSE))


def _strange_name(solver: Solver, theory: str) -> str:
    s = _Sketch()
    x = s.input([0, 0], [3, 0], name='0 |a" (b);é\\_1')
    return _expect_model(solver, theory, s.query(All(s.affine(x, [[2, 3]], [Fraction(-7, 2)]))))


def _square(solver: Solver, theory: str) -> str:
    """`x * x >= 2` for x up to 1.5, and never for x up to 1.4; linear theories have no products."""
    if theory == "QF_LRA":
        return ""
    complaints: list[str] = []
    for high, expect in ((Fraction(3, 2), _expect_model), (Fraction(7, 5), _expect_unsat)):
        s = _Sketch()
        x = s.input([-1], [high])
        complaints.append(expect(solver, theory, s.query(All(s.affine(s.add(Product(x, x)), [[1]], [-2])))))
    return "; ".join(c for c in complaints if c)


def _exponential(solver: Solver, theory: str) -> str:
    """`exp(x) >= 3` never for x up to 1."""
    if theory in ("QF_LRA", "QF_NRA"):
        return ""
    s = _Sketch()
    y = s.add(Apply(s.input([-1], [1]), Function.EXP))
    return _expect_unsat(solver, theory, s.query(All(s.affine(y, [[1]], [-3]))))


def _time_limit(solver: Solver, theory: str) -> str:
    """A market split problem (Cornuéjols and Dawande 1998); `max(x, 1 - x) >= 1` makes each x whole. It has a planted solution."""
    weights, planted = codes(5, 45, seed=8, low=1, high=99), codes(45, seed=9, low=0, high=1)
    s = _Sketch()
    x = s.input(np.zeros(45), np.ones(45))
    k = np.arange(45)
    both = Entries(90, 45, np.concatenate([k, k + 45]), np.concatenate([k, k]), np.concatenate([np.ones(45), -np.ones(45)]))
    pairs = s.add(Affine(((both, x),), np.concatenate([np.zeros(45), np.ones(45)])))
    ends = s.add(Affine(((Matrix(np.eye(45)), s.add(Maximum(pairs, np.stack([k, k + 45], axis=1)))),), -np.ones(45)))
    sums = np.concatenate([weights, -weights]).astype(np.float64)
    query = s.query(All(ends), All(s.add(Affine(((Matrix(sums), x),), -sums @ planted))))
    began = monotonic()
    answer = solver.solve(_problem(query, theory), Limits(seconds=1.0))
    spent = monotonic() - began
    if spent > 1.0 + GRACE:
        return f"a limit of 1 s, but {spent:.0f} s were spent"
    if answer.status in ("sat", "delta-sat"):
        return _replayed(query, theory, answer)
    return "" if answer.status == "unknown" and answer.reason is not None else f"expected unknown with a reason, got {_show(answer)}"


def _repeatable(solver: Solver, theory: str) -> str:
    first, second = (solver.solve(_problem(_equation(), theory), Limits(seed=7)) for _ in range(2))
    return "" if first.status == second.status else f"first {_show(first)}, then {_show(second)}"


CHECKS: Mapping[str, Callable[[Solver, str], str]] = {
    "model": _model,
    "piecewise linear, model": _piecewise_model,
    "piecewise linear, unsat": _piecewise_unsat,
    "strict": _strict,
    "nothing": _nothing,
    "contradiction": _contradiction,
    "strange name": _strange_name,
    "square": _square,
    "exponential": _exponential,
    "time limit": _time_limit,
    "repeatable": _repeatable,
}

GROWN = frozenset({"square", "exponential"})
"""Checks of what QF_LRA has not."""


def _problem(query: Query, theory: str) -> SmtProblem | RealProblem:
    return RealProblem(query) if theory == "real" else real_smtlib.lower(query)


def _expect_model(solver: Solver, theory: str, query: Query) -> str:
    answer = solver.solve(_problem(query, theory), Limits())
    if answer.status == "sat" or (theory == "real" and answer.status == "delta-sat"):
        return _replayed(query, theory, answer)
    return f"expected sat, got {_show(answer)}"


def _expect_unsat(solver: Solver, theory: str, query: Query) -> str:
    answer = solver.solve(_problem(query, theory), Limits())
    return "" if answer.status == "unsat" and not answer.model else f"expected unsat without a model, got {_show(answer)}"


def _replayed(query: Query, theory: str, answer: Answer) -> str:
    problem = _problem(query, theory)
    if answer.model is None:
        return "sat without a model"
    names = (s.text for s in problem.symbols) if isinstance(problem, SmtProblem) else _elements(query)
    missing = set(names) - set(answer.model)
    if missing:
        return f"the model lacks {len(missing)} symbols, such as {min(missing)}"
    if any(type(v) is not Fraction for v in answer.model.values()):
        return "a value of the model is not a Fraction"
    point = problem.decode(answer.model)
    if answer.status == "delta-sat" or answer.numerical:
        return "" if inside(query, point) else "the model is not in the box"
    return "" if satisfies(query, point) else f"the model is no solution: {str(dict(answer.model))[:200]}"


def _elements(query: Query) -> list[str]:
    """Return the name of every element that is free."""
    return [f"{name}[{k}]" for name, n in query.inputs.items() for k in range(n.lower.size) if n.lower[k] != n.upper[k]]


def _show(answer: Answer) -> str:
    parts = [answer.status, answer.reason.name if answer.reason else "", answer.detail[:120]]
    return " ".join(p for p in parts if p)
