"""Variables and the signals of applied networks, of codes and of reals; functions of reals; and the closed unions of all expressions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from qspec.errors import SpecError
from qspec.ir.real import ExactArray, Function
from qspec.language.domains import VariableDomain
from qspec.language.expressions import Absolute, Constant, Expression, Floor, Gather, Join, NonZero, Parameter, Product, Reduce, Sum
from qspec.network.graph import Graph, RealGraph
from qspec.network.types import Type

Tap = Literal["output", "accumulator", "held", "rounded"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Variable(Expression):
    """A quantified array: its values are `unit * (code - zero)` for every code array in its domain."""

    name: str
    type: Type
    domain: VariableDomain
    features: tuple[tuple[str, int, int], ...] = ()
    """Name, first and last-plus-one column of each named feature."""
    words: Mapping[str, Sequence[str | int]] = field(default_factory=dict[str, Sequence[str | int]])
    """What the values of a feature are called, in the order of its domain; one that is not here is called by its numbers."""

    @property
    def shape(self) -> tuple[int, ...]:
        return self.type.shape

    @property
    def code(self) -> Expression:
        """The stored integers, in LSB."""
        return Code(self)

    def columns(self, feature: str) -> slice:
        """Return the columns of a named feature; raises SpecError if there is none."""
        for name, start, stop in self.features:
            if name == feature:
                return slice(start, stop)
        raise SpecError(
            f"variable {self.name!r} has no such feature",
            given=feature,
            expected=", ".join(n for n, _, _ in self.features) or "no features",
        )

    def __getitem__(self, index: object) -> Expression:
        if isinstance(index, str):
            where = self.columns(index)
            return Expression.__getitem__(self, where if where.stop - where.start > 1 else where.start)
        return Expression.__getitem__(self, index)

    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Application:
    """A network applied to expressions, with some stored parameters replaced by variables."""

    network: Graph
    arguments: tuple[Expression, ...]
    parameters: tuple[tuple[tuple[str, str], Expression], ...] = ()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Output(Expression):
    """The signal of one stage of an applied network, or its accumulator, or its code before overflow."""

    application: Application
    stage: str
    tap: Tap = "output"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.application.network.stage(self.stage).type.shape

    def layer(self, name: str, tap: Tap = "output") -> Output:
        """Return the signal of a layer of the same applied network, as `Network.signal` has it; raises NetworkError if there is none."""
        self.application.network.stage(name)
        return Output(self.application, name, tap)

    def __getitem__(self, index: object) -> Expression:
        return self.layer(index) if isinstance(index, str) else Expression.__getitem__(self, index)

    @property
    def code(self) -> Expression:
        """The stored integers, in LSB."""
        return Code(self)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Code(Expression):
    """The codes of a variable or of a signal, as integers."""

    argument: Variable | Output

    @property
    def shape(self) -> tuple[int, ...]:
        return self.argument.shape


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RealVariable(Expression):
    """A quantified array of reals in a closed box; `lower` and `upper` have its shape."""

    name: str
    lower: ExactArray
    upper: ExactArray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.lower.shape

    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RealApplication:
    """A real network applied to expressions, with some stored parameters replaced by expressions."""

    network: RealGraph
    arguments: tuple[Expression, ...]
    parameters: tuple[tuple[tuple[str, str], Expression], ...] = ()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RealOutput(Expression):
    """The signal of one stage of an applied real network."""

    application: RealApplication
    stage: str

    @property
    def shape(self) -> tuple[int, ...]:
        return self.application.network.stage(self.stage).shape

    def layer(self, name: str) -> RealOutput:
        """Return the signal of a layer of the same applied network; raises NetworkError if there is none."""
        self.application.network.stage(name)
        return RealOutput(self.application, name)

    def __getitem__(self, index: object) -> Expression:
        return self.layer(index) if isinstance(index, str) else Expression.__getitem__(self, index)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Applied(Expression):
    """A function of every element: ReLU, exp, tanh, sigmoid or softplus."""

    function: Function
    argument: Expression

    @property
    def shape(self) -> tuple[int, ...]:
        return self.argument.shape


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SoftmaxOf(Expression):
    """The softmax over the last axis."""

    argument: Expression

    @property
    def shape(self) -> tuple[int, ...]:
        return self.argument.shape


AnyExpression = Constant | Parameter | Variable | Output | Code | Sum | Product | Absolute | Gather | Join | Reduce | NonZero | Floor
RealOnly = RealVariable | RealOutput | Applied | SoftmaxOf
EveryExpression = AnyExpression | RealOnly
