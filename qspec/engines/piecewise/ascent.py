"""The ascent of a batch of bounds: slopes, shifts and weights of facts climb by Polyak's steps, and the best that was seen is kept.

The bound is concave in all of them together, and what it has to reach is known: anything above zero. So each step is as long as the way
to zero is by the derivative (Polyak 1969), and no rate has to be found. All are counted in units in which they are about 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qspec.deadline import NEVER, Deadline
from qspec.engines.outward import Floats
from qspec.engines.piecewise.bound import BackwardTrace, Domains, backward, forward
from qspec.engines.piecewise.facts import Facts, Ints
from qspec.engines.piecewise.network import ReluNetwork

BEYOND, LAST = 0.3, 0.03
"""By what share of the best bound's distance the first and the last step aim beyond zero; in between, the share shrinks geometrically."""


@dataclass(frozen=True, slots=True, eq=False)
class Multipliers:
    """Slopes in [0, 1] and shifts (batch, elements), and weights of facts that add up to 1 (batch, facts of a case)."""

    slopes: Floats
    shifts: Floats
    weights: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Climbed:
    """The best multipliers, and of their bounds: what is proved (batch,), what each element's relaxation costs (batch, elements),
    coefficients of the inputs in the bound (batch, inputs), and a corner of the box at which it is taken."""

    multipliers: Multipliers
    proved: Floats
    loss: Floats
    coefficient: Floats
    corner: Floats


def climb(
    net: ReluNetwork, facts: Facts, case: Ints, domains: Domains, start: Multipliers, steps: int, deadline: Deadline = NEVER
) -> Climbed:
    """Raise lower bounds of `-sum of weight * fact`; a positive one excludes that all facts of a case hold in the domain.

    Rows that are proved do not go on. Raises OutOfTime.
    """
    batch, inputs = len(case), domains.lower.shape[1]
    now = Multipliers(*(v.astype(np.float64) for v in (start.slopes, start.shifts, start.weights)))
    best = Multipliers(now.slopes.copy(), now.shifts.copy(), now.weights.copy())
    top, proved = np.full(batch, -np.inf), np.full(batch, -np.inf)
    loss, coefficient, corner = np.zeros(now.slopes.shape), np.zeros((batch, inputs)), np.zeros((batch, inputs))
    alive = np.arange(batch)
    for step in range(steps + 1):
        deadline.check()
        here = domains.take(alive)
        own = Multipliers(now.slopes[alive], now.shifts[alive], now.weights[alive])
        trace = backward(net, facts.seeds(case[alive], own.weights), here, own.slopes, own.shifts)
        values = forward(net, trace, here, facts.top)
        proved[alive] = np.maximum(proved[alive], trace.proved)
        better = trace.value > top[alive]
        rows = alive[better]
        top[rows] = trace.value[better]
        for kept, new in zip((best.slopes, best.shifts, best.weights), (own.slopes, own.shifts, own.weights), strict=True):
            kept[rows] = new[better]
        loss[rows] = _loss(net, trace, values, here)[better]
        coefficient[rows] = _coefficient(net, trace)[better]
        corner[rows] = np.concatenate([values[k] for k in net.plan.place], axis=1)[better]
        left = proved[alive] <= 0
        if step == steps or not bool(left.any()):
            break
        aim = BEYOND * (LAST / BEYOND) ** (step / steps) * np.abs(top[alive])
        moved = _moved(net, facts, case[alive], here, own, trace, values, aim)
        now.slopes[alive], now.shifts[alive], now.weights[alive] = moved.slopes, moved.shifts, moved.weights
        alive = alive[left]
    return Climbed(best, proved, loss, coefficient, corner)


def _moved(
    net: ReluNetwork, facts: Facts, case: Ints, here: Domains, own: Multipliers, trace: BackwardTrace, values: list[Floats], aim: Floats
) -> Multipliers:
    """Return the multipliers after a step; what would leave its range does not count."""
    slope, shift, unit = _derivatives(net, trace, values)
    slope = np.where((here.low < 0) & (here.high > 0) & np.where(slope > 0, own.slopes < 1, own.slopes > 0), slope, 0.0)
    side = np.where(here.high == 0, 1.0, np.where(here.low == 0, -1.0, 0.0))
    shift = np.where((side != 0) & ((own.shifts != 0) | (side * shift > 0)), shift * unit, 0.0)
    present = facts.present[case]
    weight = -facts.values(case, values)
    weight = (weight - (weight * present).sum(1, keepdims=True) / present.sum(1, keepdims=True)) * present
    weight = np.where((own.weights > 0) | (weight > 0), weight, 0.0)
    square = (slope * slope).sum(1) + (shift * shift).sum(1) + (weight * weight).sum(1)
    length = ((aim + np.maximum(-trace.value, 0.0)) / np.maximum(square, 1e-300))[:, None]
    shifts = own.shifts + length * shift * unit
    return Multipliers(
        np.clip(own.slopes + length * slope, 0.0, 1.0),
        np.where(side * shifts > 0, shifts, 0.0),
        _normal(own.weights + length * weight, present),
    )


def _normal(weights: Floats, present: Floats) -> Floats:
    """Return weights of at least 0 that add up to 1, of the facts that there are."""
    kept = np.where(np.isfinite(weights), np.maximum(weights, 0.0), 0.0) * present
    total = kept.sum(1, keepdims=True)
    return np.where(total > 0, kept / np.where(total > 0, total, 1.0), present / present.sum(1, keepdims=True))


def _derivatives(net: ReluNetwork, trace: BackwardTrace, values: list[Floats]) -> tuple[Floats, Floats, Floats]:
    """Return the derivatives by slopes and shifts, and the size of the coefficients of each ReLU, which is the unit of its shifts."""
    shape = (len(trace.value), net.elements)
    slope, shift, unit = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for k, c in trace.coefficient.items():
        place = net.place[k]
        shift[:, place] = values[net.argument(k)] - trace.vertex[k]
        slope[:, place] = np.where(c >= 0, c * shift[:, place], 0.0)
        unit[:, place] = np.sqrt(np.mean(c * c, axis=1, keepdims=True))
    return slope, shift, unit


def _loss(net: ReluNetwork, trace: BackwardTrace, values: list[Floats], domains: Domains) -> Floats:
    """Return by how much each ReLU's relaxation is below its value where the bound is taken, (batch, elements)."""
    loss = np.zeros((len(trace.value), net.elements))
    for k, c in trace.coefficient.items():
        place = net.place[k]
        low, high = domains.low[:, place], domains.high[:, place]
        z = np.clip(values[net.argument(k)], low, high)
        gap = c * (np.maximum(z, 0.0) - trace.factor[k] * z) - trace.rest[k]
        loss[:, place] = np.where((low < 0) & (high > 0), np.maximum(gap, 0.0), 0.0)
    return loss


def _coefficient(net: ReluNetwork, trace: BackwardTrace) -> Floats:
    batch = len(trace.value)
    return np.concatenate([trace.inputs.get(k, np.zeros((batch, p.stop - p.start))) for k, p in net.plan.place.items()], axis=1)
