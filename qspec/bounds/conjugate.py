"""The number `q` for which `c f(a) >= p a + q` on a box of arguments, exact integers, for any multipliers `p`.

It is the least value of `c f(a) - p a`, the (negated, concave) conjugate of `c f`. A line of any slope bounds the operation once `q` is
known, so slopes can be found by any means and be rounded at will. Source: Lagrangian duals of networks, Dvijotham et al. 2018, with the
conjugate of the operation itself in the place of that of a ReLU.
"""

from __future__ import annotations

from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import SAFE, IntArray, magnitude, shrink, widen
from qspec.bounds.breakpoints import Elementwise, Points, points
from qspec.bounds.interval import Interval, bound_node
from qspec.bounds.layout import Relaxed
from qspec.ir.integer import Maximum, Product, Staircase, Table, Wrap, with_arguments

CACHED = 1 << 14
"""Rows times elements that are looked at together: what a processor's cache holds."""


def conjugate(node: Relaxed, c: IntArray, p: IntArray, known: list[Interval], listed: Points | None = None) -> IntArray:
    """Return `q` summed over the elements, shape (...), for coefficients `c` (..., size) and multipliers `p` (..., count).

    `known` are intervals by node, (size,) or (..., size); `listed` are the points of an elementwise operation on them, if known.
    """
    match node:
        case Staircase(a) | Table(a) | Wrap(a):
            return _elementwise(node, c, p, known[a], listed or points(node, known[a].lower, known[a].upper))
        case Product(left, right):
            half = c.shape[-1]
            return _product(c, p[..., :half], p[..., half:], known[left], known[right])
        case Maximum(a, groups):
            return _maximum(groups, c, p.reshape(*p.shape[:-1], *groups.shape), known[a])
        case _:
            assert_never(node)


def _elementwise(node: Elementwise, c: IntArray, p: IntArray, x: Interval, listed: Points) -> IntArray:
    if not listed.complete:
        return _apart(node, c, p, x)
    limit = magnitude(c) * magnitude(listed.values) + magnitude(p) * magnitude(listed.arguments)
    limit *= max(1, c.shape[-1])
    c, p = widen(c, limit), widen(p, limit)
    if c.ndim != 2 or listed.values.ndim != 2 or c.dtype == object:
        return total(_least(c, p, listed.arguments, listed.values))
    p = np.broadcast_to(p, c.shape)
    width = max(1, CACHED // max(1, len(c)))
    blocks = [slice(k, k + width) for k in range(0, c.shape[1], width)]
    parts = [_least(c[:, b], p[:, b], listed.arguments[:, b], listed.values[:, b]).sum(axis=1) for b in blocks]
    return total(np.stack(parts, axis=-1)) if parts else np.zeros(len(c), dtype=np.int64)


def _least(c: IntArray, p: IntArray, arguments: IntArray, values: IntArray) -> IntArray:
    """Return the least of `c y - p a` over points of shape (k, ..., size)."""
    least = c * values[0] - p * arguments[0]
    own, other = np.empty_like(least), np.empty_like(least)
    for a, y in zip(arguments[1:], values[1:], strict=True):
        np.multiply(c, y, out=own)
        np.multiply(p, a, out=other)
        np.minimum(least, np.subtract(own, other, out=own), out=least)
    return least


def _apart(node: Elementwise, c: IntArray, p: IntArray, x: Interval) -> IntArray:
    """Bound `c f(a)` and `-p a` each on its own, where there are too many points to list."""
    y = bound_node(with_arguments(node, {node.argument: 0}), [x])
    limit = (magnitude(c) * y.magnitude + magnitude(p) * x.magnitude) * max(1, c.shape[-1])
    c, p = widen(c, limit), widen(p, limit)
    least = np.minimum(c * y.lower, c * y.upper) - np.maximum(p * x.lower, p * x.upper)
    return total(least)


def _product(c: IntArray, p: IntArray, r: IntArray, x: Interval, y: Interval) -> IntArray:
    limit = magnitude(c) * x.magnitude * y.magnitude + magnitude(p) * x.magnitude + magnitude(r) * y.magnitude
    limit *= max(1, c.shape[-1])
    c, p, r = widen(c, limit), widen(p, limit), widen(r, limit)
    corners = [(widen(a, limit), widen(b, limit)) for a in (x.lower, x.upper) for b in (y.lower, y.upper)]
    least = c * corners[0][0] * corners[0][1] - p * corners[0][0] - r * corners[0][1]
    for a, b in corners[1:]:
        np.minimum(least, c * a * b - p * a - r * b, out=least)
    return total(least)


def _maximum(groups: IntArray, c: IntArray, p: IntArray, x: Interval) -> IntArray:
    present = groups >= 0
    member = np.where(present, groups, groups.max(axis=1, keepdims=True))
    low, high = x.lower[..., member], x.upper[..., member]
    limit = 4 * (magnitude(c) + magnitude(p) * groups.shape[1]) * max(1, x.magnitude) * max(1, groups.size)
    if limit >= SAFE:
        c, p, low, high = (v.astype(object) for v in (c, p, low, high))
    p = np.where(present, p, 0)
    return total(np.where(c < 0, _below(c, p, low, high, present), _above(c, p, low, high, present)))


def _below(c: IntArray, p: IntArray, low: IntArray, high: IntArray, present: IntArray) -> IntArray:
    """`c max(a)` is the least of `c a_k` for `c <= 0`, and each is a line."""
    each = np.minimum(-p * low, -p * high)
    own = np.minimum((c[..., None] - p) * low, (c[..., None] - p) * high)
    change = own - each
    return each.sum(axis=-1) + np.where(present, change, change.max(axis=-1, keepdims=True)).min(axis=-1)


def _above(c: IntArray, p: IntArray, low: IntArray, high: IntArray, present: IntArray) -> IntArray:
    """`c max(a) >= w a` for weights `w >= 0` that sum up to `c`: those of `p`, cut off, and the rest on the member that is surely large."""
    c = np.maximum(c, 0)
    before = np.cumsum(np.maximum(p, 0), axis=-1) - np.maximum(p, 0)
    weights = np.clip(c[..., None] - before, 0, np.maximum(p, 0))
    rest = c - weights.sum(axis=-1)
    floor = np.where(present, low, low.min(axis=-1, keepdims=True) - 1)
    members: int = low.shape[-1]
    leads = np.arange(members) == np.argmax(floor, axis=-1)[..., None]
    weights = weights + np.where(leads, rest[..., None], 0)
    excess = np.where(present, weights - p, 0)
    return np.minimum(excess * low, excess * high).sum(axis=-1)


def total(least: IntArray) -> IntArray:
    """Return the sum over the last axis, always as an array: of one row of Python integers numpy would make a number."""
    return shrink(np.asarray(least.sum(axis=-1), dtype=least.dtype))
