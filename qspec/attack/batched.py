"""One attack on many boxes at once: projected gradient through the relaxed program, every point evaluated exactly.

Rows are boxes of one query, each with an aim of its own; the attack of `gradient.py` is on one box, and stops at the first solution.
Source: Madry et al. 2018, with momentum as in Dong et al. 2018.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.attack.compiled import Attack
from qspec.attack.gradient import FIRST_STEP, MOMENTUM, ClimbArrays, Target, gradient_of, judged
from qspec.bounds.interval import bound
from qspec.deadline import NEVER, Deadline
from qspec.evaluate import device, sharding
from qspec.evaluate.batched import batches, filled
from qspec.ir.integer import Query

STEPS = 20
"""Gradient steps from each start, as in the paper."""


class Ascent(NamedTuple):
    """Searches under way: where each is, which have met a solution, and the first one that each met."""

    points: jax.Array
    momentum: jax.Array
    found: jax.Array
    witness: jax.Array


@device.compiled
def projected_gradient(target: Target, arrays: ClimbArrays, points: jax.Array, aims: jax.Array, total: jax.Array) -> Ascent:
    """Take `total` gradient steps from points (batch, size), within the boxes of `arrays`, of the same shape."""

    def one(number: jax.Array, r: Ascent) -> Ascent:
        gradient = gradient_of(target, arrays, r.points, aims)
        momentum = MOMENTUM * r.momentum + gradient / (jnp.abs(gradient).mean(axis=-1, keepdims=True) + 1e-12)
        share = FIRST_STEP * (1 - number.astype(jnp.float32) / total)
        length = jnp.maximum(1, jnp.round(share * (arrays.upper - arrays.lower))).astype(r.points.dtype)
        points = jnp.clip(r.points + jnp.sign(momentum).astype(r.points.dtype) * length, arrays.lower, arrays.upper)
        holds = judged(target, arrays, points, aims)[1]
        witness = jnp.where((holds & ~r.found)[:, None], points, r.witness)
        return Ascent(points, momentum, r.found | holds, witness)

    start = Ascent(points, device.full(points.shape, 0, np.float32), judged(target, arrays, points, aims)[1], points)
    return device.repeat_between(device.number(0), total, one, start)


class BatchedAttack:
    """Attacks boxes of one query, whose program and goal are read once; its goal has one disjunction."""

    def __init__(self, query: Query) -> None:
        self.attack = Attack.prepare(query, bound(query.program))

    def __call__(
        self, lower: IntArray, upper: IntArray, starts: IntArray, aims: IntArray, steps: int = STEPS, deadline: Deadline = NEVER
    ) -> tuple[IntArray, IntArray]:
        """Return which searches met a solution, and a point of each, for boxes and starts (batch, size) and aims (batch,).

        The deadline is looked at between batches; raises OutOfTime.
        An aim is a member of the disjunction. Solutions are by the arithmetic of the device: the caller replays them.
        """
        found: list[IntArray] = [np.zeros(0, np.bool_)]
        points: list[IntArray] = [np.zeros((0, lower.shape[1]), np.int64)]
        dtype = self.attack.box.device_dtype()
        for first, size in batches(len(lower)):
            deadline.check()
            rows = slice(first, first + size)
            given = tuple(filled(a[rows].astype(dtype), size) for a in (lower, upper, starts))
            aim = filled(aims[rows].astype(np.int32)[:, None], size)
            with device.wide():
                low, high, at, toward = sharding.rows(*given, aim)
                arrays = self.attack.arrays._replace(lower=low, upper=high)
                done = projected_gradient(self.attack.target, arrays, at, toward, device.number(steps))
            count = len(lower[rows])
            found.append(np.asarray(done.found)[:count])
            points.append(np.asarray(done.witness)[:count].astype(np.int64))
        return np.concatenate(found), np.concatenate(points)
