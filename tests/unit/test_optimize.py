"""Optima equal those of enumeration, ends move only on evidence, and largest radii and fewest bits are what verdicts one by one say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qspec as qs
from qspec.deadline import Deadline
from qspec.errors import ShapeError, SoundnessError, SpecError
from qspec.extremes.bisection import Bracket, questions
from qspec.language.expressions import Expression
from qspec.language.interpret import Interpreter
from qspec.passes import Pipeline
from qspec.problem import GridProblem, Problem, grid_model
from qspec.solver import Answer, Reason
from qspec.testing.examples.parts import mlp
from qspec.testing.exhaustive import members
from tests.soundness.random_networks import narrowed
from tests.soundness.random_queries import assignment, solutions
from tests.unit.fake_solvers.in_process import Fake, enumerated, shrugging
from tests.unit.random_networks import Dice, random_network

ALL_OFF = tuple(p.name for p in Pipeline().passes)
NET = mlp(outputs=2, seed=34)
X = NET.input("x")
TENTHS = qs.Sequential(
    qs.Input((2,), qs.Affine(3, True, Fraction(1, 10), 1)),
    qs.Dense(qs.Tensor(np.array([[1, -1], [2, 1]]), qs.Fixed(3, 0)), output=qs.Affine(4, False, Fraction(7, 30), 5)),
    name="tenths",
)


NOT_ONE: Any = qs.forall(X, then=X[0] > 0)


def values_of(objective: qs.Objective) -> list[Fraction]:
    """Return the value of an objective at every point that meets its assumption, by enumeration and the interpreter."""
    found: list[Fraction] = []
    for point in product(*(members(v.domain) for v in objective.variables)):
        run = Interpreter({v.name: codes.reshape(v.shape) for v, codes in zip(objective.variables, point, strict=True)})
        if run.truth(objective.given):
            found.append(Fraction(run.values(objective.expression).item()))
    return found


def attained(objective: qs.Objective, found: qs.Optimum) -> Fraction:
    """Return the value of the witness, which must meet the assumption."""
    assert found.witness is not None
    assert all(found.witness[v.name].shape == v.shape for v in objective.variables)
    run = Interpreter(found.witness)
    assert run.truth(objective.given)
    return Fraction(run.values(objective.expression).item())


def check(objective: qs.Objective, **options: Any) -> qs.Optimum:
    """Optimise, and compare with enumeration: the end, and every interval on the way."""
    values = values_of(objective)
    truth = max(values) if objective.sense == "maximize" else min(values)
    last: qs.Optimum | None = None
    for found in qs.optimizing(objective, **options):
        assert found.lower <= truth <= found.upper
        if found.witness is not None:
            assert attained(objective, found) == (found.lower if objective.sense == "maximize" else found.upper)
        assert last is None or last.lower <= found.lower
        assert last is None or found.upper <= last.upper
        last = found
    assert last is not None
    assert last.closed == (last.lower == truth == last.upper and last.witness is not None)
    assert last.closed == (last.reason is None)
    return last


def random_objective(seed: int) -> qs.Objective:
    """Return a random objective over a random network, with about a hundred points."""
    r = Dice(seed)
    net = random_network(seed)
    xs = narrowed(r, net, "", 100)
    out = [e.flatten() for e in net.outputs_of(*xs)]
    y, z = r.choice(out), r.choice([*out, *(x.flatten() for x in xs)])
    forms: list[Expression] = [
        qs.sum(y) - 2 * z[0],
        qs.dot([r.randint(-3, 3) for _ in range(y.size)], y) + qs.q("1/3"),
        abs(y[0] - z[-1]),
        qs.max(y) - qs.max(z),
        qs.min(y) + qs.l1(z),
        qs.linf(y) - abs(z[0]),
        y[0] * z[-1],
        qs.l0(y) + z[0] / 7,
    ]
    middle = Interpreter({v.name: next(members(v.domain)).reshape(v.shape) for v in xs}).values(z).reshape(-1)[0]
    given = r.choice([None, None, z[0] >= qs.q(middle), z[0] * z[-1] <= qs.q(middle) * qs.q(middle)])
    sense = r.choice([qs.maximize, qs.minimize])
    return sense(r.choice(forms), *xs, given=given, name=f"seed {seed}")


@pytest.mark.parametrize("seed", range(24))
def test_an_optimum_is_that_of_enumeration(seed: int) -> None:
    assert check(random_objective(seed), solver=Fake(enumerated), timeout=None).closed


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize(("solver", "theory"), [("enumerate", None), ("z3", "QF_LIA"), ("z3", "QF_BV"), ("bitwuzla", None), ("cvc5", None)])
@pytest.mark.parametrize("seed", [40, 41, 42, 43])
def test_every_solver_finds_the_optimum(solver: str, theory: str | None, seed: int) -> None:
    found = check(random_objective(seed), solver=solver, theory=theory, timeout=None, attack=seed % 2 == 0)
    assert found.closed
    assert found.solver == solver


def test_the_default_needs_no_choice() -> None:
    assert check(qs.maximize(NET(X)[0] - NET(X)[1], X)).closed


def test_two_copies_share_what_the_assumption_equates() -> None:
    a, b = NET.input("a"), NET.input("b")
    bias = qs.maximize(abs(NET(a)[0] - NET(b)[0]), a, b, given=qs.same(a, b, except_for=[0]), name="bias")
    found = check(bias, solver="bitwuzla")
    assert found.closed
    assert str(found).startswith(f"maximum of bias = {found.lower}, bitwuzla, {found.asked} verdicts")


@pytest.mark.parametrize("sense", [qs.maximize, qs.minimize])
def test_values_on_grids_that_are_not_whole(sense) -> None:
    x = TENTHS.input("x")
    found = check(sense(TENTHS(x)[0] * x[1] - x[0], x, given=qs.linf(x) <= qs.q("3/10")), solver=Fake(enumerated))
    assert found.closed
    assert found.lower.denominator > 1


def test_parameters_are_given_when_optimising() -> None:
    least, at = qs.parameter("least"), qs.parameter("at", 2)
    objective = qs.maximize(qs.sum(NET(X)) * least, X, given=qs.linf(X.code - at) <= least)
    plain = qs.maximize(qs.sum(NET(X)) * 2, X, given=qs.linf(X.code - np.array([1, -1])) <= 2)
    found = qs.optimize(objective.at(least=2, at=[1, -1]), solver="z3")
    assert (found.lower, found.upper) == (max(values_of(plain)),) * 2
    assert found.parameters == {"least": 2, "at": [1, -1]}
    with pytest.raises(SpecError, match="has no value"):
        qs.optimize(objective.at(least=2))
    with pytest.raises(SpecError, match="no such parameter"):
        qs.optimize(plain.at(least=2))


def test_a_constant_objective_is_its_value_where_there_is_a_point() -> None:
    found = qs.optimize(qs.maximize(qs.q("5/3"), X, given=X[0] > 1), solver=Fake(shrugging))
    assert found.closed
    assert found.lower == Fraction(5, 3)


@pytest.mark.parametrize("options", [{}, {"without": ALL_OFF}], ids=["presolved", "asked"])
@pytest.mark.parametrize("given", [X[0] > 5, X[0] * X[0] == 2, (X[0] > X[1]) & (X[1] >= X[0])], ids=["box", "product", "cycle"])
def test_an_assumption_that_nothing_meets_is_an_error(given, options: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="no point meets the assumption"):
        qs.optimize(qs.minimize(NET(X)[0], X, given=given), solver=Fake(enumerated), **options)


def test_what_nobody_knows_moves_no_end() -> None:
    objective = qs.maximize(NET(X)[0] * X[1], X, given=X[0] * X[1] > 1, name="gain")
    solver = Fake(shrugging, theories=("QF_BV",))
    found = check(objective, solver=solver, attack=False, without=ALL_OFF)
    assert (found.closed, found.witness, found.reason) == (False, None, Reason.INCOMPLETE)
    assert len(found.steps) == 1
    assert found.asked == len(solver.asked) > 1
    assert "if any point meets the assumption" in str(found)
    assert Reason.INCOMPLETE.value in str(found)


def test_a_solver_that_only_finds_leaves_the_far_end_open() -> None:
    def finds(problem: Problem) -> Answer:
        answer = enumerated(problem)
        return answer if answer.status == "sat" else Answer("unknown", reason=Reason.MEMORY, detail="too much")

    found = check(qs.maximize(NET(X)[0] - X[1] * 3, X), solver=Fake(finds), without=ALL_OFF)
    assert (found.closed, found.reason, found.detail) == (False, Reason.MEMORY, "too much")
    assert found.lower == max(values_of(qs.maximize(NET(X)[0] - X[1] * 3, X)))
    assert found.lower < found.upper == found.steps[0].upper


def test_a_solver_that_only_proves_closes_from_above() -> None:
    def proves(problem: Problem) -> Answer:
        answer = enumerated(problem)
        return answer if answer.status == "unsat" else Answer("unknown")

    objective = qs.maximize(NET(X)[0] - X[1] * 3, X, given=X[0] + X[1] >= -100)
    found = check(objective, solver=Fake(proves), without=ALL_OFF, attack=False)
    assert (found.closed, found.witness) == (False, None)
    assert found.upper == max(values_of(objective))


def test_floating_point_proves_nothing() -> None:
    def numerical(problem: Problem) -> Answer:
        return replace(enumerated(problem), numerical=True)

    objective = qs.maximize(NET(X)[0] - X[1] * 3, X)
    found = check(objective, solver=Fake(numerical), without=ALL_OFF)
    assert (found.closed, found.reason) == (False, Reason.NUMERICAL)
    assert "floating point" in found.detail
    assert found.lower == max(values_of(objective))
    assert found.upper == found.steps[0].upper
    assert qs.optimize(qs.maximize(X[0], X, given=X[0] * X[0] == 2), solver=Fake(numerical), without=ALL_OFF).witness is None
    radius = qs.largest_radius(ROBUST.at(centre=CENTRE), solver=Fake(numerical), without=ALL_OFF)
    assert (radius.holds, radius.closed) == (None, False)
    assert radius.violated is not None
    widths = qs.fewest_bits(of_width, near, bits=range(2, 9), samples=[{"tolerance": 1}], solver=Fake(numerical), without=ALL_OFF)
    assert widths.fewest is None


def test_what_ran_out_of_time_is_asked_again_with_more() -> None:
    def slow(problem: Problem) -> Answer:
        seconds = solver.asked[-1][1].seconds
        assert seconds is not None
        return enumerated(problem) if seconds > 300 else Answer("unknown", reason=Reason.TIMEOUT)

    solver = Fake(slow)
    assert check(qs.maximize(NET(X)[0] - X[1] * 3, X), solver=solver, without=ALL_OFF, timeout=1000).closed
    assert {answer.seconds is not None and answer.seconds > 300 for _, answer in solver.asked} == {False, True}


def test_no_time_leaves_what_bounds_say() -> None:
    found = check(qs.maximize(NET(X)[0] - X[1] * 3, X), solver=Fake(enumerated), timeout=1e-9)
    assert (found.closed, found.reason, found.asked) == (False, Reason.TIMEOUT, 0)
    assert len(found.steps) == 1


def test_intervals_come_one_by_one_and_may_be_enough() -> None:
    objective = qs.maximize(qs.sum(NET(X)) + 5 * X[0], X)
    solver = Fake(enumerated)
    seen = qs.optimizing(objective, solver=solver, without=ALL_OFF)
    first = next(seen)
    assert (first.asked, first.reason, solver.asked) == (0, None, [])
    found = list(seen)[-1]
    ends = [(step.lower, step.upper) for step in found.steps]
    assert ends[0] == (first.lower, first.upper)
    assert ends[-1] == (found.lower, found.upper)
    assert len(set(ends)) == len(ends)
    assert all(a.seconds <= b.seconds for a, b in pairwise(found.steps))


def test_a_point_beyond_a_proof_is_a_soundness_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def lies_once(problem: Problem) -> Answer:
        """The point with the least objective, a lie, then the point with the greatest."""
        assert isinstance(problem, GridProblem)
        rows = solutions(problem.query)
        row = 0 if len(solver.asked) == 1 else -1
        return Answer("unsat") if len(solver.asked) == 2 else Answer("sat", grid_model(assignment(problem.query, rows[row])))

    solver = Fake(lies_once)
    with pytest.raises(SoundnessError, match="beyond a proved bound"):
        qs.optimize(qs.maximize(X[0], X), solver=solver, without=ALL_OFF)
    assert len(solver.asked) == 3
    (folder,) = tmp_path.iterdir()
    assert json.loads((folder / "facts.json").read_text())["found"] == "3/2"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: qs.maximize(NET(X), X), "one number"),
        (lambda: qs.maximize(NET(X)[0]), "quantifies nothing"),
        (lambda: qs.maximize(NET(X)[0], 3), "only variables"),
        (lambda: qs.minimize(NET(X)[0], X, X), "one name"),
        (lambda: qs.minimize(NET(X)[0], X, given=NET(X) > 0), "not one truth"),
        (lambda: qs.optimize(qs.maximize(NET(X)[0], NET.input("z"))), "not quantified"),
        (lambda: qs.optimize(NOT_ONE), "not an objective"),
        (lambda: qs.optimize(qs.maximize(NET(X)[0], X), timeout=-1), "time limit"),
        (lambda: bool(qs.optimize(qs.maximize(X[0], X))), "not a truth value"),
    ],
)
def test_a_malformed_objective_says_so(make, said: str) -> None:
    with pytest.raises((SpecError, ShapeError), match=said):
        make()


# Brackets


def answered(bracket: Bracket, border: int, dark: Sequence[int] = (), share: float | None = None) -> list[int]:
    """Answer questions about "at most the border", but none about dark numbers; return what was asked."""
    asked: list[int] = []
    for k, seconds in questions(bracket, Deadline.after(share)):
        asked.append(k)
        assert (seconds is None) == (share is None)
        if k in dark:
            bracket.skip(k, again=False)
        elif k <= border:
            bracket.rise(k)
        else:
            bracket.fall(k)
    return asked


@pytest.mark.parametrize("border", range(-1, 20))
def test_a_bracket_closes_by_bisection(border: int) -> None:
    bracket = Bracket(-1, 20)
    assert len(answered(bracket, border)) <= 5
    assert (bracket.closed, bracket.lower) == (True, border)


@pytest.mark.parametrize("border", range(-1, 20))
@pytest.mark.parametrize("dark", [range(8, 13), range(1), range(20), range(19, 20)], ids=str)
def test_a_bracket_closes_around_what_nobody_knows(border: int, dark: range) -> None:
    bracket = Bracket(-1, 20)
    asked = answered(bracket, border, dark, share=1000.0)
    assert len(asked) == len(set(asked))
    assert bracket.lower <= border < bracket.upper
    if not bracket.closed:
        assert bracket.lower + 1 in dark
        assert bracket.upper - 1 in dark


# Largest radius

CENTRE = np.array([1, -1])
LABEL = int(NET.evaluate(CENTRE).argmax())
ROBUST = qs.properties.local_robustness(NET, qs.parameter("centre", 2), qs.parameter("radius"), LABEL)


def one_by_one(spec: qs.Property, values: Sequence[object], **parameters: Any) -> list[bool]:
    """Return whether the property holds for each value, by enumeration."""
    verdicts = [qs.verify(spec.at(radius=v, **parameters), solver=Fake(enumerated)).verdict for v in values]
    assert qs.Verdict.UNKNOWN not in verdicts
    return [v is qs.Verdict.HOLDS for v in verdicts]


@cache
def around(centre: tuple[int, int]) -> tuple[qs.Property, list[bool]]:
    """Return the robustness of a point with its radius open, and whether it holds for each of eight radii."""
    spec = qs.properties.local_robustness(NET, qs.parameter("centre", 2), qs.parameter("radius"), int(NET.evaluate(centre).argmax()))
    return spec, one_by_one(spec, range(8), centre=centre)


@pytest.mark.parametrize("centre", list(product([-4, 0, 1, 3], repeat=2)), ids=str)
@pytest.mark.parametrize("high", [None, 3, 20])
def test_the_largest_radius_is_that_of_verdicts_one_by_one(centre: tuple[int, int], high: int | None) -> None:
    label = int(NET.evaluate(centre).argmax())
    spec, truth = around(centre)
    found = qs.largest_radius(spec.at(centre=centre), high=high, solver=Fake(enumerated))
    last = truth.index(False) - 1 if False in truth else 7
    assert found.closed
    assert found.reason is None
    assert found.everywhere == (False not in truth or (high is not None and high <= last))
    if found.everywhere:
        assert found.violated is found.counterexample is None
        assert found.holds is not None
        assert found.holds >= min(last, high or last)
    else:
        assert (found.holds, found.violated) == (last, last + 1)
        assert found.counterexample is not None
        assert np.abs(found.counterexample["x"] - centre).max() == last + 1
        assert int(NET.evaluate(found.counterexample["x"]).argmax()) != label
    assert len({v for v, _ in found.verdicts}) == len(found.verdicts)


@pytest.mark.parametrize("solver", ["enumerate", "z3", "bitwuzla"])
def test_solvers_find_the_same_radius(solver: str) -> None:
    found = qs.largest_radius(ROBUST.at(centre=CENTRE), solver=solver)
    truth = one_by_one(ROBUST, range(8), centre=CENTRE)
    assert (found.holds, found.violated) == (truth.index(False) - 1, truth.index(False))
    assert "holds up to radius" in str(found)
    assert [r.verdict for v, r in found.verdicts if v <= truth.index(False) - 1] != []


def test_a_counterexample_also_refutes_smaller_values() -> None:
    spec = qs.forall(X, given=qs.linf(X.code) <= qs.parameter("radius"), then=(X.code[0] != 3) | (X.code[1] != 0))
    found = qs.largest_radius(spec, solver=Fake(enumerated))
    assert (found.holds, found.violated, found.closed) == (2, 3, True)
    assert [value for value, _ in found.verdicts] == [0, 1, 2, 4]


def test_steps_may_be_fractions() -> None:
    a, b = TENTHS.input("a"), TENTHS.input("b")
    apart = qs.parameter("apart")
    spec = qs.forall(a, b, given=qs.linf(a - b) <= apart, then=qs.linf(TENTHS(a) - TENTHS(b)) <= qs.q("7/5"))
    found = qs.largest_radius(spec, parameter="apart", low="1/20", step="1/20", solver="z3")
    verdicts = {k: qs.verify(spec.at(apart=Fraction(k, 20)), solver="z3").verdict for k in range(1, 15)}
    holding = [k for k, v in verdicts.items() if v is qs.Verdict.HOLDS]
    assert holding == list(range(1, len(holding) + 1))
    assert (found.holds, found.violated) == (Fraction(holding[-1], 20), Fraction(holding[-1] + 1, 20))


def test_what_fails_at_once_holds_nowhere() -> None:
    spec = qs.properties.local_robustness(NET, CENTRE, qs.parameter("radius"), 1 - LABEL)
    found = qs.largest_radius(spec, solver=Fake(enumerated))
    assert (found.holds, found.violated, found.closed, found.everywhere) == (None, 0, True, False)
    assert len(found.verdicts) <= 2
    assert "violated from 0" in str(found)


def test_a_radius_that_nobody_can_tell_stays_open() -> None:
    found = qs.largest_radius(ROBUST.at(centre=CENTRE), solver=Fake(shrugging), attack=False, without=ALL_OFF)
    assert (found.holds, found.violated, found.closed, found.reason) == (None, None, False, Reason.INCOMPLETE)
    assert qs.largest_radius(ROBUST.at(centre=CENTRE), solver=Fake(enumerated), timeout=1e-9).reason is Reason.TIMEOUT


def test_a_radius_is_narrowed_beside_what_nobody_can_tell() -> None:
    wide = qs.forall(X, given=qs.linf(X.code) <= qs.parameter("radius"), then=qs.sum(X.code) != 100, name="wide")

    def dark(problem: Problem) -> Answer:
        assert isinstance(problem, GridProblem)
        widths = [int((n.upper - n.lower).max()) for n in problem.query.inputs.values()]
        return Answer("unknown", reason=Reason.MEMORY) if 4 <= widths[0] < 6 else enumerated(problem)

    found = qs.largest_radius(wide, high=3, solver=Fake(dark), without=[p for p in ALL_OFF if p != "box"])
    assert (found.holds, found.everywhere, found.closed) == (3, True, True)


@pytest.mark.parametrize("beyond", [4, 6])
def test_a_violation_below_a_proof_is_noticed(beyond: int) -> None:
    radius = qs.parameter("radius")
    odd = qs.forall(X, given=(qs.linf(X.code) == radius) & (X.code[0] >= radius), then=X.code[0] != 2, name="odd")
    assert one_by_one(odd, [1, 2, 3]) == [True, False, True]
    with pytest.raises(SpecError, match="not monotone"):
        qs.largest_radius(odd, high=beyond, solver=Fake(enumerated))


@pytest.mark.parametrize(
    ("spec", "options", "said"),
    [
        (ROBUST, {"parameter": "centre"}, "no such parameter of one number"),
        (ROBUST.at(centre=CENTRE), {"parameter": "size"}, "radius"),
        (ROBUST.at(centre=CENTRE, radius=3), {}, "has a value"),
        (ROBUST.at(centre=CENTRE), {"step": 0}, "nothing to search"),
        (ROBUST.at(centre=CENTRE), {"low": 3, "high": 2}, "nothing to search"),
        (ROBUST, {}, "has no value"),
        (qs.exists(X, then=X[0] <= qs.parameter("radius")), {}, "forall"),
        (qs.forall(X, then=X[0] >= -2 - qs.parameter("radius")), {"solver": Fake(enumerated)}, "no end in sight"),
    ],
)
def test_a_search_that_makes_no_sense_says_so(spec: qs.Property, options: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        qs.largest_radius(spec, **options)


# Fewest bits

WEIGHTS = np.array([[0.9, -0.35], [0.3, 0.8]])


def of_width(bits: int) -> qs.Network:
    """Return one layer with its weights rounded to so many bits."""
    weights = qs.quantize(WEIGHTS, qs.Fixed(bits, bits - 1))
    return qs.Sequential(qs.Input((2,), qs.Fixed(3, 0)), qs.Dense(weights, output=qs.Fixed(bits + 2, bits - 2)), name=f"{bits} bits")


def near(net: qs.Network) -> qs.Property:
    """State that the second output stays close to the real one, which no width rounds alike."""
    x = net.input("x")
    exact = qs.q("-0.35") * x[0] + qs.q("0.8") * x[1]
    return qs.forall(x, given=qs.linf(x.code) <= 1, then=abs(net(x)[1] - exact) <= qs.parameter("tolerance"), name="near")


def holds(bits: int, tolerance: object) -> bool:
    return qs.verify(near(of_width(bits)).at(tolerance=tolerance), solver=Fake(enumerated)).verdict is qs.Verdict.HOLDS


@pytest.mark.parametrize("tolerance", ["1/2", "3/10", "1/10", "1/20", 0])
@pytest.mark.parametrize("every", [False, True])
def test_the_fewest_bits_are_those_of_verdicts_one_by_one(tolerance: str, every: bool) -> None:
    truth = {bits: holds(bits, tolerance) for bits in range(2, 9)}
    found = qs.fewest_bits(of_width, near, bits=[8, *range(2, 8)], samples=[{"tolerance": tolerance}], every=every, solver=Fake(enumerated))
    least = next((bits for bits, good in truth.items() if good), None)
    assert found.fewest == least
    assert found.certain
    assert [w.bits for w in found.table] == list(range(2, 9 if every or least is None else least + 1))
    assert all((w.verdict is qs.Verdict.HOLDS) == truth[w.bits] for w in found.table)
    assert f"{found.table[0].bits:>3} bits" in str(found)


def test_every_property_and_every_sample_counts() -> None:
    samples = [{"tolerance": "1/2"}, {"tolerance": "1/10"}]
    found = qs.fewest_bits(of_width, lambda net: [near(net), near(net)], bits=range(2, 9), samples=samples, solver=Fake(enumerated))
    assert found.fewest == next(bits for bits in range(2, 9) if holds(bits, "1/10"))
    assert len(found.table[-1].results) == 4


def test_an_unknown_width_leaves_doubt() -> None:
    first = Fake(lambda p: Answer("unknown") if len(first.asked) == 1 else enumerated(p))
    found = qs.fewest_bits(of_width, near, bits=range(7, 10), samples=[{"tolerance": "1/10"}], solver=first, without=ALL_OFF)
    assert (found.fewest, found.certain, found.table[0].verdict) == (8, False, qs.Verdict.UNKNOWN)
    assert "unknown" in str(found)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"bits": []}, "nothing to try"),
        ({"samples": []}, "nothing to try"),
        ({"specs": lambda net: []}, "nothing to check"),
        ({"make": lambda bits: bits}, "no network"),
    ],
)
def test_nothing_to_try_or_to_check_is_an_error(options: dict[str, Any], said: str) -> None:
    asked: dict[str, Any] = {"make": of_width, "specs": near, **options}
    with pytest.raises(SpecError, match=said):
        qs.fewest_bits(**asked)
