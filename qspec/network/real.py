"""The real-valued network that a quantised network approximates: another network, with its own exact semantics."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import exp, tanh
from typing import assert_never

import numpy as np
import numpy.typing as npt

from qspec.errors import ShapeError, UnsupportedError
from qspec.network.activations import Activation, HardSigmoid, HardTanh, LeakyReLU, Linear, Lookup, ReLU, Sigmoid, Sign, Tanh
from qspec.network.graph import Network, Stage
from qspec.network.layers import Add, AveragePool2D, Concat, Conv2D, Dense, Flatten, Input, MaxPool2D, Requantize, padding_pairs
from qspec.network.types import pool_counts, pool_windows

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class RealNetwork:
    """The same graph and the same stored parameters, read as reals: signals are neither rounded nor saturated."""

    network: Network

    def evaluate(self, values: object) -> Reals:
        """Return the first output in doubles, shape (..., *output shape), for input values of shape (..., *input shape)."""
        x = np.asarray(values, dtype=np.float64)
        stage = self.network.inputs[0]
        if len(self.network.inputs) != 1 or x.shape[x.ndim - len(stage.type.shape) :] != stage.type.shape:
            raise ShapeError(
                "values do not fit the input", given=x.shape, expected=f"(..., {', '.join(map(str, stage.type.shape))}), one input"
            )
        batch = x.shape[: x.ndim - len(stage.type.shape)]
        signals: list[Reals] = []
        for s in self.network.stages:
            types = [self.network.stages[a].type.shape for a in s.arguments]
            signals.append(
                x.reshape(-1, *stage.type.shape) if isinstance(s.layer, Input) else _evaluate(s, [signals[a] for a in s.arguments], types)
            )
        out = signals[self.network.outputs[0]]
        return out.reshape(*batch, *out.shape[1:])


def _evaluate(stage: Stage, x: list[Reals], shapes: list[tuple[int, ...]]) -> Reals:
    layer = stage.layer
    match layer:
        case Input():
            raise AssertionError("inputs are given")
        case Dense():
            return activate(layer.activation, x[0] @ layer.kernel.values() + (layer.bias.values() if layer.bias is not None else 0.0))
        case Conv2D():
            return activate(layer.activation, _convolve(layer, x[0]) + (layer.bias.values() if layer.bias is not None else 0.0))
        case AveragePool2D() | MaxPool2D():
            shape = shapes[0]
            index = pool_windows(layer, (shape[0], shape[1], shape[2]))
            places = np.where(index >= 0, index // shape[2], 0)
            members = x[0].reshape(x[0].shape[0], shape[0] * shape[1], shape[2])[:, places]
            inside = (index >= 0)[None, ..., None]
            if isinstance(layer, MaxPool2D):
                return np.where(inside, members, -np.inf).max(axis=(3, 4))
            return np.where(inside, members, 0.0).sum(axis=(3, 4)) / pool_counts(layer, (shape[0], shape[1], shape[2]))[None, ..., None]
        case Flatten():
            return x[0].reshape(x[0].shape[0], -1)
        case Add():
            return activate(layer.activation, np.sum(x, axis=0))
        case Concat():
            return np.concatenate(x, axis=-1)
        case Requantize():
            return activate(layer.activation, x[0])
        case _:
            assert_never(layer)


def _convolve(layer: Conv2D, x: Reals) -> Reals:
    kernel = layer.kernel.values()
    kh, kw, depth, outputs = kernel.shape
    top_bottom, left_right = padding_pairs(layer.padding, x.shape[1:3], (kh, kw), layer.stride, layer.dilation)
    padded = np.pad(x, ((0, 0), top_bottom, left_right, (0, 0)))
    rows = (padded.shape[1] - layer.dilation[0] * (kh - 1) - 1) // layer.stride[0] + 1
    columns = (padded.shape[2] - layer.dilation[1] * (kw - 1) - 1) // layer.stride[1] + 1
    result = np.zeros((x.shape[0], rows, columns, outputs))
    per_group = outputs // layer.groups
    for i in range(kh):
        for j in range(kw):
            top, left = i * layer.dilation[0], j * layer.dilation[1]
            patch = padded[
                :, top : top + rows * layer.stride[0] : layer.stride[0], left : left + columns * layer.stride[1] : layer.stride[1]
            ]
            for g in range(layer.groups):
                out = slice(g * per_group, (g + 1) * per_group)
                result[..., out] += patch[..., g * depth : (g + 1) * depth] @ kernel[i, j, :, out]
    return result


def activate(activation: Activation, v: Reals) -> Reals:
    """Return the activation of reals, in doubles; raises UnsupportedError for a table, which has no real counterpart."""
    match activation:
        case Linear():
            return v
        case ReLU(maximum):
            return np.clip(v, 0.0, None if maximum is None else float(Fraction(maximum)))
        case LeakyReLU(slope):
            return np.maximum(v, float(slope) * v)
        case Sign():
            return np.where(v >= 0, 1.0, -1.0)
        case HardTanh():
            return np.clip(v, -1.0, 1.0)
        case HardSigmoid(slope, offset):
            return np.clip(float(slope) * v + float(offset), 0.0, 1.0)
        case Sigmoid():
            return np.vectorize(_sigmoid, otypes=[np.float64])(v)
        case Tanh():
            return np.vectorize(tanh, otypes=[np.float64])(v)
        case Lookup():
            raise UnsupportedError("a lookup table has no real counterpart", given="Lookup", expected="a function such as Sigmoid or Tanh")
        case _:
            assert_never(activation)


def _sigmoid(v: float) -> float:
    return 1.0 / (1.0 + exp(-v)) if v >= 0 else exp(v) / (1.0 + exp(v))
