"""All points of a box on the device, block by block.

A block is a table of the offsets that the last elements run through; what the earlier ones add is decoded from the number of the block in
mixed radix. So each point costs one addition, and its evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from qspec.arithmetic.integers import IntArray
from qspec.attack.flat_inputs import FlatBox
from qspec.attack.margin import truth
from qspec.deadline import NEVER, Deadline
from qspec.engines.enumerate.blocks import Blocks, blocks
from qspec.evaluate import device
from qspec.evaluate.choose_kernels import make_plan
from qspec.evaluate.jax_kernels import execute
from qspec.evaluate.kernels import KernelPlan
from qspec.ir.integer import Formula, Query, formula_nodes, with_nodes

CPU_BATCH, BATCH = 2**13, 2**18
"""Points per block, by default: what fits the cache of a processor, and what keeps an accelerator busy."""
BLOCK_ELEMENTS = 2**24
"""Elements of all steps together that one block may hold."""
LEAST, COPIES = 64, 2
"""Points per block at least, and how many times over the compiler may hold their elements."""


@dataclass(frozen=True, slots=True)
class ScanShape:
    """What shapes the compiled sweep."""

    plan: KernelPlan
    goal: Formula
    slots: tuple[tuple[int, int], ...]


class PointGrid(NamedTuple):
    """The points `lower + inner[row] + block // stride % radix * step`, where not above `upper`; `inner` has one row per row of a block."""

    lower: jax.Array
    upper: jax.Array
    inner: jax.Array
    stride: jax.Array
    radix: jax.Array
    step: jax.Array


class Tally(NamedTuple):
    """The number of solutions, and block and row of the first (-1 if there is none)."""

    solutions: jax.Array
    block: jax.Array
    row: jax.Array


@device.compiled
def _sweep(
    shape: ScanShape, parameters: Sequence[Sequence[jax.Array]], grid: PointGrid, rows: jax.Array, begin: jax.Array, end: jax.Array
) -> Tally:
    """Count the solutions in blocks `begin` to `end - 1`, among the rows that a boolean mask chooses."""

    def one(block: jax.Array, tally: Tally) -> Tally:
        reached = grid.lower + grid.inner + (block // grid.stride % grid.radix * grid.step).astype(grid.inner.dtype)
        points = jnp.minimum(reached, grid.upper)
        values = execute(shape.plan, parameters, [points[:, first:last] for first, last in shape.slots])
        solved = truth(shape.goal, values) & rows & jnp.all(reached == points, axis=-1)
        count = solved.sum(dtype=jnp.int64)
        fresh = (tally.block < 0) & (count > 0)
        row = jnp.argmax(solved).astype(jnp.int64)
        return Tally(tally.solutions + count, jnp.where(fresh, block, tally.block), jnp.where(fresh, row, tally.row))

    return device.repeat_between(begin, end, one, Tally(jnp.int64(0), jnp.int64(-1), jnp.int64(-1)))


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """A query made ready to be evaluated at all its points."""

    blocks: Blocks
    shape: ScanShape
    parameters: Sequence[Sequence[jax.Array]]
    grid: PointGrid

    @classmethod
    def prepare(cls, query: Query, box: FlatBox, batch: int | None = None, deadline: Deadline = NEVER) -> Scan:
        """Plan the evaluation and cut the box into blocks; raises UnsupportedError where that does not fit 64 bits, and OutOfMemory."""
        nodes = tuple(sorted(formula_nodes(query.goal)))
        planned = make_plan(query.program, nodes)
        slots = tuple(box.place(node.name) for node in planned.inputs)
        shape = ScanShape(planned.plan, with_nodes(query.goal, {n: k for k, n in enumerate(nodes)}), slots)
        each = planned.width + 3 * box.size + 1
        room = min(BLOCK_ELEMENTS // each, LEAST * deadline.portion(COPIES * LEAST * 8 * each, BLOCK_ELEMENTS))
        wanted = batch or (CPU_BATCH if jax.default_backend() == "cpu" else BATCH)
        cut = blocks(box, max(LEAST, min(wanted, room, 1 << (box.points - 1).bit_length())))
        ends = [end.astype(cut.inner.dtype) for end in (box.lower, box.upper)]
        with device.wide():
            grid = PointGrid(*device.to_device([*ends, cut.inner, cut.stride, cut.radix, cut.step]))
            return cls(cut, shape, device.all_to_device(planned.parameters), grid)

    def count(self, begin: int, end: int, rows: npt.NDArray[np.bool_] | None = None) -> tuple[int, IntArray | None]:
        """Return how many points of blocks `begin` to `end - 1` (in some rows of each) make the goal true, and the first."""
        used = np.arange(len(self.blocks.inner)) < self.blocks.used
        with device.wide():
            limits = device.to_device([used if rows is None else used & rows, np.array(begin, np.int64), np.array(end, np.int64)])
            tally = _sweep(self.shape, self.parameters, self.grid, *limits)
        count, block, row = int(tally.solutions), int(tally.block), int(tally.row)
        return count, None if count == 0 else self.blocks.point(block, row)[0]
