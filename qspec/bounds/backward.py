"""Linear bounds by backward substitution, exact: rows of coefficients are carried from a node back to the inputs.

Each staircase on the way is replaced by the line that bounds it on the right side. Lines have slopes in multiples of `1 / SCALE`, so rows
are multiplied by `SCALE` beforehand, once for each staircase on the longest way down, and every division on the way is exact. All
arithmetic is on integers, so what these bounds decide is decided. Source of the method: CROWN (Zhang et al. 2018), DeepPoly (Singh et al.
2019); the lines are those of `relax.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import numpy as np

from qspec import linear
from qspec.bounds.interval import Interval, bound_node
from qspec.bounds.relax import SCALE, Lines, constant_lines, staircase_lines
from qspec.integers import SAFE, IntArray, magnitude, shrink, widen
from qspec.ir import Affine, Input, Maximum, Product, Program, Staircase, Table, Wrap, arguments, sizes

MAX_CELLS = 1 << 24
"""Rows times elements above which a node is left at its interval."""


def bound(program: Program, wanted: Sequence[int] = ()) -> list[Interval]:
    """Return an interval for every node, tightened by linear bounds where a staircase reads it or where it is `wanted`."""
    known: list[Interval] = []
    lines: list[Lines | None] = []
    depth: list[int] = []
    size = sizes(program)
    read = {a for node in program if isinstance(node, Staircase | Maximum | Wrap | Product) for a in arguments(node)} | set(wanted)
    for k, node in enumerate(program):
        own = bound_node(node, known)
        known.append(own)
        lines.append(None)
        depth.append(max((depth[a] for a in arguments(node)), default=0) + (not isinstance(node, Input | Affine)))
        if k in read and depth[k] and isinstance(node, Affine) and 2 * size[k] * max(size) <= MAX_CELLS:
            known[k] = _tightened(program, k, SCALE ** depth[k], known, lines)
    return known


def _tightened(program: Program, node: int, scale: int, known: list[Interval], lines: list[Lines | None]) -> Interval:
    """Return the interval of one node, tightened by substituting backwards for the elements that are not fixed."""
    own = known[node]
    free = np.flatnonzero(own.lower < own.upper)
    if free.size == 0:
        return own
    rows = np.zeros((2 * free.size, own.lower.size), dtype=np.int64 if scale < SAFE else object)
    rows[np.arange(free.size), free] = scale
    rows[free.size + np.arange(free.size), free] = -scale
    least = -(-widen(_substitute(program, node, rows, known, lines), scale) // scale)
    lower, upper = own.lower.astype(object), own.upper.astype(object)
    lower[free] = np.maximum(lower[free], least[: free.size])
    upper[free] = np.minimum(upper[free], -least[free.size :])
    return Interval(shrink(lower), shrink(upper))


def _substitute(program: Program, node: int, rows: IntArray, known: list[Interval], lines: list[Lines | None]) -> IntArray:
    """Return integers that `rows @ node` never falls below."""
    held: dict[int, IntArray] = {node: rows}
    count: int = rows.shape[0]
    constant: IntArray = np.zeros(count, dtype=np.int64)
    for k in range(node, -1, -1):
        if k not in held:
            continue
        c, current = held.pop(k), program[k]
        match current:
            case Input():
                constant = _plus(constant, _dot(np.maximum(c, 0), known[k].lower), _dot(np.minimum(c, 0), known[k].upper))
            case Affine(terms, bias):
                constant = _plus(constant, _dot(c, bias))
                for m, a in terms:
                    _hold(held, a, linear.apply(linear.transpose(m), c))
            case Staircase() | Maximum() | Table() | Product() | Wrap():
                line = lines[k] or _lines(current, known, k)
                lines[k] = line
                unit = c // SCALE
                above, below = np.maximum(unit, 0), np.minimum(unit, 0)
                constant = _plus(constant, _dot(above, line.low), _dot(below, line.high))
                if isinstance(current, Staircase):
                    _hold(held, current.argument, _plus(_scaled(above, line.low_slope), _scaled(below, line.high_slope)))
            case _:
                assert_never(current)
    return constant


def _hold(held: dict[int, IntArray], node: int, rows: IntArray) -> None:
    held[node] = _plus(held[node], rows) if node in held else rows


def _lines(node: Staircase | Maximum | Table | Product | Wrap, known: list[Interval], position: int) -> Lines:
    """Return lines around a node that is not affine; those of operations other than staircases are constants."""
    return staircase_lines(node.steps, known[node.argument]) if isinstance(node, Staircase) else constant_lines(known[position])


def _dot(rows: IntArray, vector: IntArray) -> IntArray:
    return linear.apply(linear.Dense(rows), vector)


def _scaled(rows: IntArray, factors: IntArray) -> IntArray:
    bound = magnitude(rows) * magnitude(factors)
    return shrink(widen(rows, bound) * widen(factors, bound))


def _plus(*parts: IntArray) -> IntArray:
    bound = sum(magnitude(p) for p in parts)
    total = widen(parts[0], bound)
    for p in parts[1:]:
        total = total + widen(p, bound)
    return shrink(total)
