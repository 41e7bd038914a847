"""A program as the dual search sees it: what shapes the computation (hashable), and the arrays that it reads.

Two queries on one network differ in arrays only, so that compiled code serves both.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from qspec.bounds.layout import Layout
from qspec.evaluate.kernels import Convolve, MapKernel, MatMul
from qspec.evaluate.maps import real_map
from qspec.ir.integer import (
    Affine,
    Formula,
    Input,
    Maximum,
    Product,
    Program,
    Staircase,
    Table,
    Wrap,
    arguments,
    formula_nodes,
    needed,
    sizes,
)
from qspec.ir.linear import Dense, LinearMap, to_sparse

Floats = npt.NDArray[np.float32]
HostArray = npt.NDArray[Any]

MAX_DENSE = 1 << 16
"""Entries of the largest matrix that is written out for the computation in numpy."""


@dataclass(frozen=True, slots=True)
class Op:
    """One node: its kind, the nodes that it reads, the kernels of its maps if it is affine, and its size."""

    kind: Literal["input", "affine", "points", "product", "maximum", "unused"]
    arguments: tuple[int, ...]
    maps: tuple[MapKernel, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Shape:
    """Everything that shapes the computation.

    `places` are the multipliers of each relaxed node that is used, side by side, `facts` the nodes of the goal, and what relaxed nodes
    read, with their places in the vector of weights: a bound of the latter may be asked for, too.
    """

    ops: tuple[Op, ...]
    places: tuple[tuple[int, int, int], ...]
    facts: tuple[tuple[int, int, int], ...]

    @property
    def total(self) -> int:
        """The number of multipliers."""
        return max((end for _, _, end in self.places), default=0)

    @property
    def weights(self) -> int:
        """The number of facts."""
        return max((end for _, _, end in self.facts), default=0)


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A program and a goal made ready: `arrays` has one tuple for each node: maps, then bias; members and presence of a maximum."""

    shape: Shape
    arrays: tuple[tuple[HostArray, ...], ...]
    layout: Layout
    plain: bool
    """Whether no map is a convolution, so that numpy is as fast as compiled code."""


def make_view(program: Program, goal: Formula, layout: Layout, certain: Set[int] = frozenset()) -> View:
    """Describe a program; maps are float32, since they guide a search and prove nothing.

    Facts about the nodes of `certain` are left out, with everything that only they depend on.
    """
    asked = formula_nodes(goal) - certain
    used = set(needed(program, asked))
    nodes = sorted({*asked, *(a for k in layout.places if k in used for a in arguments(program[k]))})
    size = sizes(program)
    ops: list[Op] = []
    arrays: list[tuple[HostArray, ...]] = []
    for k, node in enumerate(program):
        if k not in used:
            ops.append(Op("unused", (), (), size[k]))
            arrays.append(())
            continue
        match node:
            case Input():
                ops.append(Op("input", (), (), size[k]))
                arrays.append(())
            case Affine(terms, bias):
                placed = [_map(m) for m, _ in terms]
                flat = tuple(a for _, group in placed for a in group)
                ops.append(Op("affine", arguments(node), tuple(kernel for kernel, _ in placed), size[k]))
                arrays.append((*flat, bias.astype(np.float32)))
            case Staircase() | Table() | Wrap():
                ops.append(Op("points", arguments(node), (), size[k]))
                arrays.append(())
            case Product():
                ops.append(Op("product", arguments(node), (), size[k]))
                arrays.append(())
            case Maximum(_, groups):
                ops.append(Op("maximum", arguments(node), (), size[k]))
                arrays.append((node.members.astype(np.int32), (groups >= 0)))
    places = _packed(layout, used)
    ends = np.cumsum([0, *(size[n] for n in nodes)]).tolist()
    facts = tuple((n, ends[i], ends[i + 1]) for i, n in enumerate(nodes))
    plain = not any(isinstance(m, Convolve) for op in ops for m in op.maps)
    return View(Shape(tuple(ops), places, facts), tuple(arrays), layout, plain)


def _packed(layout: Layout, used: set[int]) -> tuple[tuple[int, int, int], ...]:
    places: list[tuple[int, int, int]] = []
    at = 0
    for k, (first, end) in layout.places.items():
        if k in used:
            places.append((k, at, at + end - first))
            at += end - first
    return tuple(places)


def _map(m: LinearMap) -> tuple[MapKernel, tuple[HostArray, ...]]:
    """Return a small map as a matrix (inputs, outputs), so that it runs in numpy as well, and others as the device likes them."""
    if isinstance(m, Dense):
        return MatMul(False), (np.ascontiguousarray(m.matrix.T.astype(np.float32)),)
    if m.outputs * m.inputs <= MAX_DENSE:
        matrix = np.zeros((m.inputs, m.outputs), dtype=np.float32)
        entries = to_sparse(m)
        matrix[entries.columns, entries.rows] = entries.coefficients.astype(np.float32)
        return MatMul(False), (matrix,)
    return real_map(m)
