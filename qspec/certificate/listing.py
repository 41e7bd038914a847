"""Every assignment of a box, one by one: what the operations mean at single points, on exact integers, for the checker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray, magnitude, shrink, widen
from qspec.certificate.forward import Pair, add
from qspec.ir import linear
from qspec.ir.integer import (
    Affine,
    All,
    And,
    Any,
    Formula,
    Input,
    Maximum,
    Node,
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
from qspec.ir.staircase import climb

MOST = 1 << 20
"""Assignments that one step may list."""
CELLS = 1 << 20
"""Entries of the largest intermediate array, roughly."""


def count(query: Query, bounds: Sequence[Pair]) -> int:
    """Return how many assignments there are of the inputs of a query, within bounds that are given by node."""
    return prod(_extent(query, bounds))


def _extent(query: Query, bounds: Sequence[Pair]) -> list[int]:
    """Return how many values every element of the inputs has, one input after the other."""
    ends = [bounds[k] for k, n in enumerate(query.program) if isinstance(n, Input)]
    return [int(high) - int(low) + 1 for lower, upper in ends for low, high in zip(lower, upper, strict=True)]


def solvable(query: Query, bounds: Sequence[Pair]) -> bool:
    """Return whether the goal of a query is true for any assignment of its inputs within these bounds."""
    block = max(1, CELLS // max(sizes(query.program)))
    return any(bool(np.any(_true(query.goal, values, rows))) for values, rows in _evaluated(query, bounds, block))


def _evaluated(query: Query, bounds: Sequence[Pair], block: int) -> Iterator[tuple[list[IntArray], int]]:
    """Yield the values of all nodes that the goal depends on, (rows, size), and how many rows there are; in the end every assignment."""
    needed = formula_nodes(query.goal)
    for k in range(len(query.program) - 1, -1, -1):
        needed |= set(arguments(query.program[k])) if k in needed else set()
    inputs = [k for k, n in enumerate(query.program) if isinstance(n, Input)]
    extent = _extent(query, bounds)
    total = prod(extent)
    for begin in range(0, total, block):
        left = np.arange(begin, min(total, begin + block))
        digits: list[IntArray] = []
        for size in extent:  # the first element counts fastest
            digits.append(left % size)
            left = left // size
        rows = min(total, begin + block) - begin
        flat = np.stack(digits, axis=1) if digits else np.zeros((rows, 0), dtype=np.int64)
        given: dict[int, IntArray] = {}
        for k in inputs:
            lower = bounds[k][0]
            given[k], flat = add(flat[:, : lower.size], lower[None]), flat[:, lower.size :]
        values: list[IntArray] = []
        for k, node in enumerate(query.program):
            values.append(_value(k, node, given, values, rows) if k in needed else np.zeros((rows, 0), dtype=np.int64))
        yield values, rows


def _value(k: int, node: Node, given: Mapping[int, IntArray], values: Sequence[IntArray], rows: int) -> IntArray:
    match node:
        case Input():
            return given[k]
        case Affine(terms, bias):
            return add(np.broadcast_to(bias, (rows, bias.size)), *(linear.apply(m, values[a]) for m, a in terms))
        case Staircase(a, steps):
            return climb(steps, values[a])
        case Table(a, first, entries):
            place = np.clip(values[a], first, first + (entries.shape[1] - 1)) - first  # as in `table_points`
            return np.take_along_axis(entries, place.astype(np.int64).T, axis=1).T
        case Product(left, right):
            bound = magnitude(values[left]) * magnitude(values[right])
            return shrink(widen(values[left], bound) * widen(values[right], bound))
        case Maximum(a, groups):
            member = np.where(groups >= 0, groups, groups.max(axis=1, keepdims=True))
            return values[a][:, member].max(axis=2)
        case Wrap(a, width, signed):
            x = widen(values[a], 2 * magnitude(values[a]) + (4 << int(width.max(initial=1))))
            modulus = np.left_shift(np.ones_like(x), width.astype(x.dtype))
            least = -(modulus // 2) if signed else np.zeros_like(modulus)
            return shrink((x - least) % modulus + least)
        case _:
            assert_never(node)


def _true(formula: Formula, values: Sequence[IntArray], rows: int) -> IntArray:
    """Return the truth of a formula, shape (rows,)."""
    match formula:
        case Truth(value):
            return np.full(rows, value)
        case All(node):
            return np.all(values[node] >= 0, axis=1)
        case Any(node):
            return np.any(values[node] >= 0, axis=1)
        case And(children):
            return np.all([np.ones(rows, dtype=np.bool_), *(_true(c, values, rows) for c in children)], axis=0)
        case Or(children):
            return np.any([np.zeros(rows, dtype=np.bool_), *(_true(c, values, rows) for c in children)], axis=0)
        case _:
            assert_never(formula)
