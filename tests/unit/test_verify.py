"""From a property to a result: who is asked, what is believed, and what a lie leads to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qspec as qs
from qspec.errors import SolverMissingError, SoundnessError, SpecError, UnsupportedError
from qspec.ir.integer import Input
from qspec.ir.reference import satisfies
from qspec.language import interpret
from qspec.language.interpret import witnesses
from qspec.passes import Pipeline
from qspec.problem import Fidelity, GridProblem, Problem, SmtProblem
from qspec.solver import Answer, Availability, Reason
from qspec.testing import census
from qspec.testing.examples.parts import mlp
from qspec.theories import lowering
from qspec.theories.lowering import compile_problem
from qspec.verify import integers
from qspec.verify.result import Evidence
from tests.unit.fake_solvers.in_process import Fake, enumerated, opposite, shrugging, without_count

ALL_OFF = tuple(p.name for p in Pipeline().passes)
NET = mlp(outputs=3, seed=34)
X = NET.input("x")
LIMIT = qs.parameter("limit")
SPEC = qs.forall(X, given=X[0] != X[1], then=qs.max(NET(X)) - NET(X)[2] <= LIMIT, name="spread")
HOLDING: dict[str, Any] = {"limit": "7/2"}
FAILING: dict[str, Any] = {"limit": 1}


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a directory of its own, where reproducers are written."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_counterexample_is_one_of_the_property() -> None:
    result = qs.verify(SPEC.at(**FAILING), solver=Fake(enumerated))
    assert result.verdict is qs.Verdict.VIOLATED
    assert result.counterexample is not None
    assert result.witness is None
    assert result.counterexample["x"].shape == (2,)
    bound = qs.forall(X, given=SPEC.given, then=qs.max(NET(X)) - NET(X)[2] <= 1)
    assert witnesses(bound, result.counterexample)
    assert result.violations == len(census(bound).solutions)


def test_what_holds_says_whether_it_holds_for_something() -> None:
    solver = Fake(without_count)
    assert qs.verify(SPEC.at(**HOLDING), solver=solver).vacuous is False
    empty = qs.forall(X, given=(X[0] > X[1]) & (X[1] >= X[0]), then=NET(X)[0] > 100)
    result = qs.verify(empty, solver=solver)
    assert (result.verdict, result.vacuous) == (qs.Verdict.HOLDS, True)
    assert "vacuously" in str(result)


def test_vacuity_stays_open_when_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integers, "attacked", lambda *_: None)
    spec = qs.forall(X, given=X[0] * X[1] == "9/4", then=NET(X)[0] <= NET(X)[1] + 4)

    def only_the_first(problem: Problem) -> Answer:
        return Answer("unsat") if len(solver.asked) == 1 else Answer("sat", {})

    solver = Fake(only_the_first)
    assert qs.verify(spec, solver=solver, without=ALL_OFF).vacuous is None
    assert len(solver.asked) == 2


@pytest.mark.parametrize("value", ["1/2", 40])
def test_existence_is_witnessed_or_refuted(value: object) -> None:
    spec = qs.exists(X, given=X[0] > 0, then=NET(X)[0] - NET(X)[1] == qs.q(value))
    result = qs.verify(spec, solver=Fake(enumerated))
    assert result.verdict is census(spec).verdict
    assert result.counterexample is None
    assert (result.witness is not None) == (result.verdict is qs.Verdict.HOLDS)
    assert result.vacuous is None


def test_bounds_decide_without_a_solver() -> None:
    solver = Fake(shrugging)
    assert qs.verify(qs.forall(X, then=NET(X)[0] < 2), solver=solver).evidence is Evidence.BOUNDS
    result = qs.verify(qs.forall(X, then=NET(X)[0] >= 2), solver=solver)
    assert (result.verdict, result.evidence) == (qs.Verdict.VIOLATED, Evidence.BOUNDS)
    assert solver.asked == []


def test_an_attack_comes_before_an_smt_solver_and_not_before_one_that_enumerates() -> None:
    smt = Fake(shrugging, theories=("QF_BV",))
    assert qs.verify(SPEC.at(**FAILING), solver=smt).evidence is Evidence.ATTACK
    assert smt.asked == []
    assert qs.verify(SPEC.at(**FAILING), solver=smt, attack=False).verdict is qs.Verdict.UNKNOWN
    assert qs.verify(SPEC.at(**FAILING), solver=Fake(enumerated)).evidence is Evidence.MODEL


def test_falsify_finds_and_proves_nothing() -> None:
    found = qs.falsify(SPEC.at(**FAILING))
    assert (found.verdict, found.evidence) == (qs.Verdict.VIOLATED, Evidence.ATTACK)
    none = qs.falsify(SPEC.at(**HOLDING), timeout=0.5)
    assert (none.verdict, none.reason) == (qs.Verdict.UNKNOWN, Reason.INCOMPLETE)
    assert qs.falsify(qs.exists(X, then=NET(X)[0] > 0)).verdict is qs.Verdict.HOLDS


@pytest.mark.parametrize("reason", list(Reason), ids=lambda r: r.name)
def test_what_a_solver_does_not_know_is_unknown_with_its_reason(reason: Reason) -> None:
    solver = Fake(lambda problem: Answer("unknown", reason=reason, detail="because"))
    result = qs.verify(SPEC.at(**HOLDING), solver=solver, without=ALL_OFF)
    assert (result.verdict, result.reason, result.detail) == (qs.Verdict.UNKNOWN, reason, "because")
    assert reason.value in str(result)


def test_sat_without_a_model_is_garbage() -> None:
    result = qs.verify(SPEC.at(**FAILING), solver=Fake(lambda p: Answer("sat")), without=ALL_OFF)
    assert (result.verdict, result.reason) == (qs.Verdict.UNKNOWN, Reason.GARBAGE)


def test_unknown_without_a_reason_is_incomplete() -> None:
    assert qs.verify(SPEC.at(**FAILING), solver=Fake(shrugging), without=ALL_OFF).reason is Reason.INCOMPLETE


@pytest.mark.parametrize("model", [{}, {"x[0]": 0, "x[1]": 0}, {"x[0]": 99, "x[1]": -99}], ids=str)
def test_a_model_that_does_not_replay_is_a_soundness_error_with_a_reproducer(model: dict[str, int], inside: Path) -> None:
    with pytest.raises(SoundnessError, match="does not replay") as caught:
        qs.verify(SPEC.at(**FAILING), solver=Fake(lambda p: Answer("sat", model)), without=ALL_OFF)
    (folder,) = inside.iterdir()
    assert str(folder) in str(caught.value)
    facts = json.loads((folder / "facts.json").read_text())
    assert facts["solver"] == "fake"
    assert json.loads((folder / "parameters.json").read_text()) == {"limit": 1}
    codes = json.loads((folder / "assignment.json").read_text())
    query = qs.query(SPEC.at(**FAILING))
    assert not satisfies(query, {k: np.array(v) for k, v in codes.items()})
    assert "(check-sat)" in (folder / "problem.smt2").read_text()
    again = qs.load(folder / "network-0.qspec")
    assert np.array_equal(again.evaluate([1, 2]), NET.evaluate([1, 2]))


def test_delta_sat_is_believed_only_if_it_replays() -> None:
    truth = enumerated(GridProblem(qs.query(SPEC.at(**FAILING)))).model
    for model, verdict in ((truth, qs.Verdict.VIOLATED), ({"x[0]": 0}, qs.Verdict.UNKNOWN)):
        result = qs.verify(SPEC.at(**FAILING), solver=Fake(lambda p, model=model: Answer("delta-sat", model)), without=ALL_OFF)
        assert result.verdict is verdict


@pytest.mark.parametrize(
    ("fidelity", "reply", "verdict"),
    [
        (Fidelity.OVER, Answer("sat", {}), qs.Verdict.UNKNOWN),
        (Fidelity.OVER, Answer("unsat"), qs.Verdict.HOLDS),
        (Fidelity.UNDER, Answer("unsat"), qs.Verdict.UNKNOWN),
    ],
    ids=["over sat", "over unsat", "under unsat"],
)
def test_fidelity_says_what_an_answer_is_worth(
    fidelity: Fidelity, reply: Answer, verdict: qs.Verdict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lowering, "lower_query", lambda part, theory, **_: GridProblem(part, fidelity))
    result = qs.verify(SPEC.at(**HOLDING), solver=Fake(lambda p: reply), without=ALL_OFF)
    assert result.verdict is verdict
    if reply.status == "sat":
        assert result.reason is Reason.SPURIOUS


def test_an_under_approximation_with_a_false_model_is_unsound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lowering, "lower_query", lambda part, theory, **_: GridProblem(part, Fidelity.UNDER))
    with pytest.raises(SoundnessError):
        qs.verify(SPEC.at(**HOLDING), solver=Fake(lambda p: Answer("sat", {})), without=ALL_OFF)


def test_a_solution_that_only_the_query_has_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """If compiler and interpreter disagree, nothing is concluded."""
    monkeypatch.setattr(interpret, "witnesses", lambda spec, codes: False)
    with pytest.raises(SoundnessError, match="none of the property"):
        qs.verify(SPEC.at(**FAILING), solver=Fake(enumerated))


def test_one_part_is_enough_to_violate_and_all_are_needed_to_hold() -> None:
    both = qs.forall(X, then=(NET(X)[0] <= 1) & (NET(X)[1] >= "-3/2"))

    def first_unknown(problem: Problem) -> Answer:
        return Answer("unknown", reason=Reason.TIMEOUT) if len(solver.asked) == 1 else without_count(problem)

    solver = Fake(first_unknown)
    parts = len(Pipeline().adding("split").apply(qs.query(both)))
    assert parts > 1
    assert qs.verify(both, solver=Fake(enumerated), split=True).verdict is census(both).verdict is qs.Verdict.VIOLATED
    assert qs.verify(both, solver=solver, split=True).verdict is qs.Verdict.VIOLATED
    holding = qs.forall(X, then=(NET(X)[0] - X[0] <= "7/2") & (NET(X)[1] * 2 - X[1] <= 5) & (X[0] - NET(X)[0] <= "7/2"))
    assert census(holding).verdict is qs.Verdict.HOLDS
    half = Fake(lambda p: Answer("unknown", reason=Reason.MEMORY) if len(half.asked) == 1 else without_count(p))
    result = qs.verify(holding, solver=half, split=True, without=ALL_OFF)
    assert len(half.asked) > 1
    assert (result.verdict, result.reason) == (qs.Verdict.UNKNOWN, Reason.MEMORY)


def test_limits_reach_the_solver() -> None:
    solver = Fake(without_count)
    qs.verify(SPEC.at(**FAILING), solver=solver, timeout=30, memory=100, seed=5)
    (_, limits) = solver.asked[0]
    assert limits.memory == 100
    assert limits.seed == 5
    assert limits.seconds is not None
    assert 0 < limits.seconds <= 30
    qs.verify(SPEC.at(**FAILING), solver=solver, timeout=None, memory=None)
    last = solver.asked[-1][1]
    assert (last.seconds, last.memory, last.seed) == (None, None, 0)


@pytest.mark.parametrize("bad", [{"timeout": 0}, {"timeout": -1.0}, {"timeout": float("nan")}, {"memory": 1}], ids=str)
def test_limits_that_are_none_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="limit"):
        qs.verify(SPEC.at(**FAILING), solver=Fake(enumerated), **bad)


def test_compare_shows_who_agrees() -> None:
    solvers = [Fake(enumerated, "a"), Fake(shrugging, "b"), Fake(without_count, "c")]
    comparison = qs.compare(SPEC.at(**FAILING), solvers=solvers)
    assert comparison.verdict is qs.Verdict.VIOLATED
    assert comparison.agreement()["a", "c"] is True
    assert comparison.agreement()["a", "b"] is None
    assert [r.solver for r in comparison.results] == ["a", "b", "c"]
    assert qs.compare(SPEC.at(**FAILING), solvers=[Fake(shrugging)]).verdict is qs.Verdict.UNKNOWN


@pytest.mark.parametrize("parameters", [HOLDING, FAILING], ids=str)
def test_contradicting_solvers_are_a_soundness_error_with_a_reproducer(parameters: dict[str, object], inside: Path) -> None:
    liar = Fake(opposite if parameters is HOLDING else lambda p: Answer("unsat"), "liar")
    with pytest.raises(SoundnessError, match=r"contradict|does not replay"):
        qs.compare(SPEC.at(**parameters), solvers=[Fake(enumerated, "honest"), liar], without=ALL_OFF)
    (folder,) = inside.iterdir()
    facts = json.loads((folder / "facts.json").read_text())
    if parameters is FAILING:
        assert facts["verdict of liar"] == "HOLDS"
        assert facts["verdict of honest"] == "VIOLATED"


def test_solvers_that_cannot_run_are_refused_before_anything_is_compiled() -> None:
    absent = Fake(enumerated, available=Availability(False, missing="the program", install="pip install it"))
    with pytest.raises(SolverMissingError, match=r"the program\n.*\n.*pip install it"):
        qs.verify(SPEC, solver=absent)
    with pytest.raises(SolverMissingError, match=r"given:\s+nonesuch"):
        qs.verify(SPEC, solver="nonesuch")


def test_theories_that_a_solver_does_not_decide_are_refused() -> None:
    query = qs.query(qs.forall(X, then=X[0] * X[1] <= 3))
    with pytest.raises(UnsupportedError, match=r"given:\s+QF_BV"):
        compile_problem(query, Fake(enumerated), "QF_BV")
    with pytest.raises(UnsupportedError, match="QF_NIA"):
        compile_problem(query, Fake(enumerated, theories=("QF_LIA",)))
    with pytest.raises(UnsupportedError, match="no such theory"):
        compile_problem(query, Fake(enumerated, theories=("QF_XYZ",)))
    problem = compile_problem(query, Fake(enumerated, theories=("QF_LIA", "QF_NIA")))
    assert isinstance(problem, SmtProblem)
    assert problem.logic == "QF_NIA"


def test_passes_are_switched_off_by_name() -> None:
    solver = Fake(without_count)
    qs.verify(SPEC.at(**FAILING), solver=solver, without=ALL_OFF)
    (problem, _) = solver.asked[0]
    assert isinstance(problem, GridProblem)
    assert [type(n) for n in problem.query.program] == [type(n) for n in qs.query(SPEC.at(**FAILING)).program]
    qs.verify(SPEC.at(**FAILING), solver=solver)
    (shorter, _) = solver.asked[-1]
    assert isinstance(shorter, GridProblem)
    assert len(shorter.query.program) < len(problem.query.program)
    with pytest.raises(SpecError, match="no such pass"):
        qs.verify(SPEC.at(**FAILING), solver=solver, without=["nothing"])


def test_a_query_is_what_every_route_starts_from() -> None:
    query = qs.query(SPEC.at(**FAILING))
    assert [n.name for n in query.program if isinstance(n, Input)] == ["x"]


def test_a_missing_parameter_is_an_error_before_anything_runs() -> None:
    with pytest.raises(SpecError, match="limit=…"):
        qs.verify(SPEC, solver=Fake(enumerated))
