"""What networks compute, written a second time from the definitions: exact fractions, loops, and none of the code under test.

Only the plain descriptions (layers, formats, activations) are shared with qspec. A value is `unit * (code - zero)`; a layer sums exactly,
the declared accumulator rounds and overflows that sum once, the activation acts on the exact result, the output format rounds and overflows
once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import product
from math import ceil, floor
from typing import cast

from qspec.arithmetic.formats import Fixed, Format, PerChannel
from qspec.arithmetic.rounding import Overflow, Rounding
from qspec.arithmetic.tensor import Tensor
from qspec.face import Network
from qspec.network.activations import Activation, HardSigmoid, HardTanh, LeakyReLU, Linear, Lookup, ReLU, Sigmoid, Sign, Tanh
from qspec.network.kernel_layers import Constant, Multiplier, Pad, Reinterpret, Reshape, Thresholds, Transpose
from qspec.network.layers import Add, AveragePool2D, Concat, Conv2D, Dense, Flatten, Input, Layer, MaxPool2D, Requantize

Enclosure = tuple[Fraction, Fraction]
"""A real number between two rationals that nothing observable tells apart."""


@dataclass(frozen=True)
class Signal:
    """Exact values in row-major order, and their codes unless the signal is a raw sum."""

    shape: tuple[int, ...]
    values: list[Fraction]
    codes: list[int] | None


@dataclass(frozen=True)
class Channel:
    """The format of one channel."""

    unit: Fraction
    zero: int
    width: int
    signed: bool
    rounding: Rounding
    overflow: Overflow


def channel_of(fmt: Format, channel: int) -> Channel:
    """Return the format of one channel (last axis)."""
    if isinstance(fmt, PerChannel):
        fmt = fmt.formats[channel]
    if isinstance(fmt, Fixed):
        unit = Fraction(1, 2**fmt.frac) if fmt.frac >= 0 else Fraction(2**-fmt.frac)
        return Channel(unit, 0, fmt.width, fmt.signed, fmt.rounding, fmt.overflow)
    scale = fmt.scale[channel] if isinstance(fmt.scale, tuple) else fmt.scale
    zero = fmt.zero_point[channel] if isinstance(fmt.zero_point, tuple) else fmt.zero_point
    return Channel(scale, zero, fmt.width, fmt.signed, fmt.rounding, fmt.overflow)


def rounded(value: Fraction, rounding: Rounding) -> int:
    """Return the integer that a mode makes of a number, by the definition of the mode in UG1399."""
    below, above = floor(value), ceil(value)
    if below == above:
        return below
    if rounding is Rounding.TRN:
        return below
    if rounding is Rounding.TRN_ZERO:
        return below if value > 0 else above
    if value - below != above - value:
        return below if value - below < above - value else above
    ties = {
        Rounding.RND: above,
        Rounding.RND_MIN_INF: below,
        Rounding.RND_ZERO: below if value > 0 else above,
        Rounding.RND_INF: above if value > 0 else below,
        Rounding.RND_CONV: below if below % 2 == 0 else above,
    }
    return ties[rounding]


def overflowed(code: int, c: Channel) -> int:
    """Return the code that a mode makes of one that may be out of range."""
    least, most = (-(2 ** (c.width - 1)), 2 ** (c.width - 1) - 1) if c.signed else (0, 2**c.width - 1)
    if c.overflow is Overflow.WRAP:
        bits = code & (2**c.width - 1)
        return bits - 2**c.width if c.signed and bits >> (c.width - 1) else bits
    if c.overflow is Overflow.SAT_ZERO:
        return code if least <= code <= most else 0
    if c.overflow is Overflow.SAT_SYM and c.signed:
        least = -most
    return min(max(code, least), most)


def code_of(value: Enclosure, c: Channel) -> int:
    """Return the stored code of a value."""
    ends = {rounded(end / c.unit, c.rounding) for end in value}
    assert len(ends) == 1, "the enclosure of a transcendental value is too wide"
    return overflowed(ends.pop() + c.zero, c)


def value_of(code: int, c: Channel) -> Fraction:
    """Return the value of a stored code."""
    return c.unit * (int(code) - c.zero)


def stored_values(tensor: Tensor, codes: Sequence[int] | None = None) -> list[Fraction]:
    """Return the values of a stored tensor in row-major order, or those that other codes would have."""
    flat = tensor.codes.reshape(-1).tolist() if codes is None else [int(c) for c in codes]
    return [value_of(c, channel_of(tensor.format, k % tensor.shape[-1])) for k, c in enumerate(flat)]


def transcendental(function: str, v: Fraction) -> Enclosure:
    """Return sigmoid or tanh, to 43 digits at least; `sigmoid(v) = (1 + tanh(v / 2)) / 2`."""
    if function == "sigmoid":
        low, high = transcendental("tanh", v / 2)
        return (1 + low) / 2, (1 + high) / 2
    if v < 0:
        low, high = transcendental("tanh", -v)
        return -high, -low
    if v < Fraction(1, 10**30):
        return v - v**3 / 3, v - v**3 / 4
    if v > 50:
        return 1 - Fraction(1, 10**43), 1 - Fraction(1, 10**3000)
    with localcontext() as context:
        context.prec = 120
        decay = (-2 * Decimal(v.numerator) / Decimal(v.denominator)).exp()
        y = Fraction((1 - decay) / (1 + decay))
    return y * (1 - Fraction(1, 10**60)), y * (1 + Fraction(1, 10**60))


def activated(activation: Activation, v: Fraction) -> Enclosure:
    """Return `f(v)`."""
    match activation:
        case Linear():
            y = v
        case ReLU(maximum):
            y = max(Fraction(0), v) if maximum is None else min(maximum, max(Fraction(0), v))
        case LeakyReLU(slope):
            y = v if v >= 0 else slope * v
        case Sign():
            y = Fraction(1 if v >= 0 else -1)
        case HardTanh():
            y = min(Fraction(1), max(Fraction(-1), v))
        case HardSigmoid(slope, offset):
            y = min(Fraction(1), max(Fraction(0), slope * v + offset))
        case Sigmoid(table) | Tanh(table):
            if table is not None:
                c = channel_of(table, 0)
                v = value_of(code_of((v, v), c), c)
            return transcendental(type(activation).__name__.lower(), v)
        case Lookup():
            raise AssertionError("a table gives codes")
    return y, y


def finish(sums: list[Fraction], shape: tuple[int, ...], layer: Layer) -> Signal:
    """Hold, activate and store exact sums."""
    if isinstance(layer, Dense | Conv2D) and layer.accumulator is not None:
        kept = [channel_of(layer.accumulator, k % shape[-1]) for k in range(len(sums))]
        held = [code_of((s, s), c) for s, c in zip(sums, kept, strict=True)]
        sums = [value_of(code, c) for code, c in zip(held, kept, strict=True)]
    activation = layer.activation if isinstance(layer, Dense | Conv2D | Add | Requantize) else Linear()
    output = layer.output if isinstance(layer, Dense | Conv2D | Add | Requantize | AveragePool2D | Concat) else None
    if output is None:
        return Signal(shape, [activated(activation, s)[0] for s in sums], None)
    channels = [channel_of(output, k % shape[-1]) for k in range(len(sums))]
    if isinstance(activation, Lookup):
        index = channel_of(activation.input, 0)
        lowest = -(2 ** (index.width - 1)) if index.signed else 0
        codes = [int(activation.outputs.codes[code_of((s, s), index) - lowest]) for s in sums]
    else:
        codes = [code_of(activated(activation, s), c) for s, c in zip(sums, channels, strict=True)]
    return Signal(shape, [value_of(code, c) for code, c in zip(codes, channels, strict=True)], codes)


def padding_of(layer: Conv2D | AveragePool2D | MaxPool2D, image: Sequence[int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return ((top, bottom), (left, right))."""
    window = layer.kernel.shape[:2] if isinstance(layer, Conv2D) else layer.window
    stride, dilation = (layer.stride, layer.dilation) if isinstance(layer, Conv2D) else (layer.stride or layer.window, (1, 1))
    if layer.padding == "valid":
        return (0, 0), (0, 0)
    if layer.padding == "same":
        pads: list[tuple[int, int]] = []
        for axis in (0, 1):
            outputs = ceil(Fraction(image[axis], stride[axis]))
            missing = max((outputs - 1) * stride[axis] + (window[axis] - 1) * dilation[axis] + 1 - image[axis], 0)
            pads.append((missing // 2, missing - missing // 2))
        return pads[0], pads[1]
    first, second = ((p, p) if isinstance(p, int) else cast("tuple[int, int]", p) for p in layer.padding)
    return first, second


def places(layer: Conv2D | AveragePool2D | MaxPool2D, image: Sequence[int]) -> list[list[list[tuple[int, int, int, int]]]]:
    """Return the (kernel row, kernel column, image row, image column) that each window reads, the padding left out."""
    window = layer.kernel.shape[:2] if isinstance(layer, Conv2D) else layer.window
    stride, dilation = (layer.stride, layer.dilation) if isinstance(layer, Conv2D) else (layer.stride or layer.window, (1, 1))
    pads = padding_of(layer, image)
    tops = [range(-pads[axis][0], image[axis] + pads[axis][1] - (window[axis] - 1) * dilation[axis], stride[axis]) for axis in (0, 1)]
    result: list[list[list[tuple[int, int, int, int]]]] = []
    for top in tops[0]:
        result.append([])
        for left in tops[1]:
            reads = [(i, j, top + i * dilation[0], left + j * dilation[1]) for i, j in product(range(window[0]), range(window[1]))]
            result[-1].append([r for r in reads if 0 <= r[2] < image[0] and 0 <= r[3] < image[1]])
    return result


def convolution(layer: Conv2D, x: Signal, kernel: list[Fraction], bias: list[Fraction]) -> Signal:
    """Sum over each window and the channels of its group."""
    _, columns, channels = x.shape
    _, kw, depth, outputs = layer.kernel.shape
    windows = places(layer, x.shape)
    sums: list[Fraction] = []
    for row in windows:
        for window in row:
            for o in range(outputs):
                first = (o // (outputs // layer.groups)) * depth
                total = bias[o]
                for i, j, r, c in window:
                    for d in range(depth):
                        weight = kernel[((i * kw + j) * depth + d) * outputs + o]
                        total += weight * x.values[(r * columns + c) * channels + first + d]
                sums.append(total)
    return finish(sums, (len(windows), len(windows[0]), outputs), layer)


def pooling(layer: AveragePool2D | MaxPool2D, x: Signal) -> Signal:
    """Average or greatest value of each window and channel."""
    _, columns, channels = x.shape
    windows = places(layer, x.shape)
    shape = (len(windows), len(windows[0]), channels)
    members = [
        [(r * columns + c) * channels + channel for _, _, r, c in window]
        for row in windows
        for window in row
        for channel in range(channels)
    ]
    if isinstance(layer, MaxPool2D):
        best = [max(m, key=lambda k: x.values[k]) for m in members]
        return Signal(shape, [x.values[k] for k in best], None if x.codes is None else [x.codes[k] for k in best])
    whole = layer.window[0] * layer.window[1]
    means = [sum((x.values[k] for k in m), Fraction(0)) / (whole if layer.count_padding else len(m)) for m in members]
    return finish(means, shape, layer)


def concatenation(layer: Concat, parts: list[Signal]) -> Signal:
    """Join along the last axis."""
    shape = (*parts[0].shape[:-1], sum(p.shape[-1] for p in parts))
    rows = len(parts[0].values) // parts[0].shape[-1]
    order = [(p, r * p.shape[-1] + k) for r in range(rows) for p in parts for k in range(p.shape[-1])]
    values = [p.values[k] for p, k in order]
    if layer.output is not None:
        return finish(values, shape, layer)
    codes = [None if p.codes is None else p.codes[k] for p, k in order]
    return Signal(shape, values, [c for c in codes if c is not None] if None not in codes else None)


def evaluate(
    network: Network, inputs: Mapping[str, Sequence[int]], parameters: Mapping[tuple[str, str], Sequence[int]] | None = None
) -> dict[str, Signal]:
    """Return the signal of every stage for flat input codes, with the codes of some stored parameters replaced."""
    given = parameters or {}
    signals: list[Signal] = []
    for stage in network.stages:
        layer, x = stage.layer, [signals[a] for a in stage.arguments]
        match layer:
            case Input():
                codes = [int(c) for c in inputs[stage.name]]
                values = [value_of(c, channel_of(layer.format, k % layer.shape[-1])) for k, c in enumerate(codes)]
                signals.append(Signal(layer.shape, values, codes))
            case Dense() | Conv2D():
                kernel = stored_values(layer.kernel, given.get((stage.name, "kernel")))
                outputs = layer.kernel.shape[-1]
                bias = [Fraction(0)] * outputs if layer.bias is None else stored_values(layer.bias, given.get((stage.name, "bias")))
                if isinstance(layer, Conv2D):
                    signals.append(convolution(layer, x[0], kernel, bias))
                else:
                    sums = [
                        bias[o] + sum((kernel[i * outputs + o] * v for i, v in enumerate(x[0].values)), Fraction(0)) for o in range(outputs)
                    ]
                    signals.append(finish(sums, (outputs,), layer))
            case AveragePool2D() | MaxPool2D():
                signals.append(pooling(layer, x[0]))
            case Flatten():
                signals.append(Signal((len(x[0].values),), x[0].values, x[0].codes))
            case Add():
                sums = [sum(members, Fraction(0)) for members in zip(*(s.values for s in x), strict=True)]
                signals.append(finish(sums, x[0].shape, layer))
            case Concat():
                signals.append(concatenation(layer, x))
            case Requantize():
                signals.append(finish(x[0].values, x[0].shape, layer))
            case Reinterpret() | Reshape() | Transpose() | Pad() | Constant() | Multiplier() | Thresholds():
                raise AssertionError("the layers of kernels have definitions of their own in test_tflite.py")
            case _:
                raise AssertionError("kernels of runtimes are compared with the runtimes themselves")
    return {stage.name: signal for stage, signal in zip(network.stages, signals, strict=True)}
