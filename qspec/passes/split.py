"""Split a disjunction into one query per disjunct, for example one per target class; each is then reduced on its own."""

from __future__ import annotations

from dataclasses import dataclass

from qspec.ir.integer import All, And, Any, Formula, Or, Query, conjunction, sizes
from qspec.ir.integer_builder import Builder
from qspec.passes.base import Reduced, rewritten

Disjunct = tuple[Formula, int | None]
"""A formula, or one element of an Any."""


@dataclass(frozen=True, slots=True)
class Split:
    """Split the goal, or the widest disjunction among its conjuncts."""

    name: str = "split"

    def apply(self, query: Query) -> tuple[Reduced, ...]:
        size = sizes(query.program)
        conjuncts = list(query.goal.children) if isinstance(query.goal, And) else [query.goal]
        choices = [_disjuncts(c, size) for c in conjuncts]
        widest = max(range(len(choices)), key=lambda k: len(choices[k]), default=0)
        if not choices or len(choices[widest]) <= 1:
            return rewritten(query)
        parts: list[Reduced] = []
        for formula, element in choices[widest]:
            builder = Builder()
            for node, n in zip(query.program, size, strict=True):
                builder.add(node, n)
            chosen = formula if element is None or not isinstance(formula, Any) else All(builder.select(formula.node, [element]))
            goal = conjunction([*conjuncts[:widest], chosen, *conjuncts[widest + 1 :]])
            parts += [Reduced(r.query, r.lift, None) for r in rewritten(Query(builder.program, goal))]
        return tuple(parts)


def _disjuncts(formula: Formula, size: list[int]) -> list[Disjunct]:
    match formula:
        case Any(node):
            return [(formula, k) for k in range(size[node])]
        case Or(children):
            return [d for c in children for d in _disjuncts(c, size)]
        case _:
            return [(formula, None)]
