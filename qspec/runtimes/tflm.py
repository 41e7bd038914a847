"""TensorFlow Lite Micro: integers alone, each multiplier rounded to 31 bits, products rounded twice with the last tie away from zero.

Measured against tflite-micro 0.dev20261023 on x86-64, 0 outputs differing (docs/semantics.md names the families of files); the integer
kernels have been the same since TensorFlow Lite 2.14. Source of the arithmetic: tensorflow/lite/kernels/internal/common.h.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from qspec.arithmetic.formats import Affine
from qspec.errors import UnsupportedError
from qspec.network.kernel_layers import Multiplier, Scaling
from qspec.runtimes.arithmetic import Quantized, away, multiplier, quantize_multiplier, short_multiplier
from qspec.runtimes.resize import BITS, integer_weights
from qspec.runtimes.runtime import Addition, Averaging, Interpolation, Normalization, Recurrence, Stage
from qspec.runtimes.smooth import elu, hard_swish, logistic, tanh
from qspec.runtimes.softmax import normalization

WIDE = Affine(32, True, Fraction(1), 0)
"""The integers between the stages of an addition."""

FUSED: Mapping[str, tuple[int | None, int | None]] = {"NONE": (None, None), "RELU": (0, None), "RELU_N1_TO_1": (-1, 1), "RELU6": (0, 6)}


@dataclass(frozen=True, slots=True)
class Tflm:
    """The kernels of TensorFlow Lite Micro."""

    name: str = "tflm"
    version: str = "tflite-micro 0.dev20261023"

    def ends(self, activation: str, out: Quantized) -> tuple[int, int]:
        return fused_ends(activation, out, lambda v: out.zero + away(float(np.float32(v) / np.float32(out.scale))))

    def sums(
        self, kind: str, scale: float, kernel: Sequence[float], out: Quantized, ends: tuple[int, int], bias: int = 32, groups: int = 1
    ) -> Stage:
        if out.width == 16 and kind == "DEPTHWISE_CONV_2D" and bias != 64:
            raise refused(self.name, f"{kind} of int16 with a bias of {bias} bits")
        if out.width == 16 and bias != 32:
            return short_multiplier([scale * k / out.scale for k in kernel], out, ends)
        return multiplier([scale * k / out.scale for k in kernel], out, ends, [Scaling.AWAY])

    def addition(
        self, kind: str, a: Quantized, b: Quantized, out: Quantized, ends: tuple[int, int], shapes: tuple[Sequence[int], Sequence[int]]
    ) -> Addition:
        return shifted_addition(kind, a, b, out, ends, [Scaling.AWAY])

    def product(self, a: Quantized, b: Quantized, out: Quantized, ends: tuple[int, int]) -> Stage:
        return multiplier([a.scale * b.scale / out.scale], out, ends, [Scaling.AWAY])

    def slopes(self, x: Quantized, alpha: Quantized, out: Quantized) -> tuple[float, float]:
        return x.scale / out.scale, x.scale * alpha.scale / out.scale

    def average(self, count: int, x: Quantized, out: Quantized, *, image: bool, keep: bool, channels: int) -> Averaging:
        stored, shift = quantize_multiplier(x.scale / out.scale)
        spare = min(count.bit_length() - 1, 32, 31 + shift)
        return Averaging(True, Multiplier(out.format, ((stored << spare) // count,), (shift - spare,), (Scaling.AWAY,), *out.ends))

    def bilinear(self, given: Sequence[int], made: Sequence[int], fmt: Affine, *, align: bool, half: bool) -> Interpolation:
        rows, columns = (integer_weights(n, m, align=align, half=half) for n, m in zip(given, made, strict=True))
        return Interpolation(rows, columns, Multiplier(fmt, (1 << 30,), (1 - 2 * BITS,), (Scaling.ONCE_AWAY,)))

    def recurrence(self, x: Quantized, feature: float, state: Quantized, time: float, out: Quantized) -> Recurrence:
        return recurring(x.scale * feature / state.scale, state, state.scale * time / out.scale, out)

    def softmax(self, x: Quantized, beta: float, count: int) -> Normalization:
        return normalization(x.scale, beta, count)

    def requantize(self, x: Quantized, out: Quantized, size: int) -> Stage:
        if not x.signed and not out.signed:
            raise refused(self.name, "QUANTIZE from uint8 to uint8")
        return multiplier([x.scale / out.scale], out, out.ends, [Scaling.AWAY])

    def table(self, kind: str, x: Quantized, out: Quantized, options: Mapping[str, float]) -> list[int]:
        codes = x.centred
        match kind:
            case "RELU6":  # clips the input's codes, and does not rescale
                high = min(127, x.zero + away(float(np.float32(6) / np.float32(x.scale))))
                return [int(c) for c in np.clip(codes + x.zero, x.zero, high)]
            case "RELU":
                return rectified(x, out, (0, None))
            case "LEAKY_RELU":
                alpha = float(options["Alpha"])
                return leaky(x, out, x.scale / out.scale, x.scale * alpha / out.scale)
            case "LOGISTIC":
                return logistic(x, out)
            case "TANH":
                return tanh(x, out)
            case "HARD_SWISH":
                return hard_swish(x, out)
            case "ELU":
                return elu(x, out)
            case _:
                raise refused(self.name, kind)


def fused_ends(activation: str, out: Quantized, code: Callable[[float], int]) -> tuple[int, int]:
    """Return the ends of a fused activation, `code` being how the runtime rounds a bound to a code."""
    if activation not in FUSED:
        raise UnsupportedError("a fused activation is not read", given=activation, expected=", ".join(FUSED))
    low, high = FUSED[activation]
    least, most = out.ends
    return (least if low is None else max(least, code(low)), most if high is None else min(most, code(high)))


def shifted_addition(kind: str, a: Quantized, b: Quantized, out: Quantized, ends: tuple[int, int], scaling: Sequence[Scaling]) -> Addition:
    """Return the addition that shifts codes left, by 20 bits or 15: operands by `scaling`, the sum with ties away from zero."""
    if kind not in ("ADD", "SUB"):
        raise UnsupportedError(f"{kind} is not read", given=kind, expected="ADD, SUB")
    twice = 2 * max(a.scale, b.scale)
    stored = [quantize_multiplier(own.scale / twice) for own in (a, b)]
    left = 20 if out.width == 8 else 15
    first, second = (Multiplier(WIDE, (m,), (s,), tuple(scaling), left=left) for m, s in stored)
    return Addition((first, second), None, multiplier([twice / (2**left * out.scale)], out, ends, [Scaling.AWAY]))


def recurring(seen: float, state: Quantized, aged: float, out: Quantized) -> Recurrence:
    """Return the stages of SVDF from its two ratios: no limits but those of the formats, whatever activation is fused."""
    centred = Quantized(1.0, 0, state.signed, state.width)
    new = multiplier([seen], centred, centred.ends, [Scaling.AWAY])
    return Recurrence(new, multiplier([aged], out, out.ends, [Scaling.AWAY]))


def scaled_away(x: np.ndarray, value: float) -> np.ndarray:
    """Return integers times a non-negative double as two roundings give it, the last with ties away from zero."""
    stored, shift = quantize_multiplier(value)
    high = (x.astype(np.int64) * (1 << max(shift, 0)) * stored + (1 << 30)) >> 31
    right = max(-shift, 0)
    return high if right == 0 else np.sign(high) * ((np.abs(high) + (1 << (right - 1))) >> right)


def rectified(x: Quantized, out: Quantized, ends: tuple[int, int | None]) -> list[int]:
    """Return the codes of RELU as an operator of its own: a float32 ratio, then the limits."""
    low, high = (None if v is None else out.zero + away(float(np.float32(v) / np.float32(out.scale))) for v in ends)
    y = scaled_away(x.centred, float(np.float32(x.scale) / np.float32(out.scale))) + out.zero
    least, most = out.ends
    assert low is not None
    return [int(c) for c in np.clip(y, max(least, low), most if high is None else min(most, high))]


def leaky(x: Quantized, out: Quantized, positive: float, negative: float) -> list[int]:
    """Return the codes of LEAKY_RELU: one multiplier for each side of zero."""
    codes = x.centred
    below = scaled_away(codes, negative) if negative >= 0 else -scaled_away(codes, -negative)
    y = np.where(codes >= 0, scaled_away(codes, positive), below) + out.zero
    return [int(c) for c in np.clip(y, *out.ends)]


def refused(runtime: str, what: str) -> UnsupportedError:
    """Return the error of an operator that a runtime does not have, or whose rule is not known."""
    return UnsupportedError(f"{what} is not read under the semantics {runtime!r}", given=what, expected="an operator of docs/tflite.md")
