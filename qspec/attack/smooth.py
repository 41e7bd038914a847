"""A query in floats: how near points come to making its goal true, whether they do, and where to go from them.

Values round and clip as they really do. Where nothing but comparisons, products and maxima follows a staircase, the score reads its line
instead of its codes, so that it tells points apart whose outputs are clipped to one code, and slopes do not vanish there. Floats are of
single precision if it holds all whole numbers behind the last steps, and loses far less than a step before. They propose; who calls lets
the reference confirm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.integers import IntArray, magnitude
from qspec.attack.aims import FREE, Pull, disjunctions, scored
from qspec.attack.flat_inputs import FlatBox
from qspec.attack.inner import inner
from qspec.attack.linear_floats import Floats
from qspec.attack.operations import Operation, in_numpy
from qspec.bounds.interval import Interval, decide, reach
from qspec.ir.integer import Affine, Formula, Input, Query, Staircase, Table, arguments, conjunction, conjuncts, formula_nodes, needed
from qspec.ir.reference import holds

SINGLE, DOUBLE = 2**24, 2**53
"""Whole numbers below are exact in float32, in float64."""
ROUGH = 2**28
"""Sums below that a staircase rounds may be of single precision: what they lose is far less than a step."""


@dataclass(frozen=True, slots=True, eq=False)
class SmoothScores:
    """What was seen at points: their scores (batch,), whether the goal is true there, and the slopes of the scores if asked for."""

    scores: Floats
    solved: npt.NDArray[np.bool_]
    slopes: Floats | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Smooth:
    """A query made ready; points have shape (batch, size) and whole numbers in `dtype`."""

    goal: Formula
    steps: tuple[tuple[int, Operation, tuple[int, ...]], ...]
    """The nodes that the goal depends on, with the nodes that they read; -1 is the vector of all inputs."""
    outer: frozenset[int]
    """Nodes that depend on a staircase or a table, and on which none of those and no layer depends."""
    scales: dict[int, float]
    dtype: np.dtype[np.float32] | np.dtype[np.float64]
    exact: bool
    """Whether floats hold all values."""
    options: tuple[IntArray, ...]
    """For each disjunction of the goal, the members that bounds leave open."""
    count: int
    """Nodes of the program."""

    @classmethod
    def of(cls, query: Query, known: list[Interval], box: FlatBox) -> Smooth:
        """Prepare the part of a goal that bounds leave open."""
        goal = conjunction([c for c in conjuncts(query.goal) if decide(c, known) is not True])
        nodes = tuple(sorted(formula_nodes(goal)))
        order = needed(query.program, nodes)
        outer = _outer(query, nodes, order)
        reaches = {k: _reach(query, k, known) for k in order}
        single = all(most < (SINGLE if k in outer else ROUGH) for k, most in reaches.items())
        dtype = np.dtype(np.float32) if single else np.dtype(np.float64)
        steps: list[tuple[int, Operation, tuple[int, ...]]] = []
        for k in order:
            node = query.program[k]
            place = slice(*box.place(node.name)) if isinstance(node, Input) else slice(0)
            steps.append((k, in_numpy(node, place, dtype), arguments(node) or ((-1,) if isinstance(node, Input) else ())))
        widths = {n: int((known[n].upper - known[n].lower).max(initial=0)) for n in nodes}
        scales = {n: 2 / max(2, w) for n, w in widths.items()}
        options = tuple(disjunctions(goal, known))
        return cls(goal, tuple(steps), outer, scales, dtype, all(most < DOUBLE for most in reaches.values()), options, len(query.program))

    def solved(self, points: Floats) -> npt.NDArray[np.bool_]:
        """Return whether the goal is true at points, (batch, size), and nothing more."""
        return self._truth(self._values(points))

    def look(self, points: Floats, aims: IntArray | None = None, *, slopes: bool = False) -> SmoothScores:
        """Evaluate points, (batch, size), each with an aim for every disjunction, (batch, disjunctions), if told."""
        aims = np.full((len(points), len(self.options)), FREE) if aims is None else aims
        values = self._values(points)
        lines = self._lines(values)
        scores, pull = scored(self.goal, {**values, **lines}, self.scales, aims)
        return SmoothScores(scores, self._truth(values), self._slopes(values, lines, pull, points) if slopes else None)

    def sensitivities(self, points: Floats, aims: IntArray) -> tuple[float, dict[int, Floats]]:
        """Return the score of one point, (1, size), and its slopes by node, (1, size of the node)."""
        values = self._values(points)
        lines = self._lines(values)
        scores, pull = scored(self.goal, {**values, **lines}, self.scales, aims)
        kept: dict[int, Floats] = {}
        self._slopes(values, lines, pull, points, kept)
        return float(scores[0]), kept

    def _lines(self, values: dict[int, Floats]) -> dict[int, Floats]:
        """Return the values of the outer nodes without roundings and ends."""
        lines: dict[int, Floats] = {}
        for k, operation, read in self.steps:
            if k in self.outer:
                lines[k] = operation.line([lines.get(a, values[a]) for a in read])
        return lines

    def _values(self, points: Floats) -> dict[int, Floats]:
        """Return the values of the nodes, and under -1 the points."""
        values: dict[int, Floats] = {-1: points}
        for k, operation, read in self.steps:
            values[k] = operation.values([values[a] for a in read])
        return values

    def _truth(self, values: dict[int, Floats]) -> npt.NDArray[np.bool_]:
        """Return whether the goal is true at each point."""
        points = values[-1]
        return np.broadcast_to(holds(self.goal, [values.get(k, points) for k in range(self.count)]), (len(points),))

    def _slopes(
        self,
        values: dict[int, Floats],
        lines: dict[int, Floats],
        pull: Pull,
        points: Floats,
        kept: dict[int, Floats] | None = None,
    ) -> Floats:
        """Go backwards from the score to the inputs; the slopes of nodes are kept where somebody wants them."""
        slopes: dict[int, Floats] = {}
        pull(np.ones(len(points)), slopes)
        for k, operation, read in reversed(self.steps):
            if k not in slopes:
                continue
            at = [lines.get(a, values[a]) if k in self.outer else values[a] for a in read]
            given = slopes.pop(k).astype(self.dtype, copy=False)
            if kept is not None:
                kept[k] = given
            for a, part in zip(read, operation.slopes(at, given, straight=k in self.outer), strict=True):
                slopes[a] = slopes[a] + part if a in slopes else part
        return np.nan_to_num(slopes.get(-1, np.zeros_like(points)), copy=False)


def _outer(query: Query, nodes: tuple[int, ...], order: list[int]) -> frozenset[int]:
    stepped: set[int] = set()
    for k in order:
        if isinstance(query.program[k], Staircase | Table) or stepped.intersection(arguments(query.program[k])):
            stepped.add(k)
    return frozenset(stepped - inner(query.program, nodes))


def _reach(query: Query, k: int, known: list[Interval]) -> int:
    """Return what no partial sum of a node exceeds; staircases are computed in doubles, and may err next to a step."""
    node = query.program[k]
    if isinstance(node, Affine):
        return magnitude(node.bias) + sum(magnitude(reach(m, known[a])) for m, a in node.terms)
    return known[k].magnitude
