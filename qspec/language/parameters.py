"""Put values in the place of parameters: expressions and formulas, rebuilt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never, cast

from qspec.arithmetic.shapes import check_one
from qspec.errors import QspecError, SpecError
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
    Reduce,
    Sum,
    constant,
)
from qspec.language.formulas import AnyFormula, ClassIn, Quantified, Same, SameClass
from qspec.language.variables import (
    Application,
    Applied,
    Code,
    EveryExpression,
    Output,
    RealApplication,
    RealOnly,
    RealOutput,
    RealVariable,
    SoftmaxOf,
    Variable,
)


def given_value(name: str, shape: tuple[int, ...], value: object) -> Constant:
    """Return the value of a parameter as a constant of its shape; the errors of `constant` and of its shape name the parameter."""
    try:
        given = constant(value)
    except QspecError as error:
        raise type(error)(f"parameter {name!r}: {error.what}", given=error.given, expected=error.expected, advice=error.advice) from None
    check_one(given.shape, shape, f"parameter {name!r}")
    return Constant(given.values.reshape(shape))


class Substitution:
    """Rebuilds expressions; sub-expressions that are shared stay shared. With no values it only collects the parameters."""

    def __init__(self, parameters: Mapping[str, object] | None) -> None:
        self._values = parameters
        self.variables: list[Variable] = []
        self.reals: list[RealVariable] = []
        self.seen: dict[str, tuple[int, ...]] = {}
        self.missing: list[str] = []
        self._memo: dict[int, Expression] = {}
        self._applications: dict[int, Application] = {}
        self._real_applications: dict[int, RealApplication] = {}
        self._keep: list[object] = []

    def formula(self, f: Formula) -> Formula:
        f = cast(AnyFormula, f)
        match f:
            case Comparison(difference, relation):
                return Comparison(self.expression(difference), relation)
            case Quantified(comparison, every):
                return Quantified(Comparison(self.expression(comparison.difference), comparison.relation), every)
            case Conjunction(children):
                return Conjunction(tuple(self.formula(c) for c in children))
            case Disjunction(children):
                return Disjunction(tuple(self.formula(c) for c in children))
            case Negation(child):
                return Negation(self.formula(child))
            case Same(left, right):
                self.variables += [left, right]
                return f
            case Constantly():
                return f
            case ClassIn(scores, classes, ties):
                return ClassIn(self.expression(scores), tuple(self._label(c, scores.size) for c in classes), ties)
            case SameClass(left, right, ties):
                return SameClass(self.expression(left), self.expression(right), ties)
            case _:
                assert_never(f)

    def expression(self, e: Expression) -> Expression:
        if id(e) not in self._memo:
            self._keep.append(e)
            self._memo[id(e)] = self._rebuild(cast(EveryExpression, e))
        return self._memo[id(e)]

    def _rebuild(self, e: EveryExpression) -> Expression:
        if isinstance(e, RealOnly):
            return self._rebuild_real(e)
        match e:
            case Constant():
                return e
            case Variable():
                self.variables.append(e)
                return e
            case Parameter():
                return self._value(e)
            case Output(application, stage, tap):
                return Output(self._application(application), stage, tap)
            case Code(argument):
                return Code(cast(Variable | Output, self.expression(argument)))
            case Sum(left, right):
                return Sum(self.expression(left), self.expression(right))
            case Product(left, right):
                return self._fold(Product(self.expression(left), self.expression(right)))
            case Absolute(argument) | NonZero(argument) | Floor(argument):
                return type(e)(self.expression(argument))
            case Gather(argument, index):
                return self._fold(Gather(self.expression(argument), index))
            case Join(parts):
                return Join(tuple(self.expression(p) for p in parts))
            case Reduce(argument, kind):
                return Reduce(self.expression(argument), kind)
            case _:
                assert_never(e)

    def _rebuild_real(self, e: RealOnly) -> Expression:
        match e:
            case RealVariable():
                self.reals.append(e)
                return e
            case RealOutput(application, stage):
                return RealOutput(self._real_application(application), stage)
            case Applied(function, argument):
                return Applied(function, self.expression(argument))
            case SoftmaxOf(argument):
                return SoftmaxOf(self.expression(argument))
            case _:
                assert_never(e)

    def _fold(self, e: Product | Gather) -> Expression:
        """Return constants in place of products and selections of constants, so that a scaled parameter is a constant factor."""
        if isinstance(e, Gather) and isinstance(e.argument, Constant):
            return Constant(e.argument.values.reshape(-1)[e.index])
        if isinstance(e, Product) and isinstance(e.left, Constant) and isinstance(e.right, Constant):
            return Constant(e.left.values * e.right.values)
        return e

    def _application(self, a: Application) -> Application:
        if id(a) not in self._applications:
            self._keep.append(a)
            free = tuple((key, self.expression(p)) for key, p in a.parameters)
            self._applications[id(a)] = Application(a.network, tuple(self.expression(x) for x in a.arguments), free)
        return self._applications[id(a)]

    def _real_application(self, a: RealApplication) -> RealApplication:
        if id(a) not in self._real_applications:
            self._keep.append(a)
            free = tuple((key, self.expression(p)) for key, p in a.parameters)
            self._real_applications[id(a)] = RealApplication(a.network, tuple(self.expression(x) for x in a.arguments), free)
        return self._real_applications[id(a)]

    def _value(self, p: Parameter) -> Expression:
        if self.seen.setdefault(p.name, p.shape) != p.shape:
            raise SpecError("one parameter is used with two shapes", given=(p.name, self.seen[p.name], p.shape), expected="one shape")
        if self._values is None:
            return p
        if p.name not in self._values:
            self.missing.append(p.name)
            return p
        return given_value(p.name, p.shape, self._values[p.name])

    def _label(self, label: int | Parameter, classes: int) -> int | Parameter:
        if not isinstance(label, Parameter):
            return label
        value = self._value(label)
        if isinstance(value, Parameter):
            return value
        number = cast(Constant, value).values.item()
        if number.denominator != 1 or not 0 <= number < classes:
            raise SpecError(
                f"parameter {label.name!r}: no such class", given=str(number), expected=f"a whole number from 0 to {classes - 1}"
            )
        return int(number)
