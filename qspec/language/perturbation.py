"""Networks whose stored parameters are variables: perturbed by some LSB, or with bits flipped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from qspec.arithmetic.formats import Grid, PerChannel, code_range
from qspec.arithmetic.integers import IntArray, integers, widen
from qspec.arithmetic.tensor import Tensor
from qspec.errors import NetworkError
from qspec.language.domains import AtMost, VariableDomain, box
from qspec.language.expressions import Expression, Operand, Reduce
from qspec.language.inputs import apply_network, input_variable, output
from qspec.language.variables import Output, Tap, Variable
from qspec.lowering.layers import ParameterName
from qspec.network.graph import Graph
from qspec.network.layers import Conv2D, Dense
from qspec.network.types import Type
from qspec.support import checks


@dataclass(frozen=True, slots=True, eq=False)
class PerturbedNetwork:
    """A network some of whose parameter codes are expressions over `parameters`, the variables to quantify."""

    network: Graph
    parameters: tuple[Variable, ...]
    codes: tuple[tuple[ParameterName, Expression], ...]

    def __call__(self, *arguments: Operand) -> Output:
        """Return the symbolic output of the perturbed network."""
        return output(apply_network(self.network, arguments, dict(self.codes)))

    def signal(self, *arguments: Operand, layer: str, tap: Tap = "output") -> Output:
        """Return the symbolic signal of an inner layer of the perturbed network."""
        return output(apply_network(self.network, arguments, dict(self.codes))).layer(layer, tap)

    def input(self, name: str, *, of: str | None = None, lower: object = None, upper: object = None) -> Variable:
        """Return a variable over the input, as `Network.input` does."""
        return input_variable(self.network, name, of=of, lower=lower, upper=upper)


def stored_parameters(network: Graph, layers: Sequence[str] | None = None) -> dict[ParameterName, Tensor]:
    """Return the stored tensors of the named layers, or of all; raises NetworkError on a layer that stores nothing, or if none is named."""
    found: dict[ParameterName, Tensor] = {}
    for stage in network.stages if layers is None else [network.stage(n) for n in checks.names(layers, "layers")]:
        if isinstance(stage.layer, Dense | Conv2D):
            found[stage.name, "kernel"] = stage.layer.kernel
            if stage.layer.bias is not None:
                found[stage.name, "bias"] = stage.layer.bias
        elif layers is not None:
            raise NetworkError("this layer stores no parameters", given=stage.name, expected="a Dense or Conv2D layer")
    if layers is not None and not found:
        given = f"layers={list(layers)!r}"
        raise NetworkError("no stored parameters are chosen", given=given, expected="at least one Dense or Conv2D layer")
    return found


def perturb(network: Graph, weights: int, biases: int, layers: Sequence[str] | None) -> PerturbedNetwork:
    """Return the network with codes free within ± `weights` LSB (kernels) and ± `biases` LSB, cut to their formats."""
    weights, biases = (checks.integer(n, f"`{name}`, a number of LSB,") for name, n in (("weights", weights), ("biases", biases)))
    if weights < 0 or biases < 0 or weights == biases == 0:
        raise NetworkError(
            "nothing is perturbed", given=f"weights={weights}, biases={biases}", expected="whole numbers, at least one positive"
        )
    variables: list[Variable] = []
    codes: list[tuple[ParameterName, Expression]] = []
    for (stage, kind), tensor in stored_parameters(network, layers).items():
        radius = weights if kind == "kernel" else biases
        if radius == 0:
            continue
        low, high = code_range(tensor.format, tensor.shape)
        centre = widen(tensor.codes.reshape(-1), 1 << 64)
        domain = box(np.maximum(low, centre - radius), np.minimum(high, centre + radius))
        v = Variable(f"{stage}.{kind}", Type(tensor.shape, tensor.format.grid()), domain)
        variables.append(v)
        codes.append(((stage, kind), v))
    if not variables:
        raise NetworkError("nothing to perturb", given=f"weights={weights}, biases={biases}", expected="Dense or Conv2D layers")
    return PerturbedNetwork(network, tuple(variables), tuple(codes))


def flip_bits(network: Graph, count: int, layers: Sequence[str] | None) -> PerturbedNetwork:
    """Return the network with at most `count` stored bits flipped; one variable, `flips`, has a 1 for each flipped bit."""
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise NetworkError("nothing is flipped", given=count, expected="count >= 1")
    stored = stored_parameters(network, layers)
    effects = {key: flip_effects(t) for key, t in stored.items()}
    total = sum(e.size for e in effects.values())
    if total == 0:
        raise NetworkError("the network stores no parameters", given=network.name, expected="a Dense or Conv2D layer")
    flips = Variable("flips", Type((total,), Grid((Fraction(1),), (0,))), VariableDomain(total, (AtMost("at", np.arange(total), count),)))
    codes: list[tuple[ParameterName, Expression]] = []
    start = 0
    for key, effect in effects.items():
        own = flips.code[start : start + effect.size].reshape(*effect.shape)
        codes.append((key, Reduce(own * effect, "sum") + stored[key].codes.reshape(-1)))
        start += effect.size
    return PerturbedNetwork(network, (flips,), tuple(codes))


def flip_effects(tensor: Tensor) -> IntArray:
    """Return how much each code changes when each of its bits flips, shape (codes, bits).

    The top bit of a signed code weighs negatively.
    """
    parts = tensor.format.formats if isinstance(tensor.format, PerChannel) else (tensor.format,)
    if len({(p.width, p.signed) for p in parts}) > 1:
        raise NetworkError("bit flips need one width and sign per tensor", given=[str(p) for p in parts], expected="alike channels")
    width, signed = parts[0].width, parts[0].signed
    place = integers([1 << k for k in range(width)])
    if signed:
        place[-1] = -place[-1]
    set_bits = (tensor.codes.reshape(-1)[:, None] >> np.arange(width)) & 1
    return place * (1 - 2 * set_bits)
