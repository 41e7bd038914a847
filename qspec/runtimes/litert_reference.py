"""LiteRT's reference kernels (`BUILTIN_REF`): those of TensorFlow Lite Micro, but for float32 ratios in RELU and
LEAKY_RELU, and a fully connected layer that rounds once.

Measured against ai-edge-litert 2.3.0 on x86-64, 0 outputs differing. In 1.2.0 and tflite-runtime 2.14.0 FULLY_CONNECTED rounds twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qspec.network.kernel_layers import Scaling
from qspec.runtimes.arithmetic import Quantized, multiplier
from qspec.runtimes.runtime import Stage
from qspec.runtimes.tflm import Tflm, by_float, leaky, rectified, refused


@dataclass(frozen=True, slots=True)
class LiteRtReference(Tflm):
    """The reference kernels of LiteRT."""

    name: str = "litert-reference"
    version: str = "ai-edge-litert 2.3.0, BUILTIN_REF"

    def sums(self, kind: str, scale: float, kernel: Sequence[float], out: Quantized, ends: tuple[int, int]) -> Stage:
        rule = Scaling.ONCE_AWAY if kind == "FULLY_CONNECTED" else Scaling.AWAY
        return multiplier([scale * k / out.scale for k in kernel], out, ends, [rule])

    def table(self, kind: str, x: Quantized, out: Quantized, options: Mapping[str, float]) -> list[int]:
        codes = np.arange(x.ends[0], x.ends[1] + 1) - x.zero
        ratio = np.float32(x.scale) / np.float32(out.scale)
        match kind:
            case "RELU":
                return rectified(codes, x, out, (0, None))
            case "RELU6":
                return rectified(codes, x, out, (0, 6))
            case "RELU_N1_TO_1":
                return rectified(codes, x, out, (-1, 1))
            case "RELU_0_TO_1":
                return rectified(codes, x, out, (0, 1))
            case "LEAKY_RELU":
                negative = np.float32(x.scale) * np.float32(options["Alpha"]) / np.float32(out.scale)
                return leaky(codes, out, float(ratio), float(negative))
            case "LOGISTIC" | "TANH":
                return by_float(kind, codes, x, out)
            case _:
                raise refused(self.name, kind)
