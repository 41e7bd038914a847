"""The quantified property, its parameters, and what it asks of their values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Literal, cast

import numpy as np

from qspec.errors import SpecError
from qspec.language.connectives import Conjunction, Constantly, Formula, Sentence, refuse, scalar
from qspec.language.expressions import (
    Absolute,
    Comparison,
    Constant,
    Expression,
    Gather,
    NonZero,
    Product,
    Reduce,
    Sum,
)
from qspec.language.parameters import Substitution, given_value
from qspec.language.protocols import shown
from qspec.language.variables import RealVariable, Variable
from qspec.support import checks
from qspec.support.notebook import text


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
class Property(Sentence):
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
        return {name: shape for name, shape in parameter_names(self).items() if name not in self.values}

    def at(self, /, **values: object) -> Property:
        """Return the property with these parameters given: exact numbers in the shape of each; others can follow in a later step.

        Raises SpecError on a name that is no parameter without a value, ShapeError and FormatError on a value that does not fit it.
        """
        return replace(self, values={**self.values, **_checked(self, values)})

    def __repr__(self) -> str:
        return shown(self)

    def _repr_html_(self) -> str:
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


def parameter_names(spec: Property) -> dict[str, tuple[int, ...]]:
    """Return the name and shape of every parameter of a property."""
    walk = Substitution(None)
    walk.formula(spec.given)
    walk.formula(spec.then)
    return walk.seen


def _checked(spec: Property, values: Mapping[str, object]) -> Mapping[str, object]:
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
            refuse(f)
    fixed, reals = tuple(v for v in flat if isinstance(v, Variable)), tuple(v for v in flat if isinstance(v, RealVariable))
    return Property(kind, fixed, scalar(given) if given is not None else Constantly(True), scalar(then), name, reals)


def _flatten(items: object) -> Iterator[Variable | RealVariable]:
    if isinstance(items, Variable | RealVariable):
        yield items
    elif isinstance(items, tuple | list):
        for item in cast(Sequence[object], items):
            yield from _flatten(item)
    else:
        raise SpecError("only variables can be quantified", given=items, expected='net.input("x") or perturbed.parameters')


def bind(spec: Property, values: Mapping[str, object] | None = None) -> Property:
    """Return the property with every parameter replaced by its value; raises SpecError, with all their names, if some have none.

    `values` are those that the property has (`Property.at`), unless given.
    """
    checks.kind(spec, Property, "a property", "qs.forall(…), qs.exists(…) or a named property")
    binder = Substitution(spec.values if values is None else values)
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
