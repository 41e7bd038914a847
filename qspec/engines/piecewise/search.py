"""Branch and bound on a piecewise-linear query: every case of the goal is refuted on all parts of the box, or a solution is found.

With many inputs a part is a side of some ReLUs, and keeps the bounds of the root; where no ReLU is open an input is halved. With few inputs
these are split, and every part is bounded anew (inputs.py).
"""

from __future__ import annotations

import numpy as np

from qspec.deadline import Deadline
from qspec.engines.delta.real_search import RealOutcome
from qspec.engines.piecewise.ascent import Climbed
from qspec.engines.piecewise.bound import Domains
from qspec.engines.piecewise.facts import Ints
from qspec.engines.piecewise.inputs import InputSearch
from qspec.engines.piecewise.splitting import SplitSearch, WaitingDomain, divisible, replaced, together
from qspec.ir.real import Query
from qspec.ir.real_proof import INPUT, RELU

FEW = 10
"""Inputs that are split themselves."""
STEPS = 10
"""Of the ascent of a part."""


class ReluSearch(SplitSearch):
    """Sides of ReLUs first."""

    def step(self, parts: list[WaitingDomain]) -> None:
        domains, start = together(parts)
        self.bound(parts, domains, start, STEPS)

    def divide(self, domains: Domains, case: Ints, climbed: Climbed, nodes: Ints) -> None:
        pulls = np.where(divisible(self.net, domains), np.abs(climbed.coefficient) * (domains.upper - domains.lower), -1.0)
        for k in range(len(case)):
            empty = bool(np.any(domains.low[k] > domains.high[k]))
            if climbed.proved[k] > 0 or empty:
                self.close(int(nodes[k]), climbed, k)
                continue
            loss, pull = climbed.loss[k], pulls[k]
            by_input = not bool(loss.max(initial=0.0) > 0)
            if by_input and pull.max(initial=-1.0) < 0:
                self.stuck = True
                continue
            place = int((pull if by_input else loss).argmax())
            cut = float(0.5 * domains.lower[k, place] + 0.5 * domains.upper[k, place]) if by_input else 0.0
            children = self.tree.split(int(nodes[k]), INPUT if by_input else RELU, place, cut)
            for side in range(2):
                half = _half(domains, int(case[k]), climbed, k, place, side, cut if by_input else None, children[side])
                self.frontier.push(half, float(climbed.proved[k]))


def _half(domains: Domains, case: int, climbed: Climbed, k: int, place: int, side: int, cut: float | None, node: int) -> WaitingDomain:
    """Return one half of a row: of an input, or of a ReLU."""
    lower, upper, low, high = domains.lower[k], domains.upper[k], domains.low[k], domains.high[k]
    if cut is not None:
        lower, upper = (replaced(lower, place, cut), upper) if side else (lower, replaced(upper, place, cut))
    else:
        low, high = (replaced(low, place, 0.0), high) if side else (low, replaced(high, place, 0.0))
    m = climbed.multipliers
    return WaitingDomain(lower, upper, low, high, case, m.slopes[k], m.shifts[k], m.weights[k], node)


def search(query: Query, deadline: Deadline, *, seed: int = 0) -> RealOutcome:
    """Decide a piecewise-linear real query with ReLUs or maxima; the deadline is looked at between steps.

    Raises UnsupportedError if the query, or a number in it, is too large.
    """
    inputs = sum(node.lower.size for node in query.inputs.values())
    with np.errstate(all="ignore"):
        return (InputSearch if inputs <= FEW else ReluSearch)(query, deadline, seed).run()
