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
from qspec.ir.staircase import climb

SCALE = 1 << 20
"""What the rows that are bounded are multiplied by, so that multipliers can be fractions."""
MAX_CELLS = 1 << 24
"""Rows times elements above which a node is left at its interval."""
CELLS = 1 << 20
"""Rows times elements that are substituted together; the deadline is looked at in between."""
TRIAL = 8
"""Elements that are tried before all of a node that takes more than such a block."""


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
        if k in read and deep[k] and isinstance(node, Affine):
            elements = free(known[k]) if k in wanted else unsettled(program, k, known[k])
            if 2 * elements.size * max(size) <= MAX_CELLS:
                known[k] = tightened(program, k, known, layout, (low, high), elements, listed, deadline)
        if not isinstance(node, Input | Affine):
            first, end = layout.places[k]
            low[first:end], high[first:end] = (rounded(s) for s in node_slopes(node, known))
    return known


def free(x: Interval) -> IntArray:
    """Return the elements that are not fixed."""
    return np.flatnonzero(x.lower < x.upper)


def unsettled(program: Program, node: int, x: Interval) -> IntArray:
    """Return the free elements whose bounds matter to the nodes that read one: all, or, if these are staircases, those within a step."""
    open_: IntArray = np.zeros(x.lower.size, dtype=np.bool_)
    for reader in program:
        if node not in arguments(reader):
            continue
        if not isinstance(reader, Staircase):
            return free(x)
        open_ |= climb(reader.steps, x.lower) != climb(reader.steps, x.upper)
    return np.flatnonzero(open_)


def tightened(
    program: Program,
    node: int,
    known: list[Interval],
    layout: Layout,
    slopes: tuple[IntArray, IntArray],
    elements: IntArray,
    listed: dict[int, Points] | None = None,
    deadline: Deadline = NEVER,
    *,
    tried: bool = False,
) -> Interval:
    """Return the interval of one node, some elements of it tightened by substituting backwards for them.

    `slopes` are low and high ones of all earlier relaxed nodes, in units of `2**-SLOPE_BITS`, shape (multipliers,); `listed` has the
    points of such nodes, and is filled: their arguments must not be tightened any more. Where many rows are asked for, or if they are to
    be `tried`, `TRIAL` elements are first; if that gains nothing, the interval is left as it is. Raises OutOfTime.
    """
    own = known[node]
    choose, listed = by_slopes(layout, *slopes, repeats(program, layout)), {} if listed is None else listed
    lower, upper = own.lower.astype(object), own.upper.astype(object)
    block = max(1, CELLS // max(sizes(program)))
    blocks = [elements[k : k + block] for k in range(0, elements.size, block)]
    tried = elements.size > 2 * TRIAL and (tried or 2 * elements.size * max(sizes(program)) > CELLS)
    if tried:
        blocks.insert(0, elements[:: -(-elements.size // TRIAL)])
    for n, some in enumerate(blocks):
        rows = np.zeros((2 * some.size, own.lower.size), dtype=np.int64)
        rows[np.arange(some.size), some] = SCALE
        rows[some.size + np.arange(some.size), some] = -SCALE
        least = derive(program, {node: rows}, choose, known, listed, deadline)
        least = -(-widen(least, SCALE) // SCALE)
        below, above = least[: some.size], -least[some.size :]
        if n == 0 and tried and not (np.any(below > lower[some]) or np.any(above < upper[some])):
            return own
        lower[some], upper[some] = np.maximum(lower[some], below), np.minimum(upper[some], above)
    return Interval(shrink(lower), shrink(upper))
