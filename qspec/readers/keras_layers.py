"""Layers of Keras as layers of a real network: every weight means exactly the number that is stored.

A layer that scales and shifts each element (normalisation, rescaling) becomes part of the dense layer or convolution beside it, exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import prod
from typing import cast

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.roots import nearest_root, rational_root
from qspec.errors import UnsupportedError
from qspec.ir.real import ExactArray, exact, fractions
from qspec.network.activations import LeakyReLU, Linear, ReLU
from qspec.network.layers import AveragePool2D, Flatten, MaxPool2D
from qspec.network.real_layers import Activate, RealActivation, RealConv2D, RealDense, RealLayer, Softmax, real_shape, scaled_outputs
from qspec.readers.keras_config import Described, wholes
from qspec.readers.keras_table import ACTIVATIONS, HARD_SIGMOIDS, IDLE

Arrays = Mapping[str, npt.NDArray[np.float64]]
WIDEST = 1024
"""Elements of a vector at most that are scaled by a dense layer of their own."""


class LayerChain:
    """Layers one after the other, the shape of what comes out, and a scaling and shift of it that no layer has yet.

    `version` is the major version of Keras or empty, and `round_roots` whether square roots that are not rational may be rounded.
    """

    def __init__(self, shape: tuple[int, ...], version: str, *, round_roots: bool) -> None:
        self.start = self.shape = shape
        self.version, self.round_roots = version, round_roots
        self.layers: list[RealLayer] = []
        self._pending: tuple[ExactArray, ExactArray] | None = None

    def add(self, d: Described, arrays: Arrays) -> None:
        """Append a layer; raises UnsupportedError on what is not read."""
        if d.kind not in IDLE:
            BUILD[d.kind](self, d, arrays)

    def put(self, layer: RealLayer) -> None:
        self.settle()
        shape = real_shape(layer, [self.shape])
        self.layers.append(layer)
        self.shape = shape

    def reshape(self, shape: tuple[int, ...], d: Described) -> None:
        """Read what comes out in another shape, in C order."""
        if shape == self.shape:
            return
        if self.layers:
            if len(shape) != 1:
                raise d.refuse("target_shape", "a vector, or a shape of the input")
            self.flatten(d.name)
            return
        self.start = self.shape = shape
        if self._pending is not None:
            self._pending = self._pending[0].reshape(shape), self._pending[1].reshape(shape)

    def flatten(self, name: str) -> None:
        """Append a flattening; what is pending stays so."""
        pending, self._pending = self._pending, None
        self.put(Flatten(name))
        if pending is not None:
            self._pending = pending[0].reshape(-1), pending[1].reshape(-1)

    def dense(self, kernel: ExactArray, bias: ExactArray, activation: RealActivation, name: str) -> None:
        """Append a dense layer, at each place of an image if it is one; what is pending becomes part of it."""
        if len(self.shape) == 3:
            self.put(RealConv2D(kernel[None, None], bias, activation=activation, name=name))
            return
        if len(self.shape) != 1:
            raise UnsupportedError(
                "Dense of this shape is not read", given=f"{self.shape} of layer {name!r}", expected="a vector or an image"
            )
        if self._pending is not None and self.shape == kernel.shape[:1]:
            factor, shift = self._pending
            rows, self._pending = fractions(kernel), None
            kernel, bias = exact(factor[:, None] * rows), exact(fractions(bias) + shift @ rows)
        self.put(RealDense(kernel, bias, activation, name))

    def scale(self, factor: ExactArray, shift: ExactArray, d: Described) -> None:
        """Let what comes out be `factor * v + shift`: Fractions, one or one for each channel."""
        channels = self.shape[-1]
        if any(v.shape not in ((), (1,), (channels,)) for v in (factor, shift)):
            raise UnsupportedError(
                f"the numbers of Keras layer {d.kind} do not fit",
                given=f"{factor.shape} and {shift.shape} of layer {d.name!r}",
                expected=f"one number, or one for each of {channels} channels",
            )
        last = self.layers[-1] if self.layers and self._pending is None else None
        if isinstance(last, RealDense | RealConv2D) and isinstance(last.activation, Linear):
            a, b = (np.broadcast_to(v, (channels,)) for v in (factor, shift))
            self.layers[-1] = scaled_outputs(last, a, b)
            return
        a, b = (np.broadcast_to(v, self.shape) for v in (factor, shift))
        if self._pending is not None:
            a, b = a * self._pending[0], a * self._pending[1] + b
        self._pending = a, b

    def settle(self) -> None:
        """Make a layer of what is pending."""
        if self._pending is None:
            return
        (factor, shift), self._pending = self._pending, None
        if len(self.shape) == 1 and self.shape[0] <= WIDEST:
            self.layers.append(RealDense(exact(np.diag(factor)), exact(shift)))
        elif len(self.shape) == 3 and all(bool(np.all(v == v[0, 0])) for v in (factor, shift)):
            self.layers.append(RealConv2D(exact(factor[0, 0].reshape(1, 1, 1, -1)), exact(shift[0, 0]), groups=self.shape[2]))
        else:
            raise UnsupportedError(
                "a scaling that stands alone is not read",
                given=f"of shape {self.shape}",
                expected="an image, a vector, or a dense layer after it",
            )


def _dense(chain: LayerChain, d: Described, arrays: Arrays) -> None:
    activation = _activation(chain, d)
    kernel, bias = _kernel(d, arrays, 2)
    d.expect_stated("units", kernel.shape[1])
    chain.dense(kernel, bias, activation, d.name)


def _conv(chain: LayerChain, d: Described, arrays: Arrays) -> None:
    kernel, bias = _kernel(d, arrays, 4)
    groups = d.whole("groups", 1)
    d.expect_stated("kernel_size", kernel.shape[:2])
    if d.kind == "DepthwiseConv2D":
        d.expect_stated("depth_multiplier", kernel.shape[3])
        groups = kernel.shape[2]
        kernel = kernel.reshape(*kernel.shape[:2], 1, -1)
    else:
        d.expect_stated("filters", kernel.shape[3])
    bias = np.zeros(kernel.shape[3]) if bias.size == 0 else bias
    stride, dilation = d.pair("strides", (1, 1)), d.pair("dilation_rate", (1, 1))
    chain.put(RealConv2D(kernel, bias, stride, str(d.settings.get("padding", "valid")), dilation, groups, _activation(chain, d), d.name))


def _pool(chain: LayerChain, d: Described, arrays: Arrays) -> None:
    window = d.pair("pool_size", (2, 2))
    stride, padding = d.pair("strides", window), str(d.settings.get("padding", "valid"))
    kind = MaxPool2D if d.kind == "MaxPooling2D" else AveragePool2D
    chain.put(kind(window, stride, padding, name=d.name))


def _global_pool(chain: LayerChain, d: Described, arrays: Arrays) -> None:
    if len(chain.shape) != 3:
        raise UnsupportedError(f"{d.kind} of what is no image", given=chain.shape, expected="(height, width, channels)")
    kind = MaxPool2D if d.kind == "GlobalMaxPooling2D" else AveragePool2D
    chain.put(kind((chain.shape[0], chain.shape[1])))
    if d.settings.get("keepdims") is not True:
        chain.put(Flatten(d.name))


def _zero_padding(chain: LayerChain, d: Described, arrays: Arrays) -> None:
    given = d.settings.get("padding", 1)
    sides: object = [given, given] if isinstance(given, int) else given
    pads = [[s, s] if isinstance(s, int) else s for s in cast("list[object]", sides)] if isinstance(sides, list) else []
    whole = [[p for p in wholes(cast("list[object]", s)) if p >= 0] for s in pads if isinstance(s, list)]
    if [len(w) for w in whole] != [2, 2] or len(pads) != 2 or len(chain.shape) != 3:
        raise d.refuse("padding", "one, two or two pairs of whole numbers, of an image")
    depth = chain.shape[2]
    chain.put(
        RealConv2D(np.ones((1, 1, 1, depth)), padding=((whole[0][0], whole[0][1]), (whole[1][0], whole[1][1])), groups=depth, name=d.name)
    )


def _flatten(chain: LayerChain, d: Described, arrays: Arrays) -> None:
    if len(chain.shape) > 1:
        chain.flatten(d.name)


def _reshape(chain: LayerChain, d: Described, arrays: Arrays) -> None:
    chain.reshape(d.target_shape(prod(chain.shape)), d)


def _activate(chain: LayerChain, d: Described, arrays: Arrays) -> None:
    chain.put(Activate(_activation(chain, d), d.name))


def _relu(chain: LayerChain, d: Described, arrays: Arrays) -> None:
    most, slope = d.settings.get("max_value"), _number(d, "negative_slope", 0)
    if _number(d, "threshold", 0) != 0:
        raise d.refuse("threshold", "0")
    if most is not None and (slope != 0 or _number(d, "max_value", 0) < 0):
        raise d.refuse("max_value", "null, or a number, at least 0, without a negative slope")
    chain.put(Activate(_leaky(d, "negative_slope", slope) if slope else ReLU(None if most is None else _number(d, "max_value", 0)), d.name))


def _leaky_relu(chain: LayerChain, d: Described, arrays: Arrays) -> None:
    given = [key for key in ("negative_slope", "alpha") if key in d.settings]
    if len(given) > 1:
        raise d.refuse("alpha", "one slope")
    key = given[0] if given else "negative_slope"
    chain.put(Activate(_leaky(d, key, _number(d, key, Fraction(3, 10))), d.name))


def _leaky(d: Described, key: str, slope: Fraction) -> LeakyReLU:
    if not 0 <= slope <= 1:
        raise d.refuse(key, "a number from 0 to 1")
    return LeakyReLU(slope)


def _softmax(chain: LayerChain, d: Described, arrays: Arrays) -> None:
    d.expect_last_axis(len(chain.shape))
    chain.put(Activate(Softmax(), d.name))


def _batch_norm(chain: LayerChain, d: Described, arrays: Arrays) -> None:
    d.expect_last_axis(len(chain.shape))
    for key, name in (("scale", "gamma"), ("center", "beta")):
        if (name in arrays) != (d.settings.get(key) is not False):
            raise d.refuse(key, f"as the arrays are: {', '.join(arrays)}")
    mean, under = (
        _vector(chain, d, arrays, "moving_mean"),
        _vector(chain, d, arrays, "moving_variance") + _number(d, "epsilon", Fraction(1, 1000)),
    )
    ones = fractions(np.ones(mean.shape))
    gamma, beta = (_vector(chain, d, arrays, n) if n in arrays else v for n, v in (("gamma", ones), ("beta", ones - ones)))
    factor = np.array([_over_root(chain, d, g, u) for g, u in zip(gamma, under, strict=True)], dtype=object)
    chain.scale(factor, beta - mean * factor, d)


def _normalization(chain: LayerChain, d: Described, arrays: Arrays) -> None:
    d.expect_last_axis(len(chain.shape))
    stated = [key for key in ("mean", "variance") if d.settings.get(key) is not None]
    if stated and (len(stated) < 2 or arrays):
        raise d.refuse("mean", "mean and variance both, or neither and arrays instead")
    if stated:
        mean, variance = _numbers(d, "mean", 0), _numbers(d, "variance", 0)
        mean, variance = (np.broadcast_to(v, (chain.shape[-1],)) if v.shape in ((), (1,)) else v for v in (mean, variance))
    else:
        mean, variance = _vector(chain, d, arrays, "mean"), _vector(chain, d, arrays, "variance")
    if any(v < Fraction(1, 10**12) for v in variance.flat):  # Keras divides by at least 1e-7
        raise UnsupportedError("a variance of next to nothing is not read", given=f"of layer {d.name!r}", expected="at least 1e-12")
    factor = np.array([_over_root(chain, d, Fraction(1), v) for v in variance.reshape(-1)], dtype=object)
    chain.scale(factor, -mean * factor, d)


def _rescaling(chain: LayerChain, d: Described, arrays: Arrays) -> None:
    chain.scale(_numbers(d, "scale", 1), _numbers(d, "offset", 0), d)


def _over_root(chain: LayerChain, d: Described, gain: Fraction, under: Fraction) -> Fraction:
    """Return `gain / sqrt(under)`: exactly if that is rational, else as the nearest double if the caller has said so."""
    if under <= 0:
        raise UnsupportedError(
            "a variance that is not positive is not read", given=f"{under} of layer {d.name!r}", expected="variance + epsilon > 0"
        )
    square = gain**2 / under
    root = rational_root(square)
    if root is None and not chain.round_roots:
        raise UnsupportedError(
            f"{d.kind} divides by a square root, which is no rational number",
            given=f"layer {d.name!r}",
            expected="a variance whose root is rational",
            advice="qs.load(path, round_roots=True) takes the nearest double of each factor; or fold the layer before saving",
        )
    root = nearest_root(square) if root is None else root
    return -root if gain < 0 else root


def _kernel(d: Described, arrays: Arrays, axes: int) -> tuple[ExactArray, ExactArray]:
    """Return the kernel and the bias, which is zeros or empty where the layer has none."""
    kernel, bias = arrays.get("kernel"), arrays.get("bias")
    if kernel is None or kernel.ndim != axes:
        raise UnsupportedError(
            f"the arrays of Keras layer {d.kind} are not read",
            given=f"{d.name!r} with { {n: a.shape for n, a in arrays.items()} }",
            expected=f"a kernel of {axes} axes and a bias",
        )
    if (bias is not None) != (d.settings.get("use_bias", True) is True) or not isinstance(d.settings.get("use_bias", True), bool):
        raise d.refuse("use_bias", f"true or false, as the arrays are: {', '.join(arrays)}")
    return kernel, np.zeros(kernel.shape[-1] if axes == 2 else 0) if bias is None else bias


def _activation(chain: LayerChain, d: Described) -> RealActivation:
    name = d.settings.get("activation", "linear")
    if name is None:
        return Linear()
    if name == "hard_sigmoid" and chain.version in HARD_SIGMOIDS:
        return HARD_SIGMOIDS[chain.version]
    made = ACTIVATIONS.get(name) if isinstance(name, str) else None
    if made is None:
        raise UnsupportedError(
            "this activation is not read",
            given=f"{name!r} of layer {d.name!r}",
            expected=f"{', '.join(ACTIVATIONS)}, hard_sigmoid of a known version",
        )
    return made()


def _vector(chain: LayerChain, d: Described, arrays: Arrays, name: str) -> ExactArray:
    if name not in arrays or arrays[name].shape != (chain.shape[-1],):
        shapes = {n: a.shape for n, a in arrays.items()}
        raise UnsupportedError(
            f"the arrays of Keras layer {d.kind} are not read", given=f"{d.name!r} with {shapes}", expected=f"{name} {chain.shape[-1:]}"
        )
    return fractions(exact(arrays[name]))


def _number(d: Described, key: str, default: Fraction | int) -> Fraction:
    value = d.settings.get(key)
    if value is None:
        return Fraction(default)
    if isinstance(value, bool) or not isinstance(value, int | Fraction):
        raise d.refuse(key, "a number")
    return Fraction(value)


def _numbers(d: Described, key: str, default: int) -> ExactArray:
    """Return one number, or a list of them, as Fractions."""
    value = d.settings.get(key, default)
    while isinstance(value, list) and len(cast("list[object]", value)) == 1 and isinstance(cast("list[object]", value)[0], list):
        value = cast("list[object]", value)[0]  # axes of one before the channels
    items = cast("list[object]", value) if isinstance(value, list) else [value]
    if not items or any(isinstance(v, bool) or not isinstance(v, int | Fraction) for v in items):
        raise d.refuse(key, "numbers, one or one for each channel")
    whole = np.array([Fraction(cast("int | Fraction", v)) for v in items], dtype=object)
    return whole if isinstance(value, list) else whole.reshape(())


BUILD: Mapping[str, Callable[[LayerChain, Described, Arrays], None]] = {
    "Dense": _dense,
    "Conv2D": _conv,
    "DepthwiseConv2D": _conv,
    "MaxPooling2D": _pool,
    "AveragePooling2D": _pool,
    "GlobalMaxPooling2D": _global_pool,
    "GlobalAveragePooling2D": _global_pool,
    "ZeroPadding2D": _zero_padding,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Activation": _activate,
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "Softmax": _softmax,
    "BatchNormalization": _batch_norm,
    "Rescaling": _rescaling,
    "Normalization": _normalization,
}
