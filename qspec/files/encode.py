"""From a network to the document of its file: one JSON text and the arrays that it refers to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, assert_never

from qspec.arithmetic.formats import Affine, Fixed, Format, PerChannel
from qspec.arithmetic.integers import IntArray, rational
from qspec.arithmetic.tensor import Tensor
from qspec.errors import ModelFileError
from qspec.files.arrays import to_npy, type_of
from qspec.files.json_cursor import MAX_DIGITS
from qspec.network.activations import Activation, HardSigmoid, HardTanh, LeakyReLU, Linear, Lookup, ReLU, Sigmoid, Sign, Tanh
from qspec.network.graph import Graph
from qspec.network.kernel_layers import Constant, KernelLayer, Multiplier, Pad, Reinterpret, Reshape, Thresholds, Transpose
from qspec.network.layers import Add, AveragePool2D, Concat, Conv2D, Dense, Feature, Flatten, Input, Layer, MaxPool2D, Requantize
from qspec.network.shapes import pair

FORMAT = "qspec-network"
VERSION = 2
"""The newest version; networks without a semantics and without layers of kernels are written as version 1, as ever."""

Json = None | bool | int | str | list["Json"] | dict[str, "Json"]
Fields = dict[str, Json]
Arrays = dict[str, bytes]
KernelKind = Literal["Constant", "Reinterpret", "Reshape", "Transpose", "Pad", "Multiplier", "Thresholds"]
LayerKind = KernelKind | Literal["Input", "Dense", "Conv2D", "AveragePool2D", "MaxPool2D", "Flatten", "Add", "Concat", "Requantize"]
ActivationKind = Literal["Linear", "ReLU", "LeakyReLU", "Sign", "HardTanh", "HardSigmoid", "Sigmoid", "Tanh", "Lookup"]
"""What layers and activations are called in a file. A class without a name here cannot be written, and a name without a reader in `decode`
is
a type error as well."""


@dataclass(frozen=True, slots=True)
class Document:
    """A network as text and named `.npy` files; equal networks give equal bytes."""

    text: bytes
    arrays: Arrays


def encode(network: Graph) -> Document:
    """Return the document of a network; raises ModelFileError on a number too long to write."""
    arrays: Arrays = {}
    stages: list[Json] = [
        {"name": s.name, "reads": [network.stages[a].name for a in s.arguments], "layer": layer_json(s.layer, arrays)}
        for s in network.stages
    ]
    plain = network.semantics == "exact" and not any(isinstance(s.layer, KernelLayer) for s in network.stages)
    root: Json = {
        "format": FORMAT,
        "version": 1 if plain else VERSION,
        "name": network.name,
        **({} if plain else {"semantics": network.semantics}),
        "stages": stages,
        "outputs": [network.stages[o].name for o in network.outputs],
    }
    return Document(json.dumps(root, indent=1, allow_nan=False).encode("ascii"), arrays)


def layer_json(layer: Layer, arrays: Arrays) -> Json:
    """Return a layer; its arrays are added to those of the file."""
    kind, fields = _layer(layer, arrays)
    return {"kind": kind, **fields}


def _layer(layer: Layer, arrays: Arrays) -> tuple[LayerKind, Fields]:
    match layer:
        case Input():
            return "Input", {
                "shape": [*layer.shape],
                "format": _format(layer.format),
                "features": [_feature(f) for f in layer.features],
            }
        case Dense():
            return "Dense", {
                "kernel": _tensor(layer.kernel, arrays),
                "bias": _tensor(layer.bias, arrays),
                "activation": activation_json(layer.activation, arrays),
                "output": _format(layer.output),
                "accumulator": _format(layer.accumulator),
            }
        case Conv2D():
            return "Conv2D", {
                "kernel": _tensor(layer.kernel, arrays),
                "bias": _tensor(layer.bias, arrays),
                "stride": [*layer.stride],
                "padding": padding_json(layer.padding),
                "dilation": [*layer.dilation],
                "groups": layer.groups,
                "activation": activation_json(layer.activation, arrays),
                "output": _format(layer.output),
                "accumulator": _format(layer.accumulator),
            }
        case AveragePool2D():
            return "AveragePool2D", {
                "window": [*layer.window],
                "stride": [*(layer.stride or layer.window)],
                "padding": padding_json(layer.padding),
                "count_padding": layer.count_padding,
                "output": _format(layer.output),
            }
        case MaxPool2D():
            return "MaxPool2D", {
                "window": [*layer.window],
                "stride": [*(layer.stride or layer.window)],
                "padding": padding_json(layer.padding),
            }
        case Flatten():
            return "Flatten", {}
        case Add():
            return "Add", {"activation": activation_json(layer.activation, arrays), "output": _format(layer.output)}
        case Concat():
            return "Concat", {"output": _format(layer.output)}
        case Requantize():
            return "Requantize", {"output": _format(layer.output), "activation": activation_json(layer.activation, arrays)}
        case Reinterpret() | Reshape() | Transpose() | Pad() | Constant() | Multiplier() | Thresholds():
            return _kernel(layer, arrays)
        case _:
            assert_never(layer)


def _kernel(layer: KernelLayer, arrays: Arrays) -> tuple[KernelKind, Fields]:
    match layer:
        case Constant(value):
            return "Constant", {"value": _tensor(value, arrays)}
        case Reinterpret(format):
            return "Reinterpret", {"format": _format(format)}
        case Reshape(shape):
            return "Reshape", {"shape": [*shape]}
        case Transpose(axes):
            return "Transpose", {"axes": [*axes]}
        case Pad():
            return "Pad", {"before": [*layer.before], "after": [*layer.after], "code": layer.code}
        case Multiplier():
            return "Multiplier", {
                "format": _format(layer.format),
                "multiplier": [*layer.multiplier],
                "shift": [*layer.shift],
                "scaling": [s.value for s in layer.scaling],
                "lower": layer.lower,
                "upper": layer.upper,
                "left": layer.left,
            }
        case Thresholds():
            return "Thresholds", {
                "format": _format(layer.format),
                "base": [int(b) for b in layer.base],
                "thresholds": _integers(layer.thresholds, arrays),
            }
        case _:
            assert_never(layer)


def activation_json(activation: Activation, arrays: Arrays) -> Json:
    """Return an activation; its table is added to the arrays of the file."""
    kind, fields = _activation(activation, arrays)
    return {"kind": kind, **fields}


def _activation(activation: Activation, arrays: Arrays) -> tuple[ActivationKind, Fields]:
    match activation:
        case Linear():
            return "Linear", {}
        case Sign():
            return "Sign", {}
        case HardTanh():
            return "HardTanh", {}
        case ReLU(maximum):
            return "ReLU", {"maximum": None if maximum is None else exact_json(maximum)}
        case LeakyReLU(slope):
            return "LeakyReLU", {"slope": exact_json(slope)}
        case HardSigmoid(slope, offset):
            return "HardSigmoid", {"slope": exact_json(slope), "offset": exact_json(offset)}
        case Sigmoid(table):
            return "Sigmoid", {"table": _format(table)}
        case Tanh(table):
            return "Tanh", {"table": _format(table)}
        case Lookup():
            return "Lookup", {"input": _format(activation.input), "outputs": _tensor(activation.outputs, arrays)}
        case _:
            assert_never(activation)


def _format(fmt: Format | None) -> Json:
    match fmt:
        case None:
            return None
        case Fixed():
            return {
                "kind": "Fixed",
                "width": fmt.width,
                "frac": fmt.frac,
                "signed": fmt.signed,
                "rounding": fmt.rounding.value,
                "overflow": fmt.overflow.value,
            }
        case Affine():
            return {
                "kind": "Affine",
                "width": fmt.width,
                "signed": fmt.signed,
                "scale": [exact_json(s) for s in fmt.scale] if isinstance(fmt.scale, tuple) else exact_json(fmt.scale),
                "zero_point": [*fmt.zero_point] if isinstance(fmt.zero_point, tuple) else fmt.zero_point,
                "rounding": fmt.rounding.value,
                "overflow": fmt.overflow.value,
            }
        case PerChannel():
            return {"kind": "PerChannel", "formats": [_format(f) for f in fmt.formats]}
        case _:
            assert_never(fmt)


def _tensor(tensor: Tensor | None, arrays: Arrays) -> Json:
    """Store the codes as an array, or as decimal texts if int64 does not hold them."""
    if tensor is None:
        return None
    return {"format": _format(tensor.format), **_integers(tensor.codes, arrays)}


def _integers(values: IntArray, arrays: Arrays) -> dict[str, Json]:
    type_name = type_of(values)
    codes: Json
    if type_name is None:
        codes = [str(int(c)) for c in values.reshape(-1)]
    else:
        member = f"arrays/{len(arrays)}.npy"
        arrays[member] = to_npy(values, type_name)
        codes = {"member": member, "type": type_name}
    return {"shape": [*values.shape], "codes": codes}


def _feature(feature: Feature) -> Json:
    return {"name": feature.name, "lower": feature.lower, "upper": feature.upper, "categories": [*feature.categories]}


def padding_json(padding: str | tuple[object, object]) -> Json:
    """Return a padding as a word or pairs."""
    return padding if isinstance(padding, str) else [[*pair(p, "padding", least=0)] for p in padding]


def exact_json(value: Fraction) -> str:
    """Return a rational as text "p/q"; raises ModelFileError on one too long to write."""
    exact = rational(value)
    if max(exact.numerator.bit_length(), exact.denominator.bit_length()) > 3 * MAX_DIGITS:
        raise ModelFileError(
            "a number is too long to write", given=float(exact), expected=f"at most {MAX_DIGITS} digits", advice="round it"
        )
    return str(exact)
