"""Give the parameters of a property their values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import assert_never, cast

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.arithmetic.shapes import check_one
from qspec.errors import QspecError, SpecError
from qspec.language.domains import Domain, OneHot, Range
from qspec.language.expressions import (
    Absolute,
    Application,
    Code,
    Constant,
    Expression,
    Floor,
    Gather,
    Join,
    NonZero,
    Output,
    Parameter,
    Product,
    Reduce,
    Sum,
    Variable,
    constant,
)
from qspec.language.formulas import (
    AnyFormula,
    ClassIn,
    Comparison,
    Conjunction,
    Constantly,
    Disjunction,
    Formula,
    Negation,
    Property,
    Quantified,
    Same,
    SameClass,
)
from qspec.language.real_expressions import Applied, EveryExpression, RealApplication, RealOnly, RealOutput, RealVariable, SoftmaxOf
from qspec.support import checks


def bind(spec: Property, values: Mapping[str, object] | None = None) -> Property:
    """Return the property with every parameter replaced by its value; raises SpecError, with all their names, if some have none.

    `values` are those that the property has (`Property.at`), unless given.
    """
    checks.kind(spec, Property, "a property", "qs.forall(…), qs.exists(…) or a named property")
    binder = _Binder(spec.values if values is None else values)
    try:
        for r in spec.requires:
            r.check(binder.expression(r.value))
        bound = replace(spec, given=binder.formula(spec.given), then=binder.formula(spec.then), requires=())
    except RecursionError:
        raise SpecError("an expression is nested too deeply", given=spec.name, expected="qs.sum, qs.all, qs.any over arrays") from None
    if missing := list(dict.fromkeys(binder.missing)):
        ways = f"spec.at({', '.join(f'{n}=…' for n in missing)}), or --param {missing[0]}=…"
        raise SpecError("a parameter has no value", given=", ".join(missing), expected=ways)
    _check_distances(bound)
    _check_variables(spec, binder.variables)
    _check_reals(spec, binder.reals)
    return bound


def _check_distances(spec: Property) -> None:
    """Raise SpecError if a distance is assumed to be at most a negative number, so that nothing meets the assumption."""
    for f in spec.given.children if isinstance(spec.given, Conjunction) else (spec.given,):
        match f:
            case Comparison(Sum(Constant(limit), Product(Constant(), Reduce(Gather(Absolute() | NonZero())))), ">=" | ">"):
                if limit.size == 1 and limit.item() < 0:
                    raise SpecError("a distance is never below zero", given=f"at most {limit.item()}", expected="a radius of at least 0")
            case _:
                pass


def _check_variables(spec: Property, used: list[Variable]) -> None:
    """Raise SpecError on a variable that is not quantified, or that only shares its name with the quantified one."""
    quantified = {v.name: v for v in spec.variables}
    for v in used:
        if v.name not in quantified:
            raise SpecError(
                "a variable is not quantified", given=v.name, expected=", ".join(quantified), advice="list it in forall(…) or exists(…)"
            )
        if v is not quantified[v.name] and not _alike(v, quantified[v.name]):
            raise SpecError(
                "two different variables have one name",
                given=v.name,
                expected="the quantified variable itself",
                advice="name each input apart",
            )


def _check_reals(spec: Property, used: list[RealVariable]) -> None:
    """Raise SpecError on a real variable that is not quantified, or that only shares its name with the quantified one."""
    quantified = {v.name: v for v in spec.reals}
    for v in used:
        own = quantified.get(v.name)
        if own is None:
            names = ", ".join(quantified) or "no real variables"
            raise SpecError("a variable is not quantified", given=v.name, expected=names, advice="list it in forall(…) or exists(…)")
        if v is not own and not all(np.array_equal(a, b) for a, b in ((v.lower, own.lower), (v.upper, own.upper))):
            raise SpecError(
                "two different variables have one name",
                given=v.name,
                expected="the quantified variable itself",
                advice="name each input apart",
            )


def _alike(a: Variable, b: Variable) -> bool:
    """Return whether two variables of one name have the same type and the same domain."""
    if a.type != b.type or len(a.domain.pieces) != len(b.domain.pieces):
        return False
    return all(
        type(p) is type(q) and all(np.array_equal(getattr(p, f.name), getattr(q, f.name)) for f in fields(p))
        for p, q in zip(a.domain.pieces, b.domain.pieces, strict=True)
    )


def checked_values(spec: Property, values: Mapping[str, object]) -> Mapping[str, object]:
    """Return values if each is for a parameter of the property that has none, and fits it; see `Property.at`."""
    shapes = parameter_names(spec)
    free = {name: shape for name, shape in shapes.items() if name not in spec.values}
    listed = ", ".join(free) or ("no parameters" if not shapes else "no further parameters")
    for name, value in values.items():
        if name in spec.values:
            raise SpecError(f"the parameter {name!r} has a value already", given=value, expected=listed)
        if name not in free:
            raise SpecError("the specification has no such parameter", given=name, expected=listed)
        given_value(name, free[name], value)
    return values


def given_value(name: str, shape: tuple[int, ...], value: object) -> Constant:
    """Return the value of a parameter as a constant of its shape; the errors of `constant` and of its shape name the parameter."""
    try:
        given = constant(value)
    except QspecError as error:
        raise type(error)(f"parameter {name!r}: {error.what}", given=error.given, expected=error.expected, advice=error.advice) from None
    check_one(given.shape, shape, f"parameter {name!r}")
    return Constant(given.values.reshape(shape))


def parameter_names(spec: Property) -> dict[str, tuple[int, ...]]:
    """Return the name and shape of every parameter of a property."""
    binder = _Binder(None)
    binder.formula(spec.given)
    binder.formula(spec.then)
    return binder.seen


class _Binder:
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


def shareable(first: Domain, second: Domain, positions: IntArray) -> IntArray:
    """Return the positions among these at which both domains have the same free integers."""
    wanted = set(positions.tolist())
    shared: set[int] = set()
    for a in first.pieces:
        for b in second.pieces:
            if isinstance(a, Range) and isinstance(b, Range):
                ours = {int(p): k for k, p in enumerate(a.positions)}
                for k, p in enumerate(b.positions.tolist()):
                    j = ours.get(p)
                    if j is not None and (a.start[j], a.stride[j], a.count[j]) == (b.start[k], b.stride[k], b.count[k]):
                        shared.add(p)
            elif isinstance(a, OneHot) and isinstance(b, OneHot) and np.array_equal(a.positions, b.positions):
                alike = np.array_equal(a.on, b.on) and np.array_equal(a.off, b.off) and wanted.issuperset(a.positions.tolist())
                shared.update(a.positions.tolist() if alike else ())
    return np.array(sorted(shared & wanted), dtype=np.int64)
