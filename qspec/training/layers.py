"""Quantisation-aware layers whose forward pass is, number for number, the fixed-point network that is exported.

Every tensor holds *values* (code · 2^-frac) in float32. They are dyadic and short, so that nothing rounds but the staircases themselves;
`export.py` proves that for a trained network and compares the two. Gradients pass straight through a rounding and stop where a code
saturates.

Source: quantisation-aware training with the straight-through estimator, Bengio et al. 2013, Jacob et al. 2018.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import assert_never

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from qspec.arithmetic.formats import Fixed
from qspec.arithmetic.rounding import Overflow, Rounding
from qspec.arithmetic.windows import window_count
from qspec.errors import FormatError, ShapeError
from qspec.evaluate import device

Parameters = list[dict[str, jax.Array]]
"""The `kernel` and `bias` of each layer: real numbers that training moves, or the values that are stored."""


@dataclass(frozen=True, slots=True)
class Dense:
    """Units over the flattened argument; kernel (in, out). `output=None` is the raw accumulator, an unsigned `output` is a ReLU."""

    units: int
    kernel: Fixed
    bias: Fixed
    output: Fixed | None


@dataclass(frozen=True, slots=True)
class Conv:
    """A square convolution over an image (height, width, channels), with rings of zeros around it; kernel (size, size, in, out)."""

    units: int
    kernel: Fixed
    bias: Fixed
    output: Fixed | None
    size: int = 3
    stride: int = 1
    ring: int = 0


Layer = Dense | Conv


@dataclass(frozen=True, slots=True)
class Architecture:
    """The shape and format of the input (codes), and the layers; raises ShapeError or FormatError where they do not fit together."""

    shape: tuple[int, ...]
    input: Fixed
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        if not self.layers:
            raise ShapeError("an architecture without layers", given=self.layers, expected="Conv(…) and Dense(…)")
        if not isinstance(self.shape, tuple) or not all(isinstance(n, int) and n > 0 for n in self.shape):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ShapeError("no shape of an input", given=self.shape, expected="(columns,) or (height, width, channels)")
        shape = self.shape
        for layer in self.layers:
            if layer.units < 1:
                raise ShapeError("a layer without units", given=layer.units, expected="at least 1")
            for fmt in (self.input, layer.kernel, layer.bias, layer.output):
                if fmt is not None and not isinstance(fmt, Fixed):  # pyright: ignore[reportUnnecessaryIsInstance]
                    raise FormatError("training is about fixed point", given=fmt, expected="Fixed(width, frac)")
                if fmt is not None and fmt.overflow is not Overflow.SAT:
                    raise FormatError("training follows formats that saturate", given=str(fmt), expected="overflow SAT")
            shape = output_shape(layer, shape)

    @property
    def classes(self) -> int:
        """The number of outputs."""
        return self.layers[-1].units


@dataclass(frozen=True, slots=True, eq=False)
class DataScaling:
    """How training sees data in natural units: inputs less `mean` over `deviation`, outputs over `unit`.

    The first and the last layer absorb it, so the stored network reads and writes natural units.
    """

    mean: npt.NDArray[np.float32]
    deviation: npt.NDArray[np.float32]
    unit: float = 1.0


def rounded(x: jax.Array, rounding: Rounding) -> jax.Array:
    """Round to integers; the gradient passes straight through."""
    match rounding:
        case Rounding.TRN:
            whole = jnp.floor(x)
        case Rounding.TRN_ZERO:
            whole = jnp.trunc(x)
        case Rounding.RND:
            whole = jnp.floor(x + 0.5)
        case Rounding.RND_MIN_INF:
            whole = jnp.ceil(x - 0.5)
        case Rounding.RND_ZERO:
            whole = jnp.sign(x) * jnp.ceil(jnp.abs(x) - 0.5)
        case Rounding.RND_INF:
            whole = jnp.sign(x) * jnp.floor(jnp.abs(x) + 0.5)
        case Rounding.RND_CONV:
            whole = jnp.round(x)
        case _:
            assert_never(rounding)
    zero_with_gradient_one = x - jax.lax.stop_gradient(x)
    return jax.lax.stop_gradient(whole) + zero_with_gradient_one


def fixed_point(x: jax.Array, fmt: Fixed) -> jax.Array:
    """Round values to a format and saturate: `clamp(round(x · 2^frac), lower, upper) · 2^-frac`."""
    scale = 2.0**fmt.frac
    return rounded(jnp.clip(x * scale, fmt.lower, fmt.upper), fmt.rounding) / scale


def activation(x: jax.Array, layer: Layer, *, quantized: bool) -> jax.Array:
    """Return what a layer makes of its sums; without `quantized` only the ReLUs are left of the staircases."""
    if layer.output is None:
        return x
    if quantized:
        return fixed_point(x, layer.output)
    return x if layer.output.signed else jnp.maximum(x, 0.0)


def output_shape(layer: Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a layer's result for an argument of this shape (without the batch); raises ShapeError if it does not fit."""
    match layer:
        case Dense():
            return (layer.units,)
        case Conv():
            if len(shape) != 3:
                raise ShapeError("a convolution reads images", given=shape, expected="(height, width, channels)")
            places = (window_count(n, layer.size, layer.stride, (layer.ring, layer.ring), 1) for n in shape[:2])
            return (*places, layer.units)
        case _:
            assert_never(layer)


