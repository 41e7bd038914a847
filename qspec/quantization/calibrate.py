"""Post-training quantisation at any number of bits: scales from the data, rounding as stated, nothing trained again.

Per channel, each output of a layer has scales of its own for its weights and for what it puts out, and each column that the network reads
has one that moves into the weights: the layer reads x · 2^-e and multiplies by w · 2^e. Biases have 32 bits at the unit of the sum to which
they are added, as converters give them, and the sums of the last layer are not rounded. Per tensor there is one scale for all weights of
a layer, one for its biases and one for what it puts out, the outputs of the network among them, all of one width.

Weights are rounded to the nearest code or, in dense layers, one after another so that sums stay near (`compensate.py`).

Magnitudes of parameters are exact; those of signals are the greatest on the calibration samples, times the headroom, so that other inputs
may saturate. Sources: dynamic fixed point by range, Courbariaux, Bengio, David 2015; biases and scales per channel, Jacob et al. 2018,
Krishnamoorthi 2018; scales that move from a signal into the weights, Nagel et al. 2019.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Any, Generic, Literal, cast

import numpy as np

from qspec.arithmetic.formats import MAX_WIDTH, Format, check_format, check_modes
from qspec.arithmetic.integers import common_unit, rational
from qspec.arithmetic.rounding import Overflow, Rounding
from qspec.errors import CalibrationWarning, SpecError
from qspec.ir.real import ExactArray
from qspec.lowering.real_evaluate import signals
from qspec.network.activations import HardSigmoid, Linear, ReLU, Sigmoid
from qspec.network.graph import Graph, GraphKind, RealGraph, Reals, RealStage
from qspec.network.layers import Add, AveragePool2D, Concat, Flatten, MaxPool2D
from qspec.network.real_layers import Activate, Exp, RealConv2D, RealDense, RealInput, RealSparse, Softmax, Softplus, sum_activation
from qspec.network.types import Type
from qspec.quantization.agreement import LEAST, DecisionAgreement, agreement
from qspec.quantization.compensate import compensated
from qspec.quantization.convert import Formats, quantized
from qspec.quantization.scales import Scales, exponent, power, unit, wide_unit, with_units

Per = Literal["channel", "tensor"]
Weights = Literal["nearest", "compensated"]
POSITIVE = ReLU | Sigmoid | HardSigmoid | Exp | Softplus | Softmax
"""Activations that are never negative: their signals need no sign."""
STORED = RealDense | RealConv2D | Activate | AveragePool2D | Add | Concat
"""Layers that round, and so have bits of their own."""
BIAS_BITS = 32
SPREAD = 8
"""A channel whose signal is smaller than the largest by more than 2^8 has the scale of one that is smaller by 2^8."""
COLUMN_SPREAD = 16
"""Weights of a column are multiplied by 2^16 at most."""
CHECKED = 1000
"""At most so many calibration samples, evenly spaced, are evaluated before a network is handed out."""


@dataclass(frozen=True, slots=True)
class CalibrationSettings:
    """How to calibrate; raises SpecError on what it does not know."""

    per: Per
    scales: Scales
    headroom: object
    rounding: Rounding
    overflow: Overflow
    weights: Weights = "nearest"

    def __post_init__(self) -> None:
        for name, known in (("per", ("channel", "tensor")), ("scales", ("fixed", "affine")), ("weights", ("nearest", "compensated"))):
            given = getattr(self, name)
            if not isinstance(given, str) or given not in known:
                raise SpecError(f"`{name}` is unknown", given=given, expected=f'"{known[0]}" or "{known[1]}"')
        if self.weights == "compensated" and self.per == "tensor":
            raise SpecError("biases of few bits compensate for nothing", given='per="tensor"', expected='per="channel"')
        check_modes(self.rounding, self.overflow)
        if rational(self.headroom) <= 0:
            raise SpecError("the headroom is not positive", given=self.headroom, expected="a positive number, such as 1 or 5/4")


@dataclass(frozen=True, slots=True)
class Peaks:
    """The greatest magnitudes of one layer by channel (or one for all), and whether what it puts out may be negative."""

    weights: tuple[Fraction, ...]
    biases: tuple[Fraction, ...]
    signals: tuple[Fraction, ...]
    signed: bool
    exact: bool
    """Whether what it puts out stays an exact sum."""
    columns: tuple[int, ...] = ()
    """By column that it reads, the e with which it reads x · 2^-e; empty if it reads all as they are."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibration(Generic[GraphKind]):
    """A real network that knows its magnitudes; call it with a number of bits, or bits by layer, to quantise it."""

    network: RealGraph
    input: Format
    peaks: Mapping[str, Peaks]
    """By layer, of those that round."""
    values: Reals
    """The calibration samples, shape (samples, *input shape)."""
    settings: CalibrationSettings
    kind: type[GraphKind]
    """The class of networks to make."""

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the layers that have bits of their own, from the input on."""
        return tuple(self.peaks)

    def __call__(self, bits: int | Mapping[str, int]) -> GraphKind:
        """Return the network in fixed point, every layer with `bits`, or each with its own; raises SpecError if a layer has none.

        Warns (`CalibrationWarning`) if fewer than 99 % of the decisions are those of the real network, on up to 1000 calibration samples.
        """
        made = self.quantized(bits)
        found = self.agreement(made)
        if found.share < LEAST:
            warnings.warn(f"{self.network.name} at {_told(bits)}: {found.sentence}", CalibrationWarning, stacklevel=2)
        return made

    def quantized(self, bits: int | Mapping[str, int]) -> GraphKind:
        """Return the same network as a call does, without looking at its decisions."""
        widths = dict(bits) if isinstance(bits, Mapping) else dict.fromkeys(self.layers, bits)
        if set(widths) != set(self.layers):
            raise SpecError("not the bits of these layers", given=sorted(widths), expected=", ".join(self.layers))
        for layer, width in widths.items():
            if isinstance(width, bool) or not isinstance(width, int) or not 2 <= width <= MAX_WIDTH:  # pyright: ignore[reportUnnecessaryIsInstance]
                raise SpecError(f"no number of bits for {layer}", given=width, expected=f"a whole number from 2 to {MAX_WIDTH}")
        unused = Formats(self.input, self.input, self.input)

        def formats(stage: RealStage, arguments: Sequence[Type]) -> Formats:
            return self._formats(stage.name, widths[stage.name], arguments) if stage.name in widths else unused

        network = self._compensated(widths) if self.settings.weights == "compensated" else self.network
        return quantized(network, formats).into(self.kind)

    def _compensated(self, widths: Mapping[str, int]) -> RealGraph:
        """Return the network with the weights of dense layers rounded so that what one of them loses others make up for."""
        found = signals(self.network, self.values[:: -(-len(self.values) // CHECKED)])
        stages = list(self.network.stages)
        for k, stage in enumerate(stages):
            layer = stage.layer
            if isinstance(layer, RealDense) and stage.name in widths:
                peak, bits = self.peaks[stage.name], widths[stage.name]
                units = np.array([float(unit(p, bits, signed=True, scales=self.settings.scales)) for p in peak.weights])
                kernel = layer.kernel.astype(np.float64)
                bias = np.zeros(kernel.shape[1]) if layer.bias is None else layer.bias.astype(np.float64)
                x = found[stage.arguments[0]].reshape(-1, kernel.shape[0])
                grown = np.ldexp(1.0, np.array(peak.columns))[:, None] if peak.columns else np.ones((kernel.shape[0], 1))
                weights, bias = compensated(kernel * grown, bias, x / grown[:, 0], units, bits)
                stages[k] = replace(stage, layer=replace(layer, kernel=weights / grown, bias=bias))
        return replace(self.network, stages=tuple(stages))

    def report(self, bits: int | Mapping[str, int], values: object = None, *, threshold: float = 0.0) -> DecisionAgreement:
        """Return how far the network at so many bits agrees with the real one, on `values` (the calibration samples if not given).

        `values` are of shape (samples, *input shape). The decision is the first greatest output or, of a single one, whether it lies above
        `threshold`. Raises ShapeError and SpecError as `RealNetwork.calibrate` does.
        """
        x = self.values if values is None else finite(values)
        return agreement(self.quantized(bits), self.network, x, threshold)

    def agreement(self, made: Graph) -> DecisionAgreement:
        """Return how far a quantised network agrees with the real one, on up to 1000 of the calibration samples, evenly spaced."""
        every = -(-len(self.values) // CHECKED)
        return agreement(made, self.network, self.values[::every])

    def _formats(self, layer: str, bits: int, arguments: Sequence[Type]) -> Formats:
        """Return the formats of a layer at so many bits, given what it reads."""
        peak = self.peaks[layer]
        made = partial(with_units, rounding=self.settings.rounding, overflow=self.settings.overflow)
        weights = [unit(p, bits, signed=True, scales=self.settings.scales) for p in peak.weights]
        if self.settings.per == "tensor":
            biases = made([unit(p, bits, signed=True, scales=self.settings.scales) for p in peak.biases], bits, True)
        else:
            read = common_unit(_read(arguments[0], peak.columns))
            sums = zip(peak.biases, weights, strict=True)
            biases = made([wide_unit(p, w * read, BIAS_BITS) for p, w in sums], BIAS_BITS, True)
        output = made([unit(p, bits, signed=peak.signed, scales=self.settings.scales) for p in peak.signals], bits, peak.signed)
        return Formats(made(weights, bits, True), biases, None if peak.exact else output, columns=peak.columns)


def calibrated(
    network: RealGraph, values: object, input: Format, settings: CalibrationSettings, kind: type[GraphKind]
) -> Calibration[GraphKind]:
    """Return the calibration of a network; see `RealNetwork.calibrate`."""
    check_format(input)
    by_channel, room = settings.per == "channel", rational(settings.headroom)
    x = finite(values)
    found = signals(network, x)
    last = _last(network) if by_channel else set[int]()
    signed: list[bool] = []
    peaks: dict[str, Peaks] = {}
    for k, (stage, signal) in enumerate(zip(network.stages, found, strict=True)):
        signed.append(_signed(stage, [signed[a] for a in stage.arguments]))
        if isinstance(stage.layer, STORED):
            own = by_channel and k not in last
            columns = _columns(network, stage) if by_channel else ()
            most = tuple(rational(float(p)) * room for p in _signal_peaks(signal, own))
            exact = k in last and _summed(stage)
            peaks[stage.name] = Peaks(*_parameters(stage, own, columns), most, signed[-1], exact, columns)
    return Calibration(network, input, peaks, x.reshape(-1, *network.inputs[0].shape), settings, kind)


def finite(values: object) -> Reals:
    """Return samples as doubles; raises SpecError if there are none, or some are not finite."""
    try:
        x = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise SpecError("nothing to calibrate with", given=repr(values), expected="numbers, shape (samples, *input shape)") from None
    if x.size == 0 or not np.all(np.isfinite(x)):
        given = "no values" if x.size == 0 else "NaN or infinity among them"
        raise SpecError("nothing to calibrate with", given=given, expected="finite values, shape (samples, *input shape)")
    return x


def kept(make: object, network: Graph) -> DecisionAgreement | None:
    """Return how far a network agrees with the real one, if a calibration made it; nothing is known of what others make."""
    return cast("Calibration[Graph]", make).agreement(network) if isinstance(make, Calibration) else None


def quietly(make: Callable[[Any], GraphKind]) -> Callable[[Any], GraphKind]:
    """Return what makes the same networks without a warning, for those who ask `kept`."""
    return cast("Calibration[GraphKind]", make).quantized if isinstance(make, Calibration) else make


def _told(bits: int | Mapping[str, int]) -> str:
    return f"{bits} bits" if isinstance(bits, int) else ", ".join(f"{name}:{b}" for name, b in bits.items()) + " bits"


def _read(argument: Type, columns: tuple[int, ...]) -> list[Fraction]:
    """Return the units of what a layer reads, its columns scaled."""
    units = argument.grid.units
    spread = units * len(columns) if columns and len(units) == 1 else units
    return [u * power(-e) for u, e in zip(spread, columns, strict=True)] if columns else list(units)


def _last(network: RealGraph) -> set[int]:
    """Return the stages whose outputs are those of the network, and so are compared with each other: they have one scale."""
    found = set(network.outputs)
    for k in range(len(network.stages) - 1, -1, -1):
        if k in found and isinstance(network.stages[k].layer, Flatten | MaxPool2D):
            found |= set(network.stages[k].arguments)
    return found


def _summed(stage: RealStage) -> bool:
    """Return whether the exact sum of a layer may be what it puts out."""
    layer = stage.layer
    if not isinstance(layer, RealDense | RealConv2D):
        return False
    return isinstance(layer.activation, Linear) or (isinstance(layer.activation, ReLU) and layer.activation.maximum is None)


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


def _signal_peaks(signal: Reals, own: bool) -> list[float]:
    """Return the greatest magnitude of a signal, shape (samples, *shape), or the one of each channel, none of them far below the others."""
    if not own:
        return [float(np.abs(signal).max())]
    peaks = np.abs(signal).reshape(-1, signal.shape[-1]).max(axis=0)
    return np.maximum(peaks, np.ldexp(peaks.max(), -SPREAD)).tolist()


def _columns(network: RealGraph, stage: RealStage) -> tuple[int, ...]:
    """Return by how many powers of two the weights of each column that a layer reads from the input grow; nothing where all are alike."""
    layer = stage.layer
    grouped = isinstance(layer, RealConv2D) and layer.groups > 1
    reads = all(isinstance(network.stages[a].layer, RealInput) for a in stage.arguments)
    if not isinstance(layer, RealDense | RealConv2D) or grouped or not reads:
        return ()
    peaks = _by_channel(np.moveaxis(layer.kernel, -2, -1))
    top = exponent(max(peaks))
    found = tuple(min(top - exponent(p), COLUMN_SPREAD) if p else 0 for p in peaks)
    return found if any(found) else ()


def _parameters(stage: RealStage, own: bool, columns: tuple[int, ...]) -> tuple[tuple[Fraction, ...], tuple[Fraction, ...]]:
    """Return the greatest magnitudes of the weights and biases that a stage stores, by channel if each has its `own` scale."""
    layer = stage.layer
    zero = (Fraction(0),)
    if not isinstance(layer, RealDense | RealConv2D):
        return zero, zero
    kernel = layer.kernel
    if columns:
        kernel = np.array([kernel[..., c, :] * _exactly(kernel, e) for c, e in enumerate(columns)])  # the column comes first: no matter
    weights = _by_channel(kernel)
    biases = [Fraction(0)] * len(weights) if layer.bias is None else [abs(rational(v)) for v in layer.bias.reshape(-1).tolist()]
    if not own:
        return (max(weights),), (max(biases),)
    top = max(weights)
    return tuple(w or top for w in weights), tuple(biases)


def _exactly(kernel: ExactArray, e: int) -> Fraction | float:
    """Return 2^e as a number that multiplies the entries of an array exactly."""
    return 2.0**e if kernel.dtype == np.float64 else power(e)


def _by_channel(kernel: ExactArray) -> list[Fraction]:
    """Return the greatest magnitude of each entry of the last axis."""
    flat = kernel.reshape(-1, kernel.shape[-1])
    if flat.dtype == np.float64:
        return [rational(float(p)) for p in np.abs(flat).max(axis=0)]
    return [max(abs(rational(v)) for v in column.tolist()) for column in flat.T]
