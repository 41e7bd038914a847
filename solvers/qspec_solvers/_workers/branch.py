"""Branch and bound that concludes on integers alone: relaxations in floating point say where to branch and which rows to add up."""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from qspec_solvers._workers.exact_rows import Rows, meets, propagate, refutes

np: Any = import_module("numpy")

WHOLE = 1e-6
"""How far a value may be from an integer and still be taken for one, which is tried exactly."""


class Relaxation(Protocol):
    """A linear program in floating point, of which nothing is believed."""

    def solve(self, lower: Any, upper: Any) -> tuple[Any, Any]:
        """Return values of the columns, or None, and a ray of multipliers of the rows, or None, within bounds."""
        ...


@dataclass(slots=True)
class Tree:
    """What is left to be shown of a problem: boxes, depth first."""

    rows: Rows
    relaxation: Relaxation
    open: list[tuple[Any, Any]]
    leaves: int = 0
    """Boxes shown to hold no solution."""
    boxes: int = 0
    solution: Any = None
    stuck: bool = False
    """Whether a box without a column to branch on is neither refuted nor solved: possible with columns that are not whole."""

    def search(self, until: float) -> bool | None:
        """Return whether there is a solution, or None if that is open at the time `until` of `time.monotonic`."""
        while self.open:
            if time.monotonic() >= until:
                return None
            self._box(*self.open.pop())
            if self.solution is not None:
                return True
            if self.stuck:
                return None
        return False

    def _box(self, lower: Any, upper: Any) -> None:
        self.boxes += 1
        if not propagate(self.rows, lower, upper):
            self.leaves += 1
            return
        if np.array_equal(lower, upper):
            if meets(self.rows, lower):
                self.solution = lower
            else:
                self.leaves += 1
            return
        values, ray = self.relaxation.solve(lower, upper)
        if ray is not None and refutes(self.rows, ray, lower, upper):
            self.leaves += 1
            return
        values = (lower + upper) / 2 if values is None else np.clip(values, lower, upper)
        tried = np.rint(values).astype(np.int64)
        if meets(self.rows, tried):
            self.solution = tried
        elif (free := np.flatnonzero(self.rows.whole & (lower < upper))).size:
            self._branch(lower, upper, values, free)
        else:
            self.stuck = True

    def _branch(self, lower: Any, upper: Any, values: Any, free: Any) -> None:
        """Split the column whose value is farthest from an integer, else the narrowest; the side of the value is searched first."""
        parts = np.abs(values[free] - np.rint(values[free]))
        if parts.max() > WHOLE:
            column = int(free[parts.argmax()])
            cut = int(np.floor(values[column]))
        else:
            column = int(free[(upper[free] - lower[free]).argmin()])
            cut = min(int(np.rint(values[column])), int(upper[column]) - 1)
        cut = max(cut, int(lower[column]))
        below, above = upper.copy(), lower.copy()
        below[column], above[column] = cut, cut + 1
        sides = [(lower, below), (above, upper)]
        if values[column] - cut > 0.5:
            sides.reverse()
        self.open += reversed(sides)
