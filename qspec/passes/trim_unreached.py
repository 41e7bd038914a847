"""Drop the parts of an elementwise node that the interval of its argument never reaches: clamps, thresholds, table entries."""

from __future__ import annotations

from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.bounds.interval import Interval
from qspec.ir.integer import Staircase, Table, Wrap
from qspec.ir.staircase import Rescale, Steps
from qspec.passes.affine_elements import clamps, covered
from qspec.passes.elements import Elementwise, restricted

Part = tuple[Elementwise, IntArray]
"""A node, and the elements of the original that its elements are."""


def trimmed(node: Elementwise, x: Interval) -> list[Part]:
    """Split a node by what its elements need, each part without the rest; one part, the node itself, if nothing can go."""
    whole: list[Part] = [(node, np.arange(x.lower.size))]
    match node:
        case Staircase(a, steps):
            if isinstance(steps, Rescale):
                return _by_clamps(a, steps, x) or whole
            kept = _reachable(steps, x)
            return whole if kept.thresholds.shape[1] == steps.thresholds.shape[1] else [(Staircase(a, kept), whole[0][1])]
        case Table():
            table = _within(node, x)
            return whole if table.values.shape[1] == node.values.shape[1] else [(table, whole[0][1])]
        case Wrap():
            return whole
        case _:
            assert_never(node)


def _by_clamps(argument: int, steps: Rescale, x: Interval) -> list[Part]:
    """Group the elements by which of the two clamps they need; no group if all need all that there are."""
    below, above = clamps(steps, x)
    if bool(np.all(below == (steps.lower is not None)) and np.all(above == (steps.upper is not None))):
        return []
    parts: list[Part] = []
    for low, high in ((False, False), (False, True), (True, False), (True, True)):
        index = np.flatnonzero((below == low) & (above == high))
        if index.size:
            needed = Rescale(
                steps.numerator,
                steps.offset,
                steps.denominator,
                steps.rounding,
                steps.lower if low else None,
                steps.upper if high else None,
            )
            parts.append((restricted(Staircase(argument, needed), argument, index), index))
    return parts


def _reachable(steps: Steps, x: Interval) -> Steps:
    """Count thresholds at or below the interval into the base, and replace those above it by one that is never met, as few as possible."""
    below = (steps.thresholds <= x.lower[:, None]).sum(axis=1)
    inside = (steps.thresholds <= x.upper[:, None]).sum(axis=1) - below
    columns = np.arange(int(inside.max(initial=0)))[None, :]
    thresholds = np.take_along_axis(steps.thresholds, np.minimum(below[:, None] + columns, steps.thresholds.shape[1] - 1), axis=1)
    return Steps(steps.base + below, np.where(columns < inside[:, None], thresholds, x.upper[:, None] + 1))


def _within(node: Table, x: Interval) -> Table:
    """Return the table on the interval only; shorter rows repeat their last entry."""
    reached = covered(node, x)
    start = (reached.lower - node.first).astype(np.int64)
    stop = (reached.upper - node.first).astype(np.int64)
    columns = np.arange(int((stop - start).max(initial=0)) + 1)
    index = np.minimum(start[:, None] + columns[None, :], stop[:, None])
    return Table(node.argument, reached.lower, np.take_along_axis(node.values, index, axis=1))
