"""Where the multipliers of each relaxed node lie in one flat vector.

A relaxed node is one that is neither an input nor affine. It has one multiplier for each element of its argument that it reads: `size` of
a staircase, table or wrap, twice that (left factors, then right ones) of a product, and one for each entry of `groups` of a maximum.
"""

from __future__ import annotations

from dataclasses import dataclass

from qspec.arithmetic.integers import IntArray
from qspec.ir.integer import Affine, Input, Maximum, Node, Product, Program, Staircase, Table, Wrap, sizes

Relaxed = Staircase | Table | Product | Maximum | Wrap


@dataclass(frozen=True, slots=True)
class Layout:
    """The place of each relaxed node: `places[node]` is (first, last + 1); `total` is the length of the vector."""

    places: dict[int, tuple[int, int]]
    total: int

    @classmethod
    def of(cls, program: Program) -> Layout:
        places: dict[int, tuple[int, int]] = {}
        total = 0
        for k, (node, size) in enumerate(zip(program, sizes(program), strict=True)):
            count = multipliers(node, size)
            if count is not None:
                places[k] = (total, total + count)
                total += count
        return cls(places, total)

    def part(self, vector: IntArray, node: int) -> IntArray:
        """Return the multipliers of one node, shape (..., count), from those of all."""
        first, end = self.places[node]
        return vector[..., first:end]


def multipliers(node: Node, size: int) -> int | None:
    """Return how many multipliers a node of this size has, None if it is not relaxed."""
    match node:
        case Input() | Affine():
            return None
        case Staircase() | Table() | Wrap():
            return size
        case Product():
            return 2 * size
        case Maximum(_, groups):
            return groups.size
