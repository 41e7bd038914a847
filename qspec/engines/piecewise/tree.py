"""The tree of a proof while it grows: nodes, and the multipliers that closed its leaves."""

from __future__ import annotations

import numpy as np

from qspec.engines.outward import Floats
from qspec.ir.real_proof import CLOSE, RealProof


class Tree:
    """One node for each case at first; all are open."""

    def __init__(self, cases: int) -> None:
        self.cases = cases
        self.nodes: list[tuple[int, int, int, int]] = [(-1, 0, 0, 0)] * cases
        self.leaves: list[tuple[Floats, Floats, Floats]] = []

    def close(self, node: int, slopes: Floats, shifts: Floats, weights: Floats) -> None:
        """Make a node a leaf with its multipliers."""
        self.nodes[node] = (CLOSE, len(self.leaves), 0, 0)
        self.leaves.append((slopes.copy(), shifts.copy(), weights.copy()))

    def split(self, node: int, kind: int, place: int) -> tuple[int, int]:
        """Split a node, and return its children, which are open."""
        below = len(self.nodes)
        self.nodes[node] = (kind, place, below, below + 1)
        self.nodes += [(-1, 0, 0, 0)] * 2
        return below, below + 1

    def proof(self, low: Floats, high: Floats, facts: int) -> RealProof:
        """Return the proof that a tree without open nodes is."""
        shape = (len(self.leaves), -1) if self.leaves else (0, low.size)
        slopes, shifts = (np.array([leaf[i] for leaf in self.leaves]).reshape(shape) for i in range(2))
        weights = np.array([leaf[2] for leaf in self.leaves]).reshape(len(self.leaves), facts)
        tree = np.array(self.nodes, dtype=np.int64).reshape(-1, 4)
        return RealProof(low, high, tree, np.arange(self.cases), slopes, shifts, weights)
