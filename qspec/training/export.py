"""From trained values to a qspec network, with proof that nothing was rounded on the way."""

from __future__ import annotations

from typing import assert_never

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.formats import Fixed
from qspec.arithmetic.integers import IntArray
from qspec.arithmetic.tensor import Tensor
from qspec.errors import InternalError
from qspec.evaluate import device
from qspec.evaluate.jax import compile_program
from qspec.face import Network, Sequential
from qspec.lowering.evaluate import program
from qspec.network.activations import Linear, ReLU
from qspec.network.layers import Conv2D, Feature, Flatten, Input
from qspec.network.layers import Dense as DenseLayer
from qspec.network.layers import Layer as NetworkLayer
from qspec.training.layers import Architecture, Conv, Dense, Parameters, by_windows, forward, output_shape

SINGLE, DOUBLE = 2**24, 2**53
"""Whole numbers up to here are exact in float32 and float64, and so are sums in any order as long as no partial sum exceeds it."""
AT_ONCE = 1000


def network(architecture: Architecture, values: Parameters, name: str = "", features: tuple[Feature, ...] = ()) -> Network:
    """Return the integer network that stores these values; raises FormatError if one of them is no code of its format."""
    shape = architecture.shape
    layers: list[NetworkLayer] = [Input(shape, architecture.input, features=features)]
    for layer, p in zip(architecture.layers, values, strict=True):
        kernel, bias = tensor(p["kernel"], layer.kernel), tensor(p["bias"], layer.bias)
        activation = ReLU() if layer.output is not None and not layer.output.signed else Linear()
        match layer:
            case Dense():
                if len(shape) > 1:
                    layers.append(Flatten())
                layers.append(DenseLayer(kernel, bias, activation, layer.output))
            case Conv(size=_, stride=stride, ring=ring):
                around = ((ring, ring), (ring, ring))
                layers.append(Conv2D(kernel, bias, (stride, stride), around, activation=activation, output=layer.output))
            case _:
                assert_never(layer)
        shape = output_shape(layer, shape)
    return Sequential(*layers, name=name)


def tensor(values: object, fmt: Fixed) -> Tensor:
    """Return values as codes; raises FormatError if one is between two codes."""
    return Tensor(np.asarray(values, dtype=np.float64) * 2.0**fmt.frac, fmt)


def checked(architecture: Architecture, values: Parameters, made: Network, codes: IntArray) -> IntArray:
    """Return the output codes of the integer network, shape (samples, outputs); raises InternalError unless training saw the very same.

    The training graph is evaluated in float32 if all of its sums are proved to be exact there, else in float64.
    """
    width = float_width(architecture, values)
    integer, taps = program(made)
    nodes = compile_program(integer, [taps[made.stages[made.outputs[0]].name].output])
    own = nodes({made.inputs[0].name: codes.reshape(len(codes), -1)})[0]
    unit = float(made.output_types[0].grid.units[0])
    differing = 0
    for first in range(0, len(codes), AT_ONCE):
        seen = _outputs(architecture, values, codes[first : first + AT_ONCE], width)
        differing += int(np.sum(own[first : first + AT_ONCE] * unit != seen))
    if differing:
        raise InternalError("the integer network differs from the trained one", given=f"{differing} outputs", expected="none")
    return own


def _outputs(architecture: Architecture, values: Parameters, codes: IntArray, width: npt.DTypeLike) -> npt.NDArray[np.float64]:
    with device.wide():
        exact = [{name: device.array(np.asarray(a), width) for name, a in p.items()} for p in values]
        x = device.array(codes * 2.0**-architecture.input.frac, width)
        return np.asarray(forward(architecture.layers, exact, x, convolve=by_windows), dtype=np.float64)


def float_width(architecture: Architecture, values: Parameters) -> npt.DTypeLike:
    """Return the narrowest float in which every sum of every layer is exact for all input codes; raises InternalError if none is.

    A sum is exact in any order if its terms, taken absolute and in units of the last place, add up to less than 2^24 (2^53).
    """
    most, fmt = 0.0, architecture.input
    for layer, p in zip(architecture.layers, values, strict=True):
        kernel, bias = np.asarray(p["kernel"], dtype=np.float64), np.asarray(p["bias"], dtype=np.float64)
        weight = np.abs(kernel).reshape(-1, layer.units).sum(axis=0).max()
        largest = weight * max(fmt.upper, -fmt.lower) * 2.0**-fmt.frac + np.abs(bias).max()
        places = max(fmt.frac + layer.kernel.frac, layer.bias.frac, 0 if layer.output is None else layer.output.frac + 1)
        most = max(most, largest * 2.0**places)
        fmt = layer.output or fmt
    if most >= DOUBLE:
        raise InternalError("a sum may not be exact in float64", given=most, expected=f"below {DOUBLE}")
    return np.float32 if most < SINGLE else np.float64
