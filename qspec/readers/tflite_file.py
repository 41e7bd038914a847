"""A TensorFlow Lite file as plain values: tensors with their quantisation, operators with their options; nothing is trusted.

The schema is read by the package `tflite` (generated from TensorFlow's schema.fbs). Source of the format:
https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from math import isfinite, prod
from pathlib import Path
from typing import Any, NoReturn, cast

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.errors import ModelFileError, UnsupportedError
from qspec.network.shapes import MAX_ELEMENTS
from qspec.readers.content import read_bytes
from qspec.support.optional import need

LARGEST = 1 << 31
"""Bytes of a file, at most."""
TYPES: Mapping[str, type[np.generic]] = {
    "INT8": np.int8, "UINT8": np.uint8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64, "FLOAT32": np.float32,
}  # fmt: skip
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "ADD": ("FusedActivationFunction", "PotScaleInt16"),
    "SUB": ("FusedActivationFunction", "PotScaleInt16"),
    "MUL": ("FusedActivationFunction",),
    "CONV_2D": ("Padding", "StrideH", "StrideW", "DilationHFactor", "DilationWFactor", "FusedActivationFunction"),
    "DEPTHWISE_CONV_2D": (
        "Padding", "StrideH", "StrideW", "DilationHFactor", "DilationWFactor", "DepthMultiplier", "FusedActivationFunction",
    ),
    "FULLY_CONNECTED": ("WeightsFormat", "KeepNumDims", "AsymmetricQuantizeInputs", "FusedActivationFunction"),
    "AVERAGE_POOL_2D": ("Padding", "StrideH", "StrideW", "FilterHeight", "FilterWidth", "FusedActivationFunction"),
    "MAX_POOL_2D": ("Padding", "StrideH", "StrideW", "FilterHeight", "FilterWidth", "FusedActivationFunction"),
    "MEAN": ("KeepDims",),
    "GELU": ("Approximate",),
    "RESIZE_BILINEAR": ("AlignCorners", "HalfPixelCenters"),
    "RESIZE_NEAREST_NEIGHBOR": ("AlignCorners", "HalfPixelCenters"),
    "LEAKY_RELU": ("Alpha",),
    "CONCATENATION": ("Axis", "FusedActivationFunction"),
    "SOFTMAX": ("Beta",),
    "SVDF": ("Rank", "FusedActivationFunction", "AsymmetricQuantizeInputs"),
}  # fmt: skip
"""The options of each operator that are read, by their names in the schema."""

TABLES: Mapping[str, str] = {
    "ADD": "AddOptions",
    "SUB": "SubOptions",
    "MUL": "MulOptions",
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "GELU": "GeluOptions",
    "RESIZE_BILINEAR": "ResizeBilinearOptions",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions",
    "LEAKY_RELU": "LeakyReluOptions",
    "CONCATENATION": "ConcatenationOptions",
    "SOFTMAX": "SoftmaxOptions",
    "SVDF": "SVDFOptions",
}


@dataclass(frozen=True, slots=True, eq=False)
class TfliteTensor:
    """A tensor: its type by the schema's name, one scale and zero point or one per entry of `axis`, its data if it is stored, and whether
    it is kept from run to run."""

    name: str
    shape: tuple[int, ...]
    type: str
    scales: tuple[float, ...]
    zeros: tuple[int, ...]
    axis: int
    data: IntArray | None
    variable: bool = False


@dataclass(frozen=True, slots=True)
class TfliteOperator:
    """An operator by the schema's name; -1 among the inputs is an optional one that is not given."""

    kind: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class TfliteModel:
    """The one subgraph of a file."""

    name: str
    tensors: tuple[TfliteTensor, ...]
    operators: tuple[TfliteOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def states(self) -> tuple[int, ...]:
        """The tensors that operators read and write, and that are kept from run to run, in the order of the operators."""
        return tuple(dict.fromkeys(i for o in self.operators for i in o.inputs if i != -1 and self.tensors[i].variable))

    @property
    def given(self) -> tuple[int, ...]:
        """What one run is a function of: the inputs, and the states."""
        return (*self.inputs, *self.states)


def read_model(path: str | Path) -> TfliteModel:
    """Return the contents of a `.tflite` file.

    Raises ModelFileError if the file is damaged, UnsupportedError on several subgraphs, PackageMissingError without the package `tflite`.
    """
    need("tflite", "tflite", "reading TensorFlow Lite files")
    content = read_bytes(path, LARGEST, "a .tflite file", packed=False)
    if content[4:8] != b"TFL3":
        _damaged(path, "no TensorFlow Lite file", "the identifier TFL3 in bytes 4 to 7")
    try:
        return _model(import_module("tflite"), content, Path(path).stem)
    except UnsupportedError:
        raise
    except (struct.error, IndexError, ValueError, TypeError, OverflowError, AttributeError, UnicodeDecodeError) as error:
        _damaged(path, "the TensorFlow Lite file is damaged", "a file as a converter writes it", str(error))


def _damaged(path: object, what: str, expected: str, detail: str = "") -> NoReturn:
    raise ModelFileError(what, given=str(path) if not detail else f"{path}: {detail}", expected=expected, advice="copy or convert it again")


def _model(schema: Any, content: bytes, name: str) -> TfliteModel:
    model = schema.Model.GetRootAs(content, 0)
    if model.SubgraphsLength() != 1:
        raise UnsupportedError("a file with several subgraphs is not read", given=model.SubgraphsLength(), expected="one subgraph")
    graph = model.Subgraphs(0)
    sizes = {what: length() for what, length in (("tensors", graph.TensorsLength), ("operators", graph.OperatorsLength))}
    if any(n * 4 > len(content) for n in sizes.values()):
        raise ValueError(f"more entries than the file has bytes: {sizes}")
    tensors = tuple(_tensor(schema, model, graph.Tensors(k)) for k in range(sizes["tensors"]))
    operators = tuple(_operator(schema, model, graph.Operators(k)) for k in range(sizes["operators"]))
    inputs, outputs = (tuple(int(i) for i in _array(v)) for v in (graph.InputsAsNumpy(), graph.OutputsAsNumpy()))
    used = [i for o in operators for i in (*o.inputs, *o.outputs) if i != -1]
    if any(not 0 <= i < len(tensors) for i in (*used, *inputs, *outputs)):
        raise ValueError("an operator names a tensor that does not exist")
    return TfliteModel(name, tensors, operators, inputs, outputs)


def _tensor(schema: Any, model: Any, tensor: Any) -> TfliteTensor:
    kind = _name_of(schema.TensorType, tensor.Type())
    shape = tuple(int(n) for n in _array(tensor.ShapeAsNumpy()))
    if any(n < 0 for n in shape) or prod(shape) > MAX_ELEMENTS:
        raise ValueError(f"a tensor of shape {shape}")
    if tensor.Sparsity() is not None:
        raise UnsupportedError("a sparse tensor is not read", given=repr(tensor.Name()), expected="dense tensors")
    q = tensor.Quantization()
    scales, zeros, axis = (), (), 0
    if q is not None:  # an absent vector reads as the integer 0, hence the lengths
        scales = tuple(float(s) for s in _array(q.ScaleAsNumpy())) if q.ScaleLength() else ()
        zeros = tuple(int(z) for z in _array(q.ZeroPointAsNumpy())) if q.ZeroPointLength() else ()
        axis = int(q.QuantizedDimension())
    if not all(isfinite(s) for s in scales):
        raise ValueError(f"a scale that is not finite: {scales}")
    text = tensor.Name()
    name, data = "" if text is None else text.decode("utf-8", "replace"), _data(model, tensor, kind, shape)
    return TfliteTensor(name, shape, kind, scales, zeros, axis, data, bool(tensor.IsVariable()))


def _data(model: Any, tensor: Any, kind: str, shape: tuple[int, ...]) -> IntArray | None:
    if not 0 <= tensor.Buffer() < model.BuffersLength():
        raise ValueError(f"a tensor names buffer {tensor.Buffer()}, which does not exist")
    buffer = model.Buffers(tensor.Buffer())
    if buffer is None or not buffer.DataLength() or kind not in TYPES:
        return None
    stored = np.frombuffer(buffer.DataAsNumpy().tobytes(), dtype=np.dtype(TYPES[kind]).newbyteorder("<"))
    return stored.reshape(shape).astype(stored.dtype.newbyteorder("="))


def _operator(schema: Any, model: Any, operator: Any) -> TfliteOperator:
    if not 0 <= operator.OpcodeIndex() < model.OperatorCodesLength():
        raise ValueError(f"an operator names code {operator.OpcodeIndex()}, which does not exist")
    code = model.OperatorCodes(operator.OpcodeIndex())
    kind = _name_of(schema.BuiltinOperator, max(code.BuiltinCode(), code.DeprecatedBuiltinCode()))
    options: dict[str, float] = {}
    if kind in TABLES and operator.BuiltinOptions() is not None:
        table = getattr(schema, TABLES[kind])()
        union = operator.BuiltinOptions()
        table.Init(union.Bytes, union.Pos)
        options = {name: getattr(table, name)() for name in OPTIONS[kind]}
    inputs, outputs = (tuple(int(i) for i in _array(v)) for v in (operator.InputsAsNumpy(), operator.OutputsAsNumpy()))
    return TfliteOperator(kind, int(code.Version()), inputs, outputs, options)


def _array(value: Any) -> IntArray:
    """Return a vector of the file; an absent one comes as the integer 0."""
    return np.zeros(0, dtype=np.int64) if isinstance(value, int) else np.asarray(value)


def _name_of(enumeration: Any, value: int) -> str:
    members = cast("dict[str, object]", vars(enumeration))
    return next((name for name, v in members.items() if v == value and not name.startswith("_")), f"number {value}")
