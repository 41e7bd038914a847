"""Cone of influence, per element: what the goal does not read, directly or through other nodes, is removed.

Elements of inputs that nothing reads leave the query too; the lift sets them to their lower bounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.ir import integer
from qspec.ir.integer import FALSE, TRUE, Affine, Formula, Input, Maximum, Node, Product, Query, Staircase, Table, Wrap
from qspec.ir.integer_builder import Builder
from qspec.ir.linear import Convolution, Dense, LinearMap, Sparse, take_columns, take_rows
from qspec.passes.base import Mask, Reduced, Refill, is_empty, points, rewritten, trivial
from qspec.passes.elements import restricted


@dataclass(frozen=True, slots=True)
class ConeOfInfluence:
    """Remove every node and element that the goal does not depend on.

    A convolution stays whole until no more than `share` of its outputs are needed, and these read no more than `limit` values in all; then
    they become rows of their own.
    """

    name: str = "cone"
    share: float = 0.5
    limit: int = 4_000_000

    def apply(self, query: Query) -> tuple[Reduced, ...]:
        if is_empty(query):
            return trivial(query, False)
        size = integer.sizes(query.program)
        goal = _without_empty(query.goal, size)
        influence = _Influence(query, size, integer.formula_nodes(goal), self)
        if goal == query.goal and all(mask.size and mask.all() for mask in influence.live):
            return rewritten(query)
        builder = Builder()
        position: dict[int, int] = {}
        for k, index in enumerate(influence.kept):
            if index.size:
                position[k] = builder.add(influence.taken(k, position, builder), index.size)
        inputs = [(n, influence.kept[k]) for k, n in enumerate(query.program) if isinstance(n, Input)]
        lift, copies = _removal(inputs)
        return (Reduced(Query(builder.program, integer.with_nodes(goal, position)), lift, copies),)


class _Influence:
    """Which elements of each node the roots depend on, and the maps of affine nodes on these rows."""

    def __init__(self, query: Query, size: list[int], roots: set[int], rule: ConeOfInfluence) -> None:
        self.program = query.program
        self.size = size
        self.live: list[Mask] = [np.full(n, k in roots) for k, n in enumerate(size)]
        self.rows: dict[int, list[tuple[LinearMap, int]]] = {}
        for k in reversed(range(len(self.program))):
            if self.live[k].any():
                self._mark(k, rule)
        self.kept: list[IntArray] = [np.flatnonzero(mask) for mask in self.live]

    def _mark(self, k: int, rule: ConeOfInfluence) -> None:
        """Mark what the live elements of node `k` read."""
        node, mask = self.program[k], self.live[k]
        match node:
            case Input():
                pass
            case Affine(terms):
                written_out = mask.sum() * max((m.kernel[..., 0].size for m, _ in terms if isinstance(m, Convolution)), default=0)
                if written_out > rule.limit or (written_out and mask.mean() > rule.share):
                    mask[:] = True
                index = np.flatnonzero(mask)
                self.rows[k] = [(m if mask.all() else take_rows(m, index), a) for m, a in terms]
                for m, a in self.rows[k]:
                    self.live[a] |= _columns_read(m)
            case Staircase(a) | Table(a) | Wrap(a):
                self.live[a] |= mask
            case Product(left, right):
                self.live[left] |= mask
                self.live[right] |= mask
            case Maximum(a, groups):
                members = groups[mask]
                self.live[a][members[members >= 0]] = True
            case _:
                assert_never(node)

    def taken(self, k: int, position: dict[int, int], builder: Builder) -> Node:
        """Return node `k` on its live elements, reading the live elements of its arguments at their new positions."""
        node, index = self.program[k], self.kept[k]
        match node:
            case Input(name, lower, upper):
                return node if index.size == self.size[k] else Input(name, lower[index], upper[index])
            case Affine(_, bias):
                return Affine(tuple((self._columns(m, a), position[a]) for m, a in self.rows[k] if a in position), bias[index])
            case Staircase(a) | Table(a) | Wrap(a):
                source = self._aligned(k, a, position, builder)
                return integer.with_arguments(node, {a: source}) if index.size == self.size[k] else restricted(node, source, index)
            case Product(left, right):
                return Product(self._aligned(k, left, position, builder), self._aligned(k, right, position, builder))
            case Maximum(a, groups):
                new = np.full(self.size[a] + 1, -1)
                new[self.kept[a]] = np.arange(self.kept[a].size)
                return Maximum(position[a], new[groups[index]])
            case _:
                assert_never(node)

    def _aligned(self, k: int, argument: int, position: dict[int, int], builder: Builder) -> int:
        """Return the position of the argument's elements at the live positions of node `k`; others of its elements may be live too."""
        if self.kept[argument].size == self.kept[k].size:
            return position[argument]
        return builder.select(position[argument], np.searchsorted(self.kept[argument], self.kept[k]))

    def _columns(self, m: LinearMap, argument: int) -> LinearMap:
        index = self.kept[argument]
        return m if index.size == m.inputs else take_columns(m, index)


def _columns_read(m: LinearMap) -> Mask:
    match m:
        case Dense():
            return np.any(m.matrix != 0, axis=0)
        case Sparse():
            read = np.zeros(m.inputs, dtype=np.bool_)
            read[m.columns] = True
            return read
        case Convolution():
            return np.ones(m.inputs, dtype=np.bool_)
        case _:
            assert_never(m)


def _without_empty(formula: Formula, size: list[int]) -> Formula:
    """Return the formula without literals over nodes that have no elements."""
    match formula:
        case integer.Truth():
            return formula
        case integer.All(node):
            return formula if size[node] else TRUE
        case integer.Any(node):
            return formula if size[node] else FALSE
        case integer.And(children):
            kept = tuple(_without_empty(c, size) for c in children)
            return formula if kept == children else integer.conjunction(kept)
        case integer.Or(children):
            kept = tuple(_without_empty(c, size) for c in children)
            return formula if kept == children else integer.disjunction(kept)
        case _:
            assert_never(formula)


def _removal(inputs: list[tuple[Input, IntArray]]) -> tuple[Refill, int]:
    """Return the lift that fills the removed elements with their lower bounds, and how many other values they could take together."""
    parts: dict[str, tuple[IntArray, IntArray]] = {}
    copies: list[int] = []
    for node, kept in inputs:
        base, gone = np.array(node.lower), np.ones(node.lower.size, dtype=np.bool_)
        base[kept], gone[kept] = 0, False
        parts[node.name] = (base, kept)
        copies.append(points(node.lower[gone], node.upper[gone]))
    return Refill(parts), prod(copies)
