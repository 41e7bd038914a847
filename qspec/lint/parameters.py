"""Findings about stored parameters, without inputs: biases at the end of int32, dead channels, accumulators that can leave int32."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.lint.finding import BIAS_AT_END, DEAD_CHANNEL, DEAD_MULTIPLIER, OVERFLOW, Finding

END = 2**31
NEAR = 2**31 - 2**21
"""From where on a bias counts as cut off: a float32 near 2^31 has no finer steps than 2^7, and converters round on the way."""
SMALLEST = 2.0**-32
"""A multiplier below it is stored as zero."""


@dataclass(frozen=True, slots=True, eq=False)
class Weighted:
    """A layer with weights: codes less their zero points (…, channels), bias codes, how far a code of its input is from its zero point."""

    where: str
    kernel: IntArray
    bias: IntArray | None
    reach: int
    multipliers: tuple[float, ...] | None = None


def about(layer: Weighted) -> Iterator[Finding]:
    """Yield the findings about one layer."""
    channels = layer.kernel.shape[-1]
    rows = layer.kernel.reshape(-1, channels).astype(np.int64)
    bias = np.zeros(channels, np.int64) if layer.bias is None else layer.bias.astype(np.int64)
    sums = np.abs(rows).sum(axis=0) * layer.reach
    for c in np.flatnonzero(np.abs(bias) >= NEAR).tolist():
        yield Finding(BIAS_AT_END, f"{layer.where}, channel {c}", f"bias {int(bias[c])}, 2^31 is {END}")
    for c in np.flatnonzero(sums + np.abs(bias) >= END).tolist():
        value = f"|bias| + sum of |weight| * {layer.reach} = {int(abs(bias[c]))} + {int(sums[c])} >= {END}"
        yield Finding(OVERFLOW, f"{layer.where}, channel {c}", value)
    dead = np.flatnonzero(~np.any(rows, axis=0))
    if dead.size:
        yield Finding(DEAD_CHANNEL, f"{layer.where}, {_listed(dead)}", f"{dead.size} of {channels} channels")
    if layer.multipliers is not None:
        small = np.flatnonzero(np.broadcast_to(np.asarray(layer.multipliers) < SMALLEST, (channels,)))
        if small.size:
            least = min(layer.multipliers)
            yield Finding(
                DEAD_MULTIPLIER, f"{layer.where}, {_listed(small)}", f"{small.size} of {channels} channels, the smallest {least:.3g}"
            )


def _listed(channels: IntArray) -> str:
    shown = ", ".join(map(str, channels[:8].tolist()))
    return f"channel{'s' * (channels.size > 1)} {shown}{', …' * (channels.size > 8)}"
