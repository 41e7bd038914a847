"""The first domain: what bounds alone say of a query, recorded as the first steps of its proof."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from qspec.arithmetic.integers import SAFE, IntArray
from qspec.bounds.breakpoints import Points
from qspec.bounds.initial_slopes import node_slopes, rounded, slopes
from qspec.bounds.interval import Interval, bound_node
from qspec.bounds.layout import Layout
from qspec.bounds.tighten import MAX_CELLS, free, tightened, unsettled
from qspec.deadline import Deadline
from qspec.engines.dual.domain import Domain, asserted, propagated
from qspec.engines.dual.proof_tree import Proof
from qspec.engines.dual.tensor_program import View, make_view
from qspec.errors import UnsupportedError
from qspec.ir.integer import (
    Affine,
    All,
    Input,
    Maximum,
    Node,
    Product,
    Program,
    Query,
    Staircase,
    Table,
    Wrap,
    arguments,
    conjunction,
    conjuncts,
    formula_nodes,
    needed,
    sizes,
)
from qspec.passes.absorb_box import AbsorbBox


def root_domain(query: Query, known: list[Interval], view: View, layout: Layout, proof: Proof, deadline: Deadline) -> Domain | None:
    """Return the first domain with every node of the first bounds tightened, None if that alone shows that there is no solution."""
    facts = np.zeros(view.shape.weights, dtype=np.bool_)
    start = asserted(Domain(tuple(known), facts, facts, (), 0), query.goal, view.shape)
    if start.false:
        proof.empty(0)
        return None
    return _tightened(start, query, layout, proof, deadline)


def relevant(query: Query, view: View, root: Domain) -> tuple[View, Domain]:
    """Return view and first domain without those facts of a conjunction that the first bounds make true, and what only they depend on.

    A box over the inputs is the usual case: once the inputs have its bounds, it says nothing more in any domain.
    """
    parts = conjuncts(query.goal)
    true = {c.node for c in parts if isinstance(c, All) and not np.any(root.known[c.node].lower < 0)}
    rest = [c for c in parts if not (isinstance(c, All) and c.node in true)]
    slim = make_view(query.program, query.goal, view.layout, true.difference(*(formula_nodes(c) for c in rest)))
    if slim.shape.weights in (0, view.shape.weights):
        return view, root
    kept = {n for n, _, _ in slim.shape.facts}
    places = np.concatenate([np.arange(first, end) for n, first, end in view.shape.facts if n in kept])
    return slim, replace(root, facts=root.facts[places], main=root.main[places])


def first_bounds(query: Query) -> list[Interval] | None:
    """Return intervals from the box that facts about single inputs leave; None if they leave nothing.

    Only what a proof starts from counts: disjunctions have no say, not even those of one disjunct, which are taken apart later, and
    no node that depends on anything but affine maps of inputs.
    """
    plain = _affine(query.program)
    facts = [c for c in conjuncts(query.goal) if isinstance(c, All) and c.node in plain]
    (part,) = AbsorbBox().apply(Query(query.program, conjunction(facts)))
    inputs = part.query.inputs
    known: list[Interval] = []
    for node in query.program:
        node = inputs.get(node.name, node) if isinstance(node, Input) else node
        if isinstance(node, Input) and np.any(node.lower > node.upper):
            return None
        known.append(bound_node(node, known))
        if known[-1].magnitude >= SAFE:
            raise UnsupportedError(
                "a value is too wide for the native engine",
                given=f"node {len(known) - 1}, up to {known[-1].magnitude}",
                expected="below 2**62",
                advice='an SMT solver takes integers of any width: solver="z3"',
            )
    return known


def _affine(program: Program) -> set[int]:
    """Return the nodes that are affine maps of inputs."""
    found: set[int] = set()
    for k, node in enumerate(program):
        if isinstance(node, Input) or (isinstance(node, Affine) and found.issuperset(arguments(node))):
            found.add(k)
    return found


def _tightened(start: Domain, query: Query, layout: Layout, proof: Proof, deadline: Deadline) -> Domain | None:
    """Tighten, in order, every affine node that another kind of node or the goal reads; each use of slopes is a step of the proof."""
    program, goal = query.program, formula_nodes(query.goal)
    known = list(start.known)
    listed: dict[int, Points] = {}
    low, high = (np.zeros(layout.total, dtype=np.int64) for _ in range(2))
    size = sizes(program)
    read = {a for node in program if isinstance(node, Staircase | Maximum | Wrap | Product | Table) for a in arguments(node)}
    deep: list[bool] = []
    for k, node in enumerate(program):
        deadline.check()
        known[k] = _refreshed(node, known, k)
        deep.append(any(deep[a] for a in arguments(node)) or not isinstance(node, Input | Affine))
        elements = np.zeros(0, dtype=np.int64)
        if k in read and deep[k] and isinstance(node, Affine):
            elements = free(known[k]) if k in goal else unsettled(program, k, known[k])
        if 0 < 2 * elements.size * max(size) <= MAX_CELLS:
            for pair in _cut_off(program, layout, k, (low, high)):
                better = tightened(program, k, known, layout, pair, elements, listed, deadline, tried=pair[0] is not low)
                if not _gained(better, known[k]):
                    continue
                proof.tighten(0, k, *(s.copy() for s in pair))
                known[k] = better
                if np.any(better.lower > better.upper):
                    proof.empty(0)
                    return None
                proof.propagate(0)
        if not isinstance(node, Input | Affine):
            first, end = layout.places[k]
            low[first:end], high[first:end] = (rounded(s) for s in node_slopes(node, known))
    settled = propagated(program, tuple(known))
    if settled is None:
        proof.empty(0)
        return None
    return Domain(settled, start.facts, start.main, start.pending, 0)


def _cut_off(program: Program, layout: Layout, k: int, slopes: tuple[IntArray, IntArray]) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield slopes for bounding a node: those given, then the same without one earlier layer, so that its own bounds count there.

    Where bounds are narrow, those of an inner layer say more than lines through it. Source: DeepPoly with concrete bounds at every layer.
    """
    yield slopes
    below = needed(program, [k])
    inner = [j for j in below if j in layout.places]
    for j in inner[:-1]:  # without the last one, intervals are left
        first, end = layout.places[j]
        low, high = (s.copy() for s in slopes)
        low[first:end] = high[first:end] = 0
        yield low, high


def _gained(new: Interval, old: Interval) -> bool:
    return bool(np.any(new.lower > old.lower) or np.any(new.upper < old.upper))


def _refreshed(node: Node, known: list[Interval], k: int) -> Interval:
    """Return the bounds of a node intersected with what those of its arguments imply."""
    if isinstance(node, Input):
        return known[k]
    new = bound_node(node, known)
    return Interval(np.maximum(known[k].lower, new.lower), np.minimum(known[k].upper, new.upper))


def root_slopes(program: Program, layout: Layout, known: tuple[Interval, ...]) -> tuple[IntArray, IntArray]:
    """Return the slopes, in units of `2**-SLOPE_BITS`, with which facts are first bounded."""
    low, high = slopes(program, layout, list(known))
    return rounded(low), rounded(high)