def kernel_shape(layer: Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a layer's kernel for an argument of this shape."""
    match layer:
        case Dense():
            return (int(np.prod(shape)), layer.units)
        case Conv():
            return (layer.size, layer.size, shape[-1], layer.units)
        case _:
            assert_never(layer)


def initial(layers: Sequence[Layer], shape: tuple[int, ...], key: jax.Array) -> Parameters:
    """Return random parameters (He et al. 2015) for inputs of this shape; biases are zero."""
    parameters: Parameters = []
    for layer in layers:
        key, draw = jax.random.split(key)
        sizes = kernel_shape(layer, shape)
        spread = float(np.sqrt(2.0 / np.prod(sizes[:-1])))
        parameters.append({"kernel": spread * jax.random.normal(draw, sizes), "bias": device.full((layer.units,), 0, np.float32)})
        shape = output_shape(layer, shape)
    return parameters


def stored(layers: Sequence[Layer], parameters: Parameters, scaling: DataScaling | None = None, *, quantized: bool = True) -> Parameters:
    """Return the values that a network stores: scaling absorbed, then rounded to each layer's formats (unless `quantized` is false)."""
    result: Parameters = []
    for position, (layer, p) in enumerate(zip(layers, parameters, strict=True)):
        kernel, bias = p["kernel"], p["bias"]
        if scaling is not None and position == len(layers) - 1:
            kernel, bias = kernel * scaling.unit, bias * scaling.unit
        if scaling is not None and position == 0:
            kernel = kernel / scaling.deviation[:, None]
        kernel = fixed_point(kernel, layer.kernel) if quantized else kernel
        if scaling is not None and position == 0:
            bias = bias - scaling.mean @ kernel
        result.append({"kernel": kernel, "bias": fixed_point(bias, layer.bias) if quantized else bias})
    return result


Convolve = Callable[[Conv, jax.Array, jax.Array], jax.Array]
"""A convolution: layer, kernel, images (batch, height, width, channels)."""


def at_once(layer: Conv, kernel: jax.Array, x: jax.Array) -> jax.Array:
    """Convolve as the libraries of the device do it: fast, and on some devices not exact."""
    return device.convolve(x, kernel, layer.stride, layer.ring)


def by_windows(layer: Conv, kernel: jax.Array, x: jax.Array) -> jax.Array:
    """Convolve as one matrix product over the windows: exact on every device as long as the sums are."""
    height, width, _ = output_shape(layer, x.shape[1:])
    ring, stride, sides = layer.ring, layer.stride, range(layer.size)
    ends = (stride * (height - 1) + 1, stride * (width - 1) + 1)
    ringed = device.pad(x, ((0, 0), (ring, ring), (ring, ring), (0, 0)))
    shifted = [ringed[:, i : i + ends[0] : stride, j : j + ends[1] : stride] for i in sides for j in sides]
    return device.product(jnp.concatenate(shifted, axis=-1), kernel.reshape(-1, layer.units))


def forward(
    layers: Sequence[Layer], values: Parameters, x: jax.Array, *, quantized: bool = True, convolve: Convolve = by_windows
) -> jax.Array:
    """Evaluate stored values on input values, shape (batch, ...); without `quantized` only the ReLUs are left of the staircases."""
    for layer, p in zip(layers, values, strict=True):
        x = activation(accumulate(layer, p["kernel"], x, convolve) + p["bias"], layer, quantized=quantized)
    return x


def accumulate(layer: Layer, kernel: jax.Array, x: jax.Array, convolve: Convolve) -> jax.Array:
    """Return the sums of products of a layer, shape (batch, ..., units)."""
    match layer:
        case Dense():
            return device.product(x.reshape(x.shape[0], -1), kernel)
        case Conv():
            return convolve(layer, kernel, x)
        case _:
            assert_never(layer)
