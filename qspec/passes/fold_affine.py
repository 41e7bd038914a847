"""Compose affine nodes wherever the composition has no more entries than its parts, and remove those that do nothing.

Selections, diagonals, concatenations and constants dissolve into the maps that read them; a convolution stays a convolution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qspec.arithmetic.integers import IntArray, magnitude, shrink, widen
from qspec.ir.integer import Affine, Node, Query, arguments, formula_nodes, with_arguments, with_nodes
from qspec.ir.linear import LinearMap, apply
from qspec.passes.base import Reduced, rewritten
from qspec.passes.maps import NEVER, composed, composed_entries, entries, is_identity, merged

GOAL = -1
Term = tuple[LinearMap, int]


@dataclass(frozen=True, slots=True)
class FoldAffine:
    """Fold constants and compose affine nodes; nodes keep their positions, those that are no longer read are left to `cone`."""

    name: str = "fold"

    def apply(self, query: Query) -> tuple[Reduced, ...]:
        folder = _Folder(query)
        folder.run()
        goal = with_nodes(query.goal, folder.alias)
        if goal == query.goal and all(new is old for new, old in zip(folder.nodes, query.program, strict=True)):
            return rewritten(query)
        return rewritten(Query(tuple(folder.nodes), goal))


@dataclass(frozen=True, slots=True, eq=False)
class _Use:
    """A node (or the goal) that reads another, and through which map if it is affine."""

    position: int
    through: LinearMap | None


class _Folder:
    """The new program, at the old positions; `alias` says where the value of an old node is found."""

    def __init__(self, query: Query) -> None:
        self.old = query.program
        self.nodes: list[Node] = []
        self.alias: list[int] = []
        self._readers = _readers(query)
        self._inlined: set[tuple[int, int]] = set()
        """Pairs (reader, node read) that are to be composed."""

    def run(self) -> None:
        for k, node in enumerate(self.old):
            self.alias.append(k)
            new = self._affine(k, node) if isinstance(node, Affine) else self._moved(node)
            self.nodes.append(new)
            if isinstance(new, Affine) and len(new.terms) == 1 and is_identity(new.terms[0][0]) and not np.any(new.bias):
                self.alias[k] = new.terms[0][1]
            target = self.nodes[self.alias[k]]
            if isinstance(target, Affine):
                self._choose(k, target)

    def _moved(self, node: Node) -> Node:
        same = all(self.alias[a] == a for a in arguments(node))
        return node if same else with_arguments(node, self.alias)

    def _choose(self, k: int, node: Affine) -> None:
        """Decide which readers of old node `k` take in `node`, its value: those that do not grow, and all if then it can go."""
        kept: list[tuple[_Use, int, int]] = []
        must_stay = self.alias[k] != k
        for reader in self._readers[k]:
            if reader.through is None:
                must_stay = True
                continue
            before, after = entries(reader.through), _size_after(reader.through, node)
            if after <= before:
                self._inlined.add((reader.position, k))
            else:
                kept.append((reader, before, after))
        total = sum(after - before for _, before, after in kept)
        if not must_stay and total <= sum(entries(m) for m, _ in node.terms):
            self._inlined.update((reader.position, k) for reader, _, _ in kept)

    def _affine(self, k: int, node: Affine) -> Affine:
        terms: list[Term] = []
        bias = node.bias
        for m, a in node.terms:
            inner = self.nodes[self.alias[a]]
            if isinstance(inner, Affine) and (k, a) in self._inlined:
                terms += [(composed(m, n), b) for n, b in inner.terms]
                bias = _sum(bias, apply(m, inner.bias))
            else:
                terms.append((m, self.alias[a]))
        terms = _combined(terms)
        same = len(terms) == len(node.terms) and all(m is n and a == b for (m, a), (n, b) in zip(terms, node.terms, strict=True))
        return node if same else Affine(tuple(terms), bias)


def _readers(query: Query) -> list[list[_Use]]:
    readers: list[list[_Use]] = [[] for _ in query.program]
    for k, node in enumerate(query.program):
        if isinstance(node, Affine):
            for m, a in node.terms:
                readers[a].append(_Use(k, m))
        else:
            for a in arguments(node):
                readers[a].append(_Use(k, None))
    for k in formula_nodes(query.goal):
        readers[k].append(_Use(GOAL, None))
    return readers


def _size_after(through: LinearMap, node: Affine) -> int:
    sizes = [composed_entries(through, m) for m, _ in node.terms]
    return NEVER if NEVER in sizes else sum(sizes)


def _combined(terms: list[Term]) -> list[Term]:
    """Add up terms that read the same node, and drop those that are zero."""
    result: list[Term] = []
    for m, a in terms:
        for k, (other, b) in enumerate(result):
            total = merged(other, m) if a == b else None
            if total is not None:
                result[k] = (total, a)
                break
        else:
            result.append((m, a))
    return [(m, a) for m, a in result if entries(m)]


def _sum(a: IntArray, b: IntArray) -> IntArray:
    bound = magnitude(a) + magnitude(b)
    return shrink(widen(a, bound) + widen(b, bound))
