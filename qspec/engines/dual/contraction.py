"""What the facts of a domain imply for the arguments of the last staircases: a fact bounds its terms, a step bounds its argument.

Each tightened bound is a cut of which one side is closed at once, by intervals alone. Source of the method: constraint propagation on
sums, Davis 1987; Benhamou et al. 1999.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from qspec.arithmetic.integers import SAFE, IntArray, magnitude
from qspec.bounds.interval import Interval
from qspec.engines.dual.domain import Domain, side
from qspec.engines.dual.tensor_program import Shape
from qspec.ir import linear
from qspec.ir.integer import Affine, Program, Staircase, sizes
from qspec.ir.staircase import Rescale, climb, reach


@dataclass(frozen=True, slots=True, eq=False)
class FactSum:
    """A fact as a sum over elements of staircases: node, element and coefficient of each, and the constant."""

    node: IntArray
    element: IntArray
    coefficient: IntArray
    constant: int


@dataclass(frozen=True, slots=True)
class Implied:
    """A cut that a fact implies: `keeps_upper` says that the side above the threshold is the one that is left."""

    node: int
    element: int
    threshold: int
    keeps_upper: bool
    reader: int
    """The staircase that reads the element."""


def term(program: Program, node: int, element: int) -> FactSum | None:
    """Return a fact as a sum over staircases, None if it reads anything else."""
    rows: dict[int, IntArray] = {node: np.zeros((1, sizes(program)[node]), dtype=np.int64)}
    rows[node][0, element] = 1
    constant = 0
    found: list[tuple[int, IntArray]] = []
    for k in range(node, -1, -1):
        if k not in rows:
            continue
        c, current = rows.pop(k), program[k]
        if isinstance(current, Affine):
            constant += int(linear.apply(linear.Dense(current.bias[None, :]), c)[0, 0])
            for m, a in current.terms:
                passed = linear.apply_transposed(m, c)
                rows[a] = rows[a] + passed if a in rows else passed
        elif np.any(c):
            if not isinstance(current, Staircase):
                return None
            found.append((k, c[0]))
    if not found:
        return None
    parts = [(k, e, c[e]) for k, c in found for e in (np.flatnonzero(c),)]
    nodes = np.concatenate([np.full(e.size, k) for k, e, _ in parts])
    return FactSum(nodes, np.concatenate([e for _, e, _ in parts]), np.concatenate([c for _, _, c in parts]), constant)


def implied(program: Program, fact: FactSum, known: tuple[Interval, ...]) -> list[Implied] | None:
    """Return the cuts that a fact implies; None if it cannot be true within the bounds."""
    low, high = _codes(program, fact, known)
    if magnitude(fact.coefficient) * max(magnitude(low), magnitude(high)) * fact.node.size >= SAFE:
        return []
    most = np.maximum(fact.coefficient * low, fact.coefficient * high)
    total = int(most.sum()) + fact.constant
    if total < 0:
        return None
    # The others reach at most `total - most`, so each term is at least `most - total`.
    least = most - total
    rising = fact.coefficient > 0
    size = np.abs(fact.coefficient)
    cuts: list[Implied] = []
    for k in range(fact.node.size):
        node = program[int(fact.node[k])]
        assert isinstance(node, Staircase)
        code = -(-int(least[k]) // int(size[k])) if rising[k] else -int(least[k]) // int(size[k])
        if rising[k] and code > low[k]:
            cuts.append(Implied(node.argument, int(fact.element[k]), _first(node, fact, k, code) - 1, True, int(fact.node[k])))
        elif not rising[k] and code < high[k]:
            cuts.append(Implied(node.argument, int(fact.element[k]), _first(node, fact, k, code + 1) - 1, False, int(fact.node[k])))
    return cuts


def certain(program: Program, fact: FactSum, known: tuple[Interval, ...]) -> bool:
    """Return whether a fact is true everywhere within the bounds, so that it says no more than they do."""
    low, high = _codes(program, fact, known)
    return int(np.minimum(fact.coefficient * low, fact.coefficient * high).astype(object).sum()) + fact.constant >= 0


def _codes(program: Program, fact: FactSum, known: tuple[Interval, ...]) -> tuple[IntArray, IntArray]:
    """Return the least and the greatest code of each term."""
    low, high = (np.zeros(fact.node.size, dtype=np.int64) for _ in range(2))
    for k in set[int](fact.node.tolist()):  # np.unique would import numpy.ma
        node = program[k]
        assert isinstance(node, Staircase)
        here = fact.node == k
        ends = known[node.argument]
        low[here] = climb(node.steps, ends.lower)[fact.element[here]]
        high[here] = climb(node.steps, ends.upper)[fact.element[here]]
    return low, high


def _first(node: Staircase, fact: FactSum, k: int, code: int) -> int:
    """Return the least argument at which an element takes a code."""
    steps = node.steps
    size = steps.numerator.size if isinstance(steps, Rescale) else steps.base.size
    codes = np.full((size, 1), code, dtype=np.int64)
    return int(reach(steps, codes)[int(fact.element[k]), 0])


def facts_of(shape: Shape, d: Domain) -> list[tuple[int, int]]:
    """Return node and element of the facts that were chosen last."""
    return [(n, int(e)) for n, first, end in shape.facts for e in np.flatnonzero(d.main[first:end])]


def kept(d: Domain, cut: Implied) -> Domain:
    """Return the domain on the side of a cut that is left."""
    known = side(d.known, cut.node, cut.element, cut.threshold, above=cut.keeps_upper)
    others = tuple(a for a in d.implied if a[:2] != (cut.reader, cut.element))
    return replace(d, known=known, implied=(*others, (cut.reader, cut.element, -1 if cut.keeps_upper else 1)))
