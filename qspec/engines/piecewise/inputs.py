"""Few inputs: boxes are halved, and what ReLUs read is bounded anew on every half, where the box before left its sign open.

Which input is halved: what a ReLU's relaxation costs is laid to the inputs by their shares of the width of what it reads, and a small part
of what an input moves the bound directly is added. That takes a tenth of the parts that the second alone takes.
Sources: Wang et al. 2018 (ReluVal: splits of inputs), Xu et al. 2021 (batches of parts with backward bounds).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qspec.engines.outward import Floats
from qspec.engines.piecewise.ascent import Climbed, Multipliers
from qspec.engines.piecewise.bound import Domains, plain
from qspec.engines.piecewise.facts import Ints
from qspec.engines.piecewise.root import narrowed
from qspec.engines.piecewise.splitting import SplitSearch, WaitingDomain, divisible, replaced, together
from qspec.ir.real_proof import INPUT

STEPS = 3
"""Of the ascent of a part."""
NEAR, PATIENCE = 1e-6, 1000
"""Where facts are missed by less at some point, no more parts are looked at: bounds tend to it and do not get there."""
LEAST, EACH = 4096, 256
"""So many parts at least, and so many for each ReLU: where few ReLUs need more, derivatives of one sign close more than bounds do."""
DIRECT = 0.1
"""The part of what an input moves the bound directly."""


class InputSearch(SplitSearch):
    """Boxes with bounds of their own."""

    points = 4096
    share: Floats | None = None
    """Of the batch: of what every ReLU reads, the share of each input (batch, elements, inputs)."""

    def gives_up(self) -> bool:
        long = self.parts > max(LEAST, EACH * self.net.elements)
        return self.stuck or long or (self.nearest > -NEAR and self.parts > PATIENCE)

    def step(self, parts: list[WaitingDomain]) -> None:
        known, start = together(parts)
        domains, self.share = narrowed(self.net, known, self.deadline)
        changed = (domains.low > known.low) | (domains.high < known.high)
        for k, part in enumerate(parts):
            elements = np.flatnonzero(changed[k])
            self.tree.claim(part.node, elements, domains.low[k, elements], domains.high[k, elements])
        plainly = Multipliers(plain(domains.low, domains.high), np.zeros(domains.low.shape), start.weights)
        self.bound(parts, domains, plainly, STEPS)

    def divide(self, domains: Domains, case: Ints, climbed: Climbed, nodes: Ints) -> None:
        middle, score = 0.5 * domains.lower + 0.5 * domains.upper, self._scores(domains, climbed)
        m = climbed.multipliers
        for k in range(len(case)):
            if climbed.proved[k] > 0:
                self.close(int(nodes[k]), climbed, k)
                continue
            place = int(score[k].argmax())
            if score[k, place] < 0:
                self.stuck = True
                continue
            cut, key = float(middle[k, place]), float(climbed.proved[k])
            below, above = self.tree.split(int(nodes[k]), INPUT, place, cut)
            bounds = (domains.lower[k], domains.upper[k], domains.low[k], domains.high[k])
            half = WaitingDomain(*bounds, int(case[k]), m.slopes[k], m.shifts[k], m.weights[k], below)
            self.frontier.push(replace(half, upper=replaced(half.upper, place, cut)), key)
            self.frontier.push(replace(half, lower=replaced(half.lower, place, cut), node=above), key)

    def _scores(self, domains: Domains, climbed: Climbed) -> Floats:
        """Return how much is hoped of halving each input (batch, inputs); -1 where doubles or the box have no room."""
        wide, root = domains.upper - domains.lower, self.net.plan.upper - self.net.plan.lower
        score = DIRECT * np.abs(climbed.coefficient) * wide
        if self.share is not None:
            score = score + np.einsum("be,bei->bi", climbed.loss, self.share)
        flat = score.max(1, initial=0.0, keepdims=True) <= 0
        score = np.where(flat, wide / np.where(root > 0, root, 1.0), score)
        return np.where(divisible(self.net, domains), score, -1.0)
