"""A goal as cases, each a conjunction of atoms; one case is true if and only if the goal is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import assert_never

import numpy as np
import numpy.typing as npt

from qspec.engines.outward import Floats
from qspec.ir.real import All, And, Any, Formula, Or, Truth

CASES = 4096
"""Cases into which a goal is taken apart at most."""
Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Atom:
    """An element of a node is at least zero, or above zero if `strict`."""

    node: int
    element: int
    strict: bool


@dataclass(frozen=True, slots=True)
class Case:
    """All atoms hold, and so do the formulas of `rest`, which were not taken apart."""

    atoms: tuple[Atom, ...] = ()
    rest: tuple[Formula, ...] = ()


def cases(goal: Formula, sizes: Sequence[int], limit: int = CASES) -> tuple[Case, ...]:
    """Return the cases of a goal, at most `limit`; a conjunction of too many alternatives keeps some of them whole."""
    match goal:
        case Truth(value):
            return (Case(),) if value else ()
        case All(node, strict):
            return (Case(tuple(Atom(node, k, strict) for k in range(sizes[node]))),)
        case Any(node, strict):
            return tuple(Case((Atom(node, k, strict),)) for k in range(sizes[node])) if sizes[node] <= limit else (Case((), (goal,)),)
        case Or(children):
            found = tuple(c for child in children for c in cases(child, sizes, limit))
            return found if len(found) <= limit else (Case((), (goal,)),)
        case And(children):
            result: tuple[Case, ...] = (Case(),)
            for child in children:
                found = cases(child, sizes, limit)
                if len(found) * len(result) > limit:
                    found = (Case((), (child,)),)
                result = tuple(Case(_union(a.atoms, b.atoms), a.rest + b.rest) for a in result for b in found)
            return result
        case _:
            assert_never(goal)


def _union(a: tuple[Atom, ...], b: tuple[Atom, ...]) -> tuple[Atom, ...]:
    return tuple(dict.fromkeys(a + b))


def hold(formula: Formula, batch: int, leaf: Callable[[int, bool], Booleans]) -> Booleans:
    """Return the truth of a formula for each row (batch,), where `leaf(node, strict)` says which elements (batch, size) count as true."""
    match formula:
        case Truth(value):
            return np.full(batch, value)
        case All(node, strict):
            return every(leaf(node, strict))
        case Any(node, strict):
            return some(leaf(node, strict))
        case And(children) | Or(children):
            both = isinstance(formula, And)
            result = np.full(batch, both)
            for child in children:
                found = hold(child, batch, leaf)
                result = result & found if both else result | found
            return result
        case _:
            assert_never(formula)


def some(x: Booleans) -> Booleans:
    """Return for each row whether some element is true."""
    return np.asarray(np.any(x, axis=-1), dtype=np.bool_)


def every(x: Booleans) -> Booleans:
    """Return for each row whether all elements are true."""
    return np.asarray(np.all(x, axis=-1), dtype=np.bool_)


def refuted(upper: Floats, strict: Booleans) -> Booleans:
    """Return whether atoms whose value is at most `upper` are surely false; what is not a number refutes nothing."""
    return (upper < 0) | (strict & (upper <= 0))
