"""Sizes, sums and compositions of linear maps, as folding needs them: a convolution is never written out."""

from __future__ import annotations

import sys
from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray, magnitude, shrink, widen
from qspec.ir.linear import Convolution, Dense, LinearMap, Sparse, compose, sparse, to_sparse

NEVER = sys.maxsize
"""More entries than any map may have."""


def entries(m: LinearMap) -> int:
    """Return the number of coefficients that are stored and not zero; a convolution stores its kernel once."""
    match m:
        case Dense(matrix):
            return int(np.count_nonzero(matrix))
        case Sparse():
            return m.coefficients.size
        case Convolution(kernel):
            return int(np.count_nonzero(kernel))
        case _:
            assert_never(m)


def is_identity(m: LinearMap) -> bool:
    """Return whether the map returns its argument."""
    if m.outputs != m.inputs or isinstance(m, Convolution) or entries(m) != m.outputs:
        return False
    s = to_sparse(m)
    return bool(np.all(s.rows == s.columns) and np.all(s.coefficients == 1))


def composed_entries(outer: LinearMap, inner: LinearMap) -> int:
    """Return an upper bound on the entries of `outer` after `inner`, NEVER if that would write out a convolution."""
    if is_identity(outer) or is_identity(inner):
        return entries(inner) if is_identity(outer) else entries(outer)
    if isinstance(outer, Convolution) or isinstance(inner, Convolution):
        return NEVER
    used = _column_counts(outer)
    per_row = _row_counts(inner)
    columns = int(np.count_nonzero(_column_counts(inner)))
    rows = int(np.count_nonzero(_row_counts(outer)))
    return min(int(used @ per_row), rows * columns)


def composed(outer: LinearMap, inner: LinearMap) -> LinearMap:
    """Return `outer` after `inner`; sparse if a dense matrix would be nearly empty."""
    if is_identity(inner):
        return outer
    if is_identity(outer):
        return inner
    if outer.outputs * inner.inputs > 8 * composed_entries(outer, inner):
        return compose(to_sparse(outer), to_sparse(inner))
    return compose(outer, inner)


def _row_counts(m: Dense | Sparse) -> IntArray:
    return np.count_nonzero(m.matrix, axis=1) if isinstance(m, Dense) else np.bincount(m.rows, minlength=m.outputs)


def _column_counts(m: Dense | Sparse) -> IntArray:
    return np.count_nonzero(m.matrix, axis=0) if isinstance(m, Dense) else np.bincount(m.columns, minlength=m.inputs)


def merged(a: LinearMap, b: LinearMap) -> LinearMap | None:
    """Return the sum of two maps, or None if only one is a convolution, or they are convolutions of different shape."""
    match a, b:
        case Convolution(), Convolution():
            same = (a.kernel.shape, a.image, a.stride, a.padding, a.dilation, a.groups) == (
                b.kernel.shape,
                b.image,
                b.stride,
                b.padding,
                b.dilation,
                b.groups,
            )
            return Convolution(_sum(a.kernel, b.kernel), a.image, a.stride, a.padding, a.dilation, a.groups) if same else None
        case (Convolution(), _) | (_, Convolution()):
            return None
        case Dense(), Dense():
            return Dense(_sum(a.matrix, b.matrix))
        case Sparse(), Sparse():
            parts = [(m.rows, m.columns, m.coefficients) for m in (a, b)]
            return sparse(a.outputs, a.inputs, *(np.concatenate(p) for p in zip(*parts, strict=True)))
        case (Dense() as dense, Sparse() as other) | (Sparse() as other, Dense() as dense):
            bound = magnitude(dense.matrix) + magnitude(other.coefficients)
            matrix = np.array(widen(dense.matrix, bound))
            matrix[other.rows, other.columns] += other.coefficients
            return Dense(shrink(matrix))


def _sum(a: IntArray, b: IntArray) -> IntArray:
    bound = magnitude(a) + magnitude(b)
    return shrink(widen(a, bound) + widen(b, bound))
