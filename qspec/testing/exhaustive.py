"""The verdict by enumeration: every value of every variable, judged by the interpreter: no compiler, no query, no solver."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product
from math import comb, prod
from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.errors import SpecError
from qspec.language.domains import AtMost, OneHot, Piece, Range, VariableDomain
from qspec.language.interpret import Interpreter
from qspec.language.property import Property
from qspec.verify.result import Verdict

LIMIT = 1 << 17
"""Most points that are enumerated."""


@dataclass(frozen=True, slots=True)
class Census:
    """How many values of the variables there are, how many meet the assumption, and which of those refute (or witness) the property.

    Each solution is the codes of all variables, one after the other.
    """

    points: int
    assumed: int
    solutions: frozenset[tuple[int, ...]]
    verdict: Verdict

    @property
    def vacuous(self) -> bool:
        return self.assumed == 0


def census(spec: Property) -> Census:
    """Return the verdict on a property without parameters, by enumeration; raises SpecError if there are more than `LIMIT` points."""
    total = prod(_count(piece) for v in spec.variables for piece in v.domain.pieces)
    if total > LIMIT:
        raise SpecError("too many points to enumerate", given=total, expected=f"at most {LIMIT}")
    assumed = 0
    solutions: set[tuple[int, ...]] = set()
    for point in product(*(members(v.domain) for v in spec.variables)):
        run = Interpreter({v.name: codes.reshape(v.shape) for v, codes in zip(spec.variables, point, strict=True)})
        if run.truth(spec.given):
            assumed += 1
            if run.truth(spec.then) is (spec.kind == "exists"):
                solutions.add(tuple(int(c) for codes in point for c in codes))
    found = Verdict.VIOLATED if spec.kind == "forall" else Verdict.HOLDS
    absent = Verdict.HOLDS if spec.kind == "forall" else Verdict.VIOLATED
    return Census(total, assumed, frozenset(solutions), found if solutions else absent)


def members(domain: VariableDomain) -> Iterator[IntArray]:
    """Yield every code vector of a domain, each once."""
    for parts in product(*(list(_members(piece)) for piece in domain.pieces)):
        codes: IntArray = np.zeros(domain.size, dtype=object)
        for piece, part in zip(domain.pieces, parts, strict=True):
            codes[piece.positions] = part
        yield codes


def _count(piece: Piece) -> int:
    match piece:
        case Range(_, _, _, count):
            return prod(int(c) + 1 for c in count)
        case OneHot(_, positions, _, _):
            return positions.size
        case AtMost(_, positions, count):
            return sum(comb(positions.size, k) for k in range(min(count, positions.size) + 1))
        case _:
            assert_never(piece)


def _members(piece: Piece) -> Iterator[list[int]]:
    match piece:
        case Range(_, start, stride, count):
            for steps in product(*(range(int(c) + 1) for c in count)):
                yield [int(s) + int(d) * k for s, d, k in zip(start, stride, steps, strict=True)]
        case OneHot(_, positions, off, on):
            for hot in range(positions.size):
                yield [int(on[k] if k == hot else off[k]) for k in range(positions.size)]
        case AtMost(_, positions, count):
            for size in range(min(count, positions.size) + 1):
                for chosen in combinations(range(positions.size), size):
                    yield [int(k in chosen) for k in range(positions.size)]
        case _:
            assert_never(piece)
