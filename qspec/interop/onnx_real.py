"""A float network in ONNX as a real network: every weight means exactly the number that is stored, and sums are those of the reals.

A tensor is a signal of the network and the flat position of each of its elements there, so that reshaping, flattening and transposing move
positions and nothing else. Images become channels-last. What ONNX computes in floats differs from the reals by its rounding.
Source: ONNX operators, https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import cast

import numpy as np

from qspec.errors import FormatError, ModelFileError, NetworkError, ShapeError, UnsupportedError
from qspec.integers import IntArray
from qspec.interop.onnx_file import Array, OnnxGraph, OnnxNode, read_graph
from qspec.network.activations import LeakyReLU, Linear, ReLU, Sigmoid, Sign, Tanh
from qspec.network.layers import Add, AveragePool2D, Concat, Flatten, MaxPool2D
from qspec.network.real import RealNetwork, RealSignal, real_apply
from qspec.network.real_layers import Activate, Exp, RealActivation, RealConv2D, RealDense, RealInput, Softmax, Softplus
from qspec.reals.ir import ExactArray, exact, fractions

WIDEST = 4096
"""Elements that a scaling of single elements, which becomes a dense layer, may have."""
SPATIAL = ("Conv", "MaxPool", "AveragePool", "GlobalAveragePool")
MOVING = ("Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Dropout", "Cast")


@dataclass(frozen=True, slots=True, eq=False)
class ImportedNetwork:
    """A real network, and the flat positions of ONNX's input and output elements in its own input and output."""

    network: RealNetwork
    input_order: IntArray
    output_order: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class _Tensor:
    """Element k of the ONNX tensor is element `places[k]` of the flat signal; every element of the signal occurs once."""

    signal: RealSignal
    places: IntArray

    @property
    def flat(self) -> bool:
        return bool(np.array_equal(self.places.reshape(-1), np.arange(self.places.size)))


def read_onnx(path: str | Path) -> RealNetwork:
    """Return the real network of a float .onnx or .onnx.gz file with one input and one output.

    With convolutions or pooling the input is an image (height, width, channels), else a vector. Raises ModelFileError if the file is
    damaged, UnsupportedError on what is not understood, by name, SolverMissingError without the package `onnx`.
    """
    return import_onnx(path).network


def import_onnx(path: str | Path) -> ImportedNetwork:
    """Return the real network of a file, with the order of its elements; see `read_onnx`."""
    graph = read_graph(path)
    try:
        return _Reader(graph).network(Path(path).name.split(".")[0])
    except (ShapeError, NetworkError, FormatError) as error:
        raise ModelFileError(
            "the layers of an ONNX file do not fit", given=str(path), expected=f"a consistent network ({error.what})"
        ) from error
    except (IndexError, KeyError, ValueError, TypeError, OverflowError) as error:
        if isinstance(error, ModelFileError | UnsupportedError):
            raise
        raise ModelFileError(
            "an ONNX file is damaged", given=str(path), expected=f"well-formed nodes ({type(error).__name__}: {error})"
        ) from error


