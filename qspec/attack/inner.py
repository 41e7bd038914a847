"""Which nodes a search reads as they are: all but the last steps, whose line tells points apart that rounding and saturation make equal."""

from __future__ import annotations

import numpy as np

from qspec.ir.integer import Affine, Program, Staircase, Table, arguments, needed
from qspec.ir.linear import Convolution, Dense, LinearMap, Sparse

COMPARED = 2
"""An affine map that reads so many elements at most for each that it makes compares outputs; others are layers."""


def inner(program: Program, nodes: tuple[int, ...]) -> set[int]:
    """Return the nodes that a staircase, a table or a layer depends on, among those that some nodes depend on."""
    return set(needed(program, [a for n in needed(program, nodes) for a in _read_as_is(program, n)]))


def _read_as_is(program: Program, n: int) -> tuple[int, ...]:
    node = program[n]
    if isinstance(node, Affine):
        return tuple(a for m, a in node.terms if _most(m) > COMPARED)
    return arguments(node) if isinstance(node, Staircase | Table) else ()


def _most(m: LinearMap) -> int:
    """Return how many elements one element of a map reads at most."""
    match m:
        case Dense(matrix):
            return int(np.count_nonzero(matrix, axis=1).max(initial=0))
        case Sparse():
            return int(np.diff(m.starts).max(initial=0))
        case Convolution():
            return int(m.kernel[..., 0].size)
