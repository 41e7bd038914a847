"""What stands in a quantised ONNX file, as a linter looks at it: integer layers, float parameters between pairs, pairs that are merged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.lint.finding import DOUBLE_QDQ, FLOAT_CONSTANT, Finding
from qspec.lint.parameters import Weighted
from qspec.readers.onnx_file import OnnxGraph, OnnxNode

ENDS = {"INT8": (-128, 127), "UINT8": (0, 255), "INT16": (-32768, 32767), "UINT16": (0, 65535)}
FLOAT_LAYERS = ("Conv", "Gemm", "MatMul", "ConvTranspose")
PLACES: Mapping[str, tuple[int, int, int, int | None]] = {
    "QLinearConv": (2, 3, 5, 8),
    "QLinearMatMul": (2, 3, 5, None),
    "com.microsoft.QGemm": (2, 3, 5, 6),
}
"""Where zero point of the input, weights, zero point of the weights and bias of integer layers stand."""
SHOWN = 4
"""Scales and zero points of channels that a finding shows."""


def layers(graph: OnnxGraph) -> Iterator[Weighted]:
    """Yield the layers with stored integer weights: integer operators, and float ones whose operands are dequantised."""
    makers = {o: n for n in graph.nodes for o in n.outputs}
    for n in graph.nodes:
        if n.op in PLACES:
            zero, weights, shift, bias = PLACES[n.op]
            own = _weights(graph, n, _name(n, weights), _name(n, shift))
            if own is not None:
                yield Weighted(n.place, own, _bias(graph, _name(n, bias) if bias is not None else ""), _reach(graph, _name(n, zero)))
        elif n.op in FLOAT_LAYERS and _dequantised(makers, n.inputs[0]) and _dequantised(makers, _name(n, 1)):
            signal, kernel = makers[n.inputs[0]], makers[n.inputs[1]]
            own = _weights(graph, n, kernel.inputs[0], _name(kernel, 2))
            if own is not None:
                bias = makers.get(_name(n, 2))
                stored = _bias(graph, bias.inputs[0]) if bias is not None and bias.op == "DequantizeLinear" else None
                yield Weighted(n.place, own, stored, _reach(graph, _name(signal, 2)))


def floats(graph: OnnxGraph) -> Iterator[Finding]:
    """Yield float weights and biases of layers between DequantizeLinear and QuantizeLinear."""
    makers = {o: n for n in graph.nodes for o in n.outputs}
    for n in graph.nodes:
        if n.op in FLOAT_LAYERS and _dequantised(makers, n.inputs[0]):
            for name, what in zip(n.inputs[1:], ("weights", "bias"), strict=False):
                if name in graph.constants and graph.constants[name].type == "FLOAT":
                    yield Finding(FLOAT_CONSTANT, f"{n.place}, {name!r}", f"float {what} of shape {graph.constants[name].values.shape}")


def pairs(graph: OnnxGraph) -> Iterator[Finding]:
    """Yield two pairs of QuantizeLinear and DequantizeLinear in a row whose scales or zero points differ."""
    makers = {o: n for n in graph.nodes for o in n.outputs}
    for n in graph.nodes:
        before = makers.get(n.inputs[0]) if n.op == "QuantizeLinear" else None
        first = makers.get(before.inputs[0]) if before is not None and before.op == "DequantizeLinear" else None
        if before is None or first is None or first.op != "QuantizeLinear":
            continue
        one, two = (_quantisation(graph, m) for m in (before, n))
        if one != two:
            shown = " and ".join(str(tuple(None if v is None else v[:SHOWN] for v in own)) for own in (one, two))
            yield Finding(DOUBLE_QDQ, f"{before.place} and {n.place}", f"scale and zero point {shown}")


def _name(n: OnnxNode, place: int) -> str:
    return n.inputs[place] if place < len(n.inputs) else ""


def _dequantised(makers: Mapping[str, OnnxNode], name: str) -> bool:
    return name in makers and makers[name].op == "DequantizeLinear"


def _quantisation(graph: OnnxGraph, n: OnnxNode) -> list[list[object] | None]:
    """Return all scales and zero points, None where the file does not hold them."""
    stored = [graph.constants.get(_name(n, k)) for k in (1, 2)]
    return [None if v is None else v.values.reshape(-1).tolist() for v in stored]


def _weights(graph: OnnxGraph, n: OnnxNode, name: str, zero: str) -> IntArray | None:
    """Return the weights less their zero points, channels last."""
    stored = graph.constants.get(name)
    if stored is None or stored.type not in ENDS or stored.values.ndim < 2:
        return None
    codes = np.moveaxis(stored.values.astype(np.int64), 0, -1) if n.op.endswith("Conv") else stored.values.astype(np.int64)
    if n.op in ("Gemm", "com.microsoft.QGemm") and n.attributes.get("transB"):
        codes = codes.T
    own = graph.constants.get(zero)
    return codes if own is None else codes - own.values.astype(np.int64).reshape(-1)


def _bias(graph: OnnxGraph, name: str) -> IntArray | None:
    stored = graph.constants.get(name)
    return None if stored is None or stored.type != "INT32" else stored.values.astype(np.int64).reshape(-1)


def _reach(graph: OnnxGraph, zero: str) -> int:
    stored = graph.constants.get(zero)
    kind = "UINT8" if stored is None else stored.type
    low, high = ENDS.get(kind, ENDS["UINT8"])
    z = 0 if stored is None else int(stored.values.reshape(-1)[0])
    return max(abs(low - z), abs(high - z))
