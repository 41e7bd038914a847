"""Solvers that answer in this process: one honest and slow, the others as wrong as a test wants them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from qspec.problem import GridProblem, Problem, grid_model
from qspec.solver import Answer, Availability, Limits, Reason
from tests.soundness.random_queries import assignment, solutions


@dataclass(slots=True)
class Fake:
    """Answers what `reply` returns, and remembers what it was asked."""

    reply: Callable[[Problem], Answer]
    name: str = "fake"
    theories: tuple[str, ...] = ("grid",)
    cite: str = "nobody"
    asked: list[tuple[Problem, Limits]] = field(default_factory=list[tuple[Problem, Limits]])
    available: Availability = field(default_factory=lambda: Availability(True, "1.0"))

    def availability(self) -> Availability:
        return self.available

    def solve(self, problem: Problem, limits: Limits) -> Answer:
        self.asked.append((problem, limits))
        return self.reply(problem)


def enumerated(problem: Problem) -> Answer:
    """The truth, by enumeration."""
    if not isinstance(problem, GridProblem):
        return Answer("unknown", reason=Reason.UNSUPPORTED)
    if sum((int(u) - int(lo)).bit_length() for n in problem.query.inputs.values() for lo, u in zip(n.lower, n.upper, strict=True)) > 20:
        return Answer("unknown", reason=Reason.TOO_LARGE)
    rows = solutions(problem.query)
    if not len(rows):
        return Answer("unsat", statistics={"violations": 0})
    return Answer("sat", grid_model(assignment(problem.query, rows[0])), statistics={"violations": len(rows)})


def without_count(problem: Problem) -> Answer:
    """The truth, and nothing about how often."""
    answer = enumerated(problem)
    return Answer(answer.status, answer.model, answer.reason)


def opposite(problem: Problem) -> Answer:
    """Never the truth."""
    return Answer("unsat") if enumerated(problem).status == "sat" else Answer("sat", {})


def shrugging(problem: Problem) -> Answer:
    return Answer("unknown")
