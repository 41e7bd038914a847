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
"""Points that are evaluated together."""
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
        """Yield further solutions than this one, none that was told before, until there are none near or the time is over."""
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
        for first in range(0, self.box.points, PORTION):
            if deadline.passed():
                return
            yield from self._solved(self.box.listed(first, min(PORTION, self.box.points - first)))
        self.complete = True

    def _around(self, first: IntArray, deadline: Deadline) -> Iterator[IntArray]:
        """Search in breadth: next to the first solution, then next to those that this has found."""
        waiting = deque([first])
        while waiting:
            near = self._steps(waiting.popleft())
            for k in range(0, len(near), PORTION):
                if deadline.passed():
                    return
                for point in self._solved(near[k : k + PORTION]):
                    waiting.append(point)
                    yield point

    def _steps(self, point: IntArray) -> IntArray:
        """Return the points of the box that differ from one in one element, by one."""
        steps = np.concatenate([np.eye(self.box.size, dtype=np.int64), -np.eye(self.box.size, dtype=np.int64)])
        near = point + steps
        return near[np.all((near >= self.box.lower) & (near <= self.box.upper), axis=1)]

    def _solved(self, points: IntArray) -> Iterator[IntArray]:
        """Yield those of some points that are solutions, and were none of those that are known."""
        size = together(self.query.program, PORTION)
        for k in range(0, len(points), size):
            block = points[k : k + size]
            solved = np.broadcast_to(holds(self.query.goal, evaluate(self.query.program, self.box.split(block))), (len(block),))
            for point in block[solved]:
                if point.tobytes() not in self.known:
                    self.known.add(point.tobytes())
                    yield point


def _key(codes: Assignment) -> str:
    return str({name: codes[name].tolist() for name in sorted(codes)})
