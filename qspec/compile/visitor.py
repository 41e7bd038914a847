"""Go through the expressions and formulas of a property once, for integers and for reals: which node, and which goal, stands for each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, Literal, Protocol, TypeVar, assert_never, cast

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.errors import SpecError
from qspec.language.connectives import Conjunction, Constantly, Disjunction, Formula, Negation
from qspec.language.expressions import (
    Absolute,
    Comparison,
    Constant,
    Expression,
    Floor,
    Gather,
    Join,
    NonZero,
    Parameter,
    Product,
    RationalArray,
    Reduce,
    Relation,
    Sum,
)
from qspec.language.formulas import AnyFormula, ClassIn, Quantified, Same, SameClass
from qspec.language.variables import (
    AnyExpression,
    Applied,
    Code,
    EveryExpression,
    Output,
    RealOnly,
    RealOutput,
    RealVariable,
    SoftmaxOf,
    Variable,
)

Ties = Literal["first", "last"]
Goal = TypeVar("Goal")


class Nodes(Protocol[Goal]):
    """What is needed of a builder, of integers or of reals; every method adds a node and returns its position, but for the first two."""

    def size(self, node: int) -> int: ...
    def negate(self, formula: Goal) -> Goal: ...
    def select(self, node: int, index: object) -> int: ...
    def scale(self, node: int, factor: int) -> int: ...
    def difference(self, left: int, right: int) -> int: ...
    def maximum(self, node: int, groups: object) -> int: ...
    def combine(self, node: int, outputs: int, rows: IntArray, columns: IntArray, coefficients: IntArray) -> int: ...


@dataclass(frozen=True, slots=True)
class Lowered:
    """A node whose elements stand for `unit * node`; over reals the unit is 1."""

    node: int
    unit: Fraction = Fraction(1)


class Visitor(ABC, Generic[Goal]):
    """Adds nodes for expressions and returns goals for formulas; equal sub-expressions are lowered once.

    A subclass says what its kind of number does its own way: leaves, sums, products and classes, and what being at least zero is.
    """

    def __init__(self) -> None:
        self._memo: dict[int, Lowered] = {}
        self._keep: list[object] = []

    @property
    @abstractmethod
    def nodes(self) -> Nodes[Goal]: ...
    @abstractmethod
    def constant(self, values: RationalArray) -> Lowered: ...
    @abstractmethod
    def leaf(self, e: Variable | Output | Code) -> Lowered: ...
    @abstractmethod
    def codes(self, variable: Variable) -> int: ...
    @abstractmethod
    def add(self, x: Lowered, y: Lowered) -> Lowered: ...
    @abstractmethod
    def product(self, left: Expression, right: Expression) -> Lowered: ...
    @abstractmethod
    def join(self, parts: Sequence[Lowered]) -> Lowered: ...
    @abstractmethod
    def whole(self, e: Floor | NonZero) -> Lowered: ...
    @abstractmethod
    def real(self, e: RealOnly) -> Lowered: ...
    @abstractmethod
    def truth(self, value: bool) -> Goal: ...
    @abstractmethod
    def all(self, goals: Sequence[Goal]) -> Goal: ...
    @abstractmethod
    def any(self, goals: Sequence[Goal]) -> Goal: ...
    @abstractmethod
    def sign(self, node: int, *, every: bool, strict: bool = False) -> Goal:
        """Return that every (or some) element of a node is at least zero, or above it."""

    @abstractmethod
    def wins(self, node: int, k: int, ties: Ties) -> Goal:
        """Return that score `k` beats all others; among equal ones the first (or last) index wins, which makes some comparisons strict."""

    def lower(self, e: Expression) -> Lowered:
        """Add an expression to the program."""
        if id(e) not in self._memo:
            self._memo[id(e)] = self._lower(cast(EveryExpression, e))
            self._keep.append(e)
        return self._memo[id(e)]

    def _lower(self, e: EveryExpression) -> Lowered:
        match e:
            case Constant(values):
                return self.constant(values)
            case Parameter(name):
                raise SpecError("a parameter has no value", given=name, expected=f"spec.at({name}=…), or --param {name}=…")
            case Variable() | Output() | Code():
                return self.leaf(e)
            case Sum(left, right):
                return self.add(self.lower(left), self.lower(right))
            case Product(left, right):
                return self.product(left, right)
            case Absolute(argument):
                x = self.lower(argument)
                return Lowered(self._absolute(x.node), x.unit)
            case Gather(argument, index):
                x = self.lower(argument)
                return Lowered(self.nodes.select(x.node, index), x.unit)
            case Join(parts):
                return self.join([self.lower(p) for p in parts])
            case Reduce(argument, kind):
                x = self.lower(argument)
                return Lowered(self._reduce(x.node, kind, argument.shape[-1]), x.unit)
            case Floor() | NonZero():
                return self.whole(e)
            case RealVariable() | RealOutput() | Applied() | SoftmaxOf():
                return self.real(e)
            case _:
                assert_never(e)

    def _absolute(self, node: int) -> int:
        n = self.nodes.size(node)
        both = self.nodes.combine(node, 2 * n, np.arange(2 * n), np.tile(np.arange(n), 2), np.repeat([1, -1], n))
        return self.nodes.maximum(both, np.stack([np.arange(n), np.arange(n) + n], axis=1))

    def _reduce(self, node: int, kind: Literal["sum", "max", "min"], length: int) -> int:
        b = self.nodes
        groups = b.size(node) // length
        index = np.arange(groups * length).reshape(groups, length)
        match kind:
            case "sum":
                return b.combine(node, groups, np.repeat(np.arange(groups), length), index.reshape(-1), np.ones(index.size, np.int64))
            case "max":
                return b.maximum(node, index)
            case "min":
                return b.scale(b.maximum(b.scale(node, -1), index), -1)

    def formula(self, formula: Formula, *, negated: bool = False) -> Goal:
        """Add the nodes of a formula, or of its negation, and return it over them.

        Negations go inwards as far as classes: a network has exactly one, so that not to have one is to have another. That leaves a class
        and what denies it side by side, where negated inequalities would be as many disjunctions as there are classes.
        """
        f = cast(AnyFormula, formula)
        match f:
            case Constantly(value):
                return self.truth(value is not negated)
            case Conjunction(children) | Disjunction(children):
                parts = [self.formula(c, negated=negated) for c in children]
                return self.all(parts) if isinstance(f, Conjunction) is not negated else self.any(parts)
            case Negation(child):
                return self.formula(child, negated=not negated)
            case ClassIn(scores, classes, ties):
                if negated and len(classes) > 1:
                    others = sorted(set(range(scores.size)) - {cast(int, c) for c in classes})
                    return self.any([self._class(scores, k, ties) for k in others])
                return self._negated(self.any([self._class(scores, cast(int, c), ties) for c in classes]), negated)
            case SameClass(left, right, ties):
                both = [(self._class(left, k, ties), self._class(right, k, ties)) for k in range(left.size)]
                return self.any([self.all([ours, self._negated(theirs, negated)]) for ours, theirs in both])
            case Comparison() | Quantified() | Same():
                return self._negated(self._atom(f), negated)
            case _:
                assert_never(f)

    def _negated(self, goal: Goal, negated: bool) -> Goal:
        return self.nodes.negate(goal) if negated else goal

    def _class(self, scores: Expression, k: int, ties: Ties) -> Goal:
        return self.wins(self.lower(scores).node, k, ties)

    def _atom(self, f: Comparison | Quantified | Same) -> Goal:
        """Return the goal of a formula about sums."""
        b = self.nodes
        match f:
            case Comparison(difference, relation):
                return self._compare(difference, relation, every=True)
            case Quantified(comparison, every):
                return self._compare(comparison.difference, comparison.relation, every)
            case Same(left, right, positions):
                x, y = (b.select(self.codes(v), positions) for v in (left, right))
                return self.all([self.sign(b.difference(x, y), every=True), self.sign(b.difference(y, x), every=True)])
            case _:
                assert_never(f)

    def _compare(self, difference: Expression, relation: Relation, every: bool) -> Goal:
        match relation:
            case ">=" | ">":
                return self._at_least(difference, strict=relation == ">", every=every)
            case "==":
                node = self.lower(difference).node
                if every or self.nodes.size(node) == 1:
                    return self.all([self.sign(node, every=True), self.sign(self.nodes.scale(node, -1), every=True)])
                return self.sign(self.nodes.scale(self._absolute(node), -1), every=False)
            case "!=":
                return self.apart(self.lower(difference).node, every)
            case _:
                assert_never(relation)

    def apart(self, node: int, every: bool) -> Goal:
        """Return that every (or some) element of a node is not zero."""
        return self.sign(self._absolute(node), every=every, strict=True)

    def _at_least(self, e: Expression, *, strict: bool, every: bool) -> Goal:
        """Return `e >= 0` (or `> 0`); absolute values and maxima that only lower `e` are split into their branches.

        `c - |t| >= 0` is `c - t >= 0 and c + t >= 0`; `c - max(t) >= 0` is `c - t[k] >= 0` for every k. This keeps boxes boxes.
        """
        split = split_concave(e) if every else None
        if split is not None:
            return self.all([self._at_least(part, strict=strict, every=True) for part in split])
        return self.sign(self.lower(e).node, every=every, strict=strict)


def split_concave(e: Expression) -> list[Expression] | None:
    """Return expressions whose minimum is `e`, if `e` is a sum with a concave term that can be split, else None."""
    match cast(AnyExpression, e):
        case Sum(left, right):
            for ours, other in ((left, right), (right, left)):
                parts = split_concave(ours)
                if parts is not None:
                    return [_plus(p, other) for p in parts]
            return None
        case Product(Constant(values), other) | Product(other, Constant(values)) if all(v.numerator <= 0 for v in values.flat):
            match _pull(other):
                case Absolute(argument):
                    return [Constant(values) * argument, Constant(-values) * argument]
                case Reduce(argument, "max"):
                    return [Constant(values.reshape(*values.shape, 1)) * argument]
                case _:
                    return None
        case Reduce(argument, "min"):
            return [argument]
        case _:
            return None


def _pull(e: Expression) -> Expression:
    """Return a selection of absolute values as the absolute values of a selection."""
    if isinstance(e, Gather) and isinstance(e.argument, Absolute | Gather):
        inner = _pull(e.argument)
        if isinstance(inner, Absolute):
            return Absolute(Gather(inner.argument, e.index))
    return e


def _plus(part: Expression, other: Expression) -> Expression:
    """Return `part + other`, where `part` may have gained a last axis that `other` lacks."""
    return part + (other if len(part.shape) == len(other.shape) else Gather(other, np.arange(other.size).reshape(*other.shape, 1)))
