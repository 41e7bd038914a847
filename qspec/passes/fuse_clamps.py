"""Fuse a clamp with the staircase below it: requantise, then ReLU, then saturate is one staircase."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.ir.integer import Node, Query, Staircase, arguments, formula_nodes
from qspec.ir.staircase import Rescale
from qspec.passes.base import Reduced, rewritten


@dataclass(frozen=True, slots=True)
class FuseClamps:
    """Let a staircase that only clamps, and is the only reader of an even staircase, take its place; the other is left to `cone`."""

    name: str = "fuse"

    def apply(self, query: Query) -> tuple[Reduced, ...]:
        readers = Counter(a for node in query.program for a in arguments(node))
        readers.update(formula_nodes(query.goal))
        nodes: list[Node] = []
        for node in query.program:
            inner = nodes[node.argument] if isinstance(node, Staircase) and readers[node.argument] == 1 else None
            fused = _fused(node, inner) if isinstance(node, Staircase) and isinstance(inner, Staircase) else None
            nodes.append(fused or node)
        if all(new is old for new, old in zip(nodes, query.program, strict=True)):
            return rewritten(query)
        return rewritten(Query(tuple(nodes), query.goal))


def _fused(outer: Staircase, inner: Staircase) -> Staircase | None:
    o, i = outer.steps, inner.steps
    if not isinstance(o, Rescale) or not isinstance(i, Rescale):
        return None
    if np.any(o.numerator != o.denominator) or np.any(o.offset != 0):
        return None
    lower, upper = _clamped(i.lower, o), _clamped(i.upper, o)
    low, high = o.lower if lower is None else lower, o.upper if upper is None else upper
    return Staircase(inner.argument, Rescale(i.numerator, i.offset, i.denominator, i.rounding, low, high))


def _clamped(end: IntArray | None, outer: Rescale) -> IntArray | None:
    """Return where an end of the inner range goes."""
    if end is None:
        return None
    raised = end if outer.lower is None else np.maximum(end, outer.lower)
    return raised if outer.upper is None else np.minimum(raised, outer.upper)
