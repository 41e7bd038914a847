"""What every layer of a real network computes: exact where that is rational, else an enclosure as narrow as the bits that are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from math import lcm, prod
from typing import assert_never, cast

import numpy as np

from qspec.network.activations import HardSigmoid, HardTanh, LeakyReLU, Linear, ReLU, Sigmoid, Sign, Tanh
from qspec.network.graph import RealGraph
from qspec.network.layers import Add, AveragePool2D, Concat, Flatten, MaxPool2D
from qspec.network.real_layers import (
    Activate,
    Exp,
    RealActivation,
    RealConv2D,
    RealDense,
    RealInput,
    RealLayer,
    RealSparse,
    Softmax,
    Softplus,
)
from qspec.semantics import series
from qspec.semantics.enclosed import Enclosures, constants, enclosures, product_sum, total
from qspec.semantics.exact import Whole, contracted, packed, shared, times
from qspec.semantics.series import Enclosure, outward
from qspec.semantics.windows import convolved, members, views

Values = Sequence[Enclosure]
Parameters = Mapping[tuple[str, str], Values]
"""Flat enclosures by the name of a stage and "kernel" or "bias"."""


def evaluate(network: RealGraph, inputs: Sequence[Values], parameters: Parameters, bits: int) -> dict[str, Enclosures]:
    """Return what every layer computes from flat inputs, in their order; `parameters` are used in the place of what is stored.

    Raises UnsupportedError where exp of a huge number is needed.
    """
    given = iter(inputs)
    found: list[Enclosures] = []
    for stage in network.stages:
        if isinstance(stage.layer, RealInput):
            found.append(enclosures(next(given), stage.layer.shape))
        else:
            free = {kind: values for (name, kind), values in parameters.items() if name == stage.name}
            found.append(computed(stage.layer, [found[a] for a in stage.arguments], free, bits))
    return {stage.name: values for stage, values in zip(network.stages, found, strict=True)}


def computed(layer: RealLayer, x: Sequence[Enclosures], free: Mapping[str, Values], bits: int) -> Enclosures:
    """Return what a layer computes from the signals that it reads."""
    match layer:
        case RealInput():
            raise AssertionError("the values of an input are given")
        case RealDense() | RealConv2D():
            return activated(layer.activation, weighted(layer, x[0], free), bits)
        case RealSparse():
            return scattered(layer, x[0].listed())
        case Activate():
            return activated(layer.activation, x[0], bits)
        case Flatten():
            return x[0].each(lambda end: end.reshape(-1))
        case MaxPool2D():
            return x[0].each(lambda end: views(layer, end, int(end.min())).max(axis=(3, 4)))
        case AveragePool2D():
            return averaged(layer, x[0])
        case Add():
            return activated(cast(RealActivation, layer.activation), total(x), bits)
        case Concat():
            return joined(x)
        case _:
            assert_never(layer)


def weighted(layer: RealDense | RealConv2D, x: Enclosures, free: Mapping[str, Values]) -> Enclosures:
    """Return the weighted sum of a layer."""
    kernel = enclosures(free["kernel"], layer.kernel.shape) if "kernel" in free else constants(layer.kernel)

    def contract(signal: Whole, weights: Whole) -> Whole:
        return contracted(signal, weights, 1) if isinstance(layer, RealDense) else convolved(layer, signal, weights)

    sums = product_sum(x, kernel, contract)
    if "bias" in free:
        return total([sums, enclosures(free["bias"], layer.kernel.shape[-1:])])
    return sums if layer.bias is None else total([sums, constants(layer.bias)])


def scattered(layer: RealSparse, x: Sequence[Enclosure]) -> Enclosures:
    """Return the bias, or nothing, and every entry of a sparse layer times the element that it reads."""
    size = prod(layer.shape)
    low = [Fraction(0)] * size if layer.bias is None else [Fraction(b) for b in layer.bias.tolist()]
    high = list(low)
    for row, column, coefficient in zip(layer.rows.tolist(), layer.columns.tolist(), layer.coefficients.tolist(), strict=True):
        read, weight = x[int(column)], Fraction(coefficient)
        ends = sorted((weight * read.lower, weight * read.upper))
        low[row], high[row] = low[row] + ends[0], high[row] + ends[1]
    return enclosures([Enclosure(a, b) for a, b in zip(low, high, strict=True)], layer.shape)


def averaged(layer: AveragePool2D, x: Enclosures) -> Enclosures:
    """Return the means over all windows."""
    counts = members(layer, x.lower)
    common = lcm(*(int(c) for c in counts.flat))
    shares = (common // counts)[:, :, None].astype(object)
    means = x.each(lambda end: packed(contracted(views(layer, end), np.ones(layer.window, dtype=np.int64), 2).astype(object) * shares))
    return Enclosures(means.lower, means.upper, means.unit / common)


def joined(parts: Sequence[Enclosures]) -> Enclosures:
    """Join along the last axis."""
    unit = shared(p.unit for p in parts)
    scaled = [p.scaled(unit) for p in parts]
    lower = np.concatenate([p.lower for p in scaled], axis=-1)
    return Enclosures(lower, lower if all(p.exact for p in parts) else np.concatenate([p.upper for p in scaled], axis=-1), unit)


def activated(activation: RealActivation, v: Enclosures, bits: int) -> Enclosures:
    """Return `f(v)`."""
    match activation:
        case Linear():
            return v
        case ReLU(None):
            return v.each(lambda end: np.where(end > 0, end, 0))
        case ReLU(maximum):
            assert maximum is not None
            return _clipped(v, Fraction(0), maximum)
        case LeakyReLU(slope):
            p, q = slope.numerator, slope.denominator
            bent = v.each(lambda end: packed(np.where(end < 0, times(end, [p]), times(end, [q]))))
            return Enclosures(bent.lower, bent.upper, bent.unit / q)
        case Sign():
            signs = v.each(lambda end: np.where(end < 0, -1, 1))
            return Enclosures(signs.lower, signs.upper, Fraction(1))
        case HardTanh():
            return _clipped(v, Fraction(-1), Fraction(1))
        case HardSigmoid(slope, offset):
            return _clipped(total([Enclosures(v.lower, v.upper, v.unit * slope), _constant(offset)]), Fraction(0), Fraction(1))
        case Sigmoid():
            return _increasing(series.sigmoid, v, bits)
        case Tanh():
            return _increasing(series.tanh, v, bits)
        case Softplus():
            return _increasing(series.softplus, v, bits)
        case Exp():
            return _increasing(series.exp, v, bits)
        case Softmax():
            return enclosures([y for row in _rows(v) for y in softmax(row, bits)], v.lower.shape)
        case _:
            assert_never(activation)


def _constant(value: Fraction) -> Enclosures:
    return enclosures([Enclosure(value, value)], (1,))


def _clipped(v: Enclosures, lower: Fraction, upper: Fraction) -> Enclosures:
    fine = v.scaled(shared([v.unit, lower, upper]))
    least, most = int(lower / fine.unit), int(upper / fine.unit)
    return fine.each(lambda end: packed(np.minimum(np.maximum(end.astype(object), least), most)))  # the ends may be wider than a word


def _increasing(function: Callable[[Fraction, int], Enclosure], v: Enclosures, bits: int) -> Enclosures:
    return enclosures([monotone(function, x, bits) for x in v.listed()], v.lower.shape)


def monotone(function: Callable[[Fraction, int], Enclosure], x: Enclosure, bits: int) -> Enclosure:
    """Enclose an increasing function on an enclosure."""
    low = function(x.lower, bits)
    high = low if x.lower == x.upper else function(x.upper, bits)
    return outward(Enclosure(low.lower, high.upper), bits)


def _rows(v: Enclosures) -> list[list[Enclosure]]:
    flat, width = v.listed(), v.lower.shape[-1]
    return [flat[k : k + width] for k in range(0, len(flat), width)]


def softmax(row: Sequence[Enclosure], bits: int) -> list[Enclosure]:
    """Return `1 / (1 + Σ exp(v[j] - v[k]))`, over all j but k, for every k."""
    found: list[Enclosure] = []
    for k, own in enumerate(row):
        ahead = [Enclosure(v.lower - own.upper, v.upper - own.lower) for j, v in enumerate(row) if j != k]
        powers = [monotone(series.exp, x, bits) for x in ahead]
        low, high = (1 + sum(ends, Fraction(0)) for ends in ((p.lower for p in powers), (p.upper for p in powers)))
        found.append(outward(Enclosure(1 / high, 1 / low), bits))
    return found
