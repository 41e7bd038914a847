"""The one inference of a certificate: a lower bound of integer combinations of node elements, by going through the program backwards.

`c·f(a) >= p·a + q` for every integer argument within its bounds, whatever the multipliers `p`; the least such `q` is what is computed here
for each operation. Everything is exact. Source of the method: weak duality; for networks Dvijotham et al. 2018, "A Dual Approach to
Scalable Verification of Deep Networks".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple, assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray, magnitude, shrink, widen, within
from qspec.certificate.forward import Pair, add
from qspec.certificate.points import (
    MAX_CODES,
    Points,
    clamp_points,
    corners,
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
from qspec.ir.live import Live, live, pays
from qspec.ir.staircase import Rescale, Steps, climb, restricted

CELLS = 1 << 20
"""Entries of the largest intermediate array, roughly."""

ROWS, MOST = 16, 1 << 22
"""Rows from which on it pays to find the corners of the points of a staircase, and points of all elements up to which that is done."""
CACHED = 1 << 15
"""Entries of arrays that stay near the processor."""

Multipliers = Callable[[slice | IntArray, IntArray], IntArray]
"""Gives the multipliers of one node, shape (rows, count), from its place in the vector and the coefficient that each of them concerns."""


class _Part(NamedTuple):
    """What is left of a program, derivations about that, and which multipliers it takes."""

    live: Live
    inner: Derivation
    where: IntArray


class Derivation:
    """Derives bounds for one program; `known` may be any bounds within `outer`, the widest that ever occur.

    Elements that these fix are left out where that pays, except those of nodes that stay `whole` (None: all do): a fact that fixes itself
    could not be contradicted any more. Their multipliers are then 0, whatever the certificate gives: any are sound.
    """

    def __init__(self, program: Program, outer: Sequence[Pair], deadline: Deadline = NEVER, whole: Iterable[int] | None = ()) -> None:
        self.deadline = deadline
        self.program, self.sizes = program, sizes(program)
        self._outer = tuple(outer)  # a copy: points of staircases are made from it later, and must serve every domain
        self.places = places(program)
        self.multipliers: int = self.places[-1].stop if self.places else 0
        """How many multipliers a derivation takes."""
        self._members: dict[int, LinearMap] = {}
        self._points: dict[int, Points | Rescale] = {}
        self._corners: dict[int, tuple[Pair, Points]] = {}
        self._part: _Part | None = None
        if whole is not None and pays(self._outer):
            part = live(program, self._outer, whole)
            where = part.places({k: (at.start, at.stop) for k, at in enumerate(self.places) if at.stop > at.start})
            self._part = _Part(part, Derivation(part.program, part.bounds(self._outer), deadline, None), where)

    def ends(self, node: int, index: IntArray, scale: int, known: Sequence[Pair], multipliers: Multipliers) -> Pair:
        """Return bounds of some elements of a node, each derived from two rows of its own, as many at a time as memory allows."""
        if self._part is not None:
            part, inner, where = self._part
            own = np.searchsorted(part.index[node], index)
            return inner.ends(node, own, scale, part.bounds(known), lambda place, c: multipliers(where[place], c))
        size, block = self.sizes[node], max(1, CELLS // max(self.sizes))
        parts: list[IntArray] = []
        for at in (index[k : k + block] for k in range(0, index.size, block)):
            rows = np.zeros((2 * at.size, size), dtype=np.int64)
            rows[np.arange(at.size), at] = scale
            rows[at.size + np.arange(at.size), at] = -scale
            least = -(self.bound({node: rows}, known, multipliers) // -scale)
            parts.append(least.reshape(2, at.size))
        least = np.concatenate([np.zeros((2, 0), dtype=np.int64), *parts], axis=1)
        return least[0], -least[1]

    def bound(self, coefficients: Mapping[int, IntArray], known: Sequence[Pair], multipliers: Multipliers) -> IntArray:
        """Return a lower bound, shape (rows,), of `Σ c·x` over the nodes, coefficients given by node in shape (rows, size)."""
        if self._part is not None:
            return self._bound_part(self._part, coefficients, known, multipliers)
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

    def _bound_part(self, own: _Part, coefficients: Mapping[int, IntArray], known: Sequence[Pair], multipliers: Multipliers) -> IntArray:
        """Return the bound from the elements that are not fixed, and what the others are worth."""
        part, inner, where = own
        held = {k: c[:, part.index[k]] for k, c in coefficients.items()}
        fixed = [linear.apply(linear.Dense(part.values[k][None]), c)[:, 0] for k, c in coefficients.items()]
        return add(*fixed, inner.bound(held, part.bounds(known), lambda place, c: multipliers(where[place], c)))

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
                found = self._cornered(k, steps, self._outer[a], known[a]) if c.shape[0] >= ROWS else None
                found = found or self._within(k, steps, self._outer[a], known[a])
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

    def _cornered(self, k: int, steps: Rescale | Steps, outer: Pair, known: Pair) -> Points | None:
        """Return the corners of the points of a staircase, kept until its argument has other bounds; None if there are too many points."""
        kept = self._corners.get(k)
        if kept is None or not (np.array_equal(kept[0][0], known[0]) and np.array_equal(kept[0][1], known[1])):
            found = self._within(k, steps, outer, known)
            if isinstance(found, Rescale):
                count = int((climb(found, known[1]) - climb(found, known[0])).max(initial=0))
                if count > MAX_CODES or count * known[0].size > MOST:
                    return None
                found = rescale_points(found, *known)
            kept = self._corners[k] = (known, corners(found))
        return kept[1]

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

    def give(place: slice | IntArray, c: IntArray) -> IntArray:
        below, above = low[place], high[place]
        bound = magnitude(c) * (magnitude(below) + magnitude(above)) + half
        c, below, above = widen(c, bound), widen(below, bound), widen(above, bound)
        return shrink((np.maximum(c, 0) * below + np.minimum(c, 0) * above + half) >> bits)

    return give


def _kept(steps: Rescale | Steps, outer: Pair) -> Points | Rescale:
    """Return the points of a staircase on its widest bounds; of a `Rescale` only if they are few, not even, and those of all steps.

    Where steps repeat, the first and the last period are others within narrower bounds.
    """
    if isinstance(steps, Steps):
        return steps_points(steps, *outer)
    count = int((climb(steps, outer[1]) - climb(steps, outer[0])).max(initial=0))
    few = count <= min(MAX_CODES, 2 * period(steps, count)) and count * outer[0].size <= CELLS
    return rescale_points(steps, *outer) if few and not evenly_spaced(steps) else steps


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
    least = c * y[:, 0] - p * x[:, 0]
    block = max(1, CACHED // max(1, c.shape[1]))
    for rows in (slice(k, k + block) for k in range(0, c.shape[0], block)):
        for at, value in zip(x.T[1:], y.T[1:], strict=True):
            np.minimum(least[rows], c[rows] * value - p[rows] * at, out=least[rows])
    return within(least, bound)


def _least_of_rescale(steps: Rescale, lower: IntArray, upper: IntArray, c: IntArray, p: IntArray) -> IntArray:
    """Elements with few codes are looked at step by step; others between the two lines that rounding cannot leave."""
    if evenly_spaced(steps):
        return _least_of(c, p, rescale_points(steps, lower, upper))
    few = (climb(steps, upper) - climb(steps, lower) <= MAX_CODES) | (2 * period(steps, MAX_CODES) <= MAX_CODES)
    result = np.zeros(c.shape, dtype=object)
    columns = np.flatnonzero(few)
    block = max(1, CELLS // MAX_CODES)
    for at in (columns[k : k + block] for k in range(0, columns.size, block)):
        result[:, at] = _least_of(c[:, at], p[:, at], rescale_points(restricted(steps, at), lower[at], upper[at]))
    at = np.flatnonzero(~few)
    some, d = restricted(steps, at), steps.denominator[at]
    bound = magnitude(p) * magnitude(d)
    scaled = widen(p[:, at], bound) * widen(d, bound)
    below, above = (_least_of(c[:, at], scaled, clamp_points(some, lower[at], upper[at], sign)) for sign in (-1, 1))
    result[:, at] = -(np.where(c[:, at] >= 0, below, above) // -d)
    return shrink(result)


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
