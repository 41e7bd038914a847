"""Quantised TensorFlow Lite files as networks, bit for bit under a named runtime semantics.

Batches are of one, and left out of shapes. Every operator becomes layers whose integers are those of the runtime's kernel; what is not read
is refused by name and place. A SOFTMAX or DEQUANTIZE at the end and a QUANTIZE of a float input at the beginning are left out: inputs and
outputs are codes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from qspec.arithmetic.formats import Affine, Fixed
from qspec.arithmetic.integers import integers, rational
from qspec.arithmetic.rounding import Rounding
from qspec.arithmetic.tensor import Tensor
from qspec.face import Network
from qspec.network.graph import Signal, apply
from qspec.network.kernel_layers import Pad, Reinterpret, Transpose
from qspec.network.layers import Add, AveragePool2D, Conv2D, Dense, Input, MaxPool2D
from qspec.readers.registry import Content, Reader
from qspec.readers.tflite_file import TfliteModel, TfliteOperator, TfliteTensor, read_model
from qspec.readers.tflite_layers import by_channel, clamped, joined, tabled, times, two_slopes
from qspec.readers.tflite_resize import resize_bilinear, resize_nearest
from qspec.readers.tflite_signals import TfliteSignals
from qspec.readers.tflite_softmax import softmax
from qspec.readers.tflite_svdf import svdf
from qspec.runtimes.arithmetic import Quantized
from qspec.runtimes.registry import tflite_runtime
from qspec.support import checks

PADDINGS = ("same", "valid")
ON_ELEMENTS = ("ELU", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "TANH")
LAST = ("SOFTMAX", "DEQUANTIZE")
"""Operators that are left out at the end, as is a QUANTIZE after a SOFTMAX: outputs are the codes before them."""
WIDE = (
    *("ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "EXPAND_DIMS", "FULLY_CONNECTED", "MAX_POOL_2D"),
    *("MUL", "PAD", "QUANTIZE", "RESHAPE", "SQUEEZE", "SUB", "TRANSPOSE"),
)
"""Operators that are read with int16 signals."""
SIGNED = ("PRELU", "RESIZE_BILINEAR", "SOFTMAX", "SVDF")
"""Operators that are read with int8 signals, and not with uint8."""


def read_tflite(path: str | Path, *, semantics: str = "tflm", softmax: bool = False) -> Network:
    """Return the network of a quantised `.tflite` file as the named runtime computes it; `softmax` keeps a SOFTMAX at its end.

    Raises UnsupportedError on operators, types or quantisations that are not read and on an unknown semantics, ModelFileError on a damaged
    file, PackageMissingError without the package `tflite`.
    """
    runtime = tflite_runtime(semantics)
    checks.kind(softmax, bool, "softmax", "True or False")
    return _TfliteReader(read_model(path), runtime, softmax=softmax).network()


def read_tensors(model: TfliteModel, semantics: str) -> tuple[Network, list[int]]:
    """Return a network that puts out every tensor that operators make, in the order of the file, with the numbers of these tensors."""
    return _TfliteReader(model, tflite_runtime(semantics)).tensors()


def output_tensors(model: TfliteModel) -> list[int]:
    """Return the tensors whose codes are the outputs of the network: those of the file, but for operators that are left out at the end."""
    return _TfliteReader(model, tflite_runtime("tflm")).outputs()


@dataclass(slots=True)
class _TfliteReader(TfliteSignals):
    """The network of a file, operator by operator; `softmax` says whether one at the end is read."""

    softmax: bool = False

    def network(self) -> Network:
        return self._collected(self._outputs())

    def tensors(self) -> tuple[Network, list[int]]:
        self._outputs()
        written = [t for o in self.model.operators for t in (*(i for i in o.inputs if i in self.following), o.outputs[0])]
        made = [t for t in written if t in self.following or (t in self.signals and t not in self.model.inputs)]
        return self._collected([self._result(t) for t in made]), made

    def _collected(self, outputs: list[Signal]) -> Network:
        made = Network.of(outputs, name=self.model.name or "network", semantics=self.runtime.name)
        return _inputs_first(made, [s.layer.name for s in self.signals.values() if isinstance(s.layer, Input)])

    def _outputs(self) -> list[Signal]:
        """Make the signals of all operators; returns those of the file's outputs."""
        for index in self.model.inputs:
            self._input(index)
        for k, index in enumerate(self.model.states):
            self.signals[index] = apply(Input(self.shape(self.model.tensors[index]), self.quantized(index).format, f"state{k}"))
        final = self._ends()
        for place, operator in enumerate(self.model.operators):
            self.place = place
            if place not in final:
                self._apply(operator)
        return [self._result(t) for t in self.outputs()]

    def outputs(self) -> list[int]:
        """Return the tensors that stand for the file's outputs, and its states."""
        final = self._ends()
        return [*(final.get(self._maker(o), o) for o in self.model.outputs), *self.model.states]

    def _result(self, index: int) -> Signal:
        """Return what a tensor holds after a run."""
        return self.following[index] if index in self.following else self.signal(index)

    def _input(self, index: int) -> None:
        tensor = self.model.tensors[index]
        if tensor.type == "FLOAT32":  # read by a QUANTIZE, whose result is the input
            makers = [o for o in self.model.operators if index in o.inputs]
            if [o.kind for o in makers] != ["QUANTIZE"]:
                raise self.refusal("a float network", f"input {tensor.name!r} of type FLOAT32", "an int8 file, or a QUANTIZE of the input")
            self._input(makers[0].outputs[0])
            return
        name = "x" if len(self.model.inputs) == 1 else f"x{len(self.signals)}"
        self.signals[index] = apply(Input(self.shape(tensor), self.quantized(index).format, name))

    def _ends(self) -> dict[int, int]:
        """Return the operators at the end that are left out, each with the tensor that stands for its result."""
        read = {i for o in self.model.operators for i in o.inputs}
        final: dict[int, int] = {}
        for place in reversed(range(len(self.model.operators))):
            operator = self.model.operators[place]
            followers = [k for k, o in enumerate(self.model.operators) if operator.outputs and operator.outputs[0] in o.inputs]
            after = operator.kind == "QUANTIZE" and self._kind(operator.inputs[0]) == "SOFTMAX"
            last = (operator.kind in LAST or after) and not (self.softmax and (after or operator.kind == "SOFTMAX"))
            if last and (operator.outputs[0] not in read or all(k in final for k in followers)):
                final[place] = operator.inputs[0]
        for place in final:
            while (maker := self._maker(final[place])) in final:
                final[place] = final[maker]
        return final

    def _maker(self, tensor: int) -> int:
        return next((k for k, o in enumerate(self.model.operators) if tensor in o.outputs), -1)

    def _kind(self, tensor: int) -> str:
        maker = self._maker(tensor)
        return "" if maker < 0 else self.model.operators[maker].kind

    def _apply(self, operator: TfliteOperator) -> None:
        if operator.kind == "QUANTIZE" and self.model.tensors[operator.inputs[0]].type == "FLOAT32":
            return
        self._check_types(operator)
        if operator.kind in ON_ELEMENTS:
            made = self._on_elements(operator)
        elif operator.kind in OPERATORS:
            made = OPERATORS[operator.kind](self, operator)
        else:
            raise self.refusal("an operator that is not read", operator.kind, ", ".join(sorted((*OPERATORS, *ON_ELEMENTS, *LAST))))
        self.signals[operator.outputs[0]] = self.shaped(made, self.shape(self.model.tensors[operator.outputs[0]]))

    def _check_types(self, operator: TfliteOperator) -> None:
        """Raise UnsupportedError on uint8 and int16 signals where their kernels are not known."""
        signals = [self.model.tensors[i] for i in (*operator.inputs, *operator.outputs) if i != -1 and self.model.tensors[i].scales]
        unsigned = [t.name for t in signals if t.type == "UINT8"]
        if unsigned and operator.kind in SIGNED:
            raise self.refusal(f"a {operator.kind} of uint8", unsigned[0], "int8 signals")
        wide = [t.name for t in signals if t.type == "INT16"]
        unknown = operator.kind not in OPERATORS and operator.kind not in ON_ELEMENTS
        if not wide or unknown or operator.kind in ("QUANTIZE", "SVDF"):
            return
        sums = operator.kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")  # whose weights have 8 bits
        if operator.kind not in WIDE or (not sums and len(wide) < len(signals)):
            raise self.refusal(f"a {operator.kind} of int16", wide[0], f"int8 signals; int16 signals alone in {', '.join(WIDE)}")
        if operator.options.get("PotScaleInt16", 0) and self.runtime.name != "tflm":
            raise self.refusal(f"a {operator.kind} by powers of two", "PotScaleInt16", f"general scales under {self.runtime.name!r}")

    # ---- operators

    def sums(self, o: TfliteOperator) -> Signal:
        """CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED: the exact sum, then the kernel's output stage."""
        x, out = self.signal(o.inputs[0]), self.quantized(o.outputs[0])
        stored = self.model.tensors[o.inputs[1]]
        kernel = self._kernel(o, stored)
        scales = stored.scales if len(stored.scales) > 1 else stored.scales * kernel.shape[-1]
        given = self.quantized(o.inputs[0])
        unit, bits = given.scale, self._bits(o, given, out)
        bias = self._bias(o, unit, scales)
        name = self.name(o)
        if o.kind == "FULLY_CONNECTED":
            if o.options.get("WeightsFormat", 0):
                raise self.refusal("weights in another order", "SHUFFLED4x16INT8", "WeightsFormat DEFAULT")
            if x.type.size != kernel.shape[0]:
                raise self.refusal("a FULLY_CONNECTED with several rows", f"{x.shape} for {kernel.shape[0]} inputs", "one row")
            x = self.shaped(x, (x.type.size,))
            groups, layer = 1, Dense(kernel, bias, name=name)
        else:
            stride, dilation = self.pair(o, "StrideH", "StrideW"), self.pair(o, "DilationHFactor", "DilationWFactor")
            groups = x.shape[-1] // kernel.shape[2]
            if o.kind == "DEPTHWISE_CONV_2D" and o.options["DepthMultiplier"] * groups != kernel.shape[-1]:
                raise self.refusal("a DepthMultiplier that does not fit", o.options["DepthMultiplier"], f"{kernel.shape[-1]} / {groups}")
            layer = Conv2D(kernel, bias, stride, PADDINGS[int(o.options["Padding"])], dilation, groups, name=name)
        self.check_sums(kernel, bias, given, 48 if bits == 64 else 32)
        return apply(self.runtime.sums(o.kind, unit, scales, out, self.limits(o), bits, groups), apply(layer, x))

    def addition(self, o: TfliteOperator) -> Signal:
        """ADD, SUB: both operands brought to common integers, their sum, and the output stage."""
        own = [self.quantized(i) for i in o.inputs]
        operands = [self.operand(i, self.shape(self.model.tensors[o.outputs[0]])) for i in o.inputs]
        shapes = (operands[0].shape, operands[1].shape)
        rule = self.runtime.addition(o.kind, own[0], own[1], self.quantized(o.outputs[0]), self.limits(o), shapes)
        if rule.operands is not None:
            operands = [apply(stage, s) for stage, s in zip(rule.operands, operands, strict=True)]
        if rule.factors is not None:
            units = [Affine(q.width, q.signed, rational(f), q.zero) for q, f in zip(own, rule.factors, strict=True)]
            operands = [apply(Reinterpret(unit), s) for unit, s in zip(units, operands, strict=True)]
        if o.kind == "SUB":
            operands[1] = times(operands[1], np.full(operands[1].shape[-1], -1), f"{self.name(o)}_minus")
        return apply(rule.total, apply(Add(name=self.name(o)), *operands))

    def product(self, o: TfliteOperator) -> Signal:
        """MUL by a constant, one number for each channel or for all."""
        own = [self.quantized(i) for i in o.inputs]
        if self.model.tensors[o.inputs[0]].data is not None:  # the order of factors does not matter
            o, own = replace(o, inputs=(o.inputs[1], o.inputs[0])), own[::-1]
        x, stored = self.signal(o.inputs[0]), self.stored(o.inputs[1])
        factors = by_channel(stored, x.shape)
        if factors is None or x.shape != self.shape(self.model.tensors[o.outputs[0]]):
            raise self.refusal("a MUL that is not by channel", stored.shape, "a constant with one number for each channel, or one")
        made = times(x, factors - own[1].zero, self.name(o))
        return apply(self.runtime.product(own[0], own[1], self.quantized(o.outputs[0]), self.limits(o)), made)

    def prelu(self, o: TfliteOperator) -> Signal:
        """PRELU with a slope for each channel, or one."""
        x, given, out = self.signal(o.inputs[0]), self.quantized(o.inputs[0]), self.quantized(o.outputs[0])
        alpha, slopes = self.quantized(o.inputs[1]), by_channel(self.stored(o.inputs[1]), x.shape)
        if slopes is None:
            raise self.refusal("a PRELU that is not by channel", self.stored(o.inputs[1]).shape, "one slope for each channel, or one")
        return two_slopes(x, given, slopes - alpha.zero, self.runtime.slopes(given, alpha, out), out, self.name(o))

    def average_pool(self, o: TfliteOperator) -> Signal:
        """AVERAGE_POOL_2D: the mean of the codes, ties away from code 0."""
        x, out = self.alike(o)
        plain = Fixed(out.width, 0, out.signed, rounding=Rounding.RND_INF)
        window, stride = self.pair(o, "FilterHeight", "FilterWidth"), self.pair(o, "StrideH", "StrideW")
        pool = AveragePool2D(window, stride, PADDINGS[int(o.options["Padding"])], output=plain, name=self.name(o))
        return clamped(apply(pool, apply(Reinterpret(plain), x)), out, self.limits(o))

    def max_pool(self, o: TfliteOperator) -> Signal:
        """MAX_POOL_2D."""
        x, out = self.alike(o)
        window, stride = self.pair(o, "FilterHeight", "FilterWidth"), self.pair(o, "StrideH", "StrideW")
        pool = MaxPool2D(window, stride, PADDINGS[int(o.options["Padding"])], name=self.name(o))
        return clamped(apply(pool, x), out, self.limits(o))

    def mean(self, o: TfliteOperator) -> Signal:
        """MEAN over height, width or both."""
        x, given, out = self.signal(o.inputs[0]), self.quantized(o.inputs[0]), self.quantized(o.outputs[0])
        rank = len(x.shape) + 1
        axes = sorted({int(a) % rank for a in self.stored(o.inputs[1]).reshape(-1)})
        if rank != 4 or not axes or not set(axes) <= {1, 2}:
            raise self.refusal("a MEAN over other axes", f"axes {axes} of {rank}", "height and width of an image: axes 1, 2 of 4")
        window = (x.shape[0] if 1 in axes else 1, x.shape[1] if 2 in axes else 1)
        keep, both = bool(o.options.get("KeepDims", 0)), axes == [1, 2]
        rule = self.runtime.average(window[0] * window[1], given, out, image=both, keep=keep, channels=x.shape[2])
        if not rule.centred:
            x = apply(Reinterpret(Fixed(8, 0, given.signed)), x)
        made = apply(rule.result, apply(AveragePool2D(window, window, name=self.name(o)), x))
        return made if rule.relabel is None else apply(Reinterpret(rule.relabel.format), made)

    def quantize(self, o: TfliteOperator) -> Signal:
        """QUANTIZE from codes to codes."""
        x = self.signal(o.inputs[0])
        return apply(self.runtime.requantize(self.quantized(o.inputs[0]), self.quantized(o.outputs[0]), x.type.size), x)

    def reshape(self, o: TfliteOperator) -> Signal:
        """RESHAPE, SQUEEZE, EXPAND_DIMS: the shape of the result says it."""
        return self.signal(o.inputs[0])

    def pad(self, o: TfliteOperator) -> Signal:
        """PAD: the zero point of the output around the codes, which are copied."""
        x, out = self.signal(o.inputs[0]), self.quantized(o.outputs[0])
        pairs = self.stored(o.inputs[1]).reshape(-1, 2)
        if pairs.shape[0] != len(x.shape) + 1 or pairs[0].any():
            raise self.refusal("a PAD of the batch", pairs.tolist(), "none before the first axis")
        before, after = (tuple(int(n) for n in pairs[1:, k]) for k in (0, 1))
        return apply(Reinterpret(out.format), apply(Pad(before, after, out.zero, self.name(o)), x))

    def transpose(self, o: TfliteOperator) -> Signal:
        """TRANSPOSE that leaves the batch in place."""
        axes = [int(a) for a in self.stored(o.inputs[1]).reshape(-1)]
        if not axes or axes[0] != 0:
            raise self.refusal("a TRANSPOSE of the batch", axes, "0 in the first place")
        return apply(Transpose(tuple(a - 1 for a in axes[1:]), self.name(o)), self.signal(o.inputs[0]))

    def concatenation(self, o: TfliteOperator) -> Signal:
        """CONCATENATION of signals with one quantisation."""
        kinds = {self.quantized(i) for i in (*o.inputs, o.outputs[0])}
        if len(kinds) > 1 or self.limits(o) != self.quantized(o.outputs[0]).ends:
            raise self.refusal("a CONCATENATION that rescales", f"{len(kinds)} quantisations", "one scale and zero point, no activation")
        shapes = [self.shape(self.model.tensors[i]) for i in o.inputs]
        rank = len(shapes[0])
        axis = (int(o.options["Axis"]) % (rank + 1)) - 1
        if axis < 0:
            raise self.refusal("a CONCATENATION of batches", o.options["Axis"], "another axis than the first")
        return joined([self.operand(i, s) for i, s in zip(o.inputs, shapes, strict=True)], axis, self.name(o))

    def _on_elements(self, o: TfliteOperator) -> Signal:
        """Operators on single elements: a table over the input's codes, or a staircase where it never decreases."""
        x, given, out = self.signal(o.inputs[0]), self.quantized(o.inputs[0]), self.quantized(o.outputs[0])
        return tabled(x, np.array(self.runtime.table(o.kind, given, out, o.options)), given, out, self.name(o))

    def _kernel(self, o: TfliteOperator, stored: TfliteTensor) -> Tensor:
        codes = self.stored(o.inputs[1])
        if stored.type != "INT8" or any(stored.zeros) or not stored.scales:
            given = f"type {stored.type}, zero points {sorted(set(stored.zeros))}, {len(stored.scales)} scales"
            raise self.refusal(
                "weights that are not read",
                given,
                "INT8 with zero point 0",
            )
        order = {"CONV_2D": (1, 2, 3, 0), "DEPTHWISE_CONV_2D": (1, 2, 0, 3), "FULLY_CONNECTED": (1, 0)}[o.kind]
        if codes.ndim != len(order):
            raise self.refusal("weights of another rank", codes.shape, f"{len(order)} axes")
        channels = codes.transpose(order).shape[-1]
        if len(stored.scales) not in (1, channels):
            raise self.refusal("weights with as many scales", len(stored.scales), f"1 or {channels}")
        scales = tuple(rational(s) for s in stored.scales)
        return Tensor(integers(codes.transpose(order)), Affine(8, True, scales, (0,) * len(scales)))

    def _bits(self, o: TfliteOperator, given: Quantized, out: Quantized) -> int:
        """Return the bits of the bias, 0 without one: 32, or with signals of 16 bits 64, too."""
        if given.width != out.width or (given.width == 16 and (given.zero or out.zero)):
            raise self.refusal("sums of other signals", f"{given} to {out}", "8 bits to 8, or int16 to int16 without zero points")
        if len(o.inputs) < 3 or o.inputs[2] == -1:
            return 0
        kind, known = self.model.tensors[o.inputs[2]].type, ("INT32", "INT64") if given.width == 16 else ("INT32",)
        if kind not in known:
            raise self.refusal("a bias that is not read", kind, " or ".join(known))
        return 64 if kind == "INT64" else 32

    def _bias(self, o: TfliteOperator, unit: float, scales: tuple[float, ...]) -> Tensor | None:
        if len(o.inputs) < 3 or o.inputs[2] == -1:
            return None
        bits = 64 if self.model.tensors[o.inputs[2]].type == "INT64" else 32
        exact = tuple(rational(unit) * rational(s) for s in scales)
        return Tensor(integers(self.stored(o.inputs[2]).reshape(-1)), Affine(bits, True, exact, (0,) * len(exact)))


