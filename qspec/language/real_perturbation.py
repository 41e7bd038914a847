"""Real networks whose stored parameters are variables in boxes: perturbed by an absolute or relative amount, or by quantisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from qspec.arithmetic.integers import rational
from qspec.errors import NetworkError
from qspec.ir.real import ExactArray, exact, fractions
from qspec.language.expressions import Expression, Operand
from qspec.language.real_inputs import apply_real, real_input_variable, real_output, real_variable
from qspec.language.variables import RealOutput, RealVariable
from qspec.network.graph import RealGraph
from qspec.network.real_layers import RealConv2D, RealDense
from qspec.support import checks

Rounded = Literal["nearest", "truncate"]
ParameterName = tuple[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class PerturbedRealNetwork:
    """A real network some of whose parameters are `parameters`, the variables to quantify."""

    network: RealGraph
    parameters: tuple[RealVariable, ...]
    values: tuple[tuple[ParameterName, Expression], ...]

    def __call__(self, *arguments: Operand) -> RealOutput:
        """Return the symbolic output of the perturbed network."""
        return real_output(apply_real(self.network, arguments, dict(self.values)))

    def unchanged(self, *arguments: Operand) -> RealOutput:
        """Return the symbolic output of the network as it is stored."""
        return real_output(apply_real(self.network, arguments, {}))

    def signal(self, *arguments: Operand, layer: str) -> RealOutput:
        """Return the symbolic signal of an inner layer of the perturbed network."""
        return real_output(apply_real(self.network, arguments, dict(self.values))).layer(layer)

    def input(self, name: str, *, lower: object = None, upper: object = None, of: str | None = None) -> RealVariable:
        """Return a variable over a closed box of the input, as `RealNetwork.input` does."""
        return real_input_variable(self.network, name, of=of, lower=lower, upper=upper)


def radius(rho: object, bits: int | None, rounding: Rounded) -> Fraction:
    """Return by how much parameters may differ: `rho`, or what rounding to so many fraction bits changes at most.

    Rounding to nearest changes a number by 2^-(bits + 1) at most, truncation by less than 2^-bits. Raises NetworkError unless exactly one
    of the two is given.
    """
    if (rho is None) == (bits is None) or not isinstance(rounding, str) or rounding not in ("nearest", "truncate"):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise NetworkError(
            "by how much are parameters perturbed?",
            given=f"rho={rho}, bits={bits}, rounding={rounding!r}",
            expected='either rho=…, or bits=… with rounding="nearest" or "truncate"',
        )
    if bits is not None:
        if not isinstance(bits, int) or isinstance(bits, bool) or abs(bits) > 1024:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise NetworkError("number of fraction bits out of range", given=bits, expected="an integer from -1024 to 1024")
        return Fraction(2) ** -(bits + 1 if rounding == "nearest" else bits)
    return rational(rho)


def stored(network: RealGraph, layers: Sequence[str] | None = None) -> dict[ParameterName, ExactArray]:
    """Return the stored arrays of the named layers, or of all; raises NetworkError on a layer that stores nothing."""
    found: dict[ParameterName, ExactArray] = {}
    for stage in network.stages if layers is None else [network.stage(n) for n in checks.names(layers, "layers")]:
        if isinstance(stage.layer, RealDense | RealConv2D):
            found[stage.name, "kernel"] = stage.layer.kernel
            if stage.layer.bias is not None:
                found[stage.name, "bias"] = stage.layer.bias
        elif layers is not None:
            raise NetworkError("this layer stores no parameters", given=stage.name, expected="a RealDense or RealConv2D layer")
    return found


def perturb(
    network: RealGraph, rho: Fraction, *, relative: bool, layers: Sequence[str] | None, weights: bool, biases: bool
) -> PerturbedRealNetwork:
    """Return the network with parameters free within ± rho, or ± rho times their magnitude; raises NetworkError if none is."""
    for name, value in (("relative", relative), ("weights", weights), ("biases", biases)):
        checks.flag(value, name)
    if rho < 0:
        raise NetworkError("a negative perturbation", given=str(rho), expected="rho >= 0")
    variables: list[RealVariable] = []
    values: list[tuple[ParameterName, Expression]] = []
    for (stage, kind), array in stored(network, layers).items():
        if weights if kind == "kernel" else biases:
            centre = fractions(array)
            reach = np.abs(centre) * rho if relative else rho
            v = real_variable(f"{stage}.{kind}", array.shape, exact(centre - reach), exact(centre + reach))
            variables.append(v)
            values.append(((stage, kind), v))
    if not variables:
        raise NetworkError("nothing to perturb", given=f"weights={weights}, biases={biases}", expected="RealDense or RealConv2D layers")
    return PerturbedRealNetwork(network, tuple(variables), tuple(values))
