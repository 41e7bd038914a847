"""The rungs below bounds, cheapest first: list what is little, attack what is dear to bound, and tell when bounds cannot decide.

Each rung says what it cost and what came of it. On deep int8 networks these rungs decide nearly all that is decided.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from qspec.arithmetic.integers import IntArray
from qspec.attack.descents import DEAR
from qspec.attack.noise import HOPELESS, noise
from qspec.bounds.interval import Interval, decide
from qspec.deadline import Deadline
from qspec.engines.dual import exhaustive
from qspec.engines.dual.proof_tree import Proof
from qspec.ir.integer import Query
from qspec.solver import Rung

WORTH = 1 << 16
"""Products of one evaluation from which listing a small box comes before bounds, which are quick on smaller queries."""
AT_ONCE = 0.05
"""Seconds of listing that come before bounds in any case; where evaluations are dear, all that is affordable does."""
QUICK, BEFORE = 1.0, 0.1
"""Seconds of listing from which an attack comes first, and the part of them that it takes."""
FEW = 1 << 12
"""Assignments up to which an attack would list them itself."""
CHECKED = 0.4
"""The part of the time that is left that listing may take: the checker of its proof takes as long again."""
LASTING = 60.0
"""Seconds of an attack that is all that is left to do, if there is no limit."""
Turn = Callable[..., Mapping[str, IntArray] | None]
"""Goes on with an attack: for its own share of the time, or for so many seconds."""


@dataclass(slots=True)
class Attempts:
    """What was tried so far."""

    clock: Callable[[], float]
    rungs: list[Rung] = field(default_factory=list[Rung])

    @contextmanager
    def rung(self, name: str) -> Generator[list[str]]:
        """Time one rung; what it puts into the list is its outcome, of which there is one even if it is broken off."""
        began, words = self.clock(), list[str]()
        try:
            yield words
        finally:
            self.rungs.append(Rung(name, self.clock() - began, ", ".join(words) or "the time was over"))


@dataclass(frozen=True, slots=True, eq=False)
class Early:
    """How the lowest rungs ended: with a solution, with a complete proof, with nothing else to try (and why), or with nothing."""

    solution: dict[str, IntArray] | None = None
    proved: bool = False
    ended: str = ""


def early(query: Query, known: list[Interval], proof: Proof, turn: Turn | None, deadline: Deadline, trace: Attempts) -> Early:
    """Try what needs no bounds but intervals, if the query is worth it; `turn` goes on with an attack."""
    cost = exhaustive.work(query)
    if cost < WORTH or decide(query.goal, known) is False:
        return Early()
    dear = cost >= DEAR
    inputs = exhaustive.box(query.program, known)
    seconds = exhaustive.seconds(query, inputs, deadline)
    affordable = seconds <= CHECKED * deadline.left()
    if affordable and (dear or seconds <= AT_ONCE):
        worth = turn is not None and seconds > QUICK and exhaustive.points(inputs) > FEW
        found = attacked(turn, trace, seconds * BEFORE) if turn is not None and worth else None
        return Early(found) if found is not None else _listed(query, inputs, proof, deadline, trace, seconds)
    if not dear:
        return Early()
    found = None if turn is None else attacked(turn, trace)
    if found is not None:
        return Early(found)
    with trace.rung("noise") as words:
        ratio = noise(query, known)
        words.append(f"roundings may take {ratio:.1f} times the margin")
    if ratio <= HOPELESS:
        return Early()
    if turn is not None:
        found = attacked(turn, trace, min(deadline.left(), LASTING))
    return Early(found, ended=f"rounding noise exceeds the margin {ratio:.1f}-fold: only attack and enumeration can decide")


def attacked(turn: Turn, trace: Attempts, *seconds: float) -> dict[str, IntArray] | None:
    """Let an attack go on."""
    with trace.rung("attack") as words:
        found = turn(*seconds)
        words.append("nothing found" if found is None else "a solution")
    return None if found is None else dict(found)


def _listed(query: Query, inputs: exhaustive.Box, proof: Proof, deadline: Deadline, trace: Attempts, seconds: float) -> Early:
    with trace.rung("listing") as words:
        found = exhaustive.listed(query, proof, inputs, deadline)
        none = f"{exhaustive.points(inputs)} assignments, none a solution; about {seconds:.2g} s were expected"
        words.append(none if found is None else "a solution")
    return Early(found, proved=found is None)
