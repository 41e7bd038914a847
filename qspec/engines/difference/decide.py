"""Decide a claim about two networks on a box of codes: bounds, an attack, better bounds, then branch and bound."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Literal, NamedTuple

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.deadline import NEVER, Deadline, OutOfTime
from qspec.engines.difference.aligned_layers import Pair
from qspec.engines.difference.attack import FIRST, LATER, Effort, attack, values
from qspec.engines.difference.dual import Goal
from qspec.engines.difference.output_rows import OutputRows
from qspec.engines.difference.root import root, stages
from qspec.engines.difference.search import AGAIN, RowSearch
from qspec.engines.outward import Floats

CLOSE = 2.0**-20
"""Candidates this close to the target are judged, for their values are rounded."""


class Decision(NamedTuple):
    """Whether the claim is proved, or refuted by codes that were confirmed; and how many parts of the box were bounded."""

    status: Literal["proved", "refuted", "unknown"]
    parts: int
    least: float
    """What no row falls below."""


class RowJudge:
    """Shows inputs at which a row seems to be below the target to whoever confirms it exactly, the smallest values only."""

    def __init__(self, pair: Pair, goal: Goal, target: float, confirm: Callable[[IntArray], bool | None]) -> None:
        self.pair, self.goal, self.confirm = pair, goal, confirm
        self.best = np.full(goal.constant.size, target + CLOSE)
        self.refuted = False

    def attack(self, box: tuple[Floats, Floats], rows: IntArray, seed: int, effort: Effort = FIRST, deadline: Deadline = NEVER) -> None:
        """Search for inputs at which these rows are small, and look at them."""
        goal = self.goal.take(rows)
        found = attack(self.pair, *box, goal, seed, effort, deadline)
        for k in np.argsort(found.value + goal.constant).tolist():
            self._look(found.point[k], int(rows[k]), float(found.value[k]))

    def visit(self, point: Floats, row: int) -> None:
        """Look at one input, (1, inputs), in one row."""
        c = self.goal.coefficients[0][row : row + 1], self.goal.coefficients[1][row : row + 1]
        self._look(point[0], row, float(values(self.pair, point, c)[0]))

    def settle(self, point: Floats, row: int) -> bool:
        """Judge one input, (1, inputs), whatever its value in doubles is; return whether that could be told."""
        del row
        found = self.confirm(point[0].astype(np.int64))
        self.refuted = self.refuted or found is True
        return found is not None

    def _look(self, point: Floats, row: int, value: float) -> None:
        value += float(self.goal.constant[row])
        if not self.refuted and value < self.best[row]:
            self.best[row] = value
            self.refuted = self.confirm(point.astype(np.int64)) is True


def decide(
    pair: Pair,
    rows: OutputRows,
    low: IntArray,
    high: IntArray,
    confirm: Callable[[IntArray], bool | None],
    deadline: Deadline,
    *,
    strict: bool = False,
    seed: int = 0,
) -> Decision:
    """Decide whether all rows are at least zero (above, if `strict`) for all codes between `low` and `high`, (inputs,).

    `confirm` judges codes at which a row seems to be too small, exactly, or says None if it cannot tell; the deadline is looked at between
    rounds. "proved" stands on bounds that hold whatever rounding did.
    """
    target = float(np.nextafter(0.0, 1.0)) if strict else 0.0
    goal = rows.goal()
    judge = RowJudge(pair, goal, target, confirm)
    try:
        return _decide(pair, goal, target, low, high, judge, deadline, seed)
    except OutOfTime:
        return Decision("refuted" if judge.refuted else "unknown", 0, -np.inf)


def _decide(
    pair: Pair, goal: Goal, target: float, low: IntArray, high: IntArray, judge: RowJudge, deadline: Deadline, seed: int
) -> Decision:
    box = low.astype(np.float64), high.astype(np.float64)
    search = RowSearch(pair, root(pair, *box, deadline=deadline), goal, *box, judge.visit, judge.settle, deadline)
    open_rows = np.flatnonzero(search.lower(goal.constant.size) < target)
    if search.least < target:
        judge.attack(box, open_rows, seed, deadline=deadline)
    for steps in stages(pair)[1:]:
        if search.least < target and not judge.refuted and not deadline.passed():
            search = RowSearch(pair, root(pair, *box, steps, deadline), goal, *box, judge.visit, judge.settle, deadline)
    for rounds in count(1):
        if judge.refuted or deadline.passed() or not search.step(target):
            break
        if rounds in AGAIN and not judge.refuted:
            judge.attack(box, open_rows, seed + rounds, LATER, deadline)
    status = "refuted" if judge.refuted else "proved" if search.least >= target else "unknown"
    return Decision(status, search.bounded, search.least)
