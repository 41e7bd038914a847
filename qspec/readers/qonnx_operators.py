"""The operators of a QONNX graph: quantisers, products, operators on single elements, moves and pools."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from qspec.arithmetic.integers import common_unit, integers, rational
from qspec.readers import qonnx_constants as constants
from qspec.readers import qonnx_layers as layers
from qspec.readers.onnx_file import OnnxNode
from qspec.readers.onnx_quantized_layers import Windows
from qspec.readers.onnx_quantized_moves import CHANGES, windows_of
from qspec.readers.qonnx_tensors import QonnxTensors
from qspec.readers.qonnx_values import ExecutorConstant, State, VariableTensor, moved, quantized
from qspec.runtimes import qonnx
from qspec.runtimes.qonnx import Kind, TensorOperation

Reader = QonnxTensors
MOST_LEVELS = 1 << 16

# ---- quantisers


def quant(r: Reader, n: OnnxNode) -> State:
    """Quant and IntQuant."""
    return _by(r, n, r.int_quant(n))


def bipolar(r: Reader, n: OnnxNode) -> State:
    """BipolarQuant."""
    return _by(r, n, qonnx.Bipolar(r.scale(n.inputs[1])))


def _by(r: Reader, n: OnnxNode, quantizer: qonnx.IntQuant | qonnx.Bipolar) -> State:
    x = r.tensor(n.inputs[0])
    if isinstance(x, ExecutorConstant):
        return constants.quantized_constant(x, quantizer)
    return quantized(x, quantizer, (quantizer.scale, quantizer.zero, quantizer.bits), r.label(n), exact=r.exact)


def trunc(r: Reader, n: OnnxNode) -> State:
    """Trunc, in the version of its domain: 1, or 2 with a scale of the output and ends."""
    second = len(n.inputs) == 6
    if len(n.inputs) != (6 if max(r.graph.versions.values(), default=1) > 1 else 5):
        raise r.refusal("a Trunc that does not fit the version of its domain", f"{len(n.inputs)} inputs", "5 in version 1, 6 in version 2")
    scale, zero = r.scale(n.inputs[1]), r.zero(n.inputs[2])
    if zero.dtype != np.float32:
        raise r.refusal("a Trunc whose zero point is no float", zero.dtype, "FLOAT (others make float64 of the result)")
    mode = r.rounding(n, "FLOOR")
    if second:
        scale_out, bits = r.scale(n.inputs[4]), r.bits(n.inputs[5])
        divisor = 2 ** np.round(np.log2(scale_out / scale))
        limits = qonnx.ends(bits, signed=bool(r.number(n, "signed", 1)), narrow=bool(r.number(n, "narrow", 0)))
        zero_out = zero / divisor
    else:
        bits = r.bits(n.inputs[4])
        divisor, scale_out, zero_out, limits = np.asarray(np.float32(2.0 ** (r.bits(n.inputs[3]) - bits))), scale, zero, None
    if np.any(zero_out != np.round(zero_out)):
        raise r.refusal("a Trunc whose zero point is no code of its result", zero_out.reshape(-1)[:4], "a multiple of the divisor")
    truncation = qonnx.Truncation(scale, zero, divisor, scale_out, zero_out, limits, mode)
    return quantized(r.numbers_of(n.inputs[0]), truncation, (scale_out, zero_out, bits), r.label(n), exact=r.exact)


def multi_threshold(r: Reader, n: OnnxNode) -> State:
    """MultiThreshold: counts of thresholds, times a scale, plus a bias, as whole multiples of one unit."""
    x = r.numbers_of(n.inputs[0])
    rows = r.known_of(n.inputs[1], "thresholds").values
    layout = str(n.attributes.get("data_layout", "")) or {2: "NC", 3: "NWC", 4: "NCHW"}.get(len(x.shape), "")
    axis = layout.index("C") if "C" in layout else 1
    if rows.ndim != 2 or rows.dtype != np.float32 or axis >= len(x.shape) or rows.shape[0] not in (1, x.shape[axis]):
        raise r.refusal(
            "thresholds that do not fit", f"{rows.dtype} {rows.shape} for {x.shape} as {layout!r}", "float32, a row per channel"
        )
    shape = tuple(rows.shape[0] if k == axis else 1 for k in range(len(x.shape)))
    scale, bias = (float(r.number(n, key, default)) for key, default in (("out_scale", 1.0), ("out_bias", 0.0)))
    found = scale * np.arange(rows.shape[1] + 1, dtype=np.float32) + bias
    unit = common_unit([rational(float(v)) for v in found])
    levels = [int(rational(float(v)) / unit) for v in found]
    if scale <= 0 or levels[-1] - levels[0] > MOST_LEVELS:
        given = f"out_scale {scale}, out_bias {bias}, {rows.shape[1]} thresholds"
        raise r.refusal("levels that are no small multiples of one unit", given, "a positive scale and a bias on one grid")
    thresholds = qonnx.MultiThreshold(rows.reshape(*shape, rows.shape[1]), integers(levels))
    meaning = (np.asarray(float(unit)), np.zeros((), np.int64), 1)
    return quantized(x, thresholds, meaning, r.label(n), exact=r.exact)


def quantize_linear(r: Reader, n: OnnxNode) -> State:
    """QuantizeLinear of float32: the codes are kept as numbers until DequantizeLinear."""
    quantizer = r.linear_quantizer(n)
    x = r.tensor(n.inputs[0])
    if isinstance(x, ExecutorConstant):
        return ExecutorConstant(qonnx.whole(quantizer.codes(x.values)).astype(np.float32))
    one, zero = np.ones((), np.float32), np.zeros((), np.int64)
    bits = (quantizer.ends[1] - quantizer.ends[0]).bit_length()
    return quantized(x, quantizer, (one, zero, bits), r.label(n), exact=r.exact)


def dequantize_linear(r: Reader, n: OnnxNode) -> State:
    """DequantizeLinear: `(code - zero) * scale` in float32."""
    scale, zero = r.placed(n, r.scale(n.inputs[1])), r.placed(n, r.zero(r.given(n, 2)))
    x = r.tensor(n.inputs[0])
    if isinstance(x, ExecutorConstant):
        codes = x.values.astype(np.int64) - zero.astype(np.int64)
        return ExecutorConstant((codes.astype(np.float32) * scale).astype(np.float32), codes, scale)
    codes_only = qonnx.QuantizeLinear(np.ones((), np.float32), np.zeros((), np.float32), (-(2**31), 2**31 - 1))
    return quantized(x, codes_only, (scale, zero, 1), r.label(n), exact=r.exact)


# ---- products and sums


def matmul(r: Reader, n: OnnxNode) -> State:
    """MatMul by a constant matrix."""
    x, kernel = r.numbers_of(n.inputs[0]), r.known_of(n.inputs[1], "a matrix")
    _expect_matrix(r, x, kernel)
    return layers.product(x, kernel, None, r.label(n), exact=r.exact)


def gemm(r: Reader, n: OnnxNode) -> State:
    """Gemm by a constant matrix, with factors of one."""
    x, kernel = r.numbers_of(n.inputs[0]), r.known_of(n.inputs[1], "a matrix")
    if r.number(n, "transA", 0) or r.number(n, "alpha", 1.0) != 1 or r.number(n, "beta", 1.0) != 1:
        raise r.refusal("a Gemm that is not read", dict(n.attributes), "transA = 0, alpha = 1, beta = 1")
    kernel = constants.transposed(kernel, None) if r.number(n, "transB", 0) else kernel
    _expect_matrix(r, x, kernel)
    return layers.product(x, kernel, r.bias_of(n, 2, kernel.values.shape[1]), r.label(n), exact=r.exact)


def _expect_matrix(r: Reader, x: VariableTensor, kernel: ExecutorConstant) -> None:
    if kernel.values.ndim != 2 or not x.shape or x.shape[-1] != kernel.values.shape[0]:
        raise r.refusal("a product that does not fit", f"{x.shape} by {kernel.values.shape}", "(…, n) by a constant matrix (n, outputs)")


def conv(r: Reader, n: OnnxNode) -> State:
    """Conv with a constant kernel."""
    x, kernel = r.numbers_of(n.inputs[0]), r.known_of(n.inputs[1], "a kernel")
    shape = kernel.values.shape
    groups = int(r.number(n, "group", 1))
    if len(shape) != 4 or len(x.shape) != 4 or x.shape[0] != 1 or groups < 1 or x.shape[1] != shape[1] * groups:
        raise r.refusal("a convolution of another rank or batch", f"{x.shape} with {shape} in {groups} groups", "2-D, a batch of one")
    size = (shape[2], shape[3])
    if r.numbers(n, "kernel_shape", size) != size:
        raise r.refusal("a kernel_shape that is not that of the kernel", n.attributes["kernel_shape"], str(size))
    windows = windows_of(r, n, size, x.shape)
    return layers.convolution(x, kernel, r.bias_of(n, 2, shape[0]), windows, groups, r.label(n), exact=r.exact)


def average(r: Reader, n: OnnxNode) -> State:
    """AveragePool without padding, and GlobalAveragePool."""
    x = r.numbers_of(n.inputs[0])
    windows = _pool(r, n, x)
    if windows.pads != ((0, 0), (0, 0)):
        raise r.refusal("a mean with padding", windows.pads, "no padding")
    return layers.average(x, windows, r.label(n), exact=r.exact)


def max_pool(r: Reader, n: OnnxNode) -> State:
    """MaxPool."""
    x = r.numbers_of(n.inputs[0])
    return layers.maximum(x, _pool(r, n, x), r.label(n), exact=r.exact)


def _pool(r: Reader, n: OnnxNode, x: VariableTensor) -> Windows:
    if len(x.shape) != 4 or x.shape[0] != 1 or len(n.outputs) > 1:
        raise r.refusal("a pool of another rank or batch", x.shape, "(1, channels, height, width), one result")
    if n.op.startswith("Global"):
        return Windows((x.shape[2], x.shape[3]), (1, 1), ((0, 0), (0, 0)))
    size = r.numbers(n, "kernel_shape", ())
    if len(size) != 2:
        raise r.refusal("a kernel_shape that does not fit", size, "two axes")
    return windows_of(r, n, (size[0], size[1]), x.shape)


# ---- operators on single elements


def arithmetic(kind: Kind, turned: Kind | None) -> Callable[[Reader, OnnxNode], State]:
    """Return an operator of two operands: constants are folded, one constant is a step, two signals are added."""

    def read(r: Reader, n: OnnxNode) -> State:
        a, b = (r.tensor(name) for name in n.inputs)
        if isinstance(a, VariableTensor) and isinstance(b, ExecutorConstant):
            if kind is Kind.DIVIDE and np.any(b.values == 0):
                raise r.refusal("a division by zero", n.inputs[1], "a divisor that is not zero")
            return a.then(TensorOperation(kind, r.fitting(b, a)))
        if isinstance(a, ExecutorConstant) and isinstance(b, VariableTensor) and turned is not None:
            return b.then(TensorOperation(turned, r.fitting(a, b)))
        if isinstance(a, VariableTensor) and isinstance(b, VariableTensor) and kind is Kind.ADD:
            return layers.addition(a, b, r.label(n), exact=r.exact)
        raise r.refusal("operands that are not read", n.inputs, "a signal and a constant, or a sum of two signals")

    read.__doc__ = f"A constant operand{', on either side' if turned else ' on the right'}{', or two signals' if kind is Kind.ADD else ''}."
    return read


def batch_norm(r: Reader, n: OnnxNode) -> State:
    """BatchNormalization with constant statistics: a factor and a shift for each channel."""
    x = r.numbers_of(n.inputs[0])
    parts = [r.known_of(name, "a statistic").values for name in n.inputs[1:5]]
    if r.number(n, "training_mode", 0) or len(x.shape) < 2 or any(p.shape != (x.shape[1],) or p.dtype != np.float32 for p in parts):
        raise r.refusal(
            "a BatchNormalization that is not read", [p.shape for p in parts], f"float32 of shape ({x.shape[1:2]}), for inference"
        )
    with np.errstate(all="ignore"):
        factor, shift = qonnx.normalization(parts[0], parts[1], parts[2], parts[3], float(r.number(n, "epsilon", 1e-5)))
    if not (np.all(np.isfinite(factor)) and np.all(np.isfinite(shift))):
        raise r.refusal("statistics that give no finite factor", parts[3][:4], "variance + epsilon > 0")
    shape = (1, -1, *(1 for _ in x.shape[2:]))
    return x.then(TensorOperation(Kind.MULTIPLY, factor.reshape(shape))).then(TensorOperation(Kind.ADD, shift.reshape(shape)))


def relu(r: Reader, n: OnnxNode) -> State:
    """Relu."""
    return r.numbers_of(n.inputs[0]).then(TensorOperation(Kind.AT_LEAST, np.zeros((), np.float32)))


def leaky(r: Reader, n: OnnxNode) -> State:
    """LeakyRelu with a slope that keeps the order."""
    slope = np.asarray(r.number(n, "alpha", 0.01), np.float32)
    if not slope >= 0:
        raise r.refusal("a LeakyRelu that turns the order", slope, "alpha at least 0")
    return r.numbers_of(n.inputs[0]).then(TensorOperation(Kind.LEAK, slope))


def clip(r: Reader, n: OnnxNode) -> State:
    """Clip between constants."""
    x = r.numbers_of(n.inputs[0])
    for place, key, kind in ((1, "min", Kind.AT_LEAST), (2, "max", Kind.AT_MOST)):
        name = r.given(n, place)
        if name or key in n.attributes:
            end = r.known_of(name, "a limit").values if name else np.asarray(r.number(n, key, 0.0))
            if end.size != 1 or not np.all(np.isfinite(end)):
                raise r.refusal("a limit that is not read", end, "one finite number")
            x = x.then(TensorOperation(kind, end.reshape(()).astype(np.float32)))
    return x


def negative(r: Reader, n: OnnxNode) -> State:
    """Neg."""
    return r.numbers_of(n.inputs[0]).then(TensorOperation(Kind.MULTIPLY, np.asarray(-1.0, np.float32)))


# ---- moves and ends


def move(r: Reader, n: OnnxNode) -> State:
    """Flatten, Identity, Reshape, Squeeze, Transpose, Unsqueeze."""
    x = r.numbers_of(n.inputs[0])
    perm = r.numbers(n, "perm", tuple(reversed(range(len(x.shape))))) if n.op == "Transpose" else None
    return moved(x, CHANGES[n.op](r, n, x.codes), perm)


def concat(r: Reader, n: OnnxNode) -> State:
    """Concat of signals with one scale each."""
    parts = [r.numbers_of(name) for name in n.inputs]
    rank, axis = len(parts[0].shape), int(r.number(n, "axis", 0))
    if not -rank <= axis < rank:
        raise r.refusal("an axis that does not exist", axis, f"-{rank} to {rank - 1}")
    return layers.joined(parts, axis % rank, r.label(n), exact=r.exact)


def shape(r: Reader, n: OnnxNode) -> State:
    """Shape."""
    return ExecutorConstant(np.array(r.tensor_shape(n.inputs[0]), dtype=np.int64))


def left_out(r: Reader, n: OnnxNode) -> State:
    """Softmax, LogSoftmax, ArgMax and TopK at the end: the outputs are what they read."""
    before = r.made.get(n.inputs[0])
    return replace(before if before is not None else r.numbers_of(n.inputs[0]), left_out=n.op)


ELEMENTWISE: Mapping[str, tuple[Kind, Kind | None]] = {
    "Add": (Kind.ADD, Kind.ADD),
    "Sub": (Kind.SUBTRACT, Kind.SUBTRACT_FROM),
    "Mul": (Kind.MULTIPLY, Kind.MULTIPLY),
    "Div": (Kind.DIVIDE, None),
}
_QUANTISER = ("codes by thresholds of the executor's own arithmetic", "codes by exact thresholds")
_SUM = ("exact, if every partial sum has 24 bits", "exact")
_NOTHING = ("nothing is computed", "nothing is computed")
EFFECTS: Mapping[Callable[[Reader, OnnxNode], State], tuple[str, str]] = {
    **dict.fromkeys((quant, bipolar, trunc, multi_threshold, quantize_linear, dequantize_linear), _QUANTISER),
    **dict.fromkeys((matmul, gemm, conv), _SUM),
    average: ("exact sum of 24 bits, one division in float32", "exact"),
    max_pool: ("a maximum of codes", "a maximum of codes"),
    concat: ("the same numbers", "the same numbers"),
    **dict.fromkeys((move, shape, left_out), _NOTHING),
}
"""What operators compute under `qonnx` and under `qonnx-exact`, where it is not the rule for single elements."""
OPERATORS: Mapping[str, Callable[[Reader, OnnxNode], State]] = {
    "Quant": quant,
    "IntQuant": quant,
    "BipolarQuant": bipolar,
    "Trunc": trunc,
    "MultiThreshold": multi_threshold,
    "QuantizeLinear": quantize_linear,
    "DequantizeLinear": dequantize_linear,
    "MatMul": matmul,
    "Gemm": gemm,
    "Conv": conv,
    "AveragePool": average,
    "GlobalAveragePool": average,
    "MaxPool": max_pool,
    "BatchNormalization": batch_norm,
    "Relu": relu,
    "LeakyRelu": leaky,
    "Clip": clip,
    "Neg": negative,
    "Concat": concat,
    "Shape": shape,
    **{name: arithmetic(*kinds) for name, kinds in ELEMENTWISE.items()},
    **dict.fromkeys(CHANGES, move),
    **dict.fromkeys(("Softmax", "LogSoftmax", "ArgMax", "TopK"), left_out),
}
"""Operators of a QONNX graph on what depends on the input, or on constants where a quantiser is among them."""


def markdown() -> str:
    """Return the table of operators in Markdown, a row for each that signals go through; the sums are checked under `qonnx` alone."""
    head = ["operator", "what is read", "under `qonnx`", "under `qonnx-exact`"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, operator in sorted(OPERATORS.items()):
        kinds = EFFECTS.get(operator, ("float32, one rounding for each operation", "exact"))
        lines.append("| " + " | ".join([f"`{name}`", (operator.__doc__ or "").split("\n")[0], *kinds]) + " |")
    return "\n".join(lines) + "\n"
