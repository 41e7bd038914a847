"""The inputs of a query side by side, as one vector of free integers."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from qspec.arithmetic.integers import SAFE, IntArray, magnitude, shrink
from qspec.errors import UnsupportedError
from qspec.ir.integer import Query


@dataclass(frozen=True, slots=True, eq=False)
class FlatBox:
    """All assignments of a query: `lower <= x <= upper` for the elements of every input in the order of the program."""

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    lower: IntArray
    upper: IntArray

    @classmethod
    def of(cls, query: Query) -> FlatBox:
        inputs = query.inputs.values()
        lower, upper = (
            shrink(np.concatenate([np.zeros(0, dtype=object), *(end.astype(object) for end in ends)]))
            for ends in ([n.lower for n in inputs], [n.upper for n in inputs])
        )
        return cls(tuple(query.inputs), tuple(n.lower.size for n in inputs), lower, upper)

    @property
    def size(self) -> int:
        return self.lower.size

    @property
    def points(self) -> int:
        """The number of assignments; 0 if an element has none."""
        return prod(max(0, int(u) - int(lo) + 1) for lo, u in zip(self.lower, self.upper, strict=True))

    def device_dtype(self) -> np.dtype[np.int32] | np.dtype[np.int64]:
        """Return the integers that hold all points and some room beside; raises UnsupportedError from `2**62` on."""
        furthest = max(magnitude(self.lower), magnitude(self.upper))
        if furthest >= SAFE:
            raise UnsupportedError("an input exceeds 64-bit integers on the device", given=furthest, expected="bounds below 2**62")
        return np.dtype(np.int32) if furthest < 2**30 else np.dtype(np.int64)

    def split(self, points: IntArray) -> dict[str, IntArray]:
        """Return points of shape (..., size) as an assignment."""
        ends = np.cumsum(self.sizes, dtype=np.int64)[:-1]
        return dict(zip(self.names, np.split(points, ends, axis=-1), strict=True)) if self.names else {}

    def place(self, name: str) -> tuple[int, int]:
        """Return where the elements of an input begin and end."""
        start = sum(self.sizes[: self.names.index(name)])
        return start, start + self.sizes[self.names.index(name)]

    def listed(self, first: int, count: int) -> IntArray:
        """Return `count` points from number `first` on, shape (count, size), in lexicographic order (the last element runs fastest)."""
        return self.numbered(np.arange(first, first + count) if first + count < 2**62 else np.arange(count).astype(object) + first)

    def numbered(self, index: IntArray) -> IntArray:
        """Return the points with these numbers in lexicographic order, shape (count, size)."""
        points = np.zeros((len(index), self.size), dtype=index.dtype if self.lower.dtype != object else object)
        for k in reversed(range(self.size)):
            radix = int(self.upper[k]) - int(self.lower[k]) + 1
            index, points[:, k] = index // radix, index % radix
        return self.lower + points

    def number(self, point: IntArray) -> int:
        """Return the place of a point in lexicographic order; the inverse of `listed`."""
        result = 0
        for x, lower, upper in zip(point, self.lower, self.upper, strict=True):
            result = result * (int(upper) - int(lower) + 1) + int(x) - int(lower)
        return result
