"""Evaluation on CPU or GPU through JAX, bit for bit equal to the reference.

`compile_program` proves bounds, chooses arithmetic from them and returns a `DeviceProgram`, whose code is shared by every program of the
same structure. 64-bit types are switched on inside these calls only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from qspec.arithmetic.integers import IntArray, integers
from qspec.errors import ShapeError, SpecError
from qspec.evaluate import device
from qspec.evaluate.choose_kernels import Planned, make_plan
from qspec.evaluate.jax_kernels import Arrays, execute
from qspec.evaluate.kernels import InputKernel, KernelPlan
from qspec.evaluate.staircases import storage
from qspec.ir.integer import Assignment, Input, Program

HostArray = npt.NDArray[Any]

DEVICE_DTYPES = ("int8", "uint8", "int16", "int32", "int64")
CHUNK_ELEMENTS = 2**26
"""Elements of all steps together that one call on the device may hold."""


@device.compiled
def run_plan(plan: KernelPlan, parameters: Sequence[Arrays], inputs: Arrays) -> tuple[jax.Array, ...]:
    """Return the outputs of a plan for inputs (batch, size) that are in bounds and on the device, wherever on it they are."""
    return execute(plan, parameters, inputs)


@device.compiled
def _load(plan: KernelPlan, parameters: Sequence[Arrays], inputs: Arrays) -> tuple[jax.Array, ...]:
    reads = [k for k, step in enumerate(plan.steps) if isinstance(step.kernel, InputKernel)]
    return execute(KernelPlan(tuple(plan.steps[k] for k in reads), tuple(range(len(reads)))), [parameters[k] for k in reads], inputs)


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """Checked inputs on the device; they belong to the program that loaded them."""

    arrays: tuple[jax.Array, ...]


@dataclass(frozen=True, slots=True, eq=False)
class DeviceProgram:
    """A program on the device: call it with an assignment, or `load` inputs once and `run` it on them."""

    planned: Planned
    parameters: tuple[tuple[jax.Array, ...], ...]
    resident: KernelPlan
    """The plan for inputs that have been loaded."""

    def __call__(self, assignment: Assignment) -> list[IntArray]:
        """Return the chosen nodes, int64 of shape (..., size), for inputs of shape (..., size).

        Large batches are cut into chunks. Raises ShapeError on a missing or misshapen input, SpecError on a value outside its bounds, for
        which nothing is proved.
        """
        given = [checked_input(node, assignment) for node in self.planned.inputs]
        batch = np.broadcast_shapes(*(x.shape[:-1] for x in given))
        rows = [np.broadcast_to(x, (*batch, x.shape[-1])).reshape(-1, x.shape[-1]) for x in given]
        count = int(np.prod(batch, dtype=np.int64))
        chunk = max(1, min(count, CHUNK_ELEMENTS // max(1, self.planned.width)))
        parts = [self._chunk([x[start : start + chunk] for x in rows], chunk) for start in range(0, count, chunk)]
        empty = [np.zeros((0, n), np.int64) for n in self.planned.sizes]
        joined = [np.concatenate([none, *(p[k] for p in parts)])[:count] for k, none in enumerate(empty)]
        return [y.reshape(*batch, y.shape[1]) for y in joined]

    def load(self, assignment: Assignment) -> Loaded:
        """Check inputs of shape (batch, size) and copy them to the device, as the first layer reads them; errors are as for a call."""
        arrays = [checked_input(node, assignment) for node in self.planned.inputs]
        with device.wide():
            return Loaded(_load(self.planned.plan, self.parameters, device.to_device(arrays)))

    def run(self, loaded: Loaded) -> tuple[jax.Array, ...]:
        """Return the chosen nodes for loaded inputs, on the device and in one call: shape (batch, size), or (1, size) for constants."""
        with device.wide():
            return run_plan(self.resident, self.parameters, loaded.arrays)

    def _chunk(self, rows: list[HostArray], count: int) -> list[IntArray]:
        """Compute up to `count` rows; fewer are filled up with the last one, so that all chunks have one shape."""
        full = [x if len(x) == count else np.concatenate([x, np.repeat(x[-1:], count - len(x), axis=0)]) for x in rows]
        with device.wide():
            outputs = run_plan(self.planned.plan, self.parameters, device.to_device(full))
        return [np.broadcast_to(np.asarray(y).astype(np.int64), (count, y.shape[1])) for y in outputs]


def compile_program(program: Program, nodes: Sequence[int] | None = None) -> DeviceProgram:
    """Prepare some nodes of a program, by position (default: all), for evaluation on the device.

    Raises UnsupportedError, naming the node, where values or partial results might exceed 64 bits and no other way is exact.
    """
    planned = make_plan(program, tuple(range(len(program)) if nodes is None else nodes))
    with device.wide():
        return DeviceProgram(planned, device.all_to_device(planned.parameters), planned.plan.loaded())


def trace(program: Program, assignment: Assignment) -> list[IntArray]:
    """Return the value of every node, shape (..., size), computed on the device; errors are those of `compile_program` and of the call."""
    return compile_program(program)(assignment)


def checked_input(node: Input, assignment: Assignment) -> HostArray:
    """Return an input in a dtype that the device has, after its shape and range have been checked."""
    if node.name not in assignment or assignment[node.name].shape[-1:] != node.lower.shape:
        given = assignment[node.name].shape if node.name in assignment else "nothing"
        raise ShapeError(f"no value for input {node.name!r}", given=given, expected=f"(..., {node.lower.size})")
    x = np.asarray(assignment[node.name])
    x = x if x.dtype.name in DEVICE_DTYPES else integers(x)
    if x.size and not _covers(node, x.dtype):
        outside = (x < node.lower) | (x > node.upper)
        if np.any(outside):
            where = tuple(int(k) for k in np.argwhere(outside)[0])
            low, high = node.lower[where[-1]], node.upper[where[-1]]
            raise SpecError(f"input {node.name!r} is outside its bounds at {list(where)}", given=int(x[where]), expected=f"{low}..{high}")
    return x.astype(storage(int(node.lower.min(initial=0)), int(node.upper.max(initial=0)))) if x.dtype.itemsize == 8 else x


def _covers(node: Input, dtype: np.dtype[Any]) -> bool:
    """Return whether every value of a dtype lies within the bounds of an input."""
    return dtype.kind != "O" and bool(np.all(node.lower <= np.iinfo(dtype).min) and np.all(node.upper >= np.iinfo(dtype).max))
