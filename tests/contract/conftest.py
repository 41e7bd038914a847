"""Solvers under contract: every one that the install registers."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from functools import cache

import pytest

from qspec.solver import Solver, get_solver
from qspec_solvers.availability import executable
from qspec_solvers.smtlib import COMMAND_VARIABLE
from qspec_solvers.vnnlib import COMMAND_VARIABLE as VNNLIB_COMMAND


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
    """Return how to get a solver that comes with an extra of qspec, or is the user's own; empty if it is there, or should be.

    The route `vnnlib` has tests of its own (`tests/unit/test_vnnlib_route.py`), since its `unsat` is no proof.
    """
    state = get_solver(name).availability()
    optional = ("pip install qspec-verify[", "pip install 'qspec-verify[", f"export {VNNLIB_COMMAND}")
    return "" if state.ok or not state.install.startswith(optional) else state.install


def available(name: str) -> Solver:
    """Return a solver; one that is missing fails the test, unless it comes with an extra of qspec that was not asked for."""
    if how := absent(name):
        pytest.skip(f"{name} is optional: {how}")
    solver = get_solver(name)
    state = solver.availability()
    assert state.ok, f"solver {name!r} cannot run: {state.missing}"
    return solver
