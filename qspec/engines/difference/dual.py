"""A lower bound of a combination of outputs of both networks: backwards through all layers at once, for any multipliers.

`min of c · y` over inputs x, sums a and signals y is at least

    sum over layers of  min over the pairs' polygons of (c · y - p · a)  +  p · bias  +  min over x of (p · matrix) · x

where `p` are multipliers of the sums of a layer, free numbers, and `c = p · matrix` are the coefficients of the signals before it. Both
copies of the input have one x, so that their coefficients cancel. The bound is concave in all multipliers, and its gradient is what one
pass forward through the minimisers gives. Source: Lagrangian duals of networks, Dvijotham et al. 2018, with the polygon of a pair of
activations in the place of one; joint bounds of two networks: Paulsen, Wang, Wang 2020 (ReluDiff), Zhang, Song, Sun 2023 (QEBVerif).

Rounding: coefficients are doubles that are meant exactly, so what has to be paid for is by how much they differ from `p · matrix`, the
rounding of candidates and of sums. Each is at most (a few + the terms of a sum) units of the magnitudes of what was summed up, which
`RowBound.spent` collects: `|c| |y|` and `|p| |a|` of pairs, and `|p| (|matrix| |y| + |bias|)`. With u = 2^-53 and sums of n terms, in any
order and fused or not (Higham 2002, 3.1): (n + 4) u for the coefficients, with the matrix rounded once, n u for `p · bias`, 16 u for a
candidate, 3 n u for the sum of the least values, 2 n u for the inputs. `certain` subtracts (8 n + 512) u.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.engines.difference.aligned_layers import LayerPair
from qspec.engines.difference.joint_bounds import Region
from qspec.engines.difference.vertices import POINTS, Corners, StepLine, corners, straight
from qspec.engines.outward import UNIT, Floats
from qspec.ir.staircase import climb

FLUSHED = 2.0**-900
"""More than all numbers that are flushed to zero."""
NUMBERS, FREE, SHARED, OWN = 20, 40, 5, 16
"""Doubles that a row of an ascent takes about: of each element, of each free pair, and of each candidate, shared by all rows or its own."""
Both = tuple[Floats, Floats]
"""Coefficients, multipliers or values of the quantised and of the real network, (rows, elements) each."""


@dataclass(frozen=True, slots=True, eq=False)
class LayerFacts:
    """A layer in a region: which pairs need corners (`free`), lines of the others, and the largest magnitudes of everything."""

    layer: LayerPair
    region: Region
    free: IntArray
    line: StepLine
    passes: Floats
    """Slope of the real activation of the others: 0 or 1."""
    sums: Both
    """Largest magnitudes of the sums."""
    signals: Both
    """Largest magnitudes of codes and real signals."""
    weights: Both
    """What the magnitude of a sum is at most made of: `|matrix| |y| + |bias|`."""


def know(layer: LayerPair, region: Region, weights: Both) -> LayerFacts:
    """Return what the dual needs of a layer in a region (1, n)."""
    linear, line = straight(layer, region)
    ends = [np.abs(climb(layer.steps, v[0].astype(np.int64))).astype(np.float64) for v in (region.fixed_low, region.fixed_high)]
    fixed = np.maximum(np.abs(region.fixed_low), np.abs(region.fixed_high))[0]
    real = np.maximum(np.abs(region.real_low), np.abs(region.real_high))[0]
    passes = ((region.real_low[0] >= 0) | (not layer.relu)).astype(np.float64)
    return LayerFacts(layer, region, np.flatnonzero(~linear), line, passes, (fixed, real), (np.maximum(*ends) + 1, real), weights)


def row_bytes(known: tuple[LayerFacts, ...], inputs: int, candidates: int = SHARED) -> int:
    """Return how many bytes an ascent takes about for each row."""
    free = sum(k.free.size for k in known)
    return 8 * (NUMBERS * (inputs + sum(k.layer.size for k in known)) + free * (FREE + candidates * POINTS))


class PartBatch(NamedTuple):
    """Parts of the input space that are bounded together: their boxes (parts, inputs), and candidates of the free pairs of each layer."""

    low: Floats
    high: Floats
    tables: tuple[Corners, ...]


def tables(known: tuple[LayerFacts, ...], regions: tuple[Region, ...]) -> tuple[Corners, ...]:
    """Return the candidates of free pairs for regions (parts, free)."""
    return tuple(corners(k.layer, r, k.free) for k, r in zip(known, regions, strict=True))


class Goal(NamedTuple):
    """What is bounded from below: `coefficients · signals of the last of so many layers + constant`; rows (rows, elements), (rows,)."""

    coefficients: Both
    constant: Floats
    spent: Floats
    """The magnitude of what the constant was made of."""

    def take(self, rows: IntArray) -> Goal:
        """Return some of the rows, in this order."""
        return Goal((self.coefficients[0][rows], self.coefficients[1][rows]), self.constant[rows], self.spent[rows])


class LayerTrace(NamedTuple):
    """What one pass left at a layer: coefficients of its signals, multipliers of its sums, and the candidate chosen for each free pair."""

    coefficients: Both
    multipliers: Both
    codes: Floats
    chosen: tuple[Floats, Floats, Floats]
    """Quantised sum, real sum and real signal of the candidate, (rows, free)."""
    least: Floats


class RowBound(NamedTuple):
    """A lower bound of each row in real arithmetic on doubles, with what it was made of; and the trace of the pass."""

    value: Floats
    spent: Floats
    slope: Floats
    """Coefficients of the input, (rows, inputs)."""
    traces: tuple[LayerTrace, ...]

    def certain(self, terms: int) -> Floats:
        """Return what holds whatever rounding did; nothing (minus infinity) where doubles overflowed."""
        least = self.value - (self.spent * ((4 * terms + 256) * UNIT) + FLUSHED)
        return np.where(np.isfinite(least), least, -np.inf)


def through(layer: LayerPair, multipliers: Both, weights: Both) -> tuple[Both, Floats, Floats]:
    """Return coefficients of what a layer reads, the constant, and its magnitude, for multipliers of its sums."""
    fixed, real = multipliers
    constant = fixed @ layer.fixed_bias + real @ layer.real_bias
    spent = np.abs(fixed) @ weights[0] + np.abs(real) @ weights[1]
    return (fixed @ layer.fixed.value, real @ layer.real.value), constant, spent


def evaluate(known: tuple[LayerFacts, ...], part: PartBatch, goal: Goal, free: tuple[Both, ...]) -> RowBound:
    """Return the bound for multipliers of the free pairs of every layer, (rows, free) each."""
    c, value, spent = goal
    traces: list[LayerTrace] = []
    for k, table, p in zip(reversed(known), reversed(part.tables), reversed(free), strict=True):
        trace, constant, magnitude = _relax(k, table, c, p)
        traces.append(trace)
        value, spent = value + constant, spent + magnitude
        c, constant, magnitude = through(k.layer, trace.multipliers, k.weights)
        value, spent = value + constant, spent + magnitude
    slope = c[0] + c[1]
    value = value + np.where(slope > 0, slope * part.low, slope * part.high).sum(-1)
    return RowBound(value, spent, slope, tuple(reversed(traces)))


def _relax(k: LayerFacts, table: Corners, c: Both, p: Both) -> tuple[LayerTrace, Floats, Floats]:
    """Return multipliers of all pairs of a layer, the least value of what they leave, and the magnitude of that."""
    cq, cf = c
    fixed, real = cq * k.line.slope, cf * k.passes
    rest = np.minimum(cq * k.line.low, cq * k.line.high)
    rest[:, k.free] = 0.0
    constant = rest.sum(-1)
    fixed[:, k.free], real[:, k.free] = p
    spent = np.abs(cq) @ (k.signals[0] + np.abs(k.line.low) + np.abs(k.line.high)) + np.abs(fixed) @ k.sums[0]
    spent += (np.abs(cf) + np.abs(real)) @ (k.sums[1] + k.layer.scale * k.sums[0])
    a, b = (v[:, k.free, None] for v in c)
    code = np.where(a > 0, table.code_low, table.code_high)
    each = a * code + b * table.signal - p[0][..., None] * table.fixed - p[1][..., None] * table.real
    place = each.argmin(-1)[..., None]
    least = np.take_along_axis(each, place, -1)[..., 0]
    picked = [_pick(v, place) for v in (table.fixed, table.real, table.signal)]
    codes = np.take_along_axis(code, place, -1)[..., 0] if code.shape[2] else code[..., 0]
    trace = LayerTrace(c, (fixed, real), codes, (picked[0], picked[1], picked[2]), least)
    return trace, constant + least.sum(-1), spent


def _pick(values: Floats, place: IntArray) -> Floats:
    wide = np.broadcast_to(values, (place.shape[0], *values.shape[1:]))
    return np.take_along_axis(wide, place, -1)[..., 0]


def gradient(known: tuple[LayerFacts, ...], part: PartBatch, bound: RowBound) -> tuple[tuple[Both, ...], tuple[Both, ...]]:
    """Return the gradient of the bound in the multipliers of free pairs, and the sums of all pairs on the way."""
    x = np.where(bound.slope > 0, part.low, part.high)
    signals: Both = (x, x)
    found: list[Both] = []
    sums: list[Both] = []
    for k, t in zip(known, bound.traces, strict=True):
        a = signals[0] @ k.layer.fixed.value.T + k.layer.fixed_bias
        b = signals[1] @ k.layer.real.value.T + k.layer.real_bias
        sums.append((a, b))
        found.append((a[:, k.free] - t.chosen[0], b[:, k.free] - t.chosen[1]))
        codes = a * k.line.slope + np.where(t.coefficients[0] > 0, k.line.low, k.line.high)
        real = b * k.passes
        codes[:, k.free], real[:, k.free] = t.codes, t.chosen[2]
        signals = (codes, real)
    return tuple(found), tuple(sums)
