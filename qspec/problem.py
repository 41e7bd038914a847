"""What theories produce and solvers take: a compiled problem, and how its model reads as an assignment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import Literal

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.integers import IntArray, shrink
from qspec.ir.integer import Query
from qspec.ir.real import ExactArray, Point, exact, fractions
from qspec.ir.real import Query as RealQuery


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
    """One declared constant of an SMT problem, or one column of a MILP: element `index` of input `name`."""

    text: str
    """Its name in the problem."""
    sort: Literal["Int", "BitVec", "Bool", "Real"]
    input: str
    index: int
    offset: int = 0
    """The input element is `offset + value`; bit-vectors are read as unsigned."""


Model = Mapping[str, int | Fraction]
"""The values of the symbols of a problem: Fractions where their sort is Real, else integers."""


@dataclass(frozen=True, slots=True, eq=False)
class SmtProblem:
    """An SMT-LIB 2 script without `check-sat`: logic, declarations, definitions, assertions."""

    logic: str
    text: str
    symbols: tuple[Symbol, ...]
    inputs: Mapping[str, IntArray | ExactArray]
    """For each input of the query the values of elements that have no symbol (fixed by their bounds); symbols overwrite."""
    fidelity: Fidelity = Fidelity.EXACT
    whole: bool = True
    """The inputs of the query are integers, to which values of sort Real are rounded; False: they are reals."""

    @property
    def theory(self) -> str:
        return self.logic

    def decode(self, model: Model) -> dict[str, IntArray | ExactArray]:
        """Return the assignment of the query's inputs that a model stands for; a symbol missing from the model reads as zero."""
        if self.whole:
            return _decoded(self.inputs, self.symbols, model)
        values = {name: fractions(array) for name, array in self.inputs.items()}
        for symbol in self.symbols:
            values[symbol.input][symbol.index] = Fraction(model.get(symbol.text, 0))
        return {name: exact(array) for name, array in values.items()}


OPEN = 1 << 62
"""The end of a row that has none: `-OPEN` below, `OPEN` above."""
EXACT_DOUBLE = 1 << 53
"""Up to this magnitude every integer is a double."""


@dataclass(frozen=True, slots=True, eq=False)
class MilpProblem:
    """Is there `lower <= x <= upper`, whole where `integral`, with `row_lower <= A x <= row_upper`? There is no objective.

    Everything is int64 (`integral` bool) and exact. Row r of A has `coefficients[starts[r] : starts[r + 1]]` in `columns`. No sum of a row,
    whatever the values of its columns, exceeds 2**53, so that a solver in double precision holds every number that it is given.
    """

    names: tuple[str, ...]
    """One for each column; simple symbols of the LP and MPS formats."""
    lower: IntArray
    upper: IntArray
    integral: npt.NDArray[np.bool_]
    starts: IntArray
    columns: IntArray
    coefficients: IntArray
    row_lower: IntArray
    row_upper: IntArray
    symbols: tuple[Symbol, ...]
    inputs: Mapping[str, IntArray]
    """For each input of the query the values of elements that have no symbol (fixed by their bounds); symbols overwrite."""
    fidelity: Fidelity = Fidelity.EXACT

    @property
    def theory(self) -> str:
        return "milp"

    def decode(self, model: Model) -> dict[str, IntArray]:
        """Return the assignment of the query's inputs that a model stands for; a symbol missing from the model reads as zero."""
        return _decoded(self.inputs, self.symbols, model)


def _decoded(inputs: Mapping[str, IntArray], symbols: Sequence[Symbol], model: Model) -> dict[str, IntArray]:
    values = {name: array.astype(object) for name, array in inputs.items()}
    for symbol in symbols:
        values[symbol.input][symbol.index] = symbol.offset + round(model.get(symbol.text, 0))
    return {name: shrink(array) for name, array in values.items()}


@dataclass(frozen=True, slots=True, eq=False)
class GridProblem:
    """The query itself, for engines that work on the integer grid; a model names each element `input[index]`.

    Theory "query" is the query as it was compiled, about which certificates are; "grid" is one that passes have reduced.
    """

    query: Query
    fidelity: Fidelity = Fidelity.EXACT
    theory: Literal["grid", "query"] = "grid"
    attack: bool = True
    """Whether an engine that also proves may search for a solution by other means first."""

    def decode(self, model: Model) -> dict[str, IntArray]:
        """Return the assignment that a model stands for; an element missing from the model reads as zero."""
        return {
            name: shrink(np.array([model.get(f"{name}[{k}]", 0) for k in range(node.lower.size)], dtype=object))
            for name, node in self.query.inputs.items()
        }


def grid_model(assignment: Mapping[str, IntArray]) -> dict[str, int]:
    """Return an assignment as a model of a grid problem."""
    return {f"{name}[{k}]": int(v) for name, values in assignment.items() for k, v in enumerate(values.reshape(-1))}


@dataclass(frozen=True, slots=True, eq=False)
class RealProblem:
    """A real query itself, for solvers that compute with enclosures; a model names each element `input[index]`.

    `delta` is by how much an atom of the goal may be missed where a solver answers `delta-sat`.
    """

    query: RealQuery
    delta: float = 1e-3
    fidelity: Fidelity = Fidelity.EXACT
    whole: tuple[str, ...] | None = None
    """The inputs that stand for the integers of another query, which this relaxes; None: it is itself what is asked."""

    @property
    def theory(self) -> str:
        return "real"

    def decode(self, model: Model) -> dict[str, IntArray | ExactArray]:
        """Return the point that a model stands for; an element missing from the model reads as its lower bound."""
        point = {
            name: exact([model.get(f"{name}[{k}]", low) for k, low in enumerate(node.lower.tolist())])
            for name, node in self.query.inputs.items()
        }
        if self.whole is None:
            return point
        return {name: shrink(np.array([round(v) for v in fractions(point[name])], dtype=object)) for name in self.whole}


def real_model(point: Point) -> dict[str, Fraction]:
    """Return a point as a model of a real problem."""
    return {f"{name}[{k}]": Fraction(v) for name, values in point.items() for k, v in enumerate(fractions(values).reshape(-1))}


Problem = SmtProblem | MilpProblem | GridProblem | RealProblem
