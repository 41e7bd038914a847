"""Lower bounds of many combinations of nodes at once, each on one box of a batch: for what ReLUs read, where there are most of them.

The bound is that of bound.py without splits and ascents, so that its parts are closed: with slope s of the lower line, and chord t from
`(l, relu(l))` to `(u, relu(u))`, `c relu(z) >= c⁺ s z + c⁻ (t z - t l)` where the ReLU is open. What rounding costs is counted as there:
the intercept `t l` is off by a few units of l, which the cost of the node pays for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qspec.engines.outward import UNIT, Floats
from qspec.engines.piecewise.bound import Domains, Seeds, norms, plain
from qspec.engines.piecewise.network import FLUSHED, ReluNetwork
from qspec.ir.real import Affine, Apply, Input

CACHE = 1 << 15
"""Doubles of a node that rows take at once, about: what is read again and again stays in the cache."""
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class ReluLines:
    """Of every ReLU of a batch of boxes (batch, elements): slopes of the lines below and above, and the intercept of that above."""

    below: Floats
    above: Floats
    intercept: Floats


def lines(low: Floats, high: Floats) -> ReluLines:
    """Return the lines of ReLUs that read what lies between bounds."""
    open_ = (low < 0) & (high > 0)
    chord = np.where(open_, high / np.where(open_, high - low, 1.0), np.where(low >= 0, 1.0, 0.0))
    return ReluLines(np.where(open_, plain(low, high), chord), chord, np.where(open_, -chord * low, 0.0))


def lower_bounds(net: ReluNetwork, seeds: Seeds, at: Ints, domains: Domains, found: dict[int, ReluLines]) -> tuple[Floats, Floats]:
    """Return rigorous lower bounds of `sum of seed * node` (rows, size), row k on box `at[k]`, and the coefficients of the inputs.

    `found` are the lines by ReLU.
    """
    inputs = np.zeros((len(at), net.plan.lower.size))
    held, value, slack, partial = dict(seeds), np.zeros(len(at)), np.zeros(len(at)), np.zeros(len(at))
    single = len(domains.lower) == 1

    def rows(v: Floats) -> Floats:
        return v if single else v.take(at, axis=0)

    for k in range(max(seeds), -1, -1):
        if k not in held:
            continue
        c = held.pop(k)
        slack += net.cost[k] * norms(c)
        before = value
        match net.plan.program[k]:
            case Input():
                place = net.plan.place[k]
                inputs[:, place], rising = c, np.maximum(c, 0.0)
                value = value + _dot(rising, rows(domains.lower[:, place])) + _dot(c - rising, rows(domains.upper[:, place]))
            case Affine():
                bias = net.plan.bias[k]
                value = value + c @ (0.5 * bias.lower[0] + 0.5 * bias.upper[0])
                for term in net.plan.linear[k]:
                    _hold(net, held, term.argument, term.backward.of(np, c), slack)
            case Apply(a):
                own = found[k]
                rising = np.maximum(c, 0.0)
                falling = c - rising
                value = value + _dot(falling, rows(own.intercept))
                rising *= rows(own.below)
                falling *= rows(own.above)
                rising += falling
                slack += net.cost[k] * norms(rising)
                _hold(net, held, a, rising, slack)
            case _:
                raise AssertionError("the query was rewritten")
        partial += np.abs(value - before) + np.abs(value)
    proved = value - (slack * (1 + 2.0**-40) + 8 * UNIT * partial + FLUSHED)
    return np.where(np.isfinite(proved), proved, -np.inf), inputs


def _dot(c: Floats, v: Floats) -> Floats:
    return c @ v[0] if len(v) == 1 else np.einsum("bi,bi->b", c, v)


def _hold(net: ReluNetwork, held: dict[int, Floats], a: int, c: Floats, slack: Floats) -> None:
    if a in held:
        c = held[a] + c
        slack += net.again[a] * norms(c)
    held[a] = c
