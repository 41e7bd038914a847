"""The signals of a TensorFlow Lite file while it is read: what operators ask of tensors and options, and how they refuse."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from qspec.arithmetic.integers import IntArray, integers
from qspec.arithmetic.tensor import Tensor
from qspec.errors import UnsupportedError
from qspec.network.graph import Signal, apply
from qspec.network.kernel_layers import Constant, Reshape
from qspec.readers.tflite_file import TfliteModel, TfliteOperator, TfliteTensor
from qspec.runtimes.arithmetic import Quantized
from qspec.runtimes.runtime import Runtime

FUSED = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT")
"""Fused activations, in the order of the schema."""

WIDTHS = {"INT8": 8, "UINT8": 8, "INT16": 16}
"""The types of signals, and their bits."""


@dataclass(slots=True)
class TfliteSignals:
    """The signals of a file, tensor by tensor, as they are made; `place` is the operator that is read, `following` are the next states."""

    model: TfliteModel
    runtime: Runtime
    signals: dict[int, Signal] = field(default_factory=dict[int, Signal])
    following: dict[int, Signal] = field(default_factory=dict[int, Signal])
    place: int = 0

    def operand(self, index: int, shape: tuple[int, ...]) -> Signal:
        tensor = self.model.tensors[index]
        if tensor.data is None or index in self.signals:
            if self.signal(index).shape != shape:
                raise self.refusal("operands that broadcast", f"{self.signal(index).shape} to {shape}", "one shape")
            return self.signal(index)
        codes = tensor.data.reshape(tensor.shape[1:] if len(tensor.shape) > len(shape) else tensor.shape)
        return apply(Constant(Tensor(integers(np.broadcast_to(codes, shape)), self.quantized(index).format)))

    def stored(self, index: int) -> IntArray:
        data = self.model.tensors[index].data
        if data is None:
            raise self.refusal("a tensor that is computed where a stored one is read", self.model.tensors[index].name, "a constant")
        return data

    def signal(self, index: int) -> Signal:
        if index not in self.signals:
            raise self.refusal("a tensor that nothing makes", self.model.tensors[index].name, "the result of an operator before")
        return self.signals[index]

    def quantized(self, index: int) -> Quantized:
        tensor = self.model.tensors[index]
        if tensor.type not in WIDTHS or len(tensor.scales) != 1 or tensor.scales[0] <= 0:
            given = f"{tensor.name!r}: {tensor.type} with {len(tensor.scales)} scales"
            raise self.refusal("a signal that is not read", given, ", ".join(WIDTHS) + " with one positive scale")
        if tensor.type == "UINT8" and self.runtime.name == "tflm":
            raise self.refusal("a uint8 signal under the semantics 'tflm'", tensor.name, "int8, or semantics='litert-reference'")
        if tensor.type == "INT16" and any(tensor.zeros):
            raise self.refusal("an int16 signal with a zero point", f"{tensor.name!r}: {tensor.zeros[0]}", "zero point 0")
        return Quantized(tensor.scales[0], tensor.zeros[0] if tensor.zeros else 0, tensor.type != "UINT8", WIDTHS[tensor.type])

    def scale(self, index: int) -> float:
        """Return the one scale of weights without a zero point."""
        tensor = self.model.tensors[index]
        if len(tensor.scales) != 1 or any(tensor.zeros) or tensor.type not in ("INT8", "INT16"):
            given = f"type {tensor.type}, zero points {sorted(set(tensor.zeros))}, {len(tensor.scales)} scales"
            raise self.refusal("weights that are not read", given, "INT8 or INT16 with one scale and zero point 0")
        return tensor.scales[0]

    def check_sums(self, kernel: Tensor, bias: Tensor | None, x: Quantized, bits: int = 32) -> None:
        """Raise UnsupportedError if an accumulator can leave its bits: the kernels wrap there, or saturate, each in its way."""
        reach = max(x.ends[1] - x.zero, x.zero - x.ends[0])
        sums = np.abs(kernel.codes.astype(np.int64)).reshape(-1, kernel.shape[-1]).sum(axis=0) * reach
        sums = sums + (0 if bias is None else np.abs(bias.codes.astype(np.int64)))
        if np.any(sums >= 2 ** (bits - 1)):
            channel = int(np.argmax(sums))
            given = f"{int(sums[channel])} in channel {channel}"
            raise self.refusal(f"an accumulator that can leave int{bits}", given, f"less than 2**{bits - 1}")

    def shape(self, tensor: TfliteTensor) -> tuple[int, ...]:
        if len(tensor.shape) < 2 or tensor.shape[0] != 1:
            raise self.refusal("a signal without a batch of one", f"{tensor.name!r} of shape {tensor.shape}", "(1, …)")
        return tensor.shape[1:]

    def alike(self, o: TfliteOperator) -> tuple[Signal, Quantized]:
        given, out = self.quantized(o.inputs[0]), self.quantized(o.outputs[0])
        if given != out:
            raise self.refusal(f"a {o.kind} that rescales", f"{given} to {out}", "one scale and zero point")
        return self.signal(o.inputs[0]), out

    def limits(self, o: TfliteOperator) -> tuple[int, int]:
        code = int(o.options.get("FusedActivationFunction", 0))
        if not 0 <= code < len(FUSED):
            raise self.refusal("a fused activation that is not known", code, ", ".join(FUSED))
        return self.runtime.ends(FUSED[code], self.quantized(o.outputs[0]))

    def pair(self, o: TfliteOperator, first: str, second: str) -> tuple[int, int]:
        return int(o.options[first]), int(o.options[second])

    def shaped(self, signal: Signal, shape: tuple[int, ...]) -> Signal:
        return signal if signal.shape == shape else apply(Reshape(shape), signal)

    def name(self, o: TfliteOperator) -> str:
        return f"{o.kind.lower()}_{self.place}"

    def refusal(self, what: str, given: object, expected: str) -> UnsupportedError:
        where = f"operator {self.place} ({self.model.operators[self.place].kind})" if self.model.operators else "the file"
        return UnsupportedError(f"{self.model.name}.tflite, {where}: {what}", given=given, expected=expected)
