"""LiteRT's reference kernels (`BUILTIN_REF`): those of TensorFlow Lite Micro, but for float32 ratios in RELU and
LEAKY_RELU, and a fully connected layer that rounds once.

Measured against ai-edge-litert 2.3.0 on x86-64, 0 outputs differing. In 1.2.0 and tflite-runtime 2.14.0 FULLY_CONNECTED rounds twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qspec.network.kernel_layers import Scaling
from qspec.runtimes.arithmetic import Quantized, multiplier, short_multiplier
from qspec.runtimes.runtime import Recurrence, Stage
from qspec.runtimes.smooth import gelu, hard_swish, logistic, tanh
from qspec.runtimes.tflm import Tflm, leaky, rectified, recurring, refused

RECTIFIED: Mapping[str, tuple[int, int | None]] = {
    "RELU": (0, None),
    "RELU6": (0, 6),
    "RELU_N1_TO_1": (-1, 1),
    "RELU_0_TO_1": (0, 1),
}
"""The limits of the operators that cut values off."""


@dataclass(frozen=True, slots=True)
class LiteRtReference(Tflm):
    """The reference kernels of LiteRT."""

    name: str = "litert-reference"
    version: str = "ai-edge-litert 2.3.0, BUILTIN_REF"

    def sums(
        self, kind: str, scale: float, kernel: Sequence[float], out: Quantized, ends: tuple[int, int], bias: int = 32, groups: int = 1
    ) -> Stage:
        if out.width == 16 and (bias == 32 or (bias == 0 and kind != "FULLY_CONNECTED")):
            raise refused(self.name, f"{kind} of int16 with a bias of {bias} bits")
        if out.width == 16 and kind != "FULLY_CONNECTED":
            return short_multiplier([scale * k / out.scale for k in kernel], out, ends)
        rule = Scaling.ONCE_AWAY if kind == "FULLY_CONNECTED" else Scaling.AWAY
        return multiplier([scale * k / out.scale for k in kernel], out, ends, [rule])

    def product(self, a: Quantized, b: Quantized, out: Quantized, ends: tuple[int, int]) -> Stage:
        ratio = np.float32(a.scale) * np.float32(b.scale) / np.float32(out.scale)
        return multiplier([float(ratio)], out, ends, [Scaling.AWAY])

    def slopes(self, x: Quantized, alpha: Quantized, out: Quantized) -> tuple[float, float]:
        given, slope, made = (np.float32(q.scale) for q in (x, alpha, out))
        return float(given / made), float(given * slope / made)

    def recurrence(self, x: Quantized, feature: float, state: Quantized, time: float, out: Quantized) -> Recurrence:
        if state.width != 16 or state.zero:
            raise refused(self.name, f"SVDF with a state of {state.width} bits and zero point {state.zero}")
        given, kept, made, seen, aged = (np.float32(v) for v in (x.scale, state.scale, out.scale, feature, time))
        return recurring(float(given * seen / kept), state, float(kept * aged / made), out)

    def table(self, kind: str, x: Quantized, out: Quantized, options: Mapping[str, float]) -> list[int]:
        if kind in RECTIFIED:
            return rectified(x, out, RECTIFIED[kind])
        match kind:
            case "LEAKY_RELU":
                positive = np.float32(x.scale) / np.float32(out.scale)
                negative = np.float32(x.scale) * np.float32(options["Alpha"]) / np.float32(out.scale)
                return leaky(x, out, float(positive), float(negative))
            case "LOGISTIC":
                return logistic(x, out)
            case "TANH":
                return tanh(x, out)
            case "HARD_SWISH" if x.signed and out.signed:
                return hard_swish(x, out)
            case "GELU" if x.signed and out.signed and not options["Approximate"]:
                return gelu(x, out)
            case _:
                raise refused(self.name, kind)