class _Reader:
    """The tensors known so far: constants and signals, by name."""

    def __init__(self, graph: OnnxGraph) -> None:
        self.graph = graph
        self.constants: dict[str, Array] = dict(graph.constants)
        self.tensors: dict[str, _Tensor] = {}

    def network(self, name: str) -> ImportedNetwork:
        if len(self.graph.inputs) != 1 or len(self.graph.outputs) != 1:
            counts = f"{len(self.graph.inputs)} inputs, {len(self.graph.outputs)} outputs"
            raise UnsupportedError("an ONNX network with several ends", given=counts, expected="one input and one output")
        ((key, shape),) = self.graph.inputs.items()
        start = self._input(key, shape)
        self.tensors[key] = start
        for node in self.graph.nodes:
            self._add(node)
        if self.graph.outputs[0] not in self.tensors:
            raise UnsupportedError("the output does not depend on the input", given=self.graph.outputs[0], expected="a network")
        end = self.tensors[self.graph.outputs[0]]
        return ImportedNetwork(RealNetwork.of(end.signal, name=name), start.places.reshape(-1), end.places.reshape(-1))

    def _input(self, key: str, shape: tuple[int | None, ...]) -> _Tensor:
        if not shape or any(d is None for d in shape[1:]):
            raise UnsupportedError(
                "an input of unknown size", given=shape, expected="known dimensions after the first", advice="export with fixed shapes"
            )
        sizes = tuple(cast(int, d) for d in (shape[0] or 1, *shape[1:]))
        count = int(np.prod(sizes, dtype=object))
        if len(sizes) == 4 and any(n.op in SPATIAL for n in self.graph.nodes):
            if sizes[0] != 1:
                raise UnsupportedError("an input of several images", given=sizes, expected="a batch of one")
            if any(n.op == "Transpose" and n.inputs[0] == key and n.integers("perm", []) == [0, 3, 1, 2] for n in self.graph.nodes):
                return _Tensor(real_apply(RealInput(sizes[1:])), np.arange(count).reshape(sizes))  # channels-last already
            _, depth, height, width = sizes
            return _image_tensor(real_apply(RealInput((height, width, depth))))
        return _Tensor(real_apply(RealInput((count,))), np.arange(count).reshape(sizes))

    def _add(self, node: OnnxNode) -> None:
        if node.op == "Constant":
            self.constants[node.outputs[0]] = _constant(node)
        elif node.op in MOVING:
            self._move(node)
        elif node.op in LAYERS:
            self.tensors[node.outputs[0]] = LAYERS[node.op](self, node)
        else:
            expected = ", ".join(sorted((*LAYERS, *MOVING, "Constant")))
            advice = "fold it into the layer before it when exporting" if node.op == "BatchNormalization" else ""
            raise UnsupportedError(f"ONNX operation {node.op} is not read", given=node.place, expected=expected, advice=advice)

    def _move(self, node: OnnxNode) -> None:
        source, target = node.inputs[0], node.outputs[0]
        if source in self.constants:
            self.constants[target] = self._moved(node, self.constants[source])
        else:
            tensor = self.tensor(node)
            self.tensors[target] = replace(tensor, places=self._moved(node, tensor.places))

    def _moved(self, node: OnnxNode, x: Array) -> Array:
        """Return the same elements in another shape or order."""
        match node.op:
            case "Flatten":
                axis = node.integer("axis", 1)
                return x.reshape(int(np.prod(x.shape[: axis + x.ndim if axis < 0 else axis], dtype=np.int64)), -1)
            case "Reshape":
                shape = cast(
                    "list[int]", (self.constant(node, 1) if len(node.inputs) > 1 else np.asarray(node.integers("shape", []))).tolist()
                )
                zero = node.integer("allowzero", 0)
                return x.reshape([x.shape[k] if d == 0 and not zero else d for k, d in enumerate(shape)])
            case "Squeeze":
                axes = self._axes(node)
                return x.squeeze(tuple(axes) if axes else None)
            case "Unsqueeze":
                return np.expand_dims(x, tuple(self._axes(node)))
            case "Transpose":
                return x.transpose(node.integers("perm", list(range(x.ndim))[::-1]))
            case _:
                return x

    def _axes(self, node: OnnxNode) -> list[int]:
        if len(node.inputs) > 1 and node.inputs[1]:
            return cast("list[int]", self.constant(node, 1).reshape(-1).tolist())
        return node.integers("axes", [])

    def tensor(self, node: OnnxNode, position: int = 0) -> _Tensor:
        """Return an argument that depends on the input; raises UnsupportedError if it is a constant."""
        if node.inputs[position] in self.constants:
            raise UnsupportedError(
                f"{node.op} of a constant is not read", given=node.place, expected="an argument that depends on the input"
            )
        return self.tensors[node.inputs[position]]

    def constant(self, node: OnnxNode, position: int) -> Array:
        """Return an argument that is stored in the file; raises UnsupportedError if it is computed from the input."""
        found = self.constants.get(node.inputs[position])
        if found is None:
            raise UnsupportedError(f"{node.op} with an argument that varies", given=node.place, expected="a constant")
        return found

    def optional(self, node: OnnxNode, position: int) -> Array | None:
        """Return a constant argument that may be left out."""
        return self.constant(node, position) if len(node.inputs) > position and node.inputs[position] else None


