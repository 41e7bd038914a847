"""Quantised TensorFlow Lite files as networks, bit for bit under a named runtime semantics.

Batches are of one, and left out of shapes. Every operator becomes layers whose integers are those of the runtime's kernel; what is not read
is refused by name and place. A SOFTMAX or DEQUANTIZE at the end and a QUANTIZE of a float input at the beginning are left out: inputs and
outputs are codes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from qspec.arithmetic.formats import Affine, Fixed
from qspec.arithmetic.integers import IntArray, integers, rational
from qspec.arithmetic.rounding import Rounding
from qspec.arithmetic.tensor import Tensor
from qspec.errors import UnsupportedError
from qspec.face import Network
from qspec.network.graph import Signal, apply
from qspec.network.kernel_layers import Constant, Pad, Reinterpret, Reshape, Transpose
from qspec.network.layers import Add, AveragePool2D, Conv2D, Dense, Input, MaxPool2D
from qspec.readers.registry import Content, Reader
from qspec.readers.tflite_file import TfliteModel, TfliteOperator, TfliteTensor, read_model
from qspec.readers.tflite_layers import by_channel, clamped, joined, nearest, tabled, times, two_slopes
from qspec.runtimes.arithmetic import Quantized
from qspec.runtimes.registry import tflite_runtime
from qspec.runtimes.runtime import Runtime

PADDINGS = ("same", "valid")
FUSED = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT")
"""Fused activations, in the order of the schema."""
ON_ELEMENTS = ("ELU", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "TANH")
LAST = ("SOFTMAX", "DEQUANTIZE")
"""Operators that are left out at the end: outputs are the codes before them."""


def read_tflite(path: str | Path, *, semantics: str = "tflm") -> Network:
    """Return the network of a quantised `.tflite` file as the named runtime computes it.

    Raises UnsupportedError on operators, types or quantisations that are not read and on an unknown semantics, ModelFileError on a damaged
    file, PackageMissingError without the package `tflite`.
    """
    runtime = tflite_runtime(semantics)
    return _Reader(read_model(path), runtime).network()


def read_tensors(model: TfliteModel, semantics: str) -> tuple[Network, list[int]]:
    """Return a network that puts out every tensor that operators make, in the order of the file, with the numbers of these tensors."""
    return _Reader(model, tflite_runtime(semantics)).tensors()


def output_tensors(model: TfliteModel) -> list[int]:
    """Return the tensors whose codes are the outputs of the network: those of the file, but for operators that are left out at the end."""
    return _Reader(model, tflite_runtime("tflm")).outputs()


@dataclass(slots=True)
class _Reader:
    """The signals of a file, tensor by tensor, as they are made."""

    model: TfliteModel
    runtime: Runtime
    signals: dict[int, Signal] = field(default_factory=dict[int, Signal])
    place: int = 0

    def network(self) -> Network:
        return self._collected(self._outputs())

    def tensors(self) -> tuple[Network, list[int]]:
        self._outputs()
        made = [o.outputs[0] for o in self.model.operators if o.outputs[0] in self.signals and o.outputs[0] not in self.model.inputs]
        return self._collected([self.signals[t] for t in made]), made

    def _collected(self, outputs: list[Signal]) -> Network:
        return Network.of(outputs, name=self.model.name or "network", semantics=self.runtime.name)

    def _outputs(self) -> list[Signal]:
        """Make the signals of all operators; returns those of the file's outputs."""
        for index in self.model.inputs:
            self._input(index)
        final = self._ends()
        for place, operator in enumerate(self.model.operators):
            self.place = place
            if place not in final:
                self._apply(operator)
        return [self._signal(t) for t in self.outputs()]

    def outputs(self) -> list[int]:
        """Return the tensors that stand for the file's outputs."""
        final = self._ends()
        return [final.get(self._maker(o), o) for o in self.model.outputs]

    def _input(self, index: int) -> None:
        tensor = self.model.tensors[index]
        if tensor.type == "FLOAT32":  # read by a QUANTIZE, whose result is the input
            makers = [o for o in self.model.operators if index in o.inputs]
            if [o.kind for o in makers] != ["QUANTIZE"]:
                raise self._refusal("a float network", f"input {tensor.name!r} of type FLOAT32", "an int8 file, or a QUANTIZE of the input")
            self._input(makers[0].outputs[0])
            return
        name = "x" if len(self.model.inputs) == 1 else f"x{len(self.signals)}"
        self.signals[index] = apply(Input(self._shape(tensor), self._quantized(index).format, name))

    def _ends(self) -> dict[int, int]:
        """Return the operators at the end that are left out, each with the tensor that stands for its result."""
        read = {i for o in self.model.operators for i in o.inputs}
        final: dict[int, int] = {}
        for place in reversed(range(len(self.model.operators))):
            operator = self.model.operators[place]
            followers = [k for k, o in enumerate(self.model.operators) if operator.outputs and operator.outputs[0] in o.inputs]
            if operator.kind in LAST and (operator.outputs[0] not in read or all(k in final for k in followers)):
                final[place] = operator.inputs[0]
        for place in final:
            while (maker := self._maker(final[place])) in final:
                final[place] = final[maker]
        return final

    def _maker(self, tensor: int) -> int:
        return next((k for k, o in enumerate(self.model.operators) if tensor in o.outputs), -1)

    def _apply(self, operator: TfliteOperator) -> None:
        if operator.kind == "QUANTIZE" and self.model.tensors[operator.inputs[0]].type == "FLOAT32":
            return
        if operator.kind in ON_ELEMENTS:
            made = self._on_elements(operator)
        elif operator.kind in OPERATORS:
            made = OPERATORS[operator.kind](self, operator)
        else:
            raise self._refusal("an operator that is not read", operator.kind, ", ".join(sorted((*OPERATORS, *ON_ELEMENTS, *LAST))))
        self.signals[operator.outputs[0]] = self._shaped(made, self._shape(self.model.tensors[operator.outputs[0]]))

    # ---- operators

    def sums(self, o: TfliteOperator) -> Signal:
        """CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED: the exact sum, then the kernel's output stage."""
        x, out = self._signal(o.inputs[0]), self._quantized(o.outputs[0])
        stored = self.model.tensors[o.inputs[1]]
        kernel = self._kernel(o, stored)
        scales = stored.scales if len(stored.scales) > 1 else stored.scales * kernel.shape[-1]
        unit = self._quantized(o.inputs[0]).scale
        bias = self._bias(o, unit, scales)
        name = self._name(o)
        if o.kind == "FULLY_CONNECTED":
            if x.type.size != kernel.shape[0]:
                raise self._refusal("a FULLY_CONNECTED with several rows", f"{x.shape} for {kernel.shape[0]} inputs", "one row")
            x = self._shaped(x, (x.type.size,))
            layer: Dense | Conv2D = Dense(kernel, bias, name=name)
        else:
            stride, dilation = self._pair(o, "StrideH", "StrideW"), self._pair(o, "DilationHFactor", "DilationWFactor")
            groups = x.shape[-1] // kernel.shape[2]
            layer = Conv2D(kernel, bias, stride, PADDINGS[int(o.options["Padding"])], dilation, groups, name=name)
        self._check_sums(kernel, bias, self._quantized(o.inputs[0]))
        return apply(self.runtime.sums(o.kind, unit, scales, out, self._limits(o)), apply(layer, x))

    def addition(self, o: TfliteOperator) -> Signal:
        """ADD, SUB: both operands brought to common integers, their sum, and the output stage."""
        own = [self._quantized(i) for i in o.inputs]
        operands = [self._operand(i, self._shape(self.model.tensors[o.outputs[0]])) for i in o.inputs]
        shapes = (operands[0].shape, operands[1].shape)
        rule = self.runtime.addition(o.kind, own[0], own[1], self._quantized(o.outputs[0]), self._limits(o), shapes)
        if rule.operands is not None:
            operands = [apply(stage, s) for stage, s in zip(rule.operands, operands, strict=True)]
        if rule.factors is not None:
            units = [Affine(8, q.signed, rational(f), q.zero) for q, f in zip(own, rule.factors, strict=True)]
            operands = [apply(Reinterpret(unit), s) for unit, s in zip(units, operands, strict=True)]
        if o.kind == "SUB":
            operands[1] = times(operands[1], np.full(operands[1].shape[-1], -1), f"{self._name(o)}_minus")
        return apply(rule.total, apply(Add(name=self._name(o)), *operands))

    def product(self, o: TfliteOperator) -> Signal:
        """MUL by a constant, one number for each channel or for all."""
        own = [self._quantized(i) for i in o.inputs]
        if self.model.tensors[o.inputs[0]].data is not None:  # the order of factors does not matter
            o, own = replace(o, inputs=(o.inputs[1], o.inputs[0])), own[::-1]
        x, stored = self._signal(o.inputs[0]), self._stored(o.inputs[1])
        factors = by_channel(stored, x.shape)
        if factors is None or x.shape != self._shape(self.model.tensors[o.outputs[0]]):
            raise self._refusal("a MUL that is not by channel", stored.shape, "a constant with one number for each channel, or one")
        made = times(x, factors - own[1].zero, self._name(o))
        return apply(self.runtime.product(own[0], own[1], self._quantized(o.outputs[0]), self._limits(o)), made)

    def prelu(self, o: TfliteOperator) -> Signal:
        """PRELU with a slope for each channel, or one."""
        x, given, out = self._signal(o.inputs[0]), self._quantized(o.inputs[0]), self._quantized(o.outputs[0])
        alpha, slopes = self._quantized(o.inputs[1]), by_channel(self._stored(o.inputs[1]), x.shape)
        if slopes is None or not (given.signed and alpha.signed and out.signed):
            shape = self._stored(o.inputs[1]).shape
            raise self._refusal("a PRELU that is not by channel, or not of int8", shape, "int8, one slope for each channel, or one")
        return two_slopes(x, given, slopes - alpha.zero, self.runtime.slopes(given, alpha, out), out, self._name(o))

    def resize_nearest(self, o: TfliteOperator) -> Signal:
        """RESIZE_NEAREST_NEIGHBOR by whole factors."""
        x, _ = self._alike(o)
        align, half = bool(o.options.get("AlignCorners", 0)), bool(o.options.get("HalfPixelCenters", 0))
        size = tuple(int(n) for n in self._stored(o.inputs[1]).reshape(-1))
        return nearest(x, size, align=align, half=half, name=self._name(o))

    def average_pool(self, o: TfliteOperator) -> Signal:
        """AVERAGE_POOL_2D: the mean of the codes, ties away from code 0."""
        x, out = self._alike(o)
        plain = Fixed(8, 0, out.signed, rounding=Rounding.RND_INF)
        window, stride = self._pair(o, "FilterHeight", "FilterWidth"), self._pair(o, "StrideH", "StrideW")
        pool = AveragePool2D(window, stride, PADDINGS[int(o.options["Padding"])], output=plain, name=self._name(o))
        return clamped(apply(pool, apply(Reinterpret(plain), x)), out, self._limits(o))

    def max_pool(self, o: TfliteOperator) -> Signal:
        """MAX_POOL_2D."""
        x, out = self._alike(o)
        window, stride = self._pair(o, "FilterHeight", "FilterWidth"), self._pair(o, "StrideH", "StrideW")
        pool = MaxPool2D(window, stride, PADDINGS[int(o.options["Padding"])], name=self._name(o))
        return clamped(apply(pool, x), out, self._limits(o))

    def mean(self, o: TfliteOperator) -> Signal:
        """MEAN over height, width or both."""
        x, given, out = self._signal(o.inputs[0]), self._quantized(o.inputs[0]), self._quantized(o.outputs[0])
        rank = len(x.shape) + 1
        axes = sorted({int(a) % rank for a in self._stored(o.inputs[1]).reshape(-1)})
        if rank != 4 or not axes or not set(axes) <= {1, 2}:
            raise self._refusal("a MEAN over other axes", f"axes {axes} of {rank}", "height and width of an image: axes 1, 2 of 4")
        window = (x.shape[0] if 1 in axes else 1, x.shape[1] if 2 in axes else 1)
        keep, both = bool(o.options.get("KeepDims", 0)), axes == [1, 2]
        rule = self.runtime.average(window[0] * window[1], given, out, image=both, keep=keep, channels=x.shape[2])
        if not rule.centred:
            x = apply(Reinterpret(Fixed(8, 0, given.signed)), x)
        made = apply(rule.result, apply(AveragePool2D(window, window, name=self._name(o)), x))
        return made if rule.relabel is None else apply(Reinterpret(rule.relabel.format), made)

    def quantize(self, o: TfliteOperator) -> Signal:
        """QUANTIZE from 8 to 8 bits."""
        x = self._signal(o.inputs[0])
        return apply(self.runtime.requantize(self._quantized(o.inputs[0]), self._quantized(o.outputs[0]), x.type.size), x)

    def reshape(self, o: TfliteOperator) -> Signal:
        """RESHAPE, SQUEEZE, EXPAND_DIMS: the shape of the result says it."""
        return self._signal(o.inputs[0])

    def pad(self, o: TfliteOperator) -> Signal:
        """PAD: the zero point of the output around the codes, which are copied."""
        x, out = self._signal(o.inputs[0]), self._quantized(o.outputs[0])
        pairs = self._stored(o.inputs[1]).reshape(-1, 2)
        if pairs.shape[0] != len(x.shape) + 1 or pairs[0].any():
            raise self._refusal("a PAD of the batch", pairs.tolist(), "none before the first axis")
        before, after = (tuple(int(n) for n in pairs[1:, k]) for k in (0, 1))
        return apply(Reinterpret(out.format), apply(Pad(before, after, out.zero, self._name(o)), x))

    def transpose(self, o: TfliteOperator) -> Signal:
        """TRANSPOSE that leaves the batch in place."""
        axes = [int(a) for a in self._stored(o.inputs[1]).reshape(-1)]
        if not axes or axes[0] != 0:
            raise self._refusal("a TRANSPOSE of the batch", axes, "0 in the first place")
        return apply(Transpose(tuple(a - 1 for a in axes[1:]), self._name(o)), self._signal(o.inputs[0]))

    def concatenation(self, o: TfliteOperator) -> Signal:
        """CONCATENATION of signals with one quantisation."""
        kinds = {self._quantized(i) for i in (*o.inputs, o.outputs[0])}
        if len(kinds) > 1 or self._limits(o) != self._quantized(o.outputs[0]).ends:
            raise self._refusal("a CONCATENATION that rescales", f"{len(kinds)} quantisations", "one scale and zero point, no activation")
        shapes = [self._shape(self.model.tensors[i]) for i in o.inputs]
        rank = len(shapes[0])
        axis = (int(o.options["Axis"]) % (rank + 1)) - 1
        if axis < 0:
            raise self._refusal("a CONCATENATION of batches", o.options["Axis"], "another axis than the first")
        return joined([self._operand(i, s) for i, s in zip(o.inputs, shapes, strict=True)], axis, self._name(o))

    def _on_elements(self, o: TfliteOperator) -> Signal:
        """Operators on single elements: a table over the input's codes, or a staircase where it never decreases."""
        x, given, out = self._signal(o.inputs[0]), self._quantized(o.inputs[0]), self._quantized(o.outputs[0])
        return tabled(x, np.array(self.runtime.table(o.kind, given, out, o.options)), given, out, self._name(o))

    # ---- tensors

    def _kernel(self, o: TfliteOperator, stored: TfliteTensor) -> Tensor:
        codes = self._stored(o.inputs[1])
        if stored.type != "INT8" or any(stored.zeros) or not stored.scales:
            given = f"type {stored.type}, zero points {sorted(set(stored.zeros))}, {len(stored.scales)} scales"
            raise self._refusal(
                "weights that are not read",
                given,
                "INT8 with zero point 0",
            )
        order = {"CONV_2D": (1, 2, 3, 0), "DEPTHWISE_CONV_2D": (1, 2, 0, 3), "FULLY_CONNECTED": (1, 0)}[o.kind]
        if codes.ndim != len(order):
            raise self._refusal("weights of another rank", codes.shape, f"{len(order)} axes")
        channels = codes.transpose(order).shape[-1]
        if len(stored.scales) not in (1, channels):
            raise self._refusal("weights with as many scales", len(stored.scales), f"1 or {channels}")
        scales = tuple(rational(s) for s in stored.scales)
        return Tensor(integers(codes.transpose(order)), Affine(8, True, scales, (0,) * len(scales)))

    def _bias(self, o: TfliteOperator, unit: float, scales: tuple[float, ...]) -> Tensor | None:
        if len(o.inputs) < 3 or o.inputs[2] == -1:
            return None
        if self.model.tensors[o.inputs[2]].type != "INT32":
            raise self._refusal("a bias that is not read", self.model.tensors[o.inputs[2]].type, "INT32")
        exact = tuple(rational(unit) * rational(s) for s in scales)
        return Tensor(integers(self._stored(o.inputs[2]).reshape(-1)), Affine(32, True, exact, (0,) * len(exact)))

    def _check_sums(self, kernel: Tensor, bias: Tensor | None, x: Quantized) -> None:
        """Raise UnsupportedError if an accumulator can leave int32: the kernels wrap there, or saturate, each in its way."""
        reach = max(x.ends[1] - x.zero, x.zero - x.ends[0])
        sums = np.abs(kernel.codes.astype(np.int64)).reshape(-1, kernel.shape[-1]).sum(axis=0) * reach
        sums = sums + (0 if bias is None else np.abs(bias.codes.astype(np.int64)))
        if np.any(sums >= 2**31):
            channel = int(np.argmax(sums))
            raise self._refusal("an accumulator that can leave int32", f"{int(sums[channel])} in channel {channel}", "less than 2**31")

    def _operand(self, index: int, shape: tuple[int, ...]) -> Signal:
        tensor = self.model.tensors[index]
        if tensor.data is None or index in self.signals:
            if self._signal(index).shape != shape:
                raise self._refusal("operands that broadcast", f"{self._signal(index).shape} to {shape}", "one shape")
            return self._signal(index)
        codes = tensor.data.reshape(tensor.shape[1:] if len(tensor.shape) > len(shape) else tensor.shape)
        return apply(Constant(Tensor(integers(np.broadcast_to(codes, shape)), self._quantized(index).format)))

    def _stored(self, index: int) -> IntArray:
        data = self.model.tensors[index].data
        if data is None:
            raise self._refusal("a tensor that is computed where a stored one is read", self.model.tensors[index].name, "a constant")
        return data

    def _signal(self, index: int) -> Signal:
        if index not in self.signals:
            raise self._refusal("a tensor that nothing makes", self.model.tensors[index].name, "the result of an operator before")
        return self.signals[index]

    def _quantized(self, index: int) -> Quantized:
        tensor = self.model.tensors[index]
        if tensor.type not in ("INT8", "UINT8") or len(tensor.scales) != 1 or tensor.scales[0] <= 0:
            given = f"{tensor.name!r}: {tensor.type} with {len(tensor.scales)} scales"
            raise self._refusal("a signal that is not read", given, "INT8 or UINT8 with one positive scale")
        if tensor.type == "UINT8" and self.runtime.name == "tflm":
            raise self._refusal("a uint8 signal under the semantics 'tflm'", tensor.name, "int8, or semantics='litert-reference'")
        return Quantized(tensor.scales[0], tensor.zeros[0] if tensor.zeros else 0, tensor.type == "INT8")

    def _shape(self, tensor: TfliteTensor) -> tuple[int, ...]:
        if len(tensor.shape) < 2 or tensor.shape[0] != 1:
            raise self._refusal("a signal without a batch of one", f"{tensor.name!r} of shape {tensor.shape}", "(1, …)")
        return tensor.shape[1:]

    # ---- details of operators

    def _alike(self, o: TfliteOperator) -> tuple[Signal, Quantized]:
        given, out = self._quantized(o.inputs[0]), self._quantized(o.outputs[0])
        if given != out:
            raise self._refusal(f"a {o.kind} that rescales", f"{given} to {out}", "one scale and zero point")
        return self._signal(o.inputs[0]), out

    def _limits(self, o: TfliteOperator) -> tuple[int, int]:
        code = int(o.options.get("FusedActivationFunction", 0))
        if not 0 <= code < len(FUSED):
            raise self._refusal("a fused activation that is not known", code, ", ".join(FUSED))
        return self.runtime.ends(FUSED[code], self._quantized(o.outputs[0]))

    def _pair(self, o: TfliteOperator, first: str, second: str) -> tuple[int, int]:
        return int(o.options[first]), int(o.options[second])

    def _shaped(self, signal: Signal, shape: tuple[int, ...]) -> Signal:
        return signal if signal.shape == shape else apply(Reshape(shape), signal)

    def _name(self, o: TfliteOperator) -> str:
        return f"{o.kind.lower()}_{self.place}"

    def _refusal(self, what: str, given: object, expected: str) -> UnsupportedError:
        where = f"operator {self.place} ({self.model.operators[self.place].kind})" if self.model.operators else "the file"
        return UnsupportedError(f"{self.model.name}.tflite, {where}: {what}", given=given, expected=expected)


OPERATORS: Mapping[str, Callable[[_Reader, TfliteOperator], Signal]] = {
    "ADD": _Reader.addition,
    "AVERAGE_POOL_2D": _Reader.average_pool,
    "CONCATENATION": _Reader.concatenation,
    "CONV_2D": _Reader.sums,
    "DEPTHWISE_CONV_2D": _Reader.sums,
    "EXPAND_DIMS": _Reader.reshape,
    "FULLY_CONNECTED": _Reader.sums,
    "MAX_POOL_2D": _Reader.max_pool,
    "MEAN": _Reader.mean,
    "MUL": _Reader.product,
    "PAD": _Reader.pad,
    "PRELU": _Reader.prelu,
    "QUANTIZE": _Reader.quantize,
    "RESHAPE": _Reader.reshape,
    "RESIZE_NEAREST_NEIGHBOR": _Reader.resize_nearest,
    "SQUEEZE": _Reader.reshape,
    "SUB": _Reader.addition,
    "TRANSPOSE": _Reader.transpose,
}


def _recognized(content: Content) -> bool:
    return content.head[4:8] == b"TFL3"


READER = Reader(format="TensorFlow Lite", suffixes=(".tflite",), recognizes=_recognized, read=read_tflite)
