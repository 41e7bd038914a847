"""The layers of quantised ONNX operators: exact sums of codes, and the output stages of ONNX Runtime's kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod

import numpy as np

from qspec.arithmetic.formats import Affine, Fixed
from qspec.arithmetic.integers import IntArray, integers, rational
from qspec.arithmetic.tensor import Tensor
from qspec.errors import UnsupportedError
from qspec.network.activations import Lookup
from qspec.network.graph import ROUNDING, Signal, apply
from qspec.network.kernel_layers import Constant, Reinterpret, Thresholds
from qspec.network.layers import Add, AveragePool2D, Concat, Conv2D, Dense, Input, MaxPool2D, Requantize
from qspec.readers.onnx_codes import Bias, Codes, Weights, bare, fresh, from_image, image, moved, plain, rows, through, typed
from qspec.runtimes.arithmetic import Quantized
from qspec.runtimes.ort import Enclosed, OrtQLinear, Terms

Ends = tuple[int, int]
Pads = tuple[tuple[int, int], tuple[int, int]]


WIDE = Affine(32, True, Fraction(1), 0)
"""Sums as integers, to which errors are added."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Where windows of a convolution or pool lie: size, stride, padding ((top, bottom), (left, right)) and dilation."""

    size: tuple[int, int]
    stride: tuple[int, int]
    pads: Pads
    dilation: tuple[int, int] = (1, 1)


@dataclass(frozen=True, slots=True)
class OperatorOutput:
    """What an operator puts out: the quantisation, the ends of its codes, the name of its layer, and the kernels that compute it."""

    quantized: Quantized
    ends: Ends
    name: str
    runtime: OrtQLinear


def convolution(
    x: Codes, given: Quantized, kernel: Weights, bias: Bias | None, windows: Windows, groups: int, out: OperatorOutput
) -> Codes:
    """Return QLinearConv of a tensor (1, channels, height, width) with a kernel (outputs, channels / groups, height, width)."""
    expect_types([given], out, kernel.type)
    weights = _kernel(kernel, kernel.codes.transpose(2, 3, 1, 0))
    stored = _bias(bias, given, weights)
    terms = summed(weights, bias, given)
    layer = Conv2D(weights, stored, windows.stride, windows.pads, windows.dilation, groups, name=out.name)
    rule = out.runtime.sums(given, _spread(kernel.scales, weights.shape[-1]), out.quantized, out.ends, terms)
    return from_image(_through(rule, apply(layer, image(typed(x, given))), out), out.quantized.signed)


def product(x: Codes, given: Quantized, kernel: Weights, bias: Bias | None, out: OperatorOutput, alpha: float = 1.0) -> Codes:
    """Return QLinearMatMul or QGemm of a tensor (…, n) with a matrix (n, outputs)."""
    expect_types([given], out, kernel.type)
    weights = _kernel(kernel, kernel.codes)
    stored = _bias(bias, given, weights)
    terms = summed(weights, bias, given)
    signal, count = rows(typed(x, given))
    n, outputs = weights.shape
    layer = (
        Dense(weights, stored, name=out.name)
        if count == 1
        else Conv2D(Tensor(weights.codes.reshape(1, 1, n, outputs), weights.format), stored, name=out.name)
    )
    rule = out.runtime.sums(given, _spread(kernel.scales, outputs), out.quantized, out.ends, terms, alpha)
    return fresh(_through(rule, apply(layer, signal), out), (*x.shape[:-1], outputs), out.quantized.signed)


