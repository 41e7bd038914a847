"""Which places of an image the windows of a convolution or a pool read: the index rules of ONNX `Conv`."""

from __future__ import annotations

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.errors import ShapeError


def window_count(size: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int) -> int:
    """Return how many windows of a kernel fit along one axis; raises ShapeError if none does."""
    count = (size + sum(padding) - dilation * (kernel - 1) - 1) // stride + 1
    if count < 1:
        raise ShapeError(
            "the kernel is larger than the padded image",
            given=f"size {size}, padding {padding}",
            expected=f"at least {dilation * (kernel - 1) + 1}",
        )
    return count


def windows(
    image: tuple[int, int, int],
    kernel: tuple[int, ...],
    stride: tuple[int, int],
    padding: tuple[tuple[int, int], tuple[int, int]],
    dilation: tuple[int, int],
) -> IntArray:
    """Return the flat index of channel 0 read by each (output row, output column, kernel row, kernel column), or -1 in the padding."""
    positions = [
        np.arange(window_count(image[a], kernel[a], stride[a], padding[a], dilation[a]))[:, None] * stride[a]
        - padding[a][0]
        + np.arange(kernel[a])[None, :] * dilation[a]
        for a in (0, 1)
    ]
    row = positions[0][:, None, :, None]
    column = positions[1][None, :, None, :]
    inside = (row >= 0) & (row < image[0]) & (column >= 0) & (column < image[1])
    return np.where(inside, (row * image[1] + column) * image[2], -1)
