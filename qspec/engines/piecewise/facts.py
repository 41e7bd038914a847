"""The cases of a goal in arrays: which elements of which nodes have to be at least zero together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qspec.engines.delta.atoms import Atom, Case
from qspec.engines.outward import Floats

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """Cases of facts: node and element of each (cases, facts), and which are present (1.0) or only fill a row up (0.0)."""

    node: Ints
    element: Ints
    present: Floats
    nodes: tuple[int, ...]
    sizes: tuple[int, ...]

    @property
    def top(self) -> int:
        """The last node that a fact is about."""
        return max(self.nodes)

    def seeds(self, case: Ints, weights: Floats) -> dict[int, Floats]:
        """Return the coefficients of `-sum of weight * fact` (batch, facts), by node."""
        node, element = self.node[case], self.element[case]
        found: dict[int, Floats] = {}
        for n in self.nodes:
            row, slot = np.nonzero(node == n)
            if row.size:
                found[n] = np.zeros((len(case), self.sizes[n]))
                np.subtract.at(found[n], (row, element[row, slot]), (weights * self.present[case])[row, slot])
        return found

    def values(self, case: Ints, values: Sequence[Floats]) -> Floats:
        """Return the facts at points (batch, facts)."""
        node, element = self.node[case], self.element[case]
        found = np.zeros(node.shape)
        for n in self.nodes:
            row, slot = np.nonzero(node == n)
            found[row, slot] = values[n][row, element[row, slot]]
        return found


def facts_of(cases: Sequence[Case], sizes: Sequence[int]) -> Facts:
    """Return the facts of cases that are all conjunctions of atoms."""
    most = max(len(c.atoms) for c in cases)
    filler = cases[0].atoms[0]
    rows: list[list[Atom]] = [[*c.atoms, *[c.atoms[0] if c.atoms else filler] * (most - len(c.atoms))] for c in cases]
    node = np.array([[a.node for a in row] for row in rows], dtype=np.int64)
    element = np.array([[a.element for a in row] for row in rows], dtype=np.int64)
    present = np.array([[1.0] * len(c.atoms) + [0.0] * (most - len(c.atoms)) for c in cases])
    return Facts(node, element, present, tuple(np.unique(node).tolist()), tuple(sizes))
