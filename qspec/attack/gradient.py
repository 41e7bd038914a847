"""Gradient ascent and greedy moves on the integer grid, batched and compiled; every point they visit is evaluated exactly.

Gradients are those of the relaxed program, with momentum and by their sign (Madry et al. 2018, Dong et al. 2018). A point's score is that
of the goal when every layer but the last rounds as it really does, so that a gain of less than one output code still shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import lax

from qspec.attack.margin import score, truth
from qspec.evaluate import device
from qspec.evaluate.jax_kernels import execute
from qspec.evaluate.kernels import KernelPlan
from qspec.ir.integer import Formula

HostArray = npt.NDArray[Any]

MOMENTUM = 0.75
FIRST_STEP = 0.5
"""First step, as a share of the width of the box: from its centre to a corner."""
RANKED = 16
"""Coordinates that greedy moves choose from, by what the gradient promises."""
PAIRED = 8
"""Coordinates of which all pairs are tried."""
RANDOM = 64
"""Moves of one random coordinate to a random place: at a corner no gradient leads on, but roundings do."""


@dataclass(frozen=True, slots=True)
class Target:
    """What shapes the compiled search.

    `exact` computes the nodes of the goal and then the frontier, `tail` relaxes what is behind the frontier, `relaxed` the whole program.
    `goal` reads the nodes of the goal by place, and `slots` says where each input lies in the vector of free integers.
    """

    exact: KernelPlan
    tail: KernelPlan
    relaxed: KernelPlan
    goal: Formula
    slots: tuple[tuple[int, int], ...]


class ClimbArrays(NamedTuple):
    """What does not shape it: the parameters of the plans, the box, and one scale per node of the goal."""

    exact: Sequence[Sequence[jax.Array]]
    tail: Sequence[Sequence[jax.Array]]
    relaxed: Sequence[Sequence[jax.Array]]
    lower: jax.Array
    upper: jax.Array
    scales: Sequence[jax.Array]


class Draws(NamedTuple):
    """Random moves for some steps: coordinates, and places between their bounds (0 to 1), shape (steps, searches, moves) each."""

    coordinates: jax.Array
    places: jax.Array


class Climb(NamedTuple):
    """A batch of searches: their points (batch, size), what each aims at, the best point of each; and a point that makes the goal true."""

    step: jax.Array
    points: jax.Array
    momentum: jax.Array
    aims: jax.Array
    best: jax.Array
    best_score: jax.Array
    found: jax.Array
    witness: jax.Array


def start(points: HostArray, aims: npt.NDArray[np.int32], scores: npt.NDArray[np.float32] | None = None) -> Climb:
    """Return searches that begin at these points, whose scores may be known."""
    known = np.full(len(points), -np.inf, np.float32) if scores is None else scores
    still = np.zeros(points.shape, np.float32)
    return Climb(*device.to_device([np.array(0, np.int32), points, still, aims, points, known, np.array(False), points[0]]))


def leaders(climb: Climb, count: int) -> Climb:
    """Return new searches that begin at the points with the best scores."""
    points, scores, aims = (np.asarray(v) for v in (climb.best, climb.best_score, climb.aims))
    order = np.argsort(-scores, kind="stable")[:count]
    return start(points[order], aims[order], scores[order])


def draw_moves(rng: np.random.Generator, steps: int, climb: Climb) -> Draws:
    """Draw the random moves of so many steps."""
    batch, size = climb.points.shape
    shape = (steps, batch, RANDOM)
    return Draws(*device.to_device([rng.integers(0, size, shape, dtype=np.int32), rng.random(shape, dtype=np.float32)]))


@device.compiled
def projected_gradient(target: Target, arrays: ClimbArrays, climb: Climb, until: jax.Array, total: jax.Array) -> Climb:
    """Take gradient steps up to step number `until` of `total`, or until a point makes the goal true; steps shrink to single codes."""

    def one(c: Climb) -> Climb:
        gradient = gradient_of(target, arrays, c.points, c.aims)
        momentum = MOMENTUM * c.momentum + gradient / (jnp.abs(gradient).mean(axis=-1, keepdims=True) + 1e-12)
        share = FIRST_STEP * (1 - c.step.astype(jnp.float32) / total)
        length = jnp.maximum(1, jnp.round(share * (arrays.upper - arrays.lower))).astype(c.points.dtype)
        points = jnp.clip(c.points + jnp.sign(momentum).astype(c.points.dtype) * length, arrays.lower, arrays.upper)
        scores, holds = judged(target, arrays, points, c.aims)
        return _record(c._replace(points=points, momentum=momentum), points, scores, holds)

    return device.repeat_while(lambda c: (c.step < until) & ~c.found, one, climb)


@device.compiled
def polish(target: Target, arrays: ClimbArrays, climb: Climb, until: jax.Array, draws: Draws) -> Climb:
    """Move every best point to the best of its neighbours, up to step number `until`, or until a point makes the goal true.

    Neighbours differ in coordinates that the gradient ranks first (one, two or the first few of them at a bound, or one by a single
    code), or in one random coordinate.
    """
    batch, size = climb.points.shape
    masks, near = _neighbourhood(min(RANKED, size))
    count = len(masks) + RANDOM

    def one(c: Climb) -> Climb:
        gradient = gradient_of(target, arrays, c.best, c.aims)
        ranked = _ranked_moves(arrays, c.best, gradient, masks, near)
        random = _random_moves(arrays, c.best, draws, c.step % draws.coordinates.shape[0])
        neighbours = jnp.clip(c.best[:, None, :] + jnp.concatenate([ranked, random], axis=1), arrays.lower, arrays.upper)
        scores, holds = judged(target, arrays, neighbours.reshape(-1, size), jnp.repeat(c.aims, count, axis=0))
        scores, holds = scores.reshape(batch, count), holds.reshape(batch, count)
        pick = jnp.where(holds, jnp.inf, scores).argmax(axis=1, keepdims=True)
        points = jnp.take_along_axis(neighbours, pick[:, :, None], axis=1)[:, 0]
        return _record(c, points, jnp.take_along_axis(scores, pick, axis=1)[:, 0], jnp.take_along_axis(holds, pick, axis=1)[:, 0])

    return device.repeat_while(lambda c: (c.step < until) & ~c.found, one, climb)


@cache
def _neighbourhood(count: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Return which ranked coordinates each neighbour changes, shape (neighbours, count), and whether by one code only, (neighbours, 1)."""
    single = np.eye(count, dtype=bool)
    pairs = [single[a] | single[b] for a, b in combinations(range(min(PAIRED, count)), 2)]
    prefixes = [np.arange(count) < k for k in range(3, count + 1)]
    masks = np.array([*single, *pairs, *prefixes, *single], dtype=np.float32)
    return masks, (np.arange(len(masks)) >= len(masks) - count)[:, None]