def _matmul(reader: _Reader, node: OnnxNode) -> _Tensor:
    if node.inputs[0] in reader.constants:  # W @ x
        x, weights = reader.tensor(node, 1), reader.constant(node, 0)
        return _dense(node, x, weights.T, None, weights.shape[:1] if x.places.ndim == 1 else (weights.shape[0], 1))
    x, weights = reader.tensor(node), reader.constant(node, 1)
    return _dense(node, x, weights, None, (*x.places.shape[:-1], *weights.shape[1:]))


def _gemm(reader: _Reader, node: OnnxNode) -> _Tensor:
    x, weights = reader.tensor(node), reader.constant(node, 1)
    if node.integer("transA", 0):
        raise UnsupportedError("Gemm with transA is not read", given=node.place, expected="transA = 0")
    kernel = _scaled(exact(weights.T if node.integer("transB", 0) else weights), node.single("alpha", 1.0))
    bias = reader.optional(node, 2)
    summed = None if bias is None else _scaled(exact(bias), node.single("beta", 1.0))
    return _dense(node, x, kernel, summed, (1, kernel.shape[-1]))


def _dense(node: OnnxNode, x: _Tensor, kernel: Array, bias: ExactArray | None, shape: tuple[int, ...]) -> _Tensor:
    """Put a dense layer on all elements of a tensor, which are one vector; `kernel` has its rows in the order of ONNX."""
    if kernel.ndim != 2 or kernel.shape[0] != x.places.size:
        raise UnsupportedError(
            f"{node.op} of this shape is not read", given=(x.places.shape, kernel.shape), expected="one vector and a matrix that fit"
        )
    rows: ExactArray = np.empty_like(exact(kernel))
    rows[x.places.reshape(-1)] = exact(kernel)
    if bias is not None:
        bias = np.broadcast_to(bias.reshape(-1), (kernel.shape[1],))
    signal = x.signal if len(x.signal.shape) == 1 else real_apply(Flatten(), x.signal)
    return _Tensor(real_apply(RealDense(rows, bias), signal), np.arange(int(kernel.shape[1])).reshape(shape))


def _conv(reader: _Reader, node: OnnxNode) -> _Tensor:
    weights, bias = reader.constant(node, 1), reader.optional(node, 2)
    if weights.ndim != 4:
        raise UnsupportedError("a convolution that is not of images", given=weights.shape, expected="a kernel of four axes")
    layer = RealConv2D(
        exact(weights.transpose(2, 3, 1, 0)),
        None if bias is None else exact(bias),
        stride=_pair(node, "strides"),
        padding=_padding(node),
        dilation=_pair(node, "dilations"),
        groups=node.integer("group", 1),
    )
    return _image_tensor(real_apply(layer, _image(node, reader.tensor(node))))


def _pool(reader: _Reader, node: OnnxNode) -> _Tensor:
    image = _image(node, reader.tensor(node))
    if node.op == "GlobalAveragePool":
        return _image_tensor(real_apply(AveragePool2D((image.shape[0], image.shape[1])), image))
    if node.integer("ceil_mode", 0) or len(node.outputs) > 1 or _pair(node, "dilations") != (1, 1):
        raise UnsupportedError(f"{node.op} of this kind is not read", given=node.place, expected="no ceil_mode, indices or dilations")
    window, stride, padding = _pair(node, "kernel_shape"), _pair(node, "strides"), _padding(node)
    if node.op == "MaxPool":
        return _image_tensor(real_apply(MaxPool2D(window, stride, padding), image))
    counted = bool(node.integer("count_include_pad", 0))
    return _image_tensor(real_apply(AveragePool2D(window, stride, padding, count_padding=counted), image))


