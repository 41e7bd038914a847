"""Evaluate a real network in doubles: for looking at, for searches; never for a verdict."""

from __future__ import annotations

from math import exp, log1p, tanh
from typing import assert_never

import numpy as np

from qspec.arithmetic import convolve
from qspec.arithmetic.shapes import batch_axes
from qspec.errors import ShapeError
from qspec.ir.real import ExactArray
from qspec.network.activations import HardSigmoid, HardTanh, LeakyReLU, Linear, ReLU, Sigmoid, Sign, Tanh
from qspec.network.graph import RealGraph, Reals, RealStage
from qspec.network.layers import Add, AveragePool2D, Concat, Flatten, MaxPool2D
from qspec.network.real_layers import (
    Activate,
    Exp,
    RealActivation,
    RealConv2D,
    RealDense,
    RealInput,
    RealSparse,
    Softmax,
    Softplus,
    sum_activation,
)
from qspec.network.shapes import padding_pairs
from qspec.network.types import pool_counts, pool_windows


def evaluate(network: RealGraph, values: object) -> Reals:
    """Return the first output for input values of shape (..., *input shape); raises ShapeError if they do not fit the one input."""
    x = np.asarray(values, dtype=np.float64)
    out = signals(network, x)[network.outputs[0]]
    return out.reshape(*_batch(network, x), *out.shape[1:])


def signals(network: RealGraph, x: Reals) -> list[Reals]:
    """Return the signal of every stage, shape (samples, *stage shape), for input values as `evaluate` takes them."""
    shape = network.inputs[0].shape
    _batch(network, x)
    found: list[Reals] = []
    for s in network.stages:
        shapes = [network.stages[a].shape for a in s.arguments]
        found.append(x.reshape(-1, *shape) if isinstance(s.layer, RealInput) else _evaluate(s, [found[a] for a in s.arguments], shapes))
    return found


def _batch(network: RealGraph, x: Reals) -> tuple[int, ...]:
    """Return the axes of input values before those of the one input, in its shape or flat; raises ShapeError if they do not fit."""
    if len(network.inputs) != 1:
        raise ShapeError("several inputs", given=[s.name for s in network.inputs], expected="a network with one input")
    return batch_axes(x.shape, network.inputs[0].shape, f"values for input {network.inputs[0].name!r}")


def _evaluate(stage: RealStage, x: list[Reals], shapes: list[tuple[int, ...]]) -> Reals:
    layer = stage.layer
    match layer:
        case RealInput():
            raise AssertionError("inputs are given")
        case RealDense():
            return activate(layer.activation, x[0] @ doubles(layer.kernel) + _bias(layer.bias))
        case RealConv2D():
            return activate(layer.activation, _convolve(layer, x[0], stage.shape) + _bias(layer.bias))
        case RealSparse():
            return _sparse(layer, x[0].reshape(x[0].shape[0], -1))
        case Activate():
            return activate(layer.activation, x[0])
        case AveragePool2D() | MaxPool2D():
            return _pool(layer, x[0], shapes[0])
        case Flatten():
            return x[0].reshape(x[0].shape[0], -1)
        case Add():
            return activate(sum_activation(layer), np.sum(x, axis=0))
        case Concat():
            return np.concatenate(x, axis=-1)
        case _:
            assert_never(layer)


def doubles(values: ExactArray) -> Reals:
    """Return exact numbers as the nearest doubles."""
    return values if values.dtype == np.float64 else values.astype(np.float64)


def _bias(bias: ExactArray | None) -> Reals | float:
    return 0.0 if bias is None else doubles(bias)


def _sparse(layer: RealSparse, x: Reals) -> Reals:
    result = np.zeros((x.shape[0], int(np.prod(layer.shape, dtype=np.int64))))
    np.add.at(result.T, layer.rows, x.T[layer.columns] * doubles(layer.coefficients)[:, None])
    return (result + _bias(layer.bias)).reshape(-1, *layer.shape)


def _pool(layer: AveragePool2D | MaxPool2D, x: Reals, shape: tuple[int, ...]) -> Reals:
    image = (shape[0], shape[1], shape[2])
    index = pool_windows(layer, image)
    places = np.where(index >= 0, index // shape[2], 0)
    members = x.reshape(x.shape[0], shape[0] * shape[1], shape[2])[:, places]
    inside = (index >= 0)[None, ..., None]
    if isinstance(layer, MaxPool2D):
        return np.where(inside, members, -np.inf).max(axis=(3, 4))
    return np.where(inside, members, 0.0).sum(axis=(3, 4)) / pool_counts(layer, image)[None, ..., None]


def _convolve(layer: RealConv2D, x: Reals, shape: tuple[int, ...]) -> Reals:
    kernel = doubles(layer.kernel)
    pads = padding_pairs(layer.padding, x.shape[1:3], kernel.shape[:2], layer.stride, layer.dilation)
    return convolve.forward(x, kernel, (shape[0], shape[1], shape[2]), layer.stride, pads, layer.dilation)


def activate(activation: RealActivation, v: Reals) -> Reals:
    """Return the activation of reals, in doubles."""
    match activation:
        case Linear():
            return v
        case ReLU(maximum):
            return np.clip(v, 0.0, None if maximum is None else float(maximum))
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
        case Softplus():
            return np.vectorize(_softplus, otypes=[np.float64])(v)
        case Exp():
            return np.exp(v)
        case Softmax():
            powers = np.exp(v - v.max(axis=-1, keepdims=True))
            return powers / powers.sum(axis=-1, keepdims=True)
        case _:
            assert_never(activation)


def _sigmoid(v: float) -> float:
    return 1.0 / (1.0 + exp(-v)) if v >= 0 else exp(v) / (1.0 + exp(v))


def _softplus(v: float) -> float:
    return max(v, 0.0) + log1p(exp(-abs(v)))
