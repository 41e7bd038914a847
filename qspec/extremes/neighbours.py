"""More solutions near one that is known: the points that differ from a solution in one free integer by one, evaluated many at once.

Each is a solution by the reference integers, and the property itself confirms it. Where the box is small, all of its points are evaluated.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.attack.flat_inputs import FlatBox
from qspec.compile.query import free_integers
from qspec.deadline import Deadline
from qspec.ir.integer import Assignment, Query
from qspec.ir.reference import evaluate, holds, satisfies, together
from qspec.language.property import Property
from qspec.passes import Pipeline
from qspec.solver import get_solver
from qspec.verify import integers, session
from qspec.verify.integers import Run
from qspec.verify.options import DEFAULT_SOLVER, Settings
from qspec.verify.result import Evidence, Result

FEW = 1 << 14
"""Up to so many points of a box are all evaluated."""
PORTION = 512
"""Points that are evaluated together at most."""
EXHAUSTIVE = "enumerate"
"""Who is named where every point was evaluated."""


@dataclass(eq=False)
class Neighbours:
    """The solutions of a property that are known, and the search around them."""

    run: Run
    query: Query
    """What is asked, with the bounds of inputs that the assumption gives."""
    box: FlatBox
    known: set[bytes] = field(default_factory=set[bytes])
    """Points that were a solution."""
    told: set[str] = field(default_factory=set[str])
    """Codes of solutions, which differ from the points where several of these make the same codes."""
    complete: bool = False
    """Whether every point was evaluated."""

    @classmethod
    def of(cls, spec: Property, settings: Settings) -> Neighbours:
        """Compile a property, for as long as its search may take; raises OutOfTime."""
        asked = get_solver(settings.solver or DEFAULT_SOLVER)
        run = integers.compiled(session.start(spec, settings.limits, asked), asked, settings)
        query = run.compiled.query
        (narrow,) = Pipeline().only("box").apply(query)
        query = narrow.query if narrow.query.inputs.keys() == query.inputs.keys() else query
        return cls(run, query, FlatBox.of(query))

    def after(self, result: Result, deadline: Deadline) -> Generator[Result]:
        """Yield further solutions than this one, none that was told before, until none is near; raises OutOfTime and OutOfMemory."""
        codes = {name: c.reshape(-1) for name, c in (result.codes or {}).items()}
        self.told.add(_key(codes))
        start = free_integers(self.run.spec, codes)
        if self.box.lower.dtype == object or start.keys() != self.query.inputs.keys() or not satisfies(self.query, start):
            return
        first = np.concatenate([start[name] for name in self.box.names]).astype(np.int64)
        self.known.add(first.tobytes())
        for point in self._all(deadline) if self.box.points <= FEW else self._around(first, deadline):
            found = self._result(self.box.split(point))
            if found is not None:
                yield found

    def end(self) -> Result:
        """Return the verdict after every point was evaluated: there is no other solution than those that were told."""
        run = replace(self.run, solver=EXHAUSTIVE, solver_version=get_solver(EXHAUSTIVE).availability().version, times={}, query=None)
        return session.absent(run, Evidence.PROOF, lambda: False)

    def _result(self, assignment: Assignment) -> Result | None:
        codes = self.run.compiled.lift(assignment)
        if _key(codes) in self.told:
            return None
        self.told.add(_key(codes))
        return integers.found(replace(self.run, times={}), assignment, Evidence.ATTACK)

    def _all(self, deadline: Deadline) -> Iterator[IntArray]:
        for first, last in self._portions(self.box.points):
            deadline.check()
            yield from self._solved(self.box.listed(first, last - first))
        self.complete = True

    def _around(self, start: IntArray, deadline: Deadline) -> Iterator[IntArray]:
        """Search in breadth: next to the first solution, then next to those that this has found."""
        waiting = deque([start])
        while waiting:
            point = waiting.popleft()
            for first, last in self._portions(2 * self.box.size):
                deadline.check()
                for other in self._solved(self._steps(point, np.arange(first, last))):
                    waiting.append(other)
                    yield other

    def _steps(self, point: IntArray, numbers: IntArray) -> IntArray:
        """Return the points of the box that differ from one in one element, by one, of these numbers: up in each element, then down."""
        element, by = numbers % self.box.size, np.where(numbers < self.box.size, 1, -1)
        moved = point[element] + by
        inside = (moved >= self.box.lower[element]) & (moved <= self.box.upper[element])
        near = np.repeat(point[None], np.count_nonzero(inside), axis=0)
        near[np.arange(len(near)), element[inside]] = moved[inside]
        return near

    def _portions(self, count: int) -> Iterator[tuple[int, int]]:
        """Yield where each portion of so many points begins and ends."""
        size = together(self.query.program, PORTION)
        yield from ((k, min(k + size, count)) for k in range(0, count, size))

    def _solved(self, points: IntArray) -> Iterator[IntArray]:
        """Yield those of some points that are solutions, and were none of those that are known."""
        if not len(points):
            return
        solved = np.broadcast_to(holds(self.query.goal, evaluate(self.query.program, self.box.split(points))), (len(points),))
        for point in points[solved]:
            if point.tobytes() not in self.known:
                self.known.add(point.tobytes())
                yield point


def _key(codes: Assignment) -> str:
    return str({name: codes[name].tolist() for name in sorted(codes)})
