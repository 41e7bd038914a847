"""The points at which a pair of activations can touch a plane, and what they are there.

For coefficients c and multipliers p, `c · (step(a), relu(b)) - p · (a, b)` on the polygon that a region leaves for the sums (a, b) is least
at a corner of the polygon, at an end of a step, or where the real sum is zero: between these it is linear. Long staircases are replaced by
the band of lines half a step above and below, cut where they saturate. Whatever c and p are, the least value over these points is a lower
bound.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.arithmetic.rounding import Rounding
from qspec.engines.difference.aligned_layers import LayerPair
from qspec.engines.difference.joint_bounds import Region
from qspec.engines.outward import Floats
from qspec.ir.staircase import Rescale, climb, reach, restricted

FEW = 3
"""Steps up to which a staircase is taken as it is."""
POINTS = 3 * (2 + 2 * FEW + 6)
"""Candidates of an element."""
CLOSE = 2.0**-30
"""Corners that are this close to an integer, relatively, belong to the steps on both sides of it."""


class Corners(NamedTuple):
    """Candidates (parts, elements, points): sums, bounds of the code, and the real signal."""

    fixed: Floats
    code_low: Floats
    code_high: Floats
    real: Floats
    signal: Floats


class StepLine(NamedTuple):
    """`slope * a + low <= step(a) <= slope * a + high` of quantised elements that need no corners; all (elements,)."""

    slope: Floats
    low: Floats
    high: Floats


def half(steps: Rescale) -> tuple[Floats, Floats]:
    """Return bounds of `round(v) - v` for each element; nothing is rounded where the denominator is 1."""
    match steps.rounding:
        case Rounding.TRN:
            low, high = -1.0, 0.0
        case Rounding.TRN_ZERO:
            low, high = -1.0, 1.0
        case _:
            low, high = -0.5, 0.5
    rounds = steps.denominator > 1
    return np.where(rounds, low, 0.0), np.where(rounds, high, 0.0)


def straight(layer: LayerPair, region: Region) -> tuple[np.ndarray, StepLine]:
    """Return which pairs are linear all over a region, up to rounding, and the lines of the quantised elements of these."""
    steps = layer.steps
    low, high = (climb(steps, v[0].astype(np.int64)) for v in (region.fixed_low, region.fixed_high))
    open_end = Rescale(steps.numerator, steps.offset, steps.denominator, steps.rounding, None, None)
    free = [climb(open_end, v[0].astype(np.int64)) for v in (region.fixed_low, region.fixed_high)]
    constant = low == high
    inside = (free[0] == low) & (free[1] == high) & ((high - low > FEW) | (steps.denominator == 1))
    real = (region.real_low[0] >= 0) | (region.real_high[0] <= 0) | (not layer.relu)
    below, above = half(steps)
    slope = np.where(constant, 0.0, steps.numerator / steps.denominator)
    base = np.where(constant, low, steps.offset / steps.denominator)
    line = StepLine(slope, base + np.where(constant, 0.0, below), base + np.where(constant, 0.0, above))
    return (constant | inside) & real, line


def corners(layer: LayerPair, region: Region, index: IntArray) -> Corners:
    """List the candidates of the elements `index` of a layer in a region, which has bounds of these elements only."""
    steps, scale = restricted(layer.steps, index), layer.scale[index][:, None]
    f0, f1, r0, r1, d0, d1 = (v[..., None] for v in region)
    ends, low, high = _ends(steps, region)
    turn = np.concatenate([r0 + d0, r0 + d1, r1 + d0, r1 + d1, d0, d1], axis=-1) / scale
    turn = np.clip(turn, f0, f1)
    turn_low, turn_high = _codes(steps, turn, region)
    a = np.concatenate([ends, turn], axis=-1)
    code_low, code_high = np.concatenate([low, turn_low], axis=-1), np.concatenate([high, turn_high], axis=-1)
    middle = scale * a
    least = np.minimum(np.maximum(r0, middle - d1), r1)
    most = np.maximum(np.minimum(r1, middle - d0), r0)
    real = np.concatenate([least, most, np.clip(0.0, np.minimum(least, most), most)], axis=-1)
    signal = np.maximum(real, 0.0) if layer.relu else real
    a, code_low, code_high = (np.concatenate([v, v, v], axis=-1) for v in (a, code_low, code_high))
    return Corners(a, code_low, code_high, real, signal)


def _ends(steps: Rescale, region: Region) -> tuple[Floats, Floats, Floats]:
    """Return where steps end, or the band and the saturated parts, with bounds of the codes there; (parts, elements, points)."""
    low, high = region.fixed_low.astype(np.int64), region.fixed_high.astype(np.int64)
    first, last = climb(steps, low), climb(steps, high)
    few = last - first <= FEW
    codes = np.minimum(first[..., None] + np.arange(1, FEW + 1), last[..., None])
    codes[..., 1:][~few] = last[..., None].repeat(FEW - 1, axis=-1)[~few]  # of a long one: the first step, and the last
    starts = _reach(steps, codes)
    rising = (last > first)[..., None]
    listed = np.concatenate(
        [low[..., None], high[..., None], np.where(rising, starts - 1, low[..., None]), np.where(rising, starts, low[..., None])], -1
    )
    points = np.clip(listed, low[..., None], high[..., None])
    exact = climb(steps, np.moveaxis(points, -1, 0))
    values = np.moveaxis(exact, 0, -1).astype(np.float64)
    band = _band(steps, points.astype(np.float64))
    long = ~few[..., None] & (values > _floor(steps, first)[..., None]) & (values < _ceiling(steps, last)[..., None])
    return points.astype(np.float64), np.where(long, band[0], values), np.where(long, band[1], values)


def _codes(steps: Rescale, at: Floats, region: Region) -> tuple[Floats, Floats]:
    """Return bounds of the codes near corners that need not be integers."""
    near = CLOSE * (1 + np.abs(at))
    f0, f1 = region.fixed_low[..., None], region.fixed_high[..., None]
    ends = [np.clip(e, f0, f1).astype(np.int64) for e in (np.floor(at - near), np.ceil(at + near))]
    low, high = (np.moveaxis(climb(steps, np.moveaxis(e, -1, 0)), 0, -1).astype(np.float64) for e in ends)
    first, last = climb(steps, region.fixed_low.astype(np.int64)), climb(steps, region.fixed_high.astype(np.int64))
    long = (last - first > FEW)[..., None] & (high > _floor(steps, first)[..., None]) & (low < _ceiling(steps, last)[..., None])
    band = _band(steps, at)
    return np.where(long, np.minimum(low, band[0]), low), np.where(long, np.maximum(high, band[1]), high)


def _floor(steps: Rescale, first: IntArray) -> Floats:
    """Return the code at and below which a staircase is flat, or one that no code reaches."""
    return np.full(first.shape, -np.inf) if steps.lower is None else np.broadcast_to(steps.lower, first.shape).astype(np.float64)


def _ceiling(steps: Rescale, last: IntArray) -> Floats:
    return np.full(last.shape, np.inf) if steps.upper is None else np.broadcast_to(steps.upper, last.shape).astype(np.float64)


def _band(steps: Rescale, at: Floats) -> tuple[Floats, Floats]:
    """Return the lines below and above a staircase that does not saturate."""
    below, above = half(steps)
    line = (steps.numerator[:, None] * at + steps.offset[:, None]) / steps.denominator[:, None]
    return line + below[:, None], line + above[:, None]


def _reach(steps: Rescale, codes: IntArray) -> IntArray:
    """Return the least arguments of codes (parts, elements, k)."""
    flat = np.moveaxis(codes, 1, 0)
    found = reach(steps, flat.reshape(codes.shape[1], codes.shape[0] * codes.shape[2]))
    return np.moveaxis(found.reshape(flat.shape), 0, 1)
