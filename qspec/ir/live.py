"""A program without the elements that bounds fix: constants move into biases, and convolutions shrink to the window that can change.

A patch of an image leaves most of a network as it is; what is left computes the same values of the elements that are not fixed. Node
positions stay. Elements of images are kept in rectangles, so that convolutions of them remain convolutions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray, magnitude, shrink, widen
from qspec.ir import linear
from qspec.ir.integer import Affine, Input, Maximum, Node, Product, Program, Staircase, Table, Wrap
from qspec.ir.linear import Convolution, LinearMap, Sparse
from qspec.ir.staircase import restricted

LEAST, PART = 4096, 0.5
"""Elements of a program from which on it pays to leave out what bounds fix, and the part of them that it must be."""
Bounds = Sequence[tuple[IntArray, IntArray]]
Extent = tuple[int, int, int, int]
"""Rows from and below, columns from and below."""


@dataclass(frozen=True, slots=True, eq=False)
class Live:
    """The smaller program; by node, which elements are in it, ascending, and the values of all others (zero for those in it)."""

    program: Program
    index: tuple[IntArray, ...]
    values: tuple[IntArray, ...]

    def bounds(self, known: Bounds) -> list[tuple[IntArray, IntArray]]:
        """Return the bounds of the elements that are left."""
        return [(lower[at], upper[at]) for at, (lower, upper) in zip(self.index, known, strict=True)]

    def places(self, firsts: Mapping[int, tuple[int, int]]) -> IntArray:
        """Return which multipliers are left, given where those of each node begin and end in a vector of all, in program order."""
        found = [np.arange(0)]
        for k, (first, end) in firsts.items():
            elementwise = isinstance(self.program[k], Staircase | Table | Wrap)
            found.append(first + self.index[k] if elementwise else np.arange(first, end))
        return np.concatenate(found)


def pays(known: Bounds) -> bool:
    """Return whether bounds of all nodes fix so much that a program without it is worth making."""
    total = sum(lower.size for lower, _ in known)
    return total >= LEAST and sum(int(np.count_nonzero(lower == upper)) for lower, upper in known) >= PART * total


def live(program: Program, known: Bounds, whole: Iterable[int] = ()) -> Live:
    """Return the program of the elements that are free within bounds, some nodes `whole`; the bounds must be those that it implies.

    Inputs have these bounds then: what they fix may not be true outside. At least one element of each node is kept. Products and maxima
    are kept whole, with what they read.
    """
    kept = _whole(program, set(whole))
    shapes, extents = _shapes(program), dict[int, Extent]()
    index: list[IntArray] = []
    nodes: list[Node] = []
    values: list[IntArray] = []
    for k, (node, (lower, upper)) in enumerate(zip(program, known, strict=True)):
        if k in kept:
            at = np.arange(lower.size)
            if k in shapes:
                extents[k] = (0, shapes[k][0], 0, shapes[k][1])
        elif isinstance(node, Staircase | Table | Wrap):
            at = index[node.argument]
            if node.argument in extents and shapes[node.argument] == shapes.get(k):
                extents[k] = extents[node.argument]
        elif k in shapes:
            extents[k] = _extent(node, k, (lower < upper).reshape(shapes[k]), _Images(shapes, extents))
            at = _inside(extents[k], shapes[k])
        else:
            at = np.flatnonzero(lower < upper) if np.any(lower < upper) else np.arange(min(1, lower.size))
        index.append(at)
        rest = lower.copy()
        rest[at] = 0
        values.append(rest)
        inside = isinstance(node, Input)
        nodes.append(Input(node.name, lower[at], upper[at]) if inside else _taken(node, k, index, values, _Images(shapes, extents)))
    return Live(tuple(nodes), tuple(index), tuple(values))


@dataclass(frozen=True, slots=True)
class _Images:
    """Shapes of nodes that are images, and the rectangles of them that are kept, so far."""

    shapes: Mapping[int, tuple[int, int, int]]
    extents: Mapping[int, Extent]

    def fit(self, m: Convolution, a: int, k: int) -> bool:
        """Return whether a map reads and writes images of the shapes that its nodes are known by; there may be others of one size."""
        return a in self.extents and self.shapes[a] == m.image and self.shapes[k] == m.shape


def _whole(program: Program, whole: set[int]) -> set[int]:
    """Return the nodes of which all elements have to be kept."""
    for k in range(len(program) - 1, -1, -1):
        match program[k]:
            case Product(left, right):
                whole |= {k, left, right}
            case Maximum(a):
                whole |= {k, a}
            case Staircase(a) | Table(a) | Wrap(a) if k in whole:
                whole.add(a)
            case _:
                pass
    return whole


def _shapes(program: Program) -> dict[int, tuple[int, int, int]]:
    """Return the shapes of images that convolutions read or write, and of what computes them element by element."""
    found: dict[int, tuple[int, int, int]] = {}
    for k, node in enumerate(program):
        for m, a in node.terms if isinstance(node, Affine) else ():
            if isinstance(m, Convolution):
                found[k], found[a] = m.shape, m.image
    for order in (range(len(program)), reversed(range(len(program))), range(len(program))):
        for k in order:
            for a in _alike(program[k]):
                if k in found or a in found:
                    shape = found.get(k) or found[a]
                    found.setdefault(k, shape)
                    found.setdefault(a, shape)
    return found


def _alike(node: Node) -> list[int]:
    """Return the arguments that a node reads element by element."""
    if isinstance(node, Staircase | Table | Wrap):
        return [node.argument]
    return [a for m, a in node.terms if isinstance(m, Sparse) and m.diagonal] if isinstance(node, Affine) else []


def _extent(node: Node, k: int, free: IntArray, images: _Images) -> Extent:
    """Return a rectangle with all that is free, and with all that convolutions read the rectangles of their arguments for."""
    ends: list[int] = []
    shape = images.shapes[k]
    for axis in (0, 1):
        found = np.flatnonzero(free.any(axis=(1 - axis, 2)))
        first, end = (int(found[0]), int(found[-1]) + 1) if found.size else (shape[axis], 0)
        for m, a in node.terms if isinstance(node, Affine) else ():
            if isinstance(m, Convolution) and images.fit(m, a, k):
                low, high = images.extents[a][2 * axis : 2 * axis + 2]
                before, stride = m.padding[axis][0], m.stride[axis]
                length = (m.kernel.shape[axis] - 1) * m.dilation[axis]
                first = min(first, (low + before) // stride)
                end = max(end, -((length + 1 - high - before) // stride) + 1)
        first = min(first, shape[axis] - 1)
        ends += [first, min(max(end, first + 1), shape[axis])]
    return ends[0], ends[1], ends[2], ends[3]


def _inside(extent: Extent, shape: tuple[int, int, int]) -> IntArray:
    top, bottom, left, right = extent
    return np.arange(int(np.prod(shape))).reshape(shape)[top:bottom, left:right].reshape(-1)


def _taken(node: Node, k: int, index: list[IntArray], values: list[IntArray], images: _Images) -> Node:
    """Return a node with the elements that are left, of arguments of which so many are."""
    at = index[k]
    match node:
        case Affine(terms, bias):
            moved = [bias, *(linear.apply(m, values[a]) for m, a in terms)]
            bound = sum(map(magnitude, moved))
            total = sum((widen(v, bound) for v in moved[1:]), widen(bias, bound))
            maps = [(_window(m, a, k, images) or _entries(m, index[a], at), a) for m, a in terms]
            return Affine(tuple(maps), shrink(total[at]))
        case Staircase(a, steps):
            return Staircase(a, restricted(steps, at))
        case Table(a, first, entries):
            return Table(a, first[at], entries[at])
        case Wrap(a, width, signed):
            return Wrap(a, width[at], signed)
        case Input() | Product() | Maximum():
            return node
        case _:
            assert_never(node)


def _window(m: LinearMap, a: int, k: int, images: _Images) -> LinearMap | None:
    """Return a convolution between two rectangles; None if it is no convolution, or they do not fit together."""
    if not isinstance(m, Convolution) or not images.fit(m, a, k) or k not in images.extents:
        return None
    read, made = images.extents[a], images.extents[k]
    padding: list[tuple[int, int]] = []
    for axis in (0, 1):
        (low, high), (first, end) = read[2 * axis : 2 * axis + 2], made[2 * axis : 2 * axis + 2]
        start, last = ((n * m.stride[axis] - m.padding[axis][0]) for n in (first, end - 1))
        padding.append((low - start, last + (m.kernel.shape[axis] - 1) * m.dilation[axis] + 1 - high))
    if min(min(pair) for pair in padding) < 0:
        return None
    image = (read[1] - read[0], read[3] - read[2], m.image[2])
    return Convolution(m.kernel, image, m.stride, (padding[0], padding[1]), m.dilation, m.groups)


def _entries(m: LinearMap, read: IntArray, made: IntArray) -> LinearMap:
    """Return a map between some elements, in order."""
    return m if read.size == m.inputs and made.size == m.outputs else linear.take_columns(linear.take_rows(m, made), read)
