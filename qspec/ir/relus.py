"""A piecewise-linear query with ReLUs alone: maxima are written as `max(a, b) = a + relu(b - a)`, pair by pair, exactly."""

from __future__ import annotations

from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.ir.real import (
    Affine,
    Apply,
    Entries,
    Function,
    Input,
    Maximum,
    Node,
    Product,
    Query,
    check,
    moved,
    moved_goal,
    sizes,
)


def bends(query: Query) -> bool:
    """Return whether a query is piecewise linear and not linear: ReLUs or maxima, no products and no other functions."""
    found = False
    for node in query.program:
        match node:
            case Input() | Affine():
                pass
            case Maximum():
                found = True
            case Apply(_, function):
                if function is not Function.RELU:
                    return False
                found = True
            case Product():
                return False
            case _:
                assert_never(node)
    return found


def with_relus(query: Query) -> Query:
    """Return a query with the same solutions and no maxima."""
    if not any(isinstance(node, Maximum) for node in query.program):
        return query
    size, place, nodes = sizes(query.program), list[int](), list[Node]()
    for node in query.program:
        if isinstance(node, Maximum):
            _tournament(nodes, place[node.argument], size[node.argument], node.groups)
        else:
            nodes.append(moved(node, place))
        place.append(len(nodes) - 1)
    return check(Query(tuple(nodes), moved_goal(query.goal, place)))


def _tournament(nodes: list[Node], source: int, size: int, groups: IntArray) -> None:
    """Add the maxima of groups of a node; the first member that is present stands for those that are absent."""
    first = groups[np.arange(len(groups)), (groups >= 0).argmax(1)]
    index: IntArray = np.where(groups >= 0, groups, first[:, None])
    if index.shape[1] == 1:
        nodes.append(Affine(((_selection(index[:, 0], size), source),), np.zeros(len(index))))
        return
    while index.shape[1] > 1:
        pairs = index.shape[1] // 2
        left, right = index[:, 0 : 2 * pairs : 2].reshape(-1), index[:, 1 : 2 * pairs : 2].reshape(-1)
        count, rest = left.size, index[:, 2 * pairs :]
        rows = np.tile(np.arange(count), 2)
        differences = Entries(count, size, rows, np.concatenate([right, left]), np.repeat([1.0, -1.0], count))
        nodes.append(Affine(((differences, source),), np.zeros(count)))
        nodes.append(Apply(len(nodes) - 1, Function.RELU))
        kept = np.concatenate([left, rest.reshape(-1)])
        gains = Entries(kept.size, count, np.arange(count), np.arange(count), np.ones(count))
        nodes.append(Affine(((_selection(kept, size), source), (gains, len(nodes) - 1)), np.zeros(kept.size)))
        source, size = len(nodes) - 1, kept.size
        index = np.concatenate([np.arange(count).reshape(-1, pairs), count + np.arange(rest.size).reshape(rest.shape)], axis=1)


def _selection(columns: IntArray, size: int) -> Entries:
    return Entries(columns.size, size, np.arange(columns.size), columns, np.ones(columns.size))
