"""Random real queries, and points in their boxes."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from qspec.ir.enclosure import bound
from qspec.ir.real import (
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
    Matrix,
    Maximum,
    Node,
    Or,
    Product,
    Query,
    check,
    exact,
    fractions,
    sizes,
)

LARGEST = 30
"""No element of a random query leaves -LARGEST..LARGEST."""
EVERY = tuple(Function)


def random_real_query(rng: np.random.Generator, *, functions: tuple[Function, ...] = EVERY, products: bool = True, most: int = 6) -> Query:
    """Return a random query about one or two small inputs, with at most so many nodes between inputs and goal."""
    nodes: list[Node] = [_input(rng, f"x{k}") for k in range(int(rng.integers(1, 3)))]
    for _ in range(int(rng.integers(1, most + 1))):
        node = _node(rng, nodes, functions, products)
        if node is not None and all(abs(e) <= LARGEST for x in bound((*nodes, node))[-1] for e in (x.lower, x.upper)):
            nodes.append(node)
    goal = _formula(rng, nodes, int(rng.integers(0, 3)))
    return check(Query(tuple(nodes), goal))


def random_point(rng: np.random.Generator, query: Query) -> dict[str, ExactArray]:
    """Return a random point of the box, often at its ends."""
    boxes = {name: zip(fractions(n.lower), fractions(n.upper), strict=True) for name, n in query.inputs.items()}
    return {name: exact([_between(rng, low, high) for low, high in box]) for name, box in boxes.items()}


def _between(rng: np.random.Generator, low: Fraction, high: Fraction) -> Fraction:
    share = Fraction(int(rng.choice([0, 0, 1, 2, 3, 5, 7, 7])), 7)
    return low + share * (high - low)


def number(rng: np.random.Generator) -> Fraction:
    """Return a small rational, of all kinds."""
    return Fraction(int(rng.integers(-9, 10)), int(rng.choice([1, 2, 4, 3, 7])))


def _input(rng: np.random.Generator, name: str) -> Input:
    size = int(rng.integers(1, 4))
    low = [number(rng) / 3 for _ in range(size)]
    return Input(name, exact(low), exact([v + max(Fraction(0), abs(number(rng)) / 4) for v in low]))


def _node(rng: np.random.Generator, nodes: list[Node], functions: tuple[Function, ...], products: bool) -> Node | None:
    size = sizes(tuple(nodes))
    a = int(rng.integers(0, len(nodes)))
    kind = int(rng.integers(0, 6))
    if kind == 0 and products:
        same = [b for b in range(len(nodes)) if size[b] == size[a]]
        return Product(a, int(rng.choice(same)))
    if kind == 1:
        groups = rng.integers(-1, size[a], (int(rng.integers(1, 4)), int(rng.integers(1, 4))))
        return Maximum(a, np.where(groups.max(axis=1, keepdims=True) < 0, 0, groups))
    if kind in (2, 3) and functions:
        function = functions[int(rng.integers(0, len(functions)))]
        positive = all(x.lower > 0 for x in bound(tuple(nodes))[a])
        return Apply(a, function) if positive or function is not Function.RECIPROCAL else None
    outputs = int(rng.integers(1, 4))
    matrix = exact([[number(rng) / 2 for _ in range(size[a])] for _ in range(outputs)])
    if rng.random() < 0.5:
        return Affine(((Matrix(matrix), a),), exact([number(rng) for _ in range(outputs)]))
    b = int(rng.integers(0, len(nodes)))
    rows, columns = rng.integers(0, outputs, 3), rng.integers(0, size[b], 3)
    listed = Entries(outputs, size[b], rows, columns, exact([number(rng) for _ in range(3)]))
    return Affine(((Matrix(matrix), a), (listed, b)), exact([number(rng) for _ in range(outputs)]))


def _formula(rng: np.random.Generator, nodes: list[Node], depth: int) -> Formula:
    """Add nodes that compare others with numbers that they may reach, and return a formula about them."""
    if depth:
        children = tuple(_formula(rng, nodes, depth - 1) for _ in range(int(rng.integers(1, 3))))
        return And(children) if rng.random() < 0.5 else Or(children)
    a = int(rng.integers(0, len(nodes)))
    ends = bound(tuple(nodes))[a]
    sign = int(rng.choice([-1, 1]))
    level = [_between(rng, x.lower, x.upper).limit_denominator(64) for x in ends]
    nodes.append(Affine(((Matrix(exact(sign * np.eye(len(ends)))), a),), exact([-sign * v for v in level])))
    strict = bool(rng.random() < 0.5)
    return All(len(nodes) - 1, strict) if rng.random() < 0.5 else Any(len(nodes) - 1, strict)
