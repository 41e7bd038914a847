"""Facts that are affine in the inputs and depend on one input element: such a fact is a bound of that element."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qspec.arithmetic.integers import IntArray, magnitude, shrink, widen
from qspec.certificate.forward import Pair, add
from qspec.ir import linear
from qspec.ir.integer import Affine, Input, Program, arguments, needed, sizes
from qspec.ir.linear import Sparse

Facts = Mapping[int, IntArray]
"""Which elements of nodes are known to be at least zero: a vector of truth values for each node with any."""

Limits = tuple[IntArray, IntArray, IntArray]
"""Elements of a node, elements of an input, and bounds of these that follow if those are at least zero."""


class InputFacts:
    """Knows what facts about some nodes of a program say of single input elements."""

    def __init__(self, program: Program, nodes: Iterable[int]) -> None:
        self._lower: dict[tuple[int, int], Limits] = {}
        self._upper: dict[tuple[int, int], Limits] = {}
        for node, alone in single_inputs(program, nodes).items():
            slope, bias = alone.coefficients, alone.bias
            limit = -bias // slope  # slope·x + bias >= 0: x >= ceil(-bias / slope), or x <= floor(-bias / slope) if slope < 0
            limit = limit + ((slope > 0) & (limit * slope != -bias))
            for k in np.unique(alone.inputs).tolist():
                for table, side in ((self._lower, slope > 0), (self._upper, slope < 0)):
                    at = np.flatnonzero((alone.inputs == k) & side)
                    table[node, k] = (alone.rows[at], alone.elements[at], shrink(limit[at]))

    def tighten(self, k: int, known: Pair, facts: Facts) -> Pair:
        """Return bounds of input `k` within those known and within what the facts say of its elements."""
        lower, upper = known
        for node, mask in facts.items():
            if (node, k) in self._lower:
                lower = _limited(np.maximum, lower, mask, self._lower[node, k])
                upper = _limited(np.minimum, upper, mask, self._upper[node, k])
        return lower, upper


@dataclass(frozen=True, slots=True, eq=False)
class Alone:
    """The rows of a node that read one input element: `coefficients · element + bias` of the elements of `inputs`, all of one length."""

    rows: IntArray
    inputs: IntArray
    elements: IntArray
    coefficients: IntArray
    bias: IntArray


def single_inputs(program: Program, nodes: Iterable[int]) -> dict[int, Alone]:
    """Return by node, for those that are affine in the inputs, the rows that read one input element."""
    size = sizes(program)
    inputs = [k for k, n in enumerate(program) if isinstance(n, Input)]
    starts = np.cumsum([0, *(size[k] for k in inputs)])
    flat = _flattened(program, set(nodes), dict(zip(inputs, starts.tolist(), strict=False)), int(starts[-1]))
    found: dict[int, Alone] = {}
    for node in sorted(set(nodes) & set(flat)):
        entries, bias = flat[node]
        alone = (np.bincount(entries.rows, minlength=size[node]) == 1)[entries.rows]
        rows, columns = entries.rows[alone], entries.columns[alone].astype(np.int64)
        which = np.searchsorted(starts, columns, side="right") - 1
        found[node] = Alone(rows, np.array(inputs, dtype=np.int64)[which], columns - starts[which], entries.coefficients[alone], bias[rows])
    return found


def _limited(choose: np.ufunc, ends: IntArray, mask: IntArray, limits: Limits) -> IntArray:
    rows, elements, values = limits
    true = mask[rows]
    if not true.any():
        return ends
    result = widen(ends, magnitude(values)).copy()
    choose.at(result, elements[true], values[true])
    return shrink(result)


def _flattened(program: Program, nodes: set[int], offsets: Mapping[int, int], total: int) -> dict[int, tuple[Sparse, IntArray]]:
    """Return those of the nodes that are affine in the inputs, and what they read, as maps from all inputs side by side."""
    affine: set[int] = set()
    for k, node in enumerate(program):
        if isinstance(node, Input) or (isinstance(node, Affine) and affine.issuperset(arguments(node))):
            affine.add(k)
    result: dict[int, tuple[Sparse, IntArray]] = {}
    for k in needed(program, nodes & affine):
        node = program[k]
        if isinstance(node, Input):
            own = np.arange(node.lower.size)
            result[k] = Sparse(own.size, total, own, own + offsets[k], np.ones_like(own)), np.zeros_like(own)
        elif isinstance(node, Affine):
            result[k] = _composed(node, result, total)
    return result


def _composed(node: Affine, read: Mapping[int, tuple[Sparse, IntArray]], total: int) -> tuple[Sparse, IntArray]:
    """Return one affine node on the inputs; entries that cancel are gone."""
    parts = [linear.to_sparse(linear.compose(m, read[a][0])) for m, a in node.terms]
    bias = add(node.bias, *(linear.apply(m, read[a][1]) for m, a in node.terms))

    def joined(arrays: Sequence[IntArray]) -> IntArray:
        return np.concatenate(arrays) if arrays else np.zeros(0, dtype=np.int64)

    rows, columns, coefficients = (joined([getattr(p, name) for p in parts]) for name in ("rows", "columns", "coefficients"))
    return linear.sparse(node.bias.size, total, rows, columns, coefficients), bias
