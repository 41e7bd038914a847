"""Where to cut a domain: at the step of the operation whose relaxation costs most at the minimum that the dual found.

Saturation ends come first, where a relaxation is loose by more than a rounding; then single steps, next to the value at the minimum; inputs
come last, or first if asked for. Source of the score: the violation of the relaxed constraint at the relaxed solution, as in branching for
mixed-integer programs; Bunel et al. 2018 score stable and unstable neurons in the same spirit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.integers import IntArray
from qspec.bounds.breakpoints import Elementwise, points
from qspec.bounds.interval import Interval
from qspec.engines.dual.tensor_program import View
from qspec.ir.integer import Affine, Input, Maximum, Product, Program, Staircase, Table, Wrap
from qspec.ir.staircase import climb, reach

Floats = npt.NDArray[np.float64]
ByNode = Sequence[npt.NDArray[np.floating[Any]] | None]

FIRST = 10.0
"""How much more the looseness at a saturation end counts than that of a rounding."""
FAINT = 1e-9
"""Stands for a coefficient of zero, so that what does not count yet is cut before inputs are."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The best cut of each domain: scores (batch,), and node, element and threshold; a score of 0 or less means that there is none."""

    score: Floats
    node: IntArray
    element: IntArray
    threshold: IntArray


def cuts(program: Program, view: View, known: dict[int, Interval], coefficients: ByNode, values: ByNode) -> Cut:
    """Return the best cut of each domain; intervals, `coefficients` and `values` are (batch, size), by node."""
    best = _none(known)
    for k, _, _ in view.shape.places:
        node, c = program[k], coefficients[k]
        if c is None or isinstance(node, Input | Affine):
            continue
        c = np.where(c == 0, -FAINT, c.astype(np.float64))
        if isinstance(node, Product):
            for target, other in ((node.left, node.right), (node.right, node.left)):
                x, y = known[target], known[other]
                score = np.abs(c) * (x.upper - x.lower) * (y.upper - y.lower) / 4
                best = _best(best, score, (x.lower + x.upper) // 2, target)
        elif isinstance(node, Maximum):
            score, threshold, element = _maximum(node, c, known[node.argument])
            best = _best(best, score, threshold, node.argument, element)
        else:
            value = values[node.argument]
            assert value is not None
            score, threshold = _elementwise(node, c, known[node.argument], value.astype(np.float64))
            best = _best(best, score, threshold, node.argument)
    return best


def input_cuts(program: Program, view: View, known: dict[int, Interval]) -> Cut:
    """Return the cut of each domain through the middle of its widest input element."""
    best = _none(known)
    for k, node in enumerate(program):
        if isinstance(node, Input) and view.shape.ops[k].kind == "input" and node.lower.size:
            x = known[k]
            width = (x.upper - x.lower).astype(np.float64)
            best = _best(best, width, x.lower + (x.upper - x.lower) // 2, k)
    return best


def _none(known: dict[int, Interval]) -> Cut:
    """Return no cut for each domain of a batch."""
    batch: int = next(iter(known.values())).lower.shape[0]
    return Cut(np.zeros(batch), *(np.zeros(batch, dtype=np.int64) for _ in range(3)))


def _best(best: Cut, score: Floats, threshold: IntArray, node: int, element: IntArray | None = None) -> Cut:
    """Keep the better of the best so far and the best element of one node."""
    if score.shape[1] == 0:
        return best
    which = score.argmax(axis=1)
    rows = np.arange(len(which))
    own = score[rows, which]
    better = own > best.score
    elements = which if element is None else element[rows, which]
    return Cut(
        np.where(better, own, best.score),
        np.where(better, node, best.node),
        np.where(better, elements, best.element),
        np.where(better, threshold[rows, which], best.threshold).astype(np.int64),
    )


def _elementwise(node: Elementwise, c: Floats, x: Interval, value: Floats) -> tuple[Floats, IntArray]:
    """Return score and threshold of every element, shape (batch, size)."""
    listed = points(node, x.lower, x.upper, 1)
    a, y = listed.arguments.astype(np.float64), listed.values.astype(np.float64)
    value = np.clip(value, a[0], a[1])
    relaxed = _envelope(a, c * y, value)
    ends = [listed.arguments[2], listed.arguments[-1] - 1] if len(a) > 2 else []
    steps = _around(node, x, value)
    best, place = np.full(c.shape, -1.0), x.lower
    jump = np.abs(c) * np.max(np.abs(np.diff(np.sort(y, axis=0), axis=0)), axis=0, initial=0) if isinstance(node, Table) else np.abs(c)
    for rank, threshold in enumerate([*ends, *steps]):
        inside = (threshold >= x.lower) & (threshold < x.upper)
        at = np.where(inside, threshold, x.lower)
        if rank < len(ends):
            gap = np.maximum(_gap(node, c, a, y, at), _gap(node, c, a, y, np.minimum(at + 1, x.upper)))
            score = np.where(gap > 1.6 * jump, FIRST * gap, -1.0)
        else:
            score = _gain(node, c, x, at, value) - relaxed
            score = np.maximum(score, 0) + np.abs(c) * 1e-6
        score = np.where(inside & (y[0] != y[1]) | (inside & isinstance(node, Table | Wrap)), score, -1.0)
        better = score > best
        best, place = np.where(better, score, best), np.where(better, at, place)
    return best, place


def _around(node: Elementwise, x: Interval, value: Floats) -> list[IntArray]:
    """Return the last arguments before the step at or below a value, and before the next one."""
    whole = np.clip(np.floor(value).astype(np.int64), x.lower, x.upper)
    if isinstance(node, Staircase):
        codes = climb(node.steps, whole)
        flat = np.moveaxis(np.stack([codes, codes + 1]), -1, 0)
        found = reach(node.steps, flat.reshape(flat.shape[0], -1)).reshape(flat.shape)
        start = np.moveaxis(found, 0, -1)
        return [start[0] - 1, start[1] - 1]
    if isinstance(node, Wrap):
        ends = points(node, x.lower, x.upper).arguments
        return [ends[2], ends[3]]
    return [whole, whole - 1]


def _gap(node: Elementwise, c: Floats, a: Floats, y: Floats, at: IntArray) -> Floats:
    """Return by how much the relaxation undercuts the operation at an argument."""
    value = points(node, at, at, 1).values[0].astype(np.float64)
    return c * value - _envelope(a, c * y, at.astype(np.float64))


def _gain(node: Elementwise, c: Floats, x: Interval, threshold: IntArray, value: Floats) -> Floats:
    """Return what the relaxation of the side that contains a value has there."""
    left = value <= threshold
    lower = np.where(left, x.lower, np.minimum(threshold + 1, x.upper))
    upper = np.where(left, np.maximum(threshold, x.lower), x.upper)
    listed = points(node, lower, upper, 1)
    inside = np.clip(value, lower, upper)
    return _envelope(listed.arguments.astype(np.float64), c * listed.values, inside)


def _envelope(a: Floats, y: Floats, at: Floats) -> Floats:
    """Return the lower convex envelope of points (k, batch, size) at an argument between the first two."""
    best = np.where(at <= a[0], y[0], np.inf)
    for i, j in combinations(range(len(a)), 2):
        low, high = np.minimum(a[i], a[j]), np.maximum(a[i], a[j])
        width = a[j] - a[i]
        apart = cast("npt.NDArray[np.bool_]", width != 0)
        share: Floats = np.divide(at - a[i], width, out=np.zeros_like(at), where=apart)
        chord = cast("Floats", np.where(apart, y[i] + share * (y[j] - y[i]), np.minimum(y[i], y[j])))
        best = np.where((low <= at) & (at <= high), np.minimum(best, chord), best)
    return best


def _maximum(node: Maximum, c: Floats, x: Interval) -> tuple[Floats, IntArray, IntArray]:
    """Cut the member that reaches highest above the others where they begin."""
    present = node.groups >= 0
    member = np.where(present, node.groups, node.groups.max(axis=1, keepdims=True))
    low = np.where(present, x.lower[:, member], x.lower.min())
    high = np.where(present, x.upper[:, member], x.lower.min())
    leader = low.max(axis=-1, keepdims=True)
    overlap = np.where(present, high - np.maximum(leader, low), 0)
    which = overlap.argmax(axis=-1)[..., None]
    width = np.take_along_axis(overlap, which, -1)[..., 0]
    rivals = (present & (high > leader)).sum(axis=-1) > 1
    top, bottom = (np.take_along_axis(v, which, -1)[..., 0] for v in (high, low))
    begin = np.maximum(bottom, leader[..., 0])
    chosen = np.broadcast_to(member, low.shape)
    element = np.take_along_axis(chosen, which, -1)[..., 0]
    return np.where(rivals & (top > begin), np.abs(c) * width / 2, 0.0), (begin + top) // 2, element
