"""The one inference of a certificate: a lower bound of integer combinations of node elements, by going through the program backwards.

`c·f(a) >= p·a + q` for every integer argument within its bounds, whatever the multipliers `p`; the least such `q` is what is computed here
for each operation. Everything is exact. Source of the method: weak duality; for networks Dvijotham et al. 2018, "A Dual Approach to
Scalable Verification of Deep Networks".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray, magnitude, shrink, widen, within
from qspec.certificate.forward import Pair, add
from qspec.certificate.points import (
    MAX_CODES,
    Points,
    clamp_points,
    evenly_spaced,
    period,
    rescale_points,
    steps_points,
    table_points,
    wrap_points,
)
from qspec.deadline import NEVER, Deadline
from qspec.ir import linear
from qspec.ir.integer import Affine, Input, Maximum, Node, Product, Program, Staircase, Table, Wrap, sizes
from qspec.ir.linear import LinearMap
from qspec.ir.staircase import Rescale, Steps, climb

CELLS = 1 << 20
"""Entries of the largest intermediate array, roughly."""

Multipliers = Callable[[slice, IntArray], IntArray]
"""Gives the multipliers of one node, shape (rows, count), from its place in the vector and the coefficient that each of them concerns."""


class Derivation:
    """Derives bounds for one program; `known` may be any bounds within `outer`, the widest that ever occur."""

    def __init__(self, program: Program, outer: Sequence[Pair], deadline: Deadline = NEVER) -> None:
        self.deadline = deadline
        self.program, self.sizes = program, sizes(program)
        self._outer = tuple(outer)  # a copy: points of staircases are made from it later, and must serve every domain
        self.places = places(program)
        self.multipliers: int = self.places[-1].stop if self.places else 0
        """How many multipliers a derivation takes."""
        self._members: dict[int, LinearMap] = {}
        self._points: dict[int, Points | Rescale] = {}

    def bound(self, coefficients: Mapping[int, IntArray], known: Sequence[Pair], multipliers: Multipliers) -> IntArray:
        """Return a lower bound, shape (rows,), of `Σ c·x` over the nodes, coefficients given by node in shape (rows, size)."""
        held = dict(coefficients)
        count: int = next(iter(held.values())).shape[0]
        constant: IntArray = np.zeros(count, dtype=np.int64)
        for k in range(max(held), -1, -1):
            if k not in held:
                continue
            self.deadline.check()
            c, node = held.pop(k), self.program[k]
            if isinstance(node, Input):
                constant = add(constant, _total(_least_at(c, *known[k])))
                continue
            if isinstance(node, Affine):
                constant = add(constant, linear.apply(linear.Dense(node.bias[None]), c)[:, 0])
                passed = [(a, linear.apply_transposed(m, c)) for m, a in node.terms]
            else:
                p = multipliers(self.places[k], _concerned(node, c))
                constant = add(constant, _total(self._least(k, node, known, c, p)))
                passed = self._passed(k, node, p)
            for a, rows in passed:
                held[a] = add(held[a], rows) if a in held else rows
        return constant

    def _passed(self, k: int, node: Node, p: IntArray) -> list[tuple[int, IntArray]]:
        """Return what the multipliers of a node add to the coefficients of its arguments."""
        match node:
            case Staircase(a) | Table(a) | Wrap(a):
                return [(a, p)]
            case Product(left, right):
                return [(left, p[:, : self.sizes[k]]), (right, p[:, self.sizes[k] :])]
            case Maximum(a, groups):
                if k not in self._members:
                    entry = np.flatnonzero(groups.reshape(-1) >= 0)
                    self._members[k] = linear.sparse(self.sizes[a], groups.size, groups.reshape(-1)[entry], entry, np.ones_like(entry))
                return [(a, linear.apply(self._members[k], p))]
            case Input() | Affine():
                return []
            case _:
                assert_never(node)

    def _least(self, k: int, node: Node, known: Sequence[Pair], c: IntArray, p: IntArray) -> IntArray:
        """Return the numbers q of a node, shape (rows, size)."""
        match node:
            case Staircase(a, steps):
                found = self._within(k, steps, self._outer[a], known[a])
                return _least_of_rescale(found, *known[a], c, p) if isinstance(found, Rescale) else _least_of(c, p, found)
            case Table(a):
                return _least_of(c, p, table_points(node, *known[a]))
            case Wrap(a):
                return _least_of(c, p, wrap_points(node, *known[a]))
            case Product(left, right):
                return _least_of_product(known[left], known[right], c, p)
            case Maximum(a, groups):
                return _least_of_maximum(groups, *known[a], c, p.reshape(p.shape[0], *groups.shape))
            case Input() | Affine():
                return c[:, :0]
            case _:
                assert_never(node)

    def _within(self, k: int, steps: Rescale | Steps, outer: Pair, known: Pair) -> Points | Rescale:
        """Return the points of a staircase, or itself if there are too many to keep.

        They are found once, on the widest bounds, and moved into others: the staircase is monotone, so values move to those at the bounds.
        """
        if k not in self._points:
            self._points[k] = _kept(steps, outer)
        found = self._points[k]
        if isinstance(found, Rescale):
            return found
        first, last = climb(steps, known[0]), climb(steps, known[1])
        return np.clip(found[0], known[0][:, None], known[1][:, None]), np.clip(found[1], first[:, None], last[:, None])


def slope_multipliers(low: IntArray, high: IntArray, bits: int) -> Multipliers:
    """Return multipliers made of slopes in units of `2^-bits`, rounded to nearest: `low` where a coefficient is positive, else `high`."""
    half = 1 << (bits - 1)

    def give(place: slice, c: IntArray) -> IntArray:
        below, above = low[place], high[place]
        bound = magnitude(c) * (magnitude(below) + magnitude(above)) + half
        c, below, above = widen(c, bound), widen(below, bound), widen(above, bound)
        return shrink((np.maximum(c, 0) * below + np.minimum(c, 0) * above + half) >> bits)

    return give


def _kept(steps: Rescale | Steps, outer: Pair) -> Points | Rescale:
    """Return the points of a staircase on its widest bounds; of a `Rescale` only if they are few and not evenly spaced."""
    if isinstance(steps, Steps):
        return steps_points(steps, *outer)
    if evenly_spaced(steps):
        return steps
    count = min(2 * period(steps, MAX_CODES), int((climb(steps, outer[1]) - climb(steps, outer[0])).max(initial=0)))
    return steps if count > MAX_CODES or count * outer[0].size > CELLS else rescale_points(steps, *outer)


def places(program: Program) -> list[slice]:
    """Return where in the vector of multipliers those of each node lie."""
    ends: list[int] = np.cumsum([0, *(_count(n, s) for n, s in zip(program, sizes(program), strict=True))]).tolist()
    return [slice(a, b) for a, b in pairwise(ends)]


def _count(node: Node, size: int) -> int:
    """Return how many multipliers a node takes."""
    match node:
        case Input() | Affine():
            return 0
        case Staircase() | Table() | Wrap():
            return size
        case Product():
            return 2 * size
        case Maximum(_, groups):
            return groups.size
        case _:
            assert_never(node)


def _concerned(node: Node, c: IntArray) -> IntArray:
    """Return for each multiplier of a node the coefficient of the element that it concerns."""
    if isinstance(node, Product):
        return np.concatenate([c, c], axis=1)
    return np.repeat(c, node.groups.shape[1], axis=1) if isinstance(node, Maximum) else c


def _least_of(c: IntArray, p: IntArray, points: Points) -> IntArray:
    """Return the least of `c·y - p·x` over points (x, y)."""
    x, y = points
    bound = magnitude(c) * magnitude(y) + magnitude(p) * magnitude(x)
    c, p, x, y = (widen(v, bound) for v in (c, p, x, y))
    block = max(1, CELLS // max(1, x.size))
    found = [(c[r : r + block, :, None] * y - p[r : r + block, :, None] * x).min(axis=2) for r in range(0, max(1, c.shape[0]), block)]
    return within(found[0] if len(found) == 1 else np.concatenate(found), bound)


def _least_of_rescale(steps: Rescale, lower: IntArray, upper: IntArray, c: IntArray, p: IntArray) -> IntArray:
    """Elements with few codes are looked at step by step; others between the two lines that rounding cannot leave."""
    if evenly_spaced(steps):
        return _least_of(c, p, rescale_points(steps, lower, upper))
    few = (climb(steps, upper) - climb(steps, lower) <= MAX_CODES) | (2 * period(steps, MAX_CODES) <= MAX_CODES)
    result = np.zeros(c.shape, dtype=object)
    columns = np.flatnonzero(few)
    block = max(1, CELLS // MAX_CODES)
    for at in (columns[k : k + block] for k in range(0, columns.size, block)):
        result[:, at] = _least_of(c[:, at], p[:, at], rescale_points(_taken(steps, at), lower[at], upper[at]))
    at = np.flatnonzero(~few)
    some, d = _taken(steps, at), steps.denominator[at]
    bound = magnitude(p) * magnitude(d)
    scaled = widen(p[:, at], bound) * widen(d, bound)
    below, above = (_least_of(c[:, at], scaled, clamp_points(some, lower[at], upper[at], sign)) for sign in (-1, 1))
    result[:, at] = -(np.where(c[:, at] >= 0, below, above) // -d)
    return shrink(result)


def _taken(steps: Rescale, at: IntArray) -> Rescale:
    lower, upper = (None if end is None else end[at] for end in (steps.lower, steps.upper))
    return Rescale(steps.numerator[at], steps.offset[at], steps.denominator[at], steps.rounding, lower, upper)


def _least_of_product(left: Pair, right: Pair, c: IntArray, p: IntArray) -> IntArray:
    """The function is linear in each factor, so the least value is at a corner."""
    n: int = c.shape[1]
    m, k = (max(magnitude(lower), magnitude(upper)) for lower, upper in (left, right))
    bound = magnitude(c) * max(1, m) * max(1, k) + magnitude(p) * (m + k)
    a, b = ([widen(end, bound) for end in pair] for pair in (left, right))
    c, p = widen(c, bound), widen(p, bound)
    corners = [c * (x * y) - p[:, :n] * x - p[:, n:] * y for x in a for y in b]
    return shrink(np.minimum.reduce(corners))


def _least_of_maximum(groups: IntArray, lower: IntArray, upper: IntArray, c: IntArray, p: IntArray) -> IntArray:
    """For c < 0 the greatest member counts, whichever it is; for c >= 0 the maximum is at least any average of the members."""
    present = groups >= 0
    low, high = lower[groups], upper[groups]
    p = np.where(present, p, 0)
    bound = 4 * (magnitude(c) + magnitude(p)) * (1 + max(magnitude(lower), magnitude(upper))) * (1 + groups.shape[1])
    c, p, low, high = widen(c, bound), widen(p, bound), widen(low, bound), widen(high, bound)
    alone = np.where(present, _least_at(-p, low, high), 0)
    chosen = np.where(present, _least_at(c[:, :, None] - p, low, high) - alone, bound)
    negative = alone.sum(axis=2) + chosen.min(axis=2)
    given = np.maximum(c, 0)[:, :, None]
    wanted = np.maximum(p, 0)
    weights: IntArray = np.clip(given - (np.cumsum(wanted, axis=2) - wanted), 0, wanted)
    best = np.where(present, low, low.min(initial=0) - 1).argmax(axis=1)
    rest: IntArray = given - weights.sum(axis=2, keepdims=True)
    members: int = groups.shape[1]
    weights = weights + rest * (np.arange(members) == best[:, None])
    positive: IntArray = np.where(present, _least_at(weights - p, low, high), 0).sum(axis=2)
    return shrink(np.where(c < 0, negative, positive))


def _least_at(c: IntArray, lower: IntArray, upper: IntArray) -> IntArray:
    """Return the least of `c·x` within the bounds, elementwise."""
    bound = magnitude(c) * max(magnitude(lower), magnitude(upper))
    c, lower, upper = widen(c, bound), widen(lower, bound), widen(upper, bound)
    return np.minimum(c * lower, c * upper)


def _total(values: IntArray) -> IntArray:
    return shrink(widen(values, magnitude(values) * max(1, values.shape[1])).sum(axis=1))