def addition(operands: Sequence[Codes | IntArray], given: Sequence[Quantized], out: OperatorOutput) -> Codes:
    """Return QLinearAdd of two tensors, one of which may be stored."""
    expect_types(given, out)
    shape = np.broadcast_shapes(*(o.shape for o in operands))
    if _is_repeated(operands[0].shape, operands[1].shape):  # such an operand is read second
        operands, given = operands[::-1], given[::-1]
    shapes = [o.shape for o in operands]
    known: list[IntArray] = [
        np.arange(q.ends[0], q.ends[1] + 1) if isinstance(o, Codes) else np.unique(o) for o, q in zip(operands, given, strict=True)
    ]
    unsure = len(shapes[0]) != len(shapes[1]) and all(s[-1] == 1 for s in shapes) and prod(shape) > 1
    rule = out.runtime.addition(given[0], given[1], out.quantized, out.ends, (known[0], known[1]), either=unsure)
    units = [Affine(8, q.signed, rational(f), q.zero) for q, f in zip(given, rule.factors, strict=True)]
    signals = [o for o in operands if isinstance(o, Codes)]
    if not signals or any(s.shape != shape for s in signals):
        raise UnsupportedError("an addition that repeats a signal is not read", given=shapes, expected="signals of one shape")
    alike = len({(s.order, s.signal.shape) for s in signals}) == 1
    first = signals[0] if alike else fresh(plain(signals[0]), shape, signals[0].signed)
    parts: list[Signal] = []
    for operand, unit in zip(operands, units, strict=True):
        if isinstance(operand, Codes):
            parts.append(apply(Reinterpret(unit), operand.signal if alike else plain(operand)))
        else:
            placed = np.broadcast_to(operand, shape).reshape(bare(shape)).transpose(np.argsort(first.order))
            parts.append(apply(Constant(Tensor(integers(placed), unit))))
    return through(first, apply(rule.total, apply(Add(name=out.name), *parts)), out.quantized.signed)


