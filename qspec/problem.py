"""What theories produce and solvers take: a compiled problem, and how its model reads as an assignment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal

import numpy as np

from qspec.integers import IntArray, shrink
from qspec.ir import Query


class Fidelity(Enum):
    """How the solutions of a problem relate to those of its query."""

    EXACT = "exact"
    """They correspond one to one."""
    OVER = "over-approximation"
    """Every solution of the query is one of the problem; `unsat` is conclusive."""
    UNDER = "under-approximation"
    """Every solution of the problem is one of the query; `sat` is conclusive."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """One declared constant of an SMT problem: element `index` of input `name`."""

    text: str
    """Its name in the problem."""
    sort: Literal["Int", "BitVec", "Bool"]
    input: str
    index: int
    offset: int = 0
    """The input element is `offset + value`; bit-vectors are read as unsigned."""


@dataclass(frozen=True, slots=True, eq=False)
class SmtProblem:
    """An SMT-LIB 2 script without `check-sat`: logic, declarations, definitions, assertions."""

    logic: str
    text: str
    symbols: tuple[Symbol, ...]
    inputs: Mapping[str, IntArray]
    """For each input of the query the values of elements that have no symbol (fixed by their bounds); symbols overwrite."""
    fidelity: Fidelity = Fidelity.EXACT

    @property
    def theory(self) -> str:
        return self.logic

    def decode(self, model: Mapping[str, int]) -> dict[str, IntArray]:
        """Return the assignment of the query's inputs that a model stands for; a symbol missing from the model reads as zero."""
        values = {name: array.astype(object) for name, array in self.inputs.items()}
        for symbol in self.symbols:
            values[symbol.input][symbol.index] = symbol.offset + model.get(symbol.text, 0)
        return {name: shrink(array) for name, array in values.items()}


@dataclass(frozen=True, slots=True, eq=False)
class GridProblem:
    """The query itself, for engines that work on the integer grid; a model names each element `input[index]`."""

    query: Query
    fidelity: Fidelity = Fidelity.EXACT

    @property
    def theory(self) -> str:
        return "grid"

    def decode(self, model: Mapping[str, int]) -> dict[str, IntArray]:
        """Return the assignment that a model stands for; an element missing from the model reads as zero."""
        return {
            name: shrink(np.array([model.get(f"{name}[{k}]", 0) for k in range(node.lower.size)], dtype=object))
            for name, node in self.query.inputs.items()
        }


def grid_model(assignment: Mapping[str, IntArray]) -> dict[str, int]:
    """Return an assignment as a model of a grid problem."""
    return {f"{name}[{k}]": int(v) for name, values in assignment.items() for k, v in enumerate(values.reshape(-1))}


Problem = SmtProblem | GridProblem
