"""Branch and prune: boxes are bounded in batches, pruned where some atom is surely false, shrunk, and split until none is left.

`unsat` stands on outward rounding alone, without any tolerance; `sat` on a point that exact arithmetic confirmed. `delta-sat` is said when
boxes remain that are so small that no atom varies by more than δ, and a point in them misses no atom by more than δ (Gao, Avigad, Clarke
2012). Derivatives of one sign fix inputs at an end (Moore 1966, Neumaier 1990).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from qspec.deadline import Deadline
from qspec.engines.delta import affine_forms
from qspec.engines.delta.atoms import (
    AtomBounds,
    Atoms,
    Booleans,
    Case,
    Ints,
    Pairs,
    atoms_of,
    bound,
    cases,
    every,
    hold,
    open_pairs,
    refuted,
    some,
)
from qspec.engines.delta.real_search import Judge, RealOutcome, RealSearch, climb
from qspec.engines.delta.tensor_program import Values, enclose, plan
from qspec.engines.outward import Floats, down, up
from qspec.ir.real import Query

BATCH = 256
"""Boxes at once at most."""
ROW = 1 << 22
"""Doubles of all nodes that a batch takes at most, about."""
ALMOST = 1e-12
"""A derivative this much smaller than the largest is taken for one of no sign, and what that may cost is kept as slack."""
STARTS = 4
"""Points of each case from which the local search starts at first."""
CLIMB, PROMISING = 256, 64
"""After so many boxes it is run again, from the middles of so many of the most promising, and after four times as many each time."""
PATIENCE = 1000
"""Boxes that are looked at, after one is left undecided for good, for every box seen until then or this many, before δ-sat is said."""


class BoxBatch(NamedTuple):
    """A batch: ends (batch, inputs), the case that each is about, and by how much its atoms may be missed (what fixing inputs cost)."""

    lower: Floats
    upper: Floats
    case: Ints
    slack: Floats

    def take(self, rows: Booleans | Ints) -> BoxBatch:
        """Return some of the boxes."""
        return BoxBatch(self.lower[rows], self.upper[rows], self.case[rows], self.slack[rows])


def _together(rows: Sequence[BoxBatch]) -> BoxBatch:
    lower, upper, case, slack = zip(*rows, strict=True)
    return BoxBatch(np.concatenate(lower), np.concatenate(upper), np.concatenate(case), np.concatenate(slack))


class BranchAndPrune(RealSearch[BoxBatch]):
    """One search; the deadline is looked at between batches."""

    def __init__(self, query: Query, delta: float, deadline: Deadline, memory: int, seed: int) -> None:
        self.query, self.delta, self.seed = query, delta, seed
        self.plan = plan(query)
        self.cases: tuple[Case, ...] = cases(query.goal, self.plan.sizes)
        self.atoms: Atoms = atoms_of(self.cases)
        self.plain: Booleans = np.array([not c.rest for c in self.cases], dtype=np.bool_)
        self.root_width = self.plan.upper - self.plan.lower
        self.size = max(1, min(BATCH, ROW // max(1, self.plan.width)))
        most = max(1024, memory // (32 * (self.plan.lower.size + 16)))
        judge, first = Judge(query, self.plan), len(self.cases)
        super().__init__(judge, deadline, most=most, batch=self.size, attack_after=first, attack_least=CLIMB)
        self.attacked = False
        self.weak_since = 0

    def begin(self) -> None:
        count = len(self.cases)
        lower, upper = (np.repeat(v[None], count, 0) for v in (self.plan.lower, self.plan.upper))
        self._push(BoxBatch(lower, upper, np.arange(count), np.zeros(count)), np.zeros(count))

    def _push(self, boxes: BoxBatch, promise: Floats) -> None:
        for k, p in enumerate(promise.tolist()):
            self.frontier.push(boxes.take(np.array([k])), -p)  # a copy, for a view would keep the whole batch

    def gives_up(self) -> bool:
        return (self.weak is not None or self.stuck) and self.parts > 2 * self.weak_since + PATIENCE

    def attack(self) -> None:
        """Search for a solution: from points of the whole box for each case that is left, later from the most promising boxes."""
        first, self.attacked = not self.attacked, True
        lower, upper, case, _ = _together(self.frontier.best(self.size if first else min(PROMISING, self.size)))
        if first:
            case: Ints = np.unique(case)
            lower, upper = (np.repeat(v[None], case.size, 0) for v in (self.plan.lower, self.plan.upper))
        climb(self.judge, self.atoms, case, lower, upper, starts=STARTS if first else 1, seed=self.seed + self.parts)

    def step(self, parts: list[BoxBatch]) -> None:
        boxes = _together(parts)
        self.parts += boxes.case.size
        values = affine_forms.enclose(self.plan, boxes.lower, boxes.upper, self.deadline)
        alive = ~self._false(boxes, values)
        boxes, values = self._keep(boxes, values, alive)
        if not boxes.case.size:
            return
        pairs = open_pairs(self.atoms, boxes.case, self.atoms.bounds(values))
        if not pairs.row.size:
            self._split(boxes, pairs, None, np.ones(boxes.case.size, dtype=np.bool_))
            return
        self.deadline.check()
        found = bound(self.plan, self.atoms, pairs, values, boxes.lower, boxes.upper)
        self.judge.look(found.point, found.value)
        if self.judge.solution is not None:
            return
        before = boxes
        boxes, dead = _contracted(boxes, pairs, found)
        lost = refuted(_raised(found.upper, boxes.slack[pairs.row]), self.atoms.strict[pairs.atom])
        dead[pairs.row[lost]] = True
        self.closed += int(dead.sum())
        if bool(dead.all()):
            return
        shrunk = self._fixed(boxes, pairs, found)
        alive = ~dead
        again = alive & some(_divisible(before)) & ~some(_divisible(shrunk))
        if bool(again.any()):  # What is left is a point, of which the bounds so far say too little.
            self._push(shrunk.take(again), np.full(int(again.sum()), np.inf))
        self._split(shrunk, pairs, found, alive & ~again)

    def _keep(self, boxes: BoxBatch, values: Values, alive: Booleans) -> tuple[BoxBatch, Values]:
        self.closed += int((~alive).sum())
        if bool(alive.all()):
            return boxes, values
        return boxes.take(alive), [type(v)(v.lower[alive], v.upper[alive]) for v in values]

    def _false(self, boxes: BoxBatch, values: Values) -> Booleans:
        """Return in which boxes the case is false by enclosures alone."""
        member = self.atoms.member[boxes.case]
        upper = self.atoms.bounds(values).upper[np.arange(boxes.case.size)[:, None], member] if self.atoms.node.size else None
        false = np.zeros(boxes.case.size, dtype=np.bool_)
        if upper is not None:
            false = some((member >= 0) & refuted(_raised(upper, boxes.slack[:, None]), self.atoms.strict[member]))
        present: list[int] = np.unique(boxes.case).tolist()
        for k in present:
            for formula in self.cases[k].rest:
                possible = hold(formula, boxes.case.size, lambda n, strict: ~refuted(values[n].upper, np.asarray(strict)))
                false |= (boxes.case == k) & ~possible
        return false

    def _fixed(self, boxes: BoxBatch, pairs: Pairs, found: AtomBounds) -> BoxBatch:
        """Fix inputs where the derivatives of all open atoms have one sign, at the end that is better for all of them.

        A derivative in [-ε, b] counts as positive: moving the input up by w loses at most ε w of an atom, which is added to the slack.
        """
        n, wide = boxes.case.size, boxes.upper - boxes.lower
        low, high = np.full(wide.shape, np.inf), np.full(wide.shape, -np.inf)
        np.minimum.at(low, pairs.row, found.slope.lower)
        np.maximum.at(high, pairs.row, found.slope.upper)
        top = np.maximum(np.abs(low), np.abs(high)).max(-1, initial=0.0)
        near = np.where(np.isfinite(top), ALMOST * top, 0.0)[:, None]
        ready = np.zeros(n, dtype=np.bool_)
        ready[pairs.row] = True
        ready &= pairs.whole & self.plain[boxes.case]
        rising = ready[:, None] & (low >= -near)
        falling = ready[:, None] & (high <= near) & ~rising
        loss = np.where(rising, np.maximum(-low, 0.0), np.where(falling, np.maximum(high, 0.0), 0.0))
        cost = np.where(loss > 0, up(np, loss * up(np, wide)), 0.0)
        slack = np.where(some(cost > 0), up(np, boxes.slack + up(np, cost.sum(-1), (wide.shape[1] + 8) * 2.0**-52)), boxes.slack)
        return BoxBatch(np.where(rising, boxes.upper, boxes.lower), np.where(falling, boxes.lower, boxes.upper), boxes.case, slack)

    def _split(self, boxes: BoxBatch, pairs: Pairs, found: AtomBounds | None, alive: Booleans) -> None:
        """Halve boxes where that changes the atoms most, and leave those that are small enough."""
        n = boxes.case.size
        width = boxes.upper - boxes.lower
        relative = width / np.where(self.root_width > 0, self.root_width, 1.0)
        promise, change, varied = np.full(n, np.inf), np.zeros(width.shape), np.zeros(n)
        if found is not None:
            steep = np.maximum(np.abs(found.slope.lower), np.abs(found.slope.upper))
            np.maximum.at(change, pairs.row, steep * width[pairs.row])
            np.minimum.at(promise, pairs.row, found.upper)
            np.maximum.at(varied, pairs.row, found.upper - found.low)
        plain = ~(every(np.isfinite(change)) & (change.max(-1, initial=0.0) > 0))
        change = np.where(plain[:, None], relative, change)
        middle, divisible = _middle(boxes), _divisible(boxes)
        change = np.where(divisible, change, -1.0)
        done = self._small(boxes, pairs, found, alive & ((varied <= self.delta) | ~some(divisible)), ~some(divisible))
        rows = np.flatnonzero(alive & ~done & some(divisible))
        if not rows.size:
            return
        axis = change[rows].argmax(-1)
        parent = boxes.take(rows)
        left, right = parent.upper.copy(), parent.lower.copy()
        each = np.arange(rows.size)
        left[each, axis] = right[each, axis] = middle[rows, axis]
        self._push(parent._replace(upper=left), promise[rows])
        self._push(parent._replace(lower=right), promise[rows])

    def _small(self, boxes: BoxBatch, pairs: Pairs, found: AtomBounds | None, small: Booleans, indivisible: Booleans) -> Booleans:
        """Return which small boxes need not be split: a δ-solution is in them, which is remembered, or doubles are at their end."""
        if not bool(small.any()):
            return small
        if found is None or not bool(np.isin(np.flatnonzero(small), pairs.row).all()) or self.atoms.member.shape[1] > 1:
            points = _middle(boxes)
            values = enclose(np, self.plan, points, points)
            self.judge.look(points[small], [type(v)(v.lower[small], v.upper[small]) for v in values])
            weak, rows = self.judge.weakly(boxes.case.size, values, self.delta), np.arange(boxes.case.size)
        else:
            points, weak, rows = found.point, self.judge.weakly(pairs.row.size, found.value, self.delta), pairs.row
        reached = np.zeros(boxes.case.size, dtype=np.bool_)
        reached[rows[weak]] = True
        done = small & (reached | indivisible)
        if bool((done & reached).any()) and self.weak is None:
            self.weak = self.judge.point(points[np.flatnonzero(weak & done[rows])[0]])
            self.weak_since = self.parts
        if bool((done & ~reached).any()) and not self.stuck:
            self.stuck, self.weak_since = True, self.weak_since or self.parts
        return done


def _raised(upper: Floats, slack: Floats) -> Floats:
    """Return upper bounds of `upper + slack`; the sum with no slack is exact, which strict atoms that cannot be above 0 depend on."""
    return np.where(slack > 0, up(np, upper + slack), upper)


def _middle(boxes: BoxBatch) -> Floats:
    return np.clip(0.5 * boxes.lower + 0.5 * boxes.upper, boxes.lower, boxes.upper)


def _divisible(boxes: BoxBatch) -> Booleans:
    middle = _middle(boxes)
    return (middle > boxes.lower) & (middle < boxes.upper)


def _contracted(boxes: BoxBatch, pairs: Pairs, found: AtomBounds) -> tuple[BoxBatch, Booleans]:
    """Cut off the ends at which the affine function above an atom is negative, and return which boxes are empty then.

    If the function is at most s at its best corner, an input whose coefficient is c can be |s / c| away from its end in that corner.
    """
    rest = up(np, found.line.bound + boxes.slack[pairs.row])[:, None]
    c = found.line.slope
    usable = np.isfinite(rest) & (rest >= 0) & np.isfinite(c) & (c != 0)
    reach = np.where(usable, up(np, np.where(usable, rest, 0.0) / np.where(usable, np.abs(c), 1.0)), np.inf)
    low, high = boxes.lower[pairs.row], boxes.upper[pairs.row]
    lower, upper = boxes.lower.copy(), boxes.upper.copy()
    np.maximum.at(lower, pairs.row, np.where(c > 0, down(np, high - reach), low))
    np.minimum.at(upper, pairs.row, np.where(c < 0, up(np, low + reach), high))
    empty = some(lower > upper)
    return boxes._replace(lower=np.where(empty[:, None], boxes.lower, lower), upper=np.where(empty[:, None], boxes.upper, upper)), empty


def search(query: Query, delta: float, deadline: Deadline, *, memory: int = 1 << 29, seed: int = 0) -> RealOutcome:
    """Decide a real query; the deadline is looked at between batches, `memory` bounds the bytes of boxes that wait.

    Raises UnsupportedError if the query is too large for dense matrices.
    """
    with np.errstate(all="ignore"):
        return BranchAndPrune(query, delta, deadline, memory, seed).run()
