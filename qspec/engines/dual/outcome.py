"""What a search ended with."""

from __future__ import annotations

from dataclasses import dataclass

from qspec.arithmetic.integers import IntArray
from qspec.engines.dual.proof_tree import ProofArrays
from qspec.solver import Rung


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a search ended with: a solution, or the arrays of a proof, or neither; domains visited, closed and still open."""

    solution: dict[str, IntArray] | None
    proof: ProofArrays | None
    visited: int
    leaves: int
    open: int
    partial: ProofArrays | None = None
    """If open domains are left to others: a proof that assumes each of them, those nearest to being closed first."""
    ended: str = ""
    """Why it ended before the time was over, if it did."""
    trace: tuple[Rung, ...] = ()
    """What was tried, in order."""

    @property
    def decided(self) -> bool:
        """Whether the search ended with a solution or a proof."""
        return self.solution is not None or self.proof is not None
