"""A part of the input space, as the checker of a proof keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qspec.arithmetic.integers import IntArray
from qspec.certificate.forward import Pair
from qspec.ir.integer import Any, Formula, Or

Element = tuple[int, int]
"""A node, and an element of it."""


@dataclass(slots=True)
class ProofDomain:
    """A part of the input space. Arrays and pairs are shared between domains, and replaced, never changed."""

    bounds: list[Pair]
    seen: list[Sequence[object]]
    """What the bounds of each node were last propagated from, to see that nothing has changed since."""
    facts: dict[int, IntArray]
    pending: tuple[Any | Or, ...] = ()
    cuts: tuple[Element, ...] = ()
    empty: bool = False
    waiting: Formula | Element | None = None
    """What is to be asserted when the domain comes to be on top: a formula, or one element of a node."""

    def child(self, waiting: Formula | Element | None = None) -> ProofDomain:
        return ProofDomain(list(self.bounds), list(self.seen), dict(self.facts), self.pending, self.cuts, self.empty, waiting)
