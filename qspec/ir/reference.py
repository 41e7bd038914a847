"""The definition of truth: what every operation means, on exact integers, in numpy.

Vectors have shape (..., size); leading axes are a batch. Arrays are int64 where magnitudes prove that nothing overflows, else Python
integers.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray, integers, magnitude, shrink, widen
from qspec.arithmetic.rounding import wrap
from qspec.errors import InternalError, ShapeError
from qspec.ir import linear
from qspec.ir.integer import (
    Affine,
    All,
    And,
    Any,
    Assignment,
    Formula,
    Input,
    Maximum,
    Node,
    Or,
    Product,
    Program,
    Query,
    Staircase,
    Table,
    Truth,
    Wrap,
    sizes,
)
from qspec.ir.staircase import climb

CELLS = 1 << 22
"""Numbers that the values of all nodes are at most, where many assignments are evaluated."""


def evaluate(program: Program, assignment: Assignment) -> list[IntArray]:
    """Return the value of every node, shape (..., size), for inputs of such shapes; raises ShapeError on a missing or misshapen input."""
    values: list[IntArray] = []
    batch = np.broadcast_shapes(*(assignment[n.name].shape[:-1] for n in program if isinstance(n, Input) and n.name in assignment))
    for node in program:
        values.append(value(node, values, assignment, batch))
    return values


def row_bytes(program: Program) -> int:
    """Return about how many bytes evaluating one assignment takes: the values of all nodes, and copies of the largest."""
    size = sizes(program)
    return 8 * (sum(size) + 4 * max(size, default=0))


def together(program: Program, most: int) -> int:
    """Return how many assignments are evaluated together, at most so many: evaluating them takes at most `CELLS` numbers, or it is one."""
    return max(1, min(most, 8 * CELLS // max(1, row_bytes(program))))


def blocks(program: Program, count: int) -> Iterator[slice]:
    """Yield slices that divide so many assignments into blocks."""
    size = together(program, count)
    yield from (slice(k, min(k + size, count)) for k in range(0, count, size))


def value(node: Node, values: list[IntArray], assignment: Assignment, batch: tuple[int, ...]) -> IntArray:
    """Return the value of one node by those of the nodes before it (only its arguments are read); errors are those of `evaluate`."""
    match node:
        case Input(name, lower, _):
            if name not in assignment or assignment[name].shape[-1:] != lower.shape:
                given = assignment[name].shape if name in assignment else "nothing"
                raise ShapeError(f"no value for input {name!r}", given=given, expected=f"(..., {lower.size})")
            return shrink(integers(assignment[name]))
        case Affine(terms, bias):
            parts = [linear.apply(m, values[a]) for m, a in terms]
            bound = magnitude(bias) + sum(magnitude(p) for p in parts)
            total = np.broadcast_to(widen(bias, bound), (*batch, bias.size))
            for part in parts:
                total = total + widen(part, bound)
            return shrink(total)
        case Staircase(a, steps):
            return climb(steps, values[a])
        case Table(a, first, entries):
            index = values[a] - first
            if np.any((index < 0) | (index >= entries.shape[1])):
                raise InternalError(
                    "a table was read outside its range", given=int(values[a].flat[0]), expected=f"{entries.shape[1]} entries"
                )
            return entries[np.arange(entries.shape[0]), index.astype(np.int64)]
        case Product(left, right):
            bound = magnitude(values[left]) * magnitude(values[right])
            return shrink(widen(values[left], bound) * widen(values[right], bound))
        case Maximum(a):
            return values[a][..., node.members].max(axis=-1)
        case Wrap(a, width, signed):
            bits = int(width.max(initial=1))
            x = widen(values[a], 1 << bits)
            return shrink(wrap(x, width.astype(x.dtype), signed))
        case _:
            assert_never(node)


def holds(formula: Formula, values: list[IntArray]) -> IntArray:
    """Return the truth of a formula for each member of the batch (dtype bool, shape of the batch)."""
    match formula:
        case Truth(value):
            batch = np.broadcast_shapes(*(v.shape[:-1] for v in values))
            return np.full(batch, value)
        case All(node):
            return np.all(values[node] >= 0, axis=-1)
        case Any(node):
            return np.any(values[node] >= 0, axis=-1)
        case And(children):
            return reduce(np.logical_and, (holds(c, values) for c in children), np.array(True))
        case Or(children):
            return reduce(np.logical_or, (holds(c, values) for c in children), np.array(False))
        case _:
            assert_never(formula)


def satisfies(query: Query, assignment: Assignment) -> bool:
    """Return whether one assignment lies within the bounds of every input and makes the goal true."""
    for name, node in query.inputs.items():
        x = integers(assignment[name])
        if x.shape != node.lower.shape or np.any(x < node.lower) or np.any(x > node.upper):
            return False
    return bool(holds(query.goal, evaluate(query.program, assignment)))
