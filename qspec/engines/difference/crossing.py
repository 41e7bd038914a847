"""Inputs that two networks of one shape put into different classes: walk over a border of the first, and look where the second crosses it.

From a centre to the corner of its box that a gradient points at, one input after the other is moved, in a random order. Where the classes
of the two ends differ there is a step at which the first network changes its class, and it is found by bisection; near it the two are
nearly tied, so that a difference of one code decides. The gradient is that of the first network with every staircase taken as a ramp.
Everything that is returned was evaluated on the reference integers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.integers import IntArray
from qspec.bounds.interval import Interval
from qspec.deadline import NEVER, Deadline
from qspec.ir import linear
from qspec.ir.integer import Affine, Maximum, Program, Staircase
from qspec.ir.reference import evaluate as values
from qspec.ir.staircase import Rescale, Steps, climb
from qspec.lowering.evaluate import program
from qspec.network.graph import Graph

Floats = npt.NDArray[np.float64]
RIVALS, ORDERS = 2, 12
"""Classes that are walked towards, and orders in which inputs are moved."""
SPLIT, NEAR = 8, 8
"""Points of a walk that are looked at together, and steps on both sides of a border."""


def crossing(first: Graph, second: Graph, centre: IntArray, box: Interval, seed: int, deadline: Deadline = NEVER) -> IntArray | None:
    """Return codes (inputs,) in the box that the networks put into different classes (the first index wins ties), None if none was met."""
    walker = _Walker(first, second)
    if walker.differ(centre[None]).size:
        return centre
    scores = walker.codes(walker.one, centre[None])[0]
    own = int(scores.argmax())
    random = np.random.default_rng(seed)
    for rival in [int(k) for k in np.argsort(-scores, kind="stable") if k != own][:RIVALS]:
        slope = walker.slope(centre, rival, own)
        for _ in range(ORDERS):
            deadline.check()
            far = np.where(slope > 0, box.upper, np.where(slope < 0, box.lower, centre))
            moved = random.permutation(np.flatnonzero(far != centre))
            found = walker.between(centre, far, moved)
            if found is not None:
                return found
            if not walker.crossed:
                break
    return None


class _Walker:
    """Both networks as programs, evaluated at points (points, inputs)."""

    def __init__(self, first: Graph, second: Graph) -> None:
        self.one, self.two = ((program(n)[0], program(n)[1][n.stages[n.outputs[0]].name].output, n.inputs[0].name) for n in (first, second))
        self.crossed = False

    def codes(self, network: tuple[Program, int, str], points: IntArray) -> IntArray:
        nodes, output, name = network
        return values(nodes, {name: points})[output]

    def differ(self, points: IntArray) -> IntArray:
        """Return which points the networks put into different classes."""
        one, two = (self.codes(n, points).argmax(axis=-1) for n in (self.one, self.two))
        return np.flatnonzero(one != two)

    def between(self, start: IntArray, end: IntArray, order: IntArray) -> IntArray | None:
        """Return a point on the walk from one end to the other that is put into different classes, if one is met."""
        low, high = 0, order.size
        own = int(self.codes(self.one, start[None])[0].argmax())
        ends = self._along(start, end, order, np.array([high]))
        self.crossed = int(self.codes(self.one, ends)[0].argmax()) != own
        if self.differ(ends).size:
            return ends[0]
        while self.crossed and high - low > 1:
            counts = np.unique(np.linspace(low, high, SPLIT + 2).astype(np.int64)[1:-1])
            points = self._along(start, end, order, counts)
            one, two = (self.codes(n, points).argmax(axis=-1) for n in (self.one, self.two))
            if np.any(one != two):
                return points[int(np.argmax(one != two))]
            changed = np.flatnonzero(one != own)
            at = int(changed[0]) if changed.size else counts.size  # the first point behind the border
            low, high = int(counts[at - 1]) if at else low, int(counts[at]) if changed.size else high
        if not self.crossed:
            return None
        points = self._along(start, end, order, np.arange(max(0, low - NEAR), min(order.size, high + NEAR) + 1))
        found = self.differ(points)
        return points[found[0]] if found.size else None

    def _along(self, start: IntArray, end: IntArray, order: IntArray, counts: IntArray) -> IntArray:
        """Return the start with so many of its inputs moved to the end, (counts, inputs)."""
        place = np.full(start.size, order.size + 1)
        place[order] = np.arange(1, order.size + 1)
        return np.where(place <= counts[:, None], end, start)

    def slope(self, point: IntArray, up: int, down: int) -> Floats:
        """Return the gradient of `output[up] - output[down]` in the inputs, every staircase a ramp; zero where nothing depends on them."""
        nodes, output, name = self.one
        known = values(nodes, {name: point})
        back: dict[int, Floats] = {output: np.eye(known[output].size)[up] - np.eye(known[output].size)[down]}
        for k in range(output, 0, -1):
            c = back.pop(k, None)
            if c is None:
                continue
            for argument, own in _backward(nodes, k, known, c):
                back[argument] = back[argument] + own if argument in back else own
        return back.get(0, np.zeros(point.size))


def _backward(nodes: Program, k: int, known: list[IntArray], c: Floats) -> list[tuple[int, Floats]]:
    """Return what a gradient of a node is in its arguments."""
    match nodes[k]:
        case Affine(terms, _):
            size = float(np.abs(c).max(initial=0.0)) or 1.0
            whole = np.rint(c / size * 2**20).astype(np.int64)
            return [(a, linear.apply_transposed(m, whole).astype(np.float64) * (size / 2**20)) for m, a in terms]
        case Staircase(a, steps):
            return [(a, c * _ramp(steps, known[a]))]
        case Maximum(a) as node:
            members = node.members
            place = np.take_along_axis(members, known[a][members].argmax(axis=1)[:, None], axis=1)[:, 0]
            found = np.zeros(known[a].size)
            np.add.at(found, place, c)
            return [(a, found)]
        case _:
            return []


def _ramp(steps: Rescale | Steps, x: IntArray) -> Floats:
    """Return the slope of a staircase taken as a ramp: nothing where it is flat over many steps' length."""
    if isinstance(steps, Rescale):
        slope = steps.numerator.astype(np.float64) / steps.denominator.astype(np.float64)
        code, flat = climb(steps, x), np.zeros(x.shape, np.bool_)
        for end in (steps.lower, steps.upper):
            flat = flat if end is None else flat | (code == end)
        return np.where(flat, 0.0, slope)
    thresholds = steps.thresholds
    inside = np.abs(thresholds) < 2**31
    first = np.where(inside, thresholds, 2**31).min(axis=1)
    last = np.where(inside, thresholds, -(2**31)).max(axis=1)
    count = inside.sum(axis=1)
    slope = np.where(last > first, (count - 1) / np.maximum(last - first, 1), 0.0)
    return np.where((x >= first) & (x < last), slope, 0.0)
