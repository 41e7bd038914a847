"""Cases of a goal, and the bounds of their atoms: pairs of a box and a case are bounded together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, assert_never

import numpy as np
import numpy.typing as npt

from qspec.engines.delta.affine import Above, above
from qspec.engines.delta.tensor_program import FloatProgram, Values, derivatives, enclose
from qspec.engines.outward import Floats, OutwardInterval, down, multiply, total, up
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


Ints = npt.NDArray[np.int64]
PAIRS = 4
"""Atoms of one box that are bounded by derivatives and lines at most; the others by enclosures only."""


@dataclass(frozen=True, slots=True, eq=False)
class Atoms:
    """Node, element and strictness of every atom, and the atoms of every case (cases, most), -1 where there are fewer."""

    node: Ints
    element: Ints
    strict: Booleans
    member: Ints

    def bounds(self, values: Values) -> OutwardInterval:
        """Return the enclosures of all atoms (batch, atoms)."""
        batch = values[0].lower.shape[0] if values else 0
        low, high = np.zeros((batch, self.node.size)), np.zeros((batch, self.node.size))
        nodes: list[int] = np.unique(self.node).tolist()
        for n in nodes:
            at = self.node == n
            low[:, at], high[:, at] = (v[:, self.element[at]] for v in values[n])
        return OutwardInterval(low, high)

    def seeds(self, plan: FloatProgram, atoms: Ints) -> dict[int, Floats]:
        """Return for each node that the atoms are of, (pairs, size), a one where the atom of a pair is."""
        seeds: dict[int, Floats] = {}
        nodes: list[int] = np.unique(self.node[atoms]).tolist()
        for n in nodes:
            seeds[n] = np.zeros((atoms.size, plan.sizes[n]))
            rows = np.flatnonzero(self.node[atoms] == n)
            seeds[n][rows, self.element[atoms[rows]]] = 1.0
        return seeds


def atoms_of(cases: tuple[Case, ...]) -> Atoms:
    """Return the atoms of all cases, each once."""
    listed = list(dict.fromkeys(a for c in cases for a in c.atoms))
    position = {a: k for k, a in enumerate(listed)}
    most = max([1, *(len(c.atoms) for c in cases)])
    member = np.full((len(cases), most), -1, dtype=np.int64)
    for k, case in enumerate(cases):
        member[k, : len(case.atoms)] = [position[a] for a in case.atoms]
    numbers = np.array([(a.node, a.element, a.strict) for a in listed], dtype=np.int64).reshape(-1, 3)
    return Atoms(numbers[:, 0], numbers[:, 1], numbers[:, 2].astype(np.bool_), member)


class Pairs(NamedTuple):
    """Pairs of a box and an atom that is open in it: row of the batch and atom; `whole` (batch,) says where no open atom is left out."""

    row: Ints
    atom: Ints
    whole: Booleans


def open_pairs(atoms: Atoms, case: Ints, found: OutwardInterval) -> Pairs:
    """Return the atoms that enclosures (batch, atoms) leave open, of each box those that are nearest to being refuted."""
    if not atoms.node.size:
        return Pairs(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.ones(case.size, dtype=np.bool_))
    member = atoms.member[case]
    rows = np.arange(case.size)[:, None]
    low, high = found.lower[rows, member], found.upper[rows, member]
    is_open = (member >= 0) & ~((low > 0) | ((low >= 0) & ~atoms.strict[member]))
    whole = is_open.sum(-1) <= PAIRS
    if not all(whole.tolist()):
        order = np.argsort(np.where(is_open, high, np.inf), -1, kind="stable")
        chosen = np.zeros_like(is_open)
        np.put_along_axis(chosen, order[:, :PAIRS], values=True, axis=-1)
        is_open &= chosen
    row, slot = np.nonzero(is_open)
    return Pairs(row, member[row, slot], whole)


class AtomBounds(NamedTuple):
    """What is known of each pair: upper bound (pairs,), derivatives (pairs, inputs), the line above it, and a good point with its value."""

    upper: Floats
    slope: OutwardInterval
    line: Above
    point: Floats
    value: Values
    low: Floats
    """A lower bound of the atom at the point."""


def bound(plan: FloatProgram, atoms: Atoms, pairs: Pairs, values: Values, lower: Floats, upper: Floats) -> AtomBounds:
    """Return the least of three upper bounds: the natural extension, the mean-value form, and the affine function above.

    The mean-value form is taken where it is least (Baumann 1988): at the end that an input prefers if its derivative has one sign.
    """
    seeds = atoms.seeds(plan, pairs.atom)
    batch = values[0].lower.shape[0]
    same = pairs.row.size == batch and pairs.row.tolist() == list(range(batch))
    own = values if same else [OutwardInterval(v.lower[pairs.row], v.upper[pairs.row]) for v in values]
    low, high = lower[pairs.row], upper[pairs.row]
    slope = derivatives(np, plan, own, seeds)
    line = above(np, plan, own, seeds)
    point = centre(slope, low, high)
    value = enclose(np, plan, point, point)
    every = np.arange(pairs.atom.size)
    at_point, natural = atoms.bounds(value), atoms.bounds(own)
    mean = up(np, at_point.upper[every, pairs.atom] + _rise(slope, low, high, point))
    least = np.fmin(np.fmin(natural.upper[every, pairs.atom], mean), line.bound)
    return AtomBounds(least, slope, line, point, value, at_point.lower[every, pairs.atom])


def centre(slope: OutwardInterval, low: Floats, high: Floats) -> Floats:
    """Return the point of each box (pairs, inputs) at which the mean-value form bounds best from above."""
    width = slope.upper - slope.lower
    mixed = np.where(width > 0, (slope.upper * high - slope.lower * low) / np.where(width > 0, width, 1.0), high)
    point = np.where(slope.lower >= 0, high, np.where(slope.upper <= 0, low, mixed))
    return np.clip(np.where(np.isfinite(point), point, 0.5 * low + 0.5 * high), low, high)


def _rise(slope: OutwardInterval, low: Floats, high: Floats, point: Floats) -> Floats:
    """Return by how much an atom can be above its value at a point: `slope · (x - point)`, from above."""
    left = OutwardInterval(down(np, low - point), np.zeros_like(low))
    right = OutwardInterval(np.zeros_like(high), up(np, high - point))
    return total(np, np.maximum(multiply(np, slope, left).upper, multiply(np, slope, right).upper))
