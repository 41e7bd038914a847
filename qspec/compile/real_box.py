"""Make a real query smaller without changing its solutions: leave out what the goal does not read, move bounds of inputs into the box."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from qspec.ir.real import (
    FALSE,
    Affine,
    All,
    And,
    Entries,
    ExactArray,
    Formula,
    Input,
    Query,
    arguments,
    check,
    conjunction,
    exact,
    formula_nodes,
    fractions,
    moved,
    moved_goal,
)

Box = dict[str, tuple[ExactArray, ExactArray]]
_Bounds = list[tuple[str, int, Fraction, Fraction]]


def trimmed(query: Query) -> Query:
    """Return the query without nodes that its goal does not read; inputs stay, and come first."""
    wanted = set(formula_nodes(query.goal))
    for position in reversed(range(len(query.program))):
        if position in wanted:
            wanted.update(arguments(query.program[position]))
    inputs = [k for k, node in enumerate(query.program) if isinstance(node, Input)]
    kept = [*inputs, *sorted(wanted - set(inputs))]
    place = {old: new for new, old in enumerate(kept)}
    return check(Query(tuple(moved(query.program[k], place) for k in kept), moved_goal(query.goal, place)))


def narrowed(query: Query) -> Query:
    """Return the query with conjuncts that bound single inputs as ends of the box; a strict one also stays in the goal.

    The goal is false if nothing is left of the box; the box is then as it was.
    """
    box: Box = {name: (fractions(node.lower), fractions(node.upper)) for name, node in query.inputs.items()}
    rest: list[Formula] = []
    strict: list[_Bounds] = []
    for part in query.goal.children if isinstance(query.goal, And) else (query.goal,):
        told = _bounds(query, part)
        for name, column, coefficient, bias in told or ():
            low, high = box[name]
            if coefficient > 0:
                low[column] = max(low[column], -bias / coefficient)
            else:
                high[column] = min(high[column], -bias / coefficient)
        if told is None or (isinstance(part, All) and part.strict):
            rest.append(part)
            strict.append(told or [])
    touched = any(c * box[name][c > 0][column] + bias <= 0 for told in strict for name, column, c, bias in told)
    if touched or any(np.any(low > high) for low, high in box.values()):
        return trimmed(Query(query.program, FALSE))
    program = tuple(
        replace(n, lower=exact(box[n.name][0]), upper=exact(box[n.name][1])) if isinstance(n, Input) else n for n in query.program
    )
    return trimmed(Query(program, conjunction(rest)))


def _bounds(query: Query, part: Formula) -> _Bounds | None:
    """Return input, position, factor and constant of every element of a conjunct that only bounds inputs, else None."""
    found = query.program[part.node] if isinstance(part, All) else None
    if not isinstance(found, Affine) or len(found.terms) != 1:
        return None
    m, source = found.terms[0]
    target = query.program[source]
    if not isinstance(m, Entries) or not isinstance(target, Input):
        return None
    if m.rows.size != m.outputs or np.unique(m.rows).size != m.outputs or not np.all(m.coefficients != 0):
        return None
    biases: list[Fraction] = fractions(found.bias)[m.rows].tolist()
    return list(zip([target.name] * m.outputs, m.columns.tolist(), fractions(m.coefficients).tolist(), biases, strict=True))
