"""Exact, array-valued expressions: what users write between quantifier and comparison.

Every expression has a shape and exact rational values. Building one checks shapes; nothing is computed before `verify`. Comparing two
expressions gives a formula, elementwise; `qs.all` and `qs.any` say what an array of comparisons means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.integers import IntArray, exact_array, rationals
from qspec.errors import ShapeError, SpecError
from qspec.language.array import Array
from qspec.language.domains import Domain
from qspec.network.graph import Graph
from qspec.network.types import Type

if TYPE_CHECKING:
    from qspec.language.formulas import Comparison

RationalArray = npt.NDArray[Any]
"""An array of dtype object whose elements are Fractions or Python integers."""
Tap = Literal["output", "accumulator", "held", "rounded"]
MOST_FACTORS = 8
"""The greatest exponent of a power."""


class Expression(Array):
    """Base of all expressions: the operators. Never made directly."""

    __slots__ = ()

    @property
    def shape(self) -> tuple[int, ...]:
        raise AssertionError

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    def __add__(self, other: Operand) -> Expression:
        return Sum(*broadcast(self, expression(other)))

    def __radd__(self, other: Operand) -> Expression:
        return Sum(*broadcast(expression(other), self))

    def __neg__(self) -> Expression:
        return Product(*broadcast(constant(-1), self))

    def __sub__(self, other: Operand) -> Expression:
        return self + (-expression(other))

    def __rsub__(self, other: Operand) -> Expression:
        return expression(other) + (-self)

    def __mul__(self, other: Operand) -> Expression:
        return Product(*broadcast(self, expression(other)))

    def __rmul__(self, other: Operand) -> Expression:
        return Product(*broadcast(expression(other), self))

    def __truediv__(self, other: Operand) -> Expression:
        divisor = expression(other)
        if not isinstance(divisor, Constant) or any(v == 0 for v in divisor.values.flat):
            raise SpecError("division is by constants that are not zero", given=other, expected="a number")
        return self * Constant(np.array([1 / v for v in divisor.values.flat], dtype=object).reshape(divisor.shape))

    def __pow__(self, exponent: object) -> Expression:
        power = expression(cast(Operand, exponent))
        whole = power.values.item() if isinstance(power, Constant) and power.size == 1 else None
        if whole is None or whole.denominator != 1 or not 1 <= whole <= MOST_FACTORS:
            raise SpecError("a power is a product of equal factors", given=exponent, expected=f"a whole number from 1 to {MOST_FACTORS}")
        result = self
        for _ in range(int(whole) - 1):
            result = result * self
        return result

    def __floordiv__(self, divisor: Operand) -> Expression:
        """The greatest whole number that is at most the quotient, as Python has it for negative numbers too."""
        return Floor(self / divisor)

    def __mod__(self, divisor: Operand) -> Expression:
        """What floor division leaves: it has the sign of the divisor."""
        return self - expression(divisor) * (self // divisor)

    def __pos__(self) -> Expression:
        return self

    def __abs__(self) -> Expression:
        return Absolute(self)

    def __getitem__(self, index: object) -> Expression:
        positions: IntArray = np.arange(self.size).reshape(self.shape)
        try:
            taken: Any = positions[cast(Any, index)]
        except (IndexError, TypeError, ValueError) as error:
            raise ShapeError("index does not fit the array", given=index, expected=f"an index into shape {self.shape} ({error})") from None
        return Gather(self, np.asarray(taken))

    def __rmatmul__(self, matrix: object) -> Expression:
        from qspec.language.functions import dot

        return dot(matrix, self)

    def reshape(self, *shape: int) -> Expression:
        """Return the same elements in another shape."""
        try:
            return Gather(self, np.arange(self.size).reshape(shape))
        except ValueError:
            raise ShapeError("cannot reshape", given=shape, expected=f"{self.size} elements") from None

    def flatten(self) -> Expression:
        """Return the elements as one axis."""
        return self.reshape(self.size)

    def __ge__(self, other: Operand) -> Comparison:
        return _compare(self, ">=", other)

    def __le__(self, other: Operand) -> Comparison:
        return _compare(expression(other), ">=", self)

    def __gt__(self, other: Operand) -> Comparison:
        return _compare(self, ">", other)

    def __lt__(self, other: Operand) -> Comparison:
        return _compare(expression(other), ">", self)

    def __eq__(self, other: Operand) -> Comparison:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _compare(self, "==", other)

    def __ne__(self, other: Operand) -> Comparison:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _compare(self, "!=", other)

    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Constant(Expression):
    """Exact rational numbers."""

    values: RationalArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", np.asarray(self.values, dtype=object))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Parameter(Expression):
    """Numbers that are given when the specification is verified: images, labels, radii."""

    name: str
    array_shape: tuple[int, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array_shape


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Variable(Expression):
    """A quantified array: its values are `unit * (code - zero)` for every code array in its domain."""

    name: str
    type: Type
    domain: Domain
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
class Sum(Expression):
    """Elementwise sum of two arrays of one shape."""

    left: Expression
    right: Expression

    @property
    def shape(self) -> tuple[int, ...]:
        return _leaf(self).shape


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Product(Expression):
    """Elementwise product of two arrays of one shape."""

    left: Expression
    right: Expression

    @property
    def shape(self) -> tuple[int, ...]:
        return _leaf(self).shape


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Absolute(Expression):
    """Elementwise absolute value."""

    argument: Expression

    @property
    def shape(self) -> tuple[int, ...]:
        return self.argument.shape


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Gather(Expression):
    """Elements of an array at flat positions, in the shape of `index`."""

    argument: Expression
    index: IntArray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.index.shape


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Join(Expression):
    """Several arrays, flattened one after the other."""

    parts: tuple[Expression, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return (sum(p.size for p in self.parts),)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Reduce(Expression):
    """Sum, maximum or minimum along the last axis."""

    argument: Expression
    kind: Literal["sum", "max", "min"]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.argument.shape[:-1]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class NonZero(Expression):
    """1 where an element is not zero, else 0."""

    argument: Expression

    @property
    def shape(self) -> tuple[int, ...]:
        return self.argument.shape


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Floor(Expression):
    """The greatest whole number that is at most each element."""

    argument: Expression

    @property
    def shape(self) -> tuple[int, ...]:
        return self.argument.shape


AnyExpression = Constant | Parameter | Variable | Output | Code | Sum | Product | Absolute | Gather | Join | Reduce | NonZero | Floor
Operand = Expression | int | Fraction | str | Sequence[object] | npt.NDArray[np.generic]


def constant(values: object) -> Constant:
    """Return exact constants; arrays of floats mean their exact doubles, whole floats are whole numbers."""
    array = exact_array(values)
    if array.dtype == object or array.dtype.kind in "USbuif":
        return Constant(rationals(array))
    raise SpecError("not numbers", given=values, expected="integers, Fractions, decimal strings, or an array of them")


def expression(value: Operand) -> Expression:
    """Return an operand as an expression; a bare float that is not a whole number is refused, because it is not what it looks like."""
    if isinstance(value, Expression):
        return value
    if isinstance(value, float) and not value.is_integer():
        advice = f'qs.q("{value}") for the decimal, qs.q({value}) for the double'
        raise SpecError("a bare float is not an exact number", given=value, expected="an exact number", advice=advice)
    return constant(value)


def expand(array: Expression, shape: tuple[int, ...]) -> Expression:
    """Return an array repeated to a shape that it broadcasts to."""
    if isinstance(array, Constant):
        return Constant(np.broadcast_to(array.values, shape))
    return array if array.shape == shape else Gather(array, np.array(np.broadcast_to(np.arange(array.size).reshape(array.shape), shape)))


def broadcast(left: Expression, right: Expression) -> tuple[Expression, Expression]:
    """Return two arrays in their common shape; raises ShapeError if there is none."""
    try:
        shape = np.broadcast_shapes(left.shape, right.shape)
    except ValueError:
        expected = "equal shapes, or shapes that broadcast as in numpy"
        raise ShapeError("shapes do not fit together", given=(left.shape, right.shape), expected=expected) from None
    return expand(left, shape), expand(right, shape)


def _compare(left: Expression, relation: Literal[">=", ">", "==", "!="], right: Operand) -> Comparison:
    from qspec.language.formulas import Comparison

    return Comparison(Sum(*broadcast(left, -expression(right))), relation)


def _leaf(e: Expression) -> Expression:
    """Return the last operand of a chain of sums and products, which has the shape of all of them."""
    while isinstance(e, Sum | Product):
        e = e.right
    return e
