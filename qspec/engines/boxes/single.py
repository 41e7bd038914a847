"""One box of a query by itself: what its first domain proves, with inner bounds tightened, and else a short attack."""

from __future__ import annotations

from qspec.arithmetic.integers import IntArray
from qspec.attack.falsify import Falsification
from qspec.deadline import Deadline
from qspec.engines.dual.branch_and_bound import prove
from qspec.engines.dual.options import EngineOptions
from qspec.errors import UnsupportedError
from qspec.ir.integer import Query

ATTACK = 2**28
"""Multiplications of the attack: some tenths of a second."""


def closes(query: Query, deadline: Deadline) -> bool:
    """Return whether integers prove, before anything is cut, that no assignment within the bounds makes the goal true."""
    try:
        return prove(query, deadline, EngineOptions(leave=1)).proof is not None
    except UnsupportedError:  # values of 2**62 and more
        return False


def attacked(query: Query, seed: int, deadline: Deadline) -> IntArray | None:
    """Return an assignment of the one input that makes the goal true, if a short search in numpy finds one."""
    found = Falsification(query, seed, deadline).simply(ATTACK)
    return None if found is None else next(iter(found.values()))
