"""A real query as nested expressions over its inputs, for solvers that take terms and compute in doubles.

Sums of sums are added up here, exactly, so that such a solver folds nothing of consequence. A number that is no double becomes a variable
between its two neighbours, and so does a function of a constant: the result has more solutions than the query, never fewer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, assert_never

from qspec.ir.enclosure import Enclosure, Values, apply, bound
from qspec.ir.real import (
    Affine,
    All,
    And,
    Any,
    Apply,
    Formula,
    Function,
    Input,
    Maximum,
    Node,
    Or,
    Product,
    Query,
    Truth,
    entries,
    fractions,
)

DIGITS = 24


@dataclass(frozen=True, slots=True)
class BoundedReal:
    """A real between two doubles: element `index` of `input`, or the `index`-th number that is enclosed (`input` is None)."""

    lower: float
    upper: float
    input: str | None
    index: int


@dataclass(frozen=True, slots=True)
class WeightedSum:
    """`constant` plus coefficient times atom, over all terms; atoms by position."""

    constant: float
    terms: tuple[tuple[float, int], ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A function of sums."""

    operator: Literal["max", "product", "exp", "tanh", "sigmoid", "softplus", "reciprocal"]
    arguments: tuple[WeightedSum, ...]


Atom = BoundedReal | Call


@dataclass(frozen=True, slots=True)
class SumComparison:
    """A sum is at least zero (above zero if `strict`)."""

    sum: WeightedSum
    strict: bool


@dataclass(frozen=True, slots=True)
class Junction:
    """Every child is true, or some child is."""

    operator: Literal["and", "or"]
    children: tuple[Tree, ...]


Tree = bool | SumComparison | Junction


@dataclass(frozen=True, slots=True)
class Nested:
    """Atoms, each after those that it reads, and a formula; how large it is when all is written out, and its widest comparison."""

    atoms: tuple[Atom, ...]
    goal: Tree
    size: int
    """Operations and operands of the formula as a tree."""
    widest: int
    """Variables of the comparison that has the most."""


def nest(query: Query) -> Nested:
    """Return the nested form of a query; raises UnsupportedError where it cannot be bounded (`qspec.ir.enclosure`)."""
    bounds = bound(query.program)
    nesting = _Nesting(bounds)
    for node in query.program:
        nesting.add(node)
    goal = nesting.formula(query.goal)
    return Nested(tuple(nesting.atoms), goal, nesting.size, nesting.widest)


@dataclass(slots=True)
class _Exact:
    """A sum whose numbers are still exact."""

    constant: Fraction
    terms: dict[int, Fraction]


