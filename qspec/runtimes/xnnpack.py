"""LiteRT's default (XNNPACK) on x86-64: float32 products, ties to even; additions by one affine map of integers.

Measured against ai-edge-litert 2.3.0 with `AUTO` and one thread, 0 outputs differing. What XNNPACK does not take falls back to LiteRT's
optimised kernels: AVERAGE_POOL_2D, RELU as an operator, QUANTIZE between signs, and scale ratios outside the limits below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import frexp, gcd

import numpy as np

from qspec.arithmetic.formats import Affine
from qspec.arithmetic.integers import IntArray
from qspec.network.kernel_layers import Multiplier, Scaling
from qspec.runtimes.arithmetic import Quantized, staircase
from qspec.runtimes.litert_optimized import LiteRtOptimized
from qspec.runtimes.resize import FLOAT_BITS, float_weights
from qspec.runtimes.runtime import Addition, Averaging, Interpolation, Stage
from qspec.runtimes.tflm import fused_ends

LEAST_SLOPE = -32767 / 256
"""From where down XNNPACK takes no LEAKY_RELU: a ratio of the negative side, in 8 fraction bits of an int16."""


@dataclass(frozen=True, slots=True)
class Xnnpack(LiteRtOptimized):
    """The kernels that LiteRT uses unless it is told otherwise."""

    name: str = "xnnpack"
    version: str = "ai-edge-litert 2.3.0, AUTO, x86-64"

    def ends(self, activation: str, out: Quantized) -> tuple[int, int]:
        if out.width == 16:
            return LiteRtOptimized.ends(self, activation, out)
        return fused_ends(activation, out, lambda v: int(np.rint(np.float32(v) / np.float32(out.scale) + np.float32(out.zero))))

    def sums(
        self, kind: str, scale: float, kernel: Sequence[float], out: Quantized, ends: tuple[int, int], bias: int = 32, groups: int = 1
    ) -> Stage:
        if out.width == 16:
            return LiteRtOptimized.sums(self, kind, scale, kernel, out, ends, bias)
        factors = np.float32(scale) * np.asarray(kernel, dtype=np.float32) / np.float32(out.scale)

        def codes(sums: IntArray) -> IntArray:
            return np.rint(sums.astype(np.float32) * factors[:, None]).astype(np.int64) + out.zero

        return staircase(codes, factors.size, ends, out.format)

    def addition(
        self, kind: str, a: Quantized, b: Quantized, out: Quantized, ends: tuple[int, int], shapes: tuple[Sequence[int], Sequence[int]]
    ) -> Addition:
        ratios = [float(np.float32(own.scale) / np.float32(out.scale)) for own in (a, b)]
        if not all(2.0**-10 <= r < 2.0**8 for r in ratios) or out.width == 16 or kind not in ("ADD", "SUB"):
            return LiteRtOptimized.addition(self, kind, a, b, out, ends, shapes)
        shift = 20 - (frexp(max(ratios))[1] - 1)
        first, second = (int(np.rint(r * 2.0**shift)) for r in ratios)
        common = gcd(first, second)
        return Addition(None, (first, second), Multiplier(out.format, (common,), (31 - shift,), (Scaling.ONCE_UP,), *ends))

    def product(self, a: Quantized, b: Quantized, out: Quantized, ends: tuple[int, int]) -> Stage:
        factor = np.float32(a.scale) * np.float32(b.scale) / np.float32(out.scale)
        if out.width == 16 or not 2.0**-16 <= float(factor) < 2.0**8:
            return LiteRtOptimized.product(self, a, b, out, ends)
        return staircase(lambda p: np.rint(p.astype(np.float32) * factor).astype(np.int64) + out.zero, 1, ends, out.format)

    def average(self, count: int, x: Quantized, out: Quantized, *, image: bool, keep: bool, channels: int) -> Averaging:
        factor = np.float32(x.scale) / np.float32(out.scale) / np.float32(count)
        offset = np.float32(out.zero) - np.float32(x.zero * count) * factor

        def codes(sums: IntArray) -> IntArray:
            return np.rint(sums.astype(np.float32) * factor + offset).astype(np.int64)

        return Averaging(False, staircase(codes, 1, out.ends, out.format))

    def bilinear(self, given: Sequence[int], made: Sequence[int], fmt: Affine, *, align: bool, half: bool) -> Interpolation:
        rows, columns = (float_weights(n, m, align=align, half=half) for n, m in zip(given, made, strict=True))
        return Interpolation(rows, columns, Multiplier(fmt, (1 << 30,), (1 - 2 * FLOAT_BITS,), (Scaling.ONCE_UP,)))

    def requantize(self, x: Quantized, out: Quantized, size: int) -> Stage:
        ratio = float(np.float32(x.scale) / np.float32(out.scale))
        if x.signed != out.signed or {x.width, out.width} != {8} or not 2.0**-8 <= ratio <= 2.0**7:
            return LiteRtOptimized.requantize(self, x, out, size)
        return Multiplier(out.format, (int(np.rint(256 * ratio)),), (23,), (Scaling.ONCE_UP,), *out.ends)

    def table(self, kind: str, x: Quantized, out: Quantized, options: Mapping[str, float]) -> list[int]:
        if kind != "LEAKY_RELU":
            return LiteRtOptimized.table(self, kind, x, out, options)
        ratio = np.float32(x.scale) / np.float32(out.scale)
        below = np.float32(ratio * np.float32(options["Alpha"]))
        if not (2.0**-8 <= ratio <= 2.0**7 and (2.0**-8 <= below <= 2.0**7 or LEAST_SLOPE <= float(below) <= -(2.0**-8))):
            return LiteRtOptimized.table(self, kind, x, out, options)
        codes = x.centred
        factors = np.where(codes >= 0, int(np.rint(256 * float(ratio))), int(np.rint(256 * float(below))))
        return [int(c) for c in np.clip(((codes * factors + 128) >> 8) + out.zero, *out.ends)]
