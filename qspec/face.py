"""Networks as users hold them: graphs with the methods that apply, evaluate, convert and store them.

Everything below takes and makes plain graphs (`qspec.network`); only this module and what lies above it know these classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qspec.arithmetic.rounding import Overflow, Rounding
from qspec.errors import NetworkError
from qspec.network.graph import Graph, RealGraph, apply, real_apply
from qspec.network.layers import Input, Layer
from qspec.network.real_layers import RealInput, RealLayer

if TYPE_CHECKING:
    from os import PathLike

    from qspec.arithmetic.formats import Fixed, Format
    from qspec.arithmetic.integers import IntArray
    from qspec.ir.real import ExactArray
    from qspec.language.expressions import Operand
    from qspec.language.perturbation import PerturbedNetwork
    from qspec.language.real_perturbation import PerturbedRealNetwork, Rounded
    from qspec.language.variables import Output, RealOutput, RealVariable, Tap, Variable
    from qspec.network.graph import Reals, RealStage
    from qspec.quantization.calibrate import Calibration, Per, Weights
    from qspec.quantization.scales import Scales


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Network(Graph):
    """A quantised network: stages in topological order. Made by `Network.of` or `Sequential`; immutable.

    Raises NetworkError if there is no input, two inputs share a name, or a stage reads a later one.
    """

    def input(self, name: str, *, of: str | None = None, lower: object = None, upper: object = None) -> Variable:
        """Return a variable called `name` over every code of the input (called `of` if there are several), narrowed to codes lower..upper.

        Raises SpecError on an empty domain.
        """
        from qspec.language.inputs import input_variable

        return input_variable(self, name, of=of, lower=lower, upper=upper)

    def __call__(self, *arguments: Operand) -> Output:
        """Return the symbolic output for one value per input (the first output; `outputs_of` gives all)."""
        return self.outputs_of(*arguments)[0]

    def outputs_of(self, *arguments: Operand) -> tuple[Output, ...]:
        """Return every symbolic output for one value per input."""
        from qspec.language.inputs import apply_network, output

        application = apply_network(self, arguments, {})
        return tuple(output(application, k) for k in range(len(self.outputs)))

    def signal(self, *arguments: Operand, layer: str, tap: Tap = "output") -> Output:
        """Return the symbolic signal of an inner layer.

        `tap` is its "output", the exact "accumulator", the declared accumulator "held" before it overflows, or the "rounded" output code
        before it overflows.
        """
        from qspec.language.inputs import apply_network, output

        return output(apply_network(self, arguments, {})).layer(layer, tap)

    def evaluate(self, codes: object) -> IntArray:
        """Return the output codes for input codes of shape (..., *input shape), exactly, by the reference integers."""
        from qspec.lowering.evaluate import evaluate

        return evaluate(self, codes)

    def summary(self) -> str:
        """Return a table of the layers: name, kind, shape, format, parameters, accumulator width."""
        from qspec.lowering.summary import summary

        return summary(self)

    def _repr_html_(self) -> str:
        from qspec.support.notebook import text

        return text(self.summary())

    def real(self) -> RealNetwork:
        """Return the real-valued network that this one approximates: the same parameters, without rounding and saturation of signals.

        Raises UnsupportedError if an activation is a table, which has no real counterpart.
        """
        from qspec.quantization.convert import to_real

        return to_real(self).into(RealNetwork)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the network to a file (see `qspec.files.qspec_file`); raises ModelFileError if that fails."""
        from qspec.files.qspec_file import save

        save(self, path)

    def perturb(self, *, weights: int = 0, biases: int = 0, layers: Sequence[str] | None = None) -> PerturbedNetwork:
        """Return this network with stored codes free within ± so many LSB (cut to their format), in the named layers or in all.

        The freed parameters become variables of the specification. Raises NetworkError on negative or vacuous perturbations.
        """
        from qspec.language.perturbation import perturb

        return perturb(self, weights, biases, layers)

    def flip_bits(self, count: int = 1, *, layers: Sequence[str] | None = None) -> PerturbedNetwork:
        """Return this network with at most `count` bits of its stored parameters flipped, anywhere in the named layers or in all."""
        from qspec.language.perturbation import flip_bits

        return flip_bits(self, count, layers)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RealNetwork(RealGraph):
    """A real network: stages in topological order. Made by `RealNetwork.of`, `RealSequential` or `Network.real`; immutable.

    Its meaning is exact: the stored numbers are what they are, and sums, products and functions are those of the reals. Raises NetworkError
    if there is no input or two stages share a name.
    """

    def input(self, name: str, *, lower: object = None, upper: object = None, of: str | None = None) -> RealVariable:
        """Return a variable called `name` over the closed box lower..upper of the input (called `of` if there are several).

        `lower` and `upper` are exact numbers, one for all elements or an array. Raises SpecError if the box is unbounded or empty.
        """
        from qspec.language.real_inputs import real_input_variable

        return real_input_variable(self, name, of=of, lower=lower, upper=upper)

    def __call__(self, *arguments: Operand) -> RealOutput:
        """Return the symbolic output for one value per input (the first output; `outputs_of` gives all)."""
        return self.outputs_of(*arguments)[0]

    def outputs_of(self, *arguments: Operand) -> tuple[RealOutput, ...]:
        """Return every symbolic output for one value per input."""
        from qspec.language.real_inputs import apply_real, real_output

        application = apply_real(self, arguments, {})
        return tuple(real_output(application, k) for k in range(len(self.outputs)))

    def signal(self, *arguments: Operand, layer: str) -> RealOutput:
        """Return the symbolic signal of an inner layer."""
        from qspec.language.real_inputs import apply_real, real_output

        return real_output(apply_real(self, arguments, {})).layer(layer)

    def evaluate(self, values: object) -> Reals:
        """Return the first output in doubles, shape (..., *output shape), for input values of shape (..., *input shape); for looking at."""
        from qspec.lowering.real_evaluate import evaluate

        return evaluate(self, values)

    def enclose(self, values: object, *, digits: int = 24) -> tuple[ExactArray, ExactArray]:
        """Return exact rationals below and above the first output for exact values of the one input; equal where it is rational."""
        from qspec.lowering.real_layers import enclose

        return enclose(self, values, digits)

    def summary(self) -> str:
        """Return a table of the layers: name, kind, what they read, shape, parameters."""
        from qspec.lowering.summary import real_summary

        return real_summary(self)

    def _repr_html_(self) -> str:
        from qspec.support.notebook import text

        return text(self.summary())

    def perturb(
        self,
        *,
        rho: object = None,
        relative: bool = False,
        bits: int | None = None,
        rounding: Rounded = "nearest",
        layers: Sequence[str] | None = None,
        weights: bool = True,
        biases: bool = True,
    ) -> PerturbedRealNetwork:
        """Return this network with parameters free within ± `rho`, or ± `rho` times their magnitude if `relative`.

        `bits` stands for quantisation to so many fraction bits: rho is 2^-(bits + 1) for rounding to "nearest", 2^-bits for "truncate".
        The freed parameters become variables of the specification. Raises NetworkError if nothing is perturbed.
        """
        from qspec.language.real_perturbation import perturb, radius

        return perturb(self, radius(rho, bits, rounding), relative=relative, layers=layers, weights=weights, biases=biases)

    def quantize(
        self,
        *,
        input: Format,
        weights: Format,
        activations: Format,
        biases: Format | None = None,
        output: Format | None = None,
        accumulator: Fixed | None = None,
    ) -> Network:
        """Return a fixed-point network with the same layers: parameters rounded once, signals rounded as their formats state.

        `biases` are as `weights` and `output`, of layers that are outputs, as `activations` if not given. Each format states its rounding
        and overflow. Raises UnsupportedError on softplus, exp and softmax, which have no fixed-point layer.
        """
        from qspec.quantization.convert import Formats, quantized

        ends = {self.stages[k].name for k in self.outputs}

        def formats(stage: RealStage, _: object) -> Formats:
            signal = input if isinstance(stage.layer, RealInput) else (output or activations) if stage.name in ends else activations
            return Formats(weights, biases or weights, signal, accumulator)

        return quantized(self, formats).into(Network)

    def calibrate(
        self,
        values: object,
        *,
        input: Format,
        per: Per = "channel",
        scales: Scales = "fixed",
        headroom: object = 1,
        rounding: Rounding = Rounding.RND,
        overflow: Overflow = Overflow.SAT,
        weights: Weights = "nearest",
    ) -> Calibration[Network]:
        """Return what quantises this network to any number of bits: scales that suit its parameters, and its signals on `values`.

        `values` are of shape (samples, *input shape), as for `evaluate`; `input` is the format of the input at every width. `per` "channel"
        gives each output of a layer and each input column a scale of its own, biases 32 bits, and leaves the last sums exact; per "tensor"
        one scale holds for all weights of a layer, and everything has as many bits. `scales` are powers of two ("fixed") or any ("affine").
        Signals may be `headroom` times as great as on `values`. `weights` are rounded to the nearest code, or, in dense layers, one after
        another, each making up on `values` for what those before it lost ("compensated"). Raises ShapeError if values do not fit,
        FormatError on no format, and SpecError on other malformed arguments. See `qspec.quantization.calibrate`.
        """
        from qspec.quantization.calibrate import CalibrationSettings, calibrated

        return calibrated(self, values, input, CalibrationSettings(per, scales, headroom, rounding, overflow, weights), Network)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the network to a file (see `qspec.files.real_file`); raises ModelFileError if that fails."""
        from qspec.files.real_file import save

        save(self, path)


def Sequential(*layers: Layer, name: str = "network") -> Network:
    """Return the network that applies layers one after the other; the first is an Input."""
    if not layers or not isinstance(layers[0], Input):
        raise NetworkError(
            "a sequential network begins with an Input", given=type(layers[0]).__name__ if layers else "nothing", expected="Input"
        )
    signal = apply(layers[0])
    for layer in layers[1:]:
        signal = apply(layer, signal)
    return Network.of(signal, name=name)


def RealSequential(*layers: RealLayer, name: str = "network") -> RealNetwork:
    """Return the real network that applies layers one after the other; the first is a RealInput."""
    if not layers or not isinstance(layers[0], RealInput):
        raise NetworkError(
            "a sequential network begins with an input", given=type(layers[0]).__name__ if layers else "nothing", expected="RealInput"
        )
    signal = real_apply(layers[0])
    for layer in layers[1:]:
        signal = real_apply(layer, signal)
    return RealNetwork.of(signal, name=name)
