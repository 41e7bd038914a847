"""Points that may be solutions: judged in floats, and by exact arithmetic before one is believed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from qspec.engines.delta.atoms import Atoms, Ints, centre
from qspec.engines.delta.cases import Booleans, hold
from qspec.engines.delta.derivatives import Values, derivatives, enclose
from qspec.engines.delta.tensor_program import FloatProgram
from qspec.engines.outward import Floats, OutwardInterval
from qspec.errors import UnsupportedError
from qspec.ir.enclosure import satisfies
from qspec.ir.real import ExactArray, Input, Point, Query, exact, fractions

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
