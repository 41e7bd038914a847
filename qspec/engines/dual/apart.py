"""Disjunctions, taken apart as late as can be: bounds decide most of their disjuncts, and the shortest that is left comes first.

What bounds make true is never looked at again, and what they leave one disjunct is no disjunction: multiplied out is only what neither
bounds nor a search have decided. Source of the method: unit propagation and splitting, Davis, Logemann and Loveland 1962.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.bounds.breakpoints import Points
from qspec.bounds.interval import Interval, decide
from qspec.bounds.layout import Layout
from qspec.bounds.tighten import MAX_CELLS, free, tightened
from qspec.deadline import Deadline
from qspec.engines.dual.domain import Domain, disjuncts, propagated
from qspec.engines.dual.proof_tree import Proof
from qspec.engines.dual.tensor_program import Shape
from qspec.ir.integer import TRUE, Affine, Any, Formula, Or, Program, formula_nodes, sizes

BETWEEN = 1 << 20
"""Rows times elements that are bounded between two looks at the clock."""


def compound(pending: tuple[Formula, ...]) -> bool:
    """Return whether disjunctions are more than a choice of one fact, so that it matters which disjunct bounds exclude."""
    return bool(pending) and not (len(pending) == 1 and isinstance(pending[0], Any))


def with_sharp_facts(
    root: Domain, program: Program, layout: Layout, slopes: tuple[IntArray, IntArray], proof: Proof, deadline: Deadline
) -> Domain:
    """Return the first domain with the nodes of its disjunctions tightened by slopes; the proof has a step for each."""
    size = sizes(program)
    known = list(root.known)
    listed: dict[int, Points] = {}
    cells = 0
    for k in sorted(set[int]().union(*(formula_nodes(f) for f in root.pending))):
        elements = free(known[k])
        own = 2 * elements.size * max(size)
        if not isinstance(program[k], Affine) or own > MAX_CELLS:
            continue
        cells += own
        if cells > BETWEEN:
            cells = 0
            if deadline.passed():
                break
        better = tightened(program, k, known, layout, slopes, elements, listed)
        if np.any(better.lower > known[k].lower) or np.any(better.upper < known[k].upper):
            proof.tighten(root.proof, k, *slopes)
            known[k] = better
    return replace(root, known=tuple(known))


class Apart:
    """Takes the disjunctions of domains apart, and writes down what follows."""

    def __init__(self, program: Program, shape: Shape, proof: Proof) -> None:
        self.program, self.shape, self.proof = program, shape, proof

    def _settled(self, d: Domain) -> Domain | None:
        """Return a domain with bounds that its facts imply, and TRUE for disjunctions that hold within them; None if nothing is left."""
        known = None if d.false else self._raised(d)
        if known is not d.known and not d.false:
            self.proof.propagate(d.proof)
        if known is None:
            self.proof.empty(d.proof)
            return None
        return replace(d, known=known, pending=tuple(TRUE if decide(f, known) else f for f in d.pending))

    def _raised(self, d: Domain) -> tuple[Interval, ...] | None:
        """Return the bounds of a domain, facts at least zero and what follows for nodes that read them; None if some exclude each other."""
        known = list(d.known)
        moved: set[int] = set()
        for n, first, end in self.shape.facts:
            facts, x = d.facts[first:end], known[n]
            if np.any(facts & (x.lower < 0)):
                moved.add(n)
                known[n] = Interval(np.where(facts, np.maximum(x.lower, 0), x.lower), x.upper)
                if np.any(known[n].lower > x.upper):
                    return None
        return propagated(self.program, tuple(known), moved) if moved else d.known

    def shortest(self, d: Domain, wanted: Callable[[Formula], bool] | None = None) -> tuple[int, int] | None:
        """Return which pending disjunction has the fewest disjuncts within the bounds, and how many; None if none is pending, or wanted."""
        pending = [(which, f) for which, f in enumerate(d.pending) if f != TRUE and (wanted is None or wanted(f))]
        counts = [(self._length(f, d.known), which) for which, f in pending]
        if not counts:
            return None
        length, which = min(counts)
        return which, length

    def _length(self, formula: Formula, known: tuple[Interval, ...]) -> int:
        if isinstance(formula, Any):
            return int(np.count_nonzero(known[formula.node].upper >= 0))
        assert isinstance(formula, Or)
        return sum(decide(c, known) is not False for c in formula.children)

    def divided(self, d: Domain, which: int) -> list[Domain]:
        """Return what is left of a domain for each disjunct of a pending disjunction."""
        children = disjuncts(d, which, self.shape)
        numbers = self.proof.choose(d.proof, which, len(children))
        return [x for child, number in zip(children, numbers, strict=True) for x in self.left(replace(child, proof=number))]

    def left(self, d: Domain) -> list[Domain]:
        """Return what is left of a domain with new facts or bounds, every disjunction asserted of which bounds leave one disjunct."""
        part = self._settled(d)
        if part is None:
            return []
        found = self.shortest(part)
        return [part] if found is None or found[1] > 1 else self.divided(part, found[0])
