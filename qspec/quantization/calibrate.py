"""Post-training quantisation at any number of bits: binary points from the data, rounding as stated, nothing trained again.

Each tensor of a layer (weights, biases, what it puts out) gets the fewest integer bits with which its greatest magnitude is still inside,
and the bits that are left behind the point. Magnitudes of parameters are exact; those of signals are the greatest on the calibration
samples, so that other inputs may saturate. Source: dynamic fixed point by range, Courbariaux, Bengio, David 2015; Jacob et al. 2018.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic

import numpy as np

from qspec.arithmetic.formats import MAX_WIDTH, Fixed, Format
from qspec.arithmetic.integers import rational
from qspec.arithmetic.rounding import Overflow, Rounding
from qspec.errors import SpecError
from qspec.ir.real import ExactArray
from qspec.lowering.real_evaluate import signals
from qspec.network.activations import HardSigmoid, ReLU, Sigmoid
from qspec.network.graph import GraphKind
from qspec.network.layers import Add, AveragePool2D, Concat, Flatten, MaxPool2D
from qspec.network.real_graph import RealGraph, RealStage
from qspec.network.real_layers import Activate, Exp, RealConv2D, RealDense, RealInput, RealSparse, Softmax, Softplus, sum_activation
from qspec.quantization.convert import Formats, quantized

POSITIVE = ReLU | Sigmoid | HardSigmoid | Exp | Softplus | Softmax
"""Activations that are never negative: their signals need no sign."""
STORED = RealDense | RealConv2D | Activate | AveragePool2D | Add | Concat
"""Layers that round, and so have bits of their own."""


@dataclass(frozen=True, slots=True)
class Peaks:
    """The greatest magnitudes of one layer, and whether what it puts out may be negative."""

    weights: Fraction
    biases: Fraction
    signal: Fraction
    signed: bool


@dataclass(frozen=True, slots=True, eq=False)
class Calibration(Generic[GraphKind]):
    """A real network that knows its magnitudes; call it with a number of bits, or bits by layer, to quantise it."""

    network: RealGraph
    input: Format
    peaks: Mapping[str, Peaks]
    """By layer, of those that round."""
    rounding: Rounding
    overflow: Overflow
    kind: type[GraphKind]
    """The class of networks to make."""

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the layers that have bits of their own, from the input on."""
        return tuple(self.peaks)

    def formats(self, layer: str, bits: int) -> Formats:
        """Return the formats of a layer at so many bits: of weights, biases and what it puts out."""
        peak = self.peaks[layer]
        weights, biases = (Fixed(bits, bits - 1 - _exponent(p), True, self.rounding, self.overflow) for p in (peak.weights, peak.biases))
        frac = bits - peak.signed - _exponent(peak.signal)
        return Formats(weights, biases, Fixed(bits, frac, peak.signed, self.rounding, self.overflow))

    def __call__(self, bits: int | Mapping[str, int]) -> GraphKind:
        """Return the network in fixed point, every layer with `bits`, or each with its own; raises SpecError if a layer has none."""
        widths = dict(bits) if isinstance(bits, Mapping) else dict.fromkeys(self.layers, bits)
        if set(widths) != set(self.layers):
            raise SpecError("not the bits of these layers", given=sorted(widths), expected=", ".join(self.layers))
        for layer, width in widths.items():
            if isinstance(width, bool) or not isinstance(width, int) or not 2 <= width <= MAX_WIDTH:  # pyright: ignore[reportUnnecessaryIsInstance]
                raise SpecError(f"no number of bits for {layer}", given=width, expected=f"a whole number from 2 to {MAX_WIDTH}")
        unused = Formats(self.input, self.input, self.input)
        made = quantized(self.network, lambda stage: self.formats(stage.name, widths[stage.name]) if stage.name in widths else unused)
        return made.into(self.kind)


def calibrated(
    network: RealGraph, values: object, input: Format, rounding: Rounding, overflow: Overflow, kind: type[GraphKind]
) -> Calibration[GraphKind]:
    """Return the calibration of a network; see `RealNetwork.calibrate`."""
    x = np.asarray(values, dtype=np.float64)
    if x.size == 0 or not np.all(np.isfinite(x)):
        given = "no values" if x.size == 0 else "NaN or infinity among them"
        raise SpecError("nothing to calibrate with", given=given, expected="finite values, shape (samples, *input shape)")
    found = signals(network, x)
    signed: list[bool] = []
    peaks: dict[str, Peaks] = {}
    for stage, signal in zip(network.stages, found, strict=True):
        signed.append(_signed(stage, [signed[a] for a in stage.arguments]))
        if isinstance(stage.layer, STORED):
            most = rational(float(np.abs(signal).max()))
            peaks[stage.name] = Peaks(*_parameters(stage), most, signed[-1])
    return Calibration(network, input, peaks, rounding, overflow, kind)


def _signed(stage: RealStage, arguments: list[bool]) -> bool:
    """Return whether a stage may put out something negative, given whether what it reads may."""
    match stage.layer:
        case RealDense() | RealConv2D() | Activate():
            return not isinstance(stage.layer.activation, POSITIVE)
        case Add():
            return not isinstance(sum_activation(stage.layer), POSITIVE)
        case RealInput() | RealSparse():
            return True
        case AveragePool2D() | MaxPool2D() | Flatten() | Concat():
            return any(arguments)


def _parameters(stage: RealStage) -> tuple[Fraction, Fraction]:
    """Return the greatest magnitudes of the weights and biases that a stage stores."""
    layer = stage.layer
    if not isinstance(layer, RealDense | RealConv2D):
        return Fraction(0), Fraction(0)
    return _peak(layer.kernel), Fraction(0) if layer.bias is None else _peak(layer.bias)


def _peak(values: ExactArray) -> Fraction:
    return max((abs(rational(v)) for v in values.reshape(-1).tolist()), default=Fraction(0))


def _exponent(peak: Fraction) -> int:
    """Return the least e with peak <= 2^e; 0 for 0."""
    if peak == 0:
        return 0
    e = peak.numerator.bit_length() - peak.denominator.bit_length()
    return e if peak <= Fraction(2) ** e else e + 1
