"""SVDF of TensorFlow Lite files: one step of a layer with a memory, from the state that it is given to the next one.

The state, a variable tensor of the file, is an input of the network, and the next state an output. Codes of filter f at ages from the
oldest to the newest are its elements f * memory to (f + 1) * memory - 1.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from qspec.arithmetic.formats import Affine, Fixed
from qspec.arithmetic.integers import IntArray, integers, rational
from qspec.arithmetic.rounding import Overflow
from qspec.arithmetic.tensor import Tensor
from qspec.network.graph import Signal, apply
from qspec.network.kernel_layers import Constant, Reinterpret, Reshape
from qspec.network.layers import Add, Concat, Conv2D, Dense, Requantize
from qspec.readers.tflite_file import TfliteOperator
from qspec.readers.tflite_signals import TfliteSignals
from qspec.runtimes.arithmetic import Quantized


def svdf(file: TfliteSignals, o: TfliteOperator) -> Signal:
    """Return the codes of an SVDF; its next state is kept in `file.following`."""
    readers = [k for k, other in enumerate(file.model.operators) if o.inputs[-1] in other.inputs]
    if len(o.inputs) != 5 or -1 in o.inputs or not file.model.tensors[o.inputs[4]].variable or len(readers) > 1:
        raise file.refusal("an SVDF of other inputs", o.inputs, "a signal, two tensors of weights, a bias, and a state of its own")
    x, given, out = file.signal(o.inputs[0]), file.quantized(o.inputs[0]), file.quantized(o.outputs[0])
    state, held = file.quantized(o.inputs[4]), file.signal(o.inputs[4])
    feature, time = file.stored(o.inputs[1]), file.stored(o.inputs[2])
    (filters, memory), rank = time.shape if time.ndim == 2 else (0, 0), int(o.options["Rank"])
    fits = feature.shape == (filters, *x.shape) and held.shape == (filters * memory,) and 8 * time.dtype.itemsize == state.width
    if not fits or memory < 2 or rank < 1 or filters % rank or {given.width, out.width} != {8}:
        shapes = f"{x.shape}, weights {feature.shape} and {time.shape}, state {held.shape} of {state.width} bits, rank {rank}"
        raise file.refusal("an SVDF whose parts do not fit", shapes, "int8 signals, parts of fitting sizes, a memory of at least 2")
    scales = [file.scale(o.inputs[k]) for k in (1, 2)]
    rule = file.runtime.recurrence(given, scales[0], state, scales[1], out)
    name = file.name(o)
    seen = Dense(_weights(feature.T, scales[0]), name=f"{name}_features")
    file.check_sums(seen.kernel, None, given)
    new = apply(Reshape((filters, 1, 1)), _wrapped(apply(rule.new, apply(seen, x)), state))
    ages = apply(Reshape((filters, 1, memory)), held)
    known = apply(Concat(name=f"{name}_known"), _younger(ages, state, f"{name}_older"), new)
    file.following[o.inputs[4]] = apply(Reshape(held.shape), known)
    units = filters // rank
    bias = Tensor(integers(file.stored(o.inputs[3])), Affine(32, True, rational(state.scale) * rational(scales[1]), 0))
    kernel = _weights(time.reshape(units, rank * memory).T[None, None], scales[1])
    file.check_sums(kernel, bias, state)
    sums = Conv2D(kernel, bias, groups=units, name=f"{name}_time")
    return apply(rule.total, apply(sums, apply(Reshape((1, 1, filters * memory)), known)))


def _wrapped(centred: Signal, state: Quantized) -> Signal:
    """Return centred codes with the zero point added as the kernels do it: what leaves the state's bits wraps around."""
    if not state.zero:
        return apply(Reinterpret(state.format), centred)
    width = state.width
    unit = Affine(width, True, Fraction(1), 0)
    zero = Constant(Tensor(np.full(centred.shape, state.zero), unit))
    raised = apply(Add(), apply(Reinterpret(unit), centred), apply(zero))
    return apply(Reinterpret(state.format), apply(Requantize(Fixed(width, 0, overflow=Overflow.WRAP)), raised))


def _younger(ages: Signal, state: Quantized, name: str) -> Signal:
    """Return all codes of the last axis but the first."""
    plain = apply(Reinterpret(Fixed(state.width, 0)), ages)
    one_hot = np.eye(ages.shape[-1], dtype=np.int64)[:, 1:]
    return apply(Reinterpret(state.format), apply(Conv2D(Tensor(one_hot[None, None], Fixed(2, 0)), name=name), plain))


def _weights(codes: IntArray, scale: float) -> Tensor:
    return Tensor(integers(codes), Affine(8 * codes.dtype.itemsize, True, rational(scale), 0))
