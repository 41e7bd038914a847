"""The tensors of a quantised ONNX file by name, and what nodes say of scales, zero points, weights and biases; nothing is trusted."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import numpy as np

from qspec.errors import ModelFileError, QspecError, UnsupportedError
from qspec.readers.onnx_codes import Bias, Codes, Pending, State, Weights, is_bias
from qspec.readers.onnx_file import OnnxGraph, OnnxNode, StoredTensor
from qspec.readers.onnx_quantized_layers import OperatorOutput
from qspec.runtimes.arithmetic import Quantized
from qspec.runtimes.ort import LEAST, MOST, OrtQLinear

INTEGER = OrtQLinear()
TYPES = {"INT8": (-128, 127), "UINT8": (0, 255)}
"""The types of signals and weights."""


class QuantizedTensors:
    """The tensors of a file, as they are made."""

    def __init__(self, graph: OnnxGraph, file: str, runtime: OrtQLinear = INTEGER) -> None:
        self.graph = graph
        self.runtime = runtime
        self.file = file
        self.constants: dict[str, StoredTensor] = dict(graph.constants)
        self.states: dict[str, State] = {}
        self.readers: dict[str, list[OnnxNode]] = {}
        self.makers = {name: node for node in graph.nodes for name in node.outputs}
        self.place = 0
        for node in graph.nodes:
            for name in dict.fromkeys(node.inputs):
                self.readers.setdefault(name, []).append(node)
            self._keep(node)

    @contextmanager
    def at(self, place: int) -> Generator[OnnxNode]:
        """Give a node, by its place in the file, and its name to what goes wrong meanwhile.

        Raises UnsupportedError on what is not read, ModelFileError on what does not fit.
        """
        self.place = place
        node = self.graph.nodes[place]
        try:
            yield node
        except UnsupportedError as error:
            if error.what.startswith(self.file):
                raise
            raise self.refusal(error.what, error.given, error.expected, error.advice) from None
        except (IndexError, KeyError, TypeError, ValueError, OverflowError, ZeroDivisionError) as error:
            where = f"{self.file}, {node.place}"
            if isinstance(error, QspecError):
                raise ModelFileError(f"{where}: {error.what}", given=error.given, expected=error.expected, advice=error.advice) from None
            given = f"{type(error).__name__}: {error}"
            raise ModelFileError(f"{where}: the node is damaged", given=given, expected="well-formed attributes and shapes") from error

    def state(self, name: str) -> State:
        """Return a tensor that was made before; raises UnsupportedError if there is none."""
        if name not in self.states:
            raise self.refusal("a tensor that is not read as a signal", repr(name), "codes, or floats made of codes")
        return self.states[name]

    def signal(self, name: str) -> Codes:
        """Return a tensor of codes."""
        state = self.state(name)
        if not isinstance(state, Codes):
            raise self.refusal("a float where codes are read", repr(name), "int8 or uint8")
        return state

    def constant(self, name: str, what: str) -> StoredTensor:
        """Return a stored tensor; raises UnsupportedError if it is computed or an input."""
        if name not in self.constants:
            raise self.refusal(f"{what} that is computed or an input", repr(name), "a constant")
        return self.constants[name]

    def given(self, node: OnnxNode, place: int) -> str:
        """Return the name of an input, "" if it is left out."""
        return node.inputs[place] if place < len(node.inputs) else ""

    def scales(self, name: str) -> tuple[float, ...]:
        """Return float32 scales; raises UnsupportedError on others, and on such that are not positive, finite and moderate."""
        stored = self.constant(name, "a scale")
        values = tuple(float(v) for v in stored.values.reshape(-1))
        if stored.type != "FLOAT" or stored.values.ndim > 1 or not values or not all(LEAST < v < MOST for v in values):
            given = f"{name!r}: {stored.type} of shape {stored.values.shape}, {values[:4]}"
            raise self.refusal("a scale that is not read", given, f"FLOAT, one or one per channel, {LEAST:g} to {MOST:g}")
        return values

    def zeros(self, name: str, count: int, type: str) -> tuple[int, ...]:
        """Return as many zero points as scales; none means 0. Raises UnsupportedError on another number or type."""
        if not name:
            return (0,) * count
        stored = self.constant(name, "a zero point")
        if stored.type != type or stored.values.ndim > 1 or stored.values.size != count:
            given = f"{name!r}: {stored.type} of shape {stored.values.shape}"
            raise self.refusal("a zero point that does not fit", given, f"{type}, {count} as the scales")
        return tuple(int(z) for z in stored.values.reshape(-1))

    def quantized(self, node: OnnxNode, scale: int, zero: int, type: str | None = None) -> Quantized:
        """Return the quantisation of a signal from the places of its scale and zero point; raises UnsupportedError unless it is one."""
        name = self.given(node, zero)
        kind = type or (self.constant(name, "a zero point").type if name else "UINT8")
        if kind not in TYPES:
            raise self.refusal("a signal that is not read", f"codes of type {kind}", "INT8 or UINT8")
        scales = self.scales(node.inputs[scale])
        if len(scales) != 1:
            raise self.refusal("a signal with several scales", len(scales), "one")
        return Quantized(scales[0], self.zeros(name, 1, kind)[0], kind == "INT8")

    def source(self, node: OnnxNode, tensor: int, scale: int, zero: int) -> tuple[Codes, Quantized]:
        """Return a signal of codes and its quantisation from their places; raises UnsupportedError if types differ."""
        codes = self.signal(node.inputs[tensor])
        return codes, self.quantized(node, scale, zero, "INT8" if codes.signed else "UINT8")

    def weights(self, codes: str, scale: str, zero: str, axis: int) -> Weights:
        """Return stored codes with one scale, or one for each entry of an axis."""
        stored = self.constant(codes, "a kernel")
        if stored.type not in TYPES:
            advice = "an ONNX Runtime session quantises float weights itself" if stored.type == "FLOAT" else "other types are not read yet"
            raise self.refusal("weights that are not read", f"{codes!r}: {stored.type}", f"INT8 or UINT8 ({advice})")
        scales = self.scales(scale)
        if len(scales) not in (1, stored.values.shape[axis]):
            raise self.refusal("weights with as many scales", len(scales), f"1 or {stored.values.shape[axis]}")
        return Weights(stored.values.astype(np.int64), stored.type, scales, self.zeros(zero, len(scales), stored.type), axis)

    def bias(self, name: str, channels: int) -> Bias | None:
        """Return int32 codes of a bias, one per channel."""
        if not name:
            return None
        stored = self.constant(name, "a bias")
        if stored.type != "INT32":
            advice = " (an ONNX Runtime session quantises float biases itself)" if stored.type == "FLOAT" else ""
            raise self.refusal("a bias that is not read", f"{name!r}: {stored.type}", f"INT32{advice}")
        if not is_bias(stored.values.shape, channels) or stored.values.ndim > 2:
            raise self.refusal("a bias that does not fit", stored.values.shape, f"({channels},)")
        return Bias(np.broadcast_to(stored.values.reshape(-1).astype(np.int64), (channels,)))

    def output(self, node: OnnxNode, quantized: Quantized, ends: tuple[int, int] | None = None) -> OperatorOutput:
        """Return what a node puts out."""
        integer = "QLinear" in node.op or "QGemm" in node.op
        return OperatorOutput(quantized, ends or quantized.ends, self.label(node), INTEGER if integer else self.runtime)

    def label(self, node: OnnxNode) -> str:
        """Return the name of the layer of a node."""
        return f"{node.op.split('.')[-1].lower()}_{self.graph.nodes.index(node)}"

    def alone(self, node: OnnxNode) -> None:
        """Raise UnsupportedError if the float result of a node is read twice, or is an output: it is fused with one QuantizeLinear."""
        name = node.outputs[0]
        if len(self.readers.get(name, [])) + (name in self.graph.outputs) != 1:
            raise self.refusal("a float result with several readers", repr(name), "one QuantizeLinear behind it")

    def pending(self, name: str) -> Pending:
        """Return a float result that is not quantised yet."""
        state = self.state(name)
        if not isinstance(state, Pending):
            raise self.refusal(
                "a float that is not read here", repr(name), "the result of an operator between DequantizeLinear and QuantizeLinear"
            )
        return state

    def number(self, node: OnnxNode, key: str, default: float) -> float:
        """Return an attribute that is a number."""
        value = node.attributes.get(key, default)
        if not isinstance(value, int | float):
            raise self.refusal(f"the attribute {key} is no number", value, "a number")
        return value

    def numbers(self, node: OnnxNode, key: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """Return an attribute that is a list of whole numbers."""
        value = node.attributes.get(key, default)
        if not isinstance(value, tuple):
            raise self.refusal(f"the attribute {key} is no list", value, "whole numbers")
        return tuple(int(v) for v in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]

    def refusal(self, what: str, given: object, expected: str, advice: str = "") -> UnsupportedError:
        """Return the error that names the file and the node."""
        where = f", {self.graph.nodes[self.place].place}" if self.graph.nodes else ""
        return UnsupportedError(f"{self.file}{where}: {what}", given=given, expected=expected, advice=advice)

    def _keep(self, node: OnnxNode) -> None:
        """Keep what a Constant node stores."""
        if node.op != "Constant":
            return
        for key, kind in (("value_int", "INT64"), ("value_ints", "INT64"), ("value_float", "FLOAT"), ("value_floats", "FLOAT")):
            if key in node.attributes:
                self.constants[node.outputs[0]] = StoredTensor(np.asarray(node.attributes[key]), kind)
        value = node.attributes.get("value")
        if isinstance(value, StoredTensor):
            self.constants[node.outputs[0]] = value
