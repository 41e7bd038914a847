"""Activations on exact numbers, as docs/semantics.md defines them."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import assert_never

import numpy as np

from qspec.arithmetic.formats import Format
from qspec.arithmetic.rounding import Rounding
from qspec.network.activations import Activation, HardSigmoid, HardTanh, LeakyReLU, Linear, Lookup, ReLU, Sigmoid, Sign, Tanh
from qspec.semantics import series
from qspec.semantics.exact import Numbers, Whole, listed, packed, plus, spread, times, whole
from qspec.semantics.series import Enclosure
from qspec.semantics.storing import between, channels_of, modes_of, nearest, range_of, rounded, stored

ONE = Fraction(1)


def rounded_activation(activation: Activation, v: Numbers, fmt: Format) -> Whole:
    """Return the codes of `f(v)` in a format, before overflow. A table gives codes as they are."""
    match activation:
        case Linear() | ReLU() | LeakyReLU() | Sign() | HardTanh() | HardSigmoid():
            return rounded(piecewise(activation, v), fmt)
        case Sigmoid(table) | Tanh(table):
            return _transcendental(activation, v if table is None else stored(v, table).exact, fmt)
        case Lookup(index, outputs):
            lowest, _ = range_of(channels_of(index)[0])
            return outputs.codes[(stored(v, index).codes - lowest).astype(np.int64)]
        case _:
            assert_never(activation)


def piecewise(activation: Linear | ReLU | LeakyReLU | Sign | HardTanh | HardSigmoid, v: Numbers) -> Numbers:
    """Return `f(v)` where it is a rational."""
    match activation:
        case Linear():
            return v
        case ReLU(None):
            return Numbers(np.where(v.whole > 0, v.whole, 0), v.units)
        case ReLU(maximum):
            assert maximum is not None
            return _clipped(v, Fraction(0), maximum)
        case LeakyReLU(slope):
            numerator, denominator = slope.numerator, slope.denominator
            kept = np.where(v.whole < 0, times(v.whole, [numerator]), times(v.whole, [denominator]))
            return Numbers(packed(kept), [u / denominator for u in v.units])
        case Sign():
            return Numbers(np.where(v.whole < 0, -1, 1), [ONE])
        case HardTanh():
            return _clipped(v, -ONE, ONE)
        case HardSigmoid(slope, offset):
            steep = Numbers(v.whole, [u * slope for u in v.units]).finer(offset)
            moved = plus(steep.whole, listed([whole(offset / u) for u in steep.units]))
            return _clipped(Numbers(moved, steep.units), Fraction(0), ONE)
        case _:
            assert_never(activation)


def _clipped(v: Numbers, lower: Fraction, upper: Fraction) -> Numbers:
    fine = v.finer(lower, upper)
    least, most = (listed([whole(end / u) for u in fine.units]) for end in (lower, upper))
    return Numbers(packed(np.where(fine.whole < least, least, np.where(fine.whole > most, most, fine.whole))), fine.units)


def _transcendental(activation: Sigmoid | Tanh, v: Numbers, fmt: Format) -> Whole:
    """Return the correctly rounded codes, element by element."""
    count = v.shape[-1]
    units: list[Fraction] = spread(v.units, count)
    channels, rounding = spread(channels_of(fmt), count), modes_of(fmt)[0]
    function = "sigmoid" if isinstance(activation, Sigmoid) else "tanh"
    found = [
        nearest_code(function, n * units[k % count], channels[k % count].unit, rounding) + channels[k % count].zero
        for k, n in enumerate(v.whole.reshape(-1).tolist())
    ]
    return listed(found).reshape(v.shape)


@lru_cache(maxsize=100_000)
def nearest_code(function: str, v: Fraction, unit: Fraction, rounding: Rounding) -> int:
    """Round `sigmoid(v) / unit` or `tanh(v) / unit`.

    Unless v is 0 the value is irrational (Lindemann): it lies strictly between the ends of every enclosure, and some precision settles it.
    """
    if v == 0:
        exact = (Fraction(1, 2) if function == "sigmoid" else Fraction(0)) / unit
        return int(nearest(listed([1]), [exact], rounding)[0]) if exact else 0
    bits = 64
    while True:
        value = _enclosed(function, v, bits)
        code = between(value.lower / unit, value.upper / unit, rounding)
        if code is not None:
            return code
        bits *= 2


def _enclosed(function: str, v: Fraction, bits: int) -> Enclosure:
    """Enclose a function of a number that is not 0 within about 2^-bits; far out, between its limit and `1 - exp(-|v|) > 1 - 2^-bits`."""
    if v < 0:
        mirrored = _enclosed(function, -v, bits)
        turned = 1 if function == "sigmoid" else 0
        return Enclosure(turned - mirrored.upper, turned - mirrored.lower)
    if v > bits:
        return Enclosure(1 - Fraction(1, 2**bits), ONE)
    return series.sigmoid(v, bits) if function == "sigmoid" else series.tanh(v, bits)
