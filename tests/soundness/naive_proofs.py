"""Certificates written without any bounding: inputs are split down to points, and at each point the goal is taken apart until it is false.

What a proof needs to know of its state (facts, pending disjunctions) is kept here again, and shares nothing with the checker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.certificate.file import ASSUME, BOUND, CHOOSE, CLOSE, EMPTY, LIST, PROPAGATE, SPLIT, TIGHTEN, Assumption, Certificate
from qspec.ir.digest import digest
from qspec.ir.integer import (
    All,
    And,
    Any,
    Formula,
    Input,
    Maximum,
    Or,
    Product,
    Query,
    Staircase,
    Table,
    Truth,
    Wrap,
    arguments,
    formula_nodes,
    sizes,
)
from qspec.ir.reference import evaluate, holds

Fact = tuple[int, int]
SOMEBODY = Assumption("somebody", "1", "QF_BV")


def largest_multipliers(query: Query) -> IntArray:
    """Return one number for each multiplier: 999, but 0 for those of maxima, which are exact at a point only for multipliers up to 0."""
    found: list[IntArray] = [np.zeros(0, dtype=np.int64)]
    for node, size in zip(query.program, sizes(query.program), strict=True):
        if isinstance(node, Staircase | Table | Wrap | Product):
            found.append(np.full(2 * size if isinstance(node, Product) else size, 999))
        elif isinstance(node, Maximum):
            found.append(np.zeros(node.groups.size, dtype=np.int64))
    return np.concatenate(found)


def drawn(query: Query) -> IntArray:
    """Return which multipliers are drawn: none of staircases that alone read their argument, which is tightened only in part."""
    asked = formula_nodes(query.goal)
    found: list[IntArray] = [np.zeros(0, dtype=bool)]
    for node, size in zip(query.program, sizes(query.program), strict=True):
        if isinstance(node, Staircase):
            readers = [n for n in query.program if node.argument in arguments(n)]
            found.append(np.full(size, node.argument in asked or not all(isinstance(n, Staircase) for n in readers)))
        elif isinstance(node, Table | Wrap | Product | Maximum):
            count = node.groups.size if isinstance(node, Maximum) else 2 * size if isinstance(node, Product) else size
            found.append(np.ones(count, dtype=bool))
    return np.concatenate(found)


@dataclass
class Writer:
    """Collects the steps of a proof about a query; multipliers and slopes are drawn at random unless given."""

    query: Query
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    steps: list[tuple[int, int, int, int]] = field(default_factory=list)
    slopes: list[IntArray] = field(default_factory=list)
    multipliers: list[IntArray] = field(default_factory=list)
    weights: list[tuple[int, int, int, int]] = field(default_factory=list)
    assumed: int = 0

    def __post_init__(self) -> None:
        self.most = largest_multipliers(self.query)
        self.drawn = drawn(self.query)
        self.width = self.most.size

    def _draw(self, count: int) -> IntArray:
        return self.rng.integers(-999, self.most + 1, (count, self.width)) * self.drawn

    def propagate(self) -> None:
        self.steps.append((PROPAGATE, 0, 0, 0))

    def tighten(self, node: int, slopes: object = None) -> None:
        self.steps.append((TIGHTEN, node, 0, 0))
        self.slopes.append(np.asarray(self._draw(2) if slopes is None else slopes, dtype=np.int64))

    def split(self, node: int, element: int, threshold: int) -> None:
        self.steps.append((SPLIT, node, element, threshold))

    def choose(self, number: int) -> None:
        self.steps.append((CHOOSE, number, 0, 0))

    def empty(self) -> None:
        self.steps.append((EMPTY, 0, 0, 0))

    def list(self) -> None:
        self.steps.append((LIST, 0, 0, 0))

    def close(self, facts: Sequence[tuple[int, int, int]], multipliers: object = None) -> None:
        self.steps.append((CLOSE, 0, 0, 0))
        self.weights += [(len(self.multipliers), *f) for f in facts]
        self.multipliers.append(np.asarray(self._draw(1)[0] if multipliers is None else multipliers, dtype=np.int64))

    def assume(self) -> None:
        self.steps.append((ASSUME, self.assumed, 0, 0))
        self.assumed += 1

    def bound(self, node: int, element: int, coefficient: int, facts: Sequence[tuple[int, int, int]], multipliers: object = None) -> None:
        self.steps.append((BOUND, node, element, coefficient))
        self.weights += [(len(self.multipliers), *f) for f in facts]
        self.multipliers.append(np.asarray(self._draw(1)[0] if multipliers is None else multipliers, dtype=np.int64))

    def certificate(self, *, scale: int = 64, slope_bits: int = 8) -> Certificate:
        def array(rows: list[IntArray] | list[tuple[int, int, int, int]], shape: tuple[int, ...]) -> IntArray:
            return np.array(rows, dtype=np.int64).reshape(len(rows), *shape)

        arrays = (
            array(self.steps, (4,)),
            array(self.slopes, (2, self.width)),
            array(self.multipliers, (self.width,)),
            array(self.weights, (4,)),
        )
        return Certificate(digest(self.query), "naive", "forall", {}, (), scale, slope_bits, *arrays, assumed=(SOMEBODY,) * self.assumed)


@dataclass(frozen=True)
class State:
    """What is asserted in a domain."""

    facts: tuple[Fact, ...] = ()
    pending: tuple[Any | Or, ...] = ()
    false: bool = False

    def asserting(self, formula: Formula, size: Sequence[int]) -> State:
        match formula:
            case Truth(value):
                return State(self.facts, self.pending, self.false or not value)
            case And(children):
                state = self
                for child in children:
                    state = state.asserting(child, size)
                return state
            case All(node):
                return State((*self.facts, *((node, e) for e in range(size[node]))), self.pending, self.false)
            case Any() | Or():
                return State(self.facts, (*self.pending, formula), self.false)

    def chosen(self, number: int, size: Sequence[int]) -> list[State]:
        rest = State(self.facts, self.pending[:number] + self.pending[number + 1 :], self.false)
        match self.pending[number]:
            case Or(children):
                return [rest.asserting(c, size) for c in children]
            case Any(node):
                return [State((*rest.facts, (node, e)), rest.pending, rest.false) for e in range(size[node])]


def naive_proof(query: Query, rng: np.random.Generator, *, stubborn: bool = False) -> Certificate:
    """Return a proof that a query has no solution. If it has one the proof is wrong there, and the function fails unless `stubborn`."""
    writer = Writer(query, rng)
    _divide(writer, {k: (n.lower.copy(), n.upper.copy()) for k, n in enumerate(query.program) if isinstance(n, Input)}, stubborn)
    return writer.certificate()


def _divide(writer: Writer, box: dict[int, tuple[IntArray, IntArray]], stubborn: bool) -> None:
    wide = [(int(up[e] - lo[e]), k, e) for k, (lo, up) in box.items() for e in range(lo.size)]
    width, node, element = max(wide)
    if width == 0:
        _refute_point(writer, {k: lo for k, (lo, _) in box.items()}, stubborn)
        return
    lower, upper = box[node]
    middle = int(lower[element]) + width // 2
    writer.split(node, element, middle)
    left, right = upper.copy(), lower.copy()
    left[element], right[element] = middle, middle + 1
    _divide(writer, {**box, node: (lower, left)}, stubborn)
    _divide(writer, {**box, node: (right, upper)}, stubborn)


def _refute_point(writer: Writer, point: dict[int, IntArray], stubborn: bool) -> None:
    program = writer.query.program
    names = {k: n.name for k, n in enumerate(program) if isinstance(n, Input)}
    values = evaluate(program, {names[k]: x for k, x in point.items()})
    size = sizes(program)
    if writer.rng.random() < 0.5:
        writer.propagate()
    else:
        for k, node in enumerate(program):
            if not isinstance(node, Input):
                writer.tighten(k)
    _refute(writer, State().asserting(writer.query.goal, size), values, size, stubborn)


def _refute(writer: Writer, state: State, values: list[IntArray], size: Sequence[int], stubborn: bool) -> None:
    broken = sorted({(n, e) for n, e in state.facts if values[n][e] < 0})
    if state.false:
        writer.empty()
        return
    if broken and writer.rng.random() < 0.5:
        writer.propagate()
        writer.empty()
        return
    if broken:
        others = sorted({f for f in state.facts if values[f[0]][f[1]] == 0})
        used = [broken[int(writer.rng.integers(0, len(broken)))], *others[:2]]
        writer.close([(n, e, int(writer.rng.integers(1, 1000))) for n, e in used])
        return
    wrong = [j for j, f in enumerate(state.pending) if not holds(f, values)]
    if wrong:
        j = wrong[int(writer.rng.integers(0, len(wrong)))]
        writer.choose(j)
        for child in state.chosen(j, size):
            _refute(writer, child, values, size, stubborn)
        return
    assert stubborn, "the query has a solution"
    if state.facts and writer.rng.random() < 0.7:
        writer.close([(*f, 1) for f in sorted(set(state.facts))])
    else:
        writer.propagate()
        writer.empty()
