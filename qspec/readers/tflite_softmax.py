"""SOFTMAX of TensorFlow Lite files, in layers that all solvers know: each code counts the levels that it reaches.

With the distances `d` from the greatest code and the sum `s` of their exponentials, level k is reached from the distance `least[k](s)` on,
a staircase of the sum.
"""

from __future__ import annotations

import numpy as np

from qspec.arithmetic.formats import Fixed
from qspec.arithmetic.integers import IntArray
from qspec.arithmetic.tensor import Tensor
from qspec.network.activations import Lookup
from qspec.network.graph import Signal, apply
from qspec.network.kernel_layers import Reinterpret, Reshape, Thresholds
from qspec.network.layers import Add, Concat, Conv2D, MaxPool2D, Requantize
from qspec.readers.tflite_file import TfliteOperator
from qspec.readers.tflite_layers import shifted, times
from qspec.readers.tflite_signals import TfliteSignals
from qspec.runtimes.runtime import Normalization

SUMMAND = Fixed(21, 0)
"""The format of an exponential: 0 to 2**19."""


def softmax(file: TfliteSignals, o: TfliteOperator) -> Signal:
    """Return the codes of a SOFTMAX over the last axis."""
    x, given, out = file.signal(o.inputs[0]), file.quantized(o.inputs[0]), file.quantized(o.outputs[0])
    if {given.width, out.width} != {8} or (out.scale, out.zero) != (1 / 256, -128):
        raise file.refusal("a SOFTMAX of other codes", f"{given} to {out}", "int8 to int8 with scale 1/256 and zero point -128")
    count, name = x.shape[-1], file.name(o)
    rule = file.runtime.softmax(given, float(o.options["Beta"]), count)
    codes = apply(Reshape((x.type.size // count, count, 1)), apply(Reinterpret(Fixed(8, 0)), x))
    greatest = apply(MaxPool2D((1, count), name=f"{name}_greatest"), codes)
    minus = apply(Reshape(codes.shape), _dense(greatest, np.full((1, 1, 1, count), -1), f"{name}_minus"))
    distances = apply(Add(name=f"{name}_distances"), codes, minus)
    reached = apply(Thresholds(Fixed(2, 0), np.zeros(1, dtype=np.int64), np.zeros((1, 1), dtype=np.int64)), _past(distances, rule, name))
    levels = _dense(reached, np.ones((1, 1, reached.shape[-1], 1)), f"{name}_levels")
    return apply(Reshape(x.shape), shifted(levels, out))


def _past(distances: Signal, rule: Normalization, name: str) -> Signal:
    """Return by how much each distance is past the least one of each level, shape (rows, count, levels)."""
    rows, count, _ = distances.shape
    levels = len(rule.most)
    table = np.concatenate([[0], rule.exponentials, np.full(255, rule.exponentials[-1])])
    summands = apply(Requantize(SUMMAND, Lookup(Fixed(9, 0), Tensor(table, SUMMAND)), f"{name}_exponentials"), distances)
    sums = _dense(summands, np.ones((1, count, 1, levels)), f"{name}_sums")
    least = apply(Thresholds(Fixed(9, 0), np.full(levels, -255), rule.most + 1, f"{name}_least"), sums)
    minus = times(least, np.full(levels, -1), f"{name}_least_minus")
    everywhere = apply(Reshape((rows, count, levels)), apply(Concat(name=f"{name}_beside"), *[minus] * count))
    return apply(Add(name=f"{name}_past"), _dense(distances, np.ones((1, 1, 1, levels)), f"{name}_repeated"), everywhere)


def _dense(x: Signal, kernel: IntArray, name: str) -> Signal:
    return apply(Conv2D(Tensor(kernel.astype(np.int64), Fixed(2, 0)), name=name), x)
