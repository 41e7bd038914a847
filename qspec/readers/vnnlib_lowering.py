"""A property of real networks as conditions of VNN-LIB on their inputs and outputs: what its counterexample, or its witness, meets.

Absolute values, maxima and minima become alternatives, each with the condition under which it is the value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product
from math import prod
from typing import cast

import numpy as np

from qspec.errors import UnsupportedError
from qspec.ir.real import fractions
from qspec.language.connectives import Conjunction, Constantly, Disjunction, Formula, Negation
from qspec.language.expressions import Absolute, Comparison, Constant, Expression, Gather, Join, Product, Reduce, Relation, Sum
from qspec.language.formulas import ClassIn, Quantified, SameClass
from qspec.language.property import Property, bind
from qspec.language.traversal import occurrences
from qspec.language.variables import RealApplication, RealOutput, RealVariable
from qspec.network.graph import RealGraph
from qspec.readers.vnnlib_conditions import FALSE, TRUE, Condition, Kind, LinearSum, combined, compared, conjunction, disjunction, negation

ONE, ZERO = Fraction(1), LinearSum({})
MOST = 4096
"""Alternatives of one number, at most."""
READ = "sums, products with numbers, qs.abs, qs.max, qs.min and comparisons of inputs and outputs"
Pieces = list[tuple[Condition, LinearSum]]
"""Alternatives of a number: whenever a condition is true, the number is the linear term beside it; one of them always is."""


@dataclass(slots=True)
class Lowering:
    """The applied networks of a property, each a network on a variable, the bounds of inputs, and all else; elements count as in files."""

    applied: list[tuple[RealGraph, RealVariable]] = field(default_factory=list[tuple[RealGraph, RealVariable]])
    box: list[Condition] = field(default_factory=list[Condition])
    rest: Condition = TRUE
    ranks: dict[tuple[int, Kind], list[int]] = field(default_factory=dict[tuple[int, Kind], list[int]])
    """Of the input and the output of each application, the numbers that the elements at flat positions have."""

    def run(self, spec: Property) -> None:
        """Fill in a property; raises UnsupportedError, by name, on what VNN-LIB does not say, SpecError on a parameter without a value."""
        spec = bind(spec)
        if spec.variables:
            raise _refused("a fixed-point input", spec.variables[0].name)
        for application in occurrences(spec, RealApplication):
            self._apply(application)
        order = [v.name for v in spec.reals]
        self.applied.sort(key=lambda one: order.index(one[1].name))
        for k in range(len(self.applied)):
            self._number(k)
        for v in spec.reals:
            if not any(v.name == used.name for _, used in self.applied):
                raise _refused("an input of no network", v.name)
        for k, (_, v) in enumerate(self.applied):
            first = next(j for j, (_, used) in enumerate(self.applied) if used.name == v.name)
            for p, (low, high) in enumerate(zip(fractions(v.lower).flat, fractions(v.upper).flat, strict=True)):
                own = self._input(k, p)
                self.box += [compared(own, ">=", LinearSum({}, low)), compared(own, "<=", LinearSum({}, high))]
                if first != k:
                    self.box.append(compared(own, "==", self._input(first, p)))
        then = self.condition(spec.then)
        self.rest = conjunction([self.condition(spec.given), then if spec.kind == "exists" else negation(then)])

    def _apply(self, a: RealApplication) -> None:
        variable = a.arguments[0]
        if len(a.network.inputs) != 1 or len(a.network.outputs) != 1:
            raise _refused("a network of several inputs or outputs", f"{len(a.network.inputs)} inputs, {len(a.network.outputs)} outputs")
        if a.parameters:
            raise _refused("a network with free parameters", len(a.parameters))
        if not isinstance(variable, RealVariable):
            raise _refused("a network applied to something else than an input", type(variable).__name__)
        if self._find(a.network, variable) is None:
            self.applied.append((a.network, variable))

    def _number(self, k: int) -> None:
        order = self.applied[k][0].elements
        sides: tuple[tuple[Kind, int], ...] = (("X", 0), ("Y", 1))
        for kind, side in sides:
            first = sum(self.size(j, kind) for j in range(k))
            own = np.arange(self.size(k, kind)) if order is None else np.argsort(order[side])
            self.ranks[k, kind] = (first + own).tolist()

    def _find(self, network: RealGraph, v: RealVariable) -> int | None:
        return next((k for k, (own, used) in enumerate(self.applied) if own is network and used.name == v.name), None)

    def size(self, k: int, kind: Kind) -> int:
        """Return how many elements the input, or the output, of an application has."""
        network = self.applied[k][0]
        return network.inputs[0].size if kind == "X" else network.stages[network.outputs[0]].size

    def _element(self, k: int, kind: Kind, position: int) -> LinearSum:
        """Return the element at a flat position of an input or output."""
        return LinearSum({(kind, self.ranks[k, kind][position]): ONE})

    def _input(self, k: int, position: int) -> LinearSum:
        return self._element(k, "X", position)

    def condition(self, formula: Formula) -> Condition:
        """Return a formula as a condition; raises UnsupportedError on what has none."""
        match formula:
            case Constantly(value):
                return TRUE if value else FALSE
            case Comparison(difference, relation):
                return conjunction(self._comparisons(difference, relation))
            case Quantified(Comparison(difference, relation), every):
                return (conjunction if every else disjunction)(self._comparisons(difference, relation))
            case Conjunction(children):
                return conjunction(map(self.condition, children))
            case Disjunction(children):
                return disjunction(map(self.condition, children))
            case Negation(child):
                return negation(self.condition(child))
            case ClassIn(scores, classes, ties):
                own = self._pieces(scores)
                return disjunction(self._wins(own, cast(int, c), ties) for c in classes)
            case SameClass(left, right, ties):
                both = self._pieces(left), self._pieces(right)
                return disjunction(conjunction(self._wins(own, c, ties) for own in both) for c in range(left.size))
            case _:
                raise _refused("a formula", type(formula).__name__)

    def _comparisons(self, difference: Expression, relation: Relation) -> list[Condition]:
        return [self._compared(pieces, relation) for pieces in self._pieces(difference)]

    def _compared(self, pieces: Pieces, relation: Relation) -> Condition:
        return disjunction(conjunction([when, compared(value, relation, ZERO)]) for when, value in pieces)

    def _wins(self, scores: Sequence[Pieces], c: int, ties: str) -> Condition:
        strict = [k < c if ties == "first" else k > c for k in range(len(scores))]
        others = [k for k in range(len(scores)) if k != c]
        return conjunction(self._compared(_sum(scores[c], _scaled(scores[k], -ONE)), ">" if strict[k] else ">=") for k in others)

    def _pieces(self, e: Expression) -> list[Pieces]:
        """Return every element of an expression, flat."""
        match e:
            case Constant():
                return [[(TRUE, LinearSum({}, Fraction(v)))] for v in e.values.flat]
            case RealVariable():
                k = next(k for k, (_, used) in enumerate(self.applied) if used.name == e.name)
                return [[(TRUE, self._input(k, p))] for p in range(e.size)]
            case RealOutput(a, stage):
                k = self._find(a.network, cast(RealVariable, a.arguments[0]))
                if k is None or stage != a.network.stages[a.network.outputs[0]].name:
                    raise _refused("an inner layer", stage)
                return [[(TRUE, self._element(k, "Y", p))] for p in range(e.size)]
            case Sum(left, right):
                return [_sum(a, b) for a, b in zip(self._pieces(left), self._pieces(right), strict=True)]
            case Product(left, right):
                return [_times(a, b) for a, b in zip(self._pieces(left), self._pieces(right), strict=True)]
            case Gather(argument, index):
                values = self._pieces(argument)
                return [values[k] for k in index.reshape(-1).tolist()]
            case Join(parts):
                return [one for part in parts for one in self._pieces(part)]
            case Absolute(argument):
                return [_greatest([own, _scaled(own, -ONE)]) for own in self._pieces(argument)]
            case Reduce(argument, kind):
                values, width = self._pieces(argument), argument.shape[-1]
                return [_reduced(values[k : k + width], kind) for k in range(0, len(values), width)]
            case _:
                raise _refused("an expression", type(e).__name__)


def _reduced(row: Sequence[Pieces], kind: str) -> Pieces:
    if kind == "sum":
        total: Pieces = [(TRUE, LinearSum({}))]
        for own in row:
            total = _sum(total, own)
        return total
    return _greatest(row) if kind == "max" else _scaled(_greatest([_scaled(own, -ONE) for own in row]), -ONE)


def _greatest(row: Sequence[Pieces]) -> Pieces:
    """Return the maximum: each one where no other is greater."""
    chosen = _choices(row)
    found: Pieces = []
    for pick in chosen:
        values = [value for _, value in pick]
        for k, value in enumerate(values):
            above = [compared(value, ">=", other) for j, other in enumerate(values) if j != k]
            found.append((conjunction([*(when for when, _ in pick), *above]), value))
    _expect_few(len(found))
    return found


def _sum(left: Pieces, right: Pieces) -> Pieces:
    return [(conjunction([a, b]), combined([(ONE, x), (ONE, y)])) for (a, x), (b, y) in _choices([left, right])]


def _times(left: Pieces, right: Pieces) -> Pieces:
    found: Pieces = []
    for (a, x), (b, y) in _choices([left, right]):
        if x.terms and y.terms:
            raise _refused("a product of variables", "*")
        value = combined([(y.constant, x)]) if x.terms else combined([(x.constant, y)])
        found.append((conjunction([a, b]), value))
    return found


def _scaled(pieces: Pieces, factor: Fraction) -> Pieces:
    return [(when, combined([(factor, value)])) for when, value in pieces]


def _choices(row: Sequence[Pieces]) -> Iterable[tuple[tuple[Condition, LinearSum], ...]]:
    _expect_few(prod(map(len, row)))
    return product(*row)


def _expect_few(count: int) -> None:
    if count > MOST:
        raise _refused("a number of so many alternatives", count)


def _refused(what: str, given: object) -> UnsupportedError:
    return UnsupportedError(f"{what} is not written in VNN-LIB", given=given, expected=READ)
