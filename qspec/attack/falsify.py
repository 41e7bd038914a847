"""The search for an assignment that makes a goal true, before anything is proved."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qspec.arithmetic.integers import IntArray, shrink
from qspec.attack.descents import DEAR
from qspec.attack.flat_inputs import FlatBox
from qspec.attack.greedy import draw, first_solution, greedy_walk
from qspec.attack.hunt import Hunt
from qspec.bounds.interval import bound, decide
from qspec.deadline import NEVER, Deadline, compiled
from qspec.errors import SoundnessError, UnsupportedError
from qspec.ir.integer import Query, multiplications
from qspec.ir.reference import row_bytes, satisfies

LISTED = 4096
"""Boxes of at most so many points are listed instead."""
FEW, GOLDEN = 64, (5**0.5 - 1) / 2
"""Points of the first portion of a list, and the share of it by which the next one is away."""
SIMPLE_WORK = 2**30
"""Multiplications that simple means spend before code is compiled; about a second."""
COMPILED_WORK = 1000
"""Multiplications in one evaluation of a program from which a compilation is worth its time."""
COMPILATION = 8.0
"""Seconds that have to be left for a compilation to begin: it takes about five."""
FIRST_WORK, PROVER_TIMES, SLICE, COMPILED_AFTER = 2**27, 4, 0.02, 3.0
"""Beside a prover: multiplications of the first turn (some hundredths of a second), how many times longer the prover may take, seconds of
the shortest turn, and seconds of turns after which code is compiled."""
VALUES = 8
"""How many times over the values of a program are held for each search of compiled code: slopes, momenta, both programs."""
FIRST_LOOKS = 450
"""Evaluations of the first turn, where they are dear: a proof is dearer, and one turn of searches straight through the roundings finds
most of what there is."""


def falsify(
    query: Query, deadline: Deadline = NEVER, *, seed: int = 0, restarts: int = 64, rounds: int = 2, lasting: bool = True
) -> dict[str, IntArray] | None:
    """Search for an assignment within bounds that makes the goal true; None means that none was found, not that there is none.

    A small box is listed. Others are searched by simple means in numpy (`hunt.py`); unless the program is tiny, `rounds` rounds of an
    attack on the device follow, each by gradients from `restarts` points and then by greedy moves, compiled once for all programs of one
    structure, if enough time is left for that. A `lasting` search then goes on with simple means for the time left, if that is limited.
    The deadline is looked at between batches; without one equal seeds give equal answers.
    Every answer has been checked by the reference evaluator; raises SoundnessError if that finds a solution of the device to be none.
    """
    search = Falsification(query, seed, deadline)
    found = search.simply(SIMPLE_WORK)
    if found is None:
        found = search.compiled(restarts, rounds)
    return search.simply() if found is None and lasting and deadline.end != np.inf else found


def turns(query: Query, deadline: Deadline, *, seed: int) -> Callable[..., dict[str, IntArray] | None]:
    """Return a search for a prover to call between its rounds: at first for some work, later for its share of the time, else for none.

    Called with a number of seconds it takes these instead.

    What it spends on simple means grows with the time since this call; once that is long, and enough is left, an attack is compiled.
    """
    began = deadline.clock()
    search = Falsification(query, seed, deadline)
    spent, fresh = 0.0, True

    def turn(seconds: float | None = None) -> dict[str, IntArray] | None:
        nonlocal spent, fresh
        if seconds is not None:
            return search.simply(seconds=seconds)
        since = deadline.clock()
        due = (since - began - spent) / PROVER_TIMES - spent
        if not fresh and due < SLICE:
            return None
        found = search.simply(search.first_work) if fresh else search.simply(seconds=due)
        if found is None and spent > COMPILED_AFTER:
            found = search.compiled()
        fresh, spent = False, spent + deadline.clock() - since
        return found

    return turn


class Falsification:
    """A search of one query under way."""

    def __init__(self, query: Query, seed: int, deadline: Deadline) -> None:
        self.query, self.seed, self.deadline = query, seed, deadline
        self.box = FlatBox.of(query)
        self.known = bound(query.program)
        self.work = sum(multiplications(query.program))
        self.attacked = False
        self.over = self.box.points == 0 or decide(query.goal, self.known) is False
        self.first_work = max(FIRST_WORK, FIRST_LOOKS * self.work if self.work >= DEAR else 0)
        self.hunt = None if self.over else Hunt.of(query, self.known, self.work, seed)

    def simply(self, work: float = np.inf, seconds: float = np.inf) -> dict[str, IntArray] | None:
        """Search by simple means, for so many multiplications and seconds at most."""
        deadline = self.deadline.within(seconds)
        if self.over:
            return None
        if self.box.points <= LISTED or self.hunt is None:
            self.over = True
            point = _listed(self.query, self.box) if self.box.points <= LISTED else self._in_integers(deadline)
            return _checked(self.query, self.box, point)
        return self.hunt.run(deadline, work)

    def compiled(self, restarts: int = 64, rounds: int = 2) -> dict[str, IntArray] | None:
        """Attack once by compiled code, if the program is worth it, and what is left of time and memory can pay for it."""
        if self.over or self.attacked or self.work < COMPILED_WORK or self.deadline.passed():
            return None
        self.attacked = True
        if compiled(VALUES * row_bytes(self.query.program) * restarts) > self.deadline.room():
            return None
        # Imported here so that small queries do without JAX.
        from qspec.attack.compiled import Attack

        try:
            attack = Attack.prepare(self.query, self.known)
        except UnsupportedError:
            return None
        if not attack.is_compiled(restarts) and not self.deadline.affords(COMPILATION):
            return None
        point = attack.run(np.random.default_rng(self.seed), self.deadline, restarts=restarts, rounds=rounds)
        return _checked(self.query, self.box, point)

    def _in_integers(self, deadline: Deadline) -> IntArray | None:
        """Search what floats do not hold: sample, then walk."""
        rng = np.random.default_rng(self.seed)
        point = first_solution(self.query, self.box, draw(self.box, rng, 64))
        return greedy_walk(self.query, self.box, rng, walkers=16, moves=16, steps=64, deadline=deadline) if point is None else point


def _listed(query: Query, box: FlatBox) -> IntArray | None:
    """Look at all points of a small box, those far apart first, in portions that grow."""
    order = np.argsort(np.arange(box.points) * GOLDEN % 1, kind="stable")
    first, size = 0, FEW
    while first < len(order):
        point = first_solution(query, box, box.numbered(order[first : first + size]))
        if point is not None:
            return point
        first, size = first + size, 2 * size
    return None


def _checked(query: Query, box: FlatBox, point: IntArray | None) -> dict[str, IntArray] | None:
    if point is None:
        return None
    assignment = box.split(shrink(point))
    if not satisfies(query, assignment):
        raise SoundnessError("a solution that the search reports is none by the reference evaluator", given=assignment)
    return assignment
