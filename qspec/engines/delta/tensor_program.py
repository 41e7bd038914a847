"""A program with the numbers that an evaluation in floats reads; enclosures of its nodes on boxes of the inputs, and of derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_never

import numpy as np

from qspec.engines import outward
from qspec.engines.outward import Array, Floats, Linear, OutwardInterval, coefficients, enclosed
from qspec.errors import UnsupportedError
from qspec.ir.real import Affine, Apply, ExactArray, Input, Maximum, Product, Program, Query, RealMap, entries, fractions, sizes

LARGEST = 1 << 26
"""Matrix entries that are held at most."""


@dataclass(frozen=True, slots=True, eq=False)
class MapTerm:
    """A map of an affine node, its transpose, and the node that it reads."""

    forward: Linear
    backward: Linear
    argument: int


@dataclass(frozen=True, slots=True, eq=False)
class FloatProgram:
    """A program with the numbers that an evaluation in floats reads.

    `linear[k]` and `bias[k]` (1, size) belong to affine node k; `place[k]` is where the elements of input k lie in a flat point.
    """

    program: Program
    sizes: tuple[int, ...]
    linear: dict[int, tuple[MapTerm, ...]]
    bias: dict[int, OutwardInterval]
    place: dict[int, slice]
    lower: Floats
    upper: Floats

    @property
    def width(self) -> int:
        """The number of doubles that one box takes in all nodes together."""
        return sum(self.sizes)


def plan(query: Query) -> FloatProgram:
    """Return the plan of a query; raises UnsupportedError if its matrices are too large to be held dense."""
    size = sizes(query.program)
    maps = [(k, m, a) for k, node in enumerate(query.program) if isinstance(node, Affine) for m, a in node.terms]
    held = sum(m.outputs * m.inputs for _, m, _ in maps)
    if held > LARGEST:
        raise UnsupportedError("the affine maps are too large for dense matrices", given=held, expected=f"at most {LARGEST} entries")
    linear: dict[int, list[MapTerm]] = {}
    for k, m, a in maps:
        matrix = _dense(m)
        linear.setdefault(k, []).append(MapTerm(coefficients(matrix), coefficients(matrix.T), a))
    affine = {k: node for k, node in enumerate(query.program) if isinstance(node, Affine)}
    bias = {k: OutwardInterval(*(v[None] for v in enclosed(node.bias, node.bias))) for k, node in affine.items()}
    place: dict[int, slice] = {}
    end = 0
    boxes = [enclosed(np.zeros(0), np.zeros(0))]
    for k, node in enumerate(query.program):
        if isinstance(node, Input):
            place[k] = slice(end, end := end + size[k])
            boxes.append(enclosed(node.lower, node.upper))
    lower, upper = (np.concatenate([b[i] for b in boxes]) for i in range(2))
    return FloatProgram(query.program, tuple(size), {k: tuple(linear.get(k, ())) for k in affine}, bias, place, lower, upper)


def _dense(m: RealMap) -> ExactArray:
    listed = entries(m)
    exact = listed.coefficients
    matrix: ExactArray = np.zeros((m.outputs, m.inputs), dtype=exact.dtype)
    twice = len(set(zip(listed.rows.tolist(), listed.columns.tolist(), strict=True))) < listed.rows.size
    if twice:  # Entries add up, and doubles would round.
        exact, matrix = fractions(exact), np.zeros((m.outputs, m.inputs), dtype=object)
        np.add.at(matrix, (listed.rows, listed.columns), exact)
        return matrix
    matrix[listed.rows, listed.columns] = exact
    return matrix


Values = list[OutwardInterval]
"""The enclosure (batch, size) of every node."""


def enclose(xp: Any, plan: FloatProgram, lower: Array, upper: Array) -> Values:
    """Return the natural extension on boxes (batch, inputs)."""
    values: Values = []
    for k, node in enumerate(plan.program):
        match node:
            case Input():
                values.append(OutwardInterval(lower[:, plan.place[k]], upper[:, plan.place[k]]))
            case Affine():
                values.append(_affine(xp, plan, k, values, lower.shape[0]))
            case Apply(a, function):
                values.append(outward.apply(xp, function, values[a]))
            case Product(left, right):
                same = left == right
                values.append(outward.square(xp, values[left]) if same else outward.multiply(xp, values[left], values[right]))
            case Maximum(a, groups):
                values.append(outward.maximum(xp, values[a], groups))
            case _:
                assert_never(node)
    return values


def _affine(xp: Any, plan: FloatProgram, k: int, values: Values, batch: int) -> OutwardInterval:
    shape = (batch, plan.sizes[k])
    result = OutwardInterval(xp.broadcast_to(plan.bias[k].lower, shape), xp.broadcast_to(plan.bias[k].upper, shape))
    for term in plan.linear[k]:
        result = outward.add(xp, result, outward.linear(xp, term.forward, values[term.argument]))
    return result


def derivatives(xp: Any, plan: FloatProgram, values: Values, seeds: dict[int, Array]) -> OutwardInterval:
    """Return enclosures of the derivatives of `sum of seed * node` by the inputs, (batch, inputs), anywhere in the boxes of `values`.

    Backwards through the program (Clarke's derivative where a function has a kink), so that by the mean-value theorem of Lebourg
    f(x) - f(c) is in `derivatives · (x - c)`.
    """
    held: dict[int, OutwardInterval] = {n: OutwardInterval(s, s) for n, s in seeds.items()}
    batch = values[0].lower.shape[0]
    found: dict[int, OutwardInterval] = {}
    for k in range(max(seeds), -1, -1):
        if k not in held:
            continue
        g = held.pop(k)
        node = plan.program[k]
        match node:
            case Input():
                found[k] = g
            case Affine():
                for term in plan.linear[k]:
                    _hold(xp, held, term.argument, outward.linear(xp, term.backward, g))
            case Apply(a, function):
                _hold(xp, held, a, outward.multiply(xp, g, outward.slope(xp, function, values[a], values[k])))
            case Product(left, right):
                _hold(xp, held, left, outward.multiply(xp, g, values[right]))
                _hold(xp, held, right, outward.multiply(xp, g, values[left]))
            case Maximum(a, groups):
                _hold(xp, held, a, _to_members(xp, g, values[a], values[k], groups))
            case _:
                assert_never(node)
    none = xp.zeros((batch, 0))
    parts = [OutwardInterval(none, none)]
    for k, place in plan.place.items():
        empty = xp.zeros((batch, place.stop - place.start))
        parts.append(found.get(k, OutwardInterval(empty, empty)))
    return OutwardInterval(xp.concatenate([p.lower for p in parts], -1), xp.concatenate([p.upper for p in parts], -1))


def _to_members(xp: Any, g: OutwardInterval, x: OutwardInterval, y: OutwardInterval, groups: Any) -> OutwardInterval:
    """Return the derivatives by the members of groups: nothing for a member that is never the largest, all for one that always is."""
    batch, size = x.lower.shape
    low, high = xp.zeros((batch, size)), xp.zeros((batch, size))
    result = OutwardInterval(low, high)
    for j in range(groups.shape[1]):
        present = groups[:, j] >= 0
        index = xp.maximum(groups[:, j], 0)
        others = xp.where((groups >= 0) & (xp.arange(groups.shape[1]) != j), x.upper[:, xp.maximum(groups, 0)], -xp.inf).max(-1)
        always = x.lower[:, index] > others
        never = x.upper[:, index] < y.lower
        share = OutwardInterval(xp.where(present & always, 1.0, 0.0), xp.where(present & ~never, 1.0, 0.0))
        part = outward.multiply(xp, g, share)
        one_hot = xp.asarray((index[:, None] == xp.arange(size)) & present[:, None], dtype=xp.float64)
        spread = outward.linear(xp, outward.DoubleMatrix(one_hot.T, one_hot.T), part)
        result = outward.add(xp, result, spread)
    return result


def _hold(xp: Any, held: dict[int, OutwardInterval], node: int, g: OutwardInterval) -> None:
    held[node] = outward.add(xp, held[node], g) if node in held else g
