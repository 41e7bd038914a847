"""The outputs of both networks at one input, exactly: integers, with one denominator for each layer of the real one."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from qspec.arithmetic.integers import IntArray, common_unit
from qspec.engines.difference.aligned_layers import LayerPair, Pair
from qspec.ir.real import ExactArray, fractions
from qspec.ir.staircase import climb


class IntegerLayer(NamedTuple):
    """Matrix (outputs, inputs) and bias of a real layer as integers, in multiples of `unit`."""

    matrix: IntArray
    bias: IntArray
    unit: Fraction


@lru_cache(maxsize=64)
def whole(layer: LayerPair) -> IntegerLayer:
    """Return the exact parameters of a real layer as integers."""
    matrix, bias = fractions(layer.exact), fractions(layer.exact_bias)
    unit = common_unit([*matrix.flat, *bias.flat])
    multiples, offsets = (np.array([int(v / unit) for v in part.flat], dtype=object).reshape(part.shape) for part in (matrix, bias))
    return IntegerLayer(multiples, offsets, unit)


def outputs(pair: Pair, codes: IntArray) -> tuple[ExactArray, ExactArray]:
    """Return the values of both networks' outputs at input codes (inputs,), as Fractions, (outputs,) each."""
    code = codes.astype(object)
    signal, unit = code, Fraction(1)
    for layer in pair.layers:
        fixed, bias = (v.astype(np.int64).astype(object) for v in (layer.fixed.value, layer.fixed_bias))
        code = climb(layer.steps, fixed @ code + bias).astype(object)
        w = whole(layer)
        # matrix w.unit (signal unit) + bias w.unit, over the denominator of unit
        signal, unit = (w.matrix @ signal) * unit.numerator + w.bias * unit.denominator, w.unit / unit.denominator
        signal = np.maximum(signal, 0) if layer.relu else signal
    fixed_values = fractions(pair.unit) * (code - pair.zero)
    return fractions(fixed_values), np.array([v * unit for v in signal], dtype=object)
