"""Elements of inputs that the goal equates become one: searches that compute with boxes never meet `x = y` where both are free.

`x - y >= 0` and `y - x >= 0`, both conjuncts of the goal, are the equation. Two copies of a network on almost the same input, which is how
VNN-LIB 2 says monotonicity, are then as many free reals as their inputs differ in. Exact: solutions correspond one to one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import assert_never

import numpy as np

from qspec.compile.real_box import trimmed
from qspec.ir.real import (
    FALSE,
    Affine,
    All,
    And,
    Any,
    Apply,
    Entries,
    Formula,
    Input,
    Maximum,
    Node,
    Or,
    Point,
    Product,
    Program,
    Query,
    RealMap,
    Truth,
    conjunction,
    entries,
    exact,
    fractions,
)

Element = tuple[int, int]
"""Position of an input in the program, and of an element in it."""
Row = tuple[dict[Element, Fraction], Fraction]
"""A sum over elements of inputs, without zeros, and a constant."""
LARGEST = 1 << 16
"""Entries of a comparison beyond which it is not looked through."""


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """A query in which equated elements are one, and where the value of each element of the inputs before is found."""

    query: Query
    found: Mapping[str, Sequence[tuple[str, int]]]

    def lifted(self, point: Point) -> Point:
        """Return the point of the query before that a point of this one stands for."""
        return {name: exact([point[other][k] for other, k in places]) for name, places in self.found.items()}


def joined(query: Query) -> Joined:
    """Return a query in which elements that its goal equates are one; itself where there are none."""
    parts = query.goal.children if isinstance(query.goal, And) else (query.goal,)
    rows = {p.node: _rows(query.program, p.node) for p in parts if isinstance(p, All) and not p.strict}
    pairs = {pair for own in rows.values() for pair in map(_ordered, own or ()) if pair is not None}
    equal = {pair for pair in pairs if pair[::-1] in pairs}
    if not equal:
        return Joined(query, {name: [(name, k) for k in range(node.lower.size)] for name, node in query.inputs.items()})
    work = _Join(query, equal)
    kept = {node: [r for r in own if _ordered(r) not in equal] for node, own in rows.items() if own is not None}
    goal = conjunction([work.conjunct(part, kept) for part in parts])
    return Joined(trimmed(Query(tuple(work.nodes), FALSE if work.empty else goal)), work.found())


def _ordered(row: Row) -> tuple[Element, Element] | None:
    """Return two elements if a row says that the first is never below the second, and no more."""
    terms, constant = row
    if len(terms) != 2 or sum(terms.values()) != 0 or constant != 0:
        return None
    above, below = sorted(terms, key=lambda e: -terms[e])
    return above, below


def _rows(program: Program, node: int) -> list[Row] | None:
    """Return every element of a node as a sum over elements of inputs; None if it is none, or if it has many terms."""
    found = program[node]
    if isinstance(found, Input):
        return [({(node, k): Fraction(1)}, Fraction(0)) for k in range(found.lower.size)]
    if not isinstance(found, Affine):
        return None
    listed = [(entries(m), a) for m, a in found.terms]
    if sum(m.rows.size for m, _ in listed) > LARGEST:
        return None
    sums: list[dict[Element, Fraction]] = [{} for _ in range(found.bias.size)]
    constants: list[Fraction] = fractions(found.bias).tolist()
    for m, a in listed:
        below = _rows(program, a)
        if below is None:
            return None
        coefficients: list[Fraction] = fractions(m.coefficients).tolist()
        places: list[tuple[int, int]] = list(zip(m.rows.tolist(), m.columns.tolist(), strict=True))
        for (row, column), c in zip(places, coefficients, strict=True):
            terms, constant = below[column]
            constants[row] += c * constant
            for e, d in terms.items():
                sums[row][e] = sums[row].get(e, Fraction(0)) + c * d
    return [({e: c for e, c in own.items() if c}, constant) for own, constant in zip(sums, constants, strict=True)]


@dataclass(slots=True)
class _Join:
    """The program without the elements that are equal to others."""

    query: Query
    equal: set[tuple[Element, Element]]
    nodes: list[Node] = field(default_factory=list[Node])
    first: dict[Element, Element] = field(default_factory=dict[Element, Element])
    """The element that stands for another one."""
    alike: dict[Element, list[Element]] = field(default_factory=dict[Element, list[Element]])
    """The others that an element stands for."""
    place: dict[int, int] = field(default_factory=dict[int, int])
    """Where a node is now; of an input that has lost elements, where those are that it has left."""
    column: dict[Element, int] = field(default_factory=dict[Element, int])
    """Where an element that is left is among those of its input."""
    whole: dict[int, int] = field(default_factory=dict[int, int])
    empty: bool = False

    def __post_init__(self) -> None:
        for pair in sorted(self.equal):
            roots = sorted(map(self._root, pair))
            if roots[0] != roots[1]:
                self.first[roots[1]] = roots[0]
        for element in self.first:
            self.alike.setdefault(self._root(element), []).append(element)
        for k, node in enumerate(self.query.program):
            if isinstance(node, Input):
                self._input(k, node)
        for k, node in enumerate(self.query.program):
            if not isinstance(node, Input):
                self.place[k] = self._add(self._moved(node))

    def found(self) -> dict[str, list[tuple[str, int]]]:
        """Return for each element of the inputs before the name and position of the one that stands for it."""
        result: dict[str, list[tuple[str, int]]] = {}
        for k, node in enumerate(self.query.program):
            if isinstance(node, Input):
                roots = [self._root((k, j)) for j in range(node.lower.size)]
                result[node.name] = [(self._name(a), self.column[a, j]) for a, j in roots]
        return result

    def conjunct(self, goal: Formula, kept: Mapping[int, Sequence[Row]]) -> Formula:
        """Return a conjunct of the goal about the nodes where they are now, without the rows that are equations."""
        if not isinstance(goal, All) or goal.strict or goal.node not in kept:
            return self._formula(goal)
        return All(self._add(self._sums(kept[goal.node]))) if kept[goal.node] else Truth(True)

    def _formula(self, goal: Formula) -> Formula:
        match goal:
            case Truth():
                return goal
            case All(node, strict):
                return All(self._tensor(node), strict)
            case Any(node, strict):
                return Any(self._tensor(node), strict)
            case And(children):
                return And(tuple(map(self._formula, children)))
            case Or(children):
                return Or(tuple(map(self._formula, children)))
            case _:
                assert_never(goal)

    def _root(self, element: Element) -> Element:
        while element in self.first:
            element = self.first[element]
        return element

    def _name(self, k: int) -> str:
        node = self.query.program[k]
        assert isinstance(node, Input)
        return node.name

    def _add(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    def _input(self, k: int, node: Input) -> None:
        """Add what is left of an input, with the bounds of all that it stands for."""
        kept = [j for j in range(node.lower.size) if (k, j) not in self.first]
        self.column |= {(k, j): new for new, j in enumerate(kept)}
        ends = [self._ends((k, j)) for j in kept]
        self.empty = self.empty or any(low > high for low, high in ends)
        if kept:
            low, high = zip(*((low, max(low, high)) for low, high in ends), strict=True)
            self.place[k] = self._add(Input(node.name, exact(list(low)), exact(list(high))))

    def _ends(self, element: Element) -> tuple[Fraction, Fraction]:
        boxes = [(self.query.program[k], j) for k, j in (element, *self.alike.get(element, ()))]
        ends = [(Fraction(n.lower[j]), Fraction(n.upper[j])) for n, j in boxes if isinstance(n, Input)]
        return max(low for low, _ in ends), min(high for _, high in ends)

    def _lost(self, k: int) -> bool:
        node = self.query.program[k]
        return isinstance(node, Input) and any((k, j) in self.first for j in range(node.lower.size))

    def _tensor(self, k: int) -> int:
        """Return where a node is, whole: an input that has lost elements is put together again."""
        if not self._lost(k):
            return self.place[k]
        if k not in self.whole:
            node = self.query.program[k]
            assert isinstance(node, Input)
            every = [({(k, j): Fraction(1)}, Fraction(0)) for j in range(node.lower.size)]
            self.whole[k] = self._add(self._sums(every))
        return self.whole[k]

    def _moved(self, node: Node) -> Node:
        match node:
            case Input():
                return node
            case Affine(terms, bias):
                return (
                    self._affine(node)
                    if any(self._lost(a) for _, a in terms)
                    else Affine(tuple((m, self.place[a]) for m, a in terms), bias)
                )
            case Apply(a, function):
                return Apply(self._tensor(a), function)
            case Product(left, right):
                return Product(self._tensor(left), self._tensor(right))
            case Maximum(a, groups):
                return Maximum(self._tensor(a), groups)
            case _:
                assert_never(node)

    def _affine(self, node: Affine) -> Affine:
        """Return sums whose terms about inputs are about the elements that stand for theirs, each once."""
        rows: list[dict[Element, Fraction]] = [{} for _ in range(node.bias.size)]
        others: list[tuple[RealMap, int]] = []
        for m, a in node.terms:
            if not isinstance(self.query.program[a], Input):
                others.append((m, self.place[a]))
                continue
            listed = entries(m)
            coefficients: list[Fraction] = fractions(listed.coefficients).tolist()
            places: list[tuple[int, int]] = list(zip(listed.rows.tolist(), listed.columns.tolist(), strict=True))
            for (row, column), c in zip(places, coefficients, strict=True):
                rows[row][a, column] = rows[row].get((a, column), Fraction(0)) + c
        made = self._sums([(row, Fraction(0)) for row in rows])
        return Affine((*others, *made.terms), node.bias)

    def _sums(self, rows: Sequence[Row]) -> Affine:
        """Return sums over elements of inputs, as sums over those that stand for them."""
        maps: dict[int, dict[Element, Fraction]] = {}
        for k, (terms, _) in enumerate(rows):
            for element, c in terms.items():
                source, j = self._root(element)
                own = maps.setdefault(source, {})
                own[k, self.column[source, j]] = own.get((k, self.column[source, j]), Fraction(0)) + c
        made: list[tuple[RealMap, int]] = []
        for source, own in maps.items():
            width = self.nodes[self.place[source]]
            assert isinstance(width, Input)
            places = [e for e, c in own.items() if c]
            index = np.array(places, dtype=np.int64).reshape(-1, 2)
            coefficients = exact([own[e] for e in places]) if places else np.zeros(0)
            made.append((Entries(len(rows), width.lower.size, index[:, 0], index[:, 1], coefficients), self.place[source]))
        return Affine(tuple(made), exact([constant for _, constant in rows]))
