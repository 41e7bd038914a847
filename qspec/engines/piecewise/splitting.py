"""What searches by splits have in common: cases are bounded on the whole box, attacked where they stay open, and bounded better.

`unsat` stands on bounds that are rounded outward, `sat` on a point that exact arithmetic confirmed. Every part is a node of the proof.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qspec.deadline import Deadline
from qspec.engines.delta.atoms import Booleans, cases
from qspec.engines.delta.real_search import Judge, RealSearch
from qspec.engines.outward import Floats
from qspec.engines.piecewise.ascent import Climbed, Multipliers, climb
from qspec.engines.piecewise.attack import attack, evaluate, look, promising
from qspec.engines.piecewise.bound import Domains, plain
from qspec.engines.piecewise.facts import Facts, Ints, facts_of
from qspec.engines.piecewise.network import ReluNetwork, network
from qspec.engines.piecewise.root import bounded
from qspec.engines.piecewise.tree import Tree
from qspec.ir.real import Query
from qspec.ir.real_proof import RealProof
from qspec.ir.relus import with_relus

ROOT = 40
"""Steps of the ascent at the root."""
ROW = 1 << 20
"""Doubles of all nodes that a batch takes, about."""
STARTS = 4
"""Points from which each case is attacked at first."""
AGAIN = 64
"""Corners that are attacked again, after four times as many parts each time."""
NARROW = 2.0**-24
"""Inputs are not halved below this share of the box."""
WAITING = 4096
"""Beyond so many parts the latest come first, which keeps their number."""


@dataclass(frozen=True, slots=True, eq=False)
class WaitingDomain:
    """A domain that waits: its box (which parts share), bounds and multipliers as rows, and the case that it is about."""

    lower: Floats
    upper: Floats
    low: Floats
    high: Floats
    case: int
    slopes: Floats
    shifts: Floats
    weights: Floats
    node: int
    """Of the proof."""


class SplitSearch(RealSearch[WaitingDomain]):
    """One search; the deadline is looked at between steps."""

    points = 0
    """So many points of chance are looked at for each case, and the best are starts of the attack."""

    nearest: float
    """How near to hold some case came at a point: its largest least fact."""

    def __init__(self, query: Query, deadline: Deadline, seed: int) -> None:
        rewritten = with_relus(query)
        self.net = network(rewritten)
        self.seed = seed
        self.cases = cases(rewritten.goal, self.net.plan.sizes)
        self.size = max(8, min(256, ROW // max(1, self.net.plan.width)))
        self.whole: Domains | None = None
        self.nearest = -np.inf
        self.tree = Tree(len(self.cases))
        judge, batch = Judge(rewritten, self.net.plan), self.size // 2
        super().__init__(judge, deadline, most=WAITING, batch=batch, attack_after=AGAIN, attack_least=AGAIN)

    @abstractmethod
    def divide(self, domains: Domains, case: Ints, climbed: Climbed, nodes: Ints) -> None:
        """Close what is proved of a batch, and put the parts of the rest on the frontier."""

    def proof(self) -> RealProof | None:
        if self.whole is None:
            return None
        return self.tree.proof(self.whole.low[0], self.whole.high[0], self.facts.present.shape[1])

    def begin(self) -> None:
        """Bound every case on the whole box, attack those that are open, and bound these better."""
        self.stuck = not all(c.atoms and not c.rest for c in self.cases)
        if not self.cases or self.stuck:
            return
        self.facts: Facts = facts_of(self.cases, self.net.plan.sizes)
        net = self.net
        self.whole = whole = bounded(net, net.plan.lower[None], net.plan.upper[None], deadline=self.deadline)
        left = self._open(whole, np.arange(len(self.cases)), 0)
        if not left.size:
            return
        case, points = self._starts(left)
        for start in range(0, case.size, self.size):
            piece = slice(start, start + self.size)
            self._attack(case[piece], points[piece])
            if self.judge.solution is not None:
                return
        self._open(whole, left, ROOT, keep=True)

    def _starts(self, left: Ints) -> tuple[Ints, Floats]:
        """Return cases, and a point for each: the middle of the box first, then points of chance."""
        rng, plan = np.random.default_rng(self.seed), self.net.plan
        case = np.repeat(left, STARTS)
        share = rng.random((case.size, plan.lower.size))
        share[::STARTS] = 0.5
        points = plan.lower + share * (plan.upper - plan.lower)
        if self.points:
            more = plan.lower + rng.random((self.points, plan.lower.size)) * (plan.upper - plan.lower)
            best = promising(self.net, self.facts, left, more, self.deadline)
            case, points = np.concatenate([np.repeat(left, best.shape[1]), case]), np.concatenate([more[best.reshape(-1)], points])
        return case, points

    def _open(self, whole: Domains, case: Ints, steps: int, *, keep: bool = False) -> Ints:
        """Return the cases that bounds leave open on the whole box; they are kept as parts if so asked."""
        found: list[Ints] = []
        for start in range(0, case.size, self.size):
            own = case[start : start + self.size]
            slopes = np.repeat(plain(whole.low, whole.high), own.size, axis=0)
            present = self.facts.present[own]
            weights = present / present.sum(1, keepdims=True)
            climbed = climb(self.net, self.facts, own, whole, Multipliers(slopes, np.zeros(slopes.shape), weights), steps, self.deadline)
            found.append(own[climbed.proved <= 0])
            if keep:
                rows = Domains(*(np.repeat(v, own.size, axis=0) for v in (whole.lower, whole.upper, whole.low, whole.high)))
                self.divide(rows, own, climbed, own)
            else:
                for k in np.flatnonzero(climbed.proved > 0).tolist():
                    self.close(int(own[k]), climbed, k)
        self.parts += case.size
        return np.concatenate(found)

    def bound(self, parts: list[WaitingDomain], domains: Domains, start: Multipliers, steps: int) -> None:
        """Raise the bounds of a batch, look at the points where they are taken, and divide it."""
        self.parts += len(parts)
        case = np.array([p.case for p in parts], dtype=np.int64)
        climbed = climb(self.net, self.facts, case, domains, start, steps, self.deadline)
        least = np.where(self.facts.present[case] > 0, self.facts.values(case, evaluate(self.net, climbed.corner)), np.inf).min(1)
        self.nearest = max(self.nearest, float(least.max()))
        if not look(self.net, self.judge, climbed.corner, least):
            self.divide(domains, case, climbed, np.array([p.node for p in parts], dtype=np.int64))

    def close(self, node: int, climbed: Climbed, k: int) -> None:
        """Close a node by the multipliers of a row."""
        self.closed += 1
        self.tree.close(node, self.leaf(climbed, k))

    def leaf(self, climbed: Climbed, k: int) -> int:
        """Keep the multipliers of a row in the proof."""
        m = climbed.multipliers
        return self.tree.leaf(m.slopes[k], m.shifts[k], m.weights[k])

    def attack(self) -> None:
        """Attack the cases that are left from the middles of the most promising parts."""
        best = self.frontier.best(self.size)
        case = np.array([p.case for p in best], dtype=np.int64)
        points = np.array([0.5 * p.lower + 0.5 * p.upper for p in best])
        self._attack(case, points)

    def _attack(self, case: Ints, points: Floats) -> None:
        self.nearest = max(self.nearest, attack(self.net, self.facts, self.judge, case, points, self.deadline))


def divisible(net: ReluNetwork, domains: Domains) -> Booleans:
    """Return which inputs can be halved (batch, inputs), those where doubles and the box have room for it."""
    middle = 0.5 * domains.lower + 0.5 * domains.upper
    narrow = domains.upper - domains.lower <= NARROW * (net.plan.upper - net.plan.lower)
    return ~narrow & (middle > domains.lower) & (middle < domains.upper)


def replaced(values: Floats, place: int, value: float) -> Floats:
    """Return a copy with another value at one place."""
    changed = values.copy()
    changed[place] = value
    return changed


def together(parts: Sequence[WaitingDomain]) -> tuple[Domains, Multipliers]:
    """Return parts as one batch."""

    def stacked(name: str) -> Floats:
        return np.array([getattr(p, name) for p in parts], dtype=np.float64)

    domains = Domains(*(stacked(name) for name in ("lower", "upper", "low", "high")))
    return domains, Multipliers(*(stacked(n) for n in ("slopes", "shifts", "weights")))
