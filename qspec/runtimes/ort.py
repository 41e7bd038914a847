"""ONNX Runtime's integer operators on its CPU provider: exact int32 sums, one float32 multiplier, ties to even.

Measured against onnxruntime 1.31.1 and 1.32.0 on x86-64 with AVX512-VNNI, 0 outputs differing (docs/semantics.md). The zero point is added
after rounding, but inside the float32 sum of QLinearAdd. On x86-64 without VNNI the kernels for uint8 signals and int8 weights may saturate
pairs of products at int16 (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html), and QLinearAdd has another
kernel on ARM: there the same file is another network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, floor, log2

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.errors import UnsupportedError
from qspec.network.kernel_layers import Thresholds
from qspec.runtimes.arithmetic import FloatArray, Quantized, staircase

LEAST, MOST = 2.0**-100, 2.0**100
"""Scales and multipliers within which float32 neither underflows nor overflows here."""
SIGMOID = 2.0**-21
"""How far ONNX Runtime's sigmoid, a quotient of polynomials, may lie from the function: three times the most that was measured."""
FINEST = 40
"""Binary digits that the factors of an addition may have, at most."""


@dataclass(frozen=True, slots=True)
class CodeSum:
    """An addition of two codes: `total` of the sum of centred codes times `factors`, which are counted in their greatest common divisor."""

    factors: tuple[int, int]
    total: Thresholds


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """What a sum adds: how many terms at most, and for each channel the most that their absolute values add up to, in its unit.

    `aligned` says that the bias is a whole number of units; one that is not was rounded to one.
    """

    count: int
    most: IntArray
    aligned: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Enclosed:
    """An output stage for sums that may be off by up to `error` units; 0 if they are exact."""

    stage: Thresholds
    error: int = 0


@dataclass(frozen=True, slots=True)
class OrtQLinear:
    """The integer operators of ONNX Runtime; scales are float32 numbers, `ends` the lowest and the highest code that is let through."""

    name: str = "ort-qlinear"
    version: str = "onnxruntime 1.31.1 and 1.32.0, CPU, x86-64 with VNNI"
    fused: bool = True
    """Whether float operators between DequantizeLinear and QuantizeLinear are the integer operators of the same name."""

    def sums(
        self, x: Quantized, kernel: Sequence[float], out: Quantized, ends: tuple[int, int], terms: Terms, alpha: float = 1.0
    ) -> Enclosed:
        """Return the output stage of QLinearConv, QLinearMatMul and QGemm, for kernel scales per channel; these sums are exact."""
        return Enclosed(self.multiplied(x, kernel, out, ends, alpha))

    def multiplied(self, x: Quantized, kernel: Sequence[float], out: Quantized, ends: tuple[int, int], alpha: float = 1.0) -> Thresholds:
        """Return the codes of exact sums as one float32 multiplier gives them."""
        factors = np.float32(alpha) * np.float32(x.scale) * np.asarray(kernel, dtype=np.float32) / np.float32(out.scale)
        return _scaled(factors, out, ends)

    def average(self, count: int, x: Quantized, out: Quantized, ends: tuple[int, int]) -> Enclosed:
        """Return the output stage of QLinearGlobalAveragePool, for the sum of `count` centred codes."""
        return Enclosed(_scaled(np.array([np.float32(x.scale) / (np.float32(out.scale) * np.float32(count))]), out, ends))

    def quantize(self, value: float, out: Quantized) -> int:
        """Return the code of a float32: QuantizeLinear."""
        with np.errstate(over="ignore"):
            return int(rounded_codes(np.array([np.float32(value)]) / np.float32(out.scale), out.zero, out.ends)[0])

    def table(self, kind: str, x: Quantized, out: Quantized, alpha: float = 0.0) -> IntArray:
        """Return the code that each input code becomes, lowest first: QLinearSigmoid, QLinearLeakyRelu, QLinearConcat ("Identity").

        Raises UnsupportedError on another kind, and on a sigmoid that lies so near to a tie that ONNX Runtime's may be on either side.
        """
        values = np.float32(x.scale) * x.centred.astype(np.float32)
        match kind:
            case "Identity":
                made = values
            case "LeakyRelu":
                made = np.where(values >= 0, values, values * np.float32(alpha))
            case "Sigmoid":
                return _sigmoid(values, x, out)
            case _:
                raise UnsupportedError(f"{kind} is not read under the semantics {self.name!r}", given=kind, expected="Sigmoid, LeakyRelu")
        return rounded_codes(made.astype(np.float32) / np.float32(out.scale), out.zero, out.ends)

    def sum_of_codes(self, codes: tuple[IntArray, IntArray], kinds: tuple[Quantized, Quantized], out: Quantized) -> IntArray:
        """Return what QLinearAdd makes of two codes, without the ends: two fused multiplications and additions on the codes themselves."""
        (a, b), (first, second) = codes, kinds
        ratios = [np.float32(q.scale) / np.float32(out.scale) for q in kinds]
        offset = np.float32(out.zero) - _fused(ratios[0], first.zero, ratios[1] * np.float32(second.zero))
        return np.rint(np.clip(_fused(a, ratios[0], _fused(b, ratios[1], offset)), -1024, 1024)).astype(np.int64)

    def addition(
        self,
        first: Quantized,
        second: Quantized,
        out: Quantized,
        ends: tuple[int, int],
        codes: tuple[IntArray, IntArray],
        *,
        either: bool = False,
    ) -> CodeSum:
        """Return QLinearAdd as a staircase of an integer sum, checked for every pair of `codes`; `either` where their order is not known.

        The factors have as few binary digits as make it one. Raises UnsupportedError where it is none, or where the other order of the
        operands gives another code and their order is not known.
        """
        pair = np.meshgrid(*codes, indexing="ij")
        made = np.clip(self.sum_of_codes((pair[0], pair[1]), (first, second), out), *ends)
        if either and np.any(made != np.clip(self.sum_of_codes((pair[1], pair[0]), (second, first), out), *ends)):
            raise UnsupportedError("a QLinearAdd that broadcasts depends on the order of its operands", given=first, expected="one shape")
        ratios = [float(np.float32(q.scale) / np.float32(out.scale)) for q in (first, second)]
        exponent = floor(log2(max(ratios)))
        order = np.argsort(made, axis=None, kind="stable")
        values, starts = np.unique(made.reshape(-1)[order], return_index=True)
        centred = [(p.reshape(-1)[order] - q.zero).astype(np.int64) for p, q in zip(pair, (first, second), strict=True)]
        for digits in range(FINEST):
            one, two = (max(1, int(np.rint(r * 2.0 ** (digits - exponent)))) for r in ratios)
            total = (centred[0] * one + centred[1] * two) // np.gcd(one, two)
            least, most = np.minimum.reduceat(total, starts), np.maximum.reduceat(total, starts)
            if np.all(most[:-1] < least[1:]):
                steps = np.searchsorted(values, np.arange(int(values[0]) + 1, ends[1] + 1))
                reached = np.append(least, most[-1] + 1)[steps]
                base = np.array([int(values[0])])
                return CodeSum((one, two), Thresholds(out.format, base, reached))
        raise UnsupportedError(
            "an addition whose float32 roundings are no staircase of a sum is not read",
            given=f"scales {first.scale}, {second.scale} to {out.scale}, zero points {first.zero}, {second.zero}, {out.zero}",
            expected="scales for which it is one",
        )


