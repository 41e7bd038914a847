"""What the layers of integer kernels compute: codes put elsewhere or read otherwise, stored multipliers, and staircases by thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import numpy as np

from qspec.network.kernel_layers import Constant, KernelLayer, Multiplier, Pad, Reinterpret, Reshape, Scaling, Thresholds, Transpose
from qspec.semantics.exact import Whole, packed
from qspec.semantics.storing import Channel, StoredCodes, channels_of


def kernel(layer: KernelLayer, x: Sequence[StoredCodes]) -> StoredCodes:
    """Return what a layer of integer kernels makes of the signals that it reads."""
    match layer:
        case Constant(value):
            return StoredCodes(packed(value.codes), channels_of(value.format))
        case Reinterpret(format):
            return StoredCodes(x[0].codes, channels_of(format))
        case Reshape(shape):
            return _moved(x[0], np.arange(x[0].codes.size).reshape(shape))
        case Transpose(axes):
            return _moved(x[0], np.arange(x[0].codes.size).reshape(x[0].codes.shape).transpose(axes))
        case Pad(before, after, code):
            shape = [n + b + a for n, b, a in zip(x[0].codes.shape, before, after, strict=True)]
            codes = np.full(shape, code, dtype=x[0].codes.dtype)
            codes[tuple(slice(b, b + n) for b, n in zip(before, x[0].codes.shape, strict=True))] = x[0].codes
            return StoredCodes(codes, x[0].channels)
        case Multiplier():
            return StoredCodes(multiplied(layer, _integers(x[0])), channels_of(layer.format))
        case Thresholds():
            return StoredCodes(stepped(layer, _integers(x[0])), channels_of(layer.format))
        case _:
            assert_never(layer)


def multiplied(layer: Multiplier, a: Whole) -> Whole:
    """Return the codes of a stored multiplier, number by number in Python's integers, by the definition of each rule."""
    rows = [_repeated(column, a) for column in (layer.multiplier, layer.shift, layer.scaling)]
    least, most = layer.ends
    zero = channels_of(layer.format)[0].zero
    codes = [
        min(max(_scaled(int(v) * 2**layer.left, m, s, rule) + zero, least), most)
        for v, m, s, rule in zip(a.reshape(-1).tolist(), *rows, strict=True)
    ]
    return np.array(codes, dtype=np.int64).reshape(a.shape)


def _scaled(a: int, multiplier: int, shift: int, rule: Scaling) -> int:
    if rule is Scaling.ONCE_UP:
        return (a * multiplier + 2 ** (30 - shift)) // 2 ** (31 - shift)
    if rule is Scaling.ONCE_AWAY:
        return _away(a * multiplier, 31 - shift)
    high = (2 * a * 2 ** max(shift, 0) * multiplier + 2**31) // 2**32
    right = max(-shift, 0)
    match rule:
        case Scaling.AWAY:
            return _away(high, right)
        case Scaling.UP:
            return (2 * high + 2**right) // 2 ** (right + 1)
        case Scaling.FLOOR:
            return high // 2**right
        case _:
            assert_never(rule)


def _away(value: int, bits: int) -> int:
    """Return `value / 2**bits` to the nearest integer, ties away from zero."""
    size = (2 * abs(value) + 2**bits) // 2 ** (bits + 1)
    return -size if value < 0 else size


def stepped(layer: Thresholds, a: Whole) -> Whole:
    """Return the base of each row and how many of its thresholds are at most the number."""
    rows = a.reshape(-1, a.shape[-1])
    columns = range(a.shape[-1])
    picked = [k if layer.base.size > 1 else 0 for k in columns]
    counts = [np.searchsorted(layer.thresholds[p], rows[:, k], side="right") + layer.base[p] for k, p in zip(columns, picked, strict=True)]
    return packed(np.stack(counts, axis=1).reshape(a.shape))


def _integers(x: StoredCodes) -> Whole:
    """Return `code - zero`; a sum that is not stored has no zero."""
    return x.exact.whole


def _moved(x: StoredCodes, index: np.ndarray) -> StoredCodes:
    channels: list[Channel] = list(x.channels)
    if len(channels) > 1:
        channels = [channels[int(k) % len(channels)] for k in index.reshape(-1, index.shape[-1])[0]]
    return StoredCodes(x.codes.reshape(-1)[index], channels)


def _repeated(column: Sequence[object], a: Whole) -> list[object]:
    return [column[k % len(column)] for k in range(a.size)]
