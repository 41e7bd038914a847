"""What the kernels of several runtimes share: stored multipliers, float32 products, limits of activations, and staircases by bisection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import floor, frexp

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.formats import Affine
from qspec.arithmetic.integers import IntArray, rational
from qspec.network.kernel_layers import Multiplier, Scaling, Thresholds

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Quantized:
    """The quantisation of a signal: a float32 scale (as the double that it is), a zero point, 8 or 16 bits, signed or unsigned."""

    scale: float
    zero: int
    signed: bool = True
    width: int = 8

    @property
    def format(self) -> Affine:
        return Affine(self.width, self.signed, rational(self.scale), self.zero)

    @property
    def ends(self) -> tuple[int, int]:
        half = 1 << (self.width - 1)
        return (-half, half - 1) if self.signed else (0, 2 * half - 1)

    @property
    def centred(self) -> IntArray:
        """Every code, lowest first, less the zero point."""
        return np.arange(self.ends[0], self.ends[1] + 1) - self.zero


def quantize_multiplier(value: float) -> tuple[int, int]:
    """Return (multiplier, shift) with `multiplier * 2**(shift - 31)` nearest to a non-negative double.

    Source: TensorFlow Lite, `QuantizeMultiplier`: 31 bits, ties away from zero, 0 below 2**-32, the largest above 2**30.
    """
    if value == 0:
        return 0, 0
    fraction, shift = frexp(value)
    multiplier = floor(fraction * 2**31 + 0.5)
    if multiplier == 2**31:
        multiplier, shift = multiplier // 2, shift + 1
    return (0, 0) if shift < -31 else (2**31 - 1, 30) if shift > 30 else (multiplier, shift)


def multiplier(values: Sequence[float], out: Quantized, ends: tuple[int, int], scaling: Sequence[Scaling]) -> Multiplier:
    """Return the output stage that multiplies by one double, or one per channel, each rounded to 31 bits."""
    stored = [quantize_multiplier(v) for v in values]
    return Multiplier(out.format, tuple(m for m, _ in stored), tuple(s for _, s in stored), tuple(scaling), *ends)


def short_multiplier(values: Sequence[float], out: Quantized, ends: tuple[int, int]) -> Multiplier:
    """Return the output stage of accumulators of 64 bits: the multiplier in 15 bits, and one rounding with ties up.

    Source: TensorFlow Lite, `MultiplyByQuantizedMultiplier` of an int64.
    """
    stored = [quantize_multiplier(v) for v in values]
    short = [(2**15 - 1 if m >= 2**31 - 2**16 else (m + 2**15) >> 16) << 16 for m, _ in stored]
    return Multiplier(out.format, tuple(short), tuple(s for _, s in stored), (Scaling.ONCE_UP,), *ends)


def away(value: float) -> int:
    """Return the nearest integer, ties away from zero."""
    return int(np.sign(value) * floor(abs(value) + 0.5))


def staircase(function: Callable[[IntArray], IntArray], channels: int, ends: tuple[int, int], fmt: Affine) -> Thresholds:
    """Return the staircase of a non-decreasing function of int32 accumulators, cut to `ends`, one row per channel.

    `function` maps an array of shape (channels, n) elementwise; each threshold is found by bisection over all of int32, so the staircase
    equals the function at every accumulator. A code that none reaches has the threshold 2**31.
    """
    codes = np.arange(ends[0] + 1, ends[1] + 1)[None, :]
    below = np.full((channels, codes.size), -(2**31) - 1)  # stands for minus infinity
    above = np.full((channels, codes.size), 2**31)
    while np.any(above - below > 1):
        middle = (below + above) // 2
        reached = np.clip(function(middle), *ends) >= codes
        above, below = np.where(reached, middle, above), np.where(reached, below, middle)
    return Thresholds(fmt, np.full(channels, ends[0]), above)
