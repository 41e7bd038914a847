"""Search in numpy: samples of the box and greedy moves by the reference evaluator, for programs too small to be worth a compilation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.integers import IntArray
from qspec.attack.flat_inputs import FlatBox
from qspec.deadline import Deadline
from qspec.ir.integer import All, And, Any, Formula, Or, Query, Truth
from qspec.ir.reference import blocks, evaluate, holds

Floats = npt.NDArray[np.float64]


def draw(box: FlatBox, rng: np.random.Generator, count: int) -> IntArray:
    """Return random points of a box, half of them corners, after its centre, its lower and its upper corner; shape (count, size)."""
    lower, upper = box.lower, box.upper
    corners = np.where(rng.random((count, box.size)) < 0.5, lower, upper)
    points = np.where(rng.random((count, 1)) < 0.5, corners, _uniform(rng, lower, upper, (count, box.size)))
    fixed = [lower + (upper - lower) // 2, lower, upper][:count]
    points[: len(fixed)] = fixed
    return points


def _uniform(rng: np.random.Generator, lower: IntArray, upper: IntArray, shape: tuple[int, ...]) -> IntArray:
    """Return random integers between bounds of any size (beyond 64 bits their low bits are not independent)."""
    if lower.dtype != object and upper.dtype != object:
        return rng.integers(np.broadcast_to(lower, shape), np.broadcast_to(upper, shape), endpoint=True)
    ticks = rng.integers(0, 2**62, shape).astype(object)
    return lower + (upper.astype(object) - lower) * ticks // (2**62 - 1)


def first_solution(query: Query, box: FlatBox, points: IntArray) -> IntArray | None:
    """Return the first of some points, shape (count, size), that makes the goal true."""
    found = np.flatnonzero(_judge(query, box, points)[1])
    return points[found[0]] if found.size else None


def greedy_walk(
    query: Query, box: FlatBox, rng: np.random.Generator, *, walkers: int, moves: int, steps: int, deadline: Deadline
) -> IntArray | None:
    """Return a solution met on greedy random walks, or None.

    In each step every walker tries `moves` changes of one or two coordinates (to a bound, by one, or anywhere) and takes the best unless
    all are worse. The deadline is looked at before each step.
    """
    at = draw(box, rng, walkers)
    scores, solved = _judge(query, box, at)
    for _ in range(steps):
        if np.any(solved) or deadline.passed():
            break
        around = _neighbours(box, rng, at, moves)
        tried, good = _judge(query, box, around.reshape(-1, box.size))
        tried, good = tried.reshape(walkers, moves), good.reshape(walkers, moves)
        pick = np.where(good, np.inf, tried).argmax(axis=1)
        rows = np.arange(walkers)
        better = tried[rows, pick] >= scores
        at = np.where(better[:, None], around[rows, pick], at)
        scores, solved = np.where(better, tried[rows, pick], scores), good[rows, pick] & better
    return at[np.flatnonzero(solved)[0]] if np.any(solved) else None


def _neighbours(box: FlatBox, rng: np.random.Generator, at: IntArray, moves: int) -> IntArray:
    """Return points (walkers, moves, size) that differ from each walker in one or two coordinates."""
    walkers, size = at.shape
    around = np.repeat(at[:, None, :], moves, axis=1)
    walker, move = np.indices((walkers, moves))
    for again in (np.ones((walkers, moves), dtype=bool), rng.random((walkers, moves)) < 0.3):
        coordinate = rng.integers(0, size, (walkers, moves))
        lower, upper = box.lower[coordinate], box.upper[coordinate]
        old = around[walker, move, coordinate]
        kind = rng.integers(0, 5, (walkers, moves))
        choices = [lower, upper, old - 1, old + 1, _uniform(rng, lower, upper, lower.shape)]
        new = np.clip(np.choose(kind, choices), lower, upper)
        around[walker, move, coordinate] = np.where(again, new, old)
    return around


def _judge(query: Query, box: FlatBox, points: IntArray) -> tuple[Floats, IntArray]:
    """Return score and truth of the goal at each point."""
    scores, solved = np.zeros(len(points)), np.zeros(len(points), dtype=np.bool_)
    for rows in blocks(query.program, len(points)):
        values = evaluate(query.program, box.split(points[rows]))
        scores[rows], solved[rows] = _score(query.goal, values), holds(query.goal, values)
    return scores, solved


def _score(formula: Formula, values: Sequence[IntArray]) -> Floats:
    """Return how far a formula is from true; the measure is that of `margin.score`, without scales and aims."""
    match formula:
        case Truth(value):
            return np.array([1.0 if value else -1.0])
        case All(node):
            return _worst(values[node].astype(np.float64))
        case Any(node):
            return values[node].astype(np.float64).max(axis=-1, initial=-np.inf)
        case And(children):
            return _worst(_side_by_side([_score(c, values) for c in children]))
        case Or(children):
            return _side_by_side([_score(c, values) for c in children]).max(axis=-1, initial=-np.inf)
        case _:
            assert_never(formula)


def _side_by_side(parts: list[Floats]) -> Floats:
    return np.stack(np.broadcast_arrays(*parts), axis=-1) if parts else np.zeros((1, 0))


def _worst(parts: Floats) -> Floats:
    return parts.min(axis=-1, initial=1.0) + np.minimum(parts, 0).sum(axis=-1) / max(1, parts.shape[-1])
