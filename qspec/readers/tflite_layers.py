"""Operators of TensorFlow Lite in terms of layers that know nothing of them: tables, products with constants, images enlarged by copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from qspec.arithmetic.formats import Affine, Fixed
from qspec.arithmetic.integers import IntArray, integers
from qspec.arithmetic.tensor import Tensor
from qspec.errors import UnsupportedError
from qspec.network.activations import Lookup
from qspec.network.graph import Signal, apply
from qspec.network.kernel_layers import Multiplier, Reinterpret, Reshape, Scaling, Thresholds, Transpose
from qspec.network.layers import Add, Concat, Conv2D, MaxPool2D, Requantize
from qspec.runtimes.arithmetic import Quantized, multiplier
from qspec.runtimes.tflm import WIDE


def tabled(x: Signal, table: IntArray, given: Quantized, out: Quantized, name: str) -> Signal:
    """Return what a table makes of codes, lowest first: a staircase where it never decreases."""
    plain = Fixed(8, 0, given.signed)
    codes = apply(Reinterpret(plain), x)
    if np.any(table[1:] < table[:-1]):
        return apply(Requantize(out.format, Lookup(plain, Tensor(table, out.format)), name), codes)
    steps: IntArray = np.searchsorted(table, np.arange(int(table[0]) + 1, int(table[-1]) + 1)) + given.ends[0]
    return apply(Thresholds(out.format, table[:1], steps, name), codes)


def times(x: Signal, factors: IntArray, name: str) -> Signal:
    """Return the exact products of centred codes with whole numbers, one for each entry of the last axis."""
    channels = factors.size
    kernel = Tensor(integers(factors.reshape(1, 1, 1, channels)), Fixed(10, 0))
    columns = apply(Reshape((x.type.size // channels, 1, channels)), x)
    return apply(Reshape(x.shape), apply(Conv2D(kernel, groups=channels, name=name), columns))


def joined(parts: Sequence[Signal], axis: int, name: str) -> Signal:
    """Return signals side by side along an axis."""
    rank = len(parts[0].shape)
    if axis == rank - 1:
        return apply(Concat(name=name), *parts)
    order = (*(a for a in range(rank) if a != axis), axis)
    beside = apply(Concat(name=name), *(apply(Transpose(order), p) for p in parts))
    return apply(Transpose(tuple(int(a) for a in np.argsort(order))), beside)


def two_slopes(x: Signal, given: Quantized, factors: IntArray, scales: tuple[float, float], out: Quantized, name: str) -> Signal:
    """Return centred codes times one multiplier from zero up, and times a factor and another multiplier below it, rounded each.

    Of the two summands one is zero, and zero is rounded to zero: their sum is the code of a PRELU.
    """
    centred = apply(Reinterpret(Affine(8, given.signed, Fraction(1), given.zero)), x)
    above, below = (apply(_cut(WIDE, *ends), centred) for ends in ((0, 255), (-255, 0)))
    plain = Quantized(1.0, 0)
    positive, negative = (multiplier([s], plain, plain.ends, [Scaling.AWAY]) for s in scales)
    first = apply(replace(positive, format=WIDE, lower=None, upper=None), above)
    second = apply(replace(negative, format=WIDE, lower=None, upper=None), times(below, factors, f"{name}_slopes"))
    return apply(_cut(out.format, *out.ends), apply(Add(name=name), first, second))


def _cut(fmt: Affine, low: int, high: int) -> Multiplier:
    """Return the layer that adds the zero point of a format to integers, and cuts them off."""
    return Multiplier(fmt, (1 << 30,), (1,), (Scaling.UP,), low, high)


def clamped(x: Signal, out: Quantized, ends: tuple[int, int]) -> Signal:
    """Return codes cut to the ends of a fused activation."""
    if ends != out.ends:
        unit = Affine(8, out.signed, Fraction(1), 0)
        x = apply(_cut(unit, *ends), apply(Reinterpret(unit), x))
    return apply(Reinterpret(out.format), x)


def by_channel(stored: IntArray, shape: tuple[int, ...]) -> IntArray | None:
    """Return the numbers of a constant by the last axis of a signal, None if it has others or does not broadcast."""
    axes = stored.shape[-len(shape) :]
    if any(n != 1 for n in (*stored.shape[: -len(shape)], *axes[:-1])) or (axes and axes[-1] not in (1, shape[-1])):
        return None
    return np.broadcast_to(stored.reshape(-1), (shape[-1],)).astype(np.int64)


def nearest(x: Signal, size: tuple[int, ...], *, align: bool, half: bool, name: str) -> Signal:
    """Return an image resized to the nearest places, where these are whole multiples; raises UnsupportedError where they are not."""
    if len(x.shape) != 3 or len(size) != 2:
        raise UnsupportedError("a resize of what is no image", given=(x.shape, size), expected="height, width and channels; two sizes")
    height, width, channels = x.shape
    factors = [_factor(n, m, align=align, half=half) for n, m in zip((height, width), size, strict=True)]
    down = max(1, -factors[0]), max(1, -factors[1])
    if down != (1, 1):
        x = apply(MaxPool2D((1, 1), down, "valid", name=f"{name}_every"), x)
        height, width = x.shape[0], x.shape[1]
    rows, columns = (max(1, f) for f in factors)
    if columns > 1:
        wide = apply(Concat(name=f"{name}_columns"), *[x] * columns)  # beside each pixel its copies, in C order
        x = apply(Reshape((height, width * columns, channels)), wide)
    if rows > 1:
        flat = apply(Reshape((height, 1, width * columns * channels)), x)
        x = apply(Reshape((height * rows, width * columns, channels)), apply(Concat(name=f"{name}_rows"), *[flat] * rows))
    return x


def _factor(n: int, m: int, *, align: bool, half: bool) -> int:
    """Return by what an axis grows, or shrinks (negative), if the runtimes' places are those of copies or of every k-th element.

    Source of the places: TensorFlow Lite, `GetNearestNeighbor`, float32 numbers; with aligned corners they are rounded, else cut off.
    """
    if m < 1:
        raise UnsupportedError("an image resized to nothing", given=m, expected="at least 1")
    scale = np.float32(n - 1) / np.float32(m - 1) if align and m > 1 else np.float32(n) / np.float32(m)
    place = (np.arange(m).astype(np.float32) + np.float32(0.5 * half)) * scale
    index: IntArray = np.clip(np.floor(place + np.float32(0.5)) if align else np.floor(place), 0, n - 1).astype(np.int64)
    if m % n == 0 and np.array_equal(index, np.arange(m) // (m // n)):
        return m // n
    if n % m == 0 and np.array_equal(index, np.arange(m) * (n // m)):
        return -(n // m)
    given = f"{n} to {m} places: {index[:8].tolist()}"
    raise UnsupportedError("a RESIZE_NEAREST_NEIGHBOR by no whole factor", given=given, expected="copies, or every k-th element")
