"""The conformance kit passes an honest solver, and no other."""

from __future__ import annotations

from pathlib import Path

import pytest

import qspec as qs
from qspec.errors import SpecError
from qspec.problem import GridProblem, Problem, SmtProblem
from qspec.solver import Answer, Availability, Reason
from qspec.testing import EXAMPLES, Excuse, Lack, Mark, census, check_solver, check_solver_behaviour
from qspec.testing.examples.parts import mlp
from tests.soundness import in_process
from tests.unit.fake_solvers.in_process import Fake, enumerated, opposite, shrugging

SOME = tuple(e for e in EXAMPLES if e.name in {"strict", "not-strict", "shared-copies", "vacuous", "exists", "bilinear", "one-hot-score"})


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reproducers of lies are written here."""
    monkeypatch.chdir(tmp_path)


def test_an_honest_solver_passes() -> None:
    """Every fourth example: this is about the kit, and `test_solvers.py` puts all of them to solvers."""
    outcomes = check_solver(Fake(enumerated), examples=EXAMPLES[::4])
    assert len(outcomes) == 2 * len(EXAMPLES[::4])
    assert len(check_solver_behaviour(Fake(enumerated))) >= 10


@pytest.mark.parametrize(
    ("reply", "complaint"),
    [
        (lambda p: Answer("unsat"), "WRONG"),
        (lambda p: Answer("sat", {}), "SoundnessError"),
        (opposite, "WRONG"),
        (shrugging, "no verdict"),
        (lambda p: Answer("sat"), "UNKNOWN \\(GARBAGE"),
    ],
    ids=["always unsat", "invented models", "opposite", "shrugging", "no models"],
)
def test_a_solver_that_is_wrong_or_useless_fails_with_a_table(reply, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint) as caught:
        check_solver(Fake(reply), examples=SOME, passes=(False,))
    heading, columns, *rows = str(caught.value).splitlines()
    assert heading.startswith("fake: ")
    assert columns.split() == ["example", "theory", "passes", "expected", "said", "complaint"]
    assert {row.split()[0] for row in rows} <= {e.name for e in SOME}


def test_an_excuse_is_strict() -> None:
    def no_products(problem: Problem) -> Answer:
        assert isinstance(problem, GridProblem)
        has_product = any(type(n).__name__ == "Product" for n in problem.query.program)
        return Answer("unknown", reason=Reason.UNSUPPORTED) if has_product else enumerated(problem)

    excuse = Excuse(Lack.NOTIMPL, "multiplication is for later", theory="grid", mark=Mark.PRODUCT)
    check_solver(Fake(no_products), examples=SOME, excuses=[excuse])
    with pytest.raises(AssertionError, match="no verdict"):
        check_solver(Fake(no_products), examples=SOME)
    with pytest.raises(AssertionError, match="out of date"):
        check_solver(Fake(enumerated), examples=SOME, passes=(False,), excuses=[excuse])
    with pytest.raises(AssertionError, match="WRONG"):
        check_solver(Fake(opposite), examples=SOME, passes=(False,), excuses=[Excuse(Lack.NOTYET, "hard", examples=frozenset({"strict"}))])


def test_products_are_beyond_a_solver_of_linear_arithmetic_alone() -> None:
    def linear(problem: Problem) -> Answer:
        assert isinstance(problem, SmtProblem)
        return in_process.z3(problem)

    outcomes = check_solver(Fake(linear, theories=("QF_LIA",)), examples=SOME)
    excused = {o.example for o in outcomes if o.expected.startswith("never")}
    assert excused == {"bilinear"}


@pytest.mark.parametrize(
    ("reply", "complaint"),
    [
        (lambda p: Answer("unsat"), "model: expected sat"),
        (lambda p: Answer("sat", {}), "the model is no solution"),
        (lambda p: Answer("sat"), "sat without a model"),
        (lambda p: Answer("unknown"), "foreign theory: expected unknown with a reason"),
    ],
    ids=["always unsat", "empty models", "no models", "no reasons"],
)
def test_bad_behaviour_is_reported(reply, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        check_solver_behaviour(Fake(reply))


def test_a_solver_that_cannot_run_does_not_behave() -> None:
    absent = Fake(enumerated, available=Availability(False, missing="the program"))
    with pytest.raises(AssertionError, match="the program"):
        check_solver_behaviour(absent)


def test_enumeration_refuses_what_is_too_large() -> None:
    net = mlp(inputs=6)
    x = net.input("x")
    with pytest.raises(SpecError, match="too many points"):
        census(qs.forall(x, then=net(x)[0] <= 0))
