"""Which places of an image each window reads: padding, strides and dilation, by sliding views."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from qspec.network.layers import AveragePool2D, Conv2D, MaxPool2D
from qspec.network.real_layers import RealConv2D
from qspec.semantics.exact import Whole, contracted

Windowed = Conv2D | RealConv2D | AveragePool2D | MaxPool2D
Pair = tuple[int, int]


def views(layer: Windowed, image: Whole, outside: int = 0) -> Whole:
    """Return (rows, columns, channels, window height, window width) of an image (height, width, channels).

    Places in the padding read as `outside`.
    """
    window, stride, dilation = geometry(layer)
    pads = [padding(layer.padding, axis, image.shape[axis], window[axis], stride[axis], dilation[axis]) for axis in (0, 1)]
    shape = [places + before + after for places, (before, after) in zip(image.shape[:2], pads, strict=True)]
    padded = np.full((*shape, image.shape[2]), outside, dtype=image.dtype)
    padded[pads[0][0] : pads[0][0] + image.shape[0], pads[1][0] : pads[1][0] + image.shape[1]] = image
    reach = [(w - 1) * d + 1 for w, d in zip(window, dilation, strict=True)]
    every: Whole = sliding_window_view(padded, reach, axis=(0, 1))
    return every[:: stride[0], :: stride[1], :, :: dilation[0], :: dilation[1]]


def geometry(layer: Windowed) -> tuple[Pair, Pair, Pair]:
    """Return window, stride and dilation; a pooling window without a stride moves by its own size."""
    if isinstance(layer, Conv2D | RealConv2D):
        return (int(layer.kernel.shape[0]), int(layer.kernel.shape[1])), layer.stride, layer.dilation
    return layer.window, layer.stride or layer.window, (1, 1)


def padding(stated: str | tuple[object, object], axis: int, places: int, window: int, stride: int, dilation: int) -> Pair:
    """Return how many places are added before and after an axis.

    "same" gives as many windows as strides begin in the image, with the odd place at the end, as TensorFlow does.
    """
    if stated == "valid":
        return 0, 0
    if stated == "same":
        windows = (places + stride - 1) // stride
        needed = (windows - 1) * stride + (window - 1) * dilation + 1
        missing = max(needed - places, 0)
        return missing // 2, (missing + 1) // 2
    side = cast("tuple[int | Pair, int | Pair]", stated)[axis]
    return (side, side) if isinstance(side, int) else side


def convolved(layer: Conv2D | RealConv2D, image: Whole, kernel: Whole) -> Whole:
    """Sum products over each window and the input channels of each group: (rows, columns, outputs).

    Group g of the outputs reads group g of the inputs, and both are consecutive channels.
    """
    every = views(layer, image)
    depth, outputs = kernel.shape[2], kernel.shape[3] // layer.groups
    parts: list[Whole] = []
    for g in range(layer.groups):
        own = every[:, :, g * depth : (g + 1) * depth]
        weights = kernel[..., g * outputs : (g + 1) * outputs].transpose(2, 0, 1, 3)
        parts.append(contracted(own, weights, 3))
    return np.concatenate(parts, axis=-1)


def members(layer: AveragePool2D, image: Whole) -> Whole:
    """Return by how many places the mean of each window divides: those inside the image, or all with `count_padding`."""
    inside = views(layer, np.ones((*image.shape[:2], 1), dtype=np.int64)).sum(axis=(2, 3, 4))
    return np.full_like(inside, layer.window[0] * layer.window[1]) if layer.count_padding else inside
