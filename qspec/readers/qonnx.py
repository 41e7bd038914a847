"""QONNX files as networks: under `qonnx` bit for bit as qonnx's executor computes them, under `qonnx-exact` with exact numbers.

The graph is run node by node. Under `qonnx` every float operator rounds to float32, as it does in the executor; a product is read only if
no partial sum of it can need more than 24 bits, because the order of the sums is nowhere stated. Under `qonnx-exact` constants are folded
as before, a quantiser's result is exactly `(code - zero point) * scale`, and what depends on the input is computed without rounding.
Inputs and outputs are codes in the layout of the file, without a batch of one. What is not read is refused by operator and node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qspec.arithmetic.formats import Affine, Fixed, Format, code_range
from qspec.arithmetic.integers import IntArray, rational
from qspec.arithmetic.rounding import Overflow
from qspec.errors import UnsupportedError
from qspec.face import Network
from qspec.network.graph import apply
from qspec.network.layers import Input
from qspec.readers.input_format import InputFormat, stated
from qspec.readers.onnx_codes import bare, fresh, plain
from qspec.readers.onnx_file import OnnxNode, Port, has_quantizers, is_onnx, read_graph
from qspec.readers.onnx_quantized_moves import CHANGES
from qspec.readers.qonnx_constants import FOLDED, reshaped, transposed
from qspec.readers.qonnx_layers import output
from qspec.readers.qonnx_operators import OPERATORS
from qspec.readers.qonnx_tensors import QonnxTensors
from qspec.readers.qonnx_values import ExecutorConstant, VariableTensor, decoded
from qspec.readers.registry import Content, Reader
from qspec.runtimes.qonnx import Array

SEMANTICS = ("qonnx", "qonnx-exact")
"""The semantics that a QONNX file can be read under."""
QUANTISED = ("Quant", "IntQuant", "BipolarQuant", "Trunc", "MultiThreshold", "QuantizeLinear")
ADVICE = 'qs.load(path, input="ap_fixed<16,6>") or input="uint8(1/255)", whatever the device puts in'


@dataclass(frozen=True, slots=True)
class TensorOfNumbers:
    """A tensor of the file: its node, whether it is an output, and what makes its numbers of codes (samples, *signal)."""

    name: str
    operator: str
    final: bool
    unit: float
    decode: Callable[[IntArray], Array]


def read_qonnx(path: str | Path, *, semantics: str = "qonnx", input: InputFormat = None) -> Network:
    """Return the network of a QONNX file, or of a file with QuantizeLinear, Clip and DequantizeLinear, node by node.

    `input` is the format of the codes of the input, or of each input by name, as a format or as text: "ap_fixed<16,6>", "Q3.4",
    "uint8(1/255)", "int8(0.05, 3)" (scale, zero point). Without it the file must say it: an input that one quantiser reads has its codes,
    an annotation of a type its integers. Raises UnsupportedError on what is not read, by node, and on an unknown
    semantics, ModelFileError on a damaged file, PackageMissingError without the package `onnx`.
    """
    return _reader(path, semantics, input).network()


def read_qonnx_tensors(path: str | Path, *, semantics: str = "qonnx", input: InputFormat = None) -> tuple[Network, list[TensorOfNumbers]]:
    """Return a network that puts out the codes of every tensor that quantisers make, and of the outputs, with these tensors."""
    return _reader(path, semantics, input).tensors()


def _reader(path: str | Path, semantics: str, given: InputFormat) -> QonnxReader:
    if not isinstance(semantics, str) or semantics not in SEMANTICS:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UnsupportedError("no such semantics for QONNX", given=repr(semantics), expected=", ".join(SEMANTICS))
    return QonnxReader(path, semantics, given)


class QonnxReader(QonnxTensors):
    """The tensors of a file, as they are made."""

    def __init__(self, path: str | Path, semantics: str, given: InputFormat) -> None:
        super().__init__(read_graph(path, quantizers=True), Path(path).name, exact=semantics == "qonnx-exact")
        self.semantics = semantics
        self.formats = given

    def network(self) -> Network:
        """Return the network of the file's outputs."""
        made = [output(self.ending(name), exact=self.exact) for name in self._outputs()]
        signals = [fresh(plain(c), c.shape, True).signal for c in made]
        return Network.of(signals, name=self.graph.name or "network", semantics=self.semantics)

    def tensors(self) -> tuple[Network, list[TensorOfNumbers]]:
        """Return a network that puts out the integers of quantisers and of outputs, with the tensors that they are."""
        outputs = self._outputs()
        ends = [self.ended(name) for name in outputs]
        order = [o for o, n in self.makers.items() if n.op in QUANTISED and o in self.made and o not in ends] + ends
        found: list[TensorOfNumbers] = []
        for name in order:
            x = self.made[name]
            unit = float(x.codes.signal.type.grid.units[0])
            place = self.makers[name].place if name in self.makers else "the input"
            found.append(TensorOfNumbers(name, place, name in ends, unit, lambda codes, x=x: decoded(x, codes, exact=self.exact)))
        signals = [self.made[name].codes.signal for name in order]
        return Network.of(signals, name=self.graph.name or "network", semantics=self.semantics), found

    def ended(self, name: str) -> str:
        """Return the tensor that stands for an output: what an operator at the end reads that is left out."""
        while name in self.makers and (name not in self.made or self.made[name].left_out):
            name = self.makers[name].inputs[0]
        return name

    def ending(self, name: str) -> VariableTensor:
        """Return the numbers that stand for an output."""
        return self.numbers_of(self.ended(name))

    def _outputs(self) -> list[str]:
        if not any(n.op in QUANTISED for n in self.graph.nodes):
            expected = ", ".join(QUANTISED)
            raise UnsupportedError(
                "a network without quantisers", given=self.file, expected=expected, advice="qspec.readers.onnx.read_onnx"
            )
        if not self.made:
            self._walk()
        names = list(self.graph.outputs)
        if not names or any(self.ended(n) not in self.made for n in names):
            raise self.refusal("an output that does not depend on the input", names, "outputs of the network")
        return names

    def _walk(self) -> None:
        for name, port in self.graph.inputs.items():
            if name in self.readers:
                self._input(name, port)
        for place in range(len(self.graph.nodes)):
            with self.at(place) as node:
                name = node.outputs[0]
                if name in self.folded:
                    continue
                made = self._made(node)
                if isinstance(made, ExecutorConstant):
                    self.folded[name] = made
                else:
                    self.made[name] = made

    def _made(self, node: OnnxNode) -> ExecutorConstant | VariableTensor:
        names = [name for name in node.inputs if name]
        if names and all(name in self.folded for name in names):
            folded = self._folded(node, [self.folded[name] for name in names])
            if folded is not None:
                return folded
        if node.op not in OPERATORS:
            raise self.refusal("an operator that is not read", node.op, ", ".join(sorted(OPERATORS)))
        return OPERATORS[node.op](self, node)

    def _folded(self, node: OnnxNode, inputs: list[ExecutorConstant]) -> ExecutorConstant | None:
        """Return what an operator makes of constants; None if another table reads it."""
        x = inputs[0]
        if node.op == "Transpose":
            return transposed(x, self.numbers(node, "perm", tuple(reversed(range(x.values.ndim)))))
        if node.op in ("Reshape", "Flatten"):
            probe = fresh(apply(Input(bare(x.values.shape), Fixed(1, 0))), x.values.shape, True)
            return reshaped(x, CHANGES[node.op](self, node, probe).shape)
        return ExecutorConstant(np.asarray(FOLDED[node.op](self, node, inputs))) if node.op in FOLDED else None

    # ---- inputs

    def _input(self, name: str, port: Port) -> None:
        known = port.sizes
        if known is None or port.type != "FLOAT":
            raise self.refusal(
                "an input that is not read", f"{name!r}: {port.type} of shape {port.shape}", "FLOAT, sizes of all axes but the first"
            )
        label = "x" if len(self.graph.inputs) == 1 else name
        fmt = self._format(name)
        codes = fresh(apply(Input(bare(known), fmt, label)), known, True)
        lower, upper = code_range(fmt, bare(known))
        zeros = fmt.grid().zeros
        self.made[name] = VariableTensor(codes, int(lower.min()) - max(zeros), int(upper.max()) - min(zeros))

    def _format(self, name: str) -> Format:
        given = self.formats.get(name) if isinstance(self.formats, Mapping) else self.formats
        if given is not None:
            return stated(given)
        declared = self.graph.types.get(name, "FLOAT32")
        if declared != "FLOAT32":
            return self._declared(name, declared)
        nodes = self._first(name)
        if len(nodes) == 1 and nodes[0].op in ("Quant", "IntQuant", "QuantizeLinear"):
            found = self._natural(nodes[0])
            if found is not None:
                return found
        read = ", ".join(n.place for n in nodes)
        raise UnsupportedError(
            f"{self.file}: the file does not say which values the input {name!r} takes",
            given=f"float32, read by {read}",
            expected="an input that one quantiser reads, a type in its annotation, or a format",
            advice=ADVICE,
        )

    def _declared(self, name: str, kind: str) -> Fixed:
        """Return the format of an annotated type of integers."""
        signed = not kind.startswith("U")
        digits = kind.removeprefix("U").removeprefix("INT")
        if not digits.isdigit() or not 1 <= int(digits) <= 32:
            raise UnsupportedError(
                f"{self.file}: an input of a type that is not read", given=f"{name!r}: {kind}", expected="INT<n> or UINT<n>"
            )
        return Fixed(int(digits), 0, signed)

    def _first(self, name: str) -> list[OnnxNode]:
        """Return the nodes that read an input, itself or moved, and compute."""
        found: list[OnnxNode] = []
        for node in self.readers.get(name, []):
            if node.op in CHANGES:
                found += self._first(node.outputs[0])
            elif node.op != "Shape":
                found.append(node)
        return found

    def _natural(self, node: OnnxNode) -> Format | None:
        """Return the format of a quantiser that reads an input, if it has one scale."""
        self.place = self.graph.nodes.index(node)
        if node.op == "QuantizeLinear":
            if self.scale(node.inputs[1]).size > 1:
                return None
            linear = self.linear_quantizer(node)
            bits = (linear.ends[1] - linear.ends[0]).bit_length()
            return Affine(bits, linear.ends[0] < 0, rational(float(linear.scale)), int(linear.zero))
        quantizer = self.int_quant(node)
        low, high = quantizer.ends
        zero = int(quantizer.zero.reshape(-1)[0])
        if quantizer.scale.size > 1 or quantizer.zero.size > 1 or quantizer.bipolar or not low <= zero <= high:
            return None
        overflow = Overflow.SAT_SYM if quantizer.narrow and quantizer.signed else Overflow.SAT
        return Affine(quantizer.bits, quantizer.signed, rational(float(quantizer.scale.reshape(-1)[0])), zero, overflow=overflow)


def _recognized(content: Content) -> bool:
    return is_onnx(content.head) and has_quantizers(content.path)


READER = Reader(format="QONNX", suffixes=(".onnx", ".onnx.gz"), recognizes=_recognized, read=read_qonnx, within="ONNX")
