"""Exact, array-valued expressions: what users write between quantifier and comparison.

Every expression has a shape and exact rational values. Building one checks shapes; nothing is computed before `verify`. Comparing two
expressions gives a formula, elementwise; `qs.all` and `qs.any` say what an array of comparisons means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, NoReturn

import numpy as np
import numpy.typing as npt

from qspec.errors import ShapeError, SpecError
from qspec.integers import IntArray, rational
from qspec.language.domains import Domain
from qspec.network.graph import Network
from qspec.network.types import Type

if TYPE_CHECKING:
    from qspec.language.formulas import Comparison

RationalArray = npt.NDArray[np.object_]
Tap = Literal["output", "accumulator", "held", "rounded"]


class Expression:
    """Base of all expressions: the operators. Never made directly."""

    __slots__ = ()
    __array_ufunc__ = None

    @property
    def shape(self) -> tuple[int, ...]:
        raise AssertionError

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    def __add__(self, other: Operand) -> Expression:
        return Sum(*_broadcast(self, expression(other)))

    def __radd__(self, other: Operand) -> Expression:
        return Sum(*_broadcast(expression(other), self))

    def __neg__(self) -> Expression:
        return Product(*_broadcast(constant(-1), self))

    def __sub__(self, other: Operand) -> Expression:
        return self + (-expression(other))

    def __rsub__(self, other: Operand) -> Expression:
        return expression(other) + (-self)

    def __mul__(self, other: Operand) -> Expression:
        return Product(*_broadcast(self, expression(other)))

    def __rmul__(self, other: Operand) -> Expression:
        return Product(*_broadcast(expression(other), self))

    def __truediv__(self, other: Operand) -> Expression:
        divisor = expression(other)
        if not isinstance(divisor, Constant) or any(v == 0 for v in divisor.values.flat):
            raise SpecError("division is by constants that are not zero", given=other, expected="a number")
        return self * Constant(np.array([1 / v for v in divisor.values.flat], dtype=object).reshape(divisor.shape))

    def __abs__(self) -> Expression:
        return Absolute(self)

    def __getitem__(self, index: object) -> Expression:
        positions = np.arange(self.size).reshape(self.shape)
        try:
            taken = positions[index]  # pyright: ignore[reportArgumentType, reportCallIssue]
        except (IndexError, TypeError, ValueError) as error:
            raise ShapeError("index does not fit the array", given=index, expected=f"an index into shape {self.shape} ({error})") from None
        return Gather(self, np.asarray(taken))

    def __rmatmul__(self, matrix: object) -> Expression:
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

    def __eq__(self, other: Operand) -> Comparison:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        return _compare(self, "==", other)

    def __ne__(self, other: Operand) -> Comparison:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        return _compare(self, "!=", other)

    __hash__ = object.__hash__

    def __bool__(self) -> NoReturn:
        raise SpecError("an expression has no truth value", given=type(self).__name__, expected="a comparison", advice="compare it: expr <= 3")

    def __iter__(self) -> NoReturn:
        raise SpecError("an expression cannot be iterated", given=type(self).__name__, expected="an index", advice="write expr[k], or qs.sum, qs.all, qs.any")


@dataclass(frozen=True, slots=True, eq=False)
class Constant(Expression):
    """Exact rational numbers."""

    values: RationalArray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape


@dataclass(frozen=True, slots=True, eq=False)
class Parameter(Expression):
    """Numbers that are given when the specification is verified: images, labels, radii."""

    name: str
    array_shape: tuple[int, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array_shape


@dataclass(frozen=True, slots=True, eq=False)
class Variable(Expression):
    """A quantified array: its values are `unit * (code - zero)` for every code array in its domain."""

    name: str
    type: Type
    domain: Domain
    features: tuple[tuple[str, int, int], ...] = ()
    """Name, first and last-plus-one column of each named feature."""

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
        raise SpecError(f"variable {self.name!r} has no such feature", given=feature, expected=", ".join(n for n, _, _ in self.features) or "no features")

    def __getitem__(self, index: object) -> Expression:
        if isinstance(index, str):
            where = self.columns(index)
            return Expression.__getitem__(self, where if where.stop - where.start > 1 else where.start)
        return Expression.__getitem__(self, index)

    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True, eq=False)
class Application:
    """A network applied to expressions, with some stored parameters replaced by variables."""

    network: Network
    arguments: tuple[Expression, ...]
    parameters: tuple[tuple[tuple[str, str], Expression], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Output(Expression):
    """The signal of one stage of an applied network, or its accumulator, or its code before overflow."""

    application: Application
    stage: str
    tap: Tap = "output"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.application.network.stage(self.stage).type.shape

    @property
    def code(self) -> Expression:
        """The stored integers, in LSB."""
        return Code(self)


@dataclass(frozen=True, slots=True, eq=False)
class Code(Expression):
    """The codes of a variable or of a signal, as integers."""

    argument: Variable | Output

    @property
    def shape(self) -> tuple[int, ...]:
        return self.argument.shape


@dataclass(frozen=True, slots=True, eq=False)
class Sum(Expression):
    """Elementwise sum of two arrays of one shape."""

    left: Expression
    right: Expression

    @property
    def shape(self) -> tuple[int, ...]:
        return self.left.shape


@dataclass(frozen=True, slots=True, eq=False)
class Product(Expression):
    """Elementwise product of two arrays of one shape."""

    left: Expression
    right: Expression

    @property
    def shape(self) -> tuple[int, ...]:
        return self.left.shape


@dataclass(frozen=True, slots=True, eq=False)
class Absolute(Expression):
    """Elementwise absolute value."""

    argument: Expression

    @property
    def shape(self) -> tuple[int, ...]:
        return self.argument.shape


@dataclass(frozen=True, slots=True, eq=False)
class Gather(Expression):
    """Elements of an array at flat positions, in the shape of `index`."""

    argument: Expression
    index: IntArray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.index.shape


@dataclass(frozen=True, slots=True, eq=False)
class Join(Expression):
    """Several arrays, flattened one after the other."""

    parts: tuple[Expression, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return (sum(p.size for p in self.parts),)


@dataclass(frozen=True, slots=True, eq=False)
class Reduce(Expression):
    """Sum, maximum or minimum along the last axis."""

    argument: Expression
    kind: Literal["sum", "max", "min"]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.argument.shape[:-1]


@dataclass(frozen=True, slots=True, eq=False)
class NonZero(Expression):
    """1 where an element is not zero, else 0."""

    argument: Expression

    @property
    def shape(self) -> tuple[int, ...]:
        return self.argument.shape


AnyExpression = Constant | Parameter | Variable | Output | Code | Sum | Product | Absolute | Gather | Join | Reduce | NonZero
Operand = Expression | int | Fraction | str | Sequence[object] | npt.NDArray[np.generic]


def constant(values: object) -> Constant:
    """Return exact constants; arrays of floats mean their exact doubles, whole floats are whole numbers."""
    array = np.asarray(values)
    if array.dtype == object or array.dtype.kind in "USbuif":
        exact = [rational(v) for v in array.reshape(-1).tolist()]
        return Constant(np.array(exact, dtype=object).reshape(array.shape))
    raise SpecError("not numbers", given=values, expected="integers, Fractions, decimal strings, or an array of them")


def expression(value: Operand) -> Expression:
    """Return an operand as an expression; a bare float that is not a whole number is refused, because it is not what it looks like."""
    if isinstance(value, Expression):
        return value
    if isinstance(value, float) and not value.is_integer():
        raise SpecError("a bare float is not an exact number", given=value, expected="an exact number", advice=f'qs.q("{value}") for the decimal, qs.q({value}) for the double')
    return constant(value)


def q(value: object) -> Constant:
    """Return an exact number: `qs.q("0.05")` the decimal, `qs.q("1/3")` the ratio, `qs.q(0.5)` the exact double."""
    return constant(value)


def parameter(name: str, shape: int | tuple[int, ...] = ()) -> Parameter:
    """Return a named placeholder of this shape, given by `verify(spec, name=value)`."""
    if not name.isidentifier():
        raise SpecError("a parameter needs a Python name", given=name, expected="an identifier")
    return Parameter(name, (shape,) if isinstance(shape, int) else tuple(shape))


def dot(matrix: object, vector: Expression) -> Expression:
    """Return `matrix @ vector` for a constant matrix (or vector) and an expression with one axis."""
    weights = constant(matrix)
    if len(weights.shape) not in (1, 2) or len(vector.shape) != 1 or weights.shape[-1] != vector.shape[0]:
        raise ShapeError("matrix and vector do not fit", given=(weights.shape, vector.shape), expected="(m, n) and (n,)")
    repeated = Gather(vector, np.broadcast_to(np.arange(vector.size), weights.shape))
    return Reduce(Product(weights, repeated), "sum")


def join(parts: Sequence[Operand]) -> Expression:
    """Return several arrays flattened into one."""
    return Join(tuple(expression(p) for p in parts))


def total(value: Operand, axis: Literal["last", "all"] = "all") -> Expression:
    """Return the sum of all elements, or along the last axis."""
    return Reduce(_rows(value, axis), "sum")


def maximum(*values: Operand, axis: Literal["last", "all"] = "all") -> Expression:
    """Return the greatest element of one array, or the elementwise maximum of several."""
    return _extreme(values, "max", axis)


def minimum(*values: Operand, axis: Literal["last", "all"] = "all") -> Expression:
    """Return the least element of one array, or the elementwise minimum of several."""
    return _extreme(values, "min", axis)


def clip(value: Operand, lower: Operand, upper: Operand) -> Expression:
    """Return `min(upper, max(lower, value))`, elementwise."""
    return minimum(maximum(value, lower), upper)


def linf(value: Operand) -> Expression:
    """Return the largest absolute value of the elements."""
    return maximum(Absolute(expression(value)))


def l1(value: Operand) -> Expression:
    """Return the sum of absolute values of the elements."""
    return total(Absolute(expression(value)))


def l0(value: Operand) -> Expression:
    """Return the number of elements that are not zero."""
    return total(NonZero(expression(value)))


def _rows(value: Operand, axis: Literal["last", "all"]) -> Expression:
    array = expression(value)
    if array.size == 0:
        raise ShapeError("nothing to reduce", given=array.shape, expected="at least one element")
    return array if axis == "last" and array.shape else array.flatten()


def _extreme(values: tuple[Operand, ...], kind: Literal["max", "min"], axis: Literal["last", "all"]) -> Expression:
    if len(values) == 1:
        return Reduce(_rows(values[0], axis), kind)
    arrays = [expression(v) for v in values]
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    parts = [_expand(a, shape) for a in arrays]
    size = int(np.prod(shape, dtype=np.int64))
    index = np.stack([np.arange(size).reshape(shape) + k * size for k in range(len(parts))], axis=-1)
    return Reduce(Gather(Join(tuple(parts)), index), kind)


def _expand(array: Expression, shape: tuple[int, ...]) -> Expression:
    if isinstance(array, Constant):
        return Constant(np.broadcast_to(array.values, shape))
    return array if array.shape == shape else Gather(array, np.array(np.broadcast_to(np.arange(array.size).reshape(array.shape), shape)))


def _broadcast(left: Expression, right: Expression) -> tuple[Expression, Expression]:
    try:
        shape = np.broadcast_shapes(left.shape, right.shape)
    except ValueError:
        raise ShapeError("shapes do not fit together", given=(left.shape, right.shape), expected="equal shapes, or shapes that broadcast as in numpy") from None
    return _expand(left, shape), _expand(right, shape)


def _compare(left: Expression, relation: Literal[">=", ">", "==", "!="], right: Operand) -> Comparison:
    from qspec.language.formulas import Comparison

    return Comparison(Sum(*_broadcast(left, -expression(right))), relation)


