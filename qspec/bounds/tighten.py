"""Linear bounds by backward substitution, exact: every node tightened in turn, from the inputs on.

Source of the method: CROWN (Zhang et al. 2018), DeepPoly (Singh et al. 2019).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qspec.arithmetic.integers import IntArray, shrink, widen
from qspec.bounds.backward_substitution import by_slopes, derive, repeats
from qspec.bounds.breakpoints import Points
from qspec.bounds.initial_slopes import node_slopes, rounded
from qspec.bounds.interval import Interval, bound_node
from qspec.bounds.layout import Layout
from qspec.deadline import NEVER, Deadline
from qspec.ir.integer import Affine, Input, Maximum, Product, Program, Staircase, Wrap, arguments, sizes

SCALE = 1 << 20
"""What the rows that are bounded are multiplied by, so that multipliers can be fractions."""
MAX_CELLS = 1 << 24
"""Rows times elements above which a node is left at its interval."""
CELLS = 1 << 20
"""Rows times elements that are substituted together; the deadline is looked at in between."""


def bound(program: Program, wanted: Sequence[int] = (), deadline: Deadline = NEVER) -> list[Interval]:
    """Return an interval for every node, tightened by linear bounds where another than an affine node reads it, or where it is `wanted`."""
    known: list[Interval] = []
    layout = Layout.of(program)
    low, high = (np.zeros(layout.total, dtype=np.int64) for _ in range(2))
    size = sizes(program)
    read = {a for node in program if isinstance(node, Staircase | Maximum | Wrap | Product) for a in arguments(node)} | set(wanted)
    deep: list[bool] = []
    listed: dict[int, Points] = {}
    for k, node in enumerate(program):
        deadline.check()
        known.append(bound_node(node, known))
        deep.append(any(deep[a] for a in arguments(node)) or not isinstance(node, Input | Affine))
        if k in read and deep[k] and isinstance(node, Affine) and 2 * size[k] * max(size) <= MAX_CELLS:
            known[k] = tightened(program, k, known, layout, (low, high), listed, deadline)
        if not isinstance(node, Input | Affine):
            first, end = layout.places[k]
            low[first:end], high[first:end] = (rounded(s) for s in node_slopes(node, known))
    return known


def tightened(
    program: Program,
    node: int,
    known: list[Interval],
    layout: Layout,
    slopes: tuple[IntArray, IntArray],
    listed: dict[int, Points] | None = None,
    deadline: Deadline = NEVER,
) -> Interval:
    """Return the interval of one node, tightened by substituting backwards for the elements that are not fixed.

    `slopes` are low and high ones of all earlier relaxed nodes, in units of `2**-SLOPE_BITS`, shape (multipliers,); `listed` has the
    points of such nodes, and is filled: their arguments must not be tightened any more. Raises OutOfTime.
    """
    own = known[node]
    free = np.flatnonzero(own.lower < own.upper)
    if free.size == 0:
        return own
    choose, listed = by_slopes(layout, *slopes, repeats(program, layout)), {} if listed is None else listed
    lower, upper = own.lower.astype(object), own.upper.astype(object)
    block = max(1, CELLS // max(sizes(program)))
    for some in (free[k : k + block] for k in range(0, free.size, block)):
        rows = np.zeros((2 * some.size, own.lower.size), dtype=np.int64)
        rows[np.arange(some.size), some] = SCALE
        rows[some.size + np.arange(some.size), some] = -SCALE
        least = derive(program, {node: rows}, choose, known, listed, deadline)
        least = -(-widen(least, SCALE) // SCALE)
        lower[some] = np.maximum(lower[some], least[: some.size])
        upper[some] = np.minimum(upper[some], -least[some.size :])
    return Interval(shrink(lower), shrink(upper))
