"""Exact, array-valued expressions: what users write between quantifier and comparison.

Every expression has a shape and exact rational values. Building one checks shapes; nothing is computed before `verify`. Comparing two
expressions gives a formula, elementwise; `qs.all` and `qs.any` say what an array of comparisons means.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.integers import IntArray, exact_array, rationals
from qspec.errors import ShapeError, SpecError
from qspec.language.connectives import Formula
from qspec.language.protocols import Array
from qspec.support import checks

RationalArray = npt.NDArray[Any]
"""An array of dtype object whose elements are Fractions or Python integers."""
Relation = Literal[">=", ">", "==", "!="]
Axis = Literal["last", "all"]
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
        return dot(matrix, self)

    def reshape(self, *shape: int) -> Expression:
        """Return the same elements in another shape."""
        try:
            return Gather(self, np.arange(self.size).reshape(shape))
        except ValueError:
            raise ShapeError("cannot reshape", given=shape, expected=f"{self.size} elements") from None

    def __iter__(self) -> Iterator[Expression]:
        return super().__iter__()

    def sum(self, axis: Axis = "all") -> Expression:
        """Return the sum of all elements, or along the last axis."""
        return Reduce(_rows(self, axis), "sum")

    def max(self, axis: Axis = "all") -> Expression:
        """Return the greatest element, or those along the last axis."""
        return Reduce(_rows(self, axis), "max")

    def min(self, axis: Axis = "all") -> Expression:
        """Return the least element, or those along the last axis."""
        return Reduce(_rows(self, axis), "min")

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


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Comparison(Formula):
    """`difference relation 0`, elementwise; an array of comparisons needs `qs.all` or `qs.any`."""

    difference: Expression
    relation: Relation

    @property
    def shape(self) -> tuple[int, ...]:
        return self.difference.shape


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


def dot(matrix: object, vector: Expression) -> Expression:
    """Return `matrix @ vector` for a constant matrix (or vector) and an expression with one axis."""
    weights, vector = constant(matrix), expression(vector)
    if len(weights.shape) not in (1, 2) or len(vector.shape) != 1 or weights.shape[-1] != vector.shape[0]:
        raise ShapeError("matrix and vector do not fit", given=(weights.shape, vector.shape), expected="(m, n) and (n,)")
    repeated = Gather(vector, np.broadcast_to(np.arange(vector.size), weights.shape))
    return Reduce(Product(weights, repeated), "sum")


def _rows(array: Expression, axis: Axis) -> Expression:
    checks.choice(axis, "axis", ("last", "all"))
    if array.size == 0:
        raise ShapeError("nothing to reduce", given=array.shape, expected="at least one element")
    return array if axis == "last" and array.shape else array.flatten()


def _compare(left: Expression, relation: Relation, right: Operand) -> Comparison:
    return Comparison(Sum(*broadcast(left, -expression(right))), relation)


def _leaf(e: Expression) -> Expression:
    """Return the last operand of a chain of sums and products, which has the shape of all of them."""
    while isinstance(e, Sum | Product):
        e = e.right
    return e
