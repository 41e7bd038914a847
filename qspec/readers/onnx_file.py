"""Read an ONNX file into plain values: nodes that reach an output, constants as arrays, shapes of inputs; nothing is computed, no code run.

Source: ONNX, https://onnx.ai/onnx/repo-docs/IR.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from qspec.errors import ModelFileError, QspecError, UnsupportedError
from qspec.readers.content import read_bytes
from qspec.support.optional import need

if TYPE_CHECKING:
    import onnx

Array = npt.NDArray[Any]
LARGEST = 1 << 31
"""Bytes of a file, unpacked, at most."""
OPSETS = (7, 26)
"""The versions of the operators of ONNX that are read."""
QONNX = ("qonnx", "brevitas", "finn")
"""What the names of domains contain whose operators quantise."""
QUANTIZERS = ("Quant", "IntQuant", "FloatQuant", "BipolarQuant", "Trunc", "MultiThreshold")
"""Operators of QONNX by name; `ONNX_DOMAIN` has none of these names."""
DATA_TYPE = "finn_datatype"
"""The key under which QONNX keeps the type of a tensor."""
ONNX_DOMAIN = ("", "ai.onnx")
GRAPH, BEFORE_GRAPH = 7, range(1, 7)
"""The numbers of the fields of a model: its graph, and what is written before it."""


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor of the file, and the name of its type; half and brain floats are doubles, which hold them exactly."""

    values: Array
    type: str


@dataclass(frozen=True, slots=True)
class Port:
    """What a file says of an input or output: its shape (None: unknown), and the name of its type."""

    shape: tuple[int | None, ...]
    type: str

    @property
    def sizes(self) -> tuple[int, ...] | None:
        """The shape, for a batch of one where its first size is unknown; None if there is no axis, or another size is unknown."""
        shape = [1 if n is None and k == 0 else n for k, n in enumerate(self.shape)]
        known = tuple(n for n in shape if n is not None)
        return known if known and len(known) == len(shape) else None


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
        return f"{self.op} {self.name or next((o for o in self.outputs if o), '')!r}"


@dataclass(frozen=True, slots=True)
class OnnxGraph:
    """Nodes in an order in which they can run, constants, inputs that are no constants, and outputs; what reaches no output is left out."""

    name: str
    opset: int
    nodes: tuple[OnnxNode, ...]
    constants: Mapping[str, StoredTensor]
    inputs: Mapping[str, Port]
    outputs: Mapping[str, Port]
    versions: Mapping[str, int] = field(default_factory=dict[str, int])
    types: Mapping[str, str] = field(default_factory=dict[str, str])


def read_graph(path: str | Path, *, quantizers: bool = False) -> OnnxGraph:
    """Return the graph of an .onnx or .onnx.gz file.

    With `quantizers` the operators of QONNX are taken, under their names without a domain; `versions` are those of its domains, `types` the
    annotations of tensors. Raises ModelFileError if the file is none, is damaged, or keeps weights elsewhere; UnsupportedError on QONNX
    without `quantizers`, on functions of its own and opsets outside `OPSETS`; PackageMissingError without the package `onnx`.
    """
    model = _model(path, quantizers=quantizers)
    graph = model.graph
    used = {name for node in graph.node for name in node.input} | {o.name for o in graph.output}
    constants = {t.name: _stored(t, path) for t in graph.initializer if t.name in used}
    nodes: list[OnnxNode] = []
    for node in graph.node:
        attributes = {a.name: _attribute(a, path) for a in node.attribute}
        domain = "" if node.domain in ONNX_DOMAIN or is_qonnx(node.domain) else f"{node.domain}."
        nodes.append(OnnxNode(domain + node.op_type, node.name, tuple(node.input), tuple(node.output), attributes))
    stored = {t.name for t in graph.initializer}
    inputs = {i.name: _port(i) for i in graph.input if i.name not in stored}
    name = graph.name or Path(path).name.split(".")[0]
    outputs = {o.name: _port(o) for o in graph.output}
    versions = {o.domain: o.version for o in model.opset_import if is_qonnx(o.domain)}
    types = {q.tensor_name: e.value for q in graph.quantization_annotation for e in q.quant_parameter_tensor_names if e.key == DATA_TYPE}
    return OnnxGraph(name, _opset(model, path), tuple(nodes), constants, inputs, outputs, versions, types)


def is_qonnx(domain: str) -> bool:
    """Return whether the operators of a domain quantise."""
    return any(part in domain for part in QONNX)


