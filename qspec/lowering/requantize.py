"""From an exact accumulator to the codes of a format: activation, one rounding, one overflow, as staircases.

With accumulator value `u * a` and output value `s * (code - z)`, the code before overflow is `round(f(u * a) / s) + z`. Rounding is
monotone, so clamping before it (ReLU-N, hard tanh) equals clamping after it at the rounded ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import lcm
from typing import assert_never

import numpy as np

from qspec.arithmetic.formats import Format, PerChannel, code_range
from qspec.arithmetic.integers import IntArray, integers
from qspec.arithmetic.rounding import Overflow, Rounding, round_ratio
from qspec.arithmetic.transcendental import thresholds
from qspec.ir import linear
from qspec.ir.integer import Staircase
from qspec.ir.integer_builder import Builder
from qspec.ir.staircase import Rescale
from qspec.network.activations import Activation, HardSigmoid, HardTanh, LeakyReLU, Linear, Lookup, ReLU, Sigmoid, Sign, Tanh


@dataclass(frozen=True, slots=True)
class Requantized:
    """Nodes of one requantisation: the code, and the code before overflow, which is added when it is asked for."""

    code: int
    rounded: Callable[[], int]


def requantize(builder: Builder, node: int, units: np.ndarray, fmt: Format, shape: tuple[int, ...], activation: Activation) -> Requantized:
    """Add the staircases from an accumulator (value `units * node`, one unit or one per entry of the last axis) to the codes of `fmt`."""
    grid = fmt.grid()
    grid.check(shape)
    lower, upper = code_range(fmt, shape)
    zeros = _tiled(integers(grid.zeros), lower.size)
    if isinstance(activation, Lookup):
        return _lookup(builder, node, units, shape, activation)
    count = max(len(units), grid.channels)
    found = _activate(builder, node, _tiled(units, count), _tiled(np.array(grid.units, dtype=object), count), fmt.rounding, activation)

    @cache
    def rounded() -> int:
        return _shifted(builder, _added(builder, found), zeros)

    if fmt.overflow in (Overflow.SAT, Overflow.SAT_SYM):
        return Requantized(_shifted(builder, _saturate(builder, found, lower - zeros, upper - zeros), zeros), rounded)
    return Requantized(_overflow(builder, rounded(), lower, upper, fmt), rounded)


def _tiled(values: np.ndarray, size: int) -> np.ndarray:
    """Return one value for each of `size` elements, of one for each channel."""
    return values if len(values) == size else np.tile(values, (size // len(values), *[1] * (values.ndim - 1)))


def _shifted(builder: Builder, node: int, zeros: IntArray) -> int:
    return builder.scale(node, 1, zeros) if np.any(zeros != 0) else node


def _added(builder: Builder, found: Staircase | int) -> int:
    """Return the node of a staircase, which is added now."""
    return found if isinstance(found, int) else builder.add(found, builder.size(found.argument))


def _activate(
    builder: Builder, node: int, units: np.ndarray, out: np.ndarray, rounding: Rounding, activation: Activation
) -> Staircase | int:
    """Return `round(f(units * node) / out)`, not yet saturated, by units of channels: a node, or a staircase that is not added yet."""
    match activation:
        case Linear():
            return _affine(builder, node, units / out, rounding)
        case ReLU(maximum):
            upper = None if maximum is None else _rounded(maximum / out, rounding)
            return _affine(builder, node, units / out, rounding, lower=np.zeros(out.size, dtype=np.int64), upper=upper)
        case LeakyReLU(slope):
            positive = _added(builder, _affine(builder, node, units / out, rounding))
            if slope == 0:
                return builder.clamp(positive, 0, None)
            negative = _added(builder, _affine(builder, node, units * slope / out, rounding))
            n = builder.size(node)
            both = builder.affine(
                [(linear.placement(np.arange(n), 2 * n), positive), (linear.placement(np.arange(n) + n, 2 * n), negative)]
            )
            return builder.maximum(both, np.stack([np.arange(n), np.arange(n) + n], axis=1))
        case Sign():
            high, low = (_tiled(_rounded(end / out, rounding), builder.size(node)) for end in (1, -1))
            return builder.scale(builder.steps(node, 0, [0]), high - low, low)
        case HardTanh():
            return _affine(builder, node, units / out, rounding, lower=_rounded(-1 / out, rounding), upper=_rounded(1 / out, rounding))
        case HardSigmoid(slope, offset):
            zero = np.zeros(out.size, dtype=np.int64)
            return _affine(builder, node, units * slope / out, rounding, offset=offset / out, lower=zero, upper=_rounded(1 / out, rounding))
        case Sigmoid(table) | Tanh(table):
            if table is not None:
                node = requantize(builder, node, units, table, (builder.size(node),), Linear()).code
                units = np.full(units.size, table.unit, dtype=object)
            return _transcendental(builder, node, units, out, rounding, activation)
        case Lookup():
            raise AssertionError("tables are handled before")
        case _:
            assert_never(activation)


def _affine(
    builder: Builder,
    node: int,
    ratio: np.ndarray,
    rounding: Rounding,
    *,
    offset: np.ndarray | None = None,
    lower: IntArray | None = None,
    upper: IntArray | None = None,
) -> Staircase:
    """Return `clamp(round(ratio * node + offset), lower, upper)`, parameters given by channel."""
    offsets = [Fraction(0)] * ratio.size if offset is None else [Fraction(o) for o in offset]
    rows: list[tuple[int, int, int]] = []
    for r, o in zip((Fraction(r) for r in ratio), offsets, strict=True):
        shared = lcm(r.denominator, o.denominator)
        rows.append((int(r * shared), int(o * shared), shared))
    size = builder.size(node)
    numerator, shift, denominator = (_tiled(integers(column), size) for column in np.array(rows, dtype=object).reshape(-1, 3).T)
    ends = [None if end is None else _tiled(end, size) for end in (lower, upper)]
    return Staircase(node, Rescale(numerator, shift, denominator, rounding, ends[0], ends[1]))


def _rounded(ratio: np.ndarray, rounding: Rounding) -> IntArray:
    numerators = np.array([Fraction(r).numerator for r in ratio], dtype=object)
    denominators = np.array([Fraction(r).denominator for r in ratio], dtype=object)
    return integers(round_ratio(numerators, denominators, rounding))


def _transcendental(builder: Builder, node: int, units: np.ndarray, out: np.ndarray, rounding: Rounding, activation: Sigmoid | Tanh) -> int:
    function = "sigmoid" if isinstance(activation, Sigmoid) else "tanh"
    chosen = [thresholds(function, unit, own, rounding) for unit, own in zip(units, out, strict=True)]
    width = max(t.size for _, t in chosen)
    if any(t.size < width for _, t in chosen):
        # channels with fewer steps than others get thresholds that a clamped argument never reaches
        most = max(int(t.max()) for _, t in chosen if t.size)
        node = builder.clamp(node, None, most)
        chosen = [(base, np.append(t, integers([most + 1] * (width - t.size)))) for base, t in chosen]
    size = builder.size(node)
    return builder.steps(node, _tiled(integers([base for base, _ in chosen]), size), _tiled(np.stack([t for _, t in chosen]), size))


def _lookup(builder: Builder, node: int, units: np.ndarray, shape: tuple[int, ...], activation: Lookup) -> Requantized:
    index = requantize(builder, node, units, activation.input, shape, Linear()).code
    code = builder.table(index, activation.input.lower, activation.outputs.codes)
    return Requantized(code, lambda: code)


def _saturate(builder: Builder, found: Staircase | int, lower: IntArray, upper: IntArray) -> int:
    """Add `clamp(found, lower, upper)`, as one staircase with the rescaling that it follows."""
    match found:
        case Staircase(argument, Rescale(numerator, offset, denominator, rounding, least, most)):
            ends = (lower if least is None else np.clip(least, lower, upper), upper if most is None else np.clip(most, lower, upper))
            return _added(builder, Staircase(argument, Rescale(numerator, offset, denominator, rounding, *ends)))
        case _:
            return builder.clamp(_added(builder, found), lower, upper)


def _overflow(builder: Builder, node: int, lower: IntArray, upper: IntArray, fmt: Format) -> int:
    match fmt.overflow:
        case Overflow.SAT | Overflow.SAT_SYM:
            return builder.clamp(node, lower, upper)
        case Overflow.WRAP:
            parts = fmt.formats if isinstance(fmt, PerChannel) else (fmt,)
            widths = np.tile(integers([p.width for p in parts]), lower.size // len(parts))
            if len({p.signed for p in parts}) == 1:
                return builder.wrap(node, widths, parts[0].signed)
            return builder.scale(builder.wrap(builder.scale(node, 1, -lower), widths, False), 1, lower)
        case Overflow.SAT_ZERO:
            clamped = builder.clamp(node, lower - 1, upper + 1)
            above = builder.steps(clamped, 0, (upper + 1)[:, None])
            inside_or_above = builder.steps(clamped, 0, lower[:, None])
            n = lower.size
            terms = [(linear.identity(n), clamped), (linear.diagonal(-(upper + 1)), above), (linear.diagonal(lower - 1), inside_or_above)]
            return builder.affine(terms, -(lower - 1))
        case _:
            assert_never(fmt.overflow)
