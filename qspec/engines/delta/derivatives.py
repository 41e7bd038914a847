"""Enclosures of every node on boxes of the inputs, and of the derivatives of some elements by the inputs."""

from __future__ import annotations

from typing import Any, assert_never

from qspec.engines import outward
from qspec.engines.delta.tensor_program import FloatProgram
from qspec.engines.outward import Array, OutwardInterval
from qspec.ir.real import Affine, Apply, Input, Maximum, Product

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
