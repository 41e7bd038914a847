"""Increasing functions of single elements, one after the other: what lies between a sum and the code that becomes of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.ir.integer import Affine, Node, Program, Staircase
from qspec.ir.linear import LinearMap, Sparse
from qspec.ir.staircase import Rescale, Steps, climb, reach


def peeled(program: Program, node: int, until: Collection[int]) -> tuple[list[Node], int]:
    """Return the increasing functions on single elements that end in a node, the first one first, and what they are applied to.

    Of nodes in `until` none is looked behind, but for the first.
    """
    chain: list[Node] = []
    while chain == [] or node not in until:
        top = program[node]
        if isinstance(top, Staircase):
            before = top.argument
        elif isinstance(top, Affine) and len(top.terms) == 1 and growing(top.terms[0][0]):
            before = top.terms[0][1]
        else:
            break
        chain.insert(0, top)
        node = before
    return chain, node


class Chain:
    """An increasing function of single elements: staircases and positive multiples, one after the other."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.parts: list[Rescale | Steps | tuple[IntArray, IntArray]] = []
        for node in nodes:
            if isinstance(node, Staircase):
                self.parts.append(node.steps)
            else:
                assert isinstance(node, Affine)
                (m, _) = node.terms[0]
                assert isinstance(m, Sparse)
                self.parts.append((m.coefficients, node.bias))

    def take(self, rows: slice) -> Chain:
        """Return the functions of some elements."""
        made = Chain(())
        for p in self.parts:
            match p:
                case Rescale(n, o, d, rounding, lower, upper):
                    ends = [None if e is None else e[rows] for e in (lower, upper)]
                    made.parts.append(Rescale(n[rows], o[rows], d[rows], rounding, *ends))
                case Steps(base, thresholds):
                    made.parts.append(Steps(base[rows], thresholds[rows]))
                case factor, bias:
                    made.parts.append((factor[rows], bias[rows]))
        return made

    def __call__(self, x: IntArray) -> IntArray:
        for p in self.parts:
            x = p[0] * x + p[1] if isinstance(p, tuple) else climb(p, x)
        return x

    def reached(self, codes: IntArray) -> IntArray:
        """Return the least arguments of codes (elements, k), each above the lowest and at most the highest that its element takes."""
        for p in reversed(self.parts):
            codes = _before(p, codes)
        return codes


def _before(part: Rescale | Steps | tuple[IntArray, IntArray], codes: IntArray) -> IntArray:
    if isinstance(part, tuple):
        return -((part[1][:, None] - codes) // part[0][:, None])  # the ceiling of (code - bias) / factor
    return reach(part, codes)


def growing(m: LinearMap) -> bool:
    return isinstance(m, Sparse) and m.diagonal and bool(np.all(m.coefficients > 0))