def _fused(a: object, b: object, c: object) -> FloatArray:
    """Return `a * b + c` of float32 numbers, rounded once; exact in doubles because a factor has 8 bits."""
    return np.asarray(np.asarray(a, np.float64) * np.asarray(b, np.float64) + np.asarray(c, np.float64)).astype(np.float32)


def _sigmoid(values: FloatArray, x: Quantized, out: Quantized) -> IntArray:
    """Return the codes of a sigmoid; raises UnsupportedError where one depends on how ONNX Runtime computes it. At 0 it is exact."""
    doubles = [float(v) for v in values]
    made = np.array([1 / (1 + exp(-v)) if v >= 0 else exp(max(v, -700.0)) / (1 + exp(max(v, -700.0))) for v in doubles])
    error = np.where(values == 0, 0.0, SIGMOID)
    codes, low, high = (
        rounded_codes(m.astype(np.float32) / np.float32(out.scale), out.zero, out.ends) for m in (made, made - error, made + error)
    )
    if np.any(low != high):
        k = int(np.argmax(low != high))
        raise UnsupportedError(
            "a code of a sigmoid depends on how ONNX Runtime computes it",
            given=f"code {int(x.centred[k]) + x.zero}, which becomes {int(low[k])} or {int(high[k])}",
            expected="scales at which no value lies next to a tie",
            advice="a scale that is changed in its last digits is enough",
        )
    return codes


def rounded_codes(values: FloatArray, zero: int, ends: tuple[int, int]) -> IntArray:
    """Return codes of scaled float32 values: ties to even, then the zero point, then the ends."""
    return np.clip(np.rint(np.clip(values, -1024, 1024)).astype(np.int64) + zero, *ends)


def _scaled(factors: FloatArray, out: Quantized, ends: tuple[int, int]) -> Thresholds:
    if not np.all((factors > LEAST) & (factors < MOST)):
        raise UnsupportedError("a multiplier that float32 hardly holds is not read", given=factors, expected=f"{LEAST:g} to {MOST:g}")
    return staircase(lambda sums: rounded_codes(sums.astype(np.float32) * factors[:, None], out.zero, ends), factors.size, ends, out.format)
