"""Operators of a QONNX graph on constants, in the types and with the roundings of the executor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from qspec.readers.onnx_file import OnnxNode, StoredTensor
from qspec.readers.onnx_quantized_tensors import QuantizedTensors
from qspec.readers.qonnx_values import ExecutorConstant
from qspec.runtimes.qonnx import Array, Bipolar, IntQuant, whole

Reader = QuantizedTensors
DTYPES = {"FLOAT": np.float32, "DOUBLE": np.float64, "FLOAT16": np.float16, "INT64": np.int64, "INT32": np.int32}


def known(stored: StoredTensor) -> ExecutorConstant:
    """Return a stored tensor in the type that the executor gives it."""
    return ExecutorConstant(stored.values.astype(DTYPES[stored.type]) if stored.type in DTYPES else stored.values)


def quantized_constant(x: ExecutorConstant, quantizer: IntQuant | Bipolar) -> ExecutorConstant:
    """Return a quantised constant with its codes and scale."""
    codes = whole(quantizer.codes(x.values))
    centred = codes - quantizer.zero.astype(np.int64)
    values = ((codes - quantizer.zero) * quantizer.scale).astype(np.float32)
    return ExecutorConstant(values, np.asarray(centred), quantizer.scale)


def _axes(r: Reader, n: OnnxNode, inputs: Sequence[ExecutorConstant]) -> tuple[int, ...]:
    return tuple(int(v) for v in inputs[1].values.reshape(-1)) if len(inputs) > 1 else r.numbers(n, "axes", ())


def _power(r: Reader, n: OnnxNode, inputs: Sequence[ExecutorConstant]) -> Array:
    exponent = inputs[1].values
    if exponent.size != 1 or float(exponent.reshape(())) not in (0.5, 1.0, 2.0):
        raise r.refusal("a power of a constant", exponent.reshape(-1)[:4], "1/2, 1 or 2")
    x, k = inputs[0].values, float(exponent.reshape(()))
    return np.sqrt(x) if k == 0.5 else x if k == 1 else x * x


def _gather(r: Reader, n: OnnxNode, inputs: Sequence[ExecutorConstant]) -> Array:
    return np.take(inputs[0].values, inputs[1].values.astype(np.int64), axis=int(r.number(n, "axis", 0)))


def _slice(r: Reader, n: OnnxNode, inputs: Sequence[ExecutorConstant]) -> Array:
    parts = [x.values.reshape(-1).tolist() for x in inputs[1:]]
    if not parts:
        parts = [list(r.numbers(n, key, ())) for key in ("starts", "ends")] + (
            [list(r.numbers(n, "axes", ()))] if "axes" in n.attributes else []
        )
    starts, ends = parts[0], parts[1]
    axes = parts[2] if len(parts) > 2 else range(len(starts))
    steps = parts[3] if len(parts) > 3 else [1] * len(starts)
    x = inputs[0].values
    where = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        where[int(axis)] = slice(int(start), int(end), int(step))
    return x[tuple(where)]


def _cast(r: Reader, n: OnnxNode, inputs: Sequence[ExecutorConstant]) -> Array:
    kinds = {1: np.float32, 6: np.int32, 7: np.int64, 11: np.float64}
    to = int(r.number(n, "to", 1))
    if to not in kinds:
        raise r.refusal("a Cast of a constant", to, "FLOAT, DOUBLE, INT32 or INT64")
    return inputs[0].values.astype(kinds[to])


def _unsqueezed(r: Reader, n: OnnxNode, inputs: Sequence[ExecutorConstant]) -> Array:
    x, axes = inputs[0].values, _axes(r, n, inputs)
    return np.expand_dims(x, tuple(sorted(a % (x.ndim + len(axes)) for a in axes)))


def _squeezed(r: Reader, n: OnnxNode, inputs: Sequence[ExecutorConstant]) -> Array:
    axes = _axes(r, n, inputs)
    return np.squeeze(inputs[0].values, axes or None)


FOLDED: Mapping[str, Callable[[Reader, OnnxNode, Sequence[ExecutorConstant]], Array]] = {
    "Add": lambda r, n, x: x[0].values + x[1].values,
    "Sub": lambda r, n, x: x[0].values - x[1].values,
    "Mul": lambda r, n, x: x[0].values * x[1].values,
    "Div": lambda r, n, x: x[0].values / x[1].values,
    "Neg": lambda r, n, x: -x[0].values,
    "Sqrt": lambda r, n, x: np.sqrt(x[0].values),
    "Pow": _power,
    "Gather": _gather,
    "Slice": _slice,
    "Cast": _cast,
    "Concat": lambda r, n, x: np.concatenate([k.values for k in x], axis=int(r.number(n, "axis", 0))),
    "Unsqueeze": _unsqueezed,
    "Squeeze": _squeezed,
    "Identity": lambda r, n, x: x[0].values,
}
"""Operators on constants; one operation is one rounding to the type of its operands."""


def transposed(x: ExecutorConstant, perm: Sequence[int] | None) -> ExecutorConstant:
    """Return a constant with its axes in another order; codes and scales move along."""
    if x.codes is None or x.scale is None:
        return ExecutorConstant(x.values.transpose(perm))
    scale = np.broadcast_to(x.scale, x.values.shape).transpose(perm)
    return ExecutorConstant(x.values.transpose(perm), x.codes.transpose(perm), scale)


def reshaped(x: ExecutorConstant, shape: Sequence[int]) -> ExecutorConstant:
    """Return a constant in another shape; codes and scales move along."""
    if x.codes is None or x.scale is None:
        return ExecutorConstant(x.values.reshape(shape))
    return replace(
        x, values=x.values.reshape(shape), codes=x.codes.reshape(shape), scale=np.broadcast_to(x.scale, x.values.shape).reshape(shape)
    )
