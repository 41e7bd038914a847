"""Tables of smooth functions on codes: ELU and GELU in float32, and HARD_SWISH in 16-bit fixed point.

Measured against tflite-micro 0.dev20261023 and ai-edge-litert 2.3.0 on x86-64. Source of the arithmetic of HARD_SWISH: TensorFlow Lite,
`kernels/internal/reference/hard_swish.h`.
"""

from __future__ import annotations

from collections.abc import Callable
from math import erfc, expm1

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.runtimes.arithmetic import FloatArray, Quantized, away, quantize_multiplier

LOW, HIGH = -32768, 32767
"""The ends of int16."""


def by_function(function: Callable[[FloatArray], FloatArray], x: Quantized, out: Quantized) -> list[int]:
    """Return the codes of a function of float32 values, ties away from zero."""
    values = function(np.float32(x.scale) * x.centred.astype(np.float32)) / np.float32(out.scale)
    return [min(max(away(float(v)) + out.zero, out.ends[0]), out.ends[1]) for v in values]


def elu(x: Quantized, out: Quantized) -> list[int]:
    """Return the codes of ELU: `v`, or `exp(v) - 1` below zero."""
    return by_function(lambda v: np.array([float(e) if e > 0 else expm1(float(e)) for e in v]).astype(np.float32), x, out)


def gelu(x: Quantized, out: Quantized) -> list[int]:
    """Return the codes of GELU, the exact one: `v / 2 * erfc(-v / sqrt 2)`."""

    def function(v: FloatArray) -> FloatArray:
        inner = -v * np.float32(1 / np.sqrt(2))
        return np.float32(0.5) * v * np.array([erfc(float(e)) for e in inner]).astype(np.float32)

    return by_function(function, x, out)


def hard_swish(x: Quantized, out: Quantized) -> list[int]:
    """Return the codes of HARD_SWISH, `v * relu6(v + 3) / 6`: products of int16, rounded, and the last one cut off."""
    fine = np.float32(1 / 128) * np.float32(x.scale)
    to_out, out_shift = quantize_multiplier(float(fine / np.float32(out.scale)))
    to_three, shift = quantize_multiplier(float(fine / (np.float32(3) / np.float32(32768))))
    values: IntArray = x.centred.astype(np.int64) * 128
    scaled = _rounded_product(values, _sixteen(to_out))
    part = _rounded_product(_shifted(values, shift - 1) if shift > 0 else values, _sixteen(to_three))
    part = _shifted(part, 1) if shift > 0 else _right(part, -shift)
    product = ((part + 32768) >> 1) * scaled
    cut = np.sign(product) * (np.abs(product) >> 15)
    codes = _right(cut, -out_shift) if out_shift <= 0 else _shifted(cut, out_shift)
    return [int(c) for c in np.clip(codes + out.zero, *out.ends)]


def _sixteen(multiplier: int) -> int:
    """Return a multiplier of 31 bits in 15."""
    return HIGH if multiplier >= 2**31 - 2**15 else (multiplier + (1 << 15)) >> 16


def _rounded_product(a: IntArray, b: int) -> IntArray:
    return np.clip((a * b + (1 << 14)) >> 15, LOW, HIGH)


def _shifted(a: IntArray, left: int) -> IntArray:
    return np.clip(a << left, LOW, HIGH)


def _right(a: IntArray, places: int) -> IntArray:
    """Return `a / 2^places`, ties away from zero."""
    return a if places == 0 else np.sign(a) * ((np.abs(a) + (1 << (places - 1))) >> places)