def _inputs_first(network: Network, names: Sequence[str]) -> Network:
    """Return a network whose inputs come first, in the order of these names, which is that of a runtime."""
    first = [k for name in names for k, s in enumerate(network.stages) if s.name == name and isinstance(s.layer, Input)]
    order = [*first, *(k for k in range(len(network.stages)) if k not in first)]
    place = {old: new for new, old in enumerate(order)}
    moved = [replace(network.stages[k], arguments=tuple(place[a] for a in network.stages[k].arguments)) for k in order]
    return Network(tuple(moved), tuple(place[o] for o in network.outputs), network.name, network.semantics)


OPERATORS: Mapping[str, Callable[[_TfliteReader, TfliteOperator], Signal]] = {
    "ADD": _TfliteReader.addition,
    "AVERAGE_POOL_2D": _TfliteReader.average_pool,
    "CONCATENATION": _TfliteReader.concatenation,
    "CONV_2D": _TfliteReader.sums,
    "DEPTHWISE_CONV_2D": _TfliteReader.sums,
    "EXPAND_DIMS": _TfliteReader.reshape,
    "FULLY_CONNECTED": _TfliteReader.sums,
    "MAX_POOL_2D": _TfliteReader.max_pool,
    "MEAN": _TfliteReader.mean,
    "MUL": _TfliteReader.product,
    "PAD": _TfliteReader.pad,
    "PRELU": _TfliteReader.prelu,
    "QUANTIZE": _TfliteReader.quantize,
    "RESHAPE": _TfliteReader.reshape,
    "RESIZE_BILINEAR": resize_bilinear,
    "RESIZE_NEAREST_NEIGHBOR": resize_nearest,
    "SOFTMAX": softmax,
    "SQUEEZE": _TfliteReader.reshape,
    "SUB": _TfliteReader.addition,
    "SVDF": svdf,
    "TRANSPOSE": _TfliteReader.transpose,
}


def _recognized(content: Content) -> bool:
    return content.head[4:8] == b"TFL3"


READER = Reader(format="TensorFlow Lite", suffixes=(".tflite",), recognizes=_recognized, read=read_tflite)
