"""Linear maps with integer coefficients between flat integer vectors.

A map can be applied both ways, taken absolute, restricted to some outputs and listed row by row; dense matrices and convolutions stay
what they are until somebody asks for rows. All arithmetic is exact: int64 where the magnitudes prove that it fits, Python integers where
not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import assert_never

import numpy as np
import numpy.typing as npt

from qspec.arithmetic import convolve
from qspec.arithmetic.integers import IntArray, integers, magnitude, shrink, widen, within
from qspec.arithmetic.windows import window_count, windows
from qspec.errors import ShapeError

EXACT = 2**53
"""Integers below this are doubles: a sum of products is exact in whatever order if no partial sum can reach it."""
SINGLE = 2**24
"""Integers below this are single-precision floats, which take half the time."""
FEW = 256
"""Products so few that converting them to doubles is not worth it."""
CELLS = 1 << 22
"""Numbers that are copied at a time to apply a map to many vectors."""


@dataclass(frozen=True, eq=False)
class Dense:
    """`y = matrix @ x`; matrix has shape (outputs, inputs)."""

    matrix: IntArray

    def __post_init__(self) -> None:
        matrix = integers(self.matrix)
        if matrix.ndim != 2:
            raise ShapeError("a dense map needs a matrix", given=matrix.shape, expected="(outputs, inputs)")
        object.__setattr__(self, "matrix", matrix)

    @property
    def inputs(self) -> int:
        return self.matrix.shape[1]

    @property
    def outputs(self) -> int:
        return self.matrix.shape[0]

    @cached_property
    def floats(self) -> npt.NDArray[np.float64]:
        """The transposed matrix in double precision, for products whose every partial sum is below `EXACT`."""
        return np.ascontiguousarray(self.matrix.T.astype(np.float64))

    @cached_property
    def absolute(self) -> Dense:
        return self if np.all(self.matrix >= 0) else Dense(np.abs(self.matrix))

    @cached_property
    def transposed(self) -> Dense:
        return Dense(self.matrix.T)

    @cached_property
    def gain(self) -> int:
        """Largest absolute row sum: `|y| <= gain * max|x|`."""
        bound = magnitude(self.matrix) * max(1, self.inputs)
        return magnitude(np.abs(widen(self.matrix, bound)).sum(axis=1)) if self.matrix.size else 0


@dataclass(frozen=True, eq=False)
class Sparse:
    """`y[rows[k]] += coefficients[k] * x[columns[k]]`; entries are sorted by row and no (row, column) occurs twice.

    Selection, reshaping, padding, window sums and diagonal scaling are all this map.
    """

    outputs: int
    inputs: int
    rows: IntArray
    columns: IntArray
    coefficients: IntArray

    @cached_property
    def absolute(self) -> Sparse:
        all_positive = bool(np.all(self.coefficients >= 0))
        return self if all_positive else Sparse(self.outputs, self.inputs, self.rows, self.columns, np.abs(self.coefficients))

    @cached_property
    def transposed(self) -> Sparse:
        order = np.lexsort((self.rows, self.columns))
        return Sparse(self.inputs, self.outputs, self.columns[order], self.rows[order], self.coefficients[order])

    @cached_property
    def gain(self) -> int:
        if self.coefficients.size == 0:
            return 0
        bound = magnitude(self.coefficients) * self.coefficients.size
        absolute = np.abs(widen(self.coefficients, bound))
        return magnitude(np.add.reduceat(absolute, self.starts[self.filled]))

    @cached_property
    def diagonal(self) -> bool:
        """Whether each element is multiplied by its own coefficient."""
        own = np.arange(self.outputs)
        return self.inputs == self.outputs and np.array_equal(self.rows, own) and np.array_equal(self.columns, own)

    @cached_property
    def identity(self) -> bool:
        """Whether nothing is changed."""
        return self.diagonal and bool(np.all(self.coefficients == 1))

    @cached_property
    def filled(self) -> IntArray:
        """The rows that have entries."""
        return np.flatnonzero(np.diff(self.starts))

    @cached_property
    def starts(self) -> IntArray:
        """Row r owns the entries `starts[r]` to `starts[r + 1]`."""
        return np.searchsorted(self.rows, np.arange(self.outputs + 1))


@dataclass(frozen=True, eq=False)
class Convolution:
    """2-D convolution (cross-correlation) over a channels-last image; kernel has shape (height, width, inputs / groups, outputs).

    `padding` is ((top, bottom), (left, right)); padded places read zero. Source of the index rules: ONNX `Conv`.
    """

    kernel: IntArray
    image: tuple[int, int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    shape: tuple[int, int, int] = field(init=False)
    """Height, width and channels of the result."""

    def __post_init__(self) -> None:
        kernel = integers(self.kernel)
        object.__setattr__(self, "kernel", kernel)
        if kernel.ndim != 4 or kernel.shape[2] * self.groups != self.image[2] or kernel.shape[3] % self.groups:
            raise ShapeError(
                "kernel does not fit the image",
                given=f"kernel {kernel.shape}, image {self.image}, groups {self.groups}",
                expected="(height, width, channels / groups, outputs)",
            )
        height, width = (window_count(self.image[a], kernel.shape[a], self.stride[a], self.padding[a], self.dilation[a]) for a in (0, 1))
        object.__setattr__(self, "shape", (height, width, kernel.shape[3]))

    @property
    def inputs(self) -> int:
        return int(np.prod(self.image))

    @property
    def outputs(self) -> int:
        return int(np.prod(self.shape))

    @cached_property
    def absolute(self) -> Convolution:
        return Convolution(np.abs(self.kernel), self.image, self.stride, self.padding, self.dilation, self.groups)

    @cached_property
    def gain(self) -> int:
        bound = magnitude(self.kernel) * max(1, self.kernel.size)
        return magnitude(np.abs(widen(self.kernel, bound)).sum(axis=(0, 1, 2)))

    @cached_property
    def reach(self) -> int:
        """Bound of the absolute column sums: coefficients `c` of outputs give at most `reach * max|c|` for an input."""
        bound = magnitude(self.kernel) * max(1, self.kernel.size)
        kh, kw, depth, outputs = self.kernel.shape
        by_group = np.abs(widen(self.kernel, bound)).reshape(kh, kw, depth, self.groups, outputs // self.groups)
        return magnitude(by_group.sum(axis=(0, 1, 4)))

    @cached_property
    def windows(self) -> IntArray:
        """Flat input index read at (output row, output column, kernel row, kernel column) for channel 0, or -1 in the padding."""
        return windows(self.image, self.kernel.shape[:2], self.stride, self.padding, self.dilation)


LinearMap = Dense | Sparse | Convolution


def sparse(outputs: int, inputs: int, rows: object, columns: object, coefficients: object) -> Sparse:
    """Return the sparse map of these entries; duplicates are added up and zeros dropped."""
    r, c, v = integers(rows).reshape(-1), integers(columns).reshape(-1), integers(coefficients).reshape(-1)
    keep = v != 0
    r, c, v = r[keep], c[keep], v[keep]
    if r.size and (r.min() < 0 or r.max() >= outputs or c.min() < 0 or c.max() >= inputs):
        raise ShapeError("entry outside the map", given=f"rows ..{r.max()}, columns ..{c.max()}", expected=f"({outputs}, {inputs})")
    key = r * inputs + c
    order = np.argsort(key, kind="stable")
    key, r, c, v = key[order], r[order], c[order], v[order]
    if key.size and np.any(key[1:] == key[:-1]):
        first = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
        v = shrink(np.add.reduceat(widen(v, magnitude(v) * v.size), first))
        return sparse(outputs, inputs, r[first], c[first], v)
    return Sparse(outputs, inputs, r, c, v)


def selection(index: object, inputs: int) -> Sparse:
    """Return the map `y[k] = x[index[k]]`, or zero where the index is -1."""
    flat = integers(index).reshape(-1)
    taken = np.flatnonzero(flat >= 0)
    return Sparse(flat.size, inputs, taken, flat[taken], np.ones(taken.size, dtype=np.int64))


def placement(index: object, outputs: int) -> Sparse:
    """Return the map that puts `x[k]` at `y[index[k]]` and zero elsewhere; no index may occur twice."""
    return selection(index, outputs).transposed


def identity(size: int) -> Sparse:
    """Return the identity on vectors of this size."""
    return selection(np.arange(size), size)


def diagonal(coefficients: object) -> Sparse:
    """Return the map that multiplies each element by its own coefficient."""
    values = integers(coefficients).reshape(-1)
    return sparse(values.size, values.size, np.arange(values.size), np.arange(values.size), values)


def row_sums(groups: int, length: int) -> Sparse:
    """Return the map from `groups * length` elements to the sum of each run of `length`."""
    size = groups * length
    return Sparse(groups, size, np.repeat(np.arange(groups), length), np.arange(size), np.ones(size, dtype=np.int64))


def apply(linear: LinearMap, x: IntArray) -> IntArray:
    """Apply a map to vectors `x` of shape (..., inputs), in blocks of what memory allows; exact."""
    if x.shape[-1] != linear.inputs:
        raise ShapeError("vector does not fit the map", given=x.shape, expected=f"(..., {linear.inputs})")
    rows = int(np.prod(x.shape[:-1], dtype=np.int64))
    flat, block = x.reshape(rows, linear.inputs), max(1, CELLS // max(1, _copies(linear)))
    if len(flat) > block:
        parts = [_apply(linear, flat[k : k + block]) for k in range(0, len(flat), block)]
        return np.concatenate(parts).reshape(*x.shape[:-1], linear.outputs)
    return _apply(linear, x)


def _copies(linear: LinearMap) -> int:
    """Return how many numbers are copied to apply a map to one vector."""
    match linear:
        case Dense():
            return linear.inputs + linear.outputs
        case Sparse():
            return linear.columns.size + linear.outputs
        case Convolution():
            return 2 * (linear.inputs + linear.outputs)
        case _:
            assert_never(linear)


def _apply(linear: LinearMap, x: IntArray) -> IntArray:
    bound = max(1, linear.gain) * max(1, magnitude(x))
    x = widen(x, bound)
    match linear:
        case Dense():
            if bound < EXACT and linear.matrix.size > FEW:
                return (x.astype(np.float64) @ linear.floats).astype(np.int64)
            return within(x @ linear.matrix.T.astype(x.dtype), bound)
        case Sparse():
            if linear.identity:
                return x
            if linear.diagonal:
                return shrink(x * linear.coefficients.astype(x.dtype))
            result = np.zeros((*x.shape[:-1], linear.outputs), dtype=x.dtype)
            if linear.rows.size:
                products = x[..., linear.columns] * linear.coefficients.astype(x.dtype)
                result[..., linear.filled] = np.add.reduceat(products, linear.starts[linear.filled], axis=-1)
            return within(result, bound)
        case Convolution():
            return within(_convolve(linear, x, bound), bound)
        case _:
            assert_never(linear)


def _convolve(conv: Convolution, x: IntArray, bound: int) -> IntArray:
    images = x.reshape(-1, *conv.image)
    fast = np.float32 if bound < SINGLE else np.float64 if bound < EXACT else x.dtype
    result = convolve.in_blocks(images, conv.kernel, np.dtype(fast), conv.shape, conv.stride, conv.padding, conv.dilation)
    return result.reshape(*x.shape[:-1], conv.outputs)


def apply_transposed(linear: LinearMap, c: IntArray) -> IntArray:
    """Apply a transposed map to rows of coefficients `c` of shape (..., outputs), which gives rows of shape (..., inputs); exact."""
    if not isinstance(linear, Convolution):
        return apply(linear.transposed, c)
    if c.shape[-1] != linear.outputs:
        raise ShapeError("rows do not fit the map", given=c.shape, expected=f"(..., {linear.outputs})")
    bound = max(1, linear.reach) * max(1, magnitude(c))
    c = widen(c, bound)
    fast = np.float64 if bound < EXACT else c.dtype
    rows = c.reshape(-1, *linear.shape).astype(fast)
    found = convolve.transposed(rows, linear.kernel.astype(fast), linear.image, linear.stride, linear.padding, linear.dilation)
    return shrink(found.astype(c.dtype).reshape(*c.shape[:-1], linear.inputs))


def absolute(linear: LinearMap) -> LinearMap:
    """Return the map with every coefficient replaced by its absolute value, made once."""
    return linear.absolute


def scaled(linear: LinearMap, factors: IntArray) -> LinearMap:
    """Return the map whose output `r` is multiplied by `factors[r]`."""
    if bool(np.all(factors == 1)):
        return linear
    match linear:
        case Dense():
            bound = magnitude(linear.matrix) * magnitude(factors)
            return Dense(shrink(widen(linear.matrix, bound) * widen(factors, bound)[:, None]))
        case Sparse() | Convolution():
            entries = to_sparse(linear)
            bound = magnitude(entries.coefficients) * magnitude(factors)
            return sparse(
                entries.outputs, entries.inputs, entries.rows, entries.columns, widen(entries.coefficients, bound) * factors[entries.rows]
            )
        case _:
            assert_never(linear)


def to_sparse(linear: LinearMap) -> Sparse:
    """Return the same map as a list of entries."""
    match linear:
        case Sparse():
            return linear
        case Dense():
            rows, columns = np.nonzero(linear.matrix)
            return Sparse(linear.outputs, linear.inputs, rows, columns, linear.matrix[rows, columns])
        case Convolution():
            return _convolution_rows(linear, np.arange(linear.outputs))
        case _:
            assert_never(linear)


def _convolution_rows(conv: Convolution, index: IntArray) -> Sparse:
    """Write out some rows of a convolution; arrays below have shape (rows, kernel places, channels of a group)."""
    channels = conv.shape[2]
    kh, kw, depth = (int(n) for n in conv.kernel.shape[:3])
    place, channel = index // channels, index % channels
    corner: IntArray = conv.windows.reshape(-1, kh * kw)[place][:, :, None]
    first: IntArray = channel // (channels // conv.groups) * depth
    column = corner + first[:, None, None] + np.arange(depth)
    inside = np.broadcast_to(corner >= 0, column.shape)
    row = np.broadcast_to(np.arange(index.size)[:, None, None], column.shape)
    values = np.moveaxis(conv.kernel.reshape(kh * kw, depth, channels)[:, :, channel], -1, 0)
    return sparse(index.size, conv.inputs, row[inside], column[inside], values[inside])


def take_rows(linear: LinearMap, index: IntArray) -> LinearMap:
    """Return the map restricted to the outputs in `index`, in that order."""
    if isinstance(linear, Dense):
        return Dense(linear.matrix[index])
    if isinstance(linear, Convolution):
        return _convolution_rows(linear, index)
    entries = to_sparse(linear)
    counts = np.diff(entries.starts)[index]
    picked = np.repeat(entries.starts[index], counts) + _ramps(counts)
    return Sparse(
        index.size, entries.inputs, np.repeat(np.arange(index.size), counts), entries.columns[picked], entries.coefficients[picked]
    )


def take_columns(linear: LinearMap, index: IntArray) -> LinearMap:
    """Return the map on the inputs in `index` only; the others are taken to be zero."""
    if isinstance(linear, Dense):
        return Dense(linear.matrix[:, index])
    entries = to_sparse(linear)
    position = np.full(entries.inputs, -1)
    position[index] = np.arange(index.size)
    new = position[entries.columns]
    keep = new >= 0
    return sparse(entries.outputs, index.size, entries.rows[keep], new[keep], entries.coefficients[keep])


def compose(outer: LinearMap, inner: LinearMap) -> LinearMap:
    """Return the map `x -> outer(inner(x))`; dense if either is dense."""
    if isinstance(inner, Dense):
        return Dense(apply(outer, np.ascontiguousarray(inner.matrix.T)).T)
    if isinstance(outer, Dense):
        return Dense(apply_transposed(inner, outer.matrix))
    a, b = to_sparse(outer), to_sparse(inner)
    counts = np.diff(b.starts)[a.columns]
    picked = np.repeat(b.starts[a.columns], counts) + _ramps(counts)
    bound = magnitude(a.coefficients) * magnitude(b.coefficients)
    values = widen(np.repeat(a.coefficients, counts), bound) * b.coefficients[picked]
    return sparse(a.outputs, b.inputs, np.repeat(a.rows, counts), b.columns[picked], values)


def _ramps(counts: IntArray) -> IntArray:
    """Return 0..counts[0]-1, 0..counts[1]-1, … as one array."""
    total = int(counts.sum())
    return np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
