"""`qspec solvers`: which solvers there are, and how to get those that are missing."""

from __future__ import annotations

from collections.abc import Iterator

from qspec.cli.outcome import CommandOutput
from qspec.cli.terminal import table
from qspec.errors import SolverMissingError
from qspec.solver import Solver, get_solver, solver_entry_points

KEYS = ("solver", "state", "theories", "version")


def run() -> CommandOutput:
    """Return a table of every registered solver."""
    rows: list[tuple[str, str, str, str]] = []
    for name in solver_entry_points():
        try:
            solver = get_solver(name)
        except (ImportError, AttributeError, SolverMissingError) as error:
            rows.append((name, "broken", "", " ".join(str(error).split())))
            continue
        state = solver.availability()
        rows.append((name, "ok" if state.ok else "missing", ", ".join(solver.theories), state.version if state.ok else state.install))
    text = table(("solver", "state", "decides", "version, or how to get it"), rows)
    return CommandOutput(
        f"{text}\n\nAny other SMT-LIB 2 solver: put its command into QSPEC_SMTLIB_COMMAND and use\n--solver smtlib.",
        found=lambda: {"solvers": [dict(zip(KEYS, r, strict=True)) for r in rows]},
    )


def installed() -> Iterator[Solver]:
    """Yield every solver that can run here."""
    for name in solver_entry_points():
        try:
            solver = get_solver(name)
        except (ImportError, AttributeError, SolverMissingError):
            continue
        if solver.availability().ok:
            yield solver
