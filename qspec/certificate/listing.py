"""Every assignment of a box, one by one: what the operations mean at single points, on exact integers, for the checker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray, magnitude, shrink, widen
from qspec.certificate.forward import Pair, add
from qspec.deadline import NEVER, Deadline
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
CELLS = 1 << 17
"""Entries of the largest intermediate array, roughly."""


def count(query: Query, bounds: Sequence[Pair]) -> int:
    """Return how many assignments there are of the inputs of a query, within bounds that are given by node."""
    return prod(_extent(query, bounds))


def _extent(query: Query, bounds: Sequence[Pair]) -> list[int]:
    """Return how many values every element of the inputs has, one input after the other."""
    ends = [bounds[k] for k, n in enumerate(query.program) if isinstance(n, Input)]
    return [int(high) - int(low) + 1 for lower, upper in ends for low, high in zip(lower, upper, strict=True)]


def solvable(query: Query, bounds: Sequence[Pair], deadline: Deadline = NEVER) -> bool:
    """Return whether the goal of a query is true for any assignment of its inputs within these bounds; raises OutOfTime."""
    return any(bool(np.any(_true(query.goal, values, rows))) for values, rows in _evaluated(query, bounds, deadline))


def _evaluated(query: Query, bounds: Sequence[Pair], deadline: Deadline) -> Iterator[tuple[list[IntArray], int]]:
    """Yield the values of all nodes that the goal reads, (rows, size), and how many rows there are.

    In the end every assignment was among them, or one that gave the same values to everything that later nodes or the goal read.
    """
    size, until = sizes(query.program), _read_until(query)
    for given, count in _assignments(query, bounds):
        stack: list[tuple[int, list[IntArray], Mapping[int, IntArray], int]] = [(0, [], given, count)]
        while stack:
            deadline.check()
            k, values, given, rows = stack.pop()
            if k == len(query.program):
                yield values, rows
            elif until[k] < 0:
                stack.append((k + 1, [*values, np.zeros((rows, 0), dtype=np.int64)], given, rows))
            elif rows > 1 and rows * size[k] > CELLS:
                for half in (slice(rows // 2, None), slice(rows // 2)):
                    own = {n: x[half] for n, x in given.items()}
                    stack.append((k, [v[half] for v in values], own, len(range(rows)[half])))
            else:
                values = [*values, _value(k, query.program[k], given, values, rows)]
                values = [v if until[n] > k else np.zeros((rows, 0), dtype=np.int64) for n, v in enumerate(values)]
                given = {n: x for n, x in given.items() if n > k}
                kept = _unlike(values, given, rows) if isinstance(query.program[k], Staircase | Table) else None
                if kept is not None and 2 * len(kept) <= rows:
                    values, given, rows = [v[kept] for v in values], {n: x[kept] for n, x in given.items()}, len(kept)
                stack.append((k + 1, values, given, rows))


def _read_until(query: Query) -> list[int]:
    """Return for each node the last node that reads it and is needed itself, as many as there are nodes for the goal, -1 for nothing."""
    end = len(query.program)
    until = [end if k in formula_nodes(query.goal) else -1 for k in range(end)]
    for k in reversed(range(end)):
        if until[k] >= 0:
            for a in arguments(query.program[k]):
                until[a] = max(until[a], k)
    return until


def _unlike(values: Sequence[IntArray], given: Mapping[int, IntArray], rows: int) -> IntArray:
    """Return the rows of which anything that is still read is not what it is in the row before."""
    fresh = np.zeros(rows, dtype=np.bool_)
    fresh[:1] = True
    for v in (*values, *given.values()):
        fresh[1:] |= (v[1:] != v[:-1]).any(axis=1)
    return np.flatnonzero(fresh)


def _assignments(query: Query, bounds: Sequence[Pair]) -> Iterator[tuple[dict[int, IntArray], int]]:
    """Yield the values of the inputs, by node, in blocks of rows; in the end every assignment."""
    inputs = [k for k, n in enumerate(query.program) if isinstance(n, Input)]
    extent = _extent(query, bounds)
    total = prod(extent)
    block = max(1, CELLS // max(1, len(extent)))
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
        yield given, rows


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
