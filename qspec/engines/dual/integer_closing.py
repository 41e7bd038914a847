"""Exact closing: what the search found in floats is rounded to integers and bounded again; only a positive integer closes a domain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.integers import IntArray
from qspec.bounds.backward_substitution import Chooser, derive
from qspec.bounds.interval import Interval
from qspec.bounds.layout import Layout
from qspec.engines.dual.dual_ascent import CLOSED, Found
from qspec.engines.dual.tensor_program import Shape
from qspec.ir.integer import Program, arguments

Floats = npt.NDArray[np.floating[Any]]

BITS = 36
"""Fractional bits of weights and multipliers, if the largest weight is about 1."""
MOST = 1 << 60
LARGEST = float(MOST)
"""Numbers of a certificate stay below this."""


@dataclass(frozen=True, slots=True, eq=False)
class Closing:
    """Bounds (batch,) and the integers that they follow from: multipliers (batch, multipliers) and weights (batch, facts); or one row."""

    bound: IntArray
    multipliers: IntArray
    weights: IntArray


def close(
    program: Program, layout: Layout, shape: Shape, known: dict[int, Interval], weights: Floats, multipliers: Floats, bits: int = BITS
) -> Closing:
    """Bound `-weights · facts` of a batch from below, exactly, with weights and multipliers rounded to integers of so many bits.

    `known` are the intervals (batch, size) of inputs and of arguments of relaxed nodes.
    """
    batch: int = weights.shape[0]
    # In doubles, which hold what floats overflow at; what a float has lost already is nothing.
    weights, multipliers = (np.nan_to_num(v.astype(np.float64), posinf=0, neginf=0) for v in (weights, multipliers))
    full = np.zeros((batch, layout.total))
    for k, first, end in shape.places:
        start, stop = layout.places[k]
        full[:, start:stop] = multipliers[:, first:end]
    largest = np.maximum(np.abs(weights).max(axis=1, initial=0), 1e-30)
    scale: npt.NDArray[np.float64] = (2.0**bits / largest)[:, None]
    steep = np.abs(full).max(axis=1, initial=0, keepdims=True) * scale
    scale = np.where(steep > LARGEST, scale * (LARGEST / np.maximum(steep, 1)), scale)
    whole = np.rint(weights * scale).astype(np.int64)
    chosen = np.rint(full * scale).astype(np.int64)
    reached = _reached(program, shape, whole)
    for k, (start, stop) in layout.places.items():
        chosen[~reached[:, k], start:stop] = 0

    def choose(node: int, c: IntArray) -> IntArray:
        del c
        return layout.part(chosen, node)

    held = {n: -whole[:, first:end] for n, first, end in shape.facts if np.any(whole[:, first:end])}
    if not held:
        return Closing(np.zeros(batch, dtype=np.int64), chosen, whole)
    # Only inputs and arguments of relaxed nodes are looked up, by position.
    return Closing(derive(program, held, choose, cast("list[Interval]", known)), chosen, whole)


def close_hopeful(
    program: Program, layout: Layout, shape: Shape, known: dict[int, Interval], found: Found, count: int
) -> dict[int, Closing]:
    """Close in integers what floats have closed of the first `count` domains of a batch; returns what follows for each, by its place."""
    hopeful = np.flatnonzero(found.bound[:count] > CLOSED)
    if not hopeful.size:
        return {}
    own = {k: Interval(x.lower[hopeful], x.upper[hopeful]) for k, x in known.items()}
    done = close(program, layout, shape, own, found.weight[hopeful], found.multipliers[hopeful])
    rows = [row for row in range(hopeful.size) if done.bound[row] > 0]
    return {int(hopeful[row]): Closing(done.bound[row], done.multipliers[row], done.weights[row]) for row in rows}


def _reached(program: Program, shape: Shape, weights: IntArray) -> npt.NDArray[np.bool_]:
    """Return of each domain which nodes its facts with a weight depend on, shape (batch, nodes): a checker passes over all others."""
    reached = np.zeros((len(weights), len(program)), dtype=np.bool_)
    for n, first, end in shape.facts:
        reached[:, n] |= np.any(weights[:, first:end], axis=1)
    for k in range(len(program) - 1, -1, -1):
        for a in arguments(program[k]):
            reached[:, a] |= reached[:, k]
    return reached


def recording(choose: Chooser, layout: Layout, batch: int) -> tuple[Chooser, IntArray]:
    """Return a rule that chooses alike and writes what it chose into the array returned, shape (batch, multipliers)."""
    chosen = np.zeros((batch, layout.total), dtype=np.int64)

    def recorded(node: int, c: IntArray) -> IntArray:
        p = np.clip(choose(node, c), -MOST, MOST).astype(np.int64)
        first, end = layout.places[node]
        chosen[:, first:end] = p
        return p

    return recorded, chosen


def fact_rows(shape: Shape, weights: IntArray) -> IntArray:
    """Return the facts with positive weight as rows (node, element, weight)."""
    rows = [
        np.stack([np.full(found.size, n), found, weights[first:end][found]], axis=1)
        for n, first, end in shape.facts
        if (found := np.flatnonzero(weights[first:end] > 0)).size
    ]
    return np.concatenate(rows) if rows else np.zeros((0, 3), dtype=np.int64)
