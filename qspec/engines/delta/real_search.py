"""The loop of searches over reals: parts of the box wait, the most promising are bounded, closed or divided, and now and then attacked.

Branch and prune (`branch_and_prune.py`) and the dual bounds of piecewise-linear queries (`engines/piecewise/search.py`) say what a part is
and what a step does.
"""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from math import inf
from typing import Generic, Literal, TypeVar

import numpy as np

from qspec.deadline import Deadline, OutOfTime, tell
from qspec.engines.delta.atoms import Atoms, Booleans, Ints, centre, hold
from qspec.engines.delta.tensor_program import FloatProgram, Values, derivatives, enclose
from qspec.engines.outward import Floats, OutwardInterval
from qspec.errors import UnsupportedError
from qspec.ir.enclosure import satisfies
from qspec.ir.real import ExactArray, Input, Point, Query, exact, fractions
from qspec.ir.real_proof import RealProof

DOUBTFUL = 24
"""Points that floats leave open and that are judged exactly, at most."""
STEPS = 24
"""Of the local search."""


@dataclass(slots=True)
class Judge:
    """Says of points whether they are solutions, and keeps the first solution."""

    query: Query
    plan: FloatProgram
    solution: Point | None = None
    doubtful: int = field(default=DOUBTFUL)

    def look(self, points: Floats, values: Values) -> None:
        """Judge points (batch, inputs), of which `values` are the enclosures; those that floats are sure of first."""
        if self.solution is not None:
            return
        batch = points.shape[0]
        sure = hold(self.query.goal, batch, lambda n, strict: values[n].lower > 0 if strict else values[n].lower >= 0)
        perhaps = hold(self.query.goal, batch, lambda n, strict: values[n].upper > 0 if strict else values[n].upper >= 0) & ~sure
        doubtful = np.flatnonzero(perhaps)[: self.doubtful]
        self.doubtful -= doubtful.size
        for k in [*np.flatnonzero(sure)[:1].tolist(), *doubtful.tolist()]:
            point = self.point(points[k])
            if self._solves(point):
                self.solution = point
                return

    def _solves(self, point: Point) -> bool:
        try:
            return satisfies(self.query, point) is True
        except UnsupportedError:
            return False

    def point(self, x: Floats) -> Point:
        """Return a flat point (inputs,) by names, moved into the exact box where doubles cannot say its ends."""
        return {
            node.name: exact(_clipped(x[self.plan.place[k]], node)) for k, node in enumerate(self.plan.program) if isinstance(node, Input)
        }

    def weakly(self, batch: int, values: Values, delta: float) -> Booleans:
        """Return at which points (batch, inputs) the goal is true if every atom may be missed by `delta`."""
        return hold(self.query.goal, batch, lambda n, _: values[n].lower >= -delta)


def _clipped(x: Floats, node: Input) -> ExactArray:
    if node.lower.dtype != object and node.upper.dtype != object:
        return np.clip(x, node.lower, node.upper)
    low, high, wanted = fractions(node.lower), fractions(node.upper), fractions(x)
    return np.array([min(max(v, a), b) for v, a, b in zip(wanted, low, high, strict=True)], dtype=object)


def climb(judge: Judge, atoms: Atoms, case: Ints, lower: Floats, upper: Floats, *, starts: int, seed: int) -> None:
    """Search for a solution in boxes (batch, inputs), each of one case: up the derivative of the worst atom, in ever smaller steps.

    Of each box the middle is a start, and so many points of chance that there are `starts`.
    """
    plan = judge.plan
    rng = np.random.default_rng(seed)
    case = np.repeat(case, starts)
    lower, upper = (np.repeat(v, starts, axis=0) for v in (lower, upper))
    x = lower + rng.random(lower.shape) * (upper - lower)
    x[::starts] = 0.5 * lower[::starts] + 0.5 * upper[::starts]
    values = enclose(np, plan, x, x)
    rows, member = np.arange(case.size), atoms.member[case]
    for step in range(STEPS):
        judge.look(x, values)
        if judge.solution is not None or not atoms.node.size:
            return
        found = np.where(member >= 0, atoms.bounds(values).upper[rows[:, None], member], np.inf)
        worst = member[rows, found.argmin(-1)]
        slope = derivatives(np, plan, values, atoms.seeds(plan, worst))
        wanted = centre(OutwardInterval(slope.lower, slope.lower), lower, upper) if step == 0 else _stepped(x, slope, lower, upper, step)
        x = np.clip(np.where(np.isfinite(wanted), wanted, x), lower, upper)
        values = enclose(np, plan, x, x)
    judge.look(x, values)


