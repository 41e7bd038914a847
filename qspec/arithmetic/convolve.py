"""Convolutions of batches, forwards and transposed, kernel place by kernel place: each place is one matrix product on a shifted image.

Nothing is listed element by element, so memory is that of the images. Whole numbers come as doubles where the caller has proved that no
partial sum reaches 2**53 (2**24: as single precision), else as int64 or Python integers.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Pairs = tuple[tuple[int, int], tuple[int, int]]
CACHED = 1 << 16
"""Numbers of a batch of images that are convolved at a time: what stays near the processor."""


def forward(
    x: Array, kernel: Array, shape: tuple[int, int, int], stride: tuple[int, int], padding: Pairs, dilation: tuple[int, int]
) -> Array:
    """Return the convolution of images (batch, height, width, channels) with a kernel (height, width, channels / groups, outputs).

    `shape` is that of a result.
    """
    (top, bottom), (left, right) = padding
    count, height, width, channels = x.shape
    padded = np.zeros((count, height + top + bottom, width + left + right, channels), dtype=x.dtype)
    padded[:, top : top + height, left : left + width] = x
    result = np.zeros((x.shape[0], *shape), dtype=x.dtype)
    for place, rows, columns in _places(kernel, shape, stride, dilation):
        result += _products(padded[:, rows, columns], kernel[place])
    return result


def in_blocks(
    x: Array,
    kernel: Array,
    fast: np.dtype[Any],
    shape: tuple[int, int, int],
    stride: tuple[int, int],
    padding: Pairs,
    dilation: tuple[int, int],
) -> Array:
    """Return the convolution of whole numbers, computed in numbers of type `fast`, a few images at a time."""
    weights, result = kernel.astype(fast), np.empty((len(x), *shape), x.dtype)
    block = max(1, CACHED // max(prod(x.shape[1:]), prod(shape), 1))
    for k in range(0, len(x), block):
        result[k : k + block] = forward(x[k : k + block].astype(fast), weights, shape, stride, padding, dilation)
    return result


def transposed(
    c: Array, kernel: Array, image: tuple[int, int, int], stride: tuple[int, int], padding: Pairs, dilation: tuple[int, int]
) -> Array:
    """Return what rows of coefficients (batch, height, width, outputs) of a result are for the image, (batch, *image)."""
    (top, bottom), (left, right) = padding
    padded = np.zeros((c.shape[0], image[0] + top + bottom, image[1] + left + right, image[2]), dtype=c.dtype)
    groups = image[2] // kernel.shape[2]
    for place, rows, columns in _places(kernel, (c.shape[1], c.shape[2], 0), stride, dilation):
        padded[:, rows, columns] += _products(c, _turned(kernel[place], groups))
    return padded[:, top : top + image[0], left : left + image[1]]


def _places(
    kernel: Array, shape: tuple[int, int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> Iterator[tuple[tuple[int, int], slice, slice]]:
    """Yield each place of a kernel with the rows and columns of the padded image that it reads."""
    for i in range(kernel.shape[0]):
        for j in range(kernel.shape[1]):
            starts = i * dilation[0], j * dilation[1]
            rows, columns = (slice(s, s + (n - 1) * t + 1, t) for s, n, t in zip(starts, shape[:2], stride, strict=True))
            yield (i, j), rows, columns


def _products(x: Array, matrix: Array) -> Array:
    """Multiply channels (…, groups * depth) by a matrix (depth, groups * outputs), group by group."""
    depth, outputs = matrix.shape
    groups = x.shape[-1] // depth
    if groups == 1:
        return x @ matrix
    per_group = outputs // groups
    if depth == 1:
        return np.repeat(x, per_group, axis=-1) * matrix[0]
    parts = [x[..., g * depth : (g + 1) * depth] @ matrix[:, g * per_group : (g + 1) * per_group] for g in range(groups)]
    return np.concatenate(parts, axis=-1)


def _turned(matrix: Array, groups: int) -> Array:
    """Return the matrix (outputs of a group, groups * depth) of the transposed products."""
    return np.concatenate([part.T for part in np.split(matrix, groups, axis=1)], axis=1)
