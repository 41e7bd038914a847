"""The operators of quantised ONNX files: QLinear ones on codes, float ones between DequantizeLinear and QuantizeLinear, and moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction

import numpy as np

from qspec.arithmetic.integers import IntArray, integers
from qspec.readers import onnx_quantized_layers as layers
from qspec.readers.onnx_codes import Bias, Codes, Limits, Pending, Real, State, Weights, is_bias
from qspec.readers.onnx_file import OnnxNode
from qspec.readers.onnx_quantized_layers import OperatorOutput
from qspec.readers.onnx_quantized_moves import MOVES, windows_of
from qspec.readers.onnx_quantized_tensors import QuantizedTensors
from qspec.runtimes.arithmetic import Quantized

Reader = QuantizedTensors
MICROSOFT = "com.microsoft."

# ---- QuantizeLinear and DequantizeLinear


def quantize(r: Reader, n: OnnxNode) -> State:
    """QuantizeLinear: the end of a fused operator, or the codes that were there before DequantizeLinear."""
    out = r.quantized(n, 1, 2)
    if n.attributes.get("block_size", 0) or (not r.given(n, 2) and n.attributes.get("output_dtype", 2) not in (0, 2)):
        raise r.refusal("a QuantizeLinear that is not read", dict(n.attributes), "8 bits, one scale, no blocks")
    state = r.state(n.inputs[0])
    if isinstance(state, Real) and not state.final:
        if state.quantized != out and not r.runtime.fused:
            return layers.by_table("Identity", state.codes, state.quantized, r.output(n, out))
        if state.quantized != out:
            what = "codes that are quantised anew (an ONNX Runtime session merges such pairs)"
            raise r.refusal(what, f"{state.quantized} to {out}", "the same scale and zero point")
        return state.codes
    pending = r.pending(n.inputs[0])
    low, high = out.ends
    for least, most in pending.limits:
        below = out.ends[0] if least is None else r.runtime.quantize(least, out)
        above = out.ends[1] if most is None else r.runtime.quantize(most, out)
        low, high = (min(max(e, below), above) for e in (low, high))
    if r.runtime.fused and (low, high) != out.ends and pending.what not in ("Relu", "Clip"):
        what = f"a limit behind {pending.what} that QuantizeLinear does not imply (ONNX Runtime leaves such operators in float)"
        raise r.refusal(what, f"codes {low} to {high}", f"codes {out.ends[0]} to {out.ends[1]}: ReLU with the lowest code as zero point")
    return pending.make(out, (low, high))


def dequantize(r: Reader, n: OnnxNode) -> State:
    """DequantizeLinear: codes as floats, or stored weights."""
    if n.attributes.get("block_size", 0) or n.attributes.get("output_dtype", 0) not in (0, 1):
        raise r.refusal("a DequantizeLinear that is not read", dict(n.attributes), "no blocks, float32")
    name = n.inputs[0]
    if name not in r.constants:
        codes, quantized = r.source(n, 0, 1, 2)
        return Real(codes, quantized)
    stored = r.constants[name]
    scales = r.scales(n.inputs[1])
    zeros = r.zeros(r.given(n, 2), len(scales), stored.type)
    axis = int(r.number(n, "axis", 1))
    if stored.type == "INT32" and any(zeros):
        raise r.refusal("an int32 zero point that is not 0", zeros[:4], "0")
    if stored.type not in ("INT8", "UINT8", "INT32"):
        raise r.refusal("stored codes that are not read", f"{name!r}: {stored.type}", "INT8, UINT8 or INT32")
    values = stored.values.astype(np.int64)
    if len(scales) > 1:
        axis = axis % max(values.ndim, 1)
        if values.ndim == 0 or values.shape[axis] != len(scales):
            raise r.refusal(
                "scales that do not fit", f"{len(scales)} for shape {values.shape}, axis {axis}", "one for each entry of the axis"
            )
    return Weights(values, stored.type, scales, zeros, axis)


def _real(r: Reader, name: str) -> Real:
    state = r.state(name)
    if not isinstance(state, Real) or state.final:
        raise r.refusal("an operand that is not read", repr(name), "the result of DequantizeLinear")
    return state


# ---- convolutions and products


def qlinear_conv(r: Reader, n: OnnxNode) -> State:
    """QLinearConv."""
    x, given = r.source(n, 0, 1, 2)
    kernel = r.weights(n.inputs[3], n.inputs[4], r.given(n, 5), 0)
    out = r.quantized(n, 6, 7)
    return _convolution(r, n, x, given, kernel, r.bias(r.given(n, 8), kernel.codes.shape[0]), r.output(n, out))


def conv(r: Reader, n: OnnxNode) -> State:
    """Conv between DequantizeLinear and QuantizeLinear."""
    r.alone(n)
    x, kernel = _real(r, n.inputs[0]), _weights(r, n.inputs[1], 0)
    bias = _bias(r, r.given(n, 2), x.quantized, kernel, kernel.codes.shape[0])
    return Pending(lambda q, e: _convolution(r, n, x.codes, x.quantized, kernel, bias, r.output(n, q, e)), n.op)


def _convolution(r: Reader, n: OnnxNode, x: Codes, given: Quantized, kernel: Weights, bias: Bias | None, out: OperatorOutput) -> Codes:
    if kernel.codes.ndim != 4 or len(x.shape) != 4 or x.shape[0] != 1:
        raise r.refusal("a convolution of another rank or batch", f"{x.shape} with {kernel.codes.shape}", "2-D, a batch of one")
    size = (kernel.codes.shape[2], kernel.codes.shape[3])
    if r.numbers(n, "kernel_shape", size) != size:
        raise r.refusal("a kernel_shape that is not that of the kernel", n.attributes["kernel_shape"], str(size))
    groups = int(r.number(n, "group", 1))
    if groups < 1 or x.shape[1] != kernel.codes.shape[1] * groups:
        raise r.refusal(
            "a kernel that does not fit", f"{kernel.codes.shape} in {groups} groups for {x.shape[1]} channels", "channels / groups"
        )
    return layers.convolution(x, given, kernel, bias, windows_of(r, n, size, x.shape), groups, out)


def qlinear_matmul(r: Reader, n: OnnxNode) -> State:
    """QLinearMatMul with a stored matrix."""
    x, given = r.source(n, 0, 1, 2)
    kernel = r.weights(n.inputs[3], n.inputs[4], r.given(n, 5), -1)
    return _product(r, x, given, kernel, None, r.output(n, r.quantized(n, 6, 7)))


def qgemm(r: Reader, n: OnnxNode) -> State:
    """QGemm of com.microsoft with a stored matrix."""
    x, given = r.source(n, 0, 1, 2)
    turned = bool(r.number(n, "transB", 0))
    kernel = r.weights(n.inputs[3], n.inputs[4], r.given(n, 5), 0 if turned else 1)
    if r.number(n, "transA", 0) or not r.given(n, 7):
        raise r.refusal("a QGemm that is not read", dict(n.attributes), "transA = 0, a scale of the output")
    kernel = _turned(kernel) if turned else kernel
    bias = r.bias(r.given(n, 6), kernel.codes.shape[-1])
    return _product(r, x, given, kernel, bias, r.output(n, r.quantized(n, 7, 8)), float(r.number(n, "alpha", 1.0)))


def matmul(r: Reader, n: OnnxNode) -> State:
    """MatMul between DequantizeLinear and QuantizeLinear."""
    r.alone(n)
    x, kernel = _real(r, n.inputs[0]), _weights(r, n.inputs[1], -1)
    return Pending(lambda q, e: _product(r, x.codes, x.quantized, kernel, None, r.output(n, q, e)), n.op)


def gemm(r: Reader, n: OnnxNode) -> State:
    """Gemm between DequantizeLinear and QuantizeLinear."""
    r.alone(n)
    turned = bool(r.number(n, "transB", 0))
    x, kernel = _real(r, n.inputs[0]), _weights(r, n.inputs[1], 0 if turned else 1)
    if r.number(n, "transA", 0) or r.number(n, "alpha", 1.0) != 1 or (r.given(n, 2) and r.number(n, "beta", 1.0) != 1):
        raise r.refusal("a Gemm that is not read", dict(n.attributes), "transA = 0, alpha = 1, beta = 1")
    kernel = _turned(kernel) if turned else kernel
    bias = _bias(r, r.given(n, 2), x.quantized, kernel, kernel.codes.shape[-1])
    return Pending(lambda q, e: _product(r, x.codes, x.quantized, kernel, bias, r.output(n, q, e)), n.op)


def _product(r: Reader, x: Codes, given: Quantized, kernel: Weights, bias: Bias | None, out: OperatorOutput, alpha: float = 1.0) -> Codes:
    if kernel.codes.ndim != 2 or x.shape[-1] != kernel.codes.shape[0]:
        raise r.refusal("a product that does not fit", f"{x.shape} by {kernel.codes.shape}", "(…, n) by a stored matrix (n, outputs)")
    return layers.product(x, given, kernel, bias, out, alpha)


def _turned(kernel: Weights) -> Weights:
    return replace(kernel, codes=kernel.codes.T, axis=1)


def _weights(r: Reader, name: str, axis: int) -> Weights:
    if name in r.constants:
        advice = "INT8 or UINT8 behind DequantizeLinear (an ONNX Runtime session quantises float weights itself)"
        raise r.refusal("float weights between DequantizeLinear and QuantizeLinear", f"{name!r}: {r.constants[name].type}", advice)
    state = r.state(name)
    if not isinstance(state, Weights) or state.type == "INT32":
        raise r.refusal("weights that are computed", repr(name), "stored INT8 or UINT8 codes behind DequantizeLinear")
    if len(state.scales) > 1 and state.axis != axis % state.codes.ndim:
        raise r.refusal("weights with scales along another axis", state.axis, f"axis {axis % state.codes.ndim}")
    return state


def _bias(r: Reader, name: str, x: Quantized, kernel: Weights, channels: int) -> Bias | None:
    if not name:
        return None
    if name in r.constants:
        advice = "INT32 behind DequantizeLinear (an ONNX Runtime session quantises float biases itself)"
        raise r.refusal("a float bias between DequantizeLinear and QuantizeLinear", f"{name!r}: {r.constants[name].type}", advice)
    state = r.state(name)
    if not isinstance(state, Weights) or state.type != "INT32" or not is_bias(state.codes.shape, channels):
        raise r.refusal("a bias that is not read", repr(name), f"{channels} stored INT32 codes behind DequantizeLinear")
    units = x.scale * np.array(kernel.scales)
    if not np.allclose(np.array(state.scales), units, rtol=1e-5, atol=0.0):
        raise r.refusal("a bias in another unit", state.scales[:4], f"input scale times weight scales: {[float(u) for u in units[:4]]}")
    codes: IntArray = np.broadcast_to(state.codes.reshape(-1), (channels,))
    return Bias(codes) if r.runtime.fused else _in_units(codes, state.scales, x, kernel)


def _in_units(codes: IntArray, scales: tuple[float, ...], x: Quantized, kernel: Weights) -> Bias:
    """Return a bias that a session takes in its own scales, rounded to the exact unit of the products."""
    channels = len(codes)
    own, products = (s if len(s) == channels else s * channels for s in (scales, kernel.scales))
    exact = [int(c) * Fraction(s) / (Fraction(x.scale) * Fraction(k)) for c, s, k in zip(codes, own, products, strict=True)]
    return Bias(integers([round(e) for e in exact]), all(e.denominator == 1 for e in exact))


# ---- additions, pools, operators on elements


def qlinear_add(r: Reader, n: OnnxNode) -> State:
    """QLinearAdd of com.microsoft."""
    operands: list[Codes | IntArray] = []
    kinds: list[Quantized] = []
    for place in (0, 3):
        name = n.inputs[place]
        if name in r.constants:
            stored = r.constants[name]
            kinds.append(r.quantized(n, place + 1, place + 2, stored.type))
            operands.append(stored.values.astype(np.int64))
        else:
            codes, quantized = r.source(n, place, place + 1, place + 2)
            kinds.append(quantized)
            operands.append(codes)
    return layers.addition(operands, kinds, r.output(n, r.quantized(n, 6, 7)))


def add(r: Reader, n: OnnxNode) -> State:
    """Add between DequantizeLinear and QuantizeLinear."""
    r.alone(n)
    operands: list[Codes | IntArray] = []
    kinds: list[Quantized] = []
    for name in n.inputs:
        state = r.state(name) if name not in r.constants else None
        if isinstance(state, Weights):
            operands.append(state.codes)
            kinds.append(layers.stored(state))
        else:
            real = _real(r, name)
            operands.append(real.codes)
            kinds.append(real.quantized)
    return Pending(lambda q, e: layers.addition(operands, kinds, r.output(n, q, e)), n.op)


def qlinear_average(r: Reader, n: OnnxNode) -> State:
    """QLinearGlobalAveragePool, and QLinearAveragePool over a whole image."""
    x, given = r.source(n, 0, 1, 2)
    _expect_whole(r, n, x)
    return layers.average(x, given, r.output(n, r.quantized(n, 3, 4)))


def average(r: Reader, n: OnnxNode) -> State:
    """GlobalAveragePool, and AveragePool over a whole image, between DequantizeLinear and QuantizeLinear."""
    r.alone(n)
    x = _real(r, n.inputs[0])
    _expect_whole(r, n, x.codes)
    return Pending(lambda q, e: layers.average(x.codes, x.quantized, r.output(n, q, e)), n.op)


def _expect_whole(r: Reader, n: OnnxNode, x: Codes) -> None:
    if len(x.shape) != 4 or x.shape[0] != 1 or r.number(n, "channels_last", 0):
        raise r.refusal("a mean of another rank or layout", x.shape, "(1, channels, height, width)")
    if "Global" in n.op:
        return
    size = r.numbers(n, "kernel_shape", ())
    if size != x.shape[2:] or any(v for pair in windows_of(r, n, (size[0], size[1]), x.shape).pads for v in pair):
        raise r.refusal("a mean over other windows than the image", f"{size} of {x.shape[2:]}", "kernel_shape of the image, no padding")


def max_pool(r: Reader, n: OnnxNode) -> State:
    """MaxPool on codes, or on their floats: a maximum of codes either way, because scales are positive."""
    state = r.state(n.inputs[0])
    x = state.codes if isinstance(state, Real) and not state.final else r.signal(n.inputs[0])
    if len(x.shape) != 4 or x.shape[0] != 1 or len(n.outputs) > 1:
        raise r.refusal("a MaxPool that is not read", x.shape, "(1, channels, height, width), one output")
    size = r.numbers(n, "kernel_shape", ())
    if len(size) != 2:
        raise r.refusal("a kernel_shape that does not fit", size, "two axes")
    made = layers.maximum(x, windows_of(r, n, (size[0], size[1]), x.shape), r.output(n, Quantized(1.0, 0)).name)
    return replace(state, codes=made) if isinstance(state, Real) else made


def qlinear_elements(r: Reader, n: OnnxNode) -> State:
    """QLinearSigmoid and QLinearLeakyRelu."""
    x, given = r.source(n, 0, 1, 2)
    kind = n.op.removeprefix(f"{MICROSOFT}QLinear")
    return layers.by_table(kind, x, given, r.output(n, r.quantized(n, 3, 4)), float(r.number(n, "alpha", 0.01)))


def elements(r: Reader, n: OnnxNode) -> State:
    """Sigmoid and LeakyRelu between DequantizeLinear and QuantizeLinear."""
    r.alone(n)
    x, alpha = _real(r, n.inputs[0]), float(r.number(n, "alpha", 0.01))
    return Pending(lambda q, e: layers.by_table(n.op, x.codes, x.quantized, r.output(n, q, e), alpha), n.op)


def limits(r: Reader, n: OnnxNode) -> State:
    """Relu and Clip between a float operator, or DequantizeLinear, and QuantizeLinear: ends of the codes."""
    r.alone(n)
    between = (0.0, None) if n.op == "Relu" else _clip(r, n)
    state = r.state(n.inputs[0])
    if isinstance(state, Real) and not state.final:
        real = state
        state = Pending(lambda q, e: layers.by_table("Identity", real.codes, real.quantized, r.output(n, q, e)), n.op)
    return state.limited(between) if isinstance(state, Pending) else r.pending(n.inputs[0])


def _clip(r: Reader, n: OnnxNode) -> Limits:
    ends: list[float | None] = []
    for place, key in ((1, "min"), (2, "max")):
        name = r.given(n, place)
        stored = r.constant(name, "a limit of Clip").values.reshape(-1)[0] if name else n.attributes.get(key)
        ends.append(None if stored is None else float(np.float32(str(stored))))
    low, high = ends
    if any(e is not None and not np.isfinite(e) for e in ends) or (low is not None and high is not None and low > high):
        raise r.refusal("limits that are not read", (low, high), "finite, the lower below the upper")
    return low, high


def qlinear_concat(r: Reader, n: OnnxNode) -> State:
    """QLinearConcat of com.microsoft: each part through a table, which is the identity where parameters are equal."""
    out = r.output(n, r.quantized(n, 0, 1))
    sources = [r.source(n, k, k + 1, k + 2) for k in range(2, len(n.inputs), 3)]
    return _joined(r, n, [Real(codes, given) for codes, given in sources], out)


def concat(r: Reader, n: OnnxNode) -> State:
    """Concat of floats before QuantizeLinear."""
    r.alone(n)
    parts = [_real(r, name) for name in n.inputs]
    return Pending(lambda q, e: _joined(r, n, parts, r.output(n, q, e)), n.op)


def _joined(r: Reader, n: OnnxNode, parts: list[Real], out: OperatorOutput) -> Codes:
    rank = len(parts[0].codes.shape)
    axis = int(r.number(n, "axis", 0))
    if not -rank <= axis < rank:
        raise r.refusal("an axis that does not exist", axis, f"-{rank} to {rank - 1}")
    made = [layers.by_table("Identity", p.codes, p.quantized, replace(out, name=f"{out.name}_{k}")) for k, p in enumerate(parts)]
    return layers.concatenation(made, axis % rank, out.name)


def softmax(r: Reader, n: OnnxNode) -> State:
    """Softmax at the end, which is left out."""
    state = r.state(n.inputs[0])
    if not isinstance(state, Real) or state.final or n.outputs[0] in r.readers:
        raise r.refusal("a Softmax inside the network", repr(n.inputs[0]), "DequantizeLinear before it, nothing behind it")
    return replace(state, final=True)


OPERATORS: Mapping[str, Callable[[Reader, OnnxNode], State]] = {
    **MOVES,
    "Add": add,
    "AveragePool": average,
    "Clip": limits,
    "Concat": concat,
    "Conv": conv,
    "DequantizeLinear": dequantize,
    "Gemm": gemm,
    "GlobalAveragePool": average,
    "LeakyRelu": elements,
    "MatMul": matmul,
    "MaxPool": max_pool,
    "QLinearConv": qlinear_conv,
    "QLinearMatMul": qlinear_matmul,
    "QuantizeLinear": quantize,
    "Relu": limits,
    "Sigmoid": elements,
    "Softmax": softmax,
    f"{MICROSOFT}QGemm": qgemm,
    f"{MICROSOFT}QLinearAdd": qlinear_add,
    f"{MICROSOFT}QLinearAveragePool": qlinear_average,
    f"{MICROSOFT}QLinearConcat": qlinear_concat,
    f"{MICROSOFT}QLinearGlobalAveragePool": qlinear_average,
    f"{MICROSOFT}QLinearLeakyRelu": qlinear_elements,
    f"{MICROSOFT}QLinearSigmoid": qlinear_elements,
}
"""The operators of quantised files that are read."""
