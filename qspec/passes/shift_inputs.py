"""Offset inputs: `x = lower + d` with `0 <= d <= upper - lower`; elements with one possible value leave the input.

An 8-bit pixel that may move by one becomes two bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qspec.arithmetic.integers import IntArray, magnitude, shrink, widen
from qspec.ir.integer import Input, Query, sizes, with_arguments, with_nodes
from qspec.ir.integer_builder import Builder
from qspec.ir.linear import placement
from qspec.passes.base import Reduced, Refill, is_empty, rewritten, trivial


@dataclass(frozen=True, slots=True)
class ShiftInputs:
    """Let every input start at zero and remove its fixed elements."""

    name: str = "offset"

    def apply(self, query: Query) -> tuple[Reduced, ...]:
        if is_empty(query):
            return trivial(query, False)
        if all(_is_offset(node) for node in query.inputs.values()):
            return rewritten(query)
        builder = Builder()
        position: list[int] = []
        parts: dict[str, tuple[IntArray, IntArray]] = {}
        for node, size in zip(query.program, sizes(query.program), strict=True):
            if isinstance(node, Input):
                kept = np.flatnonzero(node.lower < node.upper)
                parts[node.name] = (node.lower, kept)
                position.append(_add_input(builder, node, kept))
            else:
                position.append(builder.add(with_arguments(node, position), size))
        return (Reduced(Query(builder.program, with_nodes(query.goal, position)), Refill(parts)),)


def _is_offset(node: Input) -> bool:
    return bool(np.all(node.lower == 0) and np.all(node.upper > 0))


def _add_input(builder: Builder, node: Input, kept: IntArray) -> int:
    if kept.size == 0:
        return builder.constant(node.lower)
    bound = magnitude(node.lower) + magnitude(node.upper)
    width = shrink(widen(node.upper, bound)[kept] - widen(node.lower, bound)[kept])
    free = builder.input(node.name, np.zeros(kept.size, dtype=np.int64), width)
    return free if _is_offset(node) else builder.affine([(placement(kept, node.lower.size), free)], node.lower)
