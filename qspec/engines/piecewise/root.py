"""Bounds of what every ReLU reads, on a batch of boxes: intervals first, then backwards, layer by layer."""

from __future__ import annotations

import numpy as np

from qspec.deadline import NEVER, Deadline
from qspec.engines.delta.tensor_program import enclose
from qspec.engines.outward import Floats
from qspec.engines.piecewise.bound import Domains
from qspec.engines.piecewise.network import ReluNetwork
from qspec.engines.piecewise.rows import CACHE, ReluLines, lines, lower_bounds


def bounded(net: ReluNetwork, lower: Floats, upper: Floats, deadline: Deadline = NEVER) -> Domains:
    """Return boxes (batch, inputs) with bounds of what the ReLUs read; raises OutOfTime.

    Elements that intervals decide are left as they are.
    """
    values = enclose(np, net.plan, lower, upper)
    none = [np.zeros((len(lower), 0))]
    low = np.concatenate([*none, *(values[net.argument(k)].lower for k in net.relus)], axis=1)
    high = np.concatenate([*none, *(values[net.argument(k)].upper for k in net.relus)], axis=1)
    found, own = Domains(lower, upper, low, high), dict[int, ReluLines]()
    for k in net.relus:
        if net.depth[net.argument(k)]:
            tighten(net, found, k, own, deadline)
        own[k] = lines(low[:, net.place[k]], high[:, net.place[k]])
    return found


def narrowed(net: ReluNetwork, known: Domains, deadline: Deadline = NEVER) -> tuple[Domains, Floats]:
    """Return boxes with better bounds of what the ReLUs read than those that are known, where the sign is open; raises OutOfTime.

    Of each element, too, what share of its width each input makes (batch, elements, inputs), about. Bounds are rounded to single
    precision, which makes them short.
    """
    found, own = Domains(known.lower, known.upper, known.low.copy(), known.high.copy()), dict[int, ReluLines]()
    share = np.zeros((*known.low.shape, known.lower.shape[1]))
    for k in net.relus:
        place = net.place[k]
        tighten(net, found, k, own, deadline, share)
        found.low[:, place] = np.maximum(known.low[:, place], -_above(-found.low[:, place]))
        found.high[:, place] = np.minimum(known.high[:, place], _above(found.high[:, place]))
        own[k] = lines(found.low[:, place], found.high[:, place])
    return found, share


def _above(values: Floats) -> Floats:
    """Return numbers of single precision that are not below."""
    short = values.astype(np.float32)
    return np.where(short < values, np.nextafter(short, np.float32(np.inf)), short).astype(np.float64)


def tighten(
    net: ReluNetwork, domains: Domains, k: int, found: dict[int, ReluLines], deadline: Deadline = NEVER, share: Floats | None = None
) -> None:
    """Meet the bounds of what a ReLU reads, in place, with those of a backward pass, where the sign is open.

    `found` are the lines of the ReLUs before it; the shares of the inputs are noted if so asked.
    """
    a, place = net.argument(k), net.place[k]
    low, high = domains.low[:, place], domains.high[:, place]
    row, column = np.nonzero((low < 0) & (high > 0))
    step = max(1, CACHE // (2 * max(net.plan.sizes)))
    for start in range(0, row.size, step):
        deadline.check()
        r, i = row[start : start + step], column[start : start + step]
        seed = np.zeros((2 * r.size, net.plan.sizes[a]))
        seed[np.arange(r.size), i] = 1.0
        seed[r.size + np.arange(r.size), i] = -1.0
        proved, inputs = lower_bounds(net, {a: seed}, np.concatenate([r, r]), domains, found)
        low[r, i] = np.maximum(low[r, i], proved[: r.size])
        high[r, i] = np.minimum(high[r, i], -proved[r.size :])
        if share is not None:
            moved = (np.abs(inputs[: r.size]) + np.abs(inputs[r.size :])) * (domains.upper - domains.lower)[r]
            share[r, place.start + i] = moved / np.maximum(moved.sum(1, keepdims=True), 1e-300)