def _name_quantizers(model: onnx.ModelProto) -> None:
    """Put operators of QONNX that name no domain into it, as old exports need, and name the versions of its domains: 1 unless stated."""
    from onnx import helper

    for node in model.graph.node:
        if node.op_type in QUANTIZERS and node.domain in ONNX_DOMAIN:
            node.domain = QONNX[0]
    known = {o.domain for o in model.opset_import}
    found = {n.domain for n in model.graph.node if is_qonnx(n.domain)}
    model.opset_import.extend(helper.make_opsetid(d, 1) for d in sorted(found - known))


def read_proto(path: str | Path) -> onnx.ModelProto:
    """Return what an .onnx or .onnx.gz file holds, as it is; raises ModelFileError on what is none or too large."""
    package, _ = _onnx()
    from google.protobuf.message import DecodeError

    content = read_bytes(path, LARGEST, "an .onnx or .onnx.gz file", packed=True)
    try:
        return package.load_model_from_string(content)
    except (DecodeError, ValueError) as error:
        raise _damaged(path, error) from None


def _model(path: str | Path, *, quantizers: bool) -> onnx.ModelProto:
    _, checker = _onnx()
    model = read_proto(path)
    _expect_text(model, path)
    _expect_inside(model)
    _keep_what_is_used(model.graph)
    if quantizers:
        _name_quantizers(model)
    _expect_plain(model, path, quantizers=quantizers)
    _opset(model, path)
    for port in model.graph.output:
        if port.type.HasField("tensor_type"):
            port.type.tensor_type.shape.SetInParent()  # the checker wants one, and what is computed says what it is
    try:
        checker.check_model(model)
    except (checker.ValidationError, RuntimeError, ValueError, TypeError) as error:
        raise _damaged(path, error) from None
    return model


def _expect_text(model: onnx.ModelProto, path: str | Path) -> None:
    """Raise ModelFileError on a name that is no UTF-8, which protobuf hands on as bytes."""
    graph = model.graph
    names: list[object] = [graph.name, *(o.domain for o in model.opset_import), *(f.name for f in model.functions)]
    names += [v.name for values in (graph.input, graph.output, graph.initializer) for v in values]
    for node in graph.node:
        names += [node.name, node.op_type, node.domain, *node.input, *node.output, *(a.name for a in node.attribute)]
    wrong = [n for n in names if not isinstance(n, str)]
    if wrong:
        raise _damaged(path, ValueError(f"a name that is no UTF-8: {wrong[0]!r}"))


def _keep_what_is_used(graph: onnx.GraphProto) -> None:
    """Drop the nodes whose results reach no output: whatever they are, they change nothing."""
    wanted = {o.name for o in graph.output}
    import onnx

    kept: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        if any(o and o in wanted for o in node.output):
            wanted |= set(node.input)
            kept.append(node)
    kept.reverse()
    if len(kept) < len(graph.node):
        copies = [onnx.NodeProto.FromString(n.SerializeToString()) for n in kept]
        del graph.node[:]
        graph.node.extend(copies)


def _expect_plain(model: onnx.ModelProto, path: str | Path, *, quantizers: bool) -> None:
    """Refuse sparse weights, quantisers unless they are wanted, and functions that stand for operators."""
    foreign = sorted({f"{n.domain}.{n.op_type}" for n in model.graph.node if is_qonnx(n.domain) or n.op_type in QUANTIZERS})
    if foreign and not quantizers:
        raise UnsupportedError(
            "QONNX is no float network",
            given=f"{path} with {', '.join(foreign)}",
            expected="a network with operators of ONNX alone",
            advice="qs.load reads it as a quantised network",
        )
    if model.graph.sparse_initializer:
        raise ModelFileError("sparse weights are not read", given=str(path), expected="dense initializers")
    if model.functions:
        raise UnsupportedError(
            "an ONNX file with functions of its own is not read",
            given=", ".join(sorted({f.name for f in model.functions})),
            expected="operators of ONNX alone",
            advice="inline them (onnx.inliner.inline_local_functions)",
        )


def _opset(model: onnx.ModelProto, path: str | Path) -> int:
    versions = {o.version for o in model.opset_import if o.domain in ONNX_DOMAIN}
    if len(versions) != 1:
        raise ModelFileError("an ONNX file needs one opset", given=sorted(versions) or str(path), expected="one version of ai.onnx")
    (version,) = versions
    if not OPSETS[0] <= version <= OPSETS[1]:
        raise UnsupportedError(
            f"ONNX opset {version} is not read",
            given=str(path),
            expected=f"opset {OPSETS[0]} to {OPSETS[1]}",
            advice="convert it (onnx.version_converter.convert_version), or export it for a version that is read",
        )
    return version


