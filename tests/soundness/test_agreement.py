"""Passes, both theories and every exact solver agree with enumeration on random networks; `agreement.py` says how."""

from __future__ import annotations

from collections import Counter

import pytest

from qspec.solver import get_solver, solver_entry_points
from qspec.testing import theories_to_check
from qspec.testing.check import RELAXING
from tests.contract.conftest import available
from tests.soundness.agreement import Tally, check_seed, check_seeds
from tests.soundness.random_networks import random_property

CHUNK = 50
IN_PROCESS = 200
"""Seeds that are the same in every run, which is what finds a change that breaks something; `make soak` draws new ones."""
BY_SOLVER = 108
ROUTES = [(name, theory) for name in solver_entry_points() for theory in theories_to_check(get_solver(name))]


def right(tally: Tally) -> Counter[str]:
    assert tally.wrong == []
    return tally.counts


@pytest.mark.parametrize("first", range(0, IN_PROCESS, CHUNK))
def test_passes_and_theories_agree_with_enumeration(first: int) -> None:
    counts = right(check_seeds(range(first, first + CHUNK)))
    assert counts["properties"] == CHUNK
    assert min(counts["satisfiable"], counts["unsatisfiable"]) >= CHUNK // 5
    for theory in ("QF_BV", "QF_LIA"):
        assert counts[f"{theory} sat"] + counts[f"{theory} unsat"] >= CHUNK * 9 // 10


@pytest.mark.parametrize("first", range(0, 100, CHUNK))
def test_the_interpreter_agrees_on_every_point(first: int) -> None:
    assert right(check_seeds(range(first, first + CHUNK // 5), thorough=True))["interpreted points"] > 0


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("route", range(len(ROUTES)), ids=[f"{n}-{t}" for n, t in ROUTES])
def test_solvers_agree_with_enumeration(route: int) -> None:
    name, theory = ROUTES[route]
    solver = available(name)
    for seed in range(IN_PROCESS + route, IN_PROCESS + BY_SOLVER, len(ROUTES)):
        counts = right(check_seed(seed, solver=solver.name, theory=theory, theories=()))
        assert counts[f"{name} {theory} UNKNOWN"] == 0 or theory in {"QF_LIA", *RELAXING}


@pytest.mark.slow
@pytest.mark.parametrize("first", range(100_000, 200_000, 500))
def test_far_more_of_the_same(first: int) -> None:
    right(check_seeds(range(first, first + 500)))


def test_a_seed_makes_one_property() -> None:
    for seed in (1, 2, 3):
        first, second = random_property(seed), random_property(seed)
        assert (first.name, first.kind, [v.name for v in first.variables]) == (second.name, second.kind, [v.name for v in second.variables])


def test_the_relaxation_over_the_reals_contradicts_nothing() -> None:
    """Among them a table whose argument has wider bounds than the table, and inputs that stand behind what reads others."""
    tally = check_seeds([*range(12), 59], solver="delta", theories=())
    assert not tally.wrong
    assert tally.counts["delta HOLDS"] + tally.counts["delta VIOLATED"] >= 8