def _ranked_moves(
    arrays: ClimbArrays, points: jax.Array, gradient: jax.Array, masks: npt.NDArray[np.float32], near: npt.NDArray[np.bool_]
) -> jax.Array:
    room = (jnp.where(gradient > 0, arrays.upper, arrays.lower) - points).astype(jnp.float32)
    _, ranked = lax.top_k(jnp.abs(gradient * room), masks.shape[1])
    far = jnp.take_along_axis(room, ranked, axis=1)[:, None, :]
    moves = jnp.where(near, jnp.sign(far), far) * masks
    places = (ranked[:, :, None] == device.count(points.shape[1])).astype(jnp.float32)
    return jnp.round(device.contract("bnk,bks->bns", moves, places)).astype(points.dtype)


def _random_moves(arrays: ClimbArrays, points: jax.Array, draws: Draws, row: jax.Array) -> jax.Array:
    coordinate = draws.coordinates[row]
    width = (arrays.upper - arrays.lower)[coordinate]
    goal = arrays.lower[coordinate] + jnp.round(draws.places[row] * width).astype(points.dtype)
    move = goal - jnp.take_along_axis(points, coordinate, axis=1)
    return jnp.where(coordinate[:, :, None] == device.count(points.shape[1]), move[:, :, None], 0)


def _inputs(target: Target, points: jax.Array) -> tuple[jax.Array, ...]:
    return tuple(points[:, first:last] for first, last in target.slots)


def gradient_of(target: Target, arrays: ClimbArrays, points: jax.Array, aims: jax.Array) -> jax.Array:
    """Return the slope of the relaxed score of each point."""

    def total(x: jax.Array) -> jax.Array:
        values = execute(target.relaxed, arrays.relaxed, _inputs(target, x))
        return score(target.goal, _full(values, len(points)), arrays.scales, aims).sum()

    return jnp.nan_to_num(device.slope(total, points.astype(jnp.float32)))


def judged(target: Target, arrays: ClimbArrays, points: jax.Array, aims: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return score and truth of the goal at each point."""
    values = _full(execute(target.exact, arrays.exact, _inputs(target, points)), len(points))
    frontier = [v.astype(jnp.float32) for v in values[len(arrays.scales) :]]
    outcome = _full(execute(target.tail, arrays.tail, frontier), len(points))
    return score(target.goal, outcome, arrays.scales, aims), jnp.broadcast_to(truth(target.goal, values), (len(points),))


def _full(values: Sequence[jax.Array], batch: int) -> list[jax.Array]:
    return [jnp.broadcast_to(v, (batch, v.shape[1])) for v in values]


def _record(c: Climb, points: jax.Array, scores: jax.Array, holds: jax.Array) -> Climb:
    """Keep points that are no worse than the best so far, and the first that makes the goal true."""
    better = scores >= c.best_score
    return c._replace(
        step=c.step + 1,
        best=jnp.where(better[:, None], points, c.best),
        best_score=jnp.where(better, scores, c.best_score),
        found=jnp.any(holds),
        witness=jnp.where(jnp.any(holds), points[jnp.argmax(holds)], c.witness),
    )
