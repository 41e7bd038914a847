"""Bounds of what every ReLU reads, on a batch of boxes: intervals first, then backwards, layer by layer."""

from __future__ import annotations

import numpy as np

from qspec.deadline import NEVER, Deadline
from qspec.engines.delta.derivatives import enclose
from qspec.engines.outward import Floats
from qspec.engines.piecewise.bound import Domains, backward, plain
from qspec.engines.piecewise.network import ReluNetwork

PIECE = 1 << 21
"""Doubles of coefficients that are held at once, about."""


def bounded(net: ReluNetwork, lower: Floats, upper: Floats, known: Domains | None = None, deadline: Deadline = NEVER) -> Domains:
    """Return boxes (batch, inputs) with bounds of what the ReLUs read, which meet those that are `known`; raises OutOfTime.

    Elements that intervals decide are left as they are.
    """
    values = enclose(np, net.plan, lower, upper)
    none = [np.zeros((len(lower), 0))]
    low = np.concatenate([*none, *(values[net.argument(k)].lower for k in net.relus)], axis=1)
    high = np.concatenate([*none, *(values[net.argument(k)].upper for k in net.relus)], axis=1)
    if known is not None:
        low, high = np.maximum(low, known.low), np.minimum(high, known.high)
    found = Domains(lower, upper, low, high)
    for k in net.relus:
        if net.depth[net.argument(k)]:
            tighten(net, found, k, deadline)
    return found


def tighten(net: ReluNetwork, domains: Domains, k: int, deadline: Deadline = NEVER) -> None:
    """Meet the bounds of what a ReLU reads, in place, with those of a backward pass, where the sign is open."""
    a, place = net.argument(k), net.place[k]
    low, high = domains.low[:, place], domains.high[:, place]
    slopes = plain(domains.low, domains.high)
    row, column = np.nonzero((low < 0) & (high > 0))
    step = max(1, PIECE // (2 * max(net.plan.sizes)))
    for start in range(0, row.size, step):
        deadline.check()
        r, i = row[start : start + step], column[start : start + step]
        seed = np.zeros((2 * r.size, net.plan.sizes[a]))
        seed[np.arange(r.size), i] = 1.0
        seed[r.size + np.arange(r.size), i] = -1.0
        both = np.concatenate([r, r])
        proved = backward(net, {a: seed}, domains.take(both), slopes if len(slopes) == 1 else slopes[both]).proved
        low[r, i] = np.maximum(low[r, i], proved[: r.size])
        high[r, i] = np.minimum(high[r, i], -proved[r.size :])
