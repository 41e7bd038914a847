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

from qspec.deadline import Deadline, OutOfTime, tell
from qspec.engines.delta.witness import Judge
from qspec.ir.real import Point
from qspec.ir.real_proof import RealProof

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
