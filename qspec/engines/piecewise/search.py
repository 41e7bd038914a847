"""Branch and bound on a piecewise-linear query: every case of the goal is refuted on all parts of the box, or a solution is found.

With many inputs a part is a side of some ReLUs, and keeps the bounds of the root; where no ReLU is open an input is halved. With few inputs
these are halved first, and every part is bounded anew. `unsat` stands on bounds that are rounded outward, `sat` on a point that exact
arithmetic confirmed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from qspec.deadline import Deadline
from qspec.engines.delta.cases import cases
from qspec.engines.delta.real_search import RealOutcome, RealSearch
from qspec.engines.delta.witness import Judge
from qspec.engines.outward import Floats
from qspec.engines.piecewise.ascent import Climbed, Multipliers, climb
from qspec.engines.piecewise.attack import attack, evaluate, look
from qspec.engines.piecewise.bound import Domains, plain
from qspec.engines.piecewise.facts import Facts, Ints, facts_of
from qspec.engines.piecewise.network import network
from qspec.engines.piecewise.root import bounded
from qspec.engines.piecewise.tree import Tree
from qspec.ir.real import Query
from qspec.ir.real_proof import INPUT, RELU, RealProof
from qspec.ir.relus import with_relus

FEW = 10
"""Inputs that are halved before ReLUs."""
ROOT, STEPS, SHALLOW = 40, 10, 3
"""Steps of the ascent: at the root, of a part, and of a part whose bounds are its own."""
ROW = 1 << 20
"""Doubles of all nodes that a batch takes, about."""
STARTS = 4
"""Points from which each case is attacked at first."""
AGAIN = 64
"""Corners that are attacked again, after four times as many parts each time."""
WAITING = 4096
"""Beyond so many parts the latest come first, which keeps their number."""
NARROW = 2.0**-24
"""Inputs are not halved below this share of the box."""


@dataclass(frozen=True, slots=True, eq=False)
class OpenDomain:
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


class ReluSearch(RealSearch[OpenDomain]):
    """One search; the deadline is looked at between steps."""

    def __init__(self, query: Query, deadline: Deadline, seed: int) -> None:
        rewritten = with_relus(query)
        self.net = network(rewritten)
        self.seed = seed
        self.cases = cases(rewritten.goal, self.net.plan.sizes)
        self.few = self.net.plan.lower.size <= FEW
        self.size = max(8, min(256, ROW // max(1, self.net.plan.width)))
        self.whole: Domains | None = None
        self.tree = None if self.few else Tree(len(self.cases))
        judge, batch = Judge(rewritten, self.net.plan), self.size // 2
        super().__init__(judge, deadline, most=WAITING, batch=batch, attack_after=AGAIN, attack_least=AGAIN)

    def proof(self) -> RealProof | None:
        if self.tree is None or self.whole is None:
            return None
        return self.tree.proof(self.whole.low[0], self.whole.high[0], self.facts.present.shape[1])

    def begin(self) -> None:
        """Bound every case on the whole box, attack those that are open, and bound these better."""
        self.stuck = not all(c.atoms and not c.rest for c in self.cases)
        if not self.cases or self.stuck:
            return
        self.facts: Facts = facts_of(self.cases, self.net.plan.sizes)
        net, facts = self.net, self.facts
        self.whole = whole = bounded(net, net.plan.lower[None], net.plan.upper[None], deadline=self.deadline)
        left = self._open(whole, np.arange(len(self.cases)), 0)
        if not left.size:
            return
        rng = np.random.default_rng(self.seed)
        case = np.repeat(left, STARTS)
        share = rng.random((case.size, net.plan.lower.size))
        share[::STARTS] = 0.5
        for start in range(0, case.size, self.size):
            piece = slice(start, start + self.size)
            points = net.plan.lower + share[piece] * (net.plan.upper - net.plan.lower)
            attack(net, facts, self.judge, case[piece], points, self.deadline)
            if self.judge.solution is not None:
                return
        self._open(whole, left, ROOT, keep=True)

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
                self._split(rows, own, climbed, own)
            else:
                for k in np.flatnonzero(climbed.proved > 0).tolist():
                    self._close(int(own[k]), climbed, k)
        self.parts += case.size
        return np.concatenate(found)

    def step(self, parts: list[OpenDomain]) -> None:
        self.parts += len(parts)
        domains, case, start = _together(parts)
        steps = STEPS
        if self.few:
            domains, steps = bounded(self.net, domains.lower, domains.upper, domains, self.deadline), SHALLOW
            start = replace(start, slopes=plain(domains.low, domains.high), shifts=np.zeros(start.shifts.shape))
        climbed = climb(self.net, self.facts, case, domains, start, steps, self.deadline)
        least = np.where(self.facts.present[case] > 0, self.facts.values(case, evaluate(self.net, climbed.corner)), np.inf).min(1)
        if not look(self.net, self.judge, climbed.corner, least):
            self._split(domains, case, climbed, np.array([p.node for p in parts], dtype=np.int64))

    def _close(self, node: int, climbed: Climbed, k: int) -> None:
        self.closed += 1
        if self.tree is not None:
            m = climbed.multipliers
            self.tree.close(node, m.slopes[k], m.shifts[k], m.weights[k])

    def _split(self, domains: Domains, case: Ints, climbed: Climbed, nodes: Ints) -> None:
        wide = domains.upper - domains.lower
        root = np.where(self.net.plan.upper > self.net.plan.lower, self.net.plan.upper - self.net.plan.lower, 1.0)
        for k in range(len(case)):
            empty = bool(np.any(domains.low[k] > domains.high[k]))
            if climbed.proved[k] > 0 or empty:
                self._close(int(nodes[k]), climbed, k)
                continue
            loss, pull = climbed.loss[k], np.where(wide[k] > NARROW * root, climbed.pull[k], -1.0)
            by_input = self.few or not bool(loss.max(initial=0.0) > 0)
            if by_input and pull.max(initial=-1.0) < 0:
                self.stuck = True
                continue
            place = int((pull if by_input else loss).argmax())
            children = (0, 0) if self.tree is None else self.tree.split(int(nodes[k]), INPUT if by_input else RELU, place)
            for side in range(2):
                half = _half(domains, case, climbed, k, place, side, by_input, children[side])
                self.frontier.push(half, float(climbed.proved[k]))

    def attack(self) -> None:
        """Attack the cases that are left from the middles of the most promising parts."""
        best = self.frontier.best(self.size)
        case = np.array([p.case for p in best], dtype=np.int64)
        points = np.array([0.5 * p.lower + 0.5 * p.upper for p in best])
        attack(self.net, self.facts, self.judge, case, points, self.deadline)


def _half(domains: Domains, case: Ints, climbed: Climbed, k: int, place: int, side: int, by_input: bool, node: int) -> OpenDomain:
    """Return one half of a row: of an input, or of a ReLU."""
    lower, upper, low, high = domains.lower[k], domains.upper[k], domains.low[k], domains.high[k]
    if by_input:
        cut = 0.5 * lower[place] + 0.5 * upper[place]
        lower, upper = (_with(lower, place, cut), upper) if side else (lower, _with(upper, place, cut))
    else:
        low, high = (_with(low, place, 0.0), high) if side else (low, _with(high, place, 0.0))
    m = climbed.multipliers
    return OpenDomain(lower, upper, low, high, int(case[k]), m.slopes[k], m.shifts[k], m.weights[k], node)


def _with(values: Floats, place: int, value: float) -> Floats:
    changed = values.copy()
    changed[place] = value
    return changed


def _together(parts: Sequence[OpenDomain]) -> tuple[Domains, Ints, Multipliers]:
    def stacked(name: str) -> Floats:
        return np.array([getattr(p, name) for p in parts], dtype=np.float64)

    domains = Domains(*(stacked(name) for name in ("lower", "upper", "low", "high")))
    return domains, np.array([p.case for p in parts], dtype=np.int64), Multipliers(*(stacked(n) for n in ("slopes", "shifts", "weights")))


def search(query: Query, deadline: Deadline, *, seed: int = 0) -> RealOutcome:
    """Decide a piecewise-linear real query with ReLUs or maxima; the deadline is looked at between steps.

    Raises UnsupportedError if the query, or a number in it, is too large.
    """
    with np.errstate(all="ignore"):
        return ReluSearch(query, deadline, seed).run()
