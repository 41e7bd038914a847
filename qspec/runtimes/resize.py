"""Where the kernels of RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR look, and with which weights, along one axis.

Measured against tflite-micro 0.dev20261023 and ai-edge-litert 2.3.0 on x86-64. Source: TensorFlow Lite, `GetNearestNeighbor` in
`reference/resize_nearest_neighbor.h` and `ComputeInterpolationValuesInteger` in `reference/resize_bilinear.h`; XNNPACK's indirection.
"""

from __future__ import annotations

import numpy as np

from qspec.arithmetic.integers import IntArray

BITS = 10
"""Fraction bits of a weight in the reference kernels."""
FLOAT_BITS = 11
"""Fraction bits of a weight in XNNPACK."""


def nearest_places(n: int, m: int, *, align: bool, half: bool) -> IntArray:
    """Return which of `n` places each of `m` copies: float32 numbers, rounded half up with aligned corners and else cut off."""
    scale = np.float32(n - 1) / np.float32(m - 1) if align and m > 1 else np.float32(n) / np.float32(m)
    place = (np.arange(m).astype(np.float32) + np.float32(0.5 * half)) * scale
    return np.clip(np.floor(place + np.float32(0.5)) if align else np.floor(place), 0, n - 1).astype(np.int64)


def integer_weights(n: int, m: int, *, align: bool, half: bool) -> IntArray:
    """Return the weights of `n` places in each of `m`, shape (n, m), in units of 2**-BITS: a step and places of as many fraction bits."""
    one = 1 << BITS
    step = (one * (n - 1) + (m - 1) // 2) // (m - 1) if align and m > 1 else (one * n + m // 2) // m
    place = np.arange(m) * step + (step // 2 - one // 2 if half else 0)
    low = np.maximum(place >> BITS, 0)
    high = np.maximum(np.minimum((place + one - 1) >> BITS, n - 1), 0)
    return _weights(n, low, high, place - (low << BITS), one)


def float_weights(n: int, m: int, *, align: bool, half: bool) -> IntArray:
    """Return the same in units of 2**-FLOAT_BITS: places in float32, weights rounded with ties to even."""
    step = np.float32(n - 1) / np.float32(m - 1) if align and m > 1 else np.float32(n) / np.float32(m)
    place = np.arange(m).astype(np.float32) * step
    if half:
        place = np.maximum(place + (np.float32(0.5) * step - np.float32(0.5)), np.float32(0))
    place = np.minimum(place, np.float32(n - 1))
    low = place.astype(np.int64)
    upper = np.rint((place - low.astype(np.float32)) * np.float32(1 << FLOAT_BITS)).astype(np.int64)
    return _weights(n, low, np.minimum(low + 1, n - 1), upper, 1 << FLOAT_BITS)


def _weights(n: int, low: IntArray, high: IntArray, upper: IntArray, one: int) -> IntArray:
    """Return a matrix with `one - upper` at the lower place of each column and `upper`, negative before the first, at the higher one."""
    columns = np.arange(low.size)
    made: IntArray = np.zeros((n, low.size), dtype=np.int64)
    np.add.at(made, (low, columns), one - upper)
    np.add.at(made, (high, columns), upper)
    return made