def _is_repeated(first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    """Say whether the first operand of an addition is one code for each run of the second, on the last axis that is longer than one.

    Measured with onnxruntime 1.31.1 on codes for which the order of the operands shows; a single code for a single code is repeated, too.
    """
    rank = max(len(first), len(second))
    pairs = zip(*((1,) * (rank - len(s)) + s for s in (first, second)), strict=True)
    last = next(((a, b) for a, b in reversed(list(pairs)) if max(a, b) > 1), (1, 2))
    return last[0] == 1


def average(x: Codes, given: Quantized, out: OperatorOutput) -> Codes:
    """Return QLinearGlobalAveragePool: the mean over a whole image (1, channels, height, width)."""
    expect_types([given], out)
    signal = image(typed(x, given))
    window = (signal.shape[0], signal.shape[1])
    rule = out.runtime.average(prod(window), given, out.quantized, out.ends)
    return from_image(_through(rule, apply(AveragePool2D(window, window, name=out.name), signal), out), out.quantized.signed)


def _through(rule: Enclosed, sums: Signal, out: OperatorOutput) -> Signal:
    """Return the codes of sums; where these may be off, another input of the network says by how much."""
    if not rule.error:
        return apply(rule.stage, sums)
    errors = Input(sums.shape, Affine(rule.error.bit_length() + 1, True, WIDE.scale), f"{out.name}{ROUNDING}")
    return apply(rule.stage, apply(Add(name=f"{out.name}_sum"), apply(Reinterpret(WIDE), sums), apply(errors)))


def maximum(x: Codes, windows: Windows, name: str) -> Codes:
    """Return MaxPool of codes."""
    return from_image(apply(MaxPool2D(windows.size, windows.stride, windows.pads, name=name), image(x)), x.signed)


def by_table(kind: str, x: Codes, given: Quantized, out: OperatorOutput, alpha: float = 0.0) -> Codes:
    """Return an operator on single elements: a staircase where it never decreases, else a table; nothing where codes stay what they are."""
    expect_types([given], out)
    table: IntArray = np.clip(out.runtime.table(kind, given, out.quantized, alpha), *out.ends)
    if given == out.quantized and np.array_equal(table, np.arange(given.ends[0], given.ends[1] + 1)):
        return typed(x, given)
    raw = Fixed(8, 0, given.signed)
    codes = apply(Reinterpret(raw), x.signal)
    fmt = out.quantized.format
    if np.any(table[1:] < table[:-1]):
        return through(x, apply(Requantize(fmt, Lookup(raw, Tensor(table, fmt)), out.name), codes), out.quantized.signed)
    steps: IntArray = np.searchsorted(table, np.arange(int(table[0]) + 1, int(table[-1]) + 1)) + given.ends[0]
    return through(x, apply(Thresholds(fmt, table[:1], steps, out.name), codes), out.quantized.signed)


def concatenation(parts: Sequence[Codes], axis: int, name: str) -> Codes:
    """Return tensors of one quantisation, joined along an axis of the file's shape that is not the batch."""
    shape = parts[0].shape
    place = axis - (len(shape) - len(bare(shape)))
    rank = len(bare(shape))
    if not 0 <= place < rank or any(
        bare(p.shape)[:place] + bare(p.shape)[place + 1 :] != bare(shape)[:place] + bare(shape)[place + 1 :] for p in parts
    ):
        raise UnsupportedError(
            "a concatenation of batches or of other shapes", given=[p.shape for p in parts], expected="one shape but for the axis"
        )
    last = (*(a for a in range(rank) if a != place), place)
    joined = apply(Concat(name=name), *(moved(p.signal, tuple(p.order[a] for a in last)) for p in parts))
    made = (*shape[:axis], sum(p.shape[axis] for p in parts), *shape[axis + 1 :])
    return Codes(joined, made, tuple(int(a) for a in np.argsort(last)), parts[0].signed)


def stored(weights: Weights) -> Quantized:
    """Return the quantisation of stored codes that are read as a signal."""
    if len(weights.scales) != 1 or weights.type not in ("INT8", "UINT8"):
        raise UnsupportedError("a stored operand that is not read", given=weights.type, expected="INT8 or UINT8 with one scale")
    return Quantized(weights.scales[0], weights.zeros[0], weights.type == "INT8")


def reshape(x: Codes, shape: tuple[int, ...]) -> Codes:
    """Return the same elements in another shape."""
    return fresh(plain(x), shape, x.signed)


def expect_types(given: Sequence[Quantized], out: OperatorOutput, weights: str = "") -> None:
    """Raise UnsupportedError on types of signals and weights that ONNX Runtime has no integer kernel for, where it uses these."""
    signed = out.quantized.signed
    if out.runtime.fused and (any(q.signed != signed for q in given) or (weights == "UINT8" and signed)):
        names = ", ".join("int8" if q.signed else "uint8" for q in (*given, out.quantized))
        raise UnsupportedError(
            "types that ONNX Runtime has no integer kernel for are not read",
            given=f"{names}{f', weights {weights.lower()}' if weights else ''}",
            expected="one type for all signals; with int8 signals int8 weights",
        )


def summed(kernel: Tensor, bias: Bias | None, x: Quantized) -> Terms:
    """Return what the sums of a layer add; raises UnsupportedError if one can leave int32, where the integer kernels wrap."""
    reach = max(x.ends[1] - x.zero, x.zero - x.ends[0])
    zeros = np.array(kernel.format.grid().zeros)
    sums = np.abs(kernel.codes.astype(np.int64) - zeros).reshape(-1, kernel.shape[-1]).sum(axis=0) * reach
    sums = sums + (0 if bias is None else np.abs(bias.codes.astype(np.int64)))
    if np.any(sums >= 2**31):
        channel = int(np.argmax(sums))
        given = f"up to {int(sums[channel])} in channel {channel}"
        raise UnsupportedError("an accumulator that can leave int32 is not read", given=given, expected="less than 2**31, bias and all")
    return Terms(prod(kernel.shape[:-1]) + 1, sums, bias is None or bias.aligned)


def _kernel(weights: Weights, codes: IntArray) -> Tensor:
    scales = tuple(rational(s) for s in weights.scales)
    return Tensor(integers(codes), Affine(8, weights.type == "INT8", scales, weights.zeros))


def _bias(bias: Bias | None, x: Quantized, kernel: Tensor) -> Tensor | None:
    if bias is None:
        return None
    units = tuple(rational(x.scale) * u for u in kernel.format.grid().units)
    return Tensor(integers(bias.codes), Affine(32, True, units, (0,) * len(units)))


def _spread(scales: tuple[float, ...], channels: int) -> tuple[float, ...]:
    return scales if len(scales) == channels else scales * channels
