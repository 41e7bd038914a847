"""Lower bounds of linear functions of a network's nodes, backwards, for any multipliers; and their derivatives by these.

At a ReLU `y = relu(z)`, `l <= z <= u`, coefficients c of y are replaced by multipliers p of z: `c relu(z) >= p z + q`, where q is the least
of `c relu(v) - p v` at the ends l and u and at the kink. That holds for any p, so that p may be chosen in floats: it is
`factor * c + shift`, where the factor is the slope of the chord if c is negative, a free slope if not, and shifts are the multipliers of
splits (β). Coefficients are doubles that are meant exactly. What rounding made them differ from what was derived is paid as network.py
says.
Sources: Zhang et al. 2018 (CROWN), Xu et al. 2021 (optimised slopes), Wang et al. 2021 (β-CROWN), Dvijotham et al. 2018 (dual).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never

import numpy as np
import numpy.typing as npt

from qspec.engines.outward import UNIT, Floats
from qspec.engines.piecewise.network import FLUSHED, LARGEST, ReluNetwork
from qspec.ir.real import Affine, Apply, Input, Maximum, Product


@dataclass(frozen=True, slots=True, eq=False)
class Domains:
    """A batch of boxes (batch, inputs) with bounds of what the ReLUs read (batch, elements); a batch of one stands for any number."""

    lower: Floats
    upper: Floats
    low: Floats
    high: Floats

    def take(self, rows: npt.NDArray[np.int64]) -> Domains:
        """Return some rows; a batch of one stays what it is."""
        parts = (self.lower, self.upper, self.low, self.high)
        return Domains(*(v if len(v) == 1 else v[rows] for v in parts))


@dataclass(slots=True, eq=False)
class BackwardTrace:
    """What a backward pass found: bounds (batch,), by how much rounding lowers them at most, and what the derivatives need."""

    value: Floats
    slack: Floats
    inputs: dict[int, Floats] = field(default_factory=dict[int, Floats])
    """Coefficients of the inputs."""
    coefficient: dict[int, Floats] = field(default_factory=dict[int, Floats])
    factor: dict[int, Floats] = field(default_factory=dict[int, Floats])
    vertex: dict[int, Floats] = field(default_factory=dict[int, Floats])
    """Of every ReLU: c, the factor, and where the least is taken."""
    rest: dict[int, Floats] = field(default_factory=dict[int, Floats])
    """Of every ReLU: q."""

    @property
    def proved(self) -> Floats:
        """Lower bounds for certain; minus infinity where numbers were too large to tell."""
        found = self.value - self.slack
        return np.where(np.isfinite(found), found, -np.inf)


Seeds = Mapping[int, Floats]
"""Coefficients (batch, size) by node."""


def backward(
    net: ReluNetwork, seeds: Seeds, domains: Domains, slopes: Floats, shifts: Floats | None = None, *, rigorous: bool = True
) -> BackwardTrace:
    """Bound `sum of seed * node` from below on a batch of domains, with slopes in [0, 1] and shifts (batch, elements)."""
    batch = max(len(next(iter(seeds.values()))), len(domains.low))
    trace = BackwardTrace(np.zeros(batch), np.zeros(batch))
    held, partial = dict(seeds), np.zeros(batch)
    for k in range(max(seeds), -1, -1):
        if k not in held:
            continue
        c = held.pop(k)
        if rigorous:
            trace.slack += net.cost[k] * norms(c)
        before = trace.value
        _node(net, k, c, held, trace, domains, slopes, shifts, rigorous)
        if rigorous:
            partial += np.abs(trace.value - before) + np.abs(trace.value)
    if rigorous:
        trace.slack = trace.slack * (1 + 2.0**-40) + 8 * UNIT * partial + FLUSHED
    return trace


def norms(c: Floats) -> Floats:
    """Return the norm of each row, infinite where it is too large."""
    found = np.sqrt(np.einsum("bi,bi->b", c, c))
    return np.where(found < LARGEST, found, np.inf)


def _node(
    net: ReluNetwork,
    k: int,
    c: Floats,
    held: dict[int, Floats],
    trace: BackwardTrace,
    domains: Domains,
    slopes: Floats,
    shifts: Floats | None,
    rigorous: bool,
) -> None:
    """Hand the coefficients of a node on to what it reads."""
    node = net.plan.program[k]
    match node:
        case Input():
            place = net.plan.place[k]
            trace.inputs[k] = c
            ends = np.where(c > 0, domains.lower[:, place], domains.upper[:, place])
            trace.value = trace.value + np.einsum("bi,bi->b", c, np.broadcast_to(ends, c.shape))
        case Affine():
            bias = net.plan.bias[k]
            trace.value = trace.value + c @ (0.5 * bias.lower[0] + 0.5 * bias.upper[0])
            for term in net.plan.linear[k]:
                _hold(net, term.argument, term.backward.of(np, c), held, trace, rigorous)
        case Apply(a):
            place = net.place[k]
            low, high = domains.low[:, place], domains.high[:, place]
            p = _relu(trace, k, c, low, high, slopes[:, place], None if shifts is None else shifts[:, place])
            trace.value = trace.value + trace.rest[k].sum(1)
            if rigorous:
                trace.slack += net.cost[k] * norms(p)
            _hold(net, a, p, held, trace, rigorous)
        case Product() | Maximum():
            raise AssertionError("the query was rewritten")
        case _:
            assert_never(node)


def _hold(net: ReluNetwork, a: int, c: Floats, held: dict[int, Floats], trace: BackwardTrace, rigorous: bool) -> None:
    if a not in held:
        held[a] = c
        return
    added = held[a] + c
    if rigorous:
        trace.slack += net.again[a] * norms(added)
    held[a] = added


def _relu(trace: BackwardTrace, k: int, c: Floats, low: Floats, high: Floats, slopes: Floats, shifts: Floats | None) -> Floats:
    """Return the multipliers of what a ReLU reads, and note the least value of the rest and where it is taken."""
    open_ = (low < 0) & (high > 0)
    chord = np.where(open_, high / np.where(open_, high - low, 1.0), np.where(low >= 0, 1.0, 0.0))
    factor = np.where(open_ & (c >= 0), slopes, chord)
    p = factor * c
    if shifts is not None:
        p = p + shifts
    at_low, at_high = c * np.maximum(low, 0.0) - p * low, c * np.maximum(high, 0.0) - p * high
    least = np.minimum(at_low, at_high)
    vertex = np.where(at_low <= at_high, low, high)
    kink = open_ & (least >= 0)
    trace.coefficient[k], trace.factor[k] = c, factor
    trace.vertex[k], trace.rest[k] = np.where(kink, 0.0, vertex), np.where(kink, 0.0, least)
    return p


def forward(net: ReluNetwork, trace: BackwardTrace, domains: Domains, top: int) -> list[Floats]:
    """Return the values of nodes up to `top` at which the bound is taken: its derivatives by coefficients of the nodes (batch, size).

    The derivative by the multiplier p of an element of a ReLU is its argument here less the vertex.
    """
    batch = len(trace.value)
    values: list[Floats] = []
    for k, node in enumerate(net.plan.program[: top + 1]):
        match node:
            case Input():
                place = net.plan.place[k]
                c = trace.inputs.get(k)
                low, high = domains.lower[:, place], domains.upper[:, place]
                middle = np.broadcast_to(0.5 * low + 0.5 * high, (batch, low.shape[1]))
                values.append(middle if c is None else np.where(c > 0, low, np.where(c < 0, high, middle)))
            case Affine():
                total = np.broadcast_to(net.plan.bias[k].lower, (batch, net.plan.sizes[k]))
                for term in net.plan.linear[k]:
                    total = total + term.forward.of(np, values[term.argument])
                values.append(total)
            case Apply(a):
                z = values[a]
                if k in trace.vertex:
                    v = trace.vertex[k]
                    values.append(np.maximum(v, 0.0) + trace.factor[k] * (z - v))
                else:
                    values.append(np.maximum(z, 0.0))
            case Product() | Maximum():
                raise AssertionError("the query was rewritten")
            case _:
                assert_never(node)
    return values


def plain(low: Floats, high: Floats) -> Floats:
    """Return the slopes to start from: of the two sides of the kink that with the smaller area (Zhang et al. 2018)."""
    return np.where(high > -low, 1.0, 0.0)
