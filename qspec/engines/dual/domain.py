"""Domains: parts of the input space, with the bounds of every node, the facts that hold there, and what is still to be taken apart."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace
from typing import assert_never

import numpy as np
import numpy.typing as npt

from qspec.bounds.interval import Interval, bound_node
from qspec.engines.dual.dual_bound import DualVariables
from qspec.engines.dual.tensor_program import Shape
from qspec.ir.integer import Affine, All, And, Any, Formula, Input, Or, Program, Query, Truth, arguments, sizes
from qspec.ir.linear import take_rows, to_sparse

Mask = npt.NDArray[np.bool_]
MAX_BYTES, SHARE = 1 << 30, 0.5
"""What open domains may occupy, and their share of what is left of the memory; 16 bytes for each multiplier, and for each bound."""
MAX_FRONTIER = 1 << 16
"""Open domains from which a search goes depth first."""
Anchor = tuple[int, int, int]
"""A bound of the argument of a staircase: the staircase, the element, and the sign of its multiplier."""


@dataclass(frozen=True, slots=True, eq=False)
class Domain:
    """`known` are intervals of all nodes, `facts` (facts,) says which elements of the nodes of the goal are known to be at least 0.

    `main` marks the facts chosen last, with which the weights start. `proof` is the number of the domain in the proof, `value` the best
    dual bound that its parent had.
    """

    known: tuple[Interval, ...]
    facts: Mask
    main: Mask
    pending: tuple[Formula, ...]
    proof: int
    value: float = -np.inf
    false: bool = False
    """Whether a false formula was asserted; bounds that exclude each other are noticed where they arise."""
    variables: DualVariables | None = None
    """What was best for the parent; it gives no worse a bound here."""
    depth: int = 0
    """How many cuts have led to it."""
    cut: tuple[int, int] | None = None
    """Node and element of the last cut."""
    chosen: bool = False
    """Whether what led to it last was a disjunct."""
    implied: tuple[Anchor, ...] = ()
    """The bounds that a fact implied."""
    anchors: tuple[Anchor, ...] = ()
    """The same, once the fact itself says no more: then it is these that have to be refuted, any of them."""


def frontier(program: Program, multipliers: int, room: float, *, by_inputs: bool) -> int:
    """Return from how many open domains on `room` bytes are short: each has variables, and bounds of the nodes that its cut has moved."""
    moved = sizes(program) if by_inputs else [n.bias.size for n in program if isinstance(n, Affine)]
    return max(1, min(MAX_FRONTIER, int(min(MAX_BYTES, SHARE * room) // (16 * (multipliers + sum(moved)) + 1))))


def boxed(query: Query, known: tuple[Interval, ...]) -> Query:
    """Return the query with the bounds that its inputs have."""
    program = tuple(Input(n.name, known[k].lower, known[k].upper) if isinstance(n, Input) else n for k, n in enumerate(query.program))
    return Query(program, query.goal)


def asserted(domain: Domain, formula: Formula, shape: Shape) -> Domain:
    """Return the domain in which a formula is true as well."""
    match formula:
        case Truth(value):
            return domain if value else replace(domain, false=True)
        case And(children):
            for child in children:
                domain = asserted(domain, child, shape)
            return domain
        case All(node):
            first, end = next((f, e) for n, f, e in shape.facts if n == node)
            fresh = np.zeros_like(domain.facts)
            fresh[first:end] = True
            return replace(domain, facts=domain.facts | fresh, main=fresh if end > first else domain.main)
        case Any() | Or():
            return replace(domain, pending=(*domain.pending, formula))
        case _:
            assert_never(formula)


def disjuncts(domain: Domain, which: int, shape: Shape) -> list[Domain]:
    """Return one domain for each disjunct of a pending disjunction."""
    formula = domain.pending[which]
    rest = replace(domain, pending=domain.pending[:which] + domain.pending[which + 1 :])
    if isinstance(formula, Or):
        return [asserted(rest, child, shape) for child in formula.children]
    assert isinstance(formula, Any)
    first, end = next((f, e) for n, f, e in shape.facts if n == formula.node)
    parts: list[Domain] = []
    for k in range(first, end):
        fresh = np.zeros_like(domain.facts)
        fresh[k] = True
        parts.append(replace(rest, facts=rest.facts | fresh, main=fresh))
    return parts


def side(known: tuple[Interval, ...], node: int, element: int, threshold: int, *, above: bool) -> tuple[Interval, ...]:
    """Return the bounds on one side of a threshold, which belongs to the side below; they may exclude each other."""
    lower, upper = known[node].lower.copy(), known[node].upper.copy()
    if above:
        lower[element] = max(int(lower[element]), threshold + 1)
    else:
        upper[element] = min(int(upper[element]), threshold)
    return (*known[:node], Interval(lower, upper), *known[node + 1 :])


def halves(domain: Domain, node: int, element: int, threshold: int) -> list[tuple[Interval, ...] | None]:
    """Return the bounds below and above a threshold, None where they exclude each other."""
    both = (side(domain.known, node, element, threshold, above=above) for above in (False, True))
    return [None if known[node].lower[element] > known[node].upper[element] else known for known in both]


def propagated(program: Program, known: tuple[Interval, ...], moved: Container[int] | None = None) -> tuple[Interval, ...] | None:
    """Return the bounds intersected with intervals propagated forwards; None if some exclude each other.

    If it is said which nodes have moved, only what depends on them is looked at.
    """
    result: list[Interval] = []
    changed: set[int] = set()
    for k, (node, old) in enumerate(zip(program, known, strict=True)):
        new = old
        if moved is None or not changed.isdisjoint(arguments(node)):
            new = bound_node(node, result)
            lower, upper = np.maximum(old.lower, new.lower), np.minimum(old.upper, new.upper)
            if np.any(lower > upper):
                return None
            new = old if np.array_equal(lower, old.lower) and np.array_equal(upper, old.upper) else Interval(lower, upper)
        result.append(new)
        if new is not old or (moved is not None and k in moved):
            changed.add(k)
    return tuple(result)


def traced(program: Program, node: int, element: int, threshold: int) -> tuple[int, int, int]:
    """Return a split of an earlier node that is the same: while an element only copies, scales or shifts another one, follow it."""
    while isinstance(current := program[node], Affine) and len(current.terms) == 1:
        m, argument = current.terms[0]
        row = to_sparse(take_rows(m, np.array([element])))
        if row.coefficients.size != 1:
            break
        factor, rest = int(row.coefficients[0]), threshold - int(current.bias[element])
        # factor x <= rest; for a negative factor that is x >= ceil(rest / factor), whose complement is the other side.
        threshold = rest // factor if factor > 0 else -(rest // -factor) - 1
        node, element = argument, int(row.columns[0])
    return node, element, threshold
