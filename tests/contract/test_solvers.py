"""Every solver reaches the verdict of every example in every theory that it decides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import pytest

import qspec as qs
from qspec.errors import SolverMissingError
from qspec.passes import Pipeline
from qspec.problem import SmtProblem
from qspec.solver import Limits, get_solver, solver_entry_points
from qspec.testing import EXAMPLES, Example, ExampleOutcome, Excuse, Lack, census, check_solver_behaviour, run_example, theories_to_check
from qspec.testing.check import RELAXING
from qspec.theories.lowering import lower_query
from qspec.verify.decide import query
from qspec.verify.result import Evidence
from tests.contract.conftest import absent, available
from tests.contract.shared import asked, first_of_each_theory, once
from tests.warm import Warm

EXCUSES: Mapping[str, tuple[Excuse, ...]] = {
    "highs": (Excuse(Lack.NEVER, "no double holds a sum near 2**70", theory="milp", examples=frozenset({"wide-accumulator"})),)
}
"""What a solver is known not to decide, by its name; strict, and never an excuse for a wrong verdict."""

EVERY = [(name, theory) for name in solver_entry_points() for theory in theories_to_check(get_solver(name))]
ROUTES = [(name, theory) for name, theory in EVERY if theory not in RELAXING]
RELAXED = [(name, theory) for name, theory in EVERY if theory in RELAXING]
FIRST = first_of_each_theory(ROUTES)
"""The solver that also runs each theory without any pass before it, so that lowerings meet queries as they are written."""
AGAIN, SHARE = "smtlib", 6
"""The route by any executable, which is z3's here: z3's own route asks it the same text, so this one takes a share of the examples."""


def installed(routes: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Leave out what comes with an extra that is not installed; `test_the_solver_behaves` skips it and says so."""
    return [(name, theory) for name, theory in routes if not absent(name)]


def taken(number: int) -> list[tuple[str, str]]:
    """Return the routes that take this example."""
    return [route for k, route in enumerate(installed(ROUTES)) if route[0] != AGAIN or (number + k) % SHARE == 0]


def complaints(example: Example, routes: Sequence[tuple[str, str]], *, passes: bool, timeout: float = 60.0) -> list[ExampleOutcome]:
    """Run an example by each route, and return what did not come out as expected."""
    outcomes = [run_example(example, available(n), t, passes=passes, timeout=timeout, excuses=EXCUSES.get(n, ())) for n, t in routes]
    return [outcome for outcome in outcomes if outcome.complaint]


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("number", range(len(EXAMPLES)), ids=[str(e) for e in EXAMPLES])
def test_every_solver_reaches_the_verdict(number: int) -> None:
    with once(EXAMPLES[number]) as example:
        assert complaints(example, asked(example, taken(number)), passes=True) == []


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("number", range(len(EXAMPLES)), ids=[str(e) for e in EXAMPLES])
def test_every_theory_says_a_query_as_it_is_written(number: int) -> None:
    """Every other theory: most examples come in twos about one network, what just holds and what is just violated."""
    with once(EXAMPLES[number]) as example:
        assert complaints(example, [route for k, route in enumerate(installed(FIRST)) if (number + k) % 2], passes=False) == []


@pytest.mark.parametrize("name", ["bitwuzla", "cvc5", "highs", "pysmt"])
def test_a_worker_that_is_forked_says_what_one_that_is_started_says(name: str, processes: Warm, monkeypatch: pytest.MonkeyPatch) -> None:
    solver = available(name)
    theory = solver.theories[0]
    wrong = SmtProblem(theory, f"(set-logic {theory})\n(assert (= x", (), {})
    asks = [lower_query(query(e.bound()), theory) for e in EXAMPLES[40:44]]
    for problem in [*asks, *([] if theory == "milp" else [wrong])]:
        with monkeypatch.context() as patch:
            started = solver.solve(problem, Limits())
            processes.take_over(patch)
            forked = solver.solve(problem, Limits())
        assert (forked.status, forked.model, forked.reason, forked.detail) == (
            started.status,
            started.model,
            started.reason,
            started.detail,
        )


def test_most_examples_are_put_to_every_solver() -> None:
    asks = [len(asked(example, ROUTES)) == len(ROUTES) for example in EXAMPLES[::4]]
    assert 2 * sum(asks) > len(asks)
    counts = Counter(route for number in range(len(EXAMPLES)) for route in taken(number))
    assert set(counts) == set(installed(ROUTES))
    assert {count for (name, _), count in counts.items() if name != AGAIN} == {len(EXAMPLES)}
    assert min(counts.values()) > 25


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("example", EXAMPLES[::24], ids=str)
def test_a_relaxation_is_never_wrong(example: Example) -> None:
    """It may run out of time: a box that only a proof can close is none for boxes of reals."""
    with once(example) as made:
        assert [c for c in complaints(made, installed(RELAXED), passes=False, timeout=5) if c.complaint != "no verdict"] == []


@pytest.mark.usefixtures("warm")
def test_a_relaxation_decides_a_good_part_of_the_examples() -> None:
    said = [run_example(e, get_solver("z3"), "QF_LRA", passes=False).said for e in EXAMPLES[4::18]]
    assert sum(s in ("HOLDS", "VIOLATED") for s in said) > len(said) / 4


@pytest.mark.parametrize(("example", "passes"), [(e, k % 2 == 0) for k, e in enumerate(EXAMPLES)], ids=[str(e) for e in EXAMPLES])
def test_what_is_counted_is_counted_exactly(example: Example, passes: bool) -> None:
    """With passes and without, in turn: most examples come in twos about one network."""
    number = len(census(example.bound()).solutions)
    several_picks = example.name == "bit-flips"  # the same two bits, picked in either order
    with once(example) as made:
        result = qs.verify(made.bound(), solver="enumerate", without=() if passes else tuple(p.name for p in Pipeline().passes))
        assert (result.violations is None) == (several_picks or (result.evidence is Evidence.BOUNDS and bool(result.codes)))
        assert result.violations in (None, number)


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("name", solver_entry_points())
def test_the_solver_behaves(name: str) -> None:
    assert len(check_solver_behaviour(available(name))) >= 10


@pytest.mark.parametrize("name", ["bitwuzla", "cvc5", "enumerate", "pysmt", "smtlib", "z3"])
def test_the_install_brings(name: str) -> None:
    assert get_solver(name).availability().ok


def test_a_solver_that_is_not_registered_is_an_error() -> None:
    with pytest.raises(SolverMissingError, match="qspec solvers"):
        get_solver("no such solver")
