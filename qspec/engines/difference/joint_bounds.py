"""What is known of the sums of one layer in a part of the input space: of both networks, and of their difference."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.engines.outward import TINY, UNIT, Floats

NARROW = 16 * UNIT
"""By how much, relatively, a bound that is computed from others is moved outward."""


class Region(NamedTuple):
    """`low <= a <= high` of quantised sums (integers), real sums, and `scale * quantised - real`; all (parts, elements)."""

    fixed_low: Floats
    fixed_high: Floats
    real_low: Floats
    real_high: Floats
    apart_low: Floats
    apart_high: Floats

    def take(self, index: IntArray) -> Region:
        """Return some of the elements."""
        return Region(*(v[:, index] for v in self))

    def put(self, index: IntArray, part: Region) -> Region:
        """Return the region with some elements replaced."""
        copies = [v.copy() for v in self]
        for copy, new in zip(copies, part, strict=True):
            copy[:, index] = new
        return Region(*copies)

    @property
    def empty(self) -> bool:
        """Whether some part has no point."""
        gaps = (self.fixed_low > self.fixed_high) | (self.real_low > self.real_high) | (self.apart_low > self.apart_high)
        return bool(gaps.any())


def consistent(region: Region, scale: Floats) -> Region:
    """Return a region narrowed by what its bounds say of each other; quantised sums stay integers."""
    f0, f1, r0, r1, d0, d1 = region
    low, high = _out(scale * f0, -1), _out(scale * f1, 1)
    r0, r1 = np.maximum(r0, _out(low - d1, -1)), np.minimum(r1, _out(high - d0, 1))
    d0, d1 = np.maximum(d0, _out(low - r1, -1)), np.minimum(d1, _out(high - r0, 1))
    f0 = np.maximum(f0, np.ceil(_out(_out(r0 + d0, -1) / scale, -1)))
    f1 = np.minimum(f1, np.floor(_out(_out(r1 + d1, 1) / scale, 1)))
    return Region(f0, f1, r0, r1, d0, d1)


def join(scale: Floats, bounds: list[tuple[Floats, Floats]]) -> Region:
    """Return the region of intervals of the quantised sums, the real ones, and their differences."""
    (f0, f1), (r0, r1), (d0, d1) = bounds
    return consistent(Region(np.ceil(f0), np.floor(f1), r0, r1, d0, d1), scale)


def _out(x: Floats, side: int) -> Floats:
    """Move numbers that one operation gave outward."""
    return x + side * (np.abs(x) * NARROW + TINY)
