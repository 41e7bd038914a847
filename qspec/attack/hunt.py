"""A search that can be continued: simple means in numpy take turns by the work they have done, and what they find is replayed exactly."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from qspec.arithmetic.integers import IntArray, shrink
from qspec.attack.descents import DEAR, descents
from qspec.attack.flat_inputs import FlatBox
from qspec.attack.linear_floats import Floats
from qspec.attack.means import Scene, Stream, climbs, pointed, rows, walks
from qspec.attack.smooth import Smooth
from qspec.bounds.interval import Interval
from qspec.deadline import Deadline
from qspec.ir.integer import Query
from qspec.ir.reference import satisfies

WIDE = 64
"""Free elements from which chance has little to offer."""
AT_FIRST = 4
"""Looks along the slopes from the centre before anything else."""
CLIMBS = 0.2
"""Share of climbs by signs, where evaluations are dear; searches straight through the roundings have the rest, and chance has nothing."""
CHECKED = 4
"""Points of one batch that the reference is asked about."""


@dataclass(slots=True, eq=False)
class Means:
    """One stream, the share of the work that it may do, and what it has done."""

    stream: Stream
    share: float
    done: float = 0.0


@dataclass(slots=True, eq=False)
class Hunt:
    """Means that take turns, on one query."""

    query: Query
    scene: Scene
    means: list[Means] = field(init=False)
    first: Stream = field(init=False)
    started: int = 0

    @classmethod
    def of(cls, query: Query, known: list[Interval], work: int, seed: int) -> Hunt | None:
        """Make a query ready, one evaluation of which takes so many multiplications; None if floats do not hold its values."""
        box = FlatBox.of(query)
        smooth = Smooth.of(query, known, box)
        return cls(query, Scene(smooth, box, max(1, work), np.random.default_rng(seed))) if smooth.exact and box.size else None

    def __post_init__(self) -> None:
        scene = self.scene
        free = int(np.count_nonzero(scene.upper > scene.lower))
        few = free < WIDE
        self.first = pointed(scene)
        shares = (0.2, 0.6, 0.2) if few else (0.7, 0.1, 0.2)
        if scene.work >= DEAR:
            self.means = [Means(descents(scene), 1 - CLIMBS), Means(climbs(scene), CLIMBS)]
        else:
            self.means = [Means(m(scene), share) for m, share in zip((climbs, rows, walks), shares, strict=True)]

    def run(self, deadline: Deadline, work: float = np.inf) -> dict[str, IntArray] | None:
        """Search on until a solution is found, time is over, or so many more multiplications are done."""
        until = self.scene.spent + work
        while self.scene.spent < until and not deadline.passed():
            found = self._turn()
            if found is not None:
                return found
        return None

    def _turn(self) -> dict[str, IntArray] | None:
        """Let the means that has done least for its share look at its next batch."""
        if self.started < AT_FIRST:
            self.started += 1
            return self._confirmed(next(self.first))
        chosen = min(self.means, key=lambda m: m.done / m.share)
        before = self.scene.spent
        found = next(chosen.stream)
        chosen.done += self.scene.spent - before
        return self._confirmed(found)

    def _confirmed(self, points: Floats | None) -> dict[str, IntArray] | None:
        """Return the first of some points that the reference confirms."""
        for point in () if points is None else points[:CHECKED]:
            assignment = self.scene.box.split(shrink(point.astype(np.int64)))
            if satisfies(self.query, assignment):
                return assignment
        return None
