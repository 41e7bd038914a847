"""A goal at many assignments, where rows that have become alike are evaluated once.

Neighbouring assignments of one free factor (brightness, gain) give the same input codes more often than not. Rows are compared behind
every staircase and table, with their neighbours only; blocks are halved where nodes are wide, so that cheap nodes see many rows at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.deadline import Deadline
from qspec.ir.integer import Assignment, Input, Program, Query, Staircase, Table, arguments, formula_nodes, sizes
from qspec.ir.reference import holds, value

CELLS = 1 << 17
"""Numbers of a node that are computed at a time."""
GAIN = 2
"""Rows are thinned out if that leaves at most one in so many."""


@dataclass(frozen=True, slots=True, eq=False)
class RowBlock:
    """Rows that are under way: the values of the nodes before `node` (empty if nothing reads them again), and where each group begins."""

    node: int
    values: list[IntArray]
    first: IntArray


def solutions(query: Query, assignment: Assignment, deadline: Deadline) -> Iterator[int]:
    """Yield the numbers of rows that make a goal true, in order: of neighbours that are alike the first alone. Raises OutOfTime."""
    for part in _parts(query, assignment, len(query.program), deadline):
        yield from part.first[np.broadcast_to(holds(query.goal, part.values), part.first.shape)].tolist()


def different(query: Query, assignment: Assignment, until: int, deadline: Deadline) -> int:
    """Return how many rows differ from the ones before them in what is read behind the first `until` nodes. Raises OutOfTime."""
    return sum(len(part.first) for part in _parts(query, assignment, until, deadline))


def _parts(query: Query, assignment: Assignment, until: int, deadline: Deadline) -> Iterator[RowBlock]:
    """Yield rows with the first `until` nodes evaluated, in order."""
    program, size, last = query.program, sizes(query.program), _last_reads(query)
    rows = len(next(iter(assignment.values()))) if assignment else 1
    waiting = [RowBlock(0, [], np.arange(rows))]
    while waiting:
        deadline.check()
        part = waiting.pop()
        while part.node < until:
            count = len(part.first)
            if count > 1 and count * size[part.node] > CELLS:
                waiting.append(_chosen(part, slice(count // 2, None)))
                part = _chosen(part, slice(count // 2))
                continue
            part = _advanced(program, assignment, last, part)
        yield part


def _advanced(program: Program, assignment: Assignment, last: list[int], part: RowBlock) -> RowBlock:
    """Return the part with one node more."""
    k, count = part.node, len(part.first)
    if last[k] < 0:
        return RowBlock(k + 1, [*part.values, np.zeros((count, 0), dtype=np.int64)], part.first)
    own = {name: x[part.first] for name, x in assignment.items()} if not arguments(program[k]) else assignment
    found = value(program[k], part.values, own, (count,))
    found = np.broadcast_to(found, (count, found.shape[-1]))
    nothing = np.zeros((count, 0), dtype=np.int64)  # an empty view would keep the values that it is a view of
    values = [v if last[j] > k else nothing for j, v in enumerate([*part.values, found])]
    part = RowBlock(k + 1, values, part.first)
    if count > 1 and isinstance(program[k], Staircase | Table) and not any(isinstance(n, Input) for n in program[k:]):
        fresh = np.ones(count, dtype=np.bool_)
        fresh[1:] = False
        for v in values:
            fresh[1:] |= np.any(v[1:] != v[:-1], axis=1)
        if GAIN * np.count_nonzero(fresh) <= count:
            return _chosen(part, fresh)
    return part


def _chosen(part: RowBlock, rows: slice | IntArray) -> RowBlock:
    return RowBlock(part.node, [v[rows] for v in part.values], part.first[rows])


def _last_reads(query: Query) -> list[int]:
    """Return for each node the last one that reads it, and that the goal depends on; the goal comes after all, and -1 is none."""
    last = [-1] * len(query.program)
    for k in formula_nodes(query.goal):
        last[k] = len(query.program)
    for k in range(len(query.program) - 1, -1, -1):
        for a in arguments(query.program[k]) if last[k] >= 0 else ():
            last[a] = max(last[a], k)
    return last
