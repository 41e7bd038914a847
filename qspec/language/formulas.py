"""Truth: comparisons, connectives, argmax, and the quantified property."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral
from typing import Any, Literal, NoReturn, cast

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.errors import ShapeError, SpecError
from qspec.language.expressions import Constant, Expression, Operand, Parameter, Variable, expression
from qspec.language.real_expressions import RealVariable
from qspec.support import checks
from qspec.support.checks import listed

Relation = Literal[">=", ">", "==", "!="]


class Formula:
    """Base of all formulas: the connectives. Never made directly."""

    __slots__ = ()

    def __and__(self, other: Formula) -> Formula:
        return Conjunction((*_members(self, Conjunction), *_members(other, Conjunction)))

    def __or__(self, other: Formula) -> Formula:
        return Disjunction((*_members(self, Disjunction), *_members(other, Disjunction)))

    def __invert__(self) -> Formula:
        return Negation(_scalar(self))

    def implies(self, other: Formula) -> Formula:
        """Return `not self or other`, which is also written `self >> other`."""
        return ~self | other

    def __rshift__(self, other: Formula) -> Formula:
        return ~self | other

    def __xor__(self, other: Formula) -> Formula:
        return (self & ~other) | (~self & other)

    def __array_function__(self, called: Any, types: object, arguments: Sequence[object], options: Mapping[str, object]) -> Any:
        from qspec.language.numpy_functions import of_formula

        return of_formula(called, arguments, options)

    def __repr__(self) -> str:
        from qspec.language.text import shown

        return shown(self)

    def __rand__(self, other: object) -> NoReturn:
        _refuse(other)

    def __bool__(self) -> NoReturn:
        raise SpecError(
            "a formula has no truth value in Python",
            given=type(self).__name__,
            expected="&, | and ~",
            advice="write (a <= x) & (x <= b) for a <= x <= b, and &, |, ~ for and, or, not",
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Comparison(Formula):
    """`difference relation 0`, elementwise; an array of comparisons needs `qs.all` or `qs.any`."""

    difference: Expression
    relation: Relation

    @property
    def shape(self) -> tuple[int, ...]:
        return self.difference.shape


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Quantified(Formula):
    """Every (or some) element of an array of comparisons."""

    comparison: Comparison
    every: bool


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Conjunction(Formula):
    """Both."""

    children: tuple[Formula, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Disjunction(Formula):
    """Either."""

    children: tuple[Formula, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Negation(Formula):
    """Not."""

    child: Formula


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Constantly(Formula):
    """A constant."""

    value: bool


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
    """The index of the greatest score; compare it with `==`, `!=` or `isin`."""

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
        from qspec.language.text import shown

        return shown(self)

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
    return _scalar(condition).implies(consequence)


def iff(left: Formula, right: Formula) -> Formula:
    """Return that both formulas are true, or neither."""
    return (_scalar(left) & right) | (~left & ~_scalar(right))


def xor(left: Formula, right: Formula) -> Formula:
    """Return that one of two formulas is true and the other is not (`left ^ right`)."""
    return _scalar(left) ^ right


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


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Requirement:
    """What a named property asks of a number that may be given later: to be at least `least`, at most `most`, and whole if so said."""

    what: str
    value: Expression
    least: int = 0
    most: int | None = None
    whole: bool = False

    def check(self, value: Expression) -> None:
        """Raise SpecError if this is a constant that does not do."""
        ends = f"at least {self.least}" if self.most is None else f"from {self.least} to {self.most}"
        expected = f"a whole number, {ends}" if self.whole else f"a number, {ends}"
        for number in value.values.reshape(-1).tolist() if isinstance(value, Constant) else ():
            if self.whole and number.denominator != 1:
                raise SpecError(f"{self.what} is no whole number", given=str(number), expected=expected)
            if number < self.least or (self.most is not None and number > self.most):
                raise SpecError(f"{self.what} is out of range", given=str(number), expected=expected)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Property:
    """`forall variables: given implies then`, or `exists variables: given and then`; `reals` are the variables that are real."""

    kind: Literal["forall", "exists"]
    variables: tuple[Variable, ...]
    given: Formula
    then: Formula
    name: str = "property"
    reals: tuple[RealVariable, ...] = ()
    requires: tuple[Requirement, ...] = ()
    """What its parameters must be; nothing once they have their values."""
    values: Mapping[str, object] = field(default_factory=dict[str, object])
    """The values of parameters that have one, as they were given."""

    @property
    def parameters(self) -> dict[str, tuple[int, ...]]:
        """The parameters that have no value yet, and their shapes."""
        from qspec.language.bind import parameter_names

        return {name: shape for name, shape in parameter_names(self).items() if name not in self.values}

    def at(self, /, **values: object) -> Property:
        """Return the property with these parameters given: exact numbers in the shape of each; others can follow in a later step.

        Raises SpecError on a name that is no parameter without a value, ShapeError and FormatError on a value that does not fit it.
        """
        from qspec.language.bind import checked_values

        return replace(self, values={**self.values, **checked_values(self, values)})

    def __repr__(self) -> str:
        from qspec.language.text import describe

        return describe(self)

    def _repr_html_(self) -> str:
        from qspec.support.notebook import text

        return text(repr(self))


def forall(*variables: object, given: Formula | None = None, then: Formula | None = None, name: str = "property") -> Property:
    """State that `then` is true for all values of the variables for which `given` is.

    Raises SpecError if nothing is quantified, a variable occurs twice, or `then` is missing or is no formula.
    """
    return _property("forall", variables, given, then, name)


def exists(*variables: object, given: Formula | None = None, then: Formula | None = None, name: str = "property") -> Property:
    """State that `given` and `then` are both true for some values of the variables."""
    return _property("exists", variables, given, then, name)


def requiring(spec: Property, requirement: Requirement) -> Property:
    """Return a property that asks this of a number in it; raises SpecError if the number is known and does not do."""
    requirement.check(requirement.value)
    return spec if isinstance(requirement.value, Constant) else replace(spec, requires=(*spec.requires, requirement))


def _property(
    kind: Literal["forall", "exists"], variables: tuple[object, ...], given: Formula | None, then: Formula | None, name: str
) -> Property:
    checks.text(name, "the name of a property")
    flat = tuple(_flatten(variables))
    if not flat:
        raise SpecError(f"{kind} quantifies nothing", given="no variables", expected=f'{kind}(x, …) with x = net.input("x")')
    if len({v.name for v in flat}) != len(flat):
        raise SpecError(
            "two variables have one name",
            given=[v.name for v in flat],
            expected="distinct names",
            advice='name each copy: net.input("a"), net.input("b")',
        )
    if then is None:
        raise SpecError(f"{kind} states nothing", given="no `then`", expected="then=<formula>")
    for f in (given, then):
        if f is not None and not isinstance(f, Formula):  # pyright: ignore[reportUnnecessaryIsInstance]
            _refuse(f)
    fixed, reals = tuple(v for v in flat if isinstance(v, Variable)), tuple(v for v in flat if isinstance(v, RealVariable))
    return Property(kind, fixed, _scalar(given) if given is not None else Constantly(True), _scalar(then), name, reals)


def _flatten(items: object) -> Iterator[Variable | RealVariable]:
    if isinstance(items, Variable | RealVariable):
        yield items
    elif isinstance(items, tuple | list):
        for item in cast(Sequence[object], items):
            yield from _flatten(item)
    else:
        raise SpecError("only variables can be quantified", given=items, expected='net.input("x") or perturbed.parameters')


def _members(formula: Formula, kind: type[Conjunction] | type[Disjunction]) -> tuple[Formula, ...]:
    """Return the children of a formula of this kind, so that long chains stay flat, or the formula alone."""
    scalar = _scalar(formula)
    return scalar.children if isinstance(scalar, kind) else (scalar,)


def _scalar(formula: Formula) -> Formula:
    if not isinstance(formula, Formula):  # pyright: ignore[reportUnnecessaryIsInstance]
        _refuse(formula)
    if isinstance(formula, Comparison) and int(np.prod(formula.shape, dtype=np.int64)) != 1:
        raise SpecError(
            "an array of comparisons is not one truth",
            given=f"shape {formula.shape}",
            expected="a single comparison",
            advice="say qs.all(…) or qs.any(…)",
        )
    return formula


def _refuse(value: object) -> NoReturn:
    if isinstance(value, Property):
        raise SpecError(
            "quantifiers do not nest",
            given=f"{value.kind} within a formula",
            expected="one quantifier over all variables",
            advice="forall(a, b, …) for two of one kind; for `exists` within `forall`, make candidates parameters and ask about each",
        )
    raise SpecError(
        "not a formula",
        given=value,
        expected="a comparison, or formulas joined by &, |, ~",
        advice="Python's and, or, not and chained comparisons do not build formulas",
    )
