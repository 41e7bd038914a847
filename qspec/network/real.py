"""Real networks: directed acyclic graphs of layers with exact numbers as parameters, whose signals are reals, never rounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from qspec.errors import NetworkError
from qspec.network.expect import expect
from qspec.network.graph import in_order, layer_names, signal_key
from qspec.network.real_layers import RealInput, RealLayer, real_shape
from qspec.rounding import Overflow, Rounding

if TYPE_CHECKING:
    from os import PathLike

    from qspec.formats import Fixed, Format
    from qspec.language.expressions import Operand
    from qspec.language.real_expressions import RealOutput, RealVariable
    from qspec.network.calibrate import Calibration
    from qspec.network.graph import Network
    from qspec.network.real_perturb import PerturbedRealNetwork, Rounded
    from qspec.reals.ir import ExactArray

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class RealSignal:
    """What a layer of a real network puts out. Made by `real_apply(layer, …)`."""

    layer: RealLayer
    arguments: tuple[RealSignal, ...]
    shape: tuple[int, ...]


def real_apply(layer: RealLayer, *arguments: RealSignal | RealInput) -> RealSignal:
    """Put a layer on signals; shapes are checked here. A RealInput may stand for its own signal.

    Raises ShapeError or NetworkError if they do not fit.
    """
    signals = tuple(a if isinstance(a, RealSignal) else real_apply(a) for a in arguments)
    return RealSignal(layer, signals, real_shape(layer, [s.shape for s in signals]))


@dataclass(frozen=True, slots=True, eq=False)
class RealStage:
    """One layer in its place: its unique name, the positions of the stages it reads, and the shape of its result."""

    name: str
    layer: RealLayer
    arguments: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class RealNetwork:
    """A real network: stages in topological order. Made by `RealNetwork.of`, `RealSequential` or `Network.real`; immutable.

    Its meaning is exact: the stored numbers are what they are, and sums, products and functions are those of the reals. Raises NetworkError
    if there is no input or two stages share a name.
    """

    stages: tuple[RealStage, ...]
    outputs: tuple[int, ...]
    name: str = "network"

    def __post_init__(self) -> None:
        expect(self.name, str, "the name of a network", "a text")
        names = [s.name for s in self.stages]
        if len(set(names)) != len(names):
            raise NetworkError("two layers have one name", given=names, expected="distinct names", advice="give each layer a `name`")
        if not self.inputs:
            raise NetworkError("a network needs an input", given=names, expected="at least one RealInput layer")
        if not self.outputs:
            raise NetworkError("a network needs an output", given=self.outputs, expected="positions of its stages")

    @classmethod
    def of(cls, outputs: RealSignal | Sequence[RealSignal], *, name: str = "network") -> RealNetwork:
        """Collect the network that computes these signals; a RealInput that stands for several signals is one input."""
        wanted = [outputs] if isinstance(outputs, RealSignal) else list(outputs)
        for signal in wanted:
            expect(signal, RealSignal, "an output", "a signal", advice="signal = qs.real_apply(layer, …)")
        order = in_order(wanted)
        position = {signal_key(s): k for k, s in enumerate(order)}
        stages = tuple(
            RealStage(n, s.layer, tuple(position[signal_key(a)] for a in s.arguments), s.shape)
            for n, s in zip(layer_names([s.layer for s in order]), order, strict=True)
        )
        return cls(stages, tuple(position[signal_key(s)] for s in wanted), name)

    @property
    def inputs(self) -> tuple[RealStage, ...]:
        return tuple(s for s in self.stages if isinstance(s.layer, RealInput))

    def stage(self, name: str) -> RealStage:
        """Return the stage of this name; raises NetworkError if there is none."""
        for s in self.stages:
            if s.name == name:
                return s
        raise NetworkError("no such layer", given=name, expected=", ".join(s.name for s in self.stages))

    def renamed(self, name: str) -> RealNetwork:
        """Return the same network under another name."""
        return replace(self, name=name)

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
        from qspec.language.real_inputs import apply_real, real_signal

        return real_signal(apply_real(self, arguments, {}), layer)

    def evaluate(self, values: object) -> Reals:
        """Return the first output in doubles, shape (..., *output shape), for input values of shape (..., *input shape); for looking at."""
        from qspec.network.real_evaluate import evaluate

        return evaluate(self, values)

    def enclose(self, values: object, *, digits: int = 24) -> tuple[ExactArray, ExactArray]:
        """Return exact rationals below and above the first output for exact values of the one input; equal where it is rational."""
        from qspec.reals.lower import enclose

        return enclose(self, values, digits)

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
        from qspec.network.real_perturb import perturb, radius

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
        from qspec.network.convert import Formats, quantized

        ends = {self.stages[k].name for k in self.outputs}

        def formats(stage: RealStage) -> Formats:
            signal = input if isinstance(stage.layer, RealInput) else (output or activations) if stage.name in ends else activations
            return Formats(weights, biases or weights, signal, accumulator)

        return quantized(self, formats)

    def calibrate(
        self, values: object, *, input: Format, rounding: Rounding = Rounding.RND, overflow: Overflow = Overflow.SAT
    ) -> Calibration:
        """Return what quantises this network to any number of bits: binary points that suit its parameters, and its signals on `values`.

        `values` are of shape (samples, *input shape), as for `evaluate`; `input` is the format of the input at every width. Raises
        ShapeError if they do not fit, and SpecError if there are none or some are not finite. See `qspec.network.calibrate`.
        """
        from qspec.network.calibrate import calibrated

        return calibrated(self, values, input, rounding, overflow)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the network to a file (see `qspec.network.real_file`); raises ModelFileError if that fails."""
        from qspec.network.real_file import save

        save(self, path)


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
