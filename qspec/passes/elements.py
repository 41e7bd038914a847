"""Parts of nodes: an elementwise node on some of its elements, its value at given arguments, and a node put together from parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray, shrink, widen
from qspec.arithmetic.rounding import wrap
from qspec.ir import staircase
from qspec.ir.integer import Staircase, Table, Wrap
from qspec.ir.integer_builder import Builder
from qspec.ir.linear import LinearMap, diagonal, placement

Elementwise = Staircase | Table | Wrap
"""Nodes whose every element is a function of the same element of one argument."""


def restricted(node: Elementwise, argument: int, index: IntArray) -> Elementwise:
    """Return the node on the elements in `index` only, reading `argument`, which has just these elements."""
    match node:
        case Staircase(_, steps):
            return Staircase(argument, staircase.restricted(steps, index))
        case Table(_, first, values):
            return Table(argument, first[index], values[index])
        case Wrap(_, width, signed):
            return Wrap(argument, width[index], signed)
        case _:
            assert_never(node)


def value(node: Elementwise, x: IntArray) -> IntArray:
    """Return the node's values at arguments `x`, shape (..., size); a table must cover them."""
    match node:
        case Staircase(_, steps):
            return staircase.climb(steps, x)
        case Table(_, first, values):
            return values[np.arange(values.shape[0]), (x - first).astype(np.int64)]
        case Wrap(_, width, signed):
            exact = widen(x, 1 << int(width.max(initial=1)))
            return shrink(wrap(exact, width.astype(exact.dtype), signed))
        case _:
            assert_never(node)


def assembled(builder: Builder, constant: IntArray, parts: Sequence[tuple[int, IntArray]], slopes: Sequence[tuple[int, IntArray]]) -> int:
    """Add `constant`, plus each part put at its positions, plus each node times its slopes; return the position of the sum."""
    terms: list[tuple[LinearMap, int]] = [(placement(index, constant.size), node) for node, index in parts]
    terms += [(diagonal(slope), node) for node, slope in slopes if np.any(slope != 0)]
    return builder.affine(terms, constant) if terms else builder.constant(constant)
