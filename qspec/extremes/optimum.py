"""What is to be optimised, and what is known of the optimum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from typing import Literal, NamedTuple, NoReturn

from qspec.arithmetic.integers import IntArray
from qspec.arithmetic.text import exact
from qspec.errors import SpecError
from qspec.language.connectives import Formula
from qspec.language.expressions import Comparison, Expression
from qspec.language.property import Property
from qspec.language.variables import RealVariable, Variable
from qspec.solver import Reason
from qspec.support.plain import document
from qspec.verify.result import Times

Sense = Literal["maximize", "minimize"]


@dataclass(frozen=True, slots=True, eq=False)
class Objective:
    """The greatest (or least) value of a scalar expression over all values of the variables for which `given` is true."""

    sense: Sense
    expression: Expression
    variables: tuple[Variable, ...]
    given: Formula
    name: str
    reals: tuple[RealVariable, ...] = ()
    """Those of the variables that are real."""
    values: Mapping[str, object] = field(default_factory=dict[str, object])
    """The values of parameters that have one."""

    def at(self, /, **values: object) -> Objective:
        """Return the objective with these parameters given; see `Property.at`."""
        return replace(self, values=self.property().at(**values).values)

    def property(self) -> Property:
        """Return that some point meets the assumption and has a value of at least zero: what is compiled, and says what is named."""
        compared = Comparison(self.expression, ">=")
        return Property("exists", self.variables, self.given, compared, self.name, self.reals, values=self.values)


class BracketStep(NamedTuple):
    """The interval after so many seconds."""

    seconds: float
    lower: Fraction
    upper: Fraction


@dataclass(frozen=True, slots=True, eq=False)
class Optimum:
    """`lower <= optimum <= upper`, exactly, if any point meets the assumption; `witness` is one that does.

    `witness` holds codes of every variable, in the variable's shape (of a real one its exact values); its exact value is `lower` of a
    maximum, `upper` of a minimum. Without one, nobody could tell whether any point meets the assumption. `reason` says why the interval
    stayed open; it is None before the end.
    """

    sense: Sense
    name: str
    lower: Fraction
    upper: Fraction
    witness: Mapping[str, IntArray] | None = None
    reason: Reason | None = None
    detail: str = ""
    solver: str = ""
    steps: tuple[BracketStep, ...] = ()
    times: Times = field(default_factory=Times)
    asked: int = 0
    """Number of verdicts that were asked for."""
    parameters: Mapping[str, object] = field(default_factory=dict[str, object])
    step: Fraction = Fraction(0)
    """How wide an interval counts as closed: over reals a step, of fixed point nothing."""

    @property
    def closed(self) -> bool:
        """Whether the optimum is known, up to the step, and a point is there that comes so near."""
        return self.witness is not None and self.upper - self.lower <= self.step

    def to_dict(self) -> dict[str, object]:
        """Return everything as JSON values, schema `qspec.optimum/1`; exact numbers stay exact."""
        return document(self, "qspec.optimum/1")

    def __bool__(self) -> NoReturn:
        raise SpecError("an optimum is not a truth value", given=str(self), expected="a comparison", advice="optimum.upper <= 3")

    def __str__(self) -> str:
        what = {"maximize": "maximum", "minimize": "minimum"}[self.sense]
        values = f"= {exact(self.lower)}" if self.closed and self.lower == self.upper else f"in [{exact(self.lower)}, {exact(self.upper)}]"
        why = f" ({self.reason.value})" if self.reason else ""
        some = "" if self.witness is not None else ", if any point meets the assumption"
        return f"{what} of {self.name} {values}{some}{why}, {self.solver}, {self.asked} verdicts, {self.times.total:.2f} s"


def empty(spec: Property) -> SpecError:
    """Return the error that there is nothing to optimise over."""
    return SpecError("no point meets the assumption", given=spec.name, expected="an assumption that some point meets")


def summed(a: Times, b: Times) -> Times:
    """Return the seconds of both."""
    return Times(**{f.name: getattr(a, f.name) + getattr(b, f.name) for f in fields(Times)})
