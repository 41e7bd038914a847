"""What is asked about one class: is there an input that is not classified so? Compiled once, asked about thousands of boxes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, assert_never

import numpy as np

from qspec.arithmetic.integers import SAFE, IntArray
from qspec.compile.query import compile_property
from qspec.errors import UnsupportedError
from qspec.face import Network
from qspec.ir.integer import All, And, Any, Formula, Input, Or, Query, Truth, formula_nodes
from qspec.language.formulas import argmax
from qspec.language.property import forall
from qspec.network.layers import Input as InputLayer
from qspec.passes import Pipeline

if TYPE_CHECKING:
    from qspec.attack.batched import BatchedAttack
    from qspec.engines.boxes.dual_boxes import Boxes
    from qspec.evaluate.batched import Spread

PASSES = ("fold", "share", "fuse", "cone")
"""Exact passes that keep the input as it is; folding fuses the last layer with the differences of its outputs."""


@dataclass(eq=False)
class ClassQuery:
    """The query of one class, over all codes of the one input: its goal is true where another class wins (ties as argmax has them)."""

    query: Query

    @cached_property
    def name(self) -> str:
        """The name of the input in the query."""
        return next(iter(self.query.inputs))

    @cached_property
    def nodes(self) -> tuple[int, ...]:
        """The nodes of the goal, ascending."""
        return tuple(sorted(formula_nodes(self.query.goal)))

    @cached_property
    def _highest(self) -> Spread:
        from qspec.bounds.interval_program import ends
        from qspec.evaluate.batched import spread

        made = ends(self.query.program)
        return spread(made.program, [made.upper[n] for n in self.nodes])

    @cached_property
    def attack(self) -> BatchedAttack:
        """The attack on many boxes; raises UnsupportedError where exact evaluation does not fit 64 bits."""
        from qspec.attack.batched import BatchedAttack

        return BatchedAttack(self.query)

    @cached_property
    def boxes(self) -> Boxes | None:
        """The dual bounds of many boxes; None if the goal is not one disjunction, or a value may reach `2**62`."""
        from qspec.bounds.interval import bound
        from qspec.engines.boxes.dual_boxes import Boxes

        fits = Boxes.takes(self.query) and all(x.magnitude < SAFE for x in bound(self.query.program))
        return Boxes(self.query) if fits else None

    @property
    def batched(self) -> bool:
        """Whether many boxes can be bounded and attacked at once: operations are monotone, and fit 64 bits."""
        try:
            return len(self.nodes) == 1 and bool(self._highest and self.attack)
        except UnsupportedError:
            return False

    def highest(self, lower: IntArray, upper: IntArray) -> dict[int, IntArray]:
        """Return exact upper bounds (batch, elements) of the nodes of the goal, by interval propagation on boxes (batch, size)."""
        from qspec.bounds.interval_program import LOWER, UPPER

        values = self._highest({self.name + LOWER: lower, self.name + UPPER: upper})
        return dict(zip(self.nodes, values, strict=True))

    def absent(self, lower: IntArray, upper: IntArray) -> IntArray:
        """Return in which boxes (batch, size) interval propagation shows that the goal is true nowhere, shape (batch,)."""
        return _false(self.query.goal, self.highest(lower, upper), len(lower))

    def inside(self, lower: IntArray, upper: IntArray) -> Query:
        """Return the query about one box (size,) alone."""
        program = tuple(Input(n.name, lower, upper) if isinstance(n, Input) else n for n in self.query.program)
        return Query(program, self.query.goal)

    def aims(self, lower: IntArray, upper: IntArray, most: int) -> IntArray:
        """Return the `most` members of the goal's disjunction that intervals leave the most room, shape (batch, at most `most`)."""
        (highest,) = self.highest(lower, upper).values()
        return np.argsort(-highest, axis=1, kind="stable")[:, :most]


def _false(goal: Formula, highest: dict[int, IntArray], count: int) -> IntArray:
    """Return where a formula is false for every value below the upper bounds."""
    match goal:
        case Truth(value):
            return np.full(count, not value)
        case All(node):
            return np.any(highest[node] < 0, axis=1)
        case Any(node):
            return np.all(highest[node] < 0, axis=1)
        case And(children):
            return np.any([np.zeros(count, np.bool_), *(_false(c, highest, count) for c in children)], axis=0)
        case Or(children):
            return np.all([np.ones(count, np.bool_), *(_false(c, highest, count) for c in children)], axis=0)
        case _:
            assert_never(goal)


def question(network: Network, label: int) -> ClassQuery:
    """Return the question for one class, about all codes of the input whatever its features admit; raises UnsupportedError on several."""
    if len(network.inputs) != 1:
        raise UnsupportedError(
            "certify takes classifiers of one input",
            given=f"{len(network.inputs)} inputs",
            expected="one input",
            advice="qs.verify_many takes any property",
        )
    network = without_features(network)
    x = network.input("x")
    query = compile_property(forall(x, then=argmax(network(x)) == label)).query
    (part,) = Pipeline().only(*PASSES).apply(query)
    program = part.query.program
    inputs = [n for n in program if isinstance(n, Input)]
    if len(inputs) != 1 or inputs[0].lower.size != x.size or isinstance(part.query.goal, Truth):
        return ClassQuery(query)
    return ClassQuery(part.query)


def without_features(network: Network) -> Network:
    """Return the network over all codes of its inputs: what holds of it holds of the codes that features admit."""
    return replace(
        network,
        stages=tuple(
            replace(s, layer=replace(s.layer, features=())) if isinstance(s.layer, InputLayer) and s.layer.features else s
            for s in network.stages
        ),
    )
