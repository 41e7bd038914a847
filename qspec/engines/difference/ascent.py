"""Multipliers: where they start, and how they climb (Adam, the best kept)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qspec.deadline import NEVER, Deadline
from qspec.engines.difference.dual import Both, Goal, LayerFacts, PartBatch, RowBound, evaluate, gradient, through
from qspec.engines.difference.joint_bounds import Region
from qspec.engines.outward import Floats
from qspec.ir.staircase import climb, restricted


class BestMultipliers(NamedTuple):
    """The best multipliers of each row, and the pass that gave its bound."""

    multipliers: tuple[Both, ...]
    bound: RowBound
    sums: tuple[Both, ...]
    """Sums of free pairs, averaged over the second half of the steps: nearly those of a solution of the relaxation; none without steps."""


def start(known: tuple[LayerFacts, ...], regions: tuple[Region, ...], goal: Goal) -> tuple[Both, ...]:
    """Return multipliers of free pairs for regions (parts, free), parts being 1 or as many as rows.

    What both have in common of opposite coefficients goes by the slope that is best for the difference, the rest by the slopes of CROWN.
    """
    c = goal.coefficients
    found: list[Both] = []
    for k, region in zip(reversed(known), reversed(regions), strict=True):
        fixed, real = c[0] * k.line.slope, c[1] * k.passes
        p = _slopes(k, region, (c[0][:, k.free], c[1][:, k.free]))
        fixed[:, k.free], real[:, k.free] = p
        found.append(p)
        c, _, _ = through(k.layer, (fixed, real), k.weights)
    return tuple(reversed(found))


def _slopes(k: LayerFacts, r: Region, c: Both) -> Both:
    steps, scale = restricted(k.layer.steps, k.free), k.layer.scale[k.free]
    rate = steps.numerator / steps.denominator
    low, high = (climb(steps, v.astype(np.int64)).astype(np.float64) for v in (r.fixed_low, r.fixed_high))
    chord = (high - low) / np.maximum(r.fixed_high - r.fixed_low, 1.0)
    below = np.where(high - low >= rate * (r.fixed_high - r.fixed_low) / 2, rate, 0.0)
    top = np.maximum(r.real_high, 0.0)
    real_chord = np.where(r.real_low >= 0, 1.0, top / np.maximum(r.real_high - r.real_low, 1e-300)) if k.layer.relu else np.ones(top.shape)
    real_below = (real_chord >= 0.5).astype(np.float64)
    ours, theirs = c[0] * rate / scale, c[1]  # in units of the real sums
    common = np.where(ours * theirs < 0, np.minimum(np.abs(ours), np.abs(theirs)), 0.0) * np.sign(ours)
    spread = np.maximum(r.apart_high - r.apart_low, 1e-300)
    share = np.clip(np.where(common > 0, -r.apart_low, r.apart_high) / spread, 0.0, 1.0)
    both = np.where(chord >= rate * (1 - 1e-9), 1.0, np.where(real_chord >= 1, np.maximum(share, 0.5), share))
    rest_ours, rest_theirs = ours - common, theirs + common
    fixed = common * both * scale + rest_ours * scale / rate * np.where(rest_ours > 0, below, chord)
    real = -common * both + rest_theirs * np.where(rest_theirs > 0, real_below, real_chord)
    return fixed, real


def maximize_dual(
    known: tuple[LayerFacts, ...],
    parts: PartBatch,
    goal: Goal,
    multipliers: tuple[Both, ...],
    steps: int,
    rate: float = 0.1,
    last: float = 0.05,
    *,
    deadline: Deadline = NEVER,
) -> BestMultipliers:
    """Climb so many steps from these multipliers; the size of steps falls from `rate` to `rate * last` of the typical multiplier.

    Raises OutOfTime at the deadline.
    """
    p = [(a.copy(), b.copy()) for a, b in multipliers]
    sizes = [_typical(k, m) for k, m in zip(known, p, strict=True)]
    first = [[np.zeros_like(v) for v in m] for m in p]
    second = [[np.zeros_like(v) for v in m] for m in p]
    best = evaluate(known, parts, goal, tuple(p))
    kept = tuple(p)
    bound = best
    top = best.value
    total: tuple[Both, ...] | None = None
    for t in range(1, steps + 1):
        deadline.check()
        slopes, sums = gradient(known, parts, bound)
        if 2 * t > steps:
            total = _sum(total, _free(known, sums))
        size = rate * last ** (t / steps)
        moved: list[Both] = []
        for k, m, g, u, v, s in zip(known, p, slopes, first, second, sizes, strict=True):
            unit = (k.layer.scale[k.free], 1.0)
            new: list[Floats] = []
            for side in (0, 1):
                step = g[side] * unit[side]
                u[side] = 0.9 * u[side] + 0.1 * step
                v[side] = 0.99 * v[side] + 0.01 * step * step
                direction = u[side] / (1 - 0.9**t) / (np.sqrt(v[side] / (1 - 0.99**t)) + 1e-12)
                new.append(m[side] + size * s * unit[side] * direction)
            moved.append((new[0], new[1]))
        p = moved
        bound = evaluate(known, parts, goal, tuple(p))
        better = bound.value > top
        if better.any():
            rows = better[:, None]
            kept = tuple((np.where(rows, a, c), np.where(rows, b, d)) for (a, b), (c, d) in zip(p, kept, strict=True))
            top = np.where(better, bound.value, top)
    if total is None:
        return BestMultipliers(kept, best, ())
    count = steps - steps // 2
    return BestMultipliers(kept, evaluate(known, parts, goal, kept), tuple((a / count, b / count) for a, b in total))


def _free(known: tuple[LayerFacts, ...], sums: tuple[Both, ...]) -> tuple[Both, ...]:
    """Return the sums of free pairs."""
    return tuple((a[:, k.free], b[:, k.free]) for k, (a, b) in zip(known, sums, strict=True))


def _sum(total: tuple[Both, ...] | None, new: tuple[Both, ...]) -> tuple[Both, ...]:
    """Add sums, layer by layer."""
    return new if total is None else tuple((a + c, b + d) for (a, b), (c, d) in zip(total, new, strict=True))


def _typical(k: LayerFacts, p: Both) -> Floats:
    """Return the mean magnitude of the multipliers of a layer, in units of the real sums, (rows, 1)."""
    if not k.free.size:
        return np.ones((p[0].shape[0], 1))
    return np.maximum((np.abs(p[0]) / k.layer.scale[k.free] + np.abs(p[1])).mean(-1, keepdims=True) / 2, 1e-12)
