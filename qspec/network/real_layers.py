"""The layers of a real network: plain values with exact numbers as parameters, and what shapes they put out.

Axes are those of quantised layers: images channels-last, dense kernels (inputs, outputs), convolution kernels (height, width, inputs /
groups, outputs). Layers without parameters are the same objects as in quantised networks, without formats. A parameter that is a double
means exactly that double; Fractions and decimal texts are kept as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import assert_never, cast, get_args

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.arithmetic.windows import window_count
from qspec.errors import NetworkError, ShapeError
from qspec.ir.real import ExactArray, exact, fractions
from qspec.network.activations import HardSigmoid, HardTanh, LeakyReLU, Linear, ReLU, Sigmoid, Sign, Tanh
from qspec.network.expect import expect
from qspec.network.layers import Add, AveragePool2D, Concat, Flatten, MaxPool2D, dense_misfit
from qspec.network.shapes import check_shape, padding_pairs, pair
from qspec.network.types import pool_windows


@dataclass(frozen=True, slots=True)
class Softplus:
    """`f(v) = ln(1 + exp(v))`."""


@dataclass(frozen=True, slots=True)
class Exp:
    """`f(v) = exp(v)`."""


@dataclass(frozen=True, slots=True)
class Softmax:
    """`f(v)[k] = exp(v[k]) / Σ exp(v[j])` over the last axis."""


RealActivation = Linear | ReLU | LeakyReLU | Sign | HardTanh | HardSigmoid | Sigmoid | Tanh | Softplus | Exp | Softmax


@dataclass(frozen=True, slots=True)
class RealInput:
    """An input of this shape; its elements are reals."""

    shape: tuple[int, ...]
    name: str = "x"

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", check_shape(self.shape))


@dataclass(frozen=True, slots=True, eq=False)
class RealDense:
    """`f(kernel.T @ x + bias)` on a flat input; kernel (inputs, outputs), bias (outputs,)."""

    kernel: ExactArray
    bias: ExactArray | None = None
    activation: RealActivation = field(default_factory=Linear)
    name: str = ""

    def __post_init__(self) -> None:
        _set_parameters(self, axes=2, expected="(inputs, outputs)")


@dataclass(frozen=True, slots=True, eq=False)
class RealConv2D:
    """2-D convolution (cross-correlation) of a (height, width, channels) image; padding, stride, dilation and groups as for `Conv2D`."""

    kernel: ExactArray
    bias: ExactArray | None = None
    stride: tuple[int, int] = (1, 1)
    padding: str | tuple[object, object] = "valid"
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    activation: RealActivation = field(default_factory=Linear)
    name: str = ""

    def __post_init__(self) -> None:
        _set_parameters(self, axes=4, expected="(height, width, inputs / groups, outputs)")
        object.__setattr__(self, "stride", pair(self.stride, "stride", least=1))
        object.__setattr__(self, "dilation", pair(self.dilation, "dilation", least=1))
        expect(self.groups, int, "groups", "a whole number")
        if self.groups < 1 or self.kernel.shape[3] % self.groups:
            raise NetworkError("groups must divide the output channels", given=self.groups, expected=f"a divisor of {self.kernel.shape[3]}")


@dataclass(frozen=True, slots=True, eq=False)
class RealSparse:
    """`y[rows[k]] += coefficients[k] * x[columns[k]]` and `bias`, on flat positions: rearrangements, scalings and sums of any shape.

    `shape` is that of the result, `bias` (elements of the result,).
    """

    shape: tuple[int, ...]
    rows: IntArray
    columns: IntArray
    coefficients: ExactArray
    bias: ExactArray | None = None
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", check_shape(self.shape))
        size = int(np.prod(self.shape, dtype=np.int64))
        for key in ("rows", "columns"):
            object.__setattr__(self, key, _positions(getattr(self, key), key))
        coefficients = _frozen(self.coefficients)
        bias = None if self.bias is None else _frozen(self.bias)
        if not self.rows.shape == self.columns.shape == coefficients.shape:
            given = self.rows.shape, self.columns.shape, coefficients.shape
            raise ShapeError("a sparse layer needs a row, a column and a coefficient for each entry", given=given, expected="one length")
        if np.any(self.rows >= size):
            raise ShapeError("a row of a sparse layer lies outside its result", given=int(self.rows.max()), expected=f"0 to {size - 1}")
        if bias is not None and bias.shape != (size,):
            raise ShapeError("bias does not fit the result", given=bias.shape, expected=f"({size},)")
        object.__setattr__(self, "coefficients", coefficients)
        object.__setattr__(self, "bias", bias)


@dataclass(frozen=True, slots=True)
class Activate:
    """An activation on its own."""

    activation: RealActivation
    name: str = ""

    def __post_init__(self) -> None:
        _check_activation(self.activation)


def sum_activation(layer: Add) -> RealActivation:
    """Return the activation of a sum in a real network, which `real_shape` has checked."""
    return cast(RealActivation, layer.activation)


RealLayer = RealInput | RealDense | RealConv2D | RealSparse | Activate | Flatten | MaxPool2D | AveragePool2D | Add | Concat


def real_shape(layer: RealLayer, arguments: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the shape of a layer's result; raises ShapeError or NetworkError if the arguments do not fit."""
    expect(
        layer,
        RealLayer,
        "a layer of a real network",
        "RealDense(…), Flatten(), …",
        advice="network.real() reads a quantised network as reals",
    )
    _check_arity(layer, len(arguments))
    match layer:
        case RealInput(shape):
            return shape
        case RealDense():
            if arguments[0] != (layer.kernel.shape[0],):
                raise dense_misfit(layer.name, arguments[0], layer.kernel.shape)
            return (layer.kernel.shape[1],)
        case RealConv2D():
            return _convolved(layer, _image(arguments[0], "convolution"))
        case RealSparse():
            size = int(np.prod(arguments[0], dtype=np.int64))
            if np.any(layer.columns >= size):
                given = int(layer.columns.max())
                raise ShapeError(f"sparse layer {layer.name!r} does not fit its input", given=given, expected=f"columns 0 to {size - 1}")
            return layer.shape
        case Activate():
            return arguments[0]
        case Flatten():
            return (int(np.prod(arguments[0], dtype=np.int64)),)
        case MaxPool2D() | AveragePool2D():
            _no_format(layer.output if isinstance(layer, AveragePool2D) else None)
            image = _image(arguments[0], "pooling")
            rows, columns = pool_windows(layer, image).shape[:2]
            return rows, columns, image[2]
        case Add():
            _no_format(layer.output)
            _check_activation(layer.activation)
            if len(set(arguments)) > 1:
                raise ShapeError("tensors to add differ in shape", given=list(arguments), expected="one shape")
            return arguments[0]
        case Concat():
            _no_format(layer.output)
            if len({a[:-1] for a in arguments}) > 1:
                raise ShapeError("tensors to concatenate differ before the last axis", given=list(arguments), expected="equal leading axes")
            return (*arguments[0][:-1], sum(a[-1] for a in arguments))
        case _:
            assert_never(layer)


