"""Truth: comparisons of whole arrays, classes, variables that are the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral
from operator import ge, gt, le, lt
from typing import Literal

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.errors import ShapeError, SpecError
from qspec.language.connectives import Conjunction, Constantly, Disjunction, Formula, Negation, scalar
from qspec.language.expressions import Comparison, Expression, Operand, Parameter, expression
from qspec.language.protocols import shown
from qspec.language.variables import RealVariable, Variable
from qspec.support.checks import listed


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Quantified(Formula):
    """Every (or some) element of an array of comparisons."""

    comparison: Comparison
    every: bool


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Same(Formula):
    """Two variables have the same codes at these positions."""

    left: Variable
    right: Variable
    positions: IntArray


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ClassIn(Formula):
    """The argmax of scores is one of some classes; `ties` says which index wins among equal scores."""

    scores: Expression
    classes: tuple[int | Parameter, ...]
    ties: Literal["first", "last"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SameClass(Formula):
    """Two score vectors have the same argmax."""

    left: Expression
    right: Expression
    ties: Literal["first", "last"]


AnyFormula = Comparison | Quantified | Conjunction | Disjunction | Negation | Constantly | Same | ClassIn | SameClass


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Argmax:
    """The index of the greatest score; compare it with `==`, `!=`, `isin`, or by order with a whole number."""

    scores: Expression
    ties: Literal["first", "last"] = "first"

    def __eq__(self, other: object) -> Formula:  # pyright: ignore[reportIncompatibleMethodOverride]
        if isinstance(other, Argmax):
            if other.ties != self.ties or other.scores.size != self.scores.size:
                raise SpecError(
                    "argmax of different kinds", given=(self.ties, other.ties), expected="the same tie rule and number of scores"
                )
            return SameClass(self.scores, other.scores, self.ties)
        return self.isin([other])

    def __ne__(self, other: object) -> Formula:  # pyright: ignore[reportIncompatibleMethodOverride]
        return Negation(self == other)

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return shown(self)

    def __le__(self, other: object) -> Formula:
        return self._ordered(other, le)

    def __lt__(self, other: object) -> Formula:
        return self._ordered(other, lt)

    def __ge__(self, other: object) -> Formula:
        return self._ordered(other, ge)

    def __gt__(self, other: object) -> Formula:
        return self._ordered(other, gt)

    def _ordered(self, other: object, holds: Callable[[int, int], bool]) -> Formula:
        """Return that the winning index is one of those that are in this order to a whole number."""
        if not isinstance(other, Integral) or other is True or other is False:
            raise SpecError(
                "classes have an order with whole numbers only", given=other, expected="a class", advice="qs.argmax(…).isin([…])"
            )
        return self.isin([k for k in range(self.scores.size) if holds(k, int(other))])

    def isin(self, classes: Sequence[object]) -> Formula:
        """Return the formula that the winning index is one of these; raises SpecError on an index that does not exist."""
        checked: list[int | Parameter] = []
        for c in classes:
            if isinstance(c, Parameter) and c.shape == ():
                checked.append(c)
            elif isinstance(c, Integral) and c is not True and c is not False and 0 <= int(c) < self.scores.size:
                checked.append(int(c))
            else:
                raise SpecError("no such class", given=c, expected=f"an index from 0 to {self.scores.size - 1}, or a parameter")
        return ClassIn(self.scores, tuple(checked), self.ties)


def argmax(scores: Operand, *, ties: Literal["first", "last"] = "first") -> Argmax:
    """Return the argmax of all elements; among equal scores the first index wins (or the last, if so stated)."""
    if not isinstance(ties, str) or ties not in ("first", "last"):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SpecError("unknown tie rule", given=repr(ties), expected='"first" or "last"')
    return Argmax(expression(scores).flatten(), ties)


def implies(condition: Formula, consequence: Formula) -> Formula:
    """Return that the consequence is true where the condition is (`condition >> consequence`)."""
    return scalar(condition).implies(consequence)


def iff(left: Formula, right: Formula) -> Formula:
    """Return that both formulas are true, or neither."""
    return (scalar(left) & right) | (~left & ~scalar(right))


def xor(left: Formula, right: Formula) -> Formula:
    """Return that one of two formulas is true and the other is not (`left ^ right`)."""
    return scalar(left) ^ right


def every(formula: Formula) -> Formula:
    """Return that all elements of an array of comparisons are true (`qs.all`)."""
    return Quantified(formula, True) if isinstance(formula, Comparison) else formula


def some(formula: Formula) -> Formula:
    """Return that some element of an array of comparisons is true (`qs.any`)."""
    return Quantified(formula, False) if isinstance(formula, Comparison) else formula


def same(left: Variable | RealVariable, right: Variable | RealVariable, *, except_for: Sequence[str | int] = ()) -> Formula:
    """Return that two variables agree in every element but those of the named features (or flat indices)."""
    for v in (left, right):
        if not isinstance(v, Variable | RealVariable):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise SpecError("only variables can be the same", given=repr(v), expected='net.input("x")')
    if isinstance(left, RealVariable) or isinstance(right, RealVariable):
        return _same_reals(left, right, except_for)
    if left.type.shape != right.type.shape or left.type.grid != right.type.grid:
        raise ShapeError("variables of different types", given=(left.type.shape, right.type.shape), expected="two inputs of one network")
    free = np.zeros(left.size, dtype=bool)
    for name in listed(except_for, "except_for"):
        if not isinstance(name, str) and not (isinstance(name, Integral) and 0 <= int(name) < left.size):
            raise SpecError("has no such element", given=name, expected=f"a feature, or a flat index from 0 to {left.size - 1}")
        free[left.columns(name) if isinstance(name, str) else name] = True
    return Same(left, right, np.flatnonzero(~free))


def _same_reals(left: Variable | RealVariable, right: Variable | RealVariable, except_for: Sequence[str | int]) -> Formula:
    free = listed(except_for, "except_for")
    if left.shape != right.shape or any(isinstance(k, str) or not 0 <= k < left.size for k in free):
        raise SpecError(
            "real variables that do not compare", given=(left.shape, right.shape, free), expected="one shape, and flat indices of it"
        )
    kept = np.array([k for k in range(left.size) if k not in free], dtype=np.int64)
    return Quantified(left.flatten()[kept] == right.flatten()[kept], True) if kept.size else Constantly(True)
