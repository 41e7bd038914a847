"""What a tensor of a quantised ONNX graph is while it is read: codes of a signal in some order of axes, weights, or a float to round.

Signals carry no batch: a first axis of one element is left out. The axes of a signal may lie otherwise than in the file (convolutions put
out channels last); a transposition is made only where an operator needs it, and never twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod

from qspec.arithmetic.formats import Fixed
from qspec.arithmetic.integers import IntArray
from qspec.arithmetic.tensor import Tensor
from qspec.network.graph import Signal, apply
from qspec.network.kernel_layers import Reinterpret, Reshape, Transpose
from qspec.network.layers import Conv2D
from qspec.runtimes.arithmetic import Quantized

Shape = tuple[int, ...]
Limits = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """A tensor of codes: its shape in the file, and the signal of which axis `order[k]` is axis k of `bare(shape)`."""

    signal: Signal
    shape: Shape
    order: tuple[int, ...]
    signed: bool


@dataclass(frozen=True, slots=True, eq=False)
class Real:
    """The float values of codes: what DequantizeLinear makes. `final` is behind a softmax, which is left out at the end of a network."""

    codes: Codes
    quantized: Quantized
    final: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Stored codes with their quantisation: one scale and zero point, or one for each entry of `axis`."""

    codes: IntArray
    type: str
    scales: tuple[float, ...]
    zeros: tuple[int, ...]
    axis: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Bias:
    """A bias in units of input times weight, one per channel; `aligned` unless it was rounded to them."""

    codes: IntArray
    aligned: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Pending:
    """A float result of which QuantizeLinear makes codes: `make` takes their quantisation and ends. `limits` were put on it since."""

    make: Callable[[Quantized, tuple[int, int]], Codes]
    what: str
    limits: tuple[Limits, ...] = ()

    def limited(self, limits: Limits) -> Pending:
        """Return the same float within limits."""
        return replace(self, limits=(*self.limits, limits))


def is_bias(shape: Shape, channels: int) -> bool:
    """Return whether a stored bias of this shape is one number, or one for each channel: not one for each row."""
    return prod(shape) == 1 or (prod(shape) == channels == shape[-1])


State = Codes | Real | Weights | Pending


def bare(shape: Shape) -> Shape:
    """Return a shape without its batch of one."""
    return shape[1:] if _batched(shape) else shape


def fresh(signal: Signal, shape: Shape, signed: bool) -> Codes:
    """Return a signal whose elements in C order are those of a tensor of this shape."""
    return Codes(reshaped(signal, bare(shape)), shape, tuple(range(len(bare(shape)))), signed)


def plain(codes: Codes) -> Signal:
    """Return the signal with the axes in the order of the file."""
    return moved(codes.signal, codes.order)


def typed(codes: Codes, quantized: Quantized) -> Codes:
    """Return the same codes, read in a quantisation."""
    if codes.signal.type.grid == quantized.format.grid():
        return codes
    return replace(codes, signal=apply(Reinterpret(quantized.format), codes.signal))


def through(codes: Codes, signal: Signal, signed: bool) -> Codes:
    """Return what an operator on single elements makes of codes."""
    return replace(codes, signal=signal, signed=signed)


def image(codes: Codes) -> Signal:
    """Return (height, width, channels) of a tensor (1, channels, height, width)."""
    channels, height, width = codes.order
    return moved(codes.signal, (height, width, channels))


def from_image(signal: Signal, signed: bool) -> Codes:
    """Return the tensor (1, channels, height, width) of a channels-last signal."""
    height, width, channels = signal.shape
    return Codes(signal, (1, channels, height, width), (2, 0, 1), signed)


def transposed(codes: Codes, axes: Sequence[int]) -> Codes:
    """Return ONNX's Transpose with `perm = axes`."""
    shape = tuple(codes.shape[a] for a in axes)
    if _batched(codes.shape) and axes[0] == 0:
        return replace(codes, shape=shape, order=tuple(codes.order[a - 1] for a in axes[1:]))
    return fresh(moved(reshaped(plain(codes), codes.shape), axes), shape, codes.signed)


def moved(signal: Signal, axes: Sequence[int]) -> Signal:
    """Return a signal whose axis k is axis `axes[k]`, without two transpositions in a row."""
    layer = signal.layer
    if list(axes) == sorted(axes):
        return signal
    if isinstance(layer, Transpose):
        return moved(signal.arguments[0], tuple(layer.axes[a] for a in axes))
    long = [a for a in axes if signal.shape[a] > 1]
    if long == sorted(long):  # what moves has one element
        return reshaped(signal, tuple(signal.shape[a] for a in axes))
    return apply(Transpose(tuple(axes)), signal)


def reshaped(signal: Signal, shape: Shape) -> Signal:
    """Return a signal as one of another shape, if it has another."""
    while isinstance(signal.layer, Reshape) and signal.shape != shape:
        signal = signal.arguments[0]
    return signal if signal.shape == shape else apply(Reshape(shape), signal)


def scaled(signal: Signal, factors: Tensor, bias: Tensor | None = None, *, output: Fixed | None = None, name: str = "") -> Signal:
    """Return `factor * a + bias` with a factor and a bias for each entry of the last axis (or of rows that long), exact until `output`."""
    channels = factors.shape[0]
    kernel = Tensor(factors.codes.reshape(1, 1, 1, channels), factors.format)
    columns = reshaped(signal, (signal.type.size // channels, 1, channels))
    return reshaped(apply(Conv2D(kernel, bias, groups=channels, output=output, name=name), columns), signal.shape)


def rows(codes: Codes) -> tuple[Signal, int]:
    """Return the rows of a tensor along its last axis, as an image (rows, 1, columns), or flat if it is one; and how many there are."""
    count, columns = prod(codes.shape[:-1]), codes.shape[-1]
    return reshaped(plain(codes), (columns,) if count == 1 else (count, 1, columns)), count


def _batched(shape: Shape) -> bool:
    return len(shape) > 1 and shape[0] == 1
