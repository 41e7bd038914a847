"""What a pass is: an exact rewriting of a query, with the way back for its solutions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Protocol

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.integers import IntArray, magnitude, shrink, widen
from qspec.ir.integer import Assignment, Query, Truth

Mask = npt.NDArray[np.bool_]
Lift = Callable[[Assignment], dict[str, IntArray]]
"""Turns an assignment of a new query into one of the old; arrays have shape (..., size), leading axes are a batch."""


@dataclass(frozen=True, slots=True, eq=False)
class Reduced:
    """One query that a pass made of another, and `lift`, which takes its solutions back.

    Every lifted solution solves the old query. `multiplicity` is the number of solutions of the old query that each solution of the new
    one stands for, or None if that differs between solutions.
    """

    query: Query
    lift: Lift
    multiplicity: int | None = 1


class Pass(Protocol):
    """An exact rewriting: the old query is satisfiable if and only if one of the new ones is; the query itself if nothing can be done."""

    @property
    def name(self) -> str: ...
    def apply(self, query: Query) -> tuple[Reduced, ...]: ...


def rewritten(query: Query) -> tuple[Reduced, ...]:
    """Return the outcome of a pass that keeps the inputs and the set of solutions."""
    return (Reduced(query, _same),)


def _same(assignment: Assignment) -> dict[str, IntArray]:
    return dict(assignment)


@dataclass(frozen=True, slots=True, eq=False)
class Refill:
    """The lift of a pass that removes or shifts input elements: `old = base`, plus the new elements at the positions `kept`."""

    parts: Mapping[str, tuple[IntArray, IntArray]]
    """For each old input `base`, shape (old size,), and `kept`, shape (new size,)."""

    def __call__(self, assignment: Assignment) -> dict[str, IntArray]:
        batch = np.broadcast_shapes(*(a.shape[:-1] for a in assignment.values()))
        result: dict[str, IntArray] = {}
        for name, (base, kept) in self.parts.items():
            new = assignment[name] if kept.size else np.zeros(0, dtype=np.int64)
            bound = magnitude(base) + magnitude(new)
            full = np.array(np.broadcast_to(widen(base, bound), (*batch, base.size)))
            full[..., kept] += new
            result[name] = shrink(full)
        return result


def is_empty(query: Query) -> bool:
    """Return whether the bounds of some input element exclude every integer."""
    return any(bool(np.any(node.lower > node.upper)) for node in query.inputs.values())


def points(lower: IntArray, upper: IntArray) -> int:
    """Return how many integer vectors lie between two bounds."""
    return prod(max(0, int(u) - int(lo) + 1) for lo, u in zip(lower, upper, strict=True))


def trivial(query: Query, value: bool) -> tuple[Reduced, ...]:
    """Return the outcome of a pass that has found the goal to be true, or false, of every assignment."""
    none = np.zeros(0, dtype=np.int64)
    lift = Refill({name: (node.lower, none) for name, node in query.inputs.items()})
    count = prod(points(node.lower, node.upper) for node in query.inputs.values()) if value else 1
    return (Reduced(Query((), Truth(value)), lift, count),)