def _onnx() -> tuple[Any, Any]:
    need("onnx", "onnx", "reading ONNX files")
    import onnx
    from onnx import checker

    return onnx, checker


def is_onnx(head: bytes) -> bool:
    """Return whether a file begins as ONNX does: with its version, and other fields of a model before the graph."""
    place, seen = 0, False
    while head[:1] == b"\x08" and place + 1 < len(head):
        field, wire = head[place] >> 3, head[place] & 7
        seen, place = seen or field == GRAPH, place + 1
        size, place = _varint(head, place)
        if seen or wire not in (0, 2) or field not in BEFORE_GRAPH:
            return seen and wire == 2
        place += size if wire == 2 else 0
    return False


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """Return a number in the coding of protobuf, and the place after it."""
    value = shift = 0
    while place < len(data):
        byte, place = data[place], place + 1
        value, shift = value | (byte & 127) << shift, shift + 7
        if byte < 128 or shift > 63:
            break
    return value, place


def operators(path: Path) -> frozenset[str]:
    """Return what the nodes of a file are called, `domain.operator` outside ONNX's own; empty if it cannot be read. For recognising."""
    try:
        model = read_proto(path)
        _expect_text(model, path)
    except QspecError:  # who reads the file says what is wrong with it
        return frozenset()
    return frozenset(n.op_type if n.domain in ONNX_DOMAIN else f"{n.domain}.{n.op_type}" for n in model.graph.node)


def has_quantizers(path: Path) -> bool:
    """Return whether a file has operators of QONNX, in whatever domain exporters put them."""
    return any(op.rpartition(".")[2] in QUANTIZERS for op in operators(path))


def _damaged(path: str | Path, error: Exception) -> ModelFileError:
    return ModelFileError(
        "not a valid ONNX file", given=str(path), expected=f"a model that onnx.checker accepts ({type(error).__name__}: {error})"
    )


def _stored(tensor: onnx.TensorProto, path: str | Path) -> StoredTensor:
    import onnx
    import onnx.numpy_helper

    name = type_name(tensor.data_type)
    try:
        array = np.asarray(onnx.numpy_helper.to_array(tensor))
    except (ValueError, TypeError, KeyError, NotImplementedError, OverflowError, MemoryError) as error:
        raise _damaged(path, error) from None
    if array.dtype.kind in "iub" or array.dtype == np.float64:
        return StoredTensor(array, name)
    try:
        return StoredTensor(array.astype(np.float64), name)
    except (ValueError, TypeError) as error:
        raise UnsupportedError(
            "an ONNX tensor of this type is not read", given=f"{tensor.name}: {name}", expected="numbers and booleans"
        ) from error


def type_name(code: int) -> str:
    """Return what ONNX calls a type of elements."""
    import onnx

    try:
        return onnx.TensorProto.DataType.Name(cast(Any, code))
    except ValueError:
        return f"type {code}"


def _expect_inside(model: onnx.ModelProto) -> None:
    stored = [*model.graph.initializer, *(a.t for n in model.graph.node for a in n.attribute if a.HasField("t"))]
    for tensor in stored:
        if tensor.data_location == tensor.EXTERNAL:
            raise ModelFileError("weights in other files are not read", given=tensor.name, expected="weights inside the model file")


def _attribute(attribute: onnx.AttributeProto, path: str | Path) -> object:
    import onnx
    import onnx.helper

    if attribute.type == onnx.AttributeProto.TENSOR:
        return _stored(attribute.t, path)
    try:
        value: object = onnx.helper.get_attribute_value(attribute)
    except ValueError as error:
        raise _damaged(path, error) from None
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, int | float | str) else _items(value)


def _items(value: object) -> object:
    """Return a list of numbers as a tuple, and anything else as it is."""
    try:
        items = tuple(cast("tuple[object, ...]", value))
    except TypeError:
        return value
    return items if all(isinstance(v, int | float) for v in items) else value


def _port(value: onnx.ValueInfoProto) -> Port:
    if not value.type.HasField("tensor_type"):
        raise UnsupportedError("an end of an ONNX network is no tensor", given=value.name, expected="a tensor of floats")
    dims = value.type.tensor_type.shape.dim
    shape = tuple(d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in dims)
    return Port(shape, type_name(value.type.tensor_type.elem_type))
