"""Grow a real program node by node; each method returns the position of the node that it adds.

What is known is computed at once, exactly: sums, products and maxima of constants are constants, and a product with a constant is a map. A
selection or scaling of a selection or scaling is one map.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.deadline import NEVER, Deadline
from qspec.ir.real import (
    FALSE,
    TRUE,
    Affine,
    All,
    And,
    Any,
    Apply,
    Entries,
    ExactArray,
    Formula,
    Function,
    Input,
    Maximum,
    Node,
    Or,
    Product,
    Program,
    RealMap,
    Truth,
    entries,
    exact,
    fractions,
    sizes,
)

INCREASING = frozenset({Function.EXP, Function.TANH, Function.SIGMOID, Function.SOFTPLUS})
"""Functions that rise strictly."""


class RealBuilder:
    """The one mutable object on the way from language to real query; it may go on from a program that is there."""

    def __init__(self, program: Program = (), deadline: Deadline = NEVER) -> None:
        self._deadline = deadline
        self._nodes: list[Node] = list(program)
        self._sizes: list[int] = sizes(program)
        self._order: dict[int, int] = {}

    @property
    def program(self) -> Program:
        return tuple(self._nodes)

    def size(self, node: int) -> int:
        return self._sizes[node]

    def input(self, name: str, lower: object, upper: object) -> int:
        """Add free reals in a closed box."""
        low, high = exact(lower).reshape(-1), exact(upper).reshape(-1)
        return self._add(Input(name, low, high), low.size)

    def constant(self, values: object) -> int:
        bias = exact(values).reshape(-1)
        return self._add(Affine((), bias), bias.size)

    def known(self, node: int) -> ExactArray | None:
        """Return the values of a node that is a constant, else None."""
        found = self._nodes[node]
        return found.bias if isinstance(found, Affine) and not found.terms else None

    def affine(self, terms: Sequence[tuple[RealMap, int]], bias: object = 0) -> int:
        """Add `bias + sum of map(argument)`; a scalar bias is repeated."""
        size = terms[0][0].outputs
        start = exact(bias).reshape(-1)
        total = np.repeat(start, size) if start.size == 1 else start
        kept: list[tuple[RealMap, int]] = []
        for m, argument in terms:
            values, simple = self.known(argument), self._simple(argument) if isinstance(m, Entries) else None
            if values is not None:
                total = _plus(total, apply_map(m, values))
            elif simple is not None and isinstance(m, Entries):
                inner, base, source = simple
                total = _plus(total, apply_map(m, base))
                kept.append((_after(m, inner), source))
            else:
                kept.append((m, argument))
        return self._add(Affine(tuple(kept), total), size)

    def combine(self, node: int, outputs: int, rows: IntArray, columns: IntArray, coefficients: IntArray) -> int:
        """Add sums of elements: `y[rows[j]]` gets `coefficients[j] * x[columns[j]]`."""
        return self.affine([(Entries(outputs, self.size(node), rows, columns, coefficients.astype(np.float64)), node)])

    def select(self, node: int, index: object) -> int:
        """Add the elements of a node at flat positions `index`."""
        flat = np.asarray(index, dtype=np.int64).reshape(-1)
        if np.array_equal(flat, np.arange(self.size(node))):
            return node
        return self.affine([(selection(flat, self.size(node)), node)])

    def scale(self, node: int, factor: object, bias: object = 0) -> int:
        """Add `factor * node + bias`, elementwise; scalars are repeated."""
        return self.affine([(diagonal(_repeated(factor, self.size(node))), node)], bias)

    def sum(self, *nodes: int) -> int:
        """Add the elementwise sum of nodes of one size."""
        return self.affine([(identity(self.size(n)), n) for n in nodes])

    def difference(self, left: int, right: int) -> int:
        """Add `left - right`."""
        n = self.size(left)
        return self.affine([(identity(n), left), (diagonal(np.full(n, -1.0)), right)])

    def product(self, left: int, right: int) -> int:
        for factor, other in ((left, right), (right, left)):
            values = self.known(factor)
            if values is not None:
                return self.scale(other, values)
        return self._add(Product(left, right), self.size(left))

    def apply(self, function: Function, node: int) -> int:
        """Add a function of every element; of constants only ReLU is computed here."""
        values = self.known(node)
        if values is not None and function is Function.RELU:
            return self.constant(np.maximum(values, 0))
        return self._add(Apply(node, function), self.size(node))

    def maximum(self, node: int, groups: object) -> int:
        """Add the maximum over each row of flat positions (-1 is absent)."""
        rows: IntArray = np.asarray(groups, dtype=np.int64)
        values = self.known(node)
        if values is not None:
            exactly = fractions(values)
            return self.constant([max(exactly[k] for k in row if k >= 0) for row in rows.tolist()])
        return self._add(Maximum(node, rows), rows.shape[0])

    def keeps_order(self, node: int, source: int) -> int:
        """Note that the elements of a node are ordered as those of another one, equal ones included, and return the node."""
        self._order[node] = source
        return node

    def ordered(self, node: int) -> int:
        """Return the simplest node known whose elements are ordered as those of this one, equal ones included."""
        while True:
            found = self._nodes[node]
            if node in self._order:
                node = self._order[node]
            elif isinstance(found, Apply) and found.function in INCREASING:
                node = found.argument
            else:
                return node

    def negate(self, formula: Formula) -> Formula:
        """Return the negation: `not x >= 0` is `-x > 0`, and `not x > 0` is `-x >= 0`."""
        match formula:
            case Truth(value):
                return FALSE if value else TRUE
            case All(node, strict):
                return Any(self.scale(node, -1), not strict)
            case Any(node, strict):
                return All(self.scale(node, -1), not strict)
            case And(children):
                return Or(tuple(self.negate(c) for c in children))
            case Or(children):
                return And(tuple(self.negate(c) for c in children))
            case _:
                assert_never(formula)

    def _add(self, node: Node, size: int) -> int:
        self._deadline.check()
        self._nodes.append(node)
        self._sizes.append(size)
        return len(self._nodes) - 1

    def _simple(self, node: int) -> tuple[Entries, ExactArray, int] | None:
        """Return map, bias and argument of a node that selects and scales another one, else None."""
        found = self._nodes[node]
        if not isinstance(found, Affine) or len(found.terms) != 1:
            return None
        m, source = found.terms[0]
        once = isinstance(m, Entries) and np.unique(m.rows).size == m.rows.size
        return (m, found.bias, source) if once and isinstance(m, Entries) else None


def selection(index: IntArray, inputs: int) -> Entries:
    """Return the map `y[k] = x[index[k]]`."""
    return Entries(index.size, inputs, np.arange(index.size), index, np.ones(index.size))


def identity(size: int) -> Entries:
    """Return the identity on vectors of this size."""
    return selection(np.arange(size), size)


def placement(index: IntArray, outputs: int) -> Entries:
    """Return the map that puts `x[k]` at `y[index[k]]`, and zero elsewhere."""
    return Entries(outputs, index.size, index, np.arange(index.size), np.ones(index.size))


def diagonal(factors: object) -> Entries:
    """Return the map that multiplies each element by its own factor."""
    values = exact(factors).reshape(-1)
    return Entries(values.size, values.size, np.arange(values.size), np.arange(values.size), values)


def apply_map(m: RealMap, values: ExactArray) -> ExactArray:
    """Return a map of constants, exactly."""
    listed = entries(m)
    total = [Fraction(0)] * m.outputs
    products = times(listed.coefficients, values[listed.columns])
    for row, product in zip(listed.rows.tolist(), fractions(products).tolist(), strict=True):
        total[row] += product
    return exact(np.array(total, dtype=object))


def times(left: ExactArray, right: ExactArray) -> ExactArray:
    """Return products of exact numbers, exactly; fast where one side is 1 or -1 everywhere."""
    for a, b in ((left, right), (right, left)):
        if a.dtype == np.float64 and np.all(np.abs(a) == 1):
            return b * (a.astype(np.int64).astype(object) if b.dtype == object else a)
    return exact(fractions(left) * fractions(right))


def _plus(left: ExactArray, right: ExactArray) -> ExactArray:
    if not np.any(right):
        return left
    return right if not np.any(left) else exact(fractions(left) + fractions(right))


def _after(outer: Entries, inner: Entries) -> Entries:
    """Return `outer(inner(x))`, where `inner` has at most one entry in each row."""
    place = np.full(inner.outputs, -1)
    place[inner.rows] = np.arange(inner.rows.size)
    picked = place[outer.columns]
    kept = picked >= 0
    picked = picked[kept]
    coefficients = times(outer.coefficients[kept], inner.coefficients[picked])
    return Entries(outer.outputs, inner.inputs, outer.rows[kept], inner.columns[picked], coefficients)


def _repeated(values: object, size: int) -> ExactArray:
    flat = exact(values).reshape(-1)
    return np.repeat(flat, size) if flat.size == 1 else flat
