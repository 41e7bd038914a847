"""The tree of a proof while it grows: nodes, and the multipliers that closed its leaves."""

from __future__ import annotations

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.engines.outward import Floats
from qspec.ir.real_proof import CLOSE, RealProof

LARGEST = 1 << 25
"""Numbers that a proof holds at most; a longer one is dropped, and the search goes on without."""


class Tree:
    """One node for each case at first; all are open."""

    def __init__(self, cases: int) -> None:
        self.cases = cases
        self.nodes: list[tuple[int, int, int, int]] = [(-1, 0, 0, 0)] * cases
        self.cuts: list[float] = [0.0] * cases
        self.leaves: list[tuple[Floats, Floats, Floats]] = []
        self.claims: list[tuple[int, IntArray, Floats, Floats]] = []
        self.held = 0

    def leaf(self, slopes: Floats, shifts: Floats, weights: Floats) -> int:
        """Keep multipliers, which may close several nodes, and return their number."""
        if self._holds(2 * slopes.size + weights.size):
            self.leaves.append((slopes.copy(), shifts.copy(), weights.copy()))
        return len(self.leaves) - 1

    def close(self, node: int, leaf: int) -> None:
        """Make a node a leaf with these multipliers."""
        self.nodes[node] = (CLOSE, leaf, 0, 0)

    def split(self, node: int, kind: int, place: int, cut: float) -> tuple[int, int]:
        """Split a node, and return its children, which are open."""
        below = len(self.nodes)
        self.nodes[node], self.cuts[node] = (kind, place, below, below + 1), cut
        self.nodes += [(-1, 0, 0, 0)] * 2
        self.cuts += [0.0] * 2
        return below, below + 1

    def claim(self, node: int, elements: IntArray, low: Floats, high: Floats) -> None:
        """Claim bounds of what some ReLUs read on the box of a node, and on all of its parts."""
        if elements.size and self._holds(4 * elements.size):
            self.claims.append((node, elements, low, high))

    def _holds(self, more: int) -> bool:
        self.held += more
        if self.held > LARGEST:
            self.leaves, self.claims = [], []
        return self.held <= LARGEST

    def proof(self, low: Floats, high: Floats, facts: int) -> RealProof | None:
        """Return the proof that a tree without open nodes is; None if it would be too long."""
        if self.held > LARGEST:
            return None
        shape = (len(self.leaves), -1) if self.leaves else (0, low.size)
        slopes, shifts = (np.array([leaf[i] for leaf in self.leaves]).reshape(shape) for i in range(2))
        weights = np.array([leaf[2] for leaf in self.leaves]).reshape(len(self.leaves), facts)
        tree = np.array(self.nodes, dtype=np.int64).reshape(-1, 4)
        claims = [np.stack([np.full(e.size, node), e], axis=1) for node, e, _, _ in self.claims]
        bounds = [np.stack([a, b], axis=1) for _, _, a, b in self.claims]
        claimed = np.concatenate([np.zeros((0, 2), dtype=np.int64), *claims])
        ends = np.concatenate([np.zeros((0, 2)), *bounds])
        return RealProof(low, high, tree, np.array(self.cuts), np.arange(self.cases), claimed, ends, slopes, shifts, weights)
