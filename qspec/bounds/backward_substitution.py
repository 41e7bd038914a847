"""Exact lower bounds of integer combinations of node elements, backwards through the program.

At an affine node coefficients go through the transposed map; at any other one they are replaced by multipliers `p` of its arguments, and
what that costs at most is added (`conjugate.py`). Every multiplier is sound, whoever chose it. Source of the method: CROWN (Zhang et al.
2018), DeepPoly (Singh et al. 2019), Lagrangian duals (Dvijotham et al. 2018).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray, magnitude, shrink, widen
from qspec.bounds.breakpoints import Points, points_bytes
from qspec.bounds.conjugate import conjugate, total
from qspec.bounds.initial_slopes import SLOPE_BITS
from qspec.bounds.interval import Interval
from qspec.bounds.layout import Layout
from qspec.bounds.vertices import vertices
from qspec.deadline import NEVER, Deadline
from qspec.ir import linear
from qspec.ir.integer import Affine, Input, Maximum, Node, Product, Program, Staircase, Table, Wrap

Chooser = Callable[[int, IntArray], IntArray]
"""Gives the multipliers, shape (..., count), of a relaxed node from its position and coefficients, shape (..., size)."""
COPIES = 3
"""Copies of rows that an operation makes: as doubles, and of both signs."""
KEPT = 1 << 20
"""Points of one operation above which they are found again rather than kept."""


def derive(
    program: Program,
    held: Mapping[int, IntArray],
    choose: Chooser,
    known: list[Interval],
    listed: dict[int, Points] | None = None,
    deadline: Deadline = NEVER,
) -> IntArray:
    """Return integers, shape (...), that `sum of held[k] @ node k` never falls below.

    `held` are rows of coefficients (..., size); `known` are intervals (size,) or (..., size) that broadcast against them. Points of
    operations on these intervals are taken from `listed`, and added to it. Before each node the deadline is looked at: raises OutOfTime,
    and OutOfMemory if there is no room for what the node takes.
    """
    rows, listed = dict(held), {} if listed is None else listed
    batch = np.broadcast_shapes(*(r.shape[:-1] for r in rows.values()))
    constant: IntArray = np.zeros(batch, dtype=np.int64)
    for k in range(max(rows, default=-1), -1, -1):
        if k not in rows:
            continue
        c, node = rows.pop(k), program[k]
        deadline.check(_bytes(node, c, known, kept=k in listed))
        match node:
            case Input():
                constant = add(constant, lowest(c, known[k]))
            case Affine(terms, bias):
                constant = add(constant, linear.apply(linear.Dense(bias[None, :]), c)[..., 0])
                for m, a in terms:
                    _hold(rows, a, linear.apply_transposed(m, c))
            case Staircase(a) | Table(a) | Wrap(a):
                p = choose(k, c)
                found = listed[k] if k in listed else vertices(node, known[a].lower, known[a].upper, prod(batch))
                if found.arguments.size <= KEPT:
                    listed[k] = found
                constant = add(constant, conjugate(node, c, p, known, found))
                _hold(rows, a, p)
            case Product(left, right):
                p = choose(k, c)
                constant = add(constant, conjugate(node, c, p, known))
                _hold(rows, left, p[..., : c.shape[-1]])
                _hold(rows, right, p[..., c.shape[-1] :])
            case Maximum(a, groups):
                p = choose(k, c)
                constant = add(constant, conjugate(node, c, p, known))
                _hold(rows, a, linear.apply(spread(groups, known[a].lower.shape[-1]), p))
            case _:
                assert_never(node)
    return constant


def _bytes(node: Node, c: IntArray, known: list[Interval], *, kept: bool) -> int:
    """Return about how many bytes rows of coefficients take on their way through a node: those of its arguments, and points not kept."""
    rows, read, points = c.nbytes // max(1, c.shape[-1]), 0, 0
    match node:
        case Input():
            pass
        case Affine(terms):
            read = sum(m.inputs for m, _ in terms)
        case Staircase(a) | Table(a) | Wrap(a):
            read, points = c.shape[-1], 0 if kept else points_bytes(node, known[a])
        case Product():
            read = 2 * c.shape[-1]
        case Maximum(_, groups):
            read = groups.size
        case _:
            assert_never(node)
    return COPIES * rows * max(c.shape[-1], read) + points


def by_slopes(layout: Layout, low: IntArray, high: IntArray, groups: Mapping[int, int]) -> Chooser:
    """Return the rule `p = max(c, 0) low + min(c, 0) high`, rounded; slopes (..., multipliers) in units of `2**-SLOPE_BITS`.

    `groups` has the number of multipliers of each element of a node that has more than one.
    """

    def choose(node: int, c: IntArray) -> IntArray:
        below, above = layout.part(low, node), layout.part(high, node)
        c = repeated(c, groups.get(node, 1))
        limit = magnitude(c) * (magnitude(below) + magnitude(above)) + (1 << SLOPE_BITS)
        c = widen(c, limit)
        total = np.maximum(c, 0) * below + np.minimum(c, 0) * above
        return shrink((total + (1 << (SLOPE_BITS - 1))) >> SLOPE_BITS)

    return choose


def repeats(program: Program, layout: Layout) -> dict[int, int]:
    """Return, for products (-2) and maxima (members of a group), how coefficients are repeated to match multipliers."""
    found: dict[int, int] = {}
    for k in layout.places:
        node = program[k]
        if isinstance(node, Product):
            found[k] = -2
        elif isinstance(node, Maximum):
            found[k] = node.groups.shape[1]
    return found


def repeated(c: IntArray, count: int) -> IntArray:
    """Return coefficients in the layout of multipliers: twice over for a product, each `count` times for a maximum."""
    return np.concatenate([c, c], axis=-1) if count == -2 else np.repeat(c, count, axis=-1) if count != 1 else c


def spread(groups: IntArray, size: int) -> linear.LinearMap:
    """Return the map that adds the multipliers of a maximum, row by row, to the elements that they belong to."""
    flat = groups.reshape(-1)
    taken = np.flatnonzero(flat >= 0)
    return linear.sparse(size, flat.size, flat[taken], taken, np.ones(taken.size, dtype=np.int64))


def lowest(c: IntArray, x: Interval) -> IntArray:
    """Return the least value of `c @ x` on a box, shape (...)."""
    limit = magnitude(c) * x.magnitude * max(1, c.shape[-1])
    if limit < linear.EXACT and x.lower.ndim == 1:
        wide = c.astype(np.float64)
        return (np.maximum(wide, 0) @ x.lower.astype(np.float64) + np.minimum(wide, 0) @ x.upper.astype(np.float64)).astype(np.int64)
    c, lower, upper = (widen(v, limit) for v in (c, x.lower, x.upper))
    return total(np.maximum(c, 0) * lower + np.minimum(c, 0) * upper)


def add(x: IntArray, y: IntArray) -> IntArray:
    """Return the exact sum, always as an array; integers below `SAFE` leave a bit for it."""
    return shrink(np.asarray(x + y, dtype=np.result_type(x, y)))


def _hold(rows: dict[int, IntArray], node: int, c: IntArray) -> None:
    rows[node] = add(rows[node], c) if node in rows else c