def _stepped(x: Floats, slope: OutwardInterval, lower: Floats, upper: Floats, step: int) -> Floats:
    share = 2.0 ** (-step / 3)
    return x + share * (upper - lower) * np.sign(0.5 * slope.lower + 0.5 * slope.upper)


Status = Literal["sat", "unsat", "delta-sat", "unknown"]
Part = TypeVar("Part")


@dataclass(frozen=True, slots=True, eq=False)
class RealOutcome:
    """What a search found, and how many parts it bounded, closed, and left open."""

    status: Status
    point: Point | None = None
    parts: int = 0
    closed: int = 0
    open: int = 0
    ended: Literal["", "time", "stuck"] = ""
    """Why the status is unknown."""
    proof: RealProof | None = None
    """Of `unsat`, where the search writes one."""


@dataclass(slots=True)
class Frontier(Generic[Part]):
    """Parts to look at, those of the least key first; from `most` parts on the latest first, which keeps their number."""

    most: int
    heap: list[tuple[float, int, Part]] = field(default_factory=list[tuple[float, int, Part]])
    count: int = 0

    def push(self, part: Part, key: float) -> None:
        """Add a part."""
        self.count += 1
        heapq.heappush(self.heap, (key if len(self.heap) < self.most else -inf, -self.count, part))

    def best(self, count: int) -> list[Part]:
        """Return the next parts, which stay."""
        return [entry[2] for entry in heapq.nsmallest(count, self.heap)]

    def pop(self, count: int) -> list[Part]:
        """Remove the next parts."""
        return [heapq.heappop(self.heap)[2] for _ in range(min(count, len(self.heap)))]


class RealSearch(ABC, Generic[Part]):
    """One search; the deadline is looked at between steps. `weak` is a δ-solution, `stuck` says that a part was left undecided for good."""

    def __init__(self, judge: Judge, deadline: Deadline, *, most: int, batch: int, attack_after: int, attack_least: int) -> None:
        self.judge, self.deadline, self.batch = judge, deadline, batch
        self.frontier: Frontier[Part] = Frontier(most)
        self._attack_after, self._attack_least = attack_after, attack_least
        self.parts: int = 0
        self.closed: int = 0
        self.weak: Point | None = None
        self.stuck = False

    @abstractmethod
    def begin(self) -> None:
        """Put what there is at first on the frontier."""

    @abstractmethod
    def step(self, parts: list[Part]) -> None:
        """Bound parts, close them, or divide them."""

    @abstractmethod
    def attack(self) -> None:
        """Search for a solution in the most promising parts."""

    def proof(self) -> RealProof | None:
        """Return the proof of a search that has closed everything, None if it writes none."""
        return None

    def gives_up(self) -> bool:
        """Return whether what is left is not worth more time."""
        return False

    def run(self) -> RealOutcome:
        """Search until all is decided or the deadline has passed."""
        try:
            return self._branch()
        except OutOfTime:
            return self._outcome("unknown", "time")

    def _branch(self) -> RealOutcome:
        self.begin()
        waiting, again = self.frontier.heap, self._attack_after
        while waiting and self.judge.solution is None and not self.gives_up():
            self.deadline.check()
            tell("boxes", self.parts)
            self.step(self.frontier.pop(self.batch))
            if self.judge.solution is None and waiting and self.parts >= again:
                self.attack()
                again = max(4 * self.parts, self._attack_least)
        if self.judge.solution is not None:
            return self._outcome("sat")
        if self.weak is not None:
            return self._outcome("delta-sat")
        return self._outcome("unknown", "stuck") if self.stuck or waiting else self._outcome("unsat")

    def _outcome(self, status: Status, ended: Literal["", "time", "stuck"] = "") -> RealOutcome:
        point = {"sat": self.judge.solution, "delta-sat": self.weak}.get(status)
        proof = self.proof() if status == "unsat" else None
        return RealOutcome(status, point, self.parts, self.closed, len(self.frontier.heap), ended, proof)
