"""Quantised ONNX files as networks, bit for bit as ONNX Runtime's integer operators compute them.

Files with QLinear operators mean those operators. Files with pairs of QuantizeLinear and DequantizeLinear (QDQ) are read as the fused
operators: a float operator between DequantizeLinear and QuantizeLinear is the QLinear operator of the same name. Inputs and outputs are
codes in the layout of the file, without a batch of one: a QuantizeLinear of a float input, and a DequantizeLinear or Softmax at the end,
are left out. What is not read is refused by operator and node.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qspec.errors import UnsupportedError
from qspec.face import Network
from qspec.network.graph import ROUNDING, Stage, apply
from qspec.network.layers import Input
from qspec.readers.onnx_codes import Codes, Real, bare, fresh, plain
from qspec.readers.onnx_file import Port, is_onnx, operators, read_graph
from qspec.readers.onnx_quantized_moves import MOVES
from qspec.readers.onnx_quantized_operators import OPERATORS
from qspec.readers.onnx_quantized_tensors import TYPES, QuantizedTensors
from qspec.readers.registry import Content, Reader
from qspec.runtimes.arithmetic import Quantized
from qspec.runtimes.ort import OrtQLinear
from qspec.runtimes.ort_qdq import OrtQdq

SEMANTICS = {r.name: r for r in (OrtQLinear(), OrtQdq())}
"""The runtime semantics that a quantised ONNX file can be read under."""
QUANTISED = ("QuantizeLinear", "DequantizeLinear", "QLinear", "QGemm", "ConvInteger", "MatMulInteger", "DynamicQuantizeLinear")
STATED = {
    "QLinearConv": ((0, 1, 2),),
    "QLinearMatMul": ((0, 1, 2),),
    "com.microsoft.QGemm": ((0, 1, 2),),
    "com.microsoft.QLinearAdd": ((0, 1, 2), (3, 4, 5)),
    "com.microsoft.QLinearGlobalAveragePool": ((0, 1, 2),),
    "com.microsoft.QLinearAveragePool": ((0, 1, 2),),
    "com.microsoft.QLinearSigmoid": ((0, 1, 2),),
    "com.microsoft.QLinearLeakyRelu": ((0, 1, 2),),
    "QuantizeLinear": ((0, 1, 2),),
    "DequantizeLinear": ((0, 1, 2),),
}
"""Where operators state the quantisation of what they read: the places of a tensor, its scale and its zero point among the inputs."""


@dataclass(frozen=True, slots=True)
class TensorOfCodes:
    """A tensor of codes, the operator and node that make it, and whether it stands for an output of the file."""

    name: str
    operator: str
    final: bool


def read_quantized_onnx(path: str | Path, *, semantics: str = "ort-qlinear") -> Network:
    """Return the network of a quantised `.onnx` file as ONNX Runtime computes it: its integer operators ("ort-qlinear"), or ("ort-qdq") its
    float operators between DequantizeLinear and QuantizeLinear, if no order of their sums can change a code.

    Raises UnsupportedError on operators, types or quantisations that are not read, on a float network and on an unknown semantics,
    ModelFileError on a damaged file, PackageMissingError without the package `onnx`.
    """
    network = read_enclosed_onnx(path, semantics)
    if unknown := roundings(network):
        raise UnsupportedError(
            f"{Path(path).name}: float32 sums whose order ONNX Runtime chooses",
            given=", ".join(s.name.removesuffix(ROUNDING) for s in unknown),
            expected="sums that are exact, as with scales that are powers of two",
            advice="qs.any_order(path, …) proves what holds for every order; semantics='ort-qlinear' is the fused reading",
        )
    return network


def read_enclosed_onnx(path: str | Path, semantics: str) -> Network:
    """Return the network of a file in which rounding errors that are not known are inputs, called as `roundings` finds them."""
    expect_semantics(semantics)
    return QuantizedReader(read_graph(path), Path(path).name, SEMANTICS[semantics]).network()


def roundings(network: Network) -> list[Stage]:
    """Return the inputs that stand for rounding errors, in the order of the layers."""
    return [s for s in network.inputs if s.name.endswith(ROUNDING)]


def read_quantized_tensors(path: str | Path, semantics: str) -> tuple[Network, list[TensorOfCodes]]:
    """Return a network that puts out every tensor of codes that nodes of a file make, with these tensors."""
    expect_semantics(semantics)
    return QuantizedReader(read_graph(path), Path(path).name, SEMANTICS[semantics]).tensors()


def expect_semantics(name: str) -> None:
    """Raise UnsupportedError, with the list, unless a quantised ONNX file can be read under a semantics."""
    if not isinstance(name, str) or name not in SEMANTICS:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UnsupportedError("no such runtime semantics for ONNX", given=repr(name), expected=", ".join(SEMANTICS))


class QuantizedReader(QuantizedTensors):
    """The tensors of a file, as they are made."""

    def network(self) -> Network:
        """Return the network of the file's outputs."""
        if not any(q in n.op for n in self.graph.nodes for q in QUANTISED):
            raise UnsupportedError(
                "a float ONNX network has no quantised layers",
                given=self.file,
                expected="a file with QLinear operators, or with QuantizeLinear and DequantizeLinear",
                advice="qs.load(path) reads it as a real network, and RealNetwork.quantize quantises that",
            )
        self._walk()
        made = [self.codes(name).signal for name in self.graph.outputs]
        return Network.of(made, name=self.graph.name or "network", semantics=self.runtime.name)

    def tensors(self) -> tuple[Network, list[TensorOfCodes]]:
        """Return a network that puts out every tensor of codes that nodes make, with these tensors; the outputs of the file are last."""
        self.network()
        made = {o: n.place for n in self.graph.nodes for o in n.outputs if isinstance(self.states.get(o), Codes)}
        ends = [end for name in self.graph.outputs if (end := self.end(name)) in made]
        if not made:
            raise self.refusal("a file whose nodes make no codes", len(self.graph.nodes), "an operator on codes")
        order = [TensorOfCodes(name, made[name], name in ends) for name in (*(n for n in made if n not in ends), *ends)]
        signals = [self.codes(t.name).signal for t in order]
        return Network.of(signals, name=self.graph.name or "network"), order

    def end(self, name: str) -> str:
        """Return the tensor of codes that stands for an output of the file: what was dequantised at the end."""
        while not isinstance(self.states.get(name), Codes) and name in self.makers:
            name = self.makers[name].inputs[0]
        return name

    def codes(self, name: str) -> Codes:
        """Return a tensor of codes, in the layout of the file."""
        state = self.states.get(name)
        if isinstance(state, Real):
            state = state.codes
        if not isinstance(state, Codes):
            raise self.refusal("a result that nothing quantises", repr(name), "codes, or a DequantizeLinear of codes at the end")
        return fresh(plain(state), state.shape, state.signed)

    def _walk(self) -> None:
        for name, port in self.graph.inputs.items():
            if name in self.readers:
                self._input(name, port)
        for place in range(len(self.graph.nodes)):
            with self.at(place) as node:
                if node.outputs[0] in self.constants:
                    continue
                if node.op not in OPERATORS:
                    raise self.refusal("an operator that is not read", node.op, ", ".join(sorted(o.split(".")[-1] for o in OPERATORS)))
                self.states[node.outputs[0]] = OPERATORS[node.op](self, node)

    def _input(self, name: str, port: Port) -> None:
        known = port.sizes
        if known is None:
            raise self.refusal("an input of unknown shape", f"{name!r} of shape {port.shape}", "sizes of all axes but the first")
        if name.endswith(ROUNDING):
            raise self.refusal("an input with a name that qspec gives to rounding errors", repr(name), f"a name without {ROUNDING!r}")
        stated = dict.fromkeys(self._stated(name, real=port.type == "FLOAT"))
        if port.type not in (*TYPES, "FLOAT") or (port.type == "FLOAT" and len(stated) != 1):
            given = f"{name!r} of type {port.type}, quantised in {len(stated)} ways"
            raise self.refusal("an input that is not read", given, "INT8, UINT8, or FLOAT that one quantisation reads")
        quantized = next(iter(stated), Quantized(1.0, 0, port.type == "INT8"))
        label = "x" if len(self.graph.inputs) == 1 else name
        signal = apply(Input(bare(known), quantized.format, label))
        codes = fresh(signal, known, quantized.signed)
        self.states[name] = Real(codes, quantized) if port.type == "FLOAT" else codes

    def _stated(self, name: str, *, real: bool) -> Iterator[Quantized]:
        """Yield the quantisations that readers of an input, itself or moved, state for it; raises UnsupportedError if one takes floats."""
        for node in self.readers.get(name, []):
            if node.op in MOVES:
                yield from self._stated(node.outputs[0], real=real)
            elif real and (node.op != "QuantizeLinear" or node.inputs[0] != name):
                raise self.refusal("a float input that is not quantised first", f"{name!r} read by {node.place}", "QuantizeLinear")
            else:
                for tensor, scale, zero in STATED.get(node.op, ()):
                    if node.inputs[tensor] == name:
                        yield self.quantized(node, scale, zero)


def _recognized(content: Content) -> bool:
    return is_onnx(content.head) and any(q in op for op in operators(content.path) for q in QUANTISED)


READER = Reader(format="quantised ONNX", suffixes=(".onnx", ".onnx.gz"), recognizes=_recognized, read=read_quantized_onnx, within="ONNX")
