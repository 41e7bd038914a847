"""Interval propagation of the checker: from the bounds of the arguments of a node to its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray, magnitude, shrink, widen, within
from qspec.certificate.points import table_points, wrap_points
from qspec.ir import linear
from qspec.ir.integer import Affine, Input, Maximum, Product, Program, Staircase, Table, Wrap
from qspec.ir.linear import Convolution, Dense, LinearMap, Sparse
from qspec.ir.staircase import climb

Pair = tuple[IntArray, IntArray]
"""Lower and upper bounds of the elements of a node."""


class Forward:
    """Knows a program, and the positive and negative parts of its maps."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._parts: dict[int, list[tuple[LinearMap, LinearMap]]] = {}

    def node(self, k: int, known: Sequence[Pair]) -> Pair:
        """Return bounds of node `k` that follow from those of its arguments, which must not contradict each other."""
        node = self._program[k]
        match node:
            case Input(_, lower, upper):
                return lower, upper
            case Affine():
                return self._affine(k, node, known)
            case Staircase(a, steps):
                return climb(steps, known[a][0]), climb(steps, known[a][1])
            case Table(a):
                return _range(table_points(node, *known[a])[1])
            case Wrap(a):
                return _range(wrap_points(node, *known[a])[1])
            case Product(left, right):
                (a, b), (c, d) = known[left], known[right]
                bound = max(magnitude(a), magnitude(b)) * max(magnitude(c), magnitude(d))
                return _range(np.stack([widen(x, bound) * widen(y, bound) for x in (a, b) for y in (c, d)], axis=1))
            case Maximum(a, groups):
                member = np.where(groups >= 0, groups, groups.max(axis=1, keepdims=True))
                lower, upper = known[a]
                return lower[member].max(axis=1), upper[member].max(axis=1)
            case _:
                assert_never(node)

    def _affine(self, k: int, node: Affine, known: Sequence[Pair]) -> Pair:
        if k not in self._parts:
            self._parts[k] = [(_part(m, 1), _part(m, -1)) for m, _ in node.terms]
        total = np.stack([node.bias, node.bias])
        for (above, below), (_, a) in zip(self._parts[k], node.terms, strict=True):
            ends = np.stack(known[a])
            total = add(total, linear.apply(above, ends), linear.apply(below, ends[::-1]))
        return total[0], total[1]


def _part(m: LinearMap, sign: int) -> LinearMap:
    """Return the map with only its positive (or negative) coefficients."""
    keep = np.maximum if sign > 0 else np.minimum
    match m:
        case Dense(matrix):
            return Dense(keep(matrix, 0))
        case Sparse(outputs, inputs, rows, columns, coefficients):
            return linear.sparse(outputs, inputs, rows, columns, keep(coefficients, 0))
        case Convolution(kernel, image, stride, padding, dilation, groups):
            return Convolution(keep(kernel, 0), image, stride, padding, dilation, groups)
        case _:
            assert_never(m)


def _range(values: IntArray) -> Pair:
    return shrink(values.min(axis=1)), shrink(values.max(axis=1))


def add(*parts: IntArray) -> IntArray:
    """Return the exact sum of arrays of one shape."""
    bound = sum(magnitude(p) for p in parts)
    total = widen(parts[0], bound)
    for p in parts[1:]:
        total = total + widen(p, bound)
    return within(total, bound)
