"""The tensors of a QONNX file by name, and what nodes say of scales, zero points, widths and roundings; nothing is trusted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from qspec.readers.onnx_file import OnnxGraph, OnnxNode, StoredTensor
from qspec.readers.onnx_quantized_tensors import QuantizedTensors
from qspec.readers.qonnx_constants import DTYPES, known
from qspec.readers.qonnx_values import ExecutorConstant, VariableTensor
from qspec.runtimes.qonnx import ROUNDINGS, Array, IntQuant, QuantizeLinear, each, fraction

WIDEST = 24
"""Bits of a quantiser, at most."""
LINEAR_TYPES: Mapping[str, tuple[int, int]] = {
    "INT8": (-128, 127),
    "UINT8": (0, 255),
    "INT16": (-32768, 32767),
    "UINT16": (0, 65535),
    "INT4": (-8, 7),
    "UINT4": (0, 15),
}


class QonnxTensors(QuantizedTensors):
    """The tensors of a file, as they are made; `exact` says whether float operators are meant exactly or as float32."""

    def __init__(self, graph: OnnxGraph, file: str, *, exact: bool) -> None:
        super().__init__(graph, file)
        self.exact = exact
        self.made: dict[str, VariableTensor] = {}
        self.folded: dict[str, ExecutorConstant] = {name: known(stored) for name, stored in self.constants.items()}

    def constant(self, name: str, what: str) -> StoredTensor:
        """Return a stored tensor, or one that was computed of stored ones."""
        if name not in self.constants and name in self.folded:
            values = self.folded[name].values
            return StoredTensor(values, {v: k for k, v in DTYPES.items()}.get(values.dtype.type, str(values.dtype).upper()))
        return super().constant(name, what)

    def tensor(self, name: str) -> ExecutorConstant | VariableTensor:
        """Return a tensor that was made before; raises UnsupportedError if there is none."""
        if name in self.folded:
            return self.folded[name]
        if name not in self.made:
            raise self.refusal("a tensor that is not read", repr(name), "a constant, or the first result of a node that is read")
        if self.made[name].left_out:
            raise self.refusal(f"an operator behind {self.made[name].left_out}", repr(name), f"{self.made[name].left_out} at the end")
        return self.made[name]

    def numbers_of(self, name: str) -> VariableTensor:
        """Return a tensor that depends on the input."""
        found = self.tensor(name)
        if not isinstance(found, VariableTensor):
            raise self.refusal("a constant where a signal is read", repr(name), "a tensor that depends on the input")
        return found

    def known_of(self, name: str, what: str) -> ExecutorConstant:
        """Return a constant; raises UnsupportedError if it depends on the input."""
        found = self.tensor(name)
        if not isinstance(found, ExecutorConstant):
            raise self.refusal(f"{what} that depends on the input", repr(name), "a constant")
        return found

    def tensor_shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        found = self.tensor(name)
        return found.values.shape if isinstance(found, ExecutorConstant) else found.shape

    def scale(self, name: str) -> Array:
        """Return float32 scales; raises UnsupportedError on such that are not positive and finite."""
        values = self.known_of(name, "a scale").values
        if values.dtype != np.float32 or not values.size or not np.all((values > 0) & np.isfinite(values)):
            raise self.refusal("a scale that is not read", f"{name!r}: {values.dtype} {values.reshape(-1)[:4]}", "FLOAT, positive, finite")
        return values

    def zero(self, name: str) -> Array:
        """Return whole zero points; none means 0."""
        if not name:
            return np.zeros((), np.float32)
        values = self.known_of(name, "a zero point").values
        if (
            values.dtype.kind not in "fiu"
            or not np.all(np.isfinite(values))
            or np.any(values != np.round(values))
            or np.any(abs(values) >= 2**31)
        ):
            raise self.refusal("a zero point that is no whole number", f"{name!r}: {values.reshape(-1)[:4]}", "whole numbers below 2**31")
        return values

    def bits(self, name: str) -> int:
        """Return a bit width; raises UnsupportedError unless it is one whole number from 1 to `WIDEST`."""
        values = self.known_of(name, "a bit width").values
        width = float(values.reshape(-1)[0]) if values.size == 1 else float("nan")
        if width != round(width, 0) or not 1 <= width <= WIDEST:
            raise self.refusal(
                "a bit width that is not read", f"{name!r}: {values.reshape(-1)[:4]}", f"one whole number from 1 to {WIDEST}"
            )
        return int(width)

    def rounding(self, node: OnnxNode, default: str) -> str:
        """Return a rounding mode; raises UnsupportedError on one that qonnx does not know."""
        mode = str(node.attributes.get("rounding_mode", default)).upper()
        if mode not in ROUNDINGS:
            raise self.refusal("a rounding mode that qonnx does not know", mode, ", ".join(ROUNDINGS))
        return mode

    def int_quant(self, node: OnnxNode) -> IntQuant:
        """Return what a Quant node does."""
        signed, narrow = (bool(self.number(node, key, 1)) for key in ("signed", "narrow"))
        scale, zero, bits = self.scale(node.inputs[1]), self.zero(node.inputs[2]), self.bits(node.inputs[3])
        quantizer = IntQuant(scale, zero, bits, signed, narrow, self.rounding(node, "ROUND"))
        if quantizer.ends[0] >= quantizer.ends[1]:
            raise self.refusal("a quantiser with one code", f"{bits} bits, signed {signed}, narrow {narrow}", "two codes at least")
        return quantizer

    def linear_quantizer(self, node: OnnxNode) -> QuantizeLinear:
        """Return what a QuantizeLinear node does."""
        name = self.given(node, 2)
        kind = self.constant(name, "a zero point").type if name else "UINT8"
        if (
            kind not in LINEAR_TYPES
            or node.attributes.get("block_size", 0)
            or (not name and node.attributes.get("output_dtype", 2) not in (0, 2))
        ):
            raise self.refusal("a QuantizeLinear that is not read", f"{kind} {dict(node.attributes)}", ", ".join(LINEAR_TYPES))
        scale, zero = self.placed(node, self.scale(node.inputs[1])), self.placed(node, self.zero(name))
        return QuantizeLinear(scale, zero, LINEAR_TYPES[kind])

    def placed(self, node: OnnxNode, values: Array) -> Array:
        """Return numbers along the axis that a node of ONNX states, so that they broadcast."""
        shape = self.tensor_shape(node.inputs[0])
        if values.size == 1 or values.ndim != 1:
            return values.reshape(()) if values.size == 1 else values
        axis = int(self.number(node, "axis", 1)) % max(len(shape), 1)
        if not shape or shape[axis] != values.size:
            raise self.refusal("scales that do not fit", f"{values.shape} for {shape}, axis {axis}", "one for each entry of the axis")
        return values.reshape(tuple(values.size if k == axis else 1 for k in range(len(shape))))

    def bias_of(self, node: OnnxNode, place: int, count: int) -> Array | None:
        """Return a constant bias, one number for each output; None if there is none."""
        name = self.given(node, place)
        if not name:
            return None
        values = self.known_of(name, "a bias").values
        if values.size not in (1, count) or values.dtype != np.float32 or not np.all(np.isfinite(values)):
            raise self.refusal("a bias that does not fit", f"{values.dtype} {values.shape}", f"float32, ({count},)")
        return np.broadcast_to(self.meant(self.known_of(name, "a bias")).reshape(-1), (count,))

    def meant(self, x: ExecutorConstant) -> Array:
        """Return the numbers that a constant means: under exact semantics a quantised one is its codes times its scale."""
        if not self.exact or x.codes is None or x.scale is None:
            return x.values
        scale = np.broadcast_to(x.scale, x.values.shape)
        return each(fraction, x.codes) * each(fraction, scale)

    def fitting(self, x: ExecutorConstant, like: VariableTensor) -> Array:
        """Return a constant operand, with the rank of a signal; raises UnsupportedError if it would repeat the signal, or is no float32."""
        values = x.values
        rank = len(like.shape)
        if values.dtype != np.float32 or values.ndim > rank or not np.all(np.isfinite(values)):
            raise self.refusal("a constant operand that does not fit", f"{values.dtype} {values.shape} for {like.shape}", "finite float32")
        return self.meant(x).reshape((1,) * (rank - values.ndim) + values.shape)
