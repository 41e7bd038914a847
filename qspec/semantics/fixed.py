"""What every layer of a quantised network computes: an exact sum, then a declared accumulator, the activation, and the output format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import assert_never

import numpy as np

from qspec.arithmetic.formats import Format
from qspec.network.activations import Activation, Linear, Lookup, ReLU
from qspec.network.graph import Graph
from qspec.network.kernel_layers import Constant, Multiplier, Pad, Reinterpret, Reshape, Thresholds, Transpose
from qspec.network.layers import Add, AveragePool2D, Concat, Conv2D, Dense, Flatten, Input, Layer, MaxPool2D, Requantize
from qspec.semantics.exact import Numbers, Whole, contracted, packed, plus, shared, spread
from qspec.semantics.functions import piecewise, rounded_activation
from qspec.semantics.kernels import kernel
from qspec.semantics.storing import Channel, StoredCodes, channels_of, overflowed, rounded
from qspec.semantics.windows import convolved, members, views

Parameters = Mapping[tuple[str, str], Whole]
"""Codes by the name of a stage and "kernel" or "bias"."""


@dataclass(frozen=True, slots=True, eq=False)
class Taps:
    """What can be observed of a layer; None where nothing is summed, held or rounded.

    `accumulator` is the exact sum, `held` the codes of a declared accumulator before they overflow, `rounded` those of the output before
    they overflow.
    """

    output: StoredCodes
    accumulator: Numbers | None = None
    held: StoredCodes | None = None
    rounded: StoredCodes | None = None


def evaluate(network: Graph, inputs: Sequence[Whole], parameters: Parameters | None = None) -> dict[str, Taps]:
    """Return what every layer computes from the codes of the inputs, in their order; `parameters` replace what is stored."""
    given, free = iter(inputs), parameters or {}
    found: list[Taps] = []
    for stage in network.stages:
        own = {kind: codes for (name, kind), codes in free.items() if name == stage.name}
        if isinstance(stage.layer, Input):
            codes = packed(np.asarray(next(given)).reshape(stage.layer.shape))
            found.append(Taps(StoredCodes(codes, channels_of(stage.layer.format))))
        else:
            found.append(computed(stage.layer, [found[a].output for a in stage.arguments], own))
    return {stage.name: taps for stage, taps in zip(network.stages, found, strict=True)}


def computed(layer: Layer, x: Sequence[StoredCodes], free: Mapping[str, Whole]) -> Taps:
    """Return what a layer computes from the signals that it reads."""
    match layer:
        case Input():
            raise AssertionError("the codes of an input are given")
        case Dense() | Conv2D():
            return _finished(weighted(layer, x[0].exact, free), layer.output, layer.activation, layer.accumulator)
        case AveragePool2D():
            return _finished(averaged(layer, x[0].exact), layer.output)
        case MaxPool2D():
            return Taps(StoredCodes(views(layer, x[0].codes, int(x[0].codes.min())).max(axis=(3, 4)), x[0].channels))
        case Flatten():
            codes = x[0].codes.reshape(-1)
            return Taps(
                StoredCodes(codes, x[0].channels if len(x[0].channels) == 1 else [*x[0].channels] * (codes.size // len(x[0].channels)))
            )
        case Add():
            return _finished(added([s.exact for s in x]), layer.output, layer.activation)
        case Concat():
            joined = concatenated(x)
            return Taps(joined) if layer.output is None else _finished(joined.exact, layer.output)
        case Requantize():
            return _finished(x[0].exact, layer.output, layer.activation)
        case Reinterpret() | Reshape() | Transpose() | Pad() | Constant() | Multiplier() | Thresholds():
            return Taps(kernel(layer, x))
        case _:
            assert_never(layer)


def weighted(layer: Dense | Conv2D, x: Numbers, free: Mapping[str, Whole]) -> Numbers:
    """Return the exact sum of a layer with weights, in the largest units of which every product and the bias are multiples."""
    kernel = _parameter(layer.kernel.format, free.get("kernel", layer.kernel.codes), layer.kernel.shape)
    outputs = layer.kernel.shape[-1]
    signal = x.scaled([shared(x.units)])
    sums = contracted(signal.whole, kernel.whole, 1) if isinstance(layer, Dense) else convolved(layer, signal.whole, kernel.whole)
    products = Numbers(sums, [signal.units[0] * u for u in spread(kernel.units, outputs)])
    if layer.bias is None:
        return products
    bias = _parameter(layer.bias.format, free.get("bias", layer.bias.codes), layer.bias.shape)
    units = [shared(pair) for pair in zip(products.units, spread(bias.units, outputs), strict=True)]
    return Numbers(plus(products.scaled(units).whole, bias.scaled(units).whole), units)


def _parameter(fmt: Format, codes: Whole, shape: tuple[int, ...]) -> Numbers:
    return StoredCodes(packed(np.asarray(codes).reshape(shape)), channels_of(fmt)).exact


def averaged(layer: AveragePool2D, x: Numbers) -> Numbers:
    """Return the means over all windows, in units that a mean of any of them needs."""
    counts = members(layer, x.whole)
    common = lcm(*(int(c) for c in counts.flat))
    sums = contracted(views(layer, x.whole), np.ones(layer.window, dtype=np.int64), 2)
    shares = np.repeat((common // counts)[:, :, None], sums.shape[2], axis=2)
    return Numbers(packed(sums.astype(object) * shares), [u / common for u in x.units])


def added(terms: Sequence[Numbers]) -> Numbers:
    """Return the sum of several signals of one shape."""
    channels = max(len(t.units) for t in terms)
    units: list[Fraction] = [shared(column) for column in zip(*(spread(t.units, channels) for t in terms), strict=True)]
    total = terms[0].scaled(units).whole
    for t in terms[1:]:
        total = plus(total, t.scaled(units).whole)
    return Numbers(total, units)


def concatenated(parts: Sequence[StoredCodes]) -> StoredCodes:
    """Join codes along the last axis, channel by channel."""
    channels: list[Channel] = [c for p in parts for c in spread(p.channels, p.codes.shape[-1])]
    return StoredCodes(packed(np.concatenate([p.codes for p in parts], axis=-1)), channels)


def _finished(total: Numbers, output: Format | None, activation: Activation | None = None, accumulator: Format | None = None) -> Taps:
    """Hold, activate and store an exact sum, each where it is declared."""
    function = activation or Linear()
    held = kept = None
    v = total
    if accumulator is not None:
        before = rounded(total, accumulator)
        held, kept = StoredCodes(before, channels_of(accumulator)), overflowed(before, accumulator)
        v = kept.exact
    if output is None:
        assert isinstance(function, Linear | ReLU), "what is not stored can only be linear or ReLU"
        raw = piecewise(function, v)
        return Taps(_raw(raw, kept), total, held)
    codes = rounded_activation(function, v, output)
    done = StoredCodes(codes, channels_of(output)) if isinstance(function, Lookup) else overflowed(codes, output)
    return Taps(done, total, held, StoredCodes(codes, channels_of(output)))


def _raw(v: Numbers, kept: StoredCodes | None) -> StoredCodes:
    """Return a sum that no format stores: its codes count units of the sum, or are those of the accumulator."""
    if kept is not None:
        return StoredCodes(v.whole, kept.channels)
    return StoredCodes(v.whole, [Channel(u, 0, 64, True) for u in v.units])
