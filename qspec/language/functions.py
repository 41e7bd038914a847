"""The functions of the language: exact numbers, parameters, reductions and norms."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Literal

import numpy as np

from qspec.errors import ShapeError, SpecError
from qspec.ir.real import Function
from qspec.language.connectives import Formula
from qspec.language.expressions import (
    Absolute,
    Axis,
    Constant,
    Expression,
    Gather,
    Join,
    NonZero,
    Operand,
    Parameter,
    Reduce,
    constant,
    expand,
    expression,
)
from qspec.language.formulas import every
from qspec.language.variables import Applied, SoftmaxOf
from qspec.support import checks
from qspec.support.checks import listed


def q(value: object) -> Constant:
    """Return an exact number: `qs.q("0.05")` the decimal, `qs.q("1/3")` the ratio, `qs.q(0.5)` the exact double."""
    return constant(value)


def parameter(name: str, shape: int | tuple[int, ...] = ()) -> Parameter:
    """Return a named placeholder of this shape, which gets its value by `spec.at(name=value)`."""
    if not checks.text(name, "the name of a parameter").isidentifier():
        raise SpecError("a parameter needs a Python name", given=name, expected="an identifier, such as radius")
    axes = (shape,) if isinstance(shape, Integral) else shape
    if not isinstance(axes, tuple | list) or not all(isinstance(n, Integral) and not isinstance(n, bool) and int(n) > 0 for n in axes):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ShapeError("the shape of a parameter is malformed", given=repr(shape), expected="positive whole numbers")
    return Parameter(name, tuple(int(n) for n in axes))


def join(parts: Sequence[Operand]) -> Expression:
    """Return several arrays flattened into one."""
    return Join(tuple(expression(p) for p in listed(parts, "parts")))


def total(value: Operand, axis: Axis = "all") -> Expression:
    """Return the sum of all elements, or along the last axis."""
    return expression(value).sum(axis)


def maximum(*values: Operand, axis: Axis = "all") -> Expression:
    """Return the greatest element of one array, or the elementwise maximum of several."""
    return _extreme(values, "max", axis)


def minimum(*values: Operand, axis: Axis = "all") -> Expression:
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


def exp(value: Operand) -> Expression:
    """Return exp of every element, a real; a specification in which it occurs is decided over the reals."""
    return Applied(Function.EXP, expression(value))


def tanh(value: Operand) -> Expression:
    """Return tanh of every element, a real."""
    return Applied(Function.TANH, expression(value))


def sigmoid(value: Operand) -> Expression:
    """Return `1 / (1 + exp(-v))` of every element, a real."""
    return Applied(Function.SIGMOID, expression(value))


def softplus(value: Operand) -> Expression:
    """Return `ln(1 + exp(v))` of every element, a real."""
    return Applied(Function.SOFTPLUS, expression(value))


def softmax(value: Operand) -> Expression:
    """Return `exp(v[k]) / Σ exp(v[j])` over the last axis, reals; raises ShapeError of a single number."""
    array = expression(value)
    if not array.shape:
        raise ShapeError("the softmax of one number", given=array.shape, expected="at least one axis")
    return SoftmaxOf(array)


def relu(value: Operand) -> Expression:
    """Return `max(0, v)` of every element, exact over integers and reals alike."""
    return maximum(expression(value), 0)


def _extreme(values: tuple[Operand, ...], kind: Literal["max", "min"], axis: Axis) -> Expression:
    if len(values) == 1:
        return expression(values[0]).max(axis) if kind == "max" else expression(values[0]).min(axis)
    if checks.choice(axis, "axis", ("last", "all")) != "all":
        raise SpecError("several arrays are compared elementwise, not along an axis", given=axis, expected="one array, or no axis")
    arrays = [expression(v) for v in values]
    try:
        shape = np.broadcast_shapes(*(a.shape for a in arrays))
    except ValueError:
        raise ShapeError(
            "shapes do not fit together", given=[a.shape for a in arrays], expected="equal shapes, or shapes that broadcast as in numpy"
        ) from None
    parts = [expand(a, shape) for a in arrays]
    size = int(np.prod(shape, dtype=np.int64))
    index = np.stack([np.arange(size).reshape(shape) + k * size for k in range(len(parts))], axis=-1)
    return Reduce(Gather(Join(tuple(parts)), index), kind)


def between(value: Expression, lower: Operand, upper: Operand) -> Formula:
    """Return that every element lies between two bounds, or on one."""
    return every(value >= lower) & every(value <= upper)
