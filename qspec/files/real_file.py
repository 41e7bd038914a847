"""The file format of real networks: the archive of quantised ones, with one JSON text in which every parameter is an exact number "p/q"."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.errors import ModelFileError
from qspec.files import decode as quantised
from qspec.files.decode import located, padding_of, pair_of, plain_activation, position_of, shape_of
from qspec.files.encode import Json, activation_json, exact_json, layer_json, padding_json
from qspec.files.json_cursor import Cursor
from qspec.files.qspec_file import DESCRIPTION, read_members, write_members
from qspec.ir.real import ExactArray, exact, fractions
from qspec.network.graph import RealGraph, RealStage
from qspec.network.layers import Add, AveragePool2D, Concat, Flatten, MaxPool2D
from qspec.network.real_layers import (
    Activate,
    Exp,
    RealActivation,
    RealConv2D,
    RealDense,
    RealInput,
    RealLayer,
    RealSparse,
    Softmax,
    Softplus,
    real_shape,
)

FORMAT = "qspec-real-network"
VERSION = 2


def save(network: RealGraph, path: str | os.PathLike[str]) -> None:
    """Write a real network to a file, atomically; raises ModelFileError if that fails."""
    root: Json = {
        "format": FORMAT,
        "version": VERSION,
        "name": network.name,
        "stages": [
            {"name": s.name, "reads": [network.stages[a].name for a in s.arguments], "layer": _layer(s.layer)} for s in network.stages
        ],
        "outputs": [network.stages[o].name for o in network.outputs],
        "elements": None if network.elements is None else [[int(k) for k in order] for order in network.elements],
    }
    write_members({DESCRIPTION: json.dumps(root, indent=1, allow_nan=False).encode("ascii")}, path)


def read_real(path: str | os.PathLike[str]) -> RealGraph:
    """Return the real network in a file; raises ModelFileError on anything but a complete, consistent one."""
    return read_members(path, decode)


def _layer(layer: RealLayer) -> Json:
    match layer:
        case RealInput(shape):
            return {"kind": "Input", "shape": [*shape]}
        case RealDense():
            return {
                "kind": "Dense",
                "kernel": _numbers(layer.kernel),
                "bias": _numbers(layer.bias),
                "activation": _activation(layer.activation),
            }
        case RealConv2D():
            return {
                "kind": "Conv2D",
                "kernel": _numbers(layer.kernel),
                "bias": _numbers(layer.bias),
                "stride": [*layer.stride],
                "padding": padding_json(layer.padding),
                "dilation": [*layer.dilation],
                "groups": layer.groups,
                "activation": _activation(layer.activation),
            }
        case RealSparse():
            return {
                "kind": "Sparse",
                "shape": [*layer.shape],
                "rows": [int(r) for r in layer.rows],
                "columns": [int(c) for c in layer.columns],
                "coefficients": [exact_json(v) for v in fractions(layer.coefficients).flat],
                "bias": _numbers(layer.bias),
            }
        case Activate():
            return {"kind": "Activate", "activation": _activation(layer.activation)}
        case AveragePool2D() | MaxPool2D() | Flatten() | Add() | Concat():
            return layer_json(layer, {})
        case _:
            assert_never(layer)


def _activation(activation: RealActivation) -> Json:
    return {"kind": type(activation).__name__} if isinstance(activation, Softplus | Exp | Softmax) else activation_json(activation, {})


def _numbers(array: ExactArray | None) -> Json:
    return None if array is None else {"shape": [*array.shape], "values": [exact_json(v) for v in fractions(array).flat]}


def decode(root: Cursor, arrays: Mapping[str, bytes]) -> RealGraph:
    """Return the network of a document; raises ModelFileError on anything that is missing, superfluous or inconsistent."""
    if root.at("format").value != FORMAT:
        root.at("format").fail("not a real network", repr(FORMAT), advice="qs.load reads both kinds")
    version = root.at("version").whole()
    if version not in (1, VERSION):
        root.at("version").fail("unknown version of the file format", f"1 or {VERSION}", advice="upgrade qspec")
    if arrays:
        raise ModelFileError("members that nothing refers to", given=sorted(arrays), expected=DESCRIPTION)
    document = root.fields("format", "version", "name", "stages", "outputs", *(["elements"] if version > 1 else []))
    stages: list[RealStage] = []
    positions: dict[str, int] = {}
    for cursor in document["stages"].items():
        stage = located(cursor, lambda c: _stage(c, stages, positions))
        positions[stage.name] = len(stages)
        stages.append(stage)
    outputs = tuple(position_of(c, positions) for c in document["outputs"].items())
    network = located(root, lambda _: RealGraph(tuple(stages), outputs, document["name"].text()))
    return replace(network, elements=document["elements"].optional(lambda c: _elements(c, network))) if version > 1 else network


def _elements(cursor: Cursor, network: RealGraph) -> tuple[IntArray, IntArray]:
    sides = cursor.items()
    sizes = [network.inputs[0].size, network.stages[network.outputs[0]].size]
    if len(sides) != 2 or len(network.inputs) != 1 or len(network.outputs) != 1:
        cursor.fail("orders of elements that are not those of one input and one output", "two lists of positions")
    orders = [[c.whole() for c in side.items()] for side in sides]
    if any(sorted(order) != list(range(size)) for order, size in zip(orders, sizes, strict=True)):
        cursor.fail("elements that are not each in one place", f"the positions 0 to {sizes[0] - 1}, and 0 to {sizes[1] - 1}, in any order")
    return np.array(orders[0], dtype=np.int64), np.array(orders[1], dtype=np.int64)


def _stage(cursor: Cursor, stages: list[RealStage], positions: Mapping[str, int]) -> RealStage:
    f = cursor.fields("name", "reads", "layer")
    name = f["name"].text()
    if not name or name in positions:
        f["name"].fail("a stage needs a name of its own", "distinct texts that are not empty")
    arguments = tuple(position_of(c, positions) for c in f["reads"].items())
    layer = f["layer"].kind(LAYERS)(f["layer"], name)
    return RealStage(name, layer, arguments, real_shape(layer, [stages[a].shape for a in arguments]))


def _read_input(cursor: Cursor, name: str) -> RealLayer:
    return RealInput(shape_of(cursor.fields("kind", "shape")["shape"]), name)


def _read_dense(cursor: Cursor, name: str) -> RealLayer:
    f = cursor.fields("kind", "kernel", "bias", "activation")
    return RealDense(_read_numbers(f["kernel"]), f["bias"].optional(_read_numbers), _read_activation(f["activation"]), name)


def _read_conv2d(cursor: Cursor, name: str) -> RealLayer:
    f = cursor.fields("kind", "kernel", "bias", "stride", "padding", "dilation", "groups", "activation")
    kernel, bias = _read_numbers(f["kernel"]), f["bias"].optional(_read_numbers)
    activation = _read_activation(f["activation"])
    return RealConv2D(
        kernel, bias, pair_of(f["stride"]), padding_of(f["padding"]), pair_of(f["dilation"]), f["groups"].whole(), activation, name
    )


def _read_sparse(cursor: Cursor, name: str) -> RealLayer:
    f = cursor.fields("kind", "shape", "rows", "columns", "coefficients", "bias")
    rows, columns = ([c.whole() for c in f[key].items()] for key in ("rows", "columns"))
    coefficients = exact([c.exact() for c in f["coefficients"].items()])
    return RealSparse(shape_of(f["shape"]), np.array(rows), np.array(columns), coefficients, f["bias"].optional(_read_numbers), name)


def _read_activate(cursor: Cursor, name: str) -> RealLayer:
    return Activate(_read_activation(cursor.fields("kind", "activation")["activation"]), name)


def _shared(kind: str) -> Callable[[Cursor, str], RealLayer]:
    def read(cursor: Cursor, name: str) -> RealLayer:
        layer = quantised.LAYERS[kind](cursor, name, {})
        assert isinstance(layer, RealLayer)
        return layer

    return read


LAYERS: Mapping[str, Callable[[Cursor, str], RealLayer]] = {
    "Input": _read_input,
    "Dense": _read_dense,
    "Conv2D": _read_conv2d,
    "Sparse": _read_sparse,
    "Activate": _read_activate,
    **{kind: _shared(kind) for kind in ("AveragePool2D", "MaxPool2D", "Flatten", "Add", "Concat")},
}


def _read_activation(cursor: Cursor) -> RealActivation:
    made = cursor.kind(ACTIVATIONS)(cursor, {})
    return made if isinstance(made, RealActivation) else cursor.fail("a real network has no tables", "an activation without a table")


ACTIVATIONS: Mapping[str, Callable[[Cursor, quantised.Arrays], object]] = {
    **quantised.ACTIVATIONS,
    "Softplus": plain_activation(Softplus),
    "Exp": plain_activation(Exp),
    "Softmax": plain_activation(Softmax),
}


def _read_numbers(cursor: Cursor) -> ExactArray:
    f = cursor.fields("shape", "values")
    shape, values = shape_of(f["shape"]), [c.exact() for c in f["values"].items()]
    if len(values) != prod(shape):
        f["values"].fail("the number of values does not fit the shape", str(shape), given=len(values))
    return exact(values).reshape(shape)
