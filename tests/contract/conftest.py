"""Solvers under contract: every one that the install registers."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from functools import cache

import pytest

from qspec.solver import Solver, get_solver
from qspec_solvers.availability import executable
from qspec_solvers.smtlib import COMMAND_VARIABLE


@pytest.fixture(autouse=True, scope="session")
def smtlib_command() -> Iterator[None]:
    """Name an executable for the route that takes any: z3's, which the install brings."""
    path = executable("z3", "z3-solver")
    assert path is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(COMMAND_VARIABLE, shlex.join([path, "-in"]))
        yield


@cache
def absent(name: str) -> str:
    """Return how to install a solver that comes with an extra of qspec that was not asked for; empty if it is there, or should be."""
    state = get_solver(name).availability()
    return "" if state.ok or not state.install.startswith(("pip install qspec-verify[", "pip install 'qspec-verify[")) else state.install


def available(name: str) -> Solver:
    """Return a solver; one that is missing fails the test, unless it comes with an extra of qspec that was not asked for."""
    if how := absent(name):
        pytest.skip(f"{name} comes with an extra: {how}")
    solver = get_solver(name)
    state = solver.availability()
    assert state.ok, f"solver {name!r} cannot run: {state.missing}"
    return solver
