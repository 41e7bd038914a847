"""Read an ONNX file into plain values: nodes, constants as arrays, shapes of inputs; nothing is computed and no code is run."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from qspec.errors import ModelFileError, SolverMissingError, UnsupportedError

if TYPE_CHECKING:
    import onnx

Array = npt.NDArray[Any]
LARGEST = 1 << 31
"""Bytes of a file, unpacked, at most."""
QONNX = ("qonnx", "brevitas", "finn")
"""What the names of domains contain whose operators quantise."""


@dataclass(frozen=True, slots=True)
class OnnxNode:
    """One operation: its type, the tensors that it reads ("" where one is left out) and makes, and its attributes as plain values."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, object]

    @property
    def place(self) -> str:
        """What a message calls this node."""
        return f"{self.op} {self.name or self.outputs[0]!r}"

    def integer(self, key: str, default: int) -> int:
        """Return a whole attribute."""
        return int(cast(int, self.attributes.get(key, default)))

    def integers(self, key: str, default: Sequence[int]) -> list[int]:
        """Return an attribute that is a list of whole numbers."""
        return [int(v) for v in cast("Sequence[int]", self.attributes.get(key, default))]

    def single(self, key: str, default: float) -> float:
        """Return an attribute as the single-precision number that the file holds."""
        return float(np.float32(cast(float, self.attributes.get(key, default))))


@dataclass(frozen=True, slots=True)
class OnnxGraph:
    """Nodes in an order in which they can run, constants, the shape of each input that is no constant (None: unknown), and outputs."""

    name: str
    nodes: tuple[OnnxNode, ...]
    constants: Mapping[str, Array]
    inputs: Mapping[str, tuple[int | None, ...]]
    outputs: tuple[str, ...]


def read_graph(path: str | Path) -> OnnxGraph:
    """Return the graph of an .onnx or .onnx.gz file.

    Raises ModelFileError if the file is none, is damaged, or keeps weights elsewhere; UnsupportedError on QONNX; SolverMissingError
    without the package `onnx`.
    """
    model = _model(Path(path))
    graph = model.graph
    if graph.sparse_initializer:
        raise ModelFileError("sparse weights are not read", given=str(path), expected="dense initializers")
    constants = {t.name: _array(t, path) for t in graph.initializer}
    nodes: list[OnnxNode] = []
    for node in graph.node:
        attributes = {a.name: _attribute(a, path) for a in node.attribute}
        domain = "" if node.domain in ("", "ai.onnx") else f"{node.domain}."
        nodes.append(OnnxNode(domain + node.op_type, node.name, tuple(node.input), tuple(node.output), attributes))
    inputs = {i.name: _shape(i) for i in graph.input if i.name not in constants}
    return OnnxGraph(graph.name or Path(path).name.split(".")[0], tuple(nodes), constants, inputs, tuple(o.name for o in graph.output))


def _model(path: Path) -> onnx.ModelProto:
    package, checker = _onnx()
    from google.protobuf.message import DecodeError

    try:
        model = package.load_model_from_string(_bytes(path))
    except DecodeError as error:
        raise _damaged(path, error) from None
    for tensor in model.graph.initializer:
        _expect_inside(tensor)
    foreign = sorted({f"{n.domain}.{n.op_type}" for n in model.graph.node if any(part in n.domain for part in QONNX)})
    if foreign:
        raise UnsupportedError(
            "QONNX is not read",
            given=f"{path} with {', '.join(foreign)}",
            expected="a float network with operators of ONNX alone",
            advice="export it without quantisers and quantise it here (RealNetwork.quantize), or build its layers from their integers",
        )
    try:
        checker.check_model(model)
    except (checker.ValidationError, RuntimeError, ValueError, TypeError) as error:
        raise _damaged(path, error) from None
    return model


def _onnx() -> tuple[Any, Any]:
    try:
        import onnx
        from onnx import checker
    except ImportError:
        raise SolverMissingError("ONNX files need the package onnx", given="not installed", advice="pip install 'qspec[onnx]'") from None
    return onnx, checker


def _bytes(path: Path) -> bytes:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ModelFileError("cannot read the file", given=str(path), expected=f"an .onnx or .onnx.gz file ({error})") from None
    if len(data) > LARGEST:
        raise ModelFileError("the file is too large", given=str(path), expected=f"at most {LARGEST} bytes")
    return data


def _damaged(path: str | Path, error: Exception) -> ModelFileError:
    return ModelFileError(
        "not a valid ONNX file", given=str(path), expected=f"a model that onnx.checker accepts ({type(error).__name__}: {error})"
    )


def _array(tensor: onnx.TensorProto, path: str | Path) -> Array:
    """Return a stored tensor; half and brain floats as doubles, which hold them exactly."""
    import onnx
    import onnx.numpy_helper

    _expect_inside(tensor)
    try:
        array = np.asarray(onnx.numpy_helper.to_array(tensor))
    except (ValueError, TypeError, KeyError, NotImplementedError) as error:
        raise _damaged(path, error) from None
    if array.dtype.kind in "fiub":
        return array
    try:
        return array.astype(np.float64)
    except (ValueError, TypeError) as error:
        raise _damaged(path, error) from None


def _expect_inside(tensor: onnx.TensorProto) -> None:
    if tensor.data_location == tensor.EXTERNAL:
        raise ModelFileError("weights in other files are not read", given=tensor.name, expected="weights inside the model file")


def _attribute(attribute: onnx.AttributeProto, path: str | Path) -> object:
    import onnx
    import onnx.helper

    if attribute.type == onnx.AttributeProto.TENSOR:
        return _array(attribute.t, path)
    try:
        value: object = onnx.helper.get_attribute_value(attribute)
    except ValueError as error:
        raise _damaged(path, error) from None
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _shape(value: onnx.ValueInfoProto) -> tuple[int | None, ...]:
    return tuple(d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in value.type.tensor_type.shape.dim)
