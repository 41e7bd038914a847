"""Compute equal nodes once: two networks, or two copies of one, often begin with the same layers on the same inputs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.ir.integer import (
    Affine,
    Input,
    Maximum,
    Node,
    Product,
    Query,
    Staircase,
    Table,
    Wrap,
    arguments,
    sizes,
    with_arguments,
    with_nodes,
)
from qspec.ir.linear import Convolution, Dense, LinearMap, Sparse
from qspec.ir.staircase import Rescale, Steps
from qspec.passes.base import Reduced, rewritten

Part = IntArray | str | None
Parts = tuple[Part, ...]
"""What two nodes that read the same arguments must have in common to be equal."""


@dataclass(frozen=True, slots=True)
class CommonNodes:
    """Let readers of equal nodes read the first of them; the others are left to `cone`."""

    name: str = "share"

    def apply(self, query: Query) -> tuple[Reduced, ...]:
        alias: list[int] = []
        nodes: list[Node] = []
        seen: defaultdict[tuple[int, tuple[int, ...]], list[int]] = defaultdict(list)
        for k, (old, size) in enumerate(zip(query.program, sizes(query.program), strict=True)):
            node = old if all(alias[a] == a for a in arguments(old)) else with_arguments(old, alias)
            alike = seen[size, arguments(node)]
            alias.append(next((j for j in alike if _equal(_parts(nodes[j]), _parts(node))), k))
            nodes.append(node)
            if alias[k] == k:
                alike.append(k)
        goal = with_nodes(query.goal, alias)
        if goal == query.goal and all(new is old for new, old in zip(nodes, query.program, strict=True)):
            return rewritten(query)
        return rewritten(Query(tuple(nodes), goal))


def _equal(a: Parts, b: Parts) -> bool:
    return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))


def _same(x: Part, y: Part) -> bool:
    if isinstance(x, np.ndarray) or isinstance(y, np.ndarray):
        return x is y or (x is not None and y is not None and np.array_equal(x, y))
    return x == y


def _parts(node: Node) -> Parts:
    match node:
        case Input(name):
            return ("input", name)
        case Affine(terms, bias):
            return ("affine", bias, *(part for m, _ in terms for part in _map_parts(m)))
        case Staircase(_, steps):
            return _step_parts(steps)
        case Table(_, first, values):
            return ("table", first, values)
        case Product():
            return ("product",)
        case Maximum(_, groups):
            return ("maximum", groups)
        case Wrap(_, width, signed):
            return ("signed wrap" if signed else "unsigned wrap", width)
        case _:
            assert_never(node)


def _step_parts(steps: Rescale | Steps) -> Parts:
    match steps:
        case Rescale(numerator, offset, denominator, rounding, lower, upper):
            return (f"rescale {rounding.value}", numerator, offset, denominator, lower, upper)
        case Steps(base, thresholds):
            return ("steps", base, thresholds)
        case _:
            assert_never(steps)


def same_map(m: LinearMap, n: LinearMap) -> bool:
    """Return whether two maps are given by the same numbers; the same map may be given in another way."""
    return (m.outputs, m.inputs) == (n.outputs, n.inputs) and _equal(_map_parts(m), _map_parts(n))


def _map_parts(m: LinearMap) -> Parts:
    match m:
        case Dense(matrix):
            return ("dense", matrix)
        case Sparse():
            return ("sparse", m.rows, m.columns, m.coefficients)
        case Convolution(kernel):
            return (f"convolution {m.image} {m.stride} {m.padding} {m.dilation} {m.groups}", kernel)
        case _:
            assert_never(m)
