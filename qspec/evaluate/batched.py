"""Large batches through a program on all devices: cut into a few sizes, so that little is compiled, and shared out row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.evaluate import device, sharding
from qspec.evaluate.jax import DeviceProgram, checked_input, compile_program, run_plan
from qspec.ir.integer import Assignment, Program

SMALL, LARGE = 16, 256
"""Rows of a batch for each device: the last one of many is small if that suffices."""


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """A program on all devices: call it with an assignment, inputs of shape (batch, size)."""

    compiled: DeviceProgram
    parameters: tuple[tuple[jax.Array, ...], ...]

    def __call__(self, assignment: Assignment) -> list[IntArray]:
        """Return the chosen nodes, int64 of shape (batch, size); errors are those of a call of `DeviceProgram`."""
        rows = [checked_input(node, assignment) for node in self.compiled.planned.inputs]
        count = len(rows[0])
        parts: list[list[IntArray]] = []
        for first, size in batches(count):
            chunk = [filled(x[first : first + size], size) for x in rows]
            with device.wide():
                values = run_plan(self.compiled.planned.plan, self.parameters, sharding.rows(*chunk))
            parts.append([np.broadcast_to(np.asarray(v).astype(np.int64), (size, v.shape[1])) for v in values])
        return [np.concatenate([np.zeros((0, n), np.int64), *(p[k] for p in parts)])[:count] for k, n in enumerate(self._sizes)]

    @property
    def _sizes(self) -> tuple[int, ...]:
        return self.compiled.planned.sizes


def spread(program: Program, nodes: Sequence[int]) -> Spread:
    """Prepare some nodes of a program for large batches; raises UnsupportedError as `compile_program` does."""
    compiled = compile_program(program, nodes)
    with device.wide():
        return Spread(compiled, sharding.place(compiled.parameters, sharding.WHOLE))


def batches(count: int) -> list[tuple[int, int]]:
    """Return where batches of so many rows begin, and how large they are: of two sizes, the last one perhaps larger than what is left."""
    small, large = SMALL * sharding.devices(), LARGE * sharding.devices()
    found: list[tuple[int, int]] = []
    at = 0
    while at < count:
        size = small if count - at <= small else large
        found.append((at, size))
        at += size
    return found


def filled(rows: IntArray, size: int) -> IntArray:
    """Return so many rows, the last one repeated."""
    return rows if len(rows) == size else np.concatenate([rows, np.repeat(rows[-1:], size - len(rows), axis=0)])
