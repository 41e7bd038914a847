"""The linear problem of a query has exactly its solutions; texts say the same; what floating point finds is marked as such."""

from __future__ import annotations

import itertools
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import highspy
import numpy as np
import pytest

import qspec as qs
from qspec.arithmetic.rounding import Rounding
from qspec.bounds import interval
from qspec.bounds.tighten import bound
from qspec.errors import InternalError, SoundnessError, UnsupportedError
from qspec.ir import linear
from qspec.ir.integer import FALSE, TRUE, All, And, Any, Or, Query, check, formula_nodes
from qspec.ir.integer_builder import Builder
from qspec.ir.reference import satisfies
from qspec.passes import Pipeline
from qspec.problem import OPEN, MilpProblem, Problem, SmtProblem
from qspec.solver import Answer, Limits, Reason
from qspec.theories import lp_text, milp
from qspec.verify.export import to_milp
from qspec.verify.result import Answered, Evidence, Result, Verdict
from qspec_solvers.highs import Highs
from tests.golden.cases import cases
from tests.soundness.random_queries import KINDS, assignments, random_query, solutions
from tests.unit.fake_solvers.in_process import Fake, enumerated, opposite
from tests.unit.naive_milp import feasible, rows

CASES = cases()
NET = qs.Sequential(
    qs.Input((2,), qs.Fixed(3, 0, signed=False)),
    qs.Dense(qs.Tensor(np.array([[1, -1], [-1, 1]]), qs.Fixed(3, 0)), activation=qs.ReLU(), output=qs.Fixed(5, 0)),
    qs.Dense(qs.Tensor(np.array([[1], [1]]), qs.Fixed(3, 0))),
)
X = NET.input("x")
TRUE_SPEC = qs.forall(X, then=3 * NET(X) + 5 * X[0] != 7, name="true")
FALSE_SPEC = qs.forall(X, then=NET(X) <= 6, name="false")
ABSENT = qs.exists(X, then=3 * NET(X) + 5 * X[0] == 7, name="absent")


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a directory of its own, where reproducers are written."""
    monkeypatch.chdir(tmp_path)


def lowered(query: Query) -> MilpProblem:
    return milp.lower(query, bound(query.program, tuple(formula_nodes(query.goal))))


def pinned(query: Query, problem: MilpProblem, point: dict[str, np.ndarray]) -> dict[str, int]:
    return {s.text: int(point[s.input][s.index]) for s in problem.symbols}


def assert_exact(query: Query, problem: MilpProblem, seed: int, most: int) -> None:
    """At some points, or all: the rest of the columns has values that meet every row exactly if the query is true there."""
    points = assignments(query)
    total = next(iter(points.values())).shape[0]
    chosen = range(total) if total <= most else np.random.default_rng(seed).choice(total, most, replace=False).tolist()
    for k in chosen:
        point = {name: array[k] for name, array in points.items()}
        found = feasible(problem, pinned(query, problem, point))
        assert (found is not None) is satisfies(query, point), point
        if found is not None:
            assert satisfies(query, problem.decode(found))


@pytest.mark.parametrize("name", CASES)
def test_every_operation(name: str) -> None:
    assert_exact(CASES[name], lowered(CASES[name]), 0, 200)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("first", range(0, 40, 10))
def test_random_queries_of_one_operation(kind, first: int) -> None:
    for seed in range(first, first + 10):
        query = random_query(np.random.default_rng(seed), kinds=(kind, "affine"))
        assert_exact(query, lowered(query), seed, 8)


@pytest.mark.parametrize("first", range(0, 100, 10))
def test_random_queries(first: int) -> None:
    for seed in range(first, first + 10):
        query = random_query(np.random.default_rng(seed))
        assert_exact(query, lowered(query), seed, 8)


@pytest.mark.parametrize("seed", range(40))
def test_loose_bounds_are_as_exact_as_tight_ones(seed: int) -> None:
    query = random_query(np.random.default_rng(seed))
    assert_exact(query, milp.lower(query, interval.bound(query.program)), seed, 8)


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize(("numerator", "denominator"), [(1, 8), (3, 7), (5, 2), (1431655765, 1 << 33)])
def test_roundings_with_and_without_ends(rounding: Rounding, numerator: int, denominator: int) -> None:
    for ends in itertools.product((None, -2), (None, 5)):
        for code in (-3, -2, 0, 1, 4, 5):
            b = Builder()
            y = b.rescale(b.input("x", [-40], [40]), numerator, denominator, rounding, offset=3, lower=ends[0], upper=ends[1])
            goal = And((All(b.scale(y, 1, -code)), All(b.scale(y, -1, code))))
            query = check(Query(b.program, goal))
            assert_exact(query, lowered(query), code + 3, 12)


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("seed", range(1000, 1040))
def test_highs_agrees_with_enumeration(seed: int) -> None:
    query = random_query(np.random.default_rng(seed))
    problem = lowered(query)
    answer = Highs().solve(problem, Limits())
    assert answer.status == ("sat" if solutions(query).size else "unsat")
    assert not answer.numerical
    if answer.model is not None:
        assert satisfies(query, problem.decode(answer.model))


def test_no_constant_is_larger_than_the_proved_bounds() -> None:
    """A saturated rounding and a rectified maximum of an argument between -90 and 90."""
    b = Builder()
    x = b.input("x", [-90, -90], [90, 90])
    clamped = b.rescale(x, 1, 8, Rounding.RND, lower=0, upper=7)
    rectified = b.maximum(x, [[0, 1]])
    goal = And((Any(b.scale(clamped, 1, -7)), All(b.scale(rectified, 1, -3))))
    problem = lowered(check(Query(b.program, goal)))
    assert max(abs(problem.coefficients)) <= 180
    assert max(abs(end) for ends in (problem.row_lower, problem.row_upper) for end in ends if abs(end) < OPEN) <= 180


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [(0, 2**60, "bound"), (-(2**53) - 1, 0, "bound"), (0, 2**52, "sum")],
)
def test_numbers_that_no_double_holds_are_refused(low: int, high: int, says: str) -> None:
    b = Builder()
    x = b.input("x", [low, 0], [high, 1])
    reached = All(b.affine([(linear.Dense(np.array([[3, 7]])), x)], -7)) if says == "sum" else TRUE
    query = check(Query(b.program, reached))
    with pytest.raises(UnsupportedError, match=f"{says} is too wide(.|\n)*QF_BV"):
        lowered(query)


def test_a_common_divisor_leaves_its_row_and_rounds_its_ends_inwards() -> None:
    b = Builder()
    x = b.input("x", [0, 0], [9, 9])
    total = b.affine([(linear.Dense(2**60 * np.array([[2, 4]])), x)], -(2**60))
    problem = lowered(check(Query(b.program, All(total))))
    assert (problem.coefficients.tolist(), problem.row_lower.tolist()) == ([1, 2], [1])
    equal = Builder()
    x = equal.input("x", [0, 0], [9, 9])
    odd = equal.affine([(linear.Dense(np.array([[2, 4], [-2, -4]])), x)], [-5, 5])
    assert Highs().solve(lowered(check(Query(equal.program, All(odd)))), Limits()).status == "unsat"


def test_products_of_wide_factors_are_refused_and_of_one_narrow_factor_are_not() -> None:
    for wide, accepted in ((1 << 16, True), (1 << 17, False)):
        b = Builder()
        x, y = b.input("x", [0], [wide - 1]), b.input("y", [0], [1 << 20])
        reached = All(b.scale(b.product(x, y), 1, -6))
        query = check(Query(b.program, reached))
        if accepted:
            assert feasible(lowered(query), {"x_0": 3, "y_0": 2}) is not None
            assert feasible(lowered(query), {"x_0": 5, "y_0": 1}) is None
        else:
            with pytest.raises(UnsupportedError, match="QF_BV"):
                lowered(query)


@pytest.mark.parametrize(("goal", "status"), [(TRUE, "sat"), (FALSE, "unsat"), (Or(()), "unsat"), (And(()), "sat")])
@pytest.mark.parametrize("inputs", [0, 1])
def test_constant_goals(goal, status: str, inputs: int) -> None:
    b = Builder()
    if inputs:
        b.input("x", [2], [3])
    problem = lowered(Query(b.program, goal))
    answer = Highs().solve(problem, Limits())
    assert answer.status == status
    assert answer.model is None or set(answer.model) == {s.text for s in problem.symbols}
    for suffix, text in (("lp", lp_text.lp(problem)), ("mps", lp_text.mps(problem))):
        assert read_back(text, suffix)[1] == status


def read_back(text: str, suffix: str) -> tuple[highspy.Highs, str]:
    """Return what HiGHS makes of a file, and whether it is feasible."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"problem.{suffix}"
        path.write_text(text)
        solver = highspy.Highs()
        solver.setOptionValue("output_flag", False)
        solver.setOptionValue("threads", 1)
        assert solver.readModel(str(path)) == highspy.HighsStatus.kOk
    solver.run()
    status = solver.getModelStatus()
    assert status in (highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kModelEmpty)
    return solver, "unsat" if status == highspy.HighsModelStatus.kInfeasible else "sat"


