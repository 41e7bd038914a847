"""What functions of numpy mean of expressions: those that the language has. Others are refused with advice, never computed on objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, cast

import numpy as np

from qspec.errors import ShapeError, SpecError
from qspec.language.cases import where
from qspec.language.connectives import Formula
from qspec.language.expressions import Expression, Operand, dot, expression
from qspec.language.formulas import Argmax, argmax, every, some
from qspec.language.functions import clip, join, maximum, minimum, total
from qspec.language.protocols import Syntax
from qspec.support.checks import listed

OPERATORS: Mapping[str, str] = {
    "absolute": "__abs__",
    "add": "__add__",
    "divide": "__truediv__",
    "equal": "__eq__",
    "floor_divide": "__floordiv__",
    "greater": "__gt__",
    "greater_equal": "__ge__",
    "less": "__lt__",
    "less_equal": "__le__",
    "multiply": "__mul__",
    "negative": "__neg__",
    "not_equal": "__ne__",
    "positive": "__pos__",
    "power": "__pow__",
    "remainder": "__mod__",
    "subtract": "__sub__",
}
"""The operators that ufuncs stand for."""


def _square(e: Expression) -> Expression:
    return e * e


def _floor(e: Expression) -> Expression:
    return e // 1


ELEMENTWISE: Mapping[str, Callable[..., Expression]] = {"floor": _floor, "maximum": maximum, "minimum": minimum, "square": _square}


def _sum(a: Operand, axis: int | None = None) -> Expression:
    return total(a, "all" if _all(a, axis) else "last")


def _max(a: Operand, axis: int | None = None) -> Expression:
    return maximum(a, axis="all" if _all(a, axis) else "last")


def _min(a: Operand, axis: int | None = None) -> Expression:
    return minimum(a, axis="all" if _all(a, axis) else "last")


def _all(a: Operand, axis: int | None) -> bool:
    """Return whether a reduction is over all elements; raises SpecError if it is along another axis than the last."""
    if axis is not None and axis not in (-1, len(expression(a).shape) - 1):
        raise SpecError("reductions are over all elements or the last axis", given=f"axis={axis}", expected="axis=None or axis=-1")
    return axis is None


def _argmax(a: Operand, axis: int | None = None) -> Argmax:
    if axis is not None:
        raise SpecError("an argmax is over all elements", given=f"axis={axis}", expected="axis=None")
    return argmax(a)


def _concatenate(arrays: Sequence[Operand]) -> Expression:
    """Return arrays one after the other along their first axis; raises ShapeError if the others differ."""
    parts = [expression(a) for a in listed(arrays, "arrays")]
    shapes = [p.shape for p in parts]
    if not parts or not all(shape and shape[1:] == shapes[0][1:] for shape in shapes):
        expected = "one shape, but for the first axis"
        raise ShapeError("arrays do not fit along their first axis", given=shapes, expected=expected, advice="qs.join flattens")
    return join(parts).reshape(-1, *shapes[0][1:])


def _ravel(a: Expression) -> Expression:
    return a.flatten()


def _reshape(a: Expression, shape: int | tuple[int, ...]) -> Expression:
    return a.reshape(*((shape,) if isinstance(shape, int) else shape))


WHOLE: Mapping[Any, Callable[..., Any]] = {
    np.argmax: _argmax,
    np.clip: clip,
    np.concatenate: _concatenate,
    np.dot: dot,
    np.max: _max,
    np.min: _min,
    np.ravel: _ravel,
    np.reshape: _reshape,
    np.sum: _sum,
    np.where: where,
}
REDUCED: Mapping[str, Callable[..., Expression]] = {"add": _sum, "maximum": _max, "minimum": _min}


def ufunc(_: Expression, function: np.ufunc, method: str, *arguments: object, **options: object) -> Any:
    """Return what a ufunc means of operands one of which is an expression; raises SpecError if the language has no such function."""
    name = function.__name__
    if method == "reduce" and name in REDUCED and set(options) <= {"axis"}:
        return REDUCED[name](*arguments, **{"axis": 0, **options})  # as numpy has it, whose np.sum has None
    if method != "__call__" or options or name not in {"matmul", *OPERATORS, *ELEMENTWISE}:
        _refuse(name if method == "__call__" else f"{name}.{method}", options)
    if name == "matmul":
        return dot(*cast("tuple[object, Expression]", arguments))
    first, *rest = [expression(cast(Operand, a)) for a in arguments]
    return getattr(first, OPERATORS[name])(*rest) if name in OPERATORS else ELEMENTWISE[name](first, *rest)


def function(_: Syntax, called: Callable[..., Any], types: object, arguments: Sequence[object], options: Mapping[str, object]) -> Any:
    """Return what a function of numpy means of expressions; raises SpecError if the language has none."""
    if called not in WHOLE:
        _refuse(called.__name__, {})
    try:
        return WHOLE[called](*arguments, **options)
    except TypeError:
        _refuse(called.__name__, options)


def of_formula(
    formula: Formula, called: Callable[..., Any], types: object, arguments: Sequence[object], options: Mapping[str, object]
) -> Formula | Expression:
    """Return what np.all, np.any and np.where mean of a formula; raises SpecError on others."""
    if called is np.where:
        return function(formula, called, types, arguments, options)
    meaning: Mapping[Any, Callable[[Formula], Formula]] = {np.all: every, np.any: some}
    if called not in meaning or len(arguments) != 1:
        raise SpecError("not a formula of the language", given=f"np.{called.__name__}", expected="np.all, np.any, np.where, &, |, ~")
    return meaning[called](cast(Formula, arguments[0]))


def _refuse(name: str, options: Mapping[str, object]) -> NoReturn:
    known = sorted({*OPERATORS, *ELEMENTWISE, *(f.__name__ for f in WHOLE)} - {"positive"})
    raise SpecError(
        f"numpy's {name} is not in the language" + (f" with {', '.join(options)}" if options else ""),
        given=f"np.{name}",
        expected=", ".join(known),
        advice="qs.sum, qs.max, qs.min, qs.clip, qs.where, qs.join, abs and the operators",
    )


Expression.__array_ufunc__ = ufunc
Expression.__array_function__ = function
Formula.__array_function__ = of_formula