def _activation(reader: _Reader, node: OnnxNode) -> _Tensor:
    x = reader.tensor(node)
    last = x.signal.layer
    function: RealActivation = LeakyReLU(Fraction(node.single("alpha", 0.01))) if node.op == "LeakyRelu" else ACTIVATIONS[node.op]
    if node.op == "Softmax" and not (x.flat and len(x.signal.shape) == 1 and x.places.shape[-1] == x.places.size):
        raise UnsupportedError("softmax of several rows is not read", given=x.places.shape, expected="one vector")
    if isinstance(last, RealDense | RealConv2D) and last.activation == Linear():
        return replace(x, signal=real_apply(replace(last, activation=function), *x.signal.arguments))
    return replace(x, signal=real_apply(Activate(function), x.signal))


def _arithmetic(reader: _Reader, node: OnnxNode) -> _Tensor:
    """Add, subtract, multiply or divide by constants, or add two signals."""
    constant = next((k for k in (0, 1) if node.inputs[k] in reader.constants), None)
    if constant is None:
        a, b = reader.tensor(node, 0), reader.tensor(node, 1)
        if node.op != "Add" or a.places.shape != b.places.shape or a.signal.shape != b.signal.shape or np.any(a.places != b.places):
            raise UnsupportedError(f"{node.op} of two signals is not read", given=node.place, expected="Add, of one shape")
        return _Tensor(real_apply(Add(), a.signal, b.signal), a.places)
    x, values = reader.tensor(node, 1 - constant), fractions(exact(reader.constant(node, constant)))
    if (
        np.broadcast_shapes(x.places.shape, values.shape) != x.places.shape
        and x.places.size != np.broadcast_to(x.places, values.shape).size
    ):
        raise UnsupportedError(f"{node.op} repeats its argument", given=(x.places.shape, values.shape), expected="a constant that fits")
    shape = np.broadcast_shapes(x.places.shape, values.shape)
    x = replace(x, places=x.places.reshape(shape))
    one, zero = Fraction(1), Fraction(0)
    match node.op:
        case "Add":
            return _affine(node, x, one, values)
        case "Sub":
            return _affine(node, x, one, -values) if constant == 1 else _affine(node, x, -one, values)
        case "Mul":
            return _affine(node, x, values, zero)
        case _:
            if constant == 0 or np.any(values == 0):
                raise UnsupportedError("this division is not read", given=node.place, expected="a divisor that is a constant and not zero")
            return _affine(node, x, one / values, zero)


def _affine(node: OnnxNode, x: _Tensor, factor: object, shift: object) -> _Tensor:
    """Return `factor * x + shift`, element by element, folded into the layer before it if that is linear."""
    a, b = (_spread(v, x) for v in (factor, shift))
    if np.all(a == 1) and np.all(b == 0):
        return x
    last, size = x.signal.layer, x.places.size
    if len(x.signal.shape) == 3:  # One factor and shift for each channel.
        a, b = (v.reshape(-1, x.signal.shape[2]) for v in (a, b))
        if np.any(a != a[0]) or np.any(b != b[0]):
            raise UnsupportedError(
                f"{node.op} of each pixel of an image is not read", given=node.place, expected="one number for a channel"
            )
        if isinstance(last, RealConv2D) and last.activation == Linear():
            return replace(x, signal=real_apply(_folded(last, a[0], b[0]), *x.signal.arguments))
        depth = x.signal.shape[2]
        return replace(x, signal=real_apply(RealConv2D(exact(a[0].reshape(1, 1, 1, depth)), exact(b[0]), groups=depth), x.signal))
    if isinstance(last, RealDense) and last.activation == Linear():
        return replace(x, signal=real_apply(_folded(last, a, b), *x.signal.arguments))
    if size > WIDEST:
        raise UnsupportedError(f"{node.op} of so many elements is not read", given=size, expected=f"at most {WIDEST}")
    kernel = np.full((size, size), Fraction(0), dtype=object)
    kernel[np.arange(size), np.arange(size)] = a
    return replace(x, signal=real_apply(RealDense(exact(kernel), exact(b)), x.signal))


