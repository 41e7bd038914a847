"""Drop the elements of the goal that interval bounds decide; a goal that is decided whole becomes a constant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

import numpy as np

from qspec.bounds.interval import Interval, bound
from qspec.ir.integer import FALSE, TRUE, All, And, Any, Formula, Or, Query, Truth, conjunction, disjunction, sizes
from qspec.ir.integer_builder import Builder
from qspec.passes.base import Mask, Reduced, is_empty, rewritten, trivial


@dataclass(frozen=True, slots=True)
class DecideGoal:
    """Simplify the goal by the interval of each node it reads."""

    name: str = "decide"

    def apply(self, query: Query) -> tuple[Reduced, ...]:
        if is_empty(query):
            return trivial(query, False)
        return decided(query, bound(query.program))


def decided(query: Query, known: list[Interval]) -> tuple[Reduced, ...]:
    """Return the query without the elements of its goal that these bounds of the nodes decide."""
    if isinstance(query.goal, Truth) and not query.program:
        return rewritten(query)
    builder = Builder()
    for node, size in zip(query.program, sizes(query.program), strict=True):
        builder.add(node, size)
    goal = _simplified(query.goal, known, builder)
    if isinstance(goal, Truth):
        return trivial(query, goal.value)
    return rewritten(query if goal == query.goal else Query(builder.program, goal))


def _simplified(formula: Formula, known: list[Interval], builder: Builder) -> Formula:
    match formula:
        case Truth():
            return formula
        case All(node):
            x = known[node]
            return FALSE if np.any(x.upper < 0) else _restricted(formula, x.lower < 0, builder)
        case Any(node):
            x = known[node]
            return TRUE if np.any(x.lower >= 0) else _restricted(formula, x.upper >= 0, builder)
        case And(children):
            return conjunction([_simplified(c, known, builder) for c in children])
        case Or(children):
            return disjunction([_simplified(c, known, builder) for c in children])
        case _:
            assert_never(formula)


def _restricted(literal: All | Any, undecided: Mask, builder: Builder) -> Formula:
    """Return the literal on its undecided elements; over one element All and Any are the same, and All is written."""
    rest = np.flatnonzero(undecided)
    if rest.size == 0:
        return TRUE if isinstance(literal, All) else FALSE
    node = literal.node if rest.size == undecided.size else builder.select(literal.node, rest)
    return All(node) if rest.size == 1 or isinstance(literal, All) else Any(node)
