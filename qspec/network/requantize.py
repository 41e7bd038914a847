"""From an exact accumulator to the codes of a format: activation, one rounding, one overflow, as staircases.

With accumulator value `u * a` and output value `s * (code - z)`, the code before overflow is `round(f(u * a) / s) + z`. Rounding is
monotone,
so clamping before it (ReLU-N, hard tanh) equals clamping after it at the rounded ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import assert_never

import numpy as np

from qspec import linear
from qspec.builder import Builder
from qspec.formats import Format, PerChannel, code_range
from qspec.integers import IntArray, integers
from qspec.ir import Staircase
from qspec.network.activations import Activation, HardSigmoid, HardTanh, LeakyReLU, Linear, Lookup, ReLU, Sigmoid, Sign, Tanh
from qspec.network.transcendental import thresholds
from qspec.rounding import Overflow, Rounding, round_ratio
from qspec.staircase import Rescale


@dataclass(frozen=True, slots=True)
class Requantized:
    """Nodes of one requantisation: the code before overflow, and the code."""

    rounded: int
    code: int


def requantize(builder: Builder, node: int, units: np.ndarray, fmt: Format, shape: tuple[int, ...], activation: Activation) -> Requantized:
    """Add the staircases from an accumulator (value `units * node`, per element) to the codes of `fmt`."""
    out_units, zeros = fmt.grid().per_element(shape)
    lower, upper = code_range(fmt, shape)
    zero_codes = integers(zeros)
    if isinstance(activation, Lookup):
        return _lookup(builder, node, units, shape, activation)
    rounded = _activate(builder, node, units, out_units, fmt.rounding, activation)
    shifted = builder.scale(rounded, 1, zero_codes) if np.any(zero_codes != 0) else rounded
    if fmt.overflow in (Overflow.SAT, Overflow.SAT_SYM):
        code = _saturate(builder, rounded, lower - zero_codes, upper - zero_codes)
        return Requantized(shifted, builder.scale(code, 1, zero_codes) if np.any(zero_codes != 0) else code)
    return Requantized(shifted, _overflow(builder, shifted, lower, upper, fmt))


def _activate(builder: Builder, node: int, units: np.ndarray, out: np.ndarray, rounding: Rounding, activation: Activation) -> int:
    """Add `round(f(units * node) / out)`, not yet saturated."""
    match activation:
        case Linear():
            return _affine(builder, node, units / out, rounding)
        case ReLU(maximum):
            upper = None if maximum is None else _rounded(maximum / out, rounding)
            return _affine(builder, node, units / out, rounding, lower=np.zeros(out.size, dtype=np.int64), upper=upper)
        case LeakyReLU(slope):
            positive = _affine(builder, node, units / out, rounding)
            if slope == 0:
                return builder.clamp(positive, 0, None)
            negative = _affine(builder, node, units * slope / out, rounding)
            n = out.size
            both = builder.affine(
                [(linear.placement(np.arange(n), 2 * n), positive), (linear.placement(np.arange(n) + n, 2 * n), negative)]
            )
            return builder.maximum(both, np.stack([np.arange(n), np.arange(n) + n], axis=1))
        case Sign():
            high, low = _rounded(1 / out, rounding), _rounded(-1 / out, rounding)
            return builder.scale(builder.steps(node, 0, [0]), high - low, low)
        case HardTanh():
            return _affine(builder, node, units / out, rounding, lower=_rounded(-1 / out, rounding), upper=_rounded(1 / out, rounding))
        case HardSigmoid(slope, offset):
            zero = np.zeros(out.size, dtype=np.int64)
            return _affine(builder, node, units * slope / out, rounding, offset=offset / out, lower=zero, upper=_rounded(1 / out, rounding))
        case Sigmoid(table) | Tanh(table):
            if table is not None:
                node = requantize(builder, node, units, table, (units.size,), Linear()).code
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
) -> int:
    """Add `clamp(round(ratio * node + offset), lower, upper)`."""
    offsets = np.zeros(ratio.size, dtype=object) if offset is None else offset
    shared = {pair: lcm(Fraction(pair[0]).denominator, Fraction(pair[1]).denominator) for pair in set(zip(ratio, offsets, strict=True))}
    denominators = integers([shared[p] for p in zip(ratio, offsets, strict=True)])
    numerators = integers([int(r * shared[r, o]) for r, o in zip(ratio, offsets, strict=True)])
    shifts = integers([int(o * shared[r, o]) for r, o in zip(ratio, offsets, strict=True)])
    return builder.rescale(node, numerators, denominators, rounding, offset=shifts, lower=lower, upper=upper)


def _rounded(ratio: np.ndarray, rounding: Rounding) -> IntArray:
    numerators = np.array([Fraction(r).numerator for r in ratio], dtype=object)
    denominators = np.array([Fraction(r).denominator for r in ratio], dtype=object)
    return integers(round_ratio(numerators, denominators, rounding))


def _transcendental(builder: Builder, node: int, units: np.ndarray, out: np.ndarray, rounding: Rounding, activation: Sigmoid | Tanh) -> int:
    function = "sigmoid" if isinstance(activation, Sigmoid) else "tanh"
    ladders = {key: thresholds(function, key[0], key[1], rounding) for key in set(zip(units, out, strict=True))}
    width = max(t.size for _, t in ladders.values())
    chosen = [ladders[key] for key in zip(units, out, strict=True)]
    if any(t.size < width for _, t in chosen):
        # channels with fewer steps than others get thresholds that a clamped argument never reaches
        most = max(int(t.max()) for _, t in chosen if t.size)
        node = builder.clamp(node, None, most)
        chosen = [(base, np.append(t, integers([most + 1] * (width - t.size)))) for base, t in chosen]
    return builder.steps(node, [base for base, _ in chosen], np.stack([t for _, t in chosen]))


def _lookup(builder: Builder, node: int, units: np.ndarray, shape: tuple[int, ...], activation: Lookup) -> Requantized:
    index = requantize(builder, node, units, activation.input, shape, Linear()).code
    code = builder.table(index, activation.input.lower, activation.outputs.codes)
    return Requantized(code, code)


def _saturate(builder: Builder, node: int, lower: IntArray, upper: IntArray) -> int:
    """Add `clamp(node, lower, upper)`, as one staircase with the rescaling that it follows."""
    match builder.program_node(node):
        case Staircase(argument, Rescale() as s):
            ends = (
                lower if s.lower is None else np.clip(s.lower, lower, upper),
                upper if s.upper is None else np.clip(s.upper, lower, upper),
            )
            return builder.rescale(argument, s.numerator, s.denominator, s.rounding, offset=s.offset, lower=ends[0], upper=ends[1])
        case _:
            return builder.clamp(node, lower, upper)


def _overflow(builder: Builder, node: int, lower: IntArray, upper: IntArray, fmt: Format) -> int:
    match fmt.overflow:
        case Overflow.SAT | Overflow.SAT_SYM:
            return _saturate(builder, node, lower, upper)
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
