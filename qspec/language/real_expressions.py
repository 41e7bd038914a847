"""Expressions over reals: real variables, applied real networks, and functions of one real."""

from __future__ import annotations

from dataclasses import dataclass

from qspec.ir.real import ExactArray, Function
from qspec.language.expressions import AnyExpression, Expression
from qspec.network.real_graph import RealGraph


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


RealOnly = RealVariable | RealOutput | Applied | SoftmaxOf
EveryExpression = AnyExpression | RealOnly
