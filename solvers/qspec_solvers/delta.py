"""The native solver of real queries: dual bounds where they are piecewise linear, else branch and prune; needs nothing but numpy.

In this process, because it is our own search and looks at the clock between batches of bounded size; of the memory limit it uses a part for
boxes that wait.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qspec.deadline import Deadline
from qspec.errors import UnsupportedError
from qspec.ir.real import Query
from qspec.problem import Problem, RealProblem, real_model
from qspec.solver import Answer, Availability, Limits, Reason
from qspec_solvers import availability

if TYPE_CHECKING:
    from qspec.engines.delta.real_search import RealOutcome

WAITING = 1 << 29
"""Bytes of boxes that wait at most, and the part of the memory limit that they may take."""
PART = 4
MANY, SHARE = 24, 0.75
"""With at most so many inputs, branch and prune follows where dual bounds leave a query open; they get so much of the time."""


@dataclass(frozen=True, slots=True)
class Delta:
    """Branch and prune with outward rounding: `unsat` without tolerance, `sat` by an exact point, `delta-sat` if neither can be told."""

    theories: tuple[str, ...] = ("real",)
    name: str = "delta"
    cite: str = (
        "qspec.engines.delta: interval branch and prune (Moore 1966, Neumaier 1990), "
        "δ-decisions (Gao et al. 2012), lines (Zhang et al. 2018)"
    )

    def availability(self) -> Availability:
        return availability.package("numpy", "numpy", "numpy")

    def solve(self, problem: Problem, limits: Limits) -> Answer:
        """Return the answer; a model of `sat` solves the query exactly, one of `delta-sat` if atoms may be missed by `problem.delta`."""
        began = time.monotonic()
        if not isinstance(problem, RealProblem):
            return Answer("unknown", reason=Reason.UNSUPPORTED, detail=f"it takes a real query, not {problem.theory}")
        # Imported here, because listing the solvers must not load the search.
        from qspec.engines.delta.branch_and_prune import search

        deadline = limits.deadline()
        dual = _dual(problem.query, deadline, limits.seed, began)
        if dual is not None:
            return dual
        memory = WAITING if limits.memory is None else min(WAITING, (limits.memory << 20) // PART)
        try:
            outcome = search(problem.query, problem.delta, deadline, memory=memory, seed=limits.seed)
        except UnsupportedError as error:
            return Answer("unknown", reason=Reason.TOO_LARGE, detail=str(error), seconds=time.monotonic() - began)
        return _answer(outcome, began)


def _answer(outcome: RealOutcome, began: float) -> Answer:
    """Return what a search found, as an answer."""
    seconds = time.monotonic() - began
    counts: Mapping[str, int] = {"boxes": outcome.parts, "pruned": outcome.closed, "open": outcome.open}
    model = None if outcome.point is None else real_model(outcome.point)
    if outcome.status != "unknown":
        return Answer(outcome.status, model, seconds=seconds, statistics=counts, real_proof=outcome.proof)
    reason = Reason.TIMEOUT if outcome.ended == "time" else Reason.INCOMPLETE
    detail = f"{outcome.parts} boxes were bounded, {outcome.open} are open"
    return Answer("unknown", reason=reason, detail=detail, seconds=seconds, statistics=counts)


def _dual(query: Query, deadline: Deadline, seed: int, began: float) -> Answer | None:
    """Return what dual bounds say of a piecewise-linear query; None if it is none, or if branch and prune may know more."""
    from qspec.engines.piecewise.search import search
    from qspec.ir.relus import bends

    inputs = sum(node.lower.size for node in query.inputs.values())
    if not bends(query):
        return None
    try:
        outcome = search(query, deadline if inputs > MANY else deadline.part(SHARE), seed=seed)
    except UnsupportedError:
        return None
    return _answer(outcome, began) if outcome.status != "unknown" or deadline.passed() else None
