"""The layers of a quantised network: plain values with their formats; what they compute is in `lowering/layers.py`.

Images are channels-last, dense kernels are (inputs, outputs), convolution kernels (height, width, inputs / groups, outputs). A layer
sums exactly; the optional `accumulator` format rounds and overflows that sum once; the activation acts on the exact result; `output` rounds
and overflows once more. `output=None` leaves the raw accumulator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.formats import Fixed, Format, PerChannel
from qspec.arithmetic.integers import IntArray
from qspec.arithmetic.tensor import Tensor
from qspec.errors import FormatError, NetworkError, ShapeError
from qspec.network.activations import Activation, Linear
from qspec.network.expect import expect
from qspec.network.kernel_layers import KernelLayer
from qspec.network.shapes import check_shape, padding_pairs, pair
from qspec.support.checks import listed


@dataclass(frozen=True, slots=True)
class Feature:
    """A named part of a flat input: an integer range, or a one-hot group of `categories` columns.

    `lower` and `upper` are values, and must be given unless there are categories. An integer feature takes whole values only. A categorical
    feature has exactly one column at 1, the others 0. Raises NetworkError if there is neither a range nor a category.
    """

    name: str
    lower: int = 0
    upper: int = -1
    categories: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "categories", listed(self.categories, "categories"))
        expect(self.name, str, "the name of a feature", "a text")
        for end in (self.lower, self.upper):
            expect(end, int, f"the range of feature {self.name!r}", "whole numbers")
        for category in self.categories:
            expect(category, str, f"a category of feature {self.name!r}", "a text")
        if len(set(self.categories)) < len(self.categories):
            raise NetworkError(f"two categories of feature {self.name!r} have one name", given=self.categories, expected="distinct names")
        if (self.lower, self.upper) == (0, -1):  # neither was given
            if not self.categories:
                raise NetworkError(
                    f"feature {self.name!r} has no range",
                    given=f"Feature({self.name!r})",
                    expected="its lowest and its highest value, or categories",
                    advice=f"qs.Feature({self.name!r}, 0, 1) for yes and no",
                )
            object.__setattr__(self, "upper", 1)
        if self.lower > self.upper:
            raise NetworkError(f"feature {self.name!r} has an empty range", given=(self.lower, self.upper), expected="lower <= upper")

    @property
    def columns(self) -> int:
        return max(1, len(self.categories))


@dataclass(frozen=True, slots=True)
class Input:
    """An input of this shape; each element is a code of `format`. `features` names the columns of a flat input, in order."""

    shape: tuple[int, ...]
    format: Format
    name: str = "x"
    features: tuple[Feature, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", check_shape(self.shape))
        object.__setattr__(self, "features", listed(self.features, "features"))
        expect(self.format, Format, "the format of an input", "Fixed, Affine or PerChannel")
        for feature in self.features:
            expect(feature, Feature, "a feature of an input", 'objects such as qs.Feature("age", 18, 80)')
        if self.features and (len(self.shape) != 1 or sum(f.columns for f in self.features) != self.shape[0]):
            raise NetworkError(
                "features do not cover the input",
                given=f"{sum(f.columns for f in self.features)} columns, shape {self.shape}",
                expected="a flat input with as many columns",
            )
        if len({f.name for f in self.features}) != len(self.features):
            raise NetworkError("two features have one name", given=[f.name for f in self.features], expected="distinct names")


@dataclass(frozen=True, slots=True, eq=False)
class Dense:
    """`f(kernel.T @ x + bias)` on a flat input; kernel (inputs, outputs), bias (outputs,)."""

    kernel: Tensor
    bias: Tensor | None = None
    activation: Activation = field(default_factory=Linear)
    output: Format | None = None
    accumulator: Fixed | PerChannel | None = None
    name: str = ""

    def __post_init__(self) -> None:
        _check_parts(self)
        if len(self.kernel.shape) != 2:
            raise ShapeError("a dense kernel is a matrix", given=self.kernel.shape, expected="(inputs, outputs)")
        _check_bias(self.bias, self.kernel.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class Conv2D:
    """2-D convolution (cross-correlation) of a (height, width, channels) image; padded places have the value zero.

    `padding` is "valid", "same" (as in TensorFlow), a pair, or ((top, bottom), (left, right)). `groups = channels` is depthwise.
    """

    kernel: Tensor
    bias: Tensor | None = None
    stride: tuple[int, int] = (1, 1)
    padding: str | tuple[object, object] = "valid"
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    activation: Activation = field(default_factory=Linear)
    output: Format | None = None
    accumulator: Fixed | PerChannel | None = None
    name: str = ""

    def __post_init__(self) -> None:
        _check_parts(self)
        if len(self.kernel.shape) != 4:
            raise ShapeError(
                "a convolution kernel has four axes", given=self.kernel.shape, expected="(height, width, inputs / groups, outputs)"
            )
        object.__setattr__(self, "stride", pair(self.stride, "stride", least=1))
        object.__setattr__(self, "dilation", pair(self.dilation, "dilation", least=1))
        _check_padding(self.padding)
        expect(self.groups, int, "groups", "a whole number")
        if self.groups < 1 or self.kernel.shape[3] % self.groups:
            raise NetworkError("groups must divide the output channels", given=self.groups, expected=f"a divisor of {self.kernel.shape[3]}")
        _check_bias(self.bias, self.kernel.shape[3])


@dataclass(frozen=True, slots=True)
class AveragePool2D:
    """Mean over windows of a (height, width, channels) image; `count_padding` says whether padded zeros count in the mean."""

    window: tuple[int, int]
    stride: tuple[int, int] | None = None
    padding: str | tuple[object, object] = "valid"
    count_padding: bool = False
    output: Format | None = None
    name: str = ""

    def __post_init__(self) -> None:
        _check_end(None, self.output)
        expect(self.count_padding, bool, "count_padding", "True or False")
        object.__setattr__(self, "window", pair(self.window, "window", least=1))
        object.__setattr__(self, "stride", pair(self.window if self.stride is None else self.stride, "stride", least=1))
        _check_padding(self.padding)


@dataclass(frozen=True, slots=True)
class MaxPool2D:
    """Maximum over windows of a (height, width, channels) image, exact; padded places never win."""

    window: tuple[int, int]
    stride: tuple[int, int] | None = None
    padding: str | tuple[object, object] = "valid"
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "window", pair(self.window, "window", least=1))
        object.__setattr__(self, "stride", pair(self.window if self.stride is None else self.stride, "stride", least=1))
        _check_padding(self.padding)


@dataclass(frozen=True, slots=True)
class Flatten:
    """Read an image as a flat vector, row by row, channels last."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class Add:
    """Exact sum of two or more tensors of one shape (residual connections), then activation and output format."""

    activation: Activation = field(default_factory=Linear)
    output: Format | None = None
    name: str = ""

    def __post_init__(self) -> None:
        _check_end(self.activation, self.output)


