"""Dual bounds for many boxes of one query at once: each box is a domain of its own, all climb together, integers conclude.

`branch_and_bound.py` decides one query by cutting; here thousands of boxes of inputs, one for each sample, are bounded once. Bounds of
inner nodes are those of interval propagation; the multipliers are searched for as in branch and bound.
"""

from __future__ import annotations

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.bounds.interval import Interval, bound, bound_node
from qspec.bounds.layout import Layout
from qspec.deadline import NEVER, Deadline
from qspec.engines.dual.batching import Runner
from qspec.engines.dual.domain import Domain, disjuncts
from qspec.engines.dual.integer_closing import close_hopeful
from qspec.engines.dual.options import EngineOptions
from qspec.engines.dual.tensor_program import make_view
from qspec.ir.integer import Any, Input, Query

AT_ONCE = 32
"""Boxes whose intervals are propagated together."""


class Boxes:
    """A query whose one input may lie in any of many boxes, and whose goal is one disjunction over the elements of a node."""

    def __init__(self, query: Query, options: EngineOptions | None = None) -> None:
        self.query, self.layout = query, Layout.of(query.program)
        self.view = make_view(query.program, query.goal, self.layout)
        nothing = np.zeros(self.view.shape.weights, dtype=np.bool_)
        root = Domain(tuple(bound(query.program)), nothing, nothing, (query.goal,), 0)
        self.root = root
        self.runner = Runner(self.view, query.program, root, options or EngineOptions())

    @staticmethod
    def takes(query: Query) -> bool:
        """Return whether a query is of this kind."""
        return len(query.inputs) == 1 and isinstance(query.goal, Any)

    def absent(self, lower: IntArray, upper: IntArray, steps: int | None = None, deadline: Deadline = NEVER) -> IntArray:
        """Return in which boxes (batch, size) the goal is proved to be true nowhere, shape (batch,), with so many steps of ascent.

        Raises OutOfTime and OutOfMemory, at which it looks between batches.
        """
        proved = np.zeros(len(lower), dtype=np.bool_)
        for first in range(0, len(lower), AT_ONCE):
            rows = slice(first, first + AT_ONCE)
            proved[rows] = self._some(lower[rows], upper[rows], steps, deadline)
        return proved

    def _some(self, lower: IntArray, upper: IntArray, steps: int | None, deadline: Deadline) -> IntArray:
        assert isinstance(self.query.goal, Any)
        known: list[Interval] = []
        for node in self.query.program:
            known.append(Interval(lower, upper) if isinstance(node, Input) else bound_node(node, known))
        known = [Interval(*(np.broadcast_to(end, (len(lower), end.shape[-1])) for end in (x.lower, x.upper))) for x in known]
        parts: list[Domain] = []
        owners: list[int] = []
        open_members = known[self.query.goal.node].upper >= 0
        for k in range(len(lower)):
            own = tuple(Interval(x.lower[k], x.upper[k]) for x in known)
            start = Domain(own, self.root.facts, self.root.main, self.root.pending, 0)
            disjoint = disjuncts(start, 0, self.view.shape)
            parts += [disjoint[j] for j in np.flatnonzero(open_members[k])]
            owners += [k] * int(open_members[k].sum())
        closed = self._closed(parts, steps, deadline)
        return np.bincount(np.array(owners, dtype=np.int64)[~closed], minlength=len(lower)) == 0

    def _closed(self, parts: list[Domain], steps: int | None, deadline: Deadline) -> IntArray:
        """Return which domains are closed by a positive integer."""
        closed = np.zeros(len(parts), dtype=np.bool_)
        size = self.runner.size
        for first in range(0, len(parts), size):
            deadline.check()
            batch = parts[first : first + size]
            assembly = self.runner.assemble(batch)
            found = self.runner.maximize_dual(assembly, steps)
            done = close_hopeful(self.query.program, self.layout, self.view.shape, assembly.known, found, len(batch))
            closed[[first + k for k in done]] = True
        return closed
