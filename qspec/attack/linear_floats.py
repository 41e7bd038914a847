"""Linear maps in floats, forwards and transposed, in numpy: what a search evaluates thousands of times and needs no compiler for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_never

import numpy as np
import numpy.typing as npt

from qspec.ir.linear import Convolution, Dense, LinearMap, Sparse

Floats = npt.NDArray[Any]
"""An array of float32 or float64."""
Map = tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]]
"""A map of vectors (batch, inputs), and its transpose, of rows (batch, outputs)."""

FILLED = 16
"""A list of entries becomes a matrix if the matrix has at most so many cells for each entry."""


def in_floats(m: LinearMap, dtype: npt.DTypeLike) -> Map:
    """Return a map and its transpose in floats of one kind."""
    match m:
        case Dense(matrix):
            return _matrix(matrix.T.astype(dtype))
        case Sparse():
            return _entries(m, dtype)
        case Convolution():
            return _convolution(m, dtype)
        case _:
            assert_never(m)


def _matrix(weights: Floats) -> Map:
    forward, backward = np.ascontiguousarray(weights), np.ascontiguousarray(weights.T)
    return lambda x: x @ forward, lambda c: c @ backward


def _entries(m: Sparse, dtype: npt.DTypeLike) -> Map:
    weights = m.coefficients.astype(dtype)
    if m.diagonal:
        return lambda x: x * weights, lambda c: c * weights
    if m.outputs * m.inputs <= FILLED * m.rows.size:
        matrix = np.zeros((m.inputs, m.outputs), dtype)
        matrix[m.columns, m.rows] = weights
        return _matrix(matrix)
    return _summed(m, dtype), _summed(m.transposed, dtype)


def _summed(m: Sparse, dtype: npt.DTypeLike) -> Callable[[Floats], Floats]:
    """Return a map that adds up entries, or only picks them where no row has two."""
    weights, columns, filled = m.coefficients.astype(dtype), m.columns, m.filled
    starts, single = m.starts[m.filled], m.filled.size == m.rows.size

    def apply(x: Floats) -> Floats:
        y = np.zeros((len(x), m.outputs), dtype)
        if m.rows.size:
            products = x[:, columns] * weights
            y[:, filled] = products if single else np.add.reduceat(products, starts, axis=1)
        return y

    return apply


def _convolution(m: Convolution, dtype: npt.DTypeLike) -> Map:
    """Return the map as one matrix product of windows for each group; its transpose adds up what each place of the kernel gives."""
    (top, bottom), (left, right) = m.padding
    (height, width, channels), (rows, columns, _) = m.image, m.shape
    across, along, depth = m.kernel.shape[:3]
    padded = (height + top + bottom, width + left + right)
    out = m.kernel.shape[3] // m.groups
    kernels = [m.kernel[..., g * out : (g + 1) * out].reshape(-1, out).astype(dtype) for g in range(m.groups)]

    def places(size: int, axis: int) -> list[slice]:
        count = m.shape[axis]
        return [slice(k * m.dilation[axis], k * m.dilation[axis] + (count - 1) * m.stride[axis] + 1, m.stride[axis]) for k in range(size)]

    down, over = places(across, 0), places(along, 1)

    def forward(x: Floats) -> Floats:
        image = np.zeros((len(x), *padded, channels), dtype)
        image[:, top : top + height, left : left + width] = x.reshape(-1, height, width, channels)
        parts: list[Floats] = []
        for g, kernel in enumerate(kernels):
            own = image[..., g * depth : (g + 1) * depth]
            windows = np.stack([own[:, i, j] for i in down for j in over], axis=3)
            parts.append(windows.reshape(-1, kernel.shape[0]) @ kernel)
        return np.concatenate(parts, axis=1).reshape(len(x), -1)

    def backward(c: Floats) -> Floats:
        image = np.zeros((len(c), *padded, channels), dtype)
        rivals = c.reshape(-1, m.kernel.shape[3])
        for g, kernel in enumerate(kernels):
            windows = (rivals[:, g * out : (g + 1) * out] @ kernel.T).reshape(len(c), rows, columns, across * along, depth)
            for k, (i, j) in enumerate((i, j) for i in down for j in over):
                image[:, i, j, g * depth : (g + 1) * depth] += windows[:, :, :, k]
        return image[:, top : top + height, left : left + width].reshape(len(c), -1)

    return forward, backward
