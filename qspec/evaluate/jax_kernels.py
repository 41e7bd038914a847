"""What runs on the device, computed: each kernel as a function of arrays, in JAX."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import assert_never

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from qspec.evaluate import device
from qspec.evaluate.kernels import (
    AddKernel,
    Arithmetic,
    ClampKernel,
    Convolve,
    Counted,
    GatherKernel,
    InputKernel,
    Kernel,
    KernelPlan,
    LookupKernel,
    LowBits,
    MapKernel,
    MatMul,
    MaximumKernel,
    Multiply,
    Polyline,
    RelaxedKernel,
    Rescaled,
    Scale,
    Scatter,
    WrapKernel,
)

Arrays = Sequence[jax.Array]


def execute(plan: KernelPlan, parameters: Sequence[Arrays], inputs: Arrays) -> tuple[jax.Array, ...]:
    """Return the outputs of a plan for inputs of shape (batch, size): a pure function, for compiled code with 64-bit types allowed."""
    values: list[jax.Array] = []
    for step, arrays in zip(plan.steps, parameters, strict=True):
        values.append(_run(step.kernel, arrays, [values[a] for a in step.arguments], inputs))
    return tuple(values[k] for k in plan.outputs)


def _run(kernel: Kernel, parameters: Arrays, arguments: Arrays, inputs: Arrays) -> jax.Array:
    """Return the value of one step, shape (batch, size)."""
    match kernel:
        case InputKernel(slot, shifted):
            return shift_to_int8(inputs[slot], parameters[0]) if shifted else inputs[slot]
        case AddKernel():
            return sum((a.astype(parameters[0].dtype) for a in arguments), parameters[0][None, :])
        case Multiply(result):
            return arguments[0].astype(result) * arguments[1].astype(result)
        case MatMul() | Convolve() | Scale() | GatherKernel() | Scatter():
            return apply_map(kernel, parameters, arguments[0])
        case Rescaled():
            return _rescale(kernel, parameters, arguments[0])
        case Counted():
            return _count(kernel, parameters[0], parameters[1], arguments[0])
        case LookupKernel(indexed):
            first, values = parameters
            return _pick(values, arguments[0].astype(indexed) - first.astype(indexed))
        case MaximumKernel():
            return _take(arguments[0], parameters[0]).max(axis=-1)
        case LowBits():
            return _low_bits(kernel, parameters[0], parameters[1], arguments[0])
        case ClampKernel() | Polyline() | WrapKernel():
            return _relaxed(kernel, parameters, arguments[0])
        case _:
            assert_never(kernel)


def apply_map(kernel: MapKernel, parameters: Arrays, x: jax.Array) -> jax.Array:
    """Return a linear map of vectors (batch, inputs)."""
    match kernel:
        case MatMul(shifted):
            return _matmul(parameters[0], shift_to_int8(x, parameters[1]) if shifted else x)
        case Convolve():
            return _convolve(kernel, parameters[0], x)
        case Scale():
            return x.astype(parameters[0].dtype) * parameters[0]
        case GatherKernel():
            columns, coefficients = parameters
            return (_take(x, columns).astype(coefficients.dtype) * coefficients).sum(axis=-1, dtype=coefficients.dtype)
        case Scatter(outputs):
            rows, columns, coefficients = parameters
            products = _take(x, columns).astype(coefficients.dtype) * coefficients
            return jax.ops.segment_sum(products.T, rows, outputs, indices_are_sorted=True).T
        case _:
            assert_never(kernel)


def _take(x: jax.Array, columns: jax.Array) -> jax.Array:
    return x.at[:, columns].get(mode="promise_in_bounds")


def _pick(rows: jax.Array, index: jax.Array) -> jax.Array:
    """Return `rows[element, index]`, where a single row serves all elements."""
    count, length = rows.shape
    start = length * device.count(count, index.dtype)
    return rows.reshape(-1).at[start + index].get(mode="promise_in_bounds")


def shift_to_int8(x: jax.Array, shift: jax.Array) -> jax.Array:
    """Return `x - shift` in int8, where it fits."""
    wide = x.astype({1: jnp.int16, 2: jnp.int32}.get(x.dtype.itemsize, x.dtype))
    return (wide - shift.astype(wide.dtype)).astype(jnp.int8)


def _matmul(weights: jax.Array, x: jax.Array) -> jax.Array:
    accumulator = np.int32 if weights.dtype == np.int8 else weights.dtype
    return device.multiply(x.astype(weights.dtype), weights, accumulator)


def _convolve(conv: Convolve, weights: jax.Array, x: jax.Array) -> jax.Array:
    """Convolve in the dtype of the weights.

    In floats on a CPU at once; elsewhere as matrix products, because libraries for accelerators may choose Winograd's or a Fourier
    algorithm, which are not exact on integers, and know no 64-bit integers.
    """
    image = x.astype(weights.dtype).reshape(-1, *conv.image)
    if jnp.issubdtype(weights.dtype, jnp.integer):
        return _convolve_by_taps(conv, image, weights)
    return device.on_cpu_or_else(partial(_convolve_at_once, conv), partial(_convolve_by_taps, conv), image, weights)


def _convolve_at_once(conv: Convolve, image: jax.Array, weights: jax.Array) -> jax.Array:
    y = lax.conv_general_dilated(
        image,
        weights,
        conv.stride,
        conv.padding,
        rhs_dilation=conv.dilation,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=conv.groups,
        precision=lax.Precision.HIGHEST,
        preferred_element_type=weights.dtype,
    )
    return y.reshape(len(image), -1)


def _convolve_by_taps(conv: Convolve, image: jax.Array, weights: jax.Array) -> jax.Array:
    """Add up one matrix product for each element of the kernel, over all places that it is multiplied with."""
    height, width, depth, channels = weights.shape
    padded = device.pad(image, ((0, 0), *conv.padding, (0, 0)))
    spans = [
        (size - dilation * (kernel - 1) - 1) // stride * stride + 1
        for size, kernel, stride, dilation in zip(padded.shape[1:3], (height, width), conv.stride, conv.dilation, strict=True)
    ]
    grouped = weights.reshape(height, width, depth, conv.groups, channels // conv.groups)
    parts: list[jax.Array] = []
    for i in range(height):
        for j in range(width):
            top, left = i * conv.dilation[0], j * conv.dilation[1]
            seen = padded[:, top : top + spans[0] : conv.stride[0], left : left + spans[1] : conv.stride[1], :]
            parts.append(device.contract("bhwgd,dgc->bhwgc", seen.reshape(*seen.shape[:3], conv.groups, depth), grouped[i, j]))
    return sum(parts[1:], parts[0]).reshape(len(image), -1)


def _rescale(kernel: Rescaled, parameters: Arrays, x: jax.Array) -> jax.Array:
    numerator, offset, divisor, *rest = parameters
    n = x.astype(numerator.dtype) * numerator + offset
    match kernel.slack:
        case "first":
            code = _quotient(kernel.arithmetic, n, divisor)
        case "sign":
            code = _quotient(kernel.arithmetic, n + jnp.where(n < 0, rest[1], rest[0]), divisor)
        case "even":
            code = _quotient(kernel.arithmetic, n + rest[0], divisor)
            code = jnp.where(code & 1 == 0, code, _quotient(kernel.arithmetic, n + rest[1], divisor))
        case _:
            assert_never(kernel.slack)
    ends = rest if kernel.slack == "first" else rest[2:]
    code = jnp.maximum(code, ends[0]) if kernel.below else code
    code = jnp.minimum(code, ends[-1]) if kernel.above else code
    return code.astype(kernel.result)


def _quotient(arithmetic: Arithmetic, n: jax.Array, divisor: jax.Array) -> jax.Array:
    """Return floor(n / denominator).

    In floats: `n + 1/2` is at least `1 / (2 denominator)` away from every multiple of the denominator, and two roundings of relative size
    2**-24 (2**-53) cannot cross that while `|n| < 2**21` (`2**50`).
    """
    match arithmetic:
        case "shift32" | "shift64":
            return lax.shift_right_arithmetic(n, jnp.broadcast_to(divisor, n.shape))
        case "float32":
            return jnp.floor((n + 0.5) * divisor).astype(jnp.int32)
        case "float64":
            return jnp.floor((n + 0.5) * divisor).astype(jnp.int64)
        case "int64":
            return jnp.floor_divide(n, divisor)
        case _:
            assert_never(arithmetic)


def _count(kernel: Counted, base: jax.Array, thresholds: jax.Array, x: jax.Array) -> jax.Array:
    """Count by halving (Knuth, The Art of Computer Programming 3, 6.2.1, uniform binary search), or by comparing all where they are few."""
    x = x.astype(kernel.compared)
    limits = thresholds.astype(kernel.compared)
    if kernel.depth <= 3:
        found = (x[:, :, None] >= limits[None, :, :]).sum(axis=-1, dtype=jnp.int32)
    else:
        found = device.full(x.shape, 0, np.int32)
        for step in (1 << k for k in reversed(range(kernel.depth))):
            found = jnp.where(x >= _pick(limits, found + (step - 1)), found + step, found)
    return (base.astype(jnp.int32 if kernel.result != "int64" else jnp.int64) + found).astype(kernel.result)


def _low_bits(kernel: LowBits, mask: jax.Array, sign: jax.Array, x: jax.Array) -> jax.Array:
    low = x.astype(kernel.computed) & mask
    return ((low ^ sign) - sign if kernel.signed else low).astype(kernel.result)


def _relaxed(kernel: RelaxedKernel, parameters: Arrays, x: jax.Array) -> jax.Array:
    """Real-valued stand-ins for search; where a function is flat its slope is the leak, so that gradients do not die."""
    match kernel:
        case ClampKernel():
            slope, offset, lower, upper, leak = parameters
            line = slope * x + offset
            inside = jnp.clip(line, lower, upper)
            ramp = inside + leak * (line - inside)
            return ramp + lax.stop_gradient(jnp.floor(inside + 0.5) - ramp) if kernel.rounded else ramp
        case Polyline():
            first, density, mean, knots, leak = parameters
            place = jnp.clip((x - first) * density, 0, knots.shape[1] - 1)
            below = jnp.clip(jnp.floor(place), 0, knots.shape[1] - 2).astype(jnp.int32)
            left, right = _pick(knots, below), _pick(knots, below + 1)
            line = leak * mean * x
            return left + (place - below) * (right - left) + line - lax.stop_gradient(line)
        case WrapKernel():
            least, modulus = parameters
            return x - lax.stop_gradient(modulus * jnp.floor((x - least) / modulus))
        case _:
            assert_never(kernel)
