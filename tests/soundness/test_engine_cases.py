"""The native engine against enumeration where it is easily wrong: each family has queries just solvable and just not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest

import qspec as qs
from qspec.arithmetic.integers import IntArray
from qspec.compile.query import compile_property
from qspec.engines.dual.options import EngineOptions
from qspec.ir.integer import FALSE, TRUE, All, And, Any, Formula, Or, Query, check
from qspec.ir.integer_builder import Builder
from qspec.ir.linear import Dense
from qspec.ir.reference import evaluate
from tests.soundness.random_queries import assignments, solutions
from tests.soundness.test_engine import judged


def decided(query: Query, label: object) -> bool:
    """Return whether a query has a solution, after the engine has found the same; cutting steps, it may take too many batches."""
    solvable = bool(len(solutions(check(query))))
    for branching in ("steps", "input"):
        outcome = judged(query, solvable, EngineOptions(branching=branching, compiled=False), (label, branching))
        allowed = {"solution" if solvable else "proof"} | ({"undecided"} if branching == "steps" else set())
        assert outcome in allowed, (label, branching)
    return solvable


@dataclass(frozen=True)
class Sums:
    """Two sums of uneven staircases over one input: the builder, the nodes, and their values at all points, shape (points,)."""

    builder: Builder
    first: int
    second: int
    f: IntArray
    g: IntArray

    def atleast(self, node: int, value: int) -> Formula:
        return All(self.builder.scale(node, 1, -value))


def uneven(builder: Builder, x: int, rng: np.random.Generator) -> int:
    """Add a sum of three staircases with jumps of several codes, long treads, and steps that are never reached."""
    a = builder.affine([(Dense(rng.integers(-4, 5, (3, 2))), x)], rng.integers(-3, 4, 3))
    thresholds = np.cumsum(rng.choice([0, 0, 1, 3, 14], (3, 9)), axis=1) - 24
    return builder.affine([(Dense(rng.integers(-3, 4, (1, 3))), builder.steps(a, rng.integers(-5, 6, 3), thresholds))])


def sums(seed: int) -> Sums:
    rng = np.random.default_rng(seed)
    builder = Builder()
    x = builder.input("x", [-4, -5], [5, 4])
    first, second = uneven(builder, x, rng), uneven(builder, x, rng)
    values = evaluate(builder.program, assignments(Query(builder.program, TRUE)))
    return Sums(builder, first, second, values[first][:, 0], values[second][:, 0])


@pytest.mark.parametrize("seed", range(8))
def test_uneven_staircases(seed: int) -> None:
    for excess in (0, 1):
        s = sums(seed)
        goal = s.atleast(s.first, int(s.f.max()) + excess)
        assert decided(Query(s.builder.program, goal), (seed, excess)) == (excess == 0)


@pytest.mark.parametrize("joined", [False, True])
def test_facts_that_exclude_each_other_only_together(joined: bool) -> None:
    """Each fact alone can be met; `joined` has both in one node."""
    met = 0
    for seed in range(5):
        for excess in (0, 1):
            s = sums(seed)
            b = int(np.quantile(s.g, 0.9, method="lower"))
            a = int(s.f[s.g >= b].max()) + excess
            if a > s.f.max():
                continue
            both = s.builder.affine([(Dense(np.array([[1], [0]])), s.first), (Dense(np.array([[0], [1]])), s.second)], np.array([-a, -b]))
            goal = All(both) if joined else And((s.atleast(s.first, a), s.atleast(s.second, b)))
            assert decided(Query(s.builder.program, goal), (seed, excess)) == (excess == 0)
            met += excess
    assert met >= 3


def nested(literals: list[Formula]) -> list[Formula]:
    """Return formulas of the same literals with disjunctions under conjunctions, three levels deep at most."""
    a, b, c, d = literals
    return [
        And((Or((a, b)), Or((c, d)))),
        And((a, Or((b, And((c, d)))))),
        And((Or((a, And((b, Or((c, d)))))), Or((c, And((a, d)))))),
        Or((And((a, Or((b, c)))), And((Or((c, d)), b)))),
    ]


def test_disjunctions_within_conjunctions() -> None:
    counts: Counter[bool] = Counter()
    for seed in range(5):
        rng = np.random.default_rng([seed, 1])
        for shape in range(4):
            s = sums(seed)
            ends = [(s.first, s.f, 1), (s.second, s.g, 1), (s.first, s.f, -1), (s.second, s.g, -1)]
            literals: list[Formula] = []
            for node, values, sign in ends:
                limits = sign * np.quantile(sign * values, rng.choice([0.9, 0.95, 1.0], 2), method="lower") + sign * rng.integers(0, 2, 2)
                pair = s.builder.affine([(Dense(np.array([[sign], [sign]])), node)], (-sign * limits).astype(np.int64))
                literals.append((All if rng.random() < 0.5 else Any)(pair))
            counts[decided(Query(s.builder.program, nested(literals)[shape]), (seed, shape))] += 1
    assert min(counts[True], counts[False]) >= 4


@pytest.mark.parametrize("seed", range(6))
def test_equal_inputs(seed: int) -> None:
    """Two inputs are equal because facts say so; the same function of both is the same, two functions differ by so much and no more."""
    rng = np.random.default_rng(seed)
    tables = rng.integers(-9, 10, (2, 8))
    for same in (False, True):
        f, g = tables[0], tables[0] if same else tables[1]
        for excess in (0, 1):
            builder = Builder()
            x, y = builder.input("x", [0], [7]), builder.input("y", [0], [7])
            gap = builder.difference(builder.table(x, [0], f[None]), builder.table(y, [0], g[None]), -int((f - g).max()) - excess)
            equal = And((All(builder.difference(x, y)), All(builder.difference(y, x))))
            assert decided(Query(builder.program, And((equal, All(gap)))), (seed, same, excess)) == (excess == 0)


@pytest.mark.parametrize("excess", [0, 1])
def test_inputs_with_a_single_value(excess: int) -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        builder = Builder()
        at = rng.integers(-4, 5, 2)
        total = uneven(builder, builder.input("x", at, at), rng)
        value = int(evaluate(builder.program, {"x": at})[total][0])
        goal = All(builder.scale(total, 1, -value - excess))
        assert decided(Query(builder.program, goal), (seed, excess)) == (excess == 0)


def test_empty_goals() -> None:
    s = sums(0)
    nothing = s.builder.select(s.first, [])
    one, minus = s.builder.constant([1]), s.builder.constant([-1])
    true = [TRUE, And(()), All(nothing), All(one), And((TRUE, All(one))), Or((FALSE, Any(one)))]
    false = [FALSE, Or(()), Any(nothing), All(minus), And((All(nothing), Any(nothing))), Or((FALSE, And((TRUE, FALSE))))]
    for goal in true + false:
        assert decided(Query(s.builder.program, goal), goal) == (goal in true)
    for goal in (TRUE, FALSE):
        assert decided(Query((), goal), goal) == (goal == TRUE)
        assert decided(Query(s.builder.program[:1], goal), goal) == (goal == TRUE)


def saturating(seed: int) -> qs.Network:
    """Return a classifier of 64 points whose outputs of 2 bits are mostly at their ends."""
    rng = np.random.default_rng(seed)
    hidden, last = (qs.quantize(rng.integers(-7, 8, shape), qs.Fixed(4, 0)) for shape in ((2, 4), (4, 3)))
    inner, outer = qs.Fixed(4, 0, signed=False), qs.Fixed(2, 0, signed=False)
    layers = qs.Dense(hidden, None, qs.ReLU(), inner), qs.Dense(last, output=outer)
    return qs.Sequential(qs.Input((2,), qs.Fixed(3, 0, signed=False)), *layers)


def test_ties_of_saturated_outputs() -> None:
    """The smallest index wins; truth is numpy's argmax over all inputs, which has the same rule."""
    counts: Counter[tuple[bool, bool]] = Counter()
    for seed in range(5):
        network = saturating(seed)
        points = np.stack(np.meshgrid(range(8), range(8)), axis=-1).reshape(-1, 2)
        outputs = network.evaluate(points)
        tied = (outputs == outputs.max(axis=1, keepdims=True)).sum(axis=1) > 1
        centre = points[np.flatnonzero(tied)[seed % tied.sum()]]
        near = np.abs(points - centre).max(axis=1) <= 2
        for label in range(3):
            wrong = bool(np.any(outputs[near].argmax(axis=1) != label))
            query = compile_property(qs.properties.local_robustness(network, centre, 2, label)).query
            assert decided(query, (seed, label)) == wrong
            reached = bool(np.any(outputs[near].argmax(axis=1) == label))
            query = compile_property(qs.properties.targeted_robustness(network, centre, 2, label)).query
            assert decided(query, (seed, label)) == reached
            counts[wrong, reached] += 1
    assert min(counts[True, True], counts[True, False]) >= 3