class _Nesting:
    """The atoms made so far, and the elements of the nodes as exact sums of them."""

    def __init__(self, bounds: Sequence[Values]) -> None:
        self.atoms: list[Atom] = []
        self.size = self.widest = 0
        self._bounds = bounds
        self._nodes: list[list[_Exact]] = []
        self._index: dict[Atom, int] = {}
        self._numbers: dict[Fraction, int] = {}
        self._sizes: list[int] = []
        self._reads: list[frozenset[int]] = []

    def add(self, node: Node) -> None:
        ends = self._bounds[len(self._nodes)]
        elements = self._affine(node) if isinstance(node, Affine) else [self._element(node, k, e) for k, e in enumerate(ends)]
        self._nodes.append(elements)

    def _element(self, node: Input | Apply | Product | Maximum, k: int, ends: Enclosure) -> _Exact:
        if ends.lower == ends.upper:
            return _Exact(ends.lower, {})
        match node:
            case Input(name):
                return self._single(BoundedReal(_down(ends.lower), _up(ends.upper), name, k))
            case Apply(a, Function.RELU):
                zero = Enclosure(Fraction(0), Fraction(0))
                return self._maximum([(self._nodes[a][k], self._bounds[a][k]), (_Exact(Fraction(0), {}), zero)])
            case Apply(a, function):
                return self._apply(function, self._nodes[a][k])
            case Product(left, right):
                return self._product(self._nodes[left][k], self._nodes[right][k])
            case Maximum(a, groups):
                return self._maximum([(self._nodes[a][g], self._bounds[a][g]) for g in groups[k].tolist() if g >= 0])
            case _:
                assert_never(node)

    def _affine(self, node: Affine) -> list[_Exact]:
        made = [_Exact(c, {}) for c in fractions(node.bias).tolist()]
        for m, a in node.terms:
            listed = entries(m)
            coefficients: list[Fraction] = fractions(listed.coefficients).tolist()
            places: list[tuple[int, int]] = list(zip(listed.rows.tolist(), listed.columns.tolist(), strict=True))
            for (row, column), c in zip(places, coefficients, strict=True):
                x = self._nodes[a][column]
                made[row].constant += c * x.constant
                for atom, factor in x.terms.items():
                    made[row].terms[atom] = made[row].terms.get(atom, Fraction(0)) + c * factor
        return [_Exact(x.constant, {a: c for a, c in x.terms.items() if c != 0}) for x in made]

    def _maximum(self, members: list[tuple[_Exact, Enclosure]]) -> _Exact:
        """Return the maximum of those members that can be it; constants are one member."""
        least = max(e.lower for _, e in members)
        kept = [x for x, e in members if e.upper > least or e.lower == least]
        constants = [x.constant for x in kept if not x.terms]
        sums = [self._close(x) for x in kept if x.terms]
        if constants and (not sums or all(e.lower < max(constants) for x, e in members if x.terms)):
            sums.append(self._close(_Exact(max(constants), {})))
        distinct = list(dict.fromkeys(sums))
        if len(distinct) == 1:
            return next(x for x in kept if self._close(x) == distinct[0])
        return self._single(Call("max", tuple(distinct)))

    def _apply(self, function: Function, x: _Exact) -> _Exact:
        if not x.terms:
            value = apply(function, Enclosure(x.constant, x.constant), DIGITS)
            if value.lower == value.upper:
                return _Exact(value.lower, {})
            return _Exact(Fraction(0), {self._enclosed(value): Fraction(1)})
        match function:
            case Function.EXP | Function.TANH | Function.SIGMOID | Function.SOFTPLUS | Function.RECIPROCAL:
                return self._single(Call(function.value, (self._close(x),)))
            case Function.RELU:
                raise AssertionError("a ReLU is a maximum")
            case _:
                assert_never(function)

    def _product(self, x: _Exact, y: _Exact) -> _Exact:
        """Return the product; factors of single atoms are multiplied here, exactly."""
        for constant, other in ((x, y), (y, x)):
            if not constant.terms:
                return _scaled(other, constant.constant)
        factor = Fraction(1)
        parts: list[WeightedSum] = []
        for part in (x, y):
            if part.constant == 0 and len(part.terms) == 1:
                ((atom, c),) = part.terms.items()
                factor *= c
                parts.append(WeightedSum(0.0, ((1.0, atom),)))
            else:
                parts.append(self._close(part))
        return _scaled(self._single(Call("product", tuple(parts))), factor)

    def _single(self, atom: Atom) -> _Exact:
        return _Exact(Fraction(0), {self._place(atom): Fraction(1)})

    def _place(self, atom: Atom) -> int:
        """Return the position of an atom, the same for equal ones."""
        if atom in self._index:
            return self._index[atom]
        self.atoms.append(atom)
        position = len(self.atoms) - 1
        if isinstance(atom, BoundedReal):
            self._sizes.append(1)
            self._reads.append(frozenset({position}))
        else:
            self._sizes.append(1 + sum(self._measure(s)[0] for s in atom.arguments))
            self._reads.append(frozenset[int]().union(*(self._measure(s)[1] for s in atom.arguments)))
        self._index[atom] = position
        return position

    def _measure(self, total: WeightedSum) -> tuple[int, frozenset[int]]:
        """Return how large a sum is as a tree, and its variables."""
        used = [a for _, a in total.terms]
        return 2 + sum(2 + self._sizes[a] for a in used), frozenset[int]().union(*(self._reads[a] for a in used))

    def _close(self, x: _Exact) -> WeightedSum:
        """Return a sum in doubles; other numbers become variables around them."""
        terms: list[tuple[float, int]] = []
        constant = 0.0
        if _is_double(x.constant):
            constant = float(x.constant)
        else:
            terms.append((1.0, self._number(x.constant)))
        for atom, c in x.terms.items():
            if _is_double(c):
                terms.append((float(c), atom))
            else:
                factors = (WeightedSum(0.0, ((1.0, self._number(c)),)), WeightedSum(0.0, ((1.0, atom),)))
                terms.append((1.0, self._place(Call("product", factors))))
        return WeightedSum(constant, tuple(terms))

    def _number(self, value: Fraction) -> int:
        if value not in self._numbers:
            self._numbers[value] = self._enclosed(Enclosure(value, value))
        return self._numbers[value]

    def _enclosed(self, value: Enclosure) -> int:
        """Return a variable of its own: another number between the same doubles is another variable."""
        return self._place(BoundedReal(_down(value.lower), _up(value.upper), None, len(self.atoms)))

    def formula(self, formula: Formula) -> Tree:
        match formula:
            case Truth(value):
                return value
            case All(node, strict):
                return _junction("and", [self._compare(node, k, strict) for k in range(len(self._nodes[node]))])
            case Any(node, strict):
                return _junction("or", [self._compare(node, k, strict) for k in range(len(self._nodes[node]))])
            case And(children):
                return _junction("and", [self.formula(c) for c in children])
            case Or(children):
                return _junction("or", [self.formula(c) for c in children])
            case _:
                assert_never(formula)

    def _compare(self, node: int, k: int, strict: bool) -> Tree:
        x, ends = self._nodes[node][k], self._bounds[node][k]
        low, high = (ends.lower, ends.upper) if x.terms else (x.constant, x.constant)
        if low > 0 or (low == 0 and not strict):
            return True
        if high < 0 or (high == 0 and strict):
            return False
        total = self._close(x)
        size, variables = self._measure(total)
        self.size += size
        self.widest = max(self.widest, len(variables))
        return SumComparison(total, strict)


def _junction(operator: Literal["and", "or"], children: Sequence[Tree]) -> Tree:
    zero = operator == "or"
    if zero in children:
        return zero
    kept = tuple(c for c in children if not isinstance(c, bool))
    return kept[0] if len(kept) == 1 else Junction(operator, kept) if kept else not zero


def _scaled(x: _Exact, factor: Fraction) -> _Exact:
    return _Exact(x.constant * factor, {a: c * factor for a, c in x.terms.items() if factor != 0})


def _is_double(value: Fraction) -> bool:
    """Return whether a rational is a double that computes as usual (no subnormal)."""
    if value == 0:
        return True
    if not Fraction(2) ** -1022 <= abs(value) < Fraction(2) ** 1023:
        return False
    return Fraction(float(value)) == value


def _down(value: Fraction) -> float:
    return _neighbour(value, lambda x: Fraction(x) > value, -math.inf)


def _up(value: Fraction) -> float:
    return _neighbour(value, lambda x: Fraction(x) < value, math.inf)


def _neighbour(value: Fraction, wrong: Callable[[float], bool], towards: float) -> float:
    """Return the nearest double on one side; raises OverflowError if there is none."""
    near = float(value)
    return math.nextafter(near, towards) if wrong(near) else near
