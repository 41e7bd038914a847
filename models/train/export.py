"""From trained values to a qspec network, with proof that nothing was rounded on the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import jax.numpy as jnp
import numpy as np
from data import Dataset, Integers
from fit import Recipe
from quantized import RING, STRIDE, Conv, Dense, Parameters, forward, output_shape

import qspec as qs
from qspec.errors import InternalError
from qspec.network.evaluate import evaluate
from qspec.network.layers import Layer

EXACT = 2**24
"""Whole numbers up to here are exact in float32, and so are their sums in any order as long as no partial sum exceeds it."""


def network(recipe: Recipe, values: Parameters, dataset: Dataset) -> qs.Network:
    """Return the integer network that stores these values; raises FormatError if one of them is no code of its format."""
    shape = dataset.train[0].shape[1:]
    layers: list[Layer] = [qs.Input(shape, recipe.format, features=dataset.features)]
    for layer, p in zip(recipe.layers, values, strict=True):
        kernel, bias = tensor(p["kernel"], layer.kernel), tensor(p["bias"], layer.bias)
        activation = qs.ReLU() if layer.output is not None and not layer.output.signed else qs.Linear()
        match layer:
            case Dense():
                if len(shape) > 1:
                    layers.append(qs.Flatten())
                layers.append(qs.Dense(kernel, bias, activation, layer.output))
            case Conv():
                ring = ((RING, RING), (RING, RING))
                layers.append(qs.Conv2D(kernel, bias, (STRIDE, STRIDE), ring, activation=activation, output=layer.output))
            case _:
                assert_never(layer)
        shape = output_shape(layer, shape)
    return qs.Sequential(*layers, name=recipe.name)


def tensor(values: object, fmt: qs.Fixed) -> qs.Tensor:
    """Return values as codes; raises FormatError if one is between two codes."""
    return qs.Tensor(np.asarray(values, dtype=np.float64) * 2.0**fmt.frac, fmt)


def checked_outputs(recipe: Recipe, values: Parameters, net: qs.Network, inputs: Integers) -> Integers:
    """Return the output codes of the integer network, shape (samples, outputs); raises InternalError unless training saw the very same."""
    prove_exact(recipe, values)
    codes = np.asarray(evaluate(net, inputs), dtype=np.int64)
    seen = np.asarray(forward(recipe.layers, values, jnp.asarray(inputs * 2.0**-recipe.format.frac, jnp.float32)), dtype=np.float64)
    unit = float(net.output_types[0].grid.units[0])
    if not np.array_equal(codes * unit, seen):
        raise InternalError(f"{recipe.name}: the integer network differs from the trained one", given=int(np.sum(codes * unit != seen)))
    return codes


def prove_exact(recipe: Recipe, values: Parameters) -> None:
    """Raise InternalError unless every sum of every layer, in units of its last place, stays below 2^24 for all input codes."""
    fmt = recipe.format
    for layer, p in zip(recipe.layers, values, strict=True):
        kernel, bias = np.asarray(p["kernel"], dtype=np.float64), np.asarray(p["bias"], dtype=np.float64)
        weight = np.abs(kernel).reshape(-1, layer.units).sum(axis=0).max()
        largest = weight * max(fmt.upper, -fmt.lower) * 2.0**-fmt.frac + np.abs(bias).max()
        places = max(fmt.frac + layer.kernel.frac, layer.bias.frac, 0 if layer.output is None else layer.output.frac + 1)
        if largest * 2.0**places >= EXACT:
            raise InternalError(f"{recipe.name}: a sum may not be exact in float32", given=largest * 2.0**places, expected=f"below {EXACT}")
        if layer.output is not None:
            fmt = layer.output


def describe(recipe: Recipe, shapes: Sequence[tuple[int, ...]]) -> tuple[str, ...]:
    """Return a line about the input and one about each layer, with shapes of its kernel and its formats."""
    lines = [f"input {recipe.format}"]
    for layer, shape in zip(recipe.layers, shapes, strict=True):
        size = "x".join(map(str, shape))
        kind, output = type(layer).__name__.lower(), layer.output or "raw accumulator"
        lines.append(f"{kind} {size}: kernel {layer.kernel}, bias {layer.bias}, output {output}")
    return tuple(lines)
