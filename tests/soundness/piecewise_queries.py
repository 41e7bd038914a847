"""Small random piecewise-linear queries of one or two inputs, and their exact answers by enumeration, in rationals.

Every pattern of ReLUs and maxima is an interval or a convex polygon, on which all nodes are affine. The box is cut along the border of
every ReLU and every pair of members in turn, and a largest value is one at a corner of some piece.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import numpy as np

from qspec.ir.real import (
    Affine,
    All,
    Any,
    Apply,
    Entries,
    Formula,
    Function,
    Input,
    Matrix,
    Maximum,
    Node,
    Query,
    check,
    entries,
    exact,
    fractions,
)
from tests.soundness.delta_queries import floats, points

Row = tuple[Fraction, ...]
"""An affine function of the inputs (coefficients, and the constant last), or a point."""
Corners = list[Row]


def random_network(seed: int, inputs: int | None = None) -> Query:
    """Return a query of one or two inputs and up to three layers, whose goal is that an output is about at its largest value, or above.

    With more inputs, which no enumeration is for, the level is about the largest value at points of chance.
    """
    rng = np.random.default_rng(seed)
    inputs = int(rng.integers(1, 3)) if inputs is None else inputs
    low = _numbers(rng, (inputs,))
    nodes: list[Node] = [Input("x", low, exact(fractions(low) + abs(fractions(_numbers(rng, (inputs,))))))]
    size = inputs
    for _ in range(int(rng.integers(1, 4 if inputs == 1 else 3))):
        wide = int(rng.integers(1, 4))
        nodes.append(_affine(rng, [(len(nodes) - 1, size)], wide))
        before, size = len(nodes) - 1, wide
        if rng.random() < 0.25:
            groups = rng.integers(-1, wide, (int(rng.integers(1, 3)), 3))
            groups[:, 0] = rng.integers(0, wide, len(groups))
            nodes.append(Maximum(before, groups))
            size = len(groups)
        else:
            nodes.append(Apply(before, Function.RELU))
            if rng.random() < 0.3:  # leaky, or a path around it
                nodes.append(_affine(rng, [(before, wide), (len(nodes) - 1, wide)], wide))
    nodes.append(_affine(rng, [(len(nodes) - 1, size)], int(rng.integers(1, 3))))
    return check(Query(*_levelled(rng, nodes)))


def _numbers(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    match int(rng.integers(0, 3)):
        case 0:
            return rng.integers(-4, 5, shape) / 2.0
        case 1:
            return rng.normal(size=shape).astype(np.float32).astype(np.float64)
        case _:
            return exact(np.array([Fraction(int(v), 3) for v in rng.integers(-6, 7, int(np.prod(shape)))], dtype=object).reshape(shape))


def _affine(rng: np.random.Generator, arguments: list[tuple[int, int]], outputs: int) -> Affine:
    terms: list[tuple[Matrix | Entries, int]] = []
    for a, size in arguments:
        m = Matrix(_numbers(rng, (outputs, size)))
        terms.append((m if rng.random() < 0.5 else entries(m), a))
    return Affine(tuple(terms), _numbers(rng, (outputs,)))


def _levelled(rng: np.random.Generator, nodes: list[Node]) -> tuple[tuple[Node, ...], Formula]:
    """Move the last node so that its largest value on the box is about zero: a little above, a little below, or exactly."""
    last = nodes[-1]
    assert isinstance(last, Affine)
    box = nodes[0]
    assert isinstance(box, Input)
    if box.lower.size > 2:
        query = Query(tuple(nodes), All(len(nodes) - 1))
        most = [Fraction(round(v * 64), 64) for v in floats(query, points(query, 64, rng))[-1].max(axis=0).tolist()]
    else:
        most = [largest(tuple(nodes), k) for k in range(last.bias.size)]
    shift = [Fraction(int(v), 64) for v in rng.choice([-8, -1, 0, 0, 1, 8], last.bias.size)]
    bias = exact(fractions(last.bias) - np.array([m + s for m, s in zip(most, shift, strict=True)], dtype=object))
    goal = (All if rng.random() < 0.5 else Any)(len(nodes) - 1, bool(rng.random() < 0.5))
    return (*nodes[:-1], Affine(last.terms, bias)), goal


def largest(program: tuple[Node, ...], element: int) -> Fraction:
    """Return the exact largest value of an element of the last node on the box."""
    return max(_value(forms[-1][element], x) for corners, forms in pieces(program) for x in corners)


def truth(query: Query) -> bool:
    """Return whether a query, whose goal is about one node, has a solution."""
    goal = query.goal
    assert isinstance(goal, All | Any)
    best = max(_best(corners, forms[goal.node], isinstance(goal, All)) for corners, forms in pieces(query.program))
    return best > 0 if goal.strict else best >= 0


def _best(corners: Corners, rows: list[Row], every: bool) -> Fraction:
    """Return the largest value on a piece of the least (or the largest) of some affine functions."""
    parts = [corners]
    for one, other in combinations(rows, 2):
        parts = [side for part in parts for side in _cut(part, _minus(one, other))]
    return max((min if every else max)(_value(row, x) for row in rows) for part in parts for x in part)


def pieces(program: tuple[Node, ...]) -> list[tuple[Corners, list[list[Row]]]]:
    """Return pieces that cover the box: their corners in order, and the affine functions that all nodes are there."""
    box = program[0]
    assert isinstance(box, Input)
    (low, *low2), (high, *high2) = fractions(box.lower).tolist(), fractions(box.upper).tolist()
    whole: Corners = [(low,), (high,)]
    if low2:
        whole = [(low, low2[0]), (high, low2[0]), (high, high2[0]), (low, high2[0])]
    found: list[tuple[Corners, list[list[Row]]]] = [(whole, [])]
    for node in program:
        found = [piece for corners, forms in found for piece in _extended(corners, forms, node, len(low2) + 1)]
    return found


def _extended(corners: Corners, forms: list[list[Row]], node: Node, n: int) -> list[tuple[Corners, list[list[Row]]]]:
    match node:
        case Input():
            return [(corners, [[(*(Fraction(int(i == k)) for i in range(n)), Fraction(0)) for k in range(n)]])]
        case Affine(terms, bias):
            rows = [[Fraction(0)] * n + [b] for b in fractions(bias).tolist()]
            for m, a in terms:
                e = entries(m)
                for r, c, v in zip(e.rows.tolist(), e.columns.tolist(), fractions(e.coefficients).tolist(), strict=True):
                    rows[r] = [p + v * q for p, q in zip(rows[r], forms[a][c], strict=True)]
            return [(corners, [*forms, [tuple(row) for row in rows]])]
        case Apply(a):
            zero = (Fraction(0),) * (n + 1)
            return _chosen(corners, forms, [[row, zero] for row in forms[a]])
        case Maximum(a, groups):
            return _chosen(corners, forms, [[forms[a][i] for i in g if i >= 0] for g in groups.tolist()])
        case _:
            raise AssertionError(node)


def _chosen(corners: Corners, forms: list[list[Row]], groups: list[list[Row]]) -> list[tuple[Corners, list[list[Row]]]]:
    """Cut a piece until one member of every group is the largest, and return the parts with these."""
    parts = [corners]
    for group in groups:
        for one, other in combinations(group, 2):
            parts = [side for part in parts for side in _cut(part, _minus(one, other))]
    found: list[tuple[Corners, list[list[Row]]]] = []
    for part in parts:
        middle = tuple(sum(v, Fraction(0)) / len(part) for v in zip(*part, strict=True))
        found.append((part, [*forms, [max(group, key=lambda row: _value(row, middle)) for group in groups]]))
    return found


def _cut(corners: Corners, row: Row) -> list[Corners]:
    """Return the parts of an interval or polygon on both sides of a zero; those that are empty are left out."""
    values = [_value(row, x) for x in corners]
    found: list[Corners] = []
    for sign in (1, -1):
        side: Corners = []
        for k, (x, v) in enumerate(zip(corners, values, strict=True)):
            y, w = corners[(k + 1) % len(corners)], values[(k + 1) % len(corners)]
            if sign * v >= 0:
                side.append(x)
            if v * w < 0:
                side.append(tuple((p * w - q * v) / (w - v) for p, q in zip(x, y, strict=True)))
        side = list(dict.fromkeys(side))
        if side and not (found and set(side) <= set(found[0])):
            found.append(side)
    return found


def _value(row: Row, x: Row) -> Fraction:
    return sum((c * v for c, v in zip(row, x, strict=False)), row[-1])


def _minus(one: Row, other: Row) -> Row:
    return tuple(p - q for p, q in zip(one, other, strict=True))
