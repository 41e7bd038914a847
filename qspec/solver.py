"""What a solver sees and says: problems, limits, answers. Adapters import this module and `problem`, and nothing else of qspec."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from qspec.arithmetic.integers import IntArray
from qspec.deadline import NEVER, Deadline
from qspec.errors import SolverMissingError
from qspec.ir.real_proof import RealProof
from qspec.problem import Model, Problem
from qspec.support import checks

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Status = Literal["sat", "unsat", "delta-sat", "unknown"]
ENTRY_POINTS = "qspec.solvers"


class Reason(Enum):
    """Why an answer is `unknown`; the value is the sentence shown to the user."""

    TIMEOUT = "the wall-clock limit was reached"
    MEMORY = "the memory limit was reached"
    CRASH = "the solver process died"
    GARBAGE = "the solver printed something that is not an answer"
    INCOMPLETE = "the solver gave up"
    UNSUPPORTED = "the solver cannot take this problem"
    TOO_LARGE = "the problem is larger than this solver accepts"
    SPURIOUS = "a candidate of an over-approximating or δ-weakened problem did not replay"
    UNCHECKED = "no checker accepted a proof of what the solver said"
    NUMERICAL = "what a solver found in floating point could not be confirmed exactly"
    CANCELLED = "the run was cancelled"


@dataclass(frozen=True, slots=True)
class Limits:
    """Hard limits of one run: wall-clock seconds, memory in MiB, and a seed for solvers that take one. None means no limit."""

    seconds: float | None = 60.0
    memory: int | None = 8192
    seed: int = 0

    def __post_init__(self) -> None:
        checks.seconds(self.seconds)
        checks.memory(self.memory)
        checks.seed(self.seed)

    def deadline(self) -> Deadline:
        """Return what engines in this process keep to: these limits, from now on."""
        return Deadline.after(self.seconds, self.memory)


@dataclass(frozen=True, slots=True)
class Left(Limits):
    """What is left of limits, and the deadline by which it was counted."""

    until: Deadline = NEVER

    def deadline(self) -> Deadline:
        """Return the deadline itself, which has begun already."""
        return self.until


@dataclass(frozen=True, slots=True)
class Rung:
    """One means that an engine tried on the way to its answer: its name, wall-clock seconds, and what came of it, in words."""

    name: str
    seconds: float
    outcome: str


@dataclass(frozen=True, slots=True)
class CheckedProof:
    """A proof that a solver wrote of one problem, and what a checker said of it: the name and version of the checker, its own last words.

    `file` is the proof, of so many bytes (`size`), in the `format` "CPC" or "LRAT"; `problem` is what it is about. `seconds` are those of
    the checker, on the clock.
    """

    format: str
    problem: str
    file: str
    size: int
    checker: str
    accepted: bool
    output: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What a solver said of a problem: a status, the model if `sat`, the reason if `unknown`.

    `model` maps each variable of the problem to its integer, or its Fraction where it is real. `detail` is free text for the user (an
    error line, an exit code). `statistics` holds what the solver can tell, for example `violations` (exact count) from `enumerate`.
    """

    status: Status
    model: Model | None = None
    reason: Reason | None = None
    detail: str = ""
    seconds: float = 0.0
    statistics: Mapping[str, float | int | str] = field(default_factory=dict[str, float | int | str])
    numerical: bool = False
    """The answer stands on rounded numbers: `unsat` proves nothing and is made unknown, and a model may fail to replay."""
    proof: Mapping[str, IntArray | int] | None = None
    """What a certificate of an `unsat` about the whole query is made of (docs/certificates.md): arrays, `scale` and `slope_bits`."""
    trace: tuple[Rung, ...] = ()
    """What was tried, in order."""
    real_proof: RealProof | None = None
    """What a certificate of an `unsat` about a real query is made of."""
    checked: CheckedProof | None = None
    """The proof of an `unsat` that a checker has seen, if one was asked for."""


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a solver can run here, its version, and if not what is missing and how to get it."""

    ok: bool
    version: str = ""
    missing: str = ""
    install: str = ""


@runtime_checkable
class Solver(Protocol):
    """One solver. `theories` lists what it decides, best first ("QF_BV", "QF_LIA", "milp", "grid").

    `solve` never raises for limits or crashes.
    """

    @property
    def name(self) -> str: ...
    @property
    def theories(self) -> tuple[str, ...]: ...
    @property
    def cite(self) -> str: ...
    def availability(self) -> Availability: ...
    def solve(self, problem: Problem, limits: Limits) -> Answer: ...


@runtime_checkable
class ProvingSolver(Solver, Protocol):
    """A solver whose `unsat` comes with a proof that a program of somebody else checks.

    `checking` says whether the programs for that are here, `prove` is `solve` with the proof: files whose names begin with `place`.
    """

    def checking(self) -> Availability: ...
    def prove(self, problem: Problem, limits: Limits, place: str) -> Answer: ...


def solver_entry_points() -> dict[str, EntryPoint]:
    """Return every registered solver by name; two distributions that register one name are an error."""
    from importlib.metadata import entry_points  # here, because `import qspec` is to be quick

    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=ENTRY_POINTS):
        if point.name in found and found[point.name].value != point.value:
            raise SolverMissingError(
                f"two packages register a solver called {point.name!r}",
                given=[found[point.name].value, point.value],
                advice="uninstall one of them",
            )
        found[point.name] = point
    return dict(sorted(found.items()))


@cache
def _registered(name: str, path: tuple[str, ...]) -> EntryPoint:
    """Return the solver registered under a name: looking through what is installed on a path takes longer than a small proof."""
    del path
    points = solver_entry_points()
    if name not in points:
        raise SolverMissingError("no such solver", given=name, expected=", ".join(points), advice="`qspec solvers` lists what is installed")
    return points[name]


def get_solver(solver: str | Solver) -> Solver:
    """Return the solver of this name, or the object itself if it is one; raises SolverMissingError if there is none."""
    if isinstance(solver, str):
        point = _registered(solver, tuple(sys.path))
        try:
            made = point.load()()
        except Exception as error:
            package = point.dist
            raise SolverMissingError(
                f"solver {solver!r} of the package {package.name if package else '?'} cannot be loaded",
                given=f"{point.value}: {type(error).__name__}: {error}",
                expected="an adapter that can be imported and made without arguments",
                advice="update or remove that package",
            ) from error
        if not isinstance(made, Solver):
            raise SolverMissingError(
                f"{point.value} is not a solver", given=made, expected="an object with name, theories, availability, solve"
            )
        return made
    if isinstance(solver, type) or not isinstance(solver, Solver):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SolverMissingError("not a solver", given=solver, expected="a name, or an object with name, theories, availability, solve")
    return solver
