"""How far a formula is from being true, in JAX: on exact values, at least zero exactly where it is true.

An element asks for `v >= 0` and scores `v` in units of its node's width. A conjunction scores its worst member, plus the mean of what all
members lack, so that each of them is pulled; a disjunction scores its best member, or the one that a restart was told to aim at.
Source of the idea: quantitative semantics of temporal logic, Fainekos and Pappas 2009.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import assert_never

import jax
import jax.numpy as jnp
import numpy as np

from qspec.attack.aims import FREE
from qspec.evaluate import device
from qspec.ir.integer import All, And, Any, Formula, Or, Truth


def truth(formula: Formula, values: Sequence[jax.Array]) -> jax.Array:
    """Return the truth of a formula for each member of a batch, shape (batch,), from integer values of shape (batch, size)."""
    match formula:
        case Truth(value):
            return device.full((values[0].shape[0] if values else 1,), value, np.bool_)
        case All(node):
            return jnp.all(values[node] >= 0, axis=-1)
        case Any(node):
            return jnp.any(values[node] >= 0, axis=-1)
        case And(children):
            return reduce(jnp.logical_and, (truth(c, values) for c in children), device.full((), True, np.bool_))
        case Or(children):
            return reduce(jnp.logical_or, (truth(c, values) for c in children), device.full((), False, np.bool_))
        case _:
            assert_never(formula)


def score(formula: Formula, values: Sequence[jax.Array], scales: Sequence[jax.Array], aims: jax.Array) -> jax.Array:
    """Return the score of each member of a batch, shape (batch,).

    `values` are floats of shape (batch, size), `scales` has one factor per node, and `aims` has shape (batch, disjunctions): for each `Any`
    and `Or`, in the order of `disjunctions`, the member to aim at, or `FREE`.
    """
    return _score(formula, values, scales, iter(range(aims.shape[1])), aims)


def _score(formula: Formula, values: Sequence[jax.Array], scales: Sequence[jax.Array], column: Iterator[int], aims: jax.Array) -> jax.Array:
    match formula:
        case Truth(value):
            return device.full((aims.shape[0],), 1.0 if value else -1.0, np.float32)
        case All(node):
            return _worst(values[node] * scales[node])
        case Any(node):
            return _aimed(values[node] * scales[node], aims[:, next(column)])
        case And(children):
            return _worst(_side_by_side([_score(c, values, scales, column, aims) for c in children], aims))
        case Or(children):
            own = aims[:, next(column)]
            return _aimed(_side_by_side([_score(c, values, scales, column, aims) for c in children], aims), own)
        case _:
            assert_never(formula)


def _side_by_side(parts: list[jax.Array], aims: jax.Array) -> jax.Array:
    return jnp.stack(parts, axis=-1) if parts else device.full((aims.shape[0], 0), 0, np.float32)


def _worst(parts: jax.Array) -> jax.Array:
    if parts.shape[-1] == 0:
        return device.full(parts.shape[:1], 1, parts.dtype)
    return parts.min(axis=-1) + jnp.minimum(parts, 0).mean(axis=-1)


def _aimed(parts: jax.Array, aim: jax.Array) -> jax.Array:
    if parts.shape[-1] == 0:
        return device.full(parts.shape[:1], -1, parts.dtype)
    picked = jnp.take_along_axis(parts, jnp.maximum(aim, 0)[:, None], axis=-1)[:, 0]
    return jnp.where(aim == FREE, parts.max(axis=-1), picked)
