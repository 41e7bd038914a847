"""ONNX Runtime without graph optimisation on files of QuantizeLinear and DequantizeLinear: float operators, in an order that is not known.

A convolution or product adds float32 products of dequantised codes. Where every partial sum is exact, whatever the order, the result is one
integer function, and `error` is 0. Elsewhere the sum in any order, with or without fused multiplications, is `unit * k` for a real `k`
within `error` of the exact integer sum: each of n terms is rounded at most n + 3 times, so its relative error is at most
`m u / (1 - m u)` with m = n + 3 and u = 2**-24. The bound here has m = n + SPARE, which covers the roundings of the staircase, too.
Fast convolutions (Winograd, FFT) are no such sums; the CPU provider has none. Source: Higham, Accuracy and Stability of Numerical
Algorithms, 2002, lemma 3.1 and section 3.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.errors import UnsupportedError
from qspec.network.kernel_layers import Thresholds
from qspec.runtimes.arithmetic import Quantized, staircase
from qspec.runtimes.ort import Enclosed, OrtQLinear, Terms, rounded_codes

SPARE = 16
"""Roundings of a term besides those of the sum: three of its own, those of a division, and those of the staircase below."""
LEAST, MOST = 2.0**-80, 2.0**80
"""Units of sums within which float32 neither underflows nor overflows."""


@dataclass(frozen=True, slots=True)
class OrtQdq(OrtQLinear):
    """The float operators between DequantizeLinear and QuantizeLinear, one by one; additions of two signals have one order."""

    name: str = "ort-qdq"
    version: str = "onnxruntime 1.31.1, ORT_DISABLE_ALL, CPU, x86-64"
    fused: bool = False

    def sums(
        self, x: Quantized, kernel: Sequence[float], out: Quantized, ends: tuple[int, int], terms: Terms, alpha: float = 1.0
    ) -> Enclosed:
        """Return the output stage of Conv, Gemm and MatMul, for kernel scales per channel, and how far the sums can be off."""
        units = [Fraction(x.scale) * Fraction(k) for k in kernel]
        exact = terms.aligned and all(_odd(u) * int(m) < 2**24 for u, m in zip(units, terms.most, strict=True))
        return _enclosed(units, out, ends, terms, exact=exact)

    def average(self, count: int, x: Quantized, out: Quantized, ends: tuple[int, int]) -> Enclosed:
        """Return the output stage of a mean of `count` centred codes, whose sum is divided, or multiplied by the reciprocal."""
        most = count * max(x.ends[1] - x.zero, x.zero - x.ends[0])
        exact = count & (count - 1) == 0 and _odd(Fraction(x.scale)) * most < 2**24
        return _enclosed([Fraction(x.scale) / count], out, ends, Terms(count, np.array([most])), exact=exact)

    def sum_of_codes(self, codes: tuple[IntArray, IntArray], kinds: tuple[Quantized, Quantized], out: Quantized) -> IntArray:
        """Return what DequantizeLinear, Add and QuantizeLinear make of two codes, without the ends."""
        one, two = (np.float32(q.scale) * (c - q.zero).astype(np.float32) for c, q in zip(codes, kinds, strict=True))
        return rounded_codes(np.asarray((one + two) / np.float32(out.scale), np.float32), out.zero, (-1024, 1024))


def _enclosed(units: Sequence[Fraction], out: Quantized, ends: tuple[int, int], terms: Terms, *, exact: bool) -> Enclosed:
    doubles = np.array([float(u) for u in units])
    if not np.all((doubles > LEAST) & (doubles < MOST)):
        raise UnsupportedError("a scale of sums that float32 hardly holds is not read", given=doubles, expected=f"{LEAST:g} to {MOST:g}")

    def codes(sums: IntArray) -> IntArray:
        with np.errstate(over="ignore"):
            return rounded_codes((sums * doubles[:, None]).astype(np.float32) / np.float32(out.scale), out.zero, ends)

    stage = staircase(codes, len(units), ends, out.format)
    if exact:
        return Enclosed(stage)
    roundings = Fraction(terms.count + SPARE, 2**24)
    if roundings >= Fraction(1, 2):
        raise UnsupportedError("a float32 sum of so many terms is not bounded", given=terms.count, expected="less than 2**23")
    error = ceil(roundings / (1 - roundings) * int(terms.most.max())) + 1
    if int(terms.most.max()) + error >= 2**31:
        raise UnsupportedError("a float32 sum that can leave int32 is not read", given=int(terms.most.max()), expected="less than 2**31")
    _expect_single_steps(stage)
    return Enclosed(stage, error)


def _expect_single_steps(stage: Thresholds) -> None:
    """Raise UnsupportedError if one more in a sum can be two codes more: then whole numbers do not stand for all that lies between them."""
    inside = np.abs(stage.thresholds) < 2**31
    steps = np.diff(stage.thresholds, axis=1)
    if np.any((steps == 0) & inside[:, 1:] & inside[:, :-1]):
        raise UnsupportedError("an enclosed sum with a multiplier above 1 is not read", given="two codes in one step", expected="below 1")


def _odd(value: Fraction) -> int:
    """Return the odd part of a float's numerator."""
    n = value.numerator
    return n // (n & -n)
