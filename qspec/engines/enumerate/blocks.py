"""A box cut into blocks of equal shape, so that its points are cheap to list in lexicographic order (the last element runs fastest)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.attack.flat_inputs import FlatBox


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """The points `lower + inner[row] + block // stride % radix * step` that are not above `upper`.

    `inner`, shape (rows, size), lists what the last elements run through; `stride`, `radix` and `step`, shape (size,), decode what a
    block adds to the earlier ones, in mixed radix. An element whose values would not fit a block is divided between the two. Only the
    first `used` rows count.
    """

    box: FlatBox
    inner: IntArray
    stride: IntArray
    radix: IntArray
    step: IntArray
    used: int
    count: int

    def point(self, block: int, rows: IntArray | int) -> tuple[IntArray, IntArray]:
        """Return the points in some rows of a block, and whether they lie in the box."""
        points = self.box.lower + self.inner[rows] + block // self.stride % self.radix * self.step
        return points, np.all(points <= self.box.upper, axis=-1)


def blocks(box: FlatBox, rows: int) -> Blocks:
    """Cut a box of at most `2**62` points into blocks of `rows` rows, at least half of them used; errors are those of `device_dtype`."""
    radices = [int(u) - int(lo) + 1 for lo, u in zip(box.lower, box.upper, strict=True)]
    within, radix, step, stride = ([1] * box.size for _ in range(4))
    used, count = 1, 1
    for k in reversed(range(box.size)):
        within[k] = min(radices[k], rows // used if count == 1 else 1)
        radix[k], step[k], stride[k] = -(-radices[k] // within[k]), within[k], count
        used, count = used * within[k], count * radix[k]
    inner = np.zeros((rows, box.size), dtype=box.device_dtype())
    index = np.arange(rows)
    for k in reversed(range(box.size)):
        index, inner[:, k] = np.divmod(index, within[k])
    return Blocks(box, inner, np.array(stride), np.array(radix), np.array(step), used, count)
