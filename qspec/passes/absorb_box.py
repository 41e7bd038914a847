"""Absorb conjuncts about one input element into the bounds of that input.

`5 - (x - image) >= 0` is a bound of each pixel, not a constraint to solve. The goal is read through chains of affine nodes; a bound is
rounded to the integer grid by exact division.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qspec.arithmetic.integers import IntArray, magnitude, widen
from qspec.ir.integer import FALSE, TRUE, Affine, All, Any, Formula, Input, Program, Query, conjunction, conjuncts, sizes
from qspec.ir.integer_builder import Builder
from qspec.ir.linear import Convolution, LinearMap, to_sparse
from qspec.passes.base import Mask, Reduced, is_empty, rewritten, trivial

CONSTANT, OPAQUE = -1, -2


@dataclass(frozen=True, slots=True, eq=False)
class ElementTrace:
    """What each element of a node is: `coefficient * element + constant`, where `element` counts through all inputs of the program.

    `element` is CONSTANT where there is none, and OPAQUE where the element of the node is anything else.
    """

    element: IntArray
    coefficient: IntArray
    constant: IntArray


@dataclass(frozen=True, slots=True)
class AbsorbBox:
    """Tighten the bounds of inputs by the conjuncts of the goal, and drop those conjuncts."""

    name: str = "box"

    def apply(self, query: Query) -> tuple[Reduced, ...]:
        if is_empty(query):
            return trivial(query, False)
        tracer = _Tracer(query.program)
        builder = Builder()
        for node, size in zip(query.program, sizes(query.program), strict=True):
            builder.add(node, size)
        goal = conjunction([_absorb(c, tracer, builder) for c in conjuncts(query.goal)])
        if not tracer.absorbed:
            return rewritten(query)
        if goal == FALSE or np.any(tracer.lower > tracer.upper):
            return trivial(query, False)
        program = tuple(_tightened(n, tracer) if isinstance(n, Input) else n for n in builder.program)
        return rewritten(Query(program, goal))


class _Tracer:
    """The bounds found so far, over the elements of all inputs side by side, and the traces of nodes that were asked for."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.sizes = sizes(program)
        inputs = [n for n in program if isinstance(n, Input)]
        self.start = dict(zip((n.name for n in inputs), np.cumsum([0, *(n.lower.size for n in inputs)]).tolist(), strict=False))
        empty = np.zeros(0, dtype=np.int64)
        self.lower = np.concatenate([empty, *(n.lower for n in inputs)])
        self.upper = np.concatenate([empty, *(n.upper for n in inputs)])
        self.absorbed = False
        self._known: dict[int, ElementTrace] = {}

    def trace(self, position: int) -> ElementTrace:
        """Return the trace of a node."""
        if position not in self._known:
            self._known[position] = self._trace(position)
        return self._known[position]

    def _trace(self, position: int) -> ElementTrace:
        node, size = self.program[position], self.sizes[position]
        zeros = np.zeros(size, dtype=np.int64)
        if isinstance(node, Input):
            return ElementTrace(self.start[node.name] + np.arange(size), zeros + 1, zeros)
        if isinstance(node, Affine):
            return _affine(node, [(m, self.trace(a)) for m, a in node.terms])
        return ElementTrace(zeros + OPAQUE, zeros, zeros)

    def tighten(self, trace: ElementTrace, rows: IntArray) -> None:
        """Require the traced elements at `rows` to be at least zero."""
        element, coefficient, constant = trace.element[rows], trace.coefficient[rows], trace.constant[rows]
        rising = coefficient > 0
        limit = np.where(rising, -(constant // np.where(rising, coefficient, 1)), constant // np.where(rising, 1, -coefficient))
        if limit.dtype == object:
            self.lower, self.upper = self.lower.astype(object), self.upper.astype(object)
        np.maximum.at(self.lower, element[rising], limit[rising])
        np.minimum.at(self.upper, element[~rising], limit[~rising])
        self.absorbed = True


def _affine(node: Affine, terms: list[tuple[LinearMap, ElementTrace]]) -> ElementTrace:
    """Collect the entries of all terms, add up those on the same input element, and keep the rows that have one left."""
    size = node.bias.size
    opaque = np.zeros(size, dtype=np.bool_)
    rows, elements, weights = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    constant = node.bias
    for m, inner in terms:
        if isinstance(m, Convolution) or bool(np.all(inner.element == OPAQUE)):
            opaque |= _nonzero_rows(m)
            continue
        entries = to_sparse(m)
        element = inner.element[entries.columns]
        opaque[entries.rows[element == OPAQUE]] = True
        bound = magnitude(entries.coefficients) * max(magnitude(inner.coefficient), magnitude(inner.constant))
        factors = widen(entries.coefficients, bound)
        shift = factors * inner.constant[entries.columns]
        constant = np.array(widen(constant, magnitude(constant) + magnitude(shift) * max(1, shift.size)))
        np.add.at(constant, entries.rows, shift)
        single = element >= 0
        rows.append(entries.rows[single])
        elements.append(element[single])
        weights.append((factors * inner.coefficient[entries.columns])[single])
    return _collected(opaque, constant, np.concatenate(rows), np.concatenate(elements), np.concatenate(weights))


def _collected(opaque: Mask, constant: IntArray, rows: IntArray, elements: IntArray, weights: IntArray) -> ElementTrace:
    keep = ~opaque[rows]
    rows, elements, weights = rows[keep], elements[keep], weights[keep]
    order = np.lexsort((elements, rows))
    rows, elements, weights = rows[order], elements[order], weights[order]
    if rows.size:
        first = np.flatnonzero(np.concatenate([[True], (rows[1:] != rows[:-1]) | (elements[1:] != elements[:-1])]))
        weights = np.add.reduceat(widen(weights, magnitude(weights) * weights.size), first)
        rows, elements = rows[first], elements[first]
        rows, elements, weights = rows[weights != 0], elements[weights != 0], weights[weights != 0]
    count = np.bincount(rows, minlength=constant.size)
    element = np.where(opaque | (count > 1), OPAQUE, CONSTANT)
    coefficient = np.zeros(constant.size, dtype=weights.dtype)
    single = count[rows] == 1
    element[rows[single]] = elements[single]
    coefficient[rows[single]] = weights[single]
    return ElementTrace(element, coefficient, constant)


def _nonzero_rows(m: LinearMap) -> Mask:
    if isinstance(m, Convolution):
        return np.ones(m.outputs, dtype=np.bool_)
    result = np.zeros(m.outputs, dtype=np.bool_)
    result[to_sparse(m).rows] = True
    return result


def _absorb(formula: Formula, tracer: _Tracer, builder: Builder) -> Formula:
    """Return what is left of a conjunct after its single-element rows have become bounds."""
    if not isinstance(formula, All | Any) or (isinstance(formula, Any) and builder.size(formula.node) != 1):
        return formula
    trace = tracer.trace(formula.node)
    settled = trace.element == CONSTANT
    if np.any(trace.constant[settled] < 0):
        tracer.absorbed = True
        return FALSE
    single = np.flatnonzero(trace.element >= 0)
    rest = np.flatnonzero(trace.element == OPAQUE)
    if rest.size == trace.element.size and rest.size:
        return formula
    tracer.tighten(trace, single)
    return All(builder.select(formula.node, rest)) if rest.size else TRUE


def _tightened(node: Input, tracer: _Tracer) -> Input:
    start = tracer.start[node.name]
    stop = start + node.lower.size
    return Input(node.name, tracer.lower[start:stop], tracer.upper[start:stop])