def _spread(values: object, x: _Tensor) -> ExactArray:
    """Return constants that belong to a tensor in the order of its signal."""
    wide = np.broadcast_to(np.asarray(values, dtype=object), x.places.shape)
    result: ExactArray = np.empty(x.places.size, dtype=object)
    result[x.places.reshape(-1)] = wide.reshape(-1)
    return result


def _folded(layer: RealDense | RealConv2D, factor: ExactArray, shift: ExactArray) -> RealDense | RealConv2D:
    """Return a linear layer whose outputs are scaled and shifted, exactly."""
    bias = np.full(factor.shape, Fraction(0)) if layer.bias is None else fractions(layer.bias)
    kernel = layer.kernel if np.all(factor == 1) else exact(fractions(layer.kernel) * factor)
    return replace(layer, kernel=kernel, bias=exact(bias * factor + shift))


def _concat(reader: _Reader, node: OnnxNode) -> _Tensor:
    parts = [reader.tensor(node, k) for k in range(len(node.inputs))]
    axis = node.integer("axis", 1)
    if any(not p.flat or len(p.signal.shape) != 1 or p.places.shape[axis] != p.places.size for p in parts):
        raise UnsupportedError("only vectors are concatenated", given=node.place, expected="vectors, along their axis")
    count = sum(p.places.size for p in parts)
    shape = [1] * parts[0].places.ndim
    shape[axis] = count
    return _Tensor(real_apply(Concat(), *(p.signal for p in parts)), np.arange(count).reshape(shape))


def _image_tensor(signal: RealSignal) -> _Tensor:
    """Return an image in the order of ONNX: (1, channels, height, width)."""
    places = np.arange(int(np.prod(signal.shape))).reshape(signal.shape)
    return _Tensor(signal, places.transpose(2, 0, 1)[None])


def _image(node: OnnxNode, x: _Tensor) -> RealSignal:
    """Return the signal of a tensor that is an image; raises UnsupportedError if its elements lie otherwise."""
    if len(x.signal.shape) != 3 or not np.array_equal(x.places, _image_tensor(x.signal).places):
        raise UnsupportedError(f"{node.op} of what is no image", given=x.places.shape, expected="(1, channels, height, width)")
    return x.signal


def _constant(node: OnnxNode) -> Array:
    for key, value in node.attributes.items():
        if key in ("value", "value_float", "value_floats", "value_int", "value_ints"):
            return np.asarray(value)
    raise UnsupportedError("a constant of this kind is not read", given=node.place, expected="numbers")


def _scaled(values: ExactArray, factor: float) -> ExactArray:
    return values if factor == 1 else exact(fractions(values) * Fraction(factor))


def _padding(node: OnnxNode) -> str | tuple[object, object]:
    match node.attributes.get("auto_pad", "NOTSET"):
        case "NOTSET":
            top, left, bottom, right = node.integers("pads", [0, 0, 0, 0])
            return (top, bottom), (left, right)
        case "VALID":
            return "valid"
        case "SAME_UPPER":
            return "same"
        case other:
            raise UnsupportedError(f"{node.op} with this padding is not read", given=other, expected="NOTSET, VALID, SAME_UPPER")


def _pair(node: OnnxNode, key: str) -> tuple[int, int]:
    rows, columns = node.integers(key, [1, 1])
    return rows, columns


ACTIVATIONS: Mapping[str, RealActivation] = {
    "Relu": ReLU(),
    "Sigmoid": Sigmoid(),
    "Tanh": Tanh(),
    "Softplus": Softplus(),
    "Exp": Exp(),
    "Sign": Sign(),
    "Softmax": Softmax(),
}
LAYERS: Mapping[str, Callable[[_Reader, OnnxNode], _Tensor]] = {
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Conv": _conv,
    **dict.fromkeys(("MaxPool", "AveragePool", "GlobalAveragePool"), _pool),
    **dict.fromkeys((*ACTIVATIONS, "LeakyRelu"), _activation),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div"), _arithmetic),
    "Concat": _concat,
}
