"""Bounds of the sums of every layer on a box of inputs, layer by layer, each from all that come before it."""

from __future__ import annotations

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.deadline import NEVER, Deadline
from qspec.engines.difference.aligned_layers import EXACT, LayerPair, Pair
from qspec.engines.difference.ascent import maximize_dual, start
from qspec.engines.difference.dual import NUMBERS, Both, Goal, LayerFacts, PartBatch, know, row_bytes, tables, through
from qspec.engines.difference.joint_bounds import Region, join
from qspec.engines.difference.vertices import straight
from qspec.engines.outward import Floats
from qspec.errors import UnsupportedError

STAGES = (0, 12, 60)
"""Steps of ascent for the bounds of deep layers: first, if that leaves something open, and before anything is cut."""

SIDES = 6
"""Rows for each element: both ends of the quantised sum, of the real one, and of their difference."""


def stages(pair: Pair) -> tuple[int, ...]:
    """Return the numbers of steps that make a difference: with one hidden layer there are no bounds to improve."""
    return STAGES if len(pair.layers) > 2 else STAGES[:1]


def root(pair: Pair, low: Floats, high: Floats, steps: int = 0, deadline: Deadline = NEVER) -> tuple[LayerFacts, ...]:
    """Return what is known of every layer for input codes from `low` to `high`, (inputs,).

    Bounds that the linear pieces of an activation depend on climb so many `steps`; of all others the first ones are good enough. Raises
    UnsupportedError on sums of codes of 2^52 or more, OutOfTime at the deadline, OutOfMemory where there is no room for a single element.
    """
    known: tuple[LayerFacts, ...] = ()
    reach = np.maximum(np.abs(low), np.abs(high))
    before: Both = (reach, reach)
    for layer in pair.layers:
        deadline.check()
        weights = (layer.fixed.magnitude @ before[0] + np.abs(layer.fixed_bias), layer.real.magnitude @ before[1] + np.abs(layer.real_bias))
        box = PartBatch(low[None], high[None], tables(known, free_regions(known)))
        region = _bounds(pair, known, layer, weights, box, np.arange(layer.size), 0, deadline)
        free = np.flatnonzero(~straight(layer, region)[0])
        if steps and known and free.size:
            region = region.put(free, _bounds(pair, known, layer, weights, box, free, steps, deadline))
        known = (*known, know(layer, region, weights))
        before = known[-1].signals
    return known


def free_regions(known: tuple[LayerFacts, ...]) -> tuple[Region, ...]:
    """Return the regions of the pairs that need corners, layer by layer."""
    return tuple(k.region.take(k.free) for k in known)


def _bounds(
    pair: Pair,
    known: tuple[LayerFacts, ...],
    layer: LayerPair,
    weights: Both,
    box: PartBatch,
    index: IntArray,
    steps: int,
    deadline: Deadline,
) -> Region:
    """Return bounds of the sums of some elements, of as many together as there is room for."""
    each = SIDES * (row_bytes(known, box.low.shape[1]) + 8 * NUMBERS * layer.size)
    count = deadline.portion(each, max(1, index.size))
    parts = [index[k : k + count] for k in range(0, max(1, index.size), count)]
    found = [_bounds_together(pair, known, layer, weights, box, part, steps, deadline) for part in parts]
    return found[0] if len(found) == 1 else Region(*(np.concatenate(v, axis=1) for v in zip(*found, strict=True)))


def _bounds_together(
    pair: Pair,
    known: tuple[LayerFacts, ...],
    layer: LayerPair,
    weights: Both,
    box: PartBatch,
    index: IntArray,
    steps: int,
    deadline: Deadline,
) -> Region:
    """Return bounds of the sums of some elements, each the minimum of one row of the dual."""
    one, scale = (np.arange(layer.size) == index[:, None]).astype(np.float64), layer.scale[index][:, None]
    none = np.zeros(one.shape)
    fixed, real = np.concatenate([one, none, one * scale]), np.concatenate([none, one, -one])
    rows = (np.concatenate([fixed, -fixed]), np.concatenate([real, -real]))
    coefficients, constant, spent = through(layer, rows, weights)
    goal = Goal(coefficients, constant, spent)
    least = maximize_dual(known, box, goal, start(known, free_regions(known), goal), steps, deadline=deadline).bound.certain(pair.terms)
    lower, upper = least[: 3 * index.size].reshape(3, 1, -1), -least[3 * index.size :].reshape(3, 1, -1)
    if not (np.isfinite(least).all() and max(np.abs(lower[0]).max(), np.abs(upper[0]).max()) < EXACT):
        raise UnsupportedError("sums are too large for doubles", given=f"a layer of {layer.size}", expected="below 2^52 of codes")
    return join(layer.scale[index], [(lower[k], upper[k]) for k in range(3)])
