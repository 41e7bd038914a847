"""Every solver reaches the verdict of every example in every theory that it decides."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

import qspec as qs
from qspec.errors import SolverMissingError
from qspec.passes import Pipeline
from qspec.solver import get_solver, solver_entry_points
from qspec.testing import EXAMPLES, Example, Excuse, Lack, census, check_solver_behaviour, run_example, theories_to_check
from qspec.testing.check import RELAXING
from qspec.verify.result import Evidence
from tests.contract.conftest import available

EXCUSES: Mapping[str, tuple[Excuse, ...]] = {
    "highs": (Excuse(Lack.NEVER, "no double holds a sum near 2**70", theory="milp", examples=frozenset({"wide-accumulator"})),)
}
"""What a solver is known not to decide, by its name; strict, and never an excuse for a wrong verdict."""

EVERY = [(name, theory) for name in solver_entry_points() for theory in theories_to_check(get_solver(name))]
ROUTES = [(name, theory) for name, theory in EVERY if theory not in RELAXING]
RELAXED = [(name, theory) for name, theory in EVERY if theory in RELAXING]
FIRST = {theory: name for name, theory in reversed(ROUTES)}
"""The solver that also runs each theory without any pass before it, so that lowerings meet queries as they are written."""

RUNS = [(name, theory, True) for name, theory in ROUTES] + [(name, theory, False) for theory, name in FIRST.items()]


@pytest.mark.parametrize(("name", "theory", "passes"), RUNS, ids=[f"{n}-{t}{'' if p else '-without-passes'}" for n, t, p in RUNS])
@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_the_verdict_is_right(example: Example, name: str, theory: str, passes: bool) -> None:
    outcome = run_example(example, available(name), theory, passes=passes, excuses=EXCUSES.get(name, ()))
    assert outcome.complaint == "", outcome


@pytest.mark.parametrize(("name", "theory"), RELAXED)
@pytest.mark.parametrize("example", EXAMPLES[::24], ids=str)
def test_a_relaxation_is_never_wrong(example: Example, name: str, theory: str) -> None:
    outcome = run_example(example, available(name), theory, passes=False, timeout=10)
    assert outcome.complaint == "", outcome


def test_a_relaxation_decides_a_good_part_of_the_examples() -> None:
    said = [run_example(e, get_solver("z3"), "QF_LRA", passes=False).said for e in EXAMPLES[4::18]]
    assert sum(s in ("HOLDS", "VIOLATED") for s in said) > len(said) / 4


@pytest.mark.parametrize("passes", [True, False], ids=["passes", "no passes"])
@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_what_is_counted_is_counted_exactly(example: Example, passes: bool) -> None:
    without = () if passes else tuple(p.name for p in Pipeline().passes)
    result = qs.verify(example.make(), solver="enumerate", without=without, **dict(example.parameters))  # pyright: ignore[reportArgumentType]
    several_picks = example.name == "bit-flips"  # the same two bits, picked in either order
    assert (result.violations is None) == (several_picks or (result.evidence is Evidence.BOUNDS and bool(result.codes)))
    assert result.violations in (None, len(census(example.bound()).solutions))


@pytest.mark.parametrize("name", solver_entry_points())
def test_the_solver_behaves(name: str) -> None:
    assert len(check_solver_behaviour(available(name))) >= 10


@pytest.mark.parametrize("name", ["bitwuzla", "cvc5", "enumerate", "pysmt", "smtlib", "z3"])
def test_the_install_brings(name: str) -> None:
    assert get_solver(name).availability().ok


def test_a_solver_that_is_not_registered_is_an_error() -> None:
    with pytest.raises(SolverMissingError, match="qspec solvers"):
        get_solver("no such solver")
