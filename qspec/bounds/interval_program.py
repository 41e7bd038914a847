"""Interval propagation written as a program: the ends of every node, for any box within that of the inputs.

Evaluated on a device it bounds a whole batch of boxes at once, in the same exact integers as any other program: an affine node needs two
maps, `M (l + u)` and `|M| (u - l)`, whose sum and difference are twice its ends. The bounds are those of `interval.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qspec.arithmetic.integers import magnitude, widen
from qspec.arithmetic.rounding import Rounding
from qspec.errors import UnsupportedError
from qspec.ir import linear
from qspec.ir.integer import Affine, Input, Maximum, Node, Program, Staircase, sizes
from qspec.ir.integer_builder import Builder

LOWER, UPPER = ".lower", ".upper"
"""What is added to the name of an input for each end of its interval."""


@dataclass(frozen=True, slots=True)
class Ends:
    """A program whose inputs are the ends of boxes, and where it has the lower and the upper end of each node of the original one."""

    program: Program
    lower: tuple[int, ...]
    upper: tuple[int, ...]


def ends(program: Program) -> Ends:
    """Return the program of the ends; raises UnsupportedError for operations that are not monotone (tables, products, wrap-around)."""
    builder = Builder()
    lower: list[int] = []
    upper: list[int] = []
    for node, size in zip(program, sizes(program), strict=True):
        low, high = _ends(builder, node, size, lower, upper)
        lower.append(low)
        upper.append(high)
    return Ends(builder.program, tuple(lower), tuple(upper))


def _ends(builder: Builder, node: Node, size: int, lower: list[int], upper: list[int]) -> tuple[int, int]:
    match node:
        case Input(name, low, high):
            return builder.input(name + LOWER, low, high), builder.input(name + UPPER, low, high)
        case Affine(terms, _) if not terms:
            constant = builder.add(node, size)
            return constant, constant
        case Affine():
            return _affine(builder, node, size, lower, upper)
        case Staircase(a, steps):
            return builder.add(Staircase(lower[a], steps), size), builder.add(Staircase(upper[a], steps), size)
        case Maximum(a, groups):
            return builder.maximum(lower[a], groups), builder.maximum(upper[a], groups)
        case _:
            raise UnsupportedError(
                "this operation has no program of its ends", given=type(node).__name__, expected="affine maps, staircases and maxima"
            )


def _affine(builder: Builder, node: Affine, size: int, lower: list[int], upper: list[int]) -> tuple[int, int]:
    centres: list[tuple[linear.LinearMap, int]] = []
    radii: list[tuple[linear.LinearMap, int]] = []
    for m, a in node.terms:
        width = builder.size(lower[a])
        one, minus = linear.identity(width), linear.diagonal(np.full(width, -1))
        centres.append((m, builder.affine([(one, lower[a]), (one, upper[a])])))
        radii.append((linear.absolute(m), builder.affine([(one, upper[a]), (minus, lower[a])])))
    centre = builder.affine(centres, 2 * widen(node.bias, 4 * magnitude(node.bias)))
    radius = builder.affine(radii)
    one, minus = linear.identity(size), linear.diagonal(np.full(size, -1))
    twice = builder.affine([(one, centre), (minus, radius)]), builder.affine([(one, centre), (one, radius)])
    # both are even, so that halving them rounds nothing
    return builder.rescale(twice[0], 1, 2, Rounding.TRN), builder.rescale(twice[1], 1, 2, Rounding.TRN)