def _convolved(layer: RealConv2D, image: tuple[int, int, int]) -> tuple[int, ...]:
    kh, kw, depth, outputs = layer.kernel.shape
    if depth * layer.groups != image[2]:
        raise ShapeError(
            f"convolution {layer.name!r} does not fit its input", given=image, expected=f"(height, width, {depth * layer.groups})"
        )
    pads = padding_pairs(layer.padding, image[:2], (kh, kw), layer.stride, layer.dilation)
    rows, columns = (window_count(image[a], (kh, kw)[a], layer.stride[a], pads[a], layer.dilation[a]) for a in (0, 1))
    return check_shape((rows, columns, outputs))


def _set_parameters(layer: RealDense | RealConv2D, *, axes: int, expected: str) -> None:
    """Bring kernel and bias to exact arrays that nobody can change; raises ShapeError, or FormatError on what is not a finite number."""
    kernel = _frozen(layer.kernel)
    if kernel.ndim != axes or kernel.size == 0:
        raise ShapeError("the kernel has the wrong axes", given=kernel.shape, expected=expected)
    bias = None if layer.bias is None else _frozen(layer.bias)
    if bias is not None and bias.shape != kernel.shape[-1:]:
        raise ShapeError("bias does not fit the kernel", given=bias.shape, expected=f"({kernel.shape[-1]},)")
    object.__setattr__(layer, "kernel", kernel)
    object.__setattr__(layer, "bias", bias)
    _check_activation(layer.activation)


def scaled_outputs(layer: RealDense | RealConv2D, factor: ExactArray, shift: ExactArray) -> RealDense | RealConv2D:
    """Return a layer without an activation whose outputs are scaled and shifted, exactly: Fractions, one for each output channel."""
    kernel = layer.kernel if np.all(factor == 1) else exact(fractions(layer.kernel) * factor)
    bias = shift if layer.bias is None else fractions(layer.bias) * factor + shift
    return replace(layer, kernel=kernel, bias=exact(bias))


def _positions(values: object, what: str) -> IntArray:
    """Return flat positions that nobody can change; raises ShapeError on anything but a list of whole numbers that are not negative."""
    array = np.array(values)
    if array.ndim != 1 or (array.size and (array.dtype.kind not in "iu" or array.min() < 0 or int(array.max()) >= 1 << 63)):
        raise ShapeError(f"{what} of a sparse layer are malformed", given=array, expected="flat positions from 0")
    result = array.astype(np.int64)
    result.setflags(write=False)
    return result


def _frozen(values: object) -> ExactArray:
    array = np.array(exact(values))
    array.setflags(write=False)
    return array


def _check_activation(activation: object) -> None:
    expect(
        activation,
        RealActivation,
        "an activation",
        ", ".join(f"{a.__name__}()" for a in get_args(RealActivation)),
        advice="a table has no real counterpart",
    )
    if isinstance(activation, Sigmoid | Tanh) and activation.table is not None:
        raise NetworkError("a real network has no tables", given=activation, expected=f"{type(activation).__name__}()")


def _no_format(fmt: object) -> None:
    if fmt is not None:
        raise NetworkError("a real network has no formats", given=str(fmt), expected="output=None", advice="real.quantize(…) gives it some")


def _image(shape: tuple[int, ...], what: str) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise ShapeError(f"{what} needs an image", given=shape, expected="(height, width, channels)")
    return shape[0], shape[1], shape[2]


def _check_arity(layer: RealLayer, given: int) -> None:
    least, most = (0, 0) if isinstance(layer, RealInput) else (1, 2**16) if isinstance(layer, Add | Concat) else (1, 1)
    if not least <= given <= most:
        raise NetworkError(
            f"{type(layer).__name__} reads the wrong number of signals",
            given=given,
            expected=str(least) if least == most else "one or more",
        )
