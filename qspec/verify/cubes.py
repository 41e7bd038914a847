"""A part of the input space that a proof leaves open, as a query of its own (a *cube*), for any solver.

The cube is the program of the query with the inputs in the box of the domain, and with every staircase narrowed to the steps that the
bounds of its argument allow; its goal are the facts of the domain, its pending disjunctions, and the bounds of every element that was cut.

It has the solutions that the domain has. *Each solution of the domain is one of the cube*: there all bounds hold, so that no narrowed
staircase is evaluated where it differs, and all that the goal says is true. *Each solution of the cube is one of the domain*: the bounds of
an element follow from bounds, facts and cuts of elements before it in the program, which is how the checker derives them. Going through
the program in order, all nodes so far have their true values, hence their bounds hold, hence the next staircase is evaluated where
it is what it was. A bound of a staircase says something of its argument, which comes before it; used there, it is asserted there as well.
"""

from __future__ import annotations

import numpy as np

from qspec.arithmetic.integers import IntArray, magnitude, shrink, widen
from qspec.bounds.interval import Interval, bound_node
from qspec.certificate.check import OpenDomain
from qspec.certificate.forward import Pair
from qspec.ir import linear
from qspec.ir.integer import FALSE, All, Formula, Input, Node, Program, Query, Staircase, check, conjunction, sizes
from qspec.ir.integer_builder import Builder
from qspec.ir.staircase import Rescale, Steps, climb, reach


def cube(query: Query, domain: OpenDomain) -> Query:
    """Return a query that has exactly the solutions of a query that lie in one of its domains."""
    bounds, asserted = _before_staircases(query.program, domain)
    if domain.empty or any(bool(np.any(lower > upper)) for lower, upper in bounds):
        return Query(query.program, FALSE)
    builder = Builder()
    known: list[Interval] = []
    for k, (node, size) in enumerate(zip(query.program, sizes(query.program), strict=True)):
        new = _narrowed(node, k, bounds, known)
        builder.add(new, size)
        known.append(bound_node(new, known))
    goal: list[Formula] = [*domain.pending]
    for k, mask in domain.facts.items():
        goal.append(All(k if mask.all() else builder.select(k, np.flatnonzero(mask))))
    for k, mask in sorted(asserted.items()):
        goal += _within(builder, k, np.flatnonzero(mask), bounds[k], known[k])
    return check(Query(builder.program, conjunction(goal)))


def _before_staircases(program: Program, domain: OpenDomain) -> tuple[list[Pair], dict[int, IntArray]]:
    """Return the bounds of all nodes, and which elements they are to be asserted of: those of staircases moved to their arguments."""
    bounds = list(domain.bounds)
    asserted: dict[int, IntArray] = {}
    for k, element in domain.cuts:
        asserted.setdefault(k, np.zeros(bounds[k][0].size, dtype=bool))[element] = True
    for k in range(len(program) - 1, -1, -1):
        node = program[k]
        if isinstance(node, Staircase):
            asserted.pop(k, None)
            old, new = bounds[node.argument], _preimage(node.steps, bounds[k], bounds[node.argument])
            moved = (new[0] > old[0]) | (new[1] < old[1])
            if moved.any():
                bounds[node.argument] = new
                asserted[node.argument] = asserted.get(node.argument, np.zeros_like(moved)) | moved
    return bounds, asserted


def _preimage(steps: Rescale | Steps, codes: Pair, argument: Pair) -> Pair:
    """Return the bounds of the argument within which a staircase takes codes within their bounds; they contradict each other if none."""
    (least, most), (lower, upper) = codes, argument
    first, last = climb(steps, lower), climb(steps, upper)
    if not (np.any(least > first) or np.any(most < last)):
        return argument
    at_least = reach(steps, np.clip(least, first + 1, last)[:, None])[:, 0]
    beyond = reach(steps, np.clip(widen(most, magnitude(most) + 1) + 1, first + 1, last)[:, None])[:, 0]
    new_lower, new_upper = np.where(least > first, at_least, lower), np.where(most < last, beyond - 1, upper)
    none = (least > last) | (most < first)
    return shrink(np.where(none, lower, new_lower)), shrink(np.where(none, widen(lower, magnitude(lower) + 1) - 1, new_upper))


def _narrowed(node: Node, k: int, bounds: list[Pair], known: list[Interval]) -> Node:
    """Return an input in its box, or a staircase without the steps that lie outside the bounds of its argument; others as they are."""
    if isinstance(node, Input):
        return Input(node.name, *bounds[k])
    if not isinstance(node, Staircase):
        return node
    lower, upper = bounds[node.argument]
    own = known[node.argument]
    if not (np.any(own.lower < lower) or np.any(own.upper > upper)):
        return node
    match node.steps:
        case Rescale(numerator, offset, denominator, rounding):
            ends = climb(node.steps, lower), climb(node.steps, upper)
            return Staircase(node.argument, Rescale(numerator, offset, denominator, rounding, *ends))
        case Steps(base, thresholds):
            below = (thresholds <= lower[:, None]).sum(axis=1)
            inside = (thresholds <= upper[:, None]).sum(axis=1) - below
            column = np.arange(int(inside.max(initial=0)))[None, :]
            kept = np.take_along_axis(thresholds, np.minimum(below[:, None] + column, thresholds.shape[1] - 1), axis=1)
            never = np.maximum(upper, own.upper)
            never = widen(never, magnitude(never) + 1) + 1
            return Staircase(node.argument, Steps(base + below, shrink(np.where(column < inside[:, None], kept, never[:, None]))))


def _within(builder: Builder, node: int, elements: IntArray, bounds: Pair, known: Interval) -> list[Formula]:
    """Return formulas that say that elements of a node are within their bounds, as far as intervals do not say so."""
    lower, upper = bounds
    parts: list[Formula] = []
    for factor, end, open_end in ((1, lower, known.lower < lower), (-1, upper, known.upper > upper)):
        at = elements[open_end[elements]]
        if at.size:
            rows = linear.sparse(at.size, lower.size, np.arange(at.size), at, np.full(at.size, factor))
            parts.append(All(builder.affine([(rows, node)], -factor * widen(end[at], magnitude(end)))))
    return parts
