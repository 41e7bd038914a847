"""Exact interval bounds of every node, on the integer grid.

The bounds of one operation are exact for its argument box (the least and the greatest value are attained), by monotonicity for staircases,
maxima and tables. Source of the method: interval propagation, Moore 1966; on networks Gowal et al. 2018.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray, magnitude, shrink, widen
from qspec.arithmetic.rounding import wrap
from qspec.ir import linear
from qspec.ir.integer import Affine, All, And, Any, Formula, Input, Maximum, Node, Or, Product, Program, Staircase, Table, Truth, Wrap
from qspec.ir.staircase import climb


@dataclass(frozen=True, slots=True, eq=False)
class Interval:
    """`lower <= x <= upper`, elementwise."""

    lower: IntArray
    upper: IntArray

    @property
    def magnitude(self) -> int:
        return max(magnitude(self.lower), magnitude(self.upper))


def reach(m: linear.LinearMap, x: Interval, shift: int = 0) -> IntArray:
    """Return `|m| max|x - shift|`, which no partial sum of `m (x - shift)` exceeds."""
    return linear.apply(linear.absolute(m), np.maximum(np.abs(x.lower - shift), np.abs(x.upper - shift)))


Known = Sequence[Interval] | Mapping[int, Interval]
"""The intervals of nodes by position."""


def bound(program: Program) -> list[Interval]:
    """Return an interval for every node that contains each value it takes on the input box."""
    result: list[Interval] = []
    for node in program:
        result.append(bound_node(node, result))
    return result


def bound_node(node: Node, known: Known) -> Interval:
    """Return the interval of one node from those of its arguments, shape (size,) or (..., size)."""
    match node:
        case Input(_, lower, upper):
            return Interval(lower, upper)
        case Affine(terms, bias):
            return _affine(terms, bias, known)
        case Staircase(a, steps):
            return Interval(climb(steps, known[a].lower), climb(steps, known[a].upper))
        case Table(a, first, values):
            return _table(known[a], first, values)
        case Product(left, right):
            return _product(known[left], known[right])
        case Maximum(a):
            members = node.members
            return Interval(known[a].lower[..., members].max(axis=-1), known[a].upper[..., members].max(axis=-1))
        case Wrap(a, width, signed):
            return _wrap(known[a], width, signed)
        case _:
            assert_never(node)


def _affine(terms: tuple[tuple[linear.LinearMap, int], ...], bias: IntArray, known: Known) -> Interval:
    """Centre and radius, doubled so that they stay integers: `y = (M(l+u) -+ |M|(u-l)) / 2`."""
    centre, radius = 2 * widen(bias, 4 * magnitude(bias)), np.zeros_like(bias)
    for m, a in terms:
        wide = 4 * known[a].magnitude
        lower, upper = widen(known[a].lower, wide), widen(known[a].upper, wide)
        c, r = linear.apply(m, lower + upper), linear.apply(linear.absolute(m), upper - lower)
        limit = 2 * (magnitude(c) + magnitude(centre) + magnitude(r) + magnitude(radius))
        centre, radius = widen(centre, limit) + widen(c, limit), widen(radius, limit) + widen(r, limit)
    return Interval(shrink((centre - radius) // 2), shrink((centre + radius) // 2))


def _table(x: Interval, first: IntArray, values: IntArray) -> Interval:
    entries: int = values.shape[1]
    position = np.arange(entries)
    inside = (position >= (x.lower - first)[..., None]) & (position <= (x.upper - first)[..., None])
    low, high = values.min(axis=1, keepdims=True), values.max(axis=1, keepdims=True)
    return Interval(np.where(inside, values, high).min(axis=-1), np.where(inside, values, low).max(axis=-1))


def _product(x: Interval, y: Interval) -> Interval:
    wide = x.magnitude * y.magnitude
    corners = np.stack([widen(a, wide) * widen(b, wide) for a in (x.lower, x.upper) for b in (y.lower, y.upper)])
    return Interval(shrink(corners.min(axis=0)), shrink(corners.max(axis=0)))


def _wrap(x: Interval, width: IntArray, signed: bool) -> Interval:
    wide = 2 * x.magnitude + (2 << int(width.max(initial=1)))
    bits = width.astype(object) if wide >= 2**62 else width
    lower, upper = widen(x.lower, wide), widen(x.upper, wide)
    modulus = np.left_shift(np.ones_like(lower), bits)
    least = -(modulus // 2) if signed else np.zeros_like(modulus)
    same_turn = (lower - least) // modulus == (upper - least) // modulus
    return Interval(
        shrink(np.where(same_turn, wrap(lower, bits, signed), least)),
        shrink(np.where(same_turn, wrap(upper, bits, signed), least + modulus - 1)),
    )


def decide(formula: Formula, known: Known) -> bool | None:
    """Return the truth of a formula if the intervals settle it, else None."""
    match formula:
        case Truth(value):
            return value
        case All(node):
            return True if np.all(known[node].lower >= 0) else False if np.any(known[node].upper < 0) else None
        case Any(node):
            return True if np.any(known[node].lower >= 0) else False if np.all(known[node].upper < 0) else None
        case And(children):
            votes = [decide(c, known) for c in children]
            return False if False in votes else True if all(v is True for v in votes) else None
        case Or(children):
            votes = [decide(c, known) for c in children]
            return True if True in votes else False if all(v is False for v in votes) else None
        case _:
            assert_never(formula)