def arrays(solver: highspy.Highs) -> dict[str, tuple[float, float, bool]]:
    lp = solver.getLp()
    whole = [kind == highspy.HighsVarType.kInteger for kind in lp.integrality_] or [False] * lp.num_col_
    return {n: (lo, up, w) for n, lo, up, w in zip(lp.col_names_, lp.col_lower_, lp.col_upper_, whole, strict=True)}


@pytest.mark.parametrize("suffix", ["lp", "mps"])
@pytest.mark.parametrize("name", CASES)
def test_texts_are_read_back_and_mean_the_same(name: str, suffix: str) -> None:
    problem = lowered(CASES[name])
    solver, status = read_back({"lp": lp_text.lp, "mps": lp_text.mps}[suffix](problem), suffix)
    points = assignments(CASES[name])
    possible = any(satisfies(CASES[name], {n: a[k] for n, a in points.items()}) for k in range(next(iter(points.values())).shape[0]))
    assert status == ("sat" if possible else "unsat")
    assert arrays(solver) == {n: (lo, up, True) for n, lo, up in zip(problem.names, problem.lower, problem.upper, strict=True)}
    expected = {side for terms, low, high in rows(problem) for side in sides(problem, terms, low, high, suffix)}
    assert written_rows(solver) == expected or (not expected and solver.getNumRow() <= 1)