@dataclass(frozen=True, slots=True)
class Concat:
    """Join tensors along the last axis; values are unchanged, `output` may bring them to one format."""

    output: Format | None = None
    name: str = ""

    def __post_init__(self) -> None:
        _check_end(None, self.output)


@dataclass(frozen=True, slots=True)
class Requantize:
    """Apply an activation to each element and bring it to another format."""

    output: Format
    activation: Activation = field(default_factory=Linear)
    name: str = ""

    def __post_init__(self) -> None:
        _check_end(self.activation, self.output)


Layer = Input | Dense | Conv2D | AveragePool2D | MaxPool2D | Flatten | Add | Concat | Requantize | KernelLayer


def fold_batch_norm(
    kernel: object, bias: object, *, gamma: object, beta: object, mean: object, variance: object, epsilon: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Fold a batch normalisation that follows a dense or convolution layer into its float kernel and bias, before quantisation.

    All arrays are floats; the last kernel axis and every vector have one entry per output channel. `epsilon` is that of the layer: 1e-3 by
    default in Keras, 1e-5 in PyTorch and ONNX. Raises ShapeError if a vector does not fit, FormatError if variance + epsilon is not
    positive. Source: Jacob et al. 2018, section 3.2.
    """
    weights = _floats(kernel, "kernel")
    vectors = {"bias": bias, "gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
    b, g, shift, centre, spread = (_channels(values, weights, what) for what, values in vectors.items())
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = g / np.sqrt(spread + _floats(epsilon, "epsilon"))
    if not np.all(np.isfinite(factor)):
        raise FormatError("batch normalisation with a variance that is not positive", given=variance, expected="variance + epsilon > 0")
    return weights * factor, (b - centre) * factor + shift


def _channels(values: object, kernel: npt.NDArray[np.float64], what: str) -> npt.NDArray[np.float64]:
    vector = _floats(values, what)
    if not kernel.shape or vector.shape != kernel.shape[-1:]:
        raise ShapeError(f"{what} needs a number for each output channel", given=vector.shape, expected=f"{kernel.shape[-1:]}")
    return vector


def _floats(value: object, what: str) -> npt.NDArray[np.float64]:
    """Return an array of finite floats; raises FormatError on anything else."""
    try:
        found = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise FormatError(f"{what} is no array of numbers", given=repr(value), expected="floats") from None
    if not np.all(np.isfinite(found)):
        raise FormatError(f"{what} is not finite", given=repr(value), expected="finite numbers")
    return found


def _check_padding(padding: object) -> None:
    """Raise NetworkError on padding that means nothing, whatever it is applied to."""
    padding_pairs(padding, (1, 1), (1, 1), (1, 1), (1, 1))


def dense_misfit(name: str, given: Sequence[int], kernel: Sequence[int]) -> ShapeError:
    """Return the error of a dense layer that is applied to another shape than that of its kernel's rows."""
    rows, columns = kernel
    transposed = tuple(given) == (columns,)
    advice = f"kernels have shape (inputs, outputs): transpose {tuple(kernel)}" if transposed else "put a Flatten layer before it"
    what = f"dense layer {name!r} does not fit its input" if name else "a dense layer does not fit its input"
    return ShapeError(what, given=tuple(given), expected=f"({rows},)", advice=advice if transposed or len(given) > 1 else "")


def _check_parts(layer: Dense | Conv2D) -> None:
    expect(layer.kernel, Tensor, "a kernel", "a Tensor", advice="qs.quantize(array, format)")
    expect(layer.bias, Tensor | None, "a bias", "a Tensor", advice="qs.quantize(array, format)")
    expect(layer.accumulator, Fixed | PerChannel | None, "an accumulator", "Fixed or PerChannel")
    _check_end(layer.activation, layer.output)


def _check_end(activation: Activation | None, output: Format | None) -> None:
    expect(activation, Activation | None, "an activation", "ReLU(), Linear(), …")
    expect(output, Format | None, "an output format", "Fixed, Affine or PerChannel")


def _check_bias(bias: Tensor | None, outputs: int) -> None:
    if bias is not None and bias.shape != (outputs,):
        raise ShapeError("bias does not fit the kernel", given=bias.shape, expected=f"({outputs},)")


def window_sizes(windows: IntArray) -> IntArray:
    """Return how many places of each window lie inside the image."""
    return (windows >= 0).sum(axis=(2, 3))
