"""Grow a program node by node; each method returns the position of the node that it adds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qspec.arithmetic.integers import IntArray, integers
from qspec.arithmetic.rounding import Rounding
from qspec.deadline import NEVER, Deadline
from qspec.ir import linear
from qspec.ir.integer import (
    FALSE,
    TRUE,
    Affine,
    All,
    And,
    Any,
    Formula,
    Input,
    Maximum,
    Node,
    Or,
    Product,
    Program,
    Staircase,
    Table,
    Truth,
    Wrap,
)
from qspec.ir.linear import LinearMap
from qspec.ir.staircase import Rescale, Steps


class Builder:
    """The one mutable object on the way from language to query."""

    def __init__(self, deadline: Deadline = NEVER) -> None:
        self._deadline = deadline
        self._nodes: list[Node] = []
        self._sizes: list[int] = []
        self._names: set[str] = set()

    @property
    def program(self) -> Program:
        return tuple(self._nodes)

    def program_node(self, node: int) -> Node:
        """Return the operation at a position."""
        return self._nodes[node]

    def size(self, node: int) -> int:
        return self._sizes[node]

    def add(self, node: Node, size: int) -> int:
        """Add a finished node of this size; raises OutOfTime, and OutOfMemory."""
        self._deadline.check()
        self._nodes.append(node)
        self._sizes.append(size)
        return len(self._nodes) - 1

    def input(self, name: str, lower: object, upper: object) -> int:
        """Add free integers between bounds, under this name or, if it is taken, the next that is free (primes are added)."""
        while name in self._names:
            name += "'"
        self._names.add(name)
        low, high = integers(lower).reshape(-1), integers(upper).reshape(-1)
        return self.add(Input(name, low, high), low.size)

    def constant(self, values: object) -> int:
        bias = integers(values).reshape(-1)
        return self.add(Affine((), bias), bias.size)

    def affine(self, terms: Sequence[tuple[LinearMap, int]], bias: object = 0) -> int:
        """Add `bias + sum of map(argument)`; a scalar bias is repeated."""
        size = terms[0][0].outputs
        return self.add(Affine(tuple(terms), _repeated(bias, size)), size)

    def combine(self, node: int, outputs: int, rows: IntArray, columns: IntArray, coefficients: IntArray, bias: object = 0) -> int:
        """Add sums of elements: `y[rows[j]]` gets `coefficients[j] * x[columns[j]]`."""
        return self.affine([(linear.sparse(outputs, self.size(node), rows, columns, coefficients), node)], bias)

    def select(self, node: int, index: object) -> int:
        """Add the elements of a node at flat positions `index`."""
        return self.affine([(linear.selection(index, self.size(node)), node)])

    def scale(self, node: int, factor: int | IntArray, bias: object = 0) -> int:
        """Add `factor * node + bias`, elementwise."""
        return self.affine([(linear.diagonal(_repeated(factor, self.size(node))), node)], bias)

    def rescale(
        self,
        node: int,
        numerator: object,
        denominator: object,
        rounding: Rounding,
        *,
        offset: object = 0,
        lower: object | None = None,
        upper: object | None = None,
    ) -> int:
        """Add an even staircase; scalars are repeated."""
        n = self.size(node)

        def full(values: object) -> IntArray:
            return np.array(np.broadcast_to(integers(values).reshape(-1), (n,)))

        ends = [None if b is None else full(b) for b in (lower, upper)]
        return self.add(Staircase(node, Rescale(full(numerator), full(offset), full(denominator), rounding, ends[0], ends[1])), n)

    def clamp(self, node: int, lower: object | None, upper: object | None) -> int:
        return self.rescale(node, 1, 1, Rounding.TRN, lower=lower, upper=upper)

    def steps(self, node: int, base: object, thresholds: object) -> int:
        """Add a staircase given by its thresholds, shape (size, steps) or (steps,) for all elements alike."""
        n = self.size(node)
        t = integers(thresholds)
        t = np.array(np.broadcast_to(t.reshape(1, -1), (n, t.size))) if t.ndim == 1 else t
        return self.add(Staircase(node, Steps(np.array(np.broadcast_to(integers(base).reshape(-1), (n,))), t)), n)

    def table(self, node: int, first: object, values: object) -> int:
        """Add a lookup, values of shape (size, entries) or (entries,) for all elements alike."""
        n = self.size(node)
        v = integers(values)
        v = np.array(np.broadcast_to(v.reshape(1, -1), (n, v.size))) if v.ndim == 1 else v
        return self.add(Table(node, np.array(np.broadcast_to(integers(first).reshape(-1), (n,))), v), n)

    def product(self, left: int, right: int) -> int:
        return self.add(Product(left, right), self.size(left))

    def maximum(self, node: int, groups: object) -> int:
        """Add the maximum over each row of flat positions (-1 is absent)."""
        g = integers(groups)
        return self.add(Maximum(node, g), g.shape[0])

    def wrap(self, node: int, width: object, signed: bool) -> int:
        n = self.size(node)
        return self.add(Wrap(node, np.array(np.broadcast_to(integers(width).reshape(-1), (n,))), signed), n)

    def difference(self, left: int, right: int, bias: object = 0) -> int:
        """Add `left - right + bias`."""
        n = self.size(left)
        return self.affine([(linear.identity(n), left), (linear.diagonal(np.full(n, -1)), right)], bias)

    def negate(self, formula: Formula) -> Formula:
        """Return the negation; `not (x >= 0)` is `-x - 1 >= 0` on integers."""
        match formula:
            case Truth(value):
                return FALSE if value else TRUE
            case All(node):
                return Any(self.scale(node, -1, -1))
            case Any(node):
                return All(self.scale(node, -1, -1))
            case And(children):
                return Or(tuple(self.negate(c) for c in children))
            case Or(children):
                return And(tuple(self.negate(c) for c in children))


def _repeated(values: object, size: int) -> IntArray:
    """Return the integers as a flat vector; a single one is repeated `size` times, any other number is left to the IR's check."""
    flat = integers(values).reshape(-1)
    return np.repeat(flat, size) if flat.size == 1 else flat
