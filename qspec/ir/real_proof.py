"""What a proof that a real query of ReLUs has no solution is made of: bounds of the root, a tree of splits, multipliers of leaves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.integers import IntArray

Floats = npt.NDArray[np.float64]
CLOSE, RELU, INPUT = range(3)
"""Kinds of nodes: a leaf, a split of a ReLU at zero, a split of an input."""


@dataclass(frozen=True, slots=True, eq=False)
class RealProof:
    """A proof about a query whose maxima are written as ReLUs (relus.py); all doubles are meant exactly.

    `low` and `high` (elements,) bound what the ReLUs read on the whole box, in the order of the program. `tree` (nodes, 4) has of every
    node its kind, what is split (a flat element of the ReLUs, or of the inputs) or the number of the leaf, and its two children: where the
    value is at most, and where it is at least, the border. That is zero for a ReLU, and `cuts` (nodes,) for an input. `roots` (cases,) are
    the nodes of the cases of the goal, in order. `claims` (claims, 2) are nodes, and elements of which `ends` (claims, 2) bound what is
    read on the box of the node. `slopes` and `shifts` (leaves, elements) and `weights` (leaves, facts of a case) are the multipliers that
    close a leaf; several nodes may be closed by the same.
    """

    low: Floats
    high: Floats
    tree: IntArray
    cuts: Floats
    roots: IntArray
    claims: IntArray
    ends: Floats
    slopes: Floats
    shifts: Floats
    weights: Floats
