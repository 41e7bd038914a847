"""LiteRT's optimised kernels (`BUILTIN_WITHOUT_DEFAULT_DELEGATES`), on x86-64.

Vector blocks follow one rule, the elements left over another.

Measured against ai-edge-litert 2.3.0, 0 outputs differing: the rule of an element depends on its place in memory, so that shapes matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from qspec.arithmetic.formats import Affine
from qspec.errors import UnsupportedError
from qspec.network.kernel_layers import Multiplier, Scaling
from qspec.runtimes.arithmetic import Quantized, away, multiplier, quantize_multiplier
from qspec.runtimes.litert_reference import LiteRtReference
from qspec.runtimes.runtime import Addition, Averaging, Normalization, Stage
from qspec.runtimes.tflm import refused, shifted_addition

LARGEST_RATIO = 128
"""From where on the optimised ADD packs to int16 without saturation, and wraps."""


@dataclass(frozen=True, slots=True)
class LiteRtOptimized(LiteRtReference):
    """The optimised kernels of LiteRT, without XNNPACK."""

    name: str = "litert-optimized"
    version: str = "ai-edge-litert 2.3.0, BUILTIN_WITHOUT_DEFAULT_DELEGATES, x86-64"

    def sums(
        self, kind: str, scale: float, kernel: Sequence[float], out: Quantized, ends: tuple[int, int], bias: int = 32, groups: int = 1
    ) -> Stage:
        grouped = kind == "CONV_2D" and groups > 1  # left to the reference kernel
        if grouped or (out.width == 16 and (bias == 64 or kind != "FULLY_CONNECTED")):
            return LiteRtReference.sums(self, kind, scale, kernel, out, ends, bias)
        if kind == "FULLY_CONNECTED":
            return multiplier([float(np.float32(scale) * np.float32(k)) / out.scale for k in kernel], out, ends, [Scaling.UP])
        rules = [Scaling.UP] * len(kernel) if kind == "CONV_2D" else blocks(len(kernel), 8, Scaling.UP)
        return multiplier([scale * k / out.scale for k in kernel], out, ends, rules)

    def addition(
        self, kind: str, a: Quantized, b: Quantized, out: Quantized, ends: tuple[int, int], shapes: tuple[Sequence[int], Sequence[int]]
    ) -> Addition:
        if kind == "SUB" or out.width == 16:
            return LiteRtReference.addition(self, kind, a, b, out, ends, shapes)
        if max(a.scale, b.scale) / out.scale > LARGEST_RATIO:
            raise UnsupportedError(
                "an optimised ADD that wraps is not read", given=max(a.scale, b.scale) / out.scale, expected=f"at most {LARGEST_RATIO}"
            )
        if tuple(shapes[0]) != tuple(shapes[1]):
            raise UnsupportedError("an optimised ADD that broadcasts is not read", given=shapes, expected="operands of one shape")
        size = prod(shapes[0])
        rules = blocks(size, 16, Scaling.ONCE_UP) if out.signed else blocks(size, 8, Scaling.FLOOR)
        return shifted_addition(kind, a, b, out, ends, rules)

    def average(self, count: int, x: Quantized, out: Quantized, *, image: bool, keep: bool, channels: int) -> Averaging:
        if not (image and keep):
            return LiteRtReference.average(self, count, x, out, image=image, keep=keep, channels=channels)
        stored, shift = quantize_multiplier(float(np.float32(x.scale) / (np.float32(count) * np.float32(out.scale))))
        bias = out.zero - away(float(np.float32(x.zero) * np.float32(x.scale) / np.float32(out.scale)))
        if not out.ends[0] <= bias <= out.ends[1]:
            raise UnsupportedError(
                "a MEAN whose zero points are far apart is not read", given=bias, expected=f"{out.ends[0]}..{out.ends[1]}"
            )
        fmt = Affine(8, out.signed, out.format.scale, bias)
        return Averaging(False, Multiplier(fmt, (stored,), (shift,), tuple(blocks(channels, 16, Scaling.UP)), *out.ends), out)

    def softmax(self, x: Quantized, beta: float, count: int) -> Normalization:
        raise refused(self.name, "SOFTMAX before other operators, whose sums are float32 and depend on their order,")

    def requantize(self, x: Quantized, out: Quantized, size: int) -> Stage:
        if {x.width, out.width} != {8}:
            return LiteRtReference.requantize(self, x, out, size)
        return multiplier([x.scale / out.scale], out, out.ends, blocks(size, 16, Scaling.UP))


def blocks(size: int, block: int, rule: Scaling) -> list[Scaling]:
    """Return the rule of each element: `rule` in whole blocks, ties away from zero (two roundings) in what is left over."""
    whole = size // block * block
    return [rule] if whole == size else [Scaling.AWAY] if whole == 0 else [rule] * whole + [Scaling.AWAY] * (size - whole)
