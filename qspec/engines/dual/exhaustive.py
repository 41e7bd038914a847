"""Small boxes, assignment by assignment: what bounds do not close in the time that looking at everything takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.bounds.interval import Interval
from qspec.deadline import Deadline, OutOfTime
from qspec.engines.dual.distinct import different, solutions
from qspec.engines.dual.proof_tree import Proof
from qspec.ir.integer import Affine, Input, Program, Query, Staircase, Table, formula_nodes, multiplications, needed

Box = dict[int, tuple[IntArray, IntArray]]
"""Lower and upper bounds of every input, by node."""

BLOCK, CELLS = 1 << 12, 1 << 22
"""Assignments that one step of a proof lists, and numbers in assignments that are made together."""
MOST, LARGEST = 1 << 22, 1 << 33
"""Assignments of a box that is listed, and products that this takes, at most: what comes of bounds is given up for it."""
FACTORS, COUNTED, NOTICED = 2, 1 << 18, 64
"""Free elements and assignments up to which those that differ in what follows are counted, and the share of the work that is noticeable."""
SPEED = 2.5e9
"""Products a second, about; measured on convolutions of some 10 million, with all that comes between them."""
PATIENCE, EQUAL = 64, 1 << 22
"""Domains that are bounded first, at least, and products that cost about as much as bounding one of them."""


def box(program: Program, known: Sequence[Interval]) -> Box:
    """Return the inputs of a program of which bounds of all nodes are known."""
    return {k: (known[k].lower, known[k].upper) for k, n in enumerate(program) if isinstance(n, Input)}


def points(inputs: Box) -> int:
    """Return how many assignments a box has."""
    return prod(int(b) - int(a) + 1 for lower, upper in inputs.values() for a, b in zip(lower, upper, strict=True))


def price(query: Query, inputs: Box) -> int | None:
    """Return how many domains may be bounded for what listing the box costs; None if it is too large to be listed."""
    count = points(inputs)
    total = count * work(query) if count <= MOST else LARGEST + 1
    return None if total > LARGEST else max(PATIENCE, -(-total // EQUAL))


def seconds(query: Query, inputs: Box, deadline: Deadline) -> float:
    """Return about how long listing a box takes: assignments of few free factors often give the same codes, and count once then."""
    count = points(inputs)
    free = sum(int(np.count_nonzero(lower < upper)) for lower, upper in inputs.values())
    heavy = _heavy(query)
    if free <= FACTORS and count <= COUNTED and any(isinstance(n, Staircase | Table) for n in query.program[:heavy]):
        every, block = range(count), _together(inputs)
        parts = (_assignments(query.program, inputs, every[k : k + block]) for k in every[::block])
        count = sum(different(query, part, heavy, deadline) for part in parts)
    return min(count, LARGEST) * work(query) / SPEED


def _heavy(query: Query) -> int:
    """Return the first node that takes a noticeable part of the work."""
    program, each = query.program, _works(query)
    limit = sum(each.values()) / NOTICED
    return next((k for k, own in each.items() if isinstance(program[k], Affine) and own > limit), len(program))


def work(query: Query) -> int:
    """Return how many products evaluating a goal takes, and what else it computes, roughly."""
    return sum(_works(query).values())


def _works(query: Query) -> dict[int, int]:
    """Return the work of each node that the goal depends on, in order."""
    each = multiplications(query.program)
    return {k: each[k] for k in needed(query.program, formula_nodes(query.goal))}


def listed(query: Query, proof: Proof, inputs: Box, deadline: Deadline) -> dict[str, IntArray] | None:
    """Look at every assignment of a box, which is the first domain of the proof, and return the first solution.

    Without any the proof is complete. Raises OutOfTime, which leaves it open.
    """
    program, waiting = query.program, [(0, inputs)]
    block = min(BLOCK, _together(inputs))
    while waiting:
        if deadline.passed():
            raise OutOfTime
        number, part = waiting.pop()
        count = points(part)
        if count > block:
            sides = list(_halves(proof, number, part))
            waiting += reversed(sides)
            continue
        assignment = _assignments(program, part, range(count))
        hit = next(solutions(query, assignment, deadline), None)
        if hit is not None:
            return {name: x[hit] for name, x in assignment.items()}
        proof.listed(number)
    return None


def _halves(proof: Proof, number: int, part: Box) -> Iterator[tuple[int, Box]]:
    """Yield both halves of a box, cut through its widest element, with their numbers in the proof."""
    _, node, element = max((int(w), k, e) for k, (lower, upper) in part.items() for e, w in enumerate(upper - lower))
    lower, upper = part[node]
    middle = int(lower[element] + (upper[element] - lower[element]) // 2)
    first, second = proof.split(number, node, element, middle)
    most, least = upper.copy(), lower.copy()
    most[element], least[element] = middle, middle + 1
    yield first, {**part, node: (lower, most)}
    yield second, {**part, node: (least, upper)}


def _together(inputs: Box) -> int:
    """Return how many assignments are made together."""
    return max(1, CELLS // max(1, sum(lower.size for lower, _ in inputs.values())))


def _assignments(program: Program, part: Box, numbers: range) -> dict[str, IntArray]:
    """Return the assignments of a box that have these numbers, shape (assignments, size) for each input."""
    left, found = np.array(numbers, dtype=np.int64), dict[str, IntArray]()
    for k, (lower, upper) in part.items():
        node = program[k]
        assert isinstance(node, Input)
        own = np.repeat(lower[None], len(numbers), axis=0)
        for e in np.flatnonzero(lower < upper):
            left, digit = np.divmod(left, int(upper[e] - lower[e]) + 1)
            own[:, e] += digit
        found[node.name] = own
    return found
