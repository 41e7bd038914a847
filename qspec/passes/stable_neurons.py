"""Replace what interval bounds have made simple by affine nodes, element by element.

Staircases, tables and wraps that are constant or lines on the interval of their argument, products with a fixed factor, and maxima with a
member that dominates the others; the undecided elements stay in smaller nodes, without clamps, thresholds and entries that are out of
reach. Source of the method: stable neurons, Henzinger, Lechner and Zikelic, AAAI 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.bounds.interval import Interval, bound
from qspec.ir.integer import Affine, Input, Maximum, Node, Product, Query, Staircase, Table, Wrap, with_arguments, with_nodes
from qspec.ir.integer_builder import Builder
from qspec.passes.affine_elements import lines
from qspec.passes.base import Reduced, is_empty, rewritten, trivial
from qspec.passes.elements import Elementwise, assembled, restricted
from qspec.passes.trim_unreached import trimmed


@dataclass(frozen=True, slots=True)
class StableNeurons:
    """Make elements affine where the bounds allow it, and trim the others."""

    name: str = "stairs"

    def apply(self, query: Query) -> tuple[Reduced, ...]:
        if is_empty(query):
            return trivial(query, False)
        return rewritten(flattened(query, bound(query.program)))


def flattened(query: Query, known: list[Interval]) -> Query:
    """Return the query with every element affine that these bounds of the nodes make so; the query itself if there is none."""
    builder = Builder()
    position: list[int] = []
    changed = False
    for k, node in enumerate(query.program):
        new = _simplified(builder, node, position, known, known[k])
        changed |= new is not None
        position.append(builder.add(with_arguments(node, position), known[k].lower.size) if new is None else new)
    return Query(builder.program, with_nodes(query.goal, position)) if changed else query


def _simplified(builder: Builder, node: Node, position: list[int], known: list[Interval], own: Interval) -> int | None:
    """Add simpler nodes that together are `node` and return the last, or None if it is as simple as the bounds allow."""
    match node:
        case Input() | Affine():
            return None
        case Product(left, right):
            return _product(builder, (position[left], known[left]), (position[right], known[right]))
        case Maximum(a, groups):
            return _maximum(builder, position[a], groups, known[a], own)
        case Staircase(a) | Table(a) | Wrap(a):
            return _elementwise(builder, node, position[a], known[a])
        case _:
            assert_never(node)


def _elementwise(builder: Builder, node: Elementwise, argument: int, x: Interval) -> int | None:
    line = lines(node, x)
    rest = np.flatnonzero(~line.found)
    remaining = node if rest.size == x.lower.size else restricted(node, argument, rest)
    parts = trimmed(remaining, Interval(x.lower[rest], x.upper[rest])) if rest.size else []
    if len(parts) == 1 and parts[0][0] is node:
        return None
    added: list[tuple[int, IntArray]] = []
    for part, index in parts:
        elements = rest[index]
        source = argument if elements.size == x.lower.size else builder.select(argument, elements)
        added.append((builder.add(with_arguments(part, {part.argument: source}), elements.size), elements))
    if len(added) == 1 and added[0][1].size == x.lower.size:
        return added[0][0]
    return assembled(builder, line.intercept, added, [(argument, line.slope)])


def _product(builder: Builder, left: tuple[int, Interval], right: tuple[int, Interval]) -> int | None:
    """A factor with one possible value is a slope."""
    (a, x), (b, y) = left, right
    left_fixed = x.lower == x.upper
    right_fixed = (y.lower == y.upper) & ~left_fixed
    rest = np.flatnonzero(~(left_fixed | right_fixed))
    if rest.size == x.lower.size:
        return None
    parts: list[tuple[int, IntArray]] = []
    if rest.size:
        parts.append((builder.product(builder.select(a, rest), builder.select(b, rest)), rest))
    slopes = [(b, np.where(left_fixed, x.lower, 0)), (a, np.where(right_fixed, y.lower, 0))]
    return assembled(builder, np.zeros(x.lower.size, dtype=np.int64), parts, slopes)


def _maximum(builder: Builder, argument: int, groups: IntArray, x: Interval, own: Interval) -> int | None:
    """Keep in each group the member with the greatest lower end, and those that can exceed it."""
    present = groups >= 0
    safe = np.where(present, groups, groups.max(axis=1, keepdims=True))
    leader = np.take_along_axis(safe, x.lower[safe].argmax(axis=1)[:, None], axis=1)
    rivals = present & (x.upper[safe] > x.lower[leader]) & (safe != leader)
    members = _distinct(np.concatenate([leader, np.where(rivals, groups, -1)], axis=1))
    count = (members >= 0).sum(axis=1)
    if bool(np.all((count > 1) & (count == present.sum(axis=1)))):
        return None
    constant = own.lower == own.upper
    single, rest = np.flatnonzero(~constant & (count == 1)), np.flatnonzero(~constant & (count > 1))
    added: list[tuple[int, IntArray]] = []
    if single.size:
        added.append((builder.select(argument, members[single, 0]), single))
    if rest.size:
        added.append((builder.maximum(argument, members[rest, : int(count[rest].max())]), rest))
    return assembled(builder, np.where(constant, own.lower, 0), added, [])


def _distinct(groups: IntArray) -> IntArray:
    """Return each group in falling order, every member once."""
    ordered = -np.sort(-groups, axis=1)
    ordered[:, 1:][ordered[:, 1:] == ordered[:, :-1]] = -1
    return -np.sort(-ordered, axis=1)
