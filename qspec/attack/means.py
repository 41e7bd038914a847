"""Simple means of finding a solution, in numpy, each a stream that never ends: corners, climbs along slopes, rows at random, walks.

Every `next` looks at one batch of points and gives those that make the goal true by floats. Sources: signs of slopes, Goodfellow et al.
2015; projected steps from random starts, Madry et al. 2018, with momentum as in Dong et al. 2018.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.attack.aims import FREE
from qspec.attack.flat_inputs import FlatBox
from qspec.attack.linear_floats import Floats
from qspec.attack.smooth import Smooth, SmoothScores

MOMENTUM = 0.75
STEPS = 16
"""Steps of a climb."""
FIRST_STEP = 0.5
"""First step, as a share of the width of the box: from its centre to a corner."""
CLIMBERS, MOST_CLIMBERS = 10, 64
"""Climbs at a time, where evaluations are dear, and where they are cheap or many members of a disjunction are open."""
ROWS, MOST_ROWS = 32, 4096
"""Rows of the first batch, and of the largest."""
BATCH_WORK = 2**24
"""Multiplications of a batch of rows at most."""
KEPT = 32
"""Points that walks start from."""
WALKERS, MOVES, PATIENCE = 16, 16, 12
"""Walks at a time, changes that each tries in a step, and steps without a gain after which walks begin again elsewhere."""
LOOK, ELEMENT = 2**18, 2**4
"""What one look costs whatever it looks at, and what drawing an element of a point does, in multiplications."""
Stream = Iterator[Floats | None]


@dataclass(slots=True, eq=False)
class Scene:
    """What all means share: the query in floats, its box, a source of chance, the work done, and the best points so far."""

    smooth: Smooth
    box: FlatBox
    work: int
    """Multiplications of one evaluation, about."""
    rng: np.random.Generator
    spent: int = 0
    looks: int = 0
    """Evaluations so far."""
    best: Floats = field(init=False)
    scores: Floats = field(init=False)
    lower: Floats = field(init=False)
    upper: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.lower, self.upper = (e.astype(self.smooth.dtype) for e in (self.box.lower, self.box.upper))
        self.best, self.scores = np.zeros((0, self.box.size), self.smooth.dtype), np.zeros(0)

    def look(self, points: Floats, aims: IntArray | None = None, *, slopes: bool = False) -> SmoothScores:
        """Evaluate points and keep account."""
        self.spent += (LOOK + len(points) * (self.work + ELEMENT * self.box.size)) * (3 if slopes else 1)
        self.looks += len(points)
        return self.smooth.look(points, aims, slopes=slopes)

    def solved(self, points: Floats) -> Floats | None:
        """Return the points that make the goal true, if there are any, and keep account."""
        self.spent += LOOK + len(points) * (self.work + ELEMENT * self.box.size)
        self.looks += len(points)
        solved = self.smooth.solved(points)
        return points[solved] if np.any(solved) else None

    def keep(self, points: Floats, scores: Floats) -> None:
        """Remember the best points."""
        if len(self.scores) == KEPT and scores.max(initial=-np.inf) <= self.scores.min():
            return
        order = np.argsort(-scores, kind="stable")[:KEPT]
        self.best, self.scores = np.concatenate([self.best, points[order]]), np.concatenate([self.scores, scores[order]])
        order = np.argsort(-self.scores, kind="stable")[:KEPT]
        self.best, self.scores = self.best[order], self.scores[order]

    def centre(self) -> Floats:
        return np.floor((self.lower + self.upper) / 2)

    def uniform(self, count: int) -> Floats:
        """Return random points, each equally likely, shape (count, size)."""
        dtype = self.smooth.dtype
        return np.minimum(np.floor(self.lower + self.rng.random((count, self.box.size), dtype) * (self.upper - self.lower + 1)), self.upper)

    def corners(self, count: int) -> Floats:
        """Return random corners."""
        return np.where(self.rng.random((count, self.box.size), np.float32) < 0.5, self.lower, self.upper)

    def aims(self, count: int, first: int = 0) -> IntArray:
        """Deal out the open members of each disjunction."""
        aims = np.full((count, len(self.smooth.options)), FREE)
        for k, members in enumerate(self.smooth.options):
            choices = np.append(members, FREE)
            aims[:, k] = choices[(np.arange(count) + (first if k == 0 else self.rng.integers(len(choices)))) % len(choices)]
            if k > 0:
                aims[:, k] = self.rng.permutation(aims[:, k])
        return aims


def hits(points: Floats, looked: SmoothScores) -> Floats | None:
    """Return the points that make the goal true, if there are any."""
    return points[looked.solved] if np.any(looked.solved) else None


def pointed(scene: Scene) -> Stream:
    """Look at the centre, the two extreme corners, and those that slopes at the centre point to, for each aim; then slopes from there."""
    ends = np.stack([scene.centre(), scene.lower, scene.upper])
    looked = scene.look(ends)
    scene.keep(ends, looked.scores)
    yield hits(ends, looked)
    count = min(MOST_CLIMBERS, 1 + max((len(m) for m in scene.smooth.options), default=0))
    aims = scene.aims(count)
    at = np.repeat(ends[:1], count, axis=0)
    slopes = _slopes(scene.look(at, aims, slopes=True))
    while True:
        at = np.where(slopes > 0, scene.upper, np.where(slopes < 0, scene.lower, at))
        looked = scene.look(at, aims, slopes=True)
        scene.keep(at, looked.scores)
        yield hits(at, looked)
        slopes = _slopes(looked)


def climbs(scene: Scene) -> Stream:
    """Climb from random points, towards each aim in turn, by the signs of slopes with momentum and steps that shrink."""
    turn = 0
    options = 1 + max((len(m) for m in scene.smooth.options), default=0)
    while True:
        count = min(MOST_CLIMBERS, max(CLIMBERS, LOOK // scene.work, options if turn == 0 else 0))
        aims = scene.aims(count, turn)
        turn += count
        at = scene.uniform(count)
        speed = np.zeros_like(at)
        width = scene.upper - scene.lower
        for step in range(STEPS):
            looked = scene.look(at, aims, slopes=True)
            scene.keep(at, looked.scores)
            yield hits(at, looked)
            slopes = _slopes(looked)
            speed = MOMENTUM * speed + slopes / (np.abs(slopes).mean(axis=1, keepdims=True) + 1e-12)
            length = np.maximum(1, np.rint(FIRST_STEP * (1 - step / STEPS) * width))
            at = np.clip(at + np.sign(speed) * length, scene.lower, scene.upper)
        looked = scene.look(at, aims)
        scene.keep(at, looked.scores)
        yield hits(at, looked)


def rows(scene: Scene) -> Stream:
    """Draw points at random: uniformly, every fourth batch corners, every eighth the best points with some elements drawn anew."""
    count, most = ROWS, max(ROWS, min(MOST_ROWS, BATCH_WORK // scene.work))
    batch = 0
    while True:
        if batch % 8 < 6:
            yield scene.solved(scene.corners(count) if batch % 4 == 1 else scene.uniform(count))
        else:
            points = scene.uniform(count)
            if batch % 8 == 7:
                kept = scene.best[scene.rng.integers(len(scene.best), size=count)]
                points = np.where(scene.rng.random(points.shape, np.float32) < scene.rng.random((count, 1), np.float32), points, kept)
            looked = scene.look(points)
            scene.keep(points, looked.scores)
            yield hits(points, looked)
        batch += 1
        count = min(most, 2 * count)


def walks(scene: Scene) -> Stream:
    """Walk greedily from the best points: try changes of one or two elements (to a bound, by one, or anywhere) and take the best."""
    while True:
        at = _starts(scene)
        scores = scene.look(at).scores
        idle = 0
        while idle < PATIENCE:
            around = _neighbours(scene, at).reshape(-1, scene.box.size)
            looked = scene.look(around)
            yield hits(around, looked)
            tried = looked.scores.reshape(len(at), MOVES)
            pick = tried.argmax(axis=1)
            best = np.take_along_axis(tried, pick[:, None], axis=1)[:, 0]
            taken = best >= scores
            idle = 0 if np.any(best > scores) else idle + 1
            at = np.where(taken[:, None], around.reshape(len(at), MOVES, -1)[np.arange(len(at)), pick], at)
            scores = np.where(taken, best, scores)
        scene.keep(at, scores)


def _starts(scene: Scene) -> Floats:
    """Return where walks begin: half at some of the best points, half anywhere."""
    at = scene.uniform(WALKERS)
    if len(scene.best):
        chosen = scene.rng.permutation(len(scene.best))[: WALKERS // 2]
        at[: len(chosen)] = scene.best[chosen]
    return at


def _neighbours(scene: Scene, at: Floats) -> Floats:
    """Return points (walkers, moves, size) that differ from each walker in one or two elements."""
    rng, shape = scene.rng, (len(at), MOVES)
    around = np.repeat(at[:, None, :], MOVES, axis=1)
    walker, move = np.indices(shape)
    for again in (np.ones(shape, np.bool_), rng.random(shape) < 0.3):
        element = rng.integers(0, scene.box.size, shape)
        lower, upper = scene.lower[element], scene.upper[element]
        old = around[walker, move, element]
        anywhere = np.floor(lower + rng.random(shape) * (upper - lower + 1))
        new = np.clip(np.choose(rng.integers(0, 5, shape), [lower, upper, old - 1, old + 1, anywhere]), lower, upper)
        around[walker, move, element] = np.where(again, new, old)
    return around


def _slopes(looked: SmoothScores) -> Floats:
    assert looked.slopes is not None
    return looked.slopes
