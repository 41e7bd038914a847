"""Write the contents of a TensorFlow Lite file: the inverse of `tflite_file.read_model`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from qspec.errors import ModelFileError, UnsupportedError
from qspec.readers.tflite_file import OPTIONS, TABLES, TYPES, TfliteModel, TfliteOperator, TfliteTensor
from qspec.support.optional import need

SCHEMA_VERSION = 3


def write_model(model: TfliteModel, path: str | PathLike[str]) -> None:
    """Write a `.tflite` file; raises ModelFileError if that fails, PackageMissingError without the package `tflite`."""
    content = to_bytes(model)
    try:
        Path(path).write_bytes(content)
    except OSError as error:
        raise ModelFileError(
            "the file cannot be written", given=str(path), expected="a place to write", advice=str(error.strerror)
        ) from None


def to_bytes(model: TfliteModel) -> bytes:
    """Return the bytes of a `.tflite` file with one subgraph."""
    need("tflite", "tflite", "writing TensorFlow Lite files")
    return _Writer(import_module("tflite"), import_module("flatbuffers").Builder(1024)).write(model)


class _Writer:
    """Tables are written leaves first, as flatbuffers demand."""

    def __init__(self, schema: Any, builder: Any) -> None:
        self.schema, self.builder = schema, builder

    def write(self, model: TfliteModel) -> bytes:
        # Buffer 0 is the empty one, by convention; every stored tensor has a buffer of its own.
        buffers, places = [self._buffer(None)], list[int]()
        for tensor in model.tensors:
            places.append(0 if tensor.data is None else len(buffers))
            if tensor.data is not None:
                buffers.append(self._buffer(tensor.data.astype(np.dtype(TYPES[tensor.type]).newbyteorder("<")).tobytes()))
        tensors = [self._tensor(t, place) for t, place in zip(model.tensors, places, strict=True)]
        codes = sorted({(o.kind, o.version) for o in model.operators})
        operators = [self._operator(o, codes.index((o.kind, o.version))) for o in model.operators]
        graph = self._table(
            "SubGraph",
            Tensors=self._offsets("SubGraph", "Tensors", tensors),
            Inputs=self._numbers("SubGraph", "Inputs", model.inputs),
            Outputs=self._numbers("SubGraph", "Outputs", model.outputs),
            Operators=self._offsets("SubGraph", "Operators", operators),
        )
        root = self._table(
            "Model",
            Version=SCHEMA_VERSION,
            OperatorCodes=self._offsets("Model", "OperatorCodes", [self._code(kind, version) for kind, version in codes]),
            Subgraphs=self._offsets("Model", "Subgraphs", [graph]),
            Description=self.builder.CreateString(model.name),
            Buffers=self._offsets("Model", "Buffers", buffers),
        )
        self.builder.Finish(root, b"TFL3")
        return bytes(self.builder.Output())

    def _table(self, kind: str, **fields: object) -> int:
        getattr(self.schema, f"{kind}Start")(self.builder)
        for name, value in fields.items():
            getattr(self.schema, f"{kind}Add{name}")(self.builder, value)
        return getattr(self.schema, f"{kind}End")(self.builder)

    def _offsets(self, kind: str, name: str, items: Sequence[int]) -> int:
        getattr(self.schema, f"{kind}Start{name}Vector")(self.builder, len(items))
        for item in reversed(items):
            self.builder.PrependUOffsetTRelative(item)
        return self.builder.EndVector()

    def _numbers(self, kind: str, name: str, items: Sequence[int]) -> int:
        getattr(self.schema, f"{kind}Start{name}Vector")(self.builder, len(items))
        for item in reversed(items):
            self.builder.PrependInt32(item)
        return self.builder.EndVector()

    def _buffer(self, content: bytes | None) -> int:
        return self._table("Buffer") if content is None else self._table("Buffer", Data=self.builder.CreateByteVector(content))

    def _tensor(self, tensor: TfliteTensor, buffer: int) -> int:
        fields: dict[str, object] = {
            "Shape": self._numbers("Tensor", "Shape", tensor.shape),
            "Type": getattr(self.schema.TensorType, tensor.type),
            "Buffer": buffer,
            "Name": self.builder.CreateString(tensor.name),
            "IsVariable": tensor.variable,
        }
        if tensor.scales:
            fields["Quantization"] = self._table(
                "QuantizationParameters",
                Scale=self.builder.CreateNumpyVector(np.array(tensor.scales, dtype=np.float32)),
                ZeroPoint=self.builder.CreateNumpyVector(np.array(tensor.zeros, dtype=np.int64)),
                QuantizedDimension=tensor.axis,
            )
        return self._table("Tensor", **fields)

    def _code(self, kind: str, version: int) -> int:
        number = getattr(self.schema.BuiltinOperator, kind)
        return self._table("OperatorCode", DeprecatedBuiltinCode=min(number, 127), BuiltinCode=number, Version=version)

    def _operator(self, operator: TfliteOperator, code: int) -> int:
        fields: dict[str, object] = {
            "OpcodeIndex": code,
            "Inputs": self._numbers("Operator", "Inputs", operator.inputs),
            "Outputs": self._numbers("Operator", "Outputs", operator.outputs),
        }
        if operator.kind in TABLES:
            table = TABLES[operator.kind]
            fields["BuiltinOptionsType"] = getattr(self.schema.BuiltinOptions, table)
            fields["BuiltinOptions"] = self._table(table, **_checked(operator.kind, operator.options))
        return self._table("Operator", **fields)


def _checked(kind: str, options: Mapping[str, float]) -> Mapping[str, float]:
    unknown = sorted(set(options) - set(OPTIONS[kind]))
    if unknown:
        raise UnsupportedError(f"options of {kind} that are not written", given=unknown, expected=", ".join(OPTIONS[kind]))
    return options