Side = tuple[frozenset[tuple[str, float]], float, float]


def sides(problem: MilpProblem, terms: list[tuple[int, int]], low: int, high: int, suffix: str) -> list[Side]:
    """Return a row as a file has it: in LP files its two ends are rows of their own."""
    named = frozenset((problem.names[c], float(w)) for c, w in terms)
    least, most = (-np.inf if low <= -OPEN else float(low)), (np.inf if high >= OPEN else float(high))
    if suffix == "lp" and low != high and np.isfinite(least) and np.isfinite(most):
        return [(named, least, np.inf), (named, -np.inf, most)]
    return [(named, least, most)]


def written_rows(solver: highspy.Highs) -> set[Side]:
    lp = solver.getLp()
    matrix = lp.a_matrix_
    assert matrix.format_ == highspy.MatrixFormat.kColwise
    terms: list[set[tuple[str, float]]] = [set() for _ in range(lp.num_row_)]
    for c, name in enumerate(lp.col_names_):
        for k in range(matrix.start_[c], matrix.start_[c + 1]):
            terms[matrix.index_[k]].add((name, matrix.value_[k]))
    return {(frozenset(t), lo, up) for t, lo, up in zip(terms, lp.row_lower_, lp.row_upper_, strict=True)}


@pytest.mark.parametrize("spec", [TRUE_SPEC, FALSE_SPEC, ABSENT], ids=lambda s: s.name)
@pytest.mark.parametrize("presolve", [True, False])
def test_exported_files_give_the_verdict(spec: qs.Property, presolve: bool) -> None:
    expected = "sat" if spec is FALSE_SPEC else "unsat"
    assert read_back(qs.to_lp(spec, presolve=presolve), "lp")[1] == expected
    assert read_back(qs.to_mps(spec, presolve=presolve), "mps")[1] == expected


def test_no_name_is_an_operator_or_a_number_in_lp_files() -> None:
    names = {milp.column_name(name, 0) for name in ("e1", "E", "a-b", "~e1", "-", "free", "")}
    assert len(names) == 7
    assert not any("-" in n or "+" in n or n[0] in "eE0123456789." for n in names)


