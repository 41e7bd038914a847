"""Tables of smooth functions on codes: ELU, GELU, LOGISTIC and TANH in float32, and HARD_SWISH in 16-bit fixed point.

Measured against tflite-micro 0.dev20261023 and ai-edge-litert 2.3.0 on x86-64. Source of the arithmetic of HARD_SWISH: TensorFlow Lite,
`kernels/internal/reference/hard_swish.h`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from math import erfc, exp, expm1

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.errors import UnsupportedError
from qspec.runtimes.arithmetic import FloatArray, Quantized, away, quantize_multiplier

LOW, HIGH = -32768, 32767
"""The ends of int16."""


ULPS = 4
"""By how many units in the last place a function of the C library may miss: more than glibc documents for any of these."""


def elu(x: Quantized, out: Quantized) -> list[int]:
    """Return the codes of ELU: `v`, or `exp(v) - 1` below zero."""
    return _codes("ELU", x, out, lambda v: v if v > 0 else expm1(v), lambda v, f: f, exact=lambda v, f: (v > 0) | (f == -1))


def gelu(x: Quantized, out: Quantized) -> list[int]:
    """Return the codes of GELU, the exact one: `v / 2 * erfc(-v / sqrt 2)`."""
    half, turned = np.float32(0.5), -np.float32(1 / np.sqrt(2))

    def finished(v: FloatArray, f: FloatArray) -> FloatArray:
        return half * v * f

    return _codes("GELU", x, out, lambda v: erfc(float(turned * np.float32(v))), finished, exact=lambda v, f: (f == 0) | (f == 2))


def logistic(x: Quantized, out: Quantized) -> list[int]:
    """Return the codes of LOGISTIC: `1 / (1 + exp(-v))`."""
    return _codes("LOGISTIC", x, out, _logistic, lambda v, f: f, exact=lambda v, f: (f == 0) | (f == 1))


def tanh(x: Quantized, out: Quantized) -> list[int]:
    """Return the codes of TANH."""
    return _codes("TANH", x, out, math.tanh, lambda v, f: f, exact=lambda v, f: abs(f) == 1)


def _logistic(v: float) -> float:
    return 1 / (1 + exp(-v)) if v >= 0 else exp(v) / (1 + exp(v))


def _codes(
    name: str,
    x: Quantized,
    out: Quantized,
    function: Callable[[float], float],
    finished: Callable[[FloatArray, FloatArray], FloatArray],
    exact: Callable[[FloatArray, FloatArray], FloatArray],
) -> list[int]:
    """Return the codes of what becomes of a function of float32 values, ties away from zero.

    The kernels take the function from the C library, whose versions differ in the last places. `exact` says where none can, beside zero.
    Raises UnsupportedError if another version could give another code.
    """
    values = np.float32(x.scale) * x.centred.astype(np.float32)
    found = np.array([function(float(v)) for v in values]).astype(np.float32)
    sure = exact(values, found) | (values == 0)
    low, high = found, found
    for _ in range(ULPS):
        low, high = np.nextafter(low, np.float32(-np.inf)), np.nextafter(high, np.float32(np.inf))
    ends = [_rounded(finished(values, np.where(sure, found, f)) / np.float32(out.scale), out) for f in (found, low, high)]
    for given, codes in zip(x.centred, zip(*ends, strict=True), strict=True):
        if len(set(codes)) > 1:
            raise UnsupportedError(
                f"a code of {name} depends on the version of the C library",
                given=f"code {int(given) + x.zero}, which becomes {min(codes)} or {max(codes)}",
                expected="scales at which no value lies next to a tie",
                advice="a scale that is changed in its last digit is enough",
            )
    return ends[0]


def _rounded(values: FloatArray, out: Quantized) -> list[int]:
    return [min(max(away(float(v)) + out.zero, out.ends[0]), out.ends[1]) for v in values]


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
