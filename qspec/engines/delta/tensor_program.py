"""A real query made ready for floats: dense matrices with error bounds, enclosed constants, and one flat box for all inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qspec.engines.outward import Floats, Linear, OutwardInterval, coefficients, enclosed
from qspec.errors import UnsupportedError
from qspec.ir.real import Affine, ExactArray, Input, Program, Query, RealMap, entries, fractions, sizes

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
