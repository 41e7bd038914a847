"""A compiled attack on one query: rounds of gradient ascent from many points, then greedy moves from the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.integers import IntArray
from qspec.attack.aims import FREE, disjunctions
from qspec.attack.flat_inputs import FlatBox
from qspec.attack.gradient import Climb, ClimbArrays, Target, draw_moves, leaders, polish, projected_gradient, start
from qspec.attack.greedy import draw
from qspec.attack.smooth_program import cut, relax
from qspec.bounds.interval import Interval
from qspec.deadline import Deadline
from qspec.evaluate import device
from qspec.evaluate.choose_kernels import make_plan
from qspec.ir.integer import Query, formula_nodes, with_nodes

STEPS = 32
"""Gradient steps of a round."""
LEADERS = 8
"""Searches of a round that go on with greedy moves."""
POLISH = 256
"""Most greedy moves of a round."""
SLICE = 8
"""Steps between two looks at the clock."""
PATIENCE = 12
"""Greedy moves go on while the gain of the last slice, this many times over, would reach the goal."""

_compiled: set[tuple[Target, int]] = set()


@dataclass(frozen=True, slots=True, eq=False)
class Attack:
    """A query made ready for the device."""

    box: FlatBox
    target: Target
    arrays: ClimbArrays
    options: list[IntArray]
    """For each disjunction of the goal the members that bounds leave open."""

    @classmethod
    def prepare(cls, query: Query, known: Sequence[Interval]) -> Attack:
        """Plan the exact and the relaxed programs; raises UnsupportedError where exact evaluation does not fit 64 bits."""
        box = FlatBox.of(query)
        nodes = tuple(sorted(formula_nodes(query.goal)))
        frontier, rest = cut(query.program, nodes, known)
        exact = make_plan(query.program, nodes + frontier)
        tail, tail_arrays = relax(rest, nodes, known)
        relaxed, relaxed_arrays = relax(query.program, nodes, known)
        goal = with_nodes(query.goal, {n: k for k, n in enumerate(nodes)})
        target = Target(exact.plan, tail, relaxed, goal, tuple(box.place(node.name) for node in exact.inputs))
        dtype = box.device_dtype()
        widths = [int((known[n].upper - known[n].lower).max(initial=0)) for n in nodes]
        scales = [np.array(2 / max(2, w), np.float32) for w in widths]
        with device.wide():
            ends = box.lower.astype(dtype), box.upper.astype(dtype)
            groups = device.all_to_device([*exact.parameters, *tail_arrays, *relaxed_arrays, ends, scales])
        first, second = len(exact.parameters), len(exact.parameters) + len(tail_arrays)
        arrays = ClimbArrays(groups[:first], groups[first:second], groups[second:-2], groups[-2][0], groups[-2][1], groups[-1])
        return cls(box, target, arrays, disjunctions(query.goal, known))

    def is_compiled(self, restarts: int) -> bool:
        """Return whether this process has compiled the attack on such programs, from so many points."""
        return (self.target, restarts) in _compiled

    def run(self, rng: np.random.Generator, deadline: Deadline, *, restarts: int, rounds: int) -> IntArray | None:
        """Return a point that makes the goal true by the device's arithmetic, or None; the deadline is looked at between slices of work."""
        _compiled.add((self.target, restarts))
        favoured: npt.NDArray[np.int32] | None = None
        with device.wide():
            for _ in range(rounds):
                climb = start(self._starts(rng, restarts, first=favoured is None), self._aims(rng, restarts, favoured))
                climb = self._polish(self._ascend(climb, deadline), rng, deadline)
                if bool(climb.found):
                    return np.asarray(climb.witness).astype(np.int64)
                if deadline.passed():
                    break
                favoured = np.asarray(climb.aims)
        return None

    def _starts(self, rng: np.random.Generator, restarts: int, *, first: bool) -> npt.NDArray[Any]:
        """Half of the first round starts at the centre, whence the first step leads to the corner that the gradient points to."""
        points = draw(self.box, rng, restarts)
        if first:
            points[: (restarts + 1) // 2] = points[0]
        return points.astype(self.arrays.lower.dtype)

    def _aims(self, rng: np.random.Generator, restarts: int, favoured: npt.NDArray[np.int32] | None) -> npt.NDArray[np.int32]:
        """Deal out the open members of each disjunction, and half of the time what the leaders of the round before aimed at."""
        aims = np.full((restarts, len(self.options)), FREE, dtype=np.int32)
        for k, members in enumerate(self.options):
            choices = np.append(members, FREE)
            aims[:, k] = choices[(np.arange(restarts) + rng.integers(len(choices)) * (k > 0)) % len(choices)]
            if k > 0:
                aims[:, k] = rng.permutation(aims[:, k])
        if favoured is not None:
            half = restarts // 2
            aims[:half] = favoured[np.arange(half) % len(favoured)]
        return aims

    def _ascend(self, climb: Climb, deadline: Deadline) -> Climb:
        for until in range(SLICE, STEPS + 1, SLICE):
            climb = projected_gradient(self.target, self.arrays, climb, device.number(until), device.number(STEPS))
            if bool(climb.found) or deadline.passed():
                break
        return climb

    def _polish(self, climb: Climb, rng: np.random.Generator, deadline: Deadline) -> Climb:
        if bool(climb.found) or deadline.passed():
            return climb
        climb = leaders(climb, LEADERS)
        score, gain = float(np.max(climb.best_score)), np.inf
        for until in range(SLICE, POLISH + 1, SLICE):
            if score + PATIENCE * gain < 0 or bool(climb.found) or deadline.passed():
                break
            climb = polish(self.target, self.arrays, climb, device.number(until), draw_moves(rng, SLICE, climb))
            before, score = score, float(np.max(climb.best_score))
            gain = score - before
        return climb
