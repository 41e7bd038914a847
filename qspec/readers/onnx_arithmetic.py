"""Operators of ONNX that act element by element, and reductions: exact on constants, layers or pending scalings on signals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import reduce
from math import prod

import numpy as np

from qspec.ir.real import ExactArray, exact, fractions
from qspec.network.activations import HardSigmoid, LeakyReLU, Linear, ReLU, Sigmoid, Tanh
from qspec.network.graph import real_apply
from qspec.network.layers import Add, AveragePool2D, MaxPool2D
from qspec.network.real_layers import Activate, Exp, RealActivation, RealConv2D, RealDense, Softplus
from qspec.readers.onnx_moves import axes_of
from qspec.readers.onnx_operators import LARGEST_FLOAT
from qspec.readers.onnx_table import WHOLE, NodeCall
from qspec.readers.onnx_tensors import (
    LARGEST,
    Tensor,
    TensorView,
    TypedConstant,
    broadcast,
    common_shape,
    concatenated,
    image,
    image_view,
    is_image,
    laid_out,
    linear,
    rearranged,
    scaled,
    settled,
)

ONE = Fraction(1)
FUNCTIONS: Mapping[str, RealActivation] = {"Sigmoid": Sigmoid(), "Tanh": Tanh(), "Softplus": Softplus(), "Exp": Exp()}


def activated(x: TensorView, function: RealActivation) -> TensorView:
    """Return a function of each element, in the linear layer before it if that has none."""
    x = settled(x)
    last = x.source.layer
    if isinstance(last, RealDense | RealConv2D) and last.activation == Linear():
        return replace(x, source=real_apply(replace(last, activation=function), *x.source.arguments))
    return replace(x, source=real_apply(Activate(function), x.source))


def added(a: TensorView, b: TensorView) -> TensorView:
    """Return the sum of two signals, repeated to one shape."""
    shape = common_shape(a.shape, b.shape)
    a, b = settled(broadcast(a, shape)), settled(broadcast(b, shape))
    if not a.whole or (b.whole and is_image(b)):
        a, b = b, a
    if not a.whole:
        a = laid_out(a, np.arange(a.places.size))
    if b.source.shape != a.source.shape or not np.array_equal(a.places, b.places):
        b = laid_out(b, np.argsort(a.places.reshape(-1)).reshape(a.source.shape))
    return replace(a, source=real_apply(Add(), a.source, b.source))


def plus(a: Tensor, b: Tensor) -> Tensor:
    """Return the sum of signals and constants, repeated to one shape."""
    if isinstance(a, TensorView) and isinstance(b, TensorView):
        return added(a, b)
    shape = common_shape(a.shape, b.shape)
    if isinstance(a, TypedConstant) and isinstance(b, TypedConstant):
        return TypedConstant(exact(fractions(a.exact()) + fractions(b.exact())), a.type)
    (x, c) = (a, b) if isinstance(a, TensorView) else (b, a)
    assert isinstance(x, TensorView)
    assert isinstance(c, TypedConstant)
    return scaled(broadcast(x, shape), ONE, np.broadcast_to(c.exact(), shape))


def times(x: Tensor, factor: ExactArray | Fraction) -> Tensor:
    """Return a tensor times exact numbers, repeated to one shape."""
    by = np.asarray(factor, dtype=object)
    shape = common_shape(x.shape, by.shape)
    if shape == x.shape and not np.any(by != ONE):
        return x
    if isinstance(x, TensorView):
        return scaled(broadcast(x, shape), np.broadcast_to(by, shape))
    return replace(x, values=exact(fractions(x.exact()) * by))


def arithmetic(call: NodeCall) -> Tensor:
    """Return a sum, difference, product or quotient."""
    a, b = call.tensor(0), call.tensor(1)
    common_shape(a.shape, b.shape)
    if a.type in WHOLE:
        if isinstance(a, TypedConstant) and isinstance(b, TypedConstant):
            return _whole(call, a, b)
        call.refuse("a signal of whole numbers", a.type, "floats")
    match call.node.op:
        case "Add":
            return plus(a, b)
        case "Sub":
            return plus(a, times(b, -ONE))
        case "Mul":
            if isinstance(b, TypedConstant):
                return times(a, fractions(b.exact()))
            return (
                times(b, fractions(a.exact()))
                if isinstance(a, TypedConstant)
                else call.refuse("two signals", call.node.inputs, "a constant")
            )
        case _:
            if isinstance(b, TensorView):
                call.refuse("a divisor that varies", call.node.inputs[1], "a constant")
            divisor = fractions(b.exact())
            if np.any(divisor == 0):
                call.refuse("a divisor of zero", call.node.inputs[1], "a constant without zeros")
            return times(a, ONE / divisor)


def _whole(call: NodeCall, a: TypedConstant, b: TypedConstant) -> TypedConstant:
    """Return arithmetic on whole numbers, which must not overflow; quotients are cut off."""
    x, y = a.values.astype(object), b.values.astype(object)
    match call.node.op:
        case "Add":
            found = x + y
        case "Sub":
            found = x - y
        case "Mul":
            found = x * y
        case _:
            if np.any(y == 0):
                call.refuse("a divisor of zero", call.node.inputs[1], "a constant without zeros")
            found = abs(x) // abs(y) * np.where((x < 0) != (y < 0), -1, 1)
    limits = np.iinfo(a.values.dtype)
    if any(not limits.min <= int(v) <= limits.max for v in np.asarray(found).reshape(-1).tolist()):
        call.refuse("whole numbers that overflow", call.node.inputs, f"{limits.min} to {limits.max}")
    return TypedConstant(np.asarray(found, dtype=a.values.dtype), a.type)


def neg(call: NodeCall) -> Tensor:
    """Return the negative."""
    x = call.tensor(0)
    if x.type in WHOLE:
        return TypedConstant(-call.known(0).values, x.type)
    return times(x, -ONE)


def _absolute(call: NodeCall) -> Tensor:
    x = call.tensor(0)
    if isinstance(x, TypedConstant):
        return TypedConstant(exact(abs(fractions(x.exact()))), x.type)
    x = settled(x)
    return added(activated(x, ReLU()), activated(scaled(x, -ONE), ReLU()))


def relu(call: NodeCall) -> Tensor:
    """Return the positive part."""
    x = call.tensor(0)
    if isinstance(x, TypedConstant):
        values = fractions(x.exact())
        return TypedConstant(exact(values * (values > 0)), x.type)
    return activated(x, ReLU())


def function(call: NodeCall) -> Tensor:
    """Return a function that real networks have, too."""
    return activated(call.view(), FUNCTIONS[call.node.op])


def leaky(x: TensorView, slope: Fraction) -> TensorView:
    """Return `x` where it is positive, else `slope * x`, for any slope."""
    if 0 <= slope <= 1:
        return activated(x, LeakyReLU(slope))
    if slope > 1:
        return scaled(activated(scaled(x, -ONE), LeakyReLU(1 / slope)), -slope)
    return _bent(x, slope)


def _bent(x: TensorView, slope: object) -> TensorView:
    x = settled(x)
    return added(scaled(x, slope), scaled(activated(x, ReLU()), ONE - np.asarray(slope, dtype=object)))


def leaky_relu(call: NodeCall) -> Tensor:
    """Return a leaky ReLU."""
    return leaky(call.view(), call.number("alpha"))


def p_relu(call: NodeCall) -> Tensor:
    """Return a leaky ReLU with a slope for each element."""
    x, slopes = call.view(), fractions(call.known(1).exact())
    if common_shape(x.shape, slopes.shape) != x.shape:
        call.misfit((x.shape, slopes.shape), "slopes that are repeated to the input")
    if slopes.size and np.all(slopes == slopes.reshape(-1)[0]):
        return leaky(x, slopes.reshape(-1)[0])
    return _bent(x, np.broadcast_to(slopes, x.shape))


def elu(call: NodeCall) -> Tensor:
    """Return `x` where it is positive, else `alpha * (exp(x) - 1)`."""
    x, alpha = settled(call.view()), call.number("alpha")
    below = scaled(activated(scaled(x, -ONE), ReLU()), -ONE)
    return added(activated(x, ReLU()), scaled(activated(below, Exp()), alpha, -alpha))


def hard_sigmoid(call: NodeCall) -> Tensor:
    """Return `min(1, max(0, alpha * x + beta))`."""
    slope, offset = call.number("alpha"), call.number("beta")
    if slope > 0:
        return activated(call.view(), HardSigmoid(slope, offset))
    return activated(scaled(call.view(), slope, offset), ReLU(ONE))


def clip(call: NodeCall) -> Tensor:
    """Return each element, or the end of the range that it lies beyond."""
    x = call.view()
    low, high = _end(call, 0), _end(call, 1)
    if low is not None and high is not None and low > high:
        call.refuse("min above max", f"{float(low)}, {float(high)}", "min <= max")
    if low is not None:
        maximum = None if high is None else high - low
        return scaled(activated(scaled(x, ONE, -low), ReLU(maximum)), ONE, low)
    return x if high is None else scaled(activated(scaled(x, -ONE, high), ReLU()), -ONE, high)


def _end(call: NodeCall, which: int) -> Fraction | None:
    """Return the lower or upper end of a Clip; None where no float lies beyond it."""
    key, sign = ("min", "max")[which], (-1, 1)[which]
    if key in call.attributes:
        value = float(call.number(key))
    elif call.has(which + 1):
        given = call.known(which + 1).values
        if given.size != 1:
            call.misfit(given.shape, f"one number as {key}")
        value = given.reshape(-1)[0]
    else:
        return None
    if value != value or (isinstance(value, float) and value == -sign * float("inf")):
        call.refuse(f"{key} = {value}", value, "a number that leaves a range")
    beyond = sign * value >= LARGEST_FLOAT if call.tensor(0).type == "FLOAT" else value == sign * float("inf")
    return None if beyond else Fraction(value)


def variadic(call: NodeCall) -> Tensor:
    """Return the sum, maximum or minimum of any number of tensors."""
    tensors = [call.tensor(k) for k in range(len(call.inputs))]
    if call.opset < 8 and len({t.shape for t in tensors}) > 1:
        call.refuse("different shapes", [t.shape for t in tensors], "equal shapes before opset 8")
    common_shape(*(t.shape for t in tensors))
    if call.node.op == "Sum":
        return reduce(plus, tensors)
    if call.node.op == "Max":
        return _greatest(tensors)
    return times(_greatest([times(t, -ONE) for t in tensors]), -ONE)


def _greatest(tensors: list[Tensor]) -> Tensor:
    """Return the maximum of tensors; that of a signal and a constant is a ReLU."""
    shape = common_shape(*(t.shape for t in tensors))
    constants, views = [t for t in tensors if isinstance(t, TypedConstant)], [t for t in tensors if isinstance(t, TensorView)]
    least = None if not constants else reduce(np.maximum, (np.broadcast_to(fractions(c.exact()), shape) for c in constants))
    if not views:
        return TypedConstant(exact(least), tensors[0].type)
    x = broadcast(views[0], shape)
    if len(views) > 1:
        rows = [rearranged(broadcast(v, shape), lambda a: a.reshape(-1, 1)) for v in views]
        x = rearranged(_row_maximum(concatenated(rows, 1)), lambda a: a.reshape(shape))
    return x if least is None else scaled(activated(scaled(x, ONE, -least), ReLU()), ONE, least)


def _row_maximum(x: TensorView) -> TensorView:
    """Return the maximum of each row of a matrix."""
    rows, members = x.shape
    if members == 1:
        return rearranged(x, lambda a: a.reshape(-1))
    square = laid_out(x, np.arange(rows * members).reshape(rows, members, 1))
    return TensorView(real_apply(MaxPool2D((1, members)), square.source), np.arange(rows), x.type)


def reduction(call: NodeCall) -> Tensor:
    """Return the sum, mean, maximum or minimum over some axes."""
    x = call.tensor(0)
    rank = len(x.shape)
    axes = axes_of(call, 1, rank)
    if not axes:
        if axes is not None and not call.has(1) and "axes" in call.attributes:
            call.refuse("an empty list of axes", "axes", "axes, or none")
        if "noop_with_empty_axes" in call.attributes and call.integer("noop_with_empty_axes"):
            return x
        axes = tuple(range(rank))
    kept = [a for a in range(rank) if a not in axes]
    shape = [1 if a in axes else d for a, d in enumerate(x.shape) if a not in axes or call.integer("keepdims")]
    count = prod(x.shape[a] for a in axes)
    if isinstance(x, TypedConstant):
        return _reduced(call, x, axes, shape, count)
    if call.node.op == "ReduceMean" and sorted(axes) == [2, 3] and rank == 4 and x.shape[0] == 1:
        picture = image(x)
        mean = image_view(real_apply(AveragePool2D((x.shape[2], x.shape[3])), picture), x.type)
        return rearranged(mean, lambda a: a.reshape(shape))
    rows = rearranged(x, lambda a: a.transpose(*kept, *axes).reshape(-1, count))
    return rearranged(_reduced_rows(call, rows), lambda a: a.reshape(shape))


def _reduced_rows(call: NodeCall, rows: TensorView) -> TensorView:
    if rows.places.size > LARGEST:
        call.refuse("so many elements", rows.shape, f"at most {LARGEST}")
    match call.node.op:
        case "ReduceMax":
            return _row_maximum(rows)
        case "ReduceMin":
            return scaled(_row_maximum(scaled(rows, -ONE)), -ONE)
        case _:
            elements = np.arange(rows.places.size)
            weight = ONE if call.node.op == "ReduceSum" else Fraction(1, rows.shape[1])
            weights = exact(np.full(elements.size, weight, dtype=object))
            return linear(rows, elements // rows.shape[1], elements, weights, None, rows.shape[:1])


def _reduced(call: NodeCall, x: TypedConstant, axes: tuple[int, ...], shape: list[int], count: int) -> TypedConstant:
    values = fractions(x.exact())
    match call.node.op:
        case "ReduceMax":
            found = values.max(axis=axes)
        case "ReduceMin":
            found = values.min(axis=axes)
        case _:
            found = np.asarray(values.sum(axis=axes), dtype=object) / (1 if call.node.op == "ReduceSum" else count)
    return TypedConstant(exact(np.asarray(found, dtype=object).reshape(shape)), x.type)


ARITHMETIC: Mapping[str, Callable[[NodeCall], Tensor | list[Tensor]]] = {
    **dict.fromkeys(("Add", "Sub", "Mul", "Div"), arithmetic),
    **dict.fromkeys(("Sum", "Max", "Min"), variadic),
    **dict.fromkeys(("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin"), reduction),
    **dict.fromkeys(FUNCTIONS, function),
    "Abs": _absolute,
    "Clip": clip,
    "Elu": elu,
    "HardSigmoid": hard_sigmoid,
    "LeakyRelu": leaky_relu,
    "Neg": neg,
    "PRelu": p_relu,
    "Relu": relu,
}
