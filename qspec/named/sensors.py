"""Robustness against what happens to sensors: a part of the input that changes, one factor that moves all of it, a value that is stuck.

Of each the native engine counts the inputs that differ, and evaluates them all where that is affordable: see docs/in-reach.md. Centres are
codes, in the shape of the network's one input.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil, floor, prod
from typing import Any, cast

import numpy as np

from qspec.arithmetic.formats import Affine, Fixed, PerChannel, check_codes, code_range
from qspec.arithmetic.integers import IntArray, integers, rational
from qspec.arithmetic.rounding import Overflow
from qspec.arithmetic.shapes import check_one
from qspec.arithmetic.tensor import Tensor
from qspec.errors import ShapeError, SpecError, UnsupportedError
from qspec.face import Network, Sequential
from qspec.language.expressions import Absolute, NonZero, Operand, Parameter, expression
from qspec.language.formulas import argmax
from qspec.language.functions import linf, maximum, total
from qspec.language.property import Property, Requirement, forall, requiring
from qspec.language.variables import Variable
from qspec.named.properties import inputs_of
from qspec.network.kernel_layers import Reshape
from qspec.network.layers import Dense, Input
from qspec.support import checks


def region_robustness(network: Network, centre: object, label: int | Parameter, *, where: object, radius: int | None = None) -> Property:
    """State that the class stays `label` whatever the elements at `where` read: any code, or codes within `radius` LSB of the centre.

    `where` indexes the input as numpy does: an element `(3, 4, 0)`, a pixel `(3, 4)`, a patch `np.s_[3:7, 3:7]`, a frame `np.s_[12]`, or a
    mask. All other elements are as in `centre`. Raises SpecError if nothing is chosen, ShapeError on a misfit.
    """
    (x,) = inputs_of(network, "x")
    codes, chosen = _centre(network, centre), _chosen(x, where)
    low, high = code_range(_layer(network).format, x.shape)
    if radius is not None:
        checks.whole(radius, "the radius", least=0, most=int((high - low).max()))
        low, high = np.maximum(low, codes - radius), np.minimum(high, codes + radius)
    least, most = np.where(chosen, low, codes).reshape(x.shape), np.where(chosen, high, codes).reshape(x.shape)
    x = network.input("x", lower=least, upper=most)  # a box of codes: a condition on thousands of them would be carried along
    return forall(x, then=argmax(network(x)) == label, name="region_robustness")


def sparse_robustness(network: Network, centre: object, label: int | Parameter, *, changed: Operand = 1) -> Property:
    """State that the class stays `label` if at most `changed` pixels (elements, of inputs without channels) read any code instead.

    Source: Su, Vargas, Sakurai 2019 (one-pixel attacks).
    """
    (x,) = inputs_of(network, "x")
    away = Absolute(x.code - _centre(network, centre).reshape(x.shape))
    pixels = maximum(away.reshape(-1, x.shape[-1]), axis="last") if len(x.shape) == 3 else away.flatten()
    spec = forall(x, given=total(NonZero(pixels)) <= changed, then=argmax(network(x)) == label, name="sparse_robustness")
    return requiring(spec, Requirement("the number of pixels", expression(changed), most=pixels.size, whole=True))


def brightness_robustness(network: Network, centre: object, radius: int | Parameter, label: int | Parameter) -> Property:
    """State that the class stays `label` if one number of LSB, from -`radius` to `radius`, is added to every code, which saturates."""
    shape, fmt = _uniform(network)
    unit, width = fmt.grid().units[0], fmt.width
    ones = Tensor(np.ones((1, prod(shape)), dtype=np.int64), Affine(2, True, unit))
    sensor = _sensor(shape, fmt, Fixed(width + 2, 0), ones, Tensor(_centre(network, centre), fmt))
    shift = sensor.input("brightness")
    spec = forall(shift, given=linf(shift.code) <= radius, then=argmax(network(sensor(shift))) == label, name="brightness_robustness")
    return requiring(spec, Requirement("the radius", expression(radius), most=(1 << width) - 1, whole=True))


def gain_robustness(network: Network, centre: object, percent: object, label: int | Parameter, *, black: int | None = None) -> Property:
    """State that the class stays `label` if every value is multiplied by one factor, up to `percent` (0 to 100) more or less than 1.

    Codes are multiplied as they are above or below the code `black` (if none is given, that of the value zero), rounded and saturated as
    the input's format says. The factor has so many fraction bits that every real factor gives the codes of one of them, but for those at
    which a code lies exactly between two.
    """
    shape, fmt = _uniform(network)
    grid, width, codes = fmt.grid(), fmt.width, _centre(network, centre)
    zero = int(grid.zeros[0])
    dark = zero if black is None else checks.integer(black, "the black code")
    share = rational(percent) / 100
    if not 0 <= share <= 1:
        raise SpecError("the gain is out of range", given=percent, expected="0 to 100 percent")
    wide = Affine(width + 2, True, grid.units[0])
    kernel = Tensor((codes - dark).reshape(1, -1), wide)
    bits = 2 * width + 1
    sensor = _sensor(shape, fmt, Fixed(bits + 2, bits, signed=False), kernel, Tensor(np.full(prod(shape), dark - zero), wide))
    least, most = ceil((1 - share) * (1 << bits)), floor((1 + share) * (1 << bits))
    factor = sensor.input("gain", lower=least, upper=most)
    return forall(factor, then=argmax(network(sensor(factor))) == label, name="gain_robustness")


def stuck_robustness(network: Network, centre: object, label: int | Parameter, *, where: object) -> Property:
    """State that the class stays `label` if all elements at `where` (as in `region_robustness`) read one and the same code, whichever."""
    shape, fmt = _uniform(network)
    (x,) = inputs_of(network, "x")
    chosen, codes, zero = _chosen(x, where), _centre(network, centre), int(fmt.grid().zeros[0])
    unit = fmt.grid().units[0]
    kernel = Tensor(chosen.astype(np.int64).reshape(1, -1), Affine(2, True, unit))
    rest = Tensor(np.where(chosen, zero, codes), fmt)
    sensor = _sensor(shape, fmt, Fixed(fmt.width + 2, 0), kernel, rest)
    low, high = code_range(fmt, shape)
    stuck = sensor.input("stuck", lower=int(low[0]) - zero, upper=int(high[0]) - zero)
    return forall(stuck, then=argmax(network(sensor(stuck))) == label, name="stuck_robustness")


def _sensor(shape: tuple[int, ...], fmt: Fixed | Affine, factor: Fixed, kernel: Tensor, bias: Tensor) -> Network:
    """Return a network from one factor to the codes of an input: `kernel * factor + bias`, which saturates."""
    stored = replace(fmt, overflow=Overflow.SAT)
    return Sequential(Input((1,), factor), Dense(kernel, bias, output=stored), Reshape(shape), name="sensor")


def _layer(network: Network) -> Input:
    layer = network.inputs[0].layer
    assert isinstance(layer, Input)
    return layer


def _uniform(network: Network) -> tuple[tuple[int, ...], Fixed | Affine]:
    """Return shape and format of the one input of a network; raises UnsupportedError if its channels have formats of their own."""
    inputs_of(network, "x")
    layer = _layer(network)
    if isinstance(layer.format, PerChannel) or layer.format.grid().channels > 1 or layer.features:
        raise UnsupportedError(
            "one factor needs one format", given=layer.format, expected="an input without features whose channels share a scale"
        )
    return layer.shape, layer.format


def _centre(network: Network, centre: object) -> IntArray:
    """Return the codes of a centre, flat; raises ShapeError if they do not fit the input, FormatError if they are no whole numbers."""
    layer, codes = _layer(network), integers(centre)
    check_one(codes.shape, layer.shape, "the centre")
    flat = codes.reshape(-1)
    check_codes(flat, layer.format, layer.shape, "the centre")
    return flat


def _chosen(x: Variable, where: object) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which elements an index chooses, flat."""
    mask = np.zeros(x.shape, dtype=np.bool_)
    try:
        mask[cast(Any, where)] = True
    except (IndexError, TypeError, ValueError) as error:
        raise ShapeError("index does not fit the input", given=where, expected=f"an index into shape {x.shape} ({error})") from None
    if not mask.any():
        raise SpecError("no element of the input is chosen", given=where, expected=f"some of shape {x.shape}")
    return mask.reshape(-1)
