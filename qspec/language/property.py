"""The quantified property, its parameters, and what it asks of their values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, cast

from qspec.errors import SpecError
from qspec.language.connectives import Constantly, Formula, Sentence, refuse, scalar
from qspec.language.expressions import Constant, Expression
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
