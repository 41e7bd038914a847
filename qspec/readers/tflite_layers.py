"""Operators of TensorFlow Lite in terms of layers that know nothing of them: tables, products with constants, images enlarged by copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from qspec.arithmetic.formats import Affine, Fixed
from qspec.arithmetic.integers import IntArray, integers
from qspec.arithmetic.tensor import Tensor
from qspec.network.activations import Lookup
from qspec.network.graph import Signal, apply
from qspec.network.kernel_layers import Multiplier, Reinterpret, Reshape, Scaling, Thresholds, Transpose
from qspec.network.layers import Add, Concat, Conv2D, Requantize
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
    kernel = Tensor(integers(factors.reshape(1, 1, 1, channels)), Fixed(18, 0))
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
        unit = Affine(out.width, out.signed, Fraction(1), 0)
        x = apply(_cut(unit, *ends), apply(Reinterpret(unit), x))
    return apply(Reinterpret(out.format), x)


def shifted(x: Signal, out: Quantized) -> Signal:
    """Return integers with the zero point of a format added."""
    return apply(_cut(out.format, *out.ends), x)


def by_channel(stored: IntArray, shape: tuple[int, ...]) -> IntArray | None:
    """Return the numbers of a constant by the last axis of a signal, None if it has others or does not broadcast."""
    axes = stored.shape[-len(shape) :]
    if any(n != 1 for n in (*stored.shape[: -len(shape)], *axes[:-1])) or (axes and axes[-1] not in (1, shape[-1])):
        return None
    return np.broadcast_to(stored.reshape(-1), (shape[-1],)).astype(np.int64)


def resized(x: Signal, rows: IntArray, columns: IntArray, name: str) -> Signal:
    """Return the exact sums of an image's codes with whole weights along height and width, each of shape (places, new places)."""
    high = apply(Transpose((2, 1, 0)), _along_last(apply(Transpose((2, 1, 0)), x), rows, f"{name}_rows"))
    return apply(Transpose((0, 2, 1)), _along_last(apply(Transpose((0, 2, 1)), high), columns, f"{name}_columns"))


def _along_last(x: Signal, weights: IntArray, name: str) -> Signal:
    kernel = Tensor(integers(weights[None, None]), Fixed(13, 0))
    return apply(Conv2D(kernel, name=name), x)


def one_hot(places: IntArray, n: int) -> IntArray:
    """Return the weights that put each of these places of `n` where it stands: 1 in every column."""
    return (np.arange(n)[:, None] == places).astype(np.int64)
