"""A search for solutions: points climb along the signs of derivatives, in floats; exact arithmetic judges what they reach."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qspec.deadline import Deadline
from qspec.engines.delta.real_search import Judge
from qspec.engines.delta.tensor_program import enclose
from qspec.engines.outward import Floats
from qspec.engines.piecewise.facts import Facts, Ints
from qspec.engines.piecewise.network import ReluNetwork
from qspec.ir.real import Affine, Apply, Input

PIECE = 512
"""Points that are evaluated at once."""
BEST = 32
"""Of points of chance, so many of each case are starts."""
STEPS = 40
"""Of one search; each is as long as the box is wide at first, and 2**-10 of that in the end."""


def attack(net: ReluNetwork, facts: Facts, judge: Judge, case: Ints, points: Floats, deadline: Deadline) -> float:
    """Search from points (batch, inputs), each for a solution of its case; the judge keeps one that is found. Raises OutOfTime.

    Returns how near to hold some case came: the largest least fact.
    """
    lower, upper = net.plan.lower, net.plan.upper
    x, rows, nearest = np.clip(points, lower, upper), np.arange(len(case)), -np.inf
    for step in range(STEPS + 1):
        deadline.check()
        values = evaluate(net, x)
        found = np.where(facts.present[case] > 0, facts.values(case, values), np.inf)
        nearest = max(nearest, float(found.min(1).max()))
        if look(net, judge, x, found.min(1)) or step == STEPS:
            break
        weights = np.zeros(found.shape)
        weights[rows, found.argmin(1)] = 1.0
        slope = gradient(net, values, {n: -s for n, s in facts.seeds(case, weights).items()})
        x = np.clip(x + 2.0 ** (-10 * step / STEPS - 1) * (upper - lower) * np.sign(slope), lower, upper)
    return nearest


def promising(net: ReluNetwork, facts: Facts, cases: Ints, points: Floats, deadline: Deadline) -> Ints:
    """Return the numbers of the points (points, inputs) at which each case is nearest to hold, (cases, at most 32), the nearest first."""
    least = np.zeros((len(cases), len(points)))
    for start in range(0, len(points), PIECE):
        deadline.check()
        piece = slice(start, start + PIECE)
        values = evaluate(net, points[piece])
        for row, case in enumerate(cases.tolist()):
            own = np.full(len(values[0]), case)
            least[row, piece] = np.where(facts.present[own] > 0, facts.values(own, values), np.inf).min(1)
    return np.argsort(-least, axis=1)[:, :BEST]


def look(net: ReluNetwork, judge: Judge, points: Floats, least: Floats) -> bool:
    """Judge the points at which the least fact seems to be at least zero, the best one first; return whether one is a solution."""
    likely = np.flatnonzero(least >= 0)
    if likely.size:
        best = points[likely[np.argsort(-least[likely])[:4]]]
        judge.look(best, enclose(np, net.plan, best, best))
    return judge.solution is not None


def evaluate(net: ReluNetwork, points: Floats) -> list[Floats]:
    """Return about the values of all nodes at points (batch, inputs)."""
    values: list[Floats] = []
    for k, node in enumerate(net.plan.program):
        match node:
            case Input():
                values.append(points[:, net.plan.place[k]])
            case Affine():
                total = np.broadcast_to(net.plan.bias[k].lower, (len(points), net.plan.sizes[k]))
                for term in net.plan.linear[k]:
                    total = total + term.forward.of(np, values[term.argument])
                values.append(total)
            case Apply(a):
                values.append(np.maximum(values[a], 0.0))
            case _:
                raise AssertionError("the query was rewritten")
    return values


def gradient(net: ReluNetwork, values: Sequence[Floats], seeds: dict[int, Floats]) -> Floats:
    """Return the derivatives of `sum of seed * node` by the inputs, where the nodes have these values."""
    held = dict(seeds)
    batch = len(values[0])
    found = {k: np.zeros((batch, p.stop - p.start)) for k, p in net.plan.place.items()}
    for k in range(max(seeds), -1, -1):
        if k not in held:
            continue
        g = held.pop(k)
        match net.plan.program[k]:
            case Input():
                found[k] = g
            case Affine():
                for term in net.plan.linear[k]:
                    held[term.argument] = held.get(term.argument, 0.0) + term.backward.of(np, g)
            case Apply(a):
                held[a] = held.get(a, 0.0) + g * (values[a] > 0)
            case _:
                raise AssertionError("the query was rewritten")
    return np.concatenate(list(found.values()), axis=1)