def test_what_highs_proves_is_exact() -> None:
    result = qs.verify(TRUE_SPEC, solver="highs", attack=False)
    assert (result.verdict, result.evidence) == (Verdict.HOLDS, Evidence.PROOF)
    data = json.loads(result.to_json())
    assert (data["evidence"], data["answers"][0]["numerical"], data["answers"][0]["theory"]) == ("PROOF", False, "milp")
    assert result.answers[0].statistics["refuted_boxes"] != 0
    assert result.answers[0].size == to_milp(TRUE_SPEC).coefficients.size


def test_what_highs_finds_is_replayed_and_exact() -> None:
    result = qs.verify(FALSE_SPEC, solver="highs", attack=False)
    assert (result.verdict, result.evidence) == (Verdict.VIOLATED, Evidence.MODEL)
    absent = qs.verify(ABSENT, solver="highs", attack=False)
    assert (absent.verdict, absent.evidence) == (Verdict.VIOLATED, Evidence.PROOF)


def numerically(truth: bool) -> Fake:
    def reply(problem: Problem) -> Answer:
        return replace((enumerated if truth else opposite)(problem), numerical=True, statistics={})

    return Fake(reply, name="floats")


def test_a_numerical_model_that_does_not_replay_is_unknown() -> None:
    result = qs.verify(TRUE_SPEC, solver=numerically(False))
    assert (result.verdict, result.reason) == (Verdict.UNKNOWN, Reason.NUMERICAL)
    with pytest.raises(SoundnessError):
        qs.verify(TRUE_SPEC, solver=Fake(opposite))


@pytest.mark.parametrize("truth", [True, False])
def test_infeasible_in_floating_point_is_unknown(truth: bool) -> None:
    spec = TRUE_SPEC if truth else FALSE_SPEC
    result = qs.verify(spec, solver=numerically(truth), attack=False)
    assert (result.verdict, result.reason) == (Verdict.UNKNOWN, Reason.NUMERICAL)
    assert "exact solver" in result.detail
    found = qs.compare(spec, solvers=[numerically(truth), Fake(enumerated, name="exact")])
    assert found.verdict is (Verdict.HOLDS if truth else Verdict.VIOLATED)
    assert found.agreement()["floats", "exact"] is None


def test_two_verdicts_that_contradict_each_other_are_an_error() -> None:
    solvers = {"exact": Fake(enumerated, name="exact")}
    with pytest.raises(SoundnessError):
        qs.compare(FALSE_SPEC, solvers=[Fake(lambda _: Answer("unsat"), name="liar"), solvers["exact"]])


def test_nothing_numerical_says_that_a_property_holds_vacuously() -> None:
    empty = qs.forall(X, given=3 * X[0] - 6 * X[1] == 2, then=NET(X) <= 6)
    without = tuple(p.name for p in Pipeline().passes)
    assert qs.verify(empty, solver=numerically(True), without=without, attack=False).verdict is Verdict.UNKNOWN
    assert qs.verify(empty, solver="highs", without=without, attack=False).vacuous is True
    assert qs.verify(empty, solver=Fake(enumerated), without=without).vacuous is True


def test_a_proof_cannot_rest_on_a_numerical_answer() -> None:
    problem = to_milp(TRUE_SPEC)
    answers = (Answered("unsat", None, "", 0.1, "milp", problem.fidelity, 3, numerical=True),)
    with pytest.raises(InternalError):
        Result(Verdict.HOLDS, "forall", "p", Evidence.PROOF, answers=answers)


def test_an_option_that_highs_does_not_take_is_unknown() -> None:
    problem = to_milp(TRUE_SPEC)
    for option in ("no_such_option=1", "mip_feasibility_tolerance=1e-20", "threads=many"):
        answer = Highs(options=(option,)).solve(problem, Limits())
        assert (answer.status, answer.reason, answer.numerical) == ("unknown", Reason.UNSUPPORTED, False)
    assert Highs(options=("presolve=off", "mip_detect_symmetry=false")).solve(problem, Limits()).status == "unsat"


def test_highs_takes_linear_problems_only() -> None:
    answer = Highs().solve(SmtProblem("QF_LIA", "(set-logic QF_LIA)\n", (), {}), Limits())
    assert (answer.status, answer.reason) == ("unknown", Reason.UNSUPPORTED)
