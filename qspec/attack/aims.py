"""How far a formula is from being true, in floats, and in which direction it comes nearer.

The measure is that of `margin.py`: an element asks for `v >= 0` and scores `v`; a conjunction scores its worst member, plus the mean of
what all members lack; a disjunction scores its best member, or the one that a search aims at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.attack.linear_floats import Floats
from qspec.bounds.interval import Interval, decide
from qspec.ir.integer import All, And, Any, Formula, Or, Truth

FREE = -1
"""No aim: the best member counts."""
Pull = Callable[[Floats, dict[int, Floats]], None]
"""Adds the slope of a score, times a weight for each member of the batch, to the slopes of nodes."""


def disjunctions(formula: Formula, known: Sequence[Interval]) -> list[IntArray]:
    """Return, for each `Any` and `Or` in the order in which a score meets them, the members that bounds do not rule out."""
    match formula:
        case Truth() | All():
            return []
        case Any(node):
            return [np.flatnonzero(known[node].upper >= 0)]
        case And(children):
            return [d for c in children for d in disjunctions(c, known)]
        case Or(children):
            open_members = np.array([k for k, c in enumerate(children) if decide(c, known) is not False], dtype=np.int64)
            return [open_members, *(d for c in children for d in disjunctions(c, known))]
        case _:
            assert_never(formula)


def scored(formula: Formula, values: Mapping[int, Floats], scales: Mapping[int, float], aims: IntArray) -> tuple[Floats, Pull]:
    """Return the score of each member of a batch, and its slopes.

    `values` are of the nodes that the formula reads, shape (batch, size), `scales` their units; `aims` has shape (batch, disjunctions): for
    each `Any` and `Or`, in the order of `disjunctions`, the member to aim at, or `FREE`.
    """
    return _scored(formula, values, scales, iter(range(aims.shape[1])), aims)


def _scored(
    formula: Formula, values: Mapping[int, Floats], scales: Mapping[int, float], column: Iterator[int], aims: IntArray
) -> tuple[Floats, Pull]:
    match formula:
        case Truth(value):
            return np.full(len(aims), 1.0 if value else -1.0), _nothing
        case All(node):
            parts = _spread(values[node] * scales[node], len(aims))
            return _worst(parts, _into(node, scales[node]))
        case Any(node):
            parts = _spread(values[node] * scales[node], len(aims))
            return _aimed(parts, aims[:, next(column)], _into(node, scales[node]))
        case And(children):
            return _all([_scored(c, values, scales, column, aims) for c in children], len(aims))
        case Or(children):
            own = aims[:, next(column)]
            inner = [_scored(c, values, scales, column, aims) for c in children]
            return _aimed(_beside(inner, len(aims)), own, _onto(inner))
        case _:
            assert_never(formula)


def _nothing(_weight: Floats, _slopes: dict[int, Floats]) -> None:
    """A constant has no slope."""


def _spread(parts: Floats, batch: int) -> Floats:
    return np.broadcast_to(parts, (batch, parts.shape[1]))


def _beside(inner: list[tuple[Floats, Pull]], batch: int) -> Floats:
    return np.stack([s for s, _ in inner], axis=1) if inner else np.zeros((batch, 0))


def _into(node: int, scale: float) -> Pull:
    def pull(weights: Floats, slopes: dict[int, Floats]) -> None:
        slopes[node] = slopes[node] + weights * scale if node in slopes else weights * scale

    return pull


def _onto(inner: list[tuple[Floats, Pull]]) -> Pull:
    def pull(weights: Floats, slopes: dict[int, Floats]) -> None:
        for k, (_, own) in enumerate(inner):
            own(weights[:, k : k + 1] if weights.ndim == 2 else weights, slopes)

    return pull


def _all(inner: list[tuple[Floats, Pull]], batch: int) -> tuple[Floats, Pull]:
    """Return the score of a conjunction, as `_worst` has it; of few members that is quicker one by one than side by side."""
    if not inner:
        return np.ones(batch), _nothing
    least = reduce(np.minimum, (s for s, _ in inner))
    lack = reduce(np.add, (np.minimum(s, 0) for s, _ in inner))

    def onward(weights: Floats, slopes: dict[int, Floats]) -> None:
        _worst(_beside(inner, batch), _onto(inner))[1](weights, slopes)

    return least + lack / len(inner), onward


def _worst(parts: Floats, pull: Pull) -> tuple[Floats, Pull]:
    if parts.shape[1] == 0:
        return np.ones(len(parts)), _nothing
    if parts.shape[1] == 1:
        only = parts[:, 0]
        return only + np.minimum(only, 0), lambda weights, slopes: pull(weights.reshape(-1, 1) * (1 + (parts < 0)), slopes)
    short = np.minimum(parts, 0)

    def onward(weights: Floats, slopes: dict[int, Floats]) -> None:
        shares = (parts < 0) / parts.shape[1]
        shares[np.arange(len(parts)), parts.argmin(axis=1)] += 1
        pull(weights.reshape(-1, 1) * shares, slopes)

    return parts.min(axis=1) + short.mean(axis=1), onward


def _aimed(parts: Floats, aim: IntArray, pull: Pull) -> tuple[Floats, Pull]:
    if parts.shape[1] == 0:
        return np.full(len(parts), -1.0), _nothing
    rows = np.arange(len(parts))
    picked = np.where(aim == FREE, parts.argmax(axis=1), aim)

    def onward(weights: Floats, slopes: dict[int, Floats]) -> None:
        shares = np.zeros(parts.shape)
        shares[rows, picked] = 1
        pull(weights.reshape(-1, 1) * shares, slopes)

    return parts[rows, picked], onward
