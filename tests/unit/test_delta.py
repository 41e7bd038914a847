"""The bounds and the search of the solver `delta`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from qspec.deadline import NEVER
from qspec.engines.delta.affine import LinePair, above, lines
from qspec.engines.delta.atoms import Atom, Case, cases
from qspec.engines.delta.branch_and_prune import search
from qspec.engines.delta.real_search import RealOutcome
from qspec.engines.delta.tensor_program import derivatives, enclose, plan
from qspec.engines.outward import OutwardInterval
from qspec.errors import UnsupportedError
from qspec.evaluate.device import wide
from qspec.ir.enclosure import at, evaluate, satisfies
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
    Node,
    Or,
    Product,
    Query,
    check,
    exact,
)
from qspec.ir.real import Any as AnyOf
from qspec.problem import RealProblem, SmtProblem
from qspec.solver import Limits, Reason
from qspec_solvers.delta import Delta
from tests.soundness.delta_queries import random_query

LIBRARIES = [pytest.param(np, nullcontext, id="numpy"), pytest.param(jnp, wide, id="XLA")]


def box(low: float, high: float, size: int = 1) -> Input:
    return Input("x", np.full(size, low), np.full(size, high))


def affine(matrix: Any, a: int, bias: Any) -> Affine:
    return Affine(((Matrix(exact(matrix)), a),), exact(bias))


def ask(*nodes: Node, goal: Formula | None = None, delta: float = 1e-3) -> RealOutcome:
    return search(check(Query(nodes, All(len(nodes) - 1) if goal is None else goal)), delta, NEVER)


@pytest.mark.parametrize("function", [f for f in Function if f is not Function.RECIPROCAL], ids=lambda f: f.value)
@pytest.mark.parametrize(("xp", "context"), LIBRARIES)
def test_lines_are_below_and_above(xp: Any, context: Callable[[], Any], function: Function) -> None:
    rng = np.random.default_rng(3)
    ends = np.sort(rng.normal(size=(1, 60, 2)) * 10.0 ** rng.integers(-3, 2, (1, 60, 1)), axis=-1)
    low, high = ends[..., 0], ends[..., 1]
    low[0, :5], high[0, :5] = [-1, 0, 0, -2, 3], [0, 0, 1, 2, 3]
    with context(), np.errstate(all="ignore"):
        found = LinePair(*(np.asarray(v) for v in lines(xp, function, OutwardInterval(xp.asarray(low), xp.asarray(high)))))
    for k in range(60):
        below, under, over, slope = (Fraction(float(v[0, k])) for v in (found.below, found.under, found.over, found.above))
        for share in range(9):
            x = Fraction(low[0, k]) + (Fraction(high[0, k]) - Fraction(low[0, k])) * share / 8
            y = at(function, x, 40) if function is not Function.RELU else None
            least, most = (max(x, Fraction(0)),) * 2 if y is None else (y.lower, y.upper)
            assert below * x + under <= most
            assert slope * x + over >= least


@pytest.mark.parametrize(("xp", "context"), LIBRARIES)
def test_bounds_of_random_programs_contain_their_values(xp: Any, context: Callable[[], Any]) -> None:
    for seed in range(40) if xp is np else range(1):
        query = random_query(seed)
        made = plan(query)
        last = len(query.program) - 1
        seeds = {last: np.eye(made.sizes[last])[:1]}
        with context(), np.errstate(all="ignore"):
            values = enclose(xp, made, xp.asarray(made.lower[None]), xp.asarray(made.upper[None]))
            slope = [np.asarray(v)[0] for v in derivatives(xp, made, values, seeds)]
            line = [np.asarray(v)[0] for v in above(xp, made, values, seeds)]
        rng = np.random.default_rng(seed)
        found: list[tuple[list[Fraction], Any]] = []
        for _ in range(6):
            point = {n.name: _inside(rng, n) for n in query.inputs.values()}
            try:
                exactly = evaluate(query.program, point, 60)
            except UnsupportedError:
                continue
            for k, node in enumerate(values):
                for i, x in enumerate(exactly[k]):
                    assert float(node.lower[0, i]) == -np.inf or Fraction(float(node.lower[0, i])) <= x.upper
                    assert float(node.upper[0, i]) == np.inf or Fraction(float(node.upper[0, i])) >= x.lower
            found.append(([x for n in query.inputs for x in point[n].tolist()], exactly[last][0]))
        for x, y in found:
            if np.isfinite(line[1]) and np.all(np.isfinite(line[0])):
                assert sum((Fraction(float(c)) * v for c, v in zip(line[0], x, strict=True)), Fraction(float(line[1]))) >= y.lower
            for other, z in found:
                if np.all(np.isfinite(slope)):
                    parts = [
                        sorted((Fraction(float(a)) * (v - w), Fraction(float(b)) * (v - w)))
                        for a, b, v, w in zip(*slope, x, other, strict=True)
                    ]
                    assert sum(p[0] for p in parts) <= y.upper - z.lower
                    assert sum(p[1] for p in parts) >= y.lower - z.upper


def _inside(rng: np.random.Generator, node: Input) -> Any:
    result = np.empty(node.lower.size, dtype=object)
    result[:] = [
        Fraction(a) + (Fraction(b) - Fraction(a)) * int(rng.integers(0, 9)) / 8
        for a, b in zip(node.lower.tolist(), node.upper.tolist(), strict=True)
    ]
    return result


def test_a_goal_is_taken_apart() -> None:
    both, either = All(0), AnyOf(0, strict=True)
    a, b = Atom(0, 0, strict=False), Atom(0, 1, strict=False)
    s, t = Atom(0, 0, strict=True), Atom(0, 1, strict=True)
    assert cases(both, [2]) == (Case((a, b)),)
    assert cases(And((both, either)), [2]) == (Case((a, b, s)), Case((a, b, t)))
    assert cases(Or((both, either, FALSE)), [2]) == (Case((a, b)), Case((s,)), Case((t,)))
    assert cases(TRUE, [2]) == (Case(),)
    assert cases(And((either, either)), [2], limit=3) == (Case((s,), (either,)), Case((t,), (either,)))


def test_strictness_is_kept() -> None:
    relu = box(-1, 0), Apply(0, Function.RELU)
    assert ask(*relu, goal=AnyOf(1)).status == "sat"
    assert ask(*relu, goal=AnyOf(1, strict=True)).status == "unsat"
    square = box(-1, 1), Product(0, 0), affine([[-1]], 1, [0])
    assert ask(*square, goal=All(2)).status == "sat"
    assert ask(*square, goal=All(2, strict=True)).status == "delta-sat"


def test_thirds_are_exact() -> None:
    third = exact([Fraction(1, 3)])
    x = Input("x", third, third)
    assert ask(x, affine([[Fraction(3)]], 0, [-1])).status == "sat"
    assert ask(x, affine([[Fraction(3)]], 0, [-1]), goal=All(1, strict=True)).status == "delta-sat"
    assert ask(x, affine([[Fraction(3)]], 0, [Fraction(-1) - Fraction(1, 10**12)])).status == "unsat"


def test_a_query_without_inputs() -> None:
    one = Affine((), np.ones(1))
    assert ask(one, Apply(0, Function.TANH), affine([[1]], 1, [-0.75])).status == "sat"
    assert ask(one, Apply(0, Function.TANH), affine([[1]], 1, [-0.77])).status == "unsat"
    assert search(Query((), TRUE), 1e-3, NEVER).status == "sat"
    assert search(Query((), FALSE), 1e-3, NEVER).status == "unsat"


def test_a_goal_without_atoms() -> None:
    assert ask(box(0, 1), goal=TRUE).status == "sat"
    assert ask(box(0, 1), goal=FALSE).status == "unsat"


def test_what_cannot_be_told_is_delta_sat_at_a_point_that_misses_little() -> None:
    tanh = box(0.5, 3), Apply(0, Function.TANH), Product(1, 1), Apply(0, Function.EXP), affine([[1]], 3, [-2])
    negative = affine([[-1]], 4, [0])
    outcome = ask(*tanh, negative, goal=And((All(4), All(5))))
    assert outcome.status == "delta-sat"
    assert outcome.point is not None
    assert abs(float(outcome.point["x"][0]) - np.log(2)) < 1e-3
    assert ask(*tanh, affine([[-1]], 4, [-1e-9]), goal=And((All(4), All(5))), delta=1e-10).status == "unsat"


def test_alternatives_that_are_not_taken_apart_prune_and_are_solved() -> None:
    x = box(-1, 1, 16)
    outside = affine(np.vstack([np.eye(16), -np.eye(16)]), 0, [-0.5] * 32)
    pairs = affine(np.vstack([np.eye(16), -np.eye(16)]), 0, [-0.25] * 32)
    total = affine(np.ones((1, 16)), 0, [-15.5])
    many = And((AnyOf(1), AnyOf(2), AnyOf(1), AnyOf(2), All(3)))
    assert ask(x, outside, pairs, total, goal=many).status == "sat"
    never = affine(np.vstack([np.eye(16), -np.eye(16)]), 0, [-1.5] * 32)
    assert ask(x, outside, never, total, goal=many).status == "unsat"


def test_reciprocals_of_what_may_not_be_positive_prove_nothing() -> None:
    small = Apply(0, Function.RECIPROCAL), affine([[-1]], 1, [0.5])
    assert ask(box(-1, 1), *small).status == "unknown"
    assert ask(box(0.5, 1.9), *small).status == "unsat"
    assert ask(box(0.5, 2), *small).status == "sat"


def test_overflow_proves_nothing() -> None:
    grown = box(700, 800), Apply(0, Function.EXP), Product(1, 1), affine([[-1]], 2, [1])
    assert ask(*grown, goal=All(2)).status in ("sat", "delta-sat")
    assert ask(*grown).status == "unknown"


def test_the_solver_answers_with_exact_models() -> None:
    problem = RealProblem(check(Query((box(-1, 1, 2), affine([[1, 1]], 0, [-1.99])), All(1))))
    answer = Delta().solve(problem, Limits())
    assert answer.status == "sat"
    assert answer.model is not None
    assert satisfies(problem.query, problem.decode(answer.model))


def test_the_solver_keeps_to_limits_and_says_what_it_does_not_take() -> None:
    sphere = box(-1, 1, 12), Product(0, 0), affine(np.ones((1, 12)), 1, [-6]), affine([[-1]], 2, [0])
    hard = Query(sphere, And((All(2), All(3, strict=True))))
    answer = Delta().solve(RealProblem(hard, delta=1e-12), Limits(seconds=0.2))
    assert (answer.status, answer.reason) in (("unknown", Reason.TIMEOUT), ("delta-sat", None))
    assert Delta().solve(SmtProblem("QF_LRA", "", (), {}), Limits()).reason is Reason.UNSUPPORTED
    one = np.zeros(1, dtype=np.int64)
    sparse = Affine(((Entries(9000, 9000, one, one, np.ones(1)), 0),), np.zeros(9000))
    large = Query((Input("x", np.zeros(9000), np.ones(9000)), sparse), All(1))
    assert Delta().solve(RealProblem(large), Limits()).reason is Reason.TOO_LARGE


def test_a_number_beyond_all_doubles_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedError, match="huge number"):
        at(Function.EXP, Fraction(10) ** 400, 24)
