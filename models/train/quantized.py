"""Quantisation-aware layers in JAX whose forward pass is, number for number, the fixed-point network that is shipped.

Every tensor holds *values* (code · 2^-frac) in float32. They are dyadic and short, so that nothing rounds but the staircases themselves:
`export.py` proves that for the trained network, and compares the two on every held-out sample. Gradients pass straight through a
rounding and stop where a code saturates.

Source: quantisation-aware training with the straight-through estimator, Bengio et al. 2013, Jacob et al. 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from qspec import Fixed

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
    """A 3x3 convolution, stride 2, one ring of zeros around the image; kernel (height, width, in, out). `output` as for Dense."""

    units: int
    kernel: Fixed
    bias: Fixed
    output: Fixed | None


Layer = Dense | Conv
SIDE, STRIDE, RING = 3, 2, 1


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """How training sees data in natural units: inputs less `mean` over `deviation`, outputs over `unit`.

    The first and the last layer absorb it, so the stored network reads and writes natural units.
    """

    mean: npt.NDArray[np.float32]
    deviation: npt.NDArray[np.float32]
    unit: float = 1.0


def round_half_up(x: jax.Array) -> jax.Array:
    """Round to the nearest integer, ties upwards; the gradient passes straight through."""
    zero_with_gradient_one = x - jax.lax.stop_gradient(x)
    return jax.lax.stop_gradient(jnp.floor(x + 0.5)) + zero_with_gradient_one


def fixed_point(x: jax.Array, fmt: Fixed) -> jax.Array:
    """Round values to a format and saturate: `clamp(floor(x · 2^frac + 1/2), lower, upper) · 2^-frac`."""
    scale = 2.0**fmt.frac
    return round_half_up(jnp.clip(x * scale, fmt.lower, fmt.upper)) / scale


def output_shape(layer: Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a layer's result for an argument of this shape (without the batch)."""
    match layer:
        case Dense():
            return (layer.units,)
        case Conv():
            height, width = ((n + 2 * RING - SIDE) // STRIDE + 1 for n in shape[:2])
            return (height, width, layer.units)
        case _:
            assert_never(layer)


def initial(layers: Sequence[Layer], shape: tuple[int, ...], key: jax.Array) -> Parameters:
    """Return random parameters (He et al. 2015) for inputs of this shape; biases are zero."""
    parameters: Parameters = []
    for layer in layers:
        key, draw = jax.random.split(key)
        fan_in = (int(np.prod(shape)),) if isinstance(layer, Dense) else (SIDE, SIDE, shape[-1])
        spread = float(np.sqrt(2.0 / np.prod(fan_in)))
        parameters.append({"kernel": spread * jax.random.normal(draw, (*fan_in, layer.units)), "bias": jnp.zeros(layer.units)})
        shape = output_shape(layer, shape)
    return parameters


def stored(layers: Sequence[Layer], parameters: Parameters, scaling: Scaling | None, *, quantized: bool = True) -> Parameters:
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


def forward(layers: Sequence[Layer], values: Parameters, x: jax.Array, *, quantized: bool = True) -> jax.Array:
    """Evaluate stored values on input values, shape (batch, ...); without `quantized` only the ReLUs are left of the staircases."""
    for layer, p in zip(layers, values, strict=True):
        x = accumulate(layer, p["kernel"], x) + p["bias"]
        if layer.output is not None and quantized:
            x = fixed_point(x, layer.output)
        elif layer.output is not None and not layer.output.signed:
            x = jnp.maximum(x, 0.0)
    return x


def accumulate(layer: Layer, kernel: jax.Array, x: jax.Array) -> jax.Array:
    """Return the sums of products of a layer, shape (batch, ..., units)."""
    match layer:
        case Dense():
            factors = x.reshape(x.shape[0], -1)
        case Conv():
            factors = windows(x, output_shape(layer, x.shape[1:]))
        case _:
            assert_never(layer)
    return jnp.dot(factors, kernel.reshape(-1, layer.units), precision=jax.lax.Precision.HIGHEST)


def windows(x: jax.Array, result: tuple[int, ...]) -> jax.Array:
    """Return the 3x3 window under each place of the result, row by row, channels last: shape (batch, height, width, 9 channels)."""
    height, width = STRIDE * result[0], STRIDE * result[1]
    ringed = jnp.pad(x, ((0, 0), (RING, RING), (RING, RING), (0, 0)))
    shifted = [ringed[:, i : i + height : STRIDE, j : j + width : STRIDE] for i in range(SIDE) for j in range(SIDE)]
    return jnp.concatenate(shifted, axis=-1)
