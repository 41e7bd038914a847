"""The layers of integer kernels as integer operations."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray, integers
from qspec.arithmetic.rounding import Rounding
from qspec.ir import linear
from qspec.ir.integer_builder import Builder
from qspec.network.kernel_layers import Constant, KernelLayer, Multiplier, Pad, Reinterpret, Reshape, Scaling, Thresholds, Transpose
from qspec.network.types import Type


def lower_kernel(builder: Builder, layer: KernelLayer, types: Sequence[Type], x: Sequence[int]) -> int:
    """Add what a layer makes of its arguments; returns the node of its codes."""
    match layer:
        case Constant(value):
            return builder.constant(value.codes)
        case Reinterpret() | Reshape():
            return x[0]
        case Transpose():
            return builder.select(x[0], np.arange(types[0].size).reshape(types[0].shape).transpose(layer.axes).reshape(-1))
        case Pad():
            return _padded(builder, layer, types[0], x[0])
        case Multiplier():
            return _multiplied(builder, layer, types[0].size, _centred(builder, types[0], x[0]))
        case Thresholds():
            return _stepped(builder, layer, types[0].size, _centred(builder, types[0], x[0]))
        case _:
            assert_never(layer)


def _centred(builder: Builder, x: Type, node: int) -> int:
    """Add `code - zero`, which is the code where the zero is zero."""
    return builder.scale(node, 1, -np.tile(integers(x.grid.zeros), x.size // x.grid.channels)) if any(x.grid.zeros) else node


def _padded(builder: Builder, layer: Pad, x: Type, node: int) -> int:
    """Add the elements with constants around them."""
    index = np.pad(np.arange(x.size).reshape(x.shape), list(zip(layer.before, layer.after, strict=True)), constant_values=-1).reshape(-1)
    inside = np.flatnonzero(index >= 0)
    return builder.affine([(linear.placement(inside, index.size), node)], np.where(index >= 0, 0, layer.code))


def _multiplied(builder: Builder, layer: Multiplier, size: int, node: int) -> int:
    """Add the codes of a stored multiplier for integers in `node`: one staircase where roundings merge, else two."""
    parts = [_stages(m, s, rule, layer) for m, s, rule in _rows(layer)]
    first, second = (np.array([p[k] for p in parts], dtype=object) for k in (0, 1))
    repeat = size // len(parts)
    zero = _zero(layer)
    least, most = (end - zero for end in layer.ends)
    dead = np.array([m == 0 for m, _, _ in _rows(layer)])
    fixed = min(max(0, least), most)
    ends = {"lower": np.tile(np.where(dead, fixed, least), repeat), "upper": np.tile(np.where(dead, fixed, most), repeat)}
    numerator, offset, denominator = (np.tile(integers(column), repeat) for column in first.T)
    if all(p[1] == (1, 1) for p in parts):
        code = builder.rescale(node, numerator, denominator, Rounding.TRN, offset=offset, **ends)
    else:
        if any(p[0] != (1, 0, 1) for p in parts):
            node = builder.rescale(node, numerator, denominator, Rounding.TRN, offset=offset)
        up, down = (np.tile(integers(column), repeat) for column in second.T)
        code = builder.rescale(node, up, down, Rounding.RND_INF, **ends)
    return builder.scale(code, 1, zero) if zero else code


def _stepped(builder: Builder, layer: Thresholds, size: int, node: int) -> int:
    """Add a staircase by its thresholds, one row per channel."""
    repeat = size // layer.base.size
    rows: IntArray = np.tile(layer.thresholds, (repeat, 1))
    return builder.steps(node, np.tile(layer.base, repeat), rows)


def _zero(layer: Multiplier) -> int:
    return layer.format.grid().zeros[0]


def _rows(layer: Multiplier) -> list[tuple[int, int, Scaling]]:
    n = layer.entries
    columns = (c if len(c) == n else c * n for c in (layer.multiplier, layer.shift, layer.scaling))
    return list(zip(*columns, strict=True))


def _stages(multiplier: int, shift: int, rule: Scaling, layer: Multiplier) -> tuple[tuple[int, int, int], tuple[int, int]]:
    """Return both stages with the floor in lowest terms: numbers as small as scales that are powers of two allow.

    `floor((g n a + o) / (g d))` is `floor((n a + floor(o / g)) / d)`, because nested floors merge.
    """
    (numerator, offset, denominator), second = _stages_as_stored(multiplier, shift, rule, layer)
    common = gcd(numerator, denominator)
    return (numerator // common, offset // common, denominator // common), second


def _stages_as_stored(multiplier: int, shift: int, rule: Scaling, layer: Multiplier) -> tuple[tuple[int, int, int], tuple[int, int]]:
    """Return (numerator, offset, denominator) of a floor and (numerator, denominator) of a rounding with ties away from zero after it.

    Nested floors merge: with `h = floor((a m + 2**30) / 2**31)` and a shift of `e` to the right, `floor((h + 2**(e-1)) / 2**e)` is
    `floor((a m + 2**30 + 2**(30 + e)) / 2**(31 + e))`. Ties away and ties up differ only below zero, where a lower end cuts both off.
    """
    if multiplier == 0:
        return (1, 0, 1), (1, 1)
    left, right = max(shift, 0), max(-shift, 0)
    scaled = multiplier << (left + layer.left)
    up = ((scaled, (1 << 30) + (1 << (30 + right) if right else 0), 1 << (31 + right)), (1, 1))
    match rule:
        case Scaling.UP:
            return up
        case Scaling.FLOOR:
            return (scaled, 1 << 30, 1 << (31 + right)), (1, 1)
        case Scaling.AWAY:
            if right == 0 or layer.ends[0] >= _zero(layer):
                return up
            return (scaled, 1 << 30, 1 << 31), (1, 1 << right)
        case Scaling.ONCE_UP:
            return (multiplier << layer.left, 1 << (30 - shift), 1 << (31 - shift)), (1, 1)
        case Scaling.ONCE_AWAY:
            return (1, 0, 1), (multiplier << layer.left, 1 << (31 - shift))
        case _:
            assert_never(rule)
