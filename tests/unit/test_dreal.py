"""What is handed to dReal has every solution of the query; what it says is read, and guarded against its habits.

dReal itself does not run in this project's tests: a stand-in takes its place (`fake_solvers/fake_dreal`).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from qspec.ir.enclosure import Enclosure, apply, satisfies
from qspec.ir.real import Affine as RealAffine
from qspec.ir.real import All, And, Apply, Function, Input, Matrix, Maximum, Or, Product, Query, exact, fractions
from qspec.problem import GridProblem, RealProblem
from qspec.solver import Limits, Reason
from qspec.testing.behaviour import REAL_CHECKS
from qspec.theories.nested_terms import BoundedReal, Call, Junction, Nested, SumComparison, Tree, WeightedSum, nest
from qspec_solvers.dreal import COMMAND_VARIABLE, DReal, translated
from qspec_solvers.process import End, Finished
from tests.soundness.random_real_queries import random_point, random_real_query

FAKE = Path(__file__).parent / "fake_solvers" / "fake_dreal"
QUICK = Limits(seconds=20)
ASKED = DReal(presolve=False)
"""These queries are small enough to be decided before dReal is asked, which is not what is tested."""


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the stand-in before whatever is installed, here and in the worker."""
    monkeypatch.delenv(COMMAND_VARIABLE, raising=False)
    monkeypatch.setenv("PYTHONPATH", str(FAKE))
    monkeypatch.syspath_prepend(str(FAKE))


def margin(query_node: list[list[object]], bias: list[object], function: Function | None, low: float = -1, high: float = 1) -> Query:
    nodes = [Input("x", exact([low, low]), exact([high, high])), RealAffine(((Matrix(exact(query_node)), 0),), exact(bias))]
    if function is not None:
        nodes += [Apply(1, function), RealAffine(((Matrix(exact([[1]])), 2),), exact([Fraction(-1, 2)]))]
    return Query(tuple(nodes), All(len(nodes) - 1))


def ranges(nested: Nested, point: Mapping[str, list[Fraction]]) -> list[Enclosure]:
    """Return enclosures of all atoms at a point; enclosed numbers are what they are enclosed in."""
    found: list[Enclosure] = []
    for atom in nested.atoms:
        if isinstance(atom, BoundedReal):
            low, high = Fraction(atom.lower), Fraction(atom.upper)
            if atom.input is not None:
                x = point[atom.input][atom.index]
                assert low <= x <= high
                low = high = x
            found.append(Enclosure(low, high))
        else:
            found.append(called(atom, [total(s, found) for s in atom.arguments]))
    return found


def total(given: WeightedSum, atoms: list[Enclosure]) -> Enclosure:
    low = high = Fraction(given.constant)
    for c, a in given.terms:
        ends = sorted((Fraction(c) * atoms[a].lower, Fraction(c) * atoms[a].upper))
        low, high = low + ends[0], high + ends[1]
    return Enclosure(low, high)


def called(call: Call, arguments: list[Enclosure]) -> Enclosure:
    if call.operator == "max":
        return Enclosure(max(a.lower for a in arguments), max(a.upper for a in arguments))
    if call.operator == "product":
        corners = [x * y for x in (arguments[0].lower, arguments[0].upper) for y in (arguments[1].lower, arguments[1].upper)]
        return Enclosure(min(corners), max(corners))
    return apply(Function(call.operator), arguments[0], 24)


def possible(tree: Tree, atoms: list[Enclosure]) -> bool:
    match tree:
        case bool():
            return tree
        case SumComparison(s, strict):
            high = total(s, atoms).upper
            return high > 0 if strict else high >= 0
        case Junction(operator, children):
            return (all if operator == "and" else any)(possible(c, atoms) for c in children)


@pytest.mark.parametrize("seed", range(60))
def test_the_nested_form_has_every_solution(seed: int) -> None:
    rng = np.random.default_rng(seed)
    query = random_real_query(rng)
    nested = nest(query)
    numbers = [
        x
        for a in nested.atoms
        for x in ((a.lower, a.upper) if isinstance(a, BoundedReal) else [c for s in a.arguments for c, _ in s.terms])
    ]
    assert all(isinstance(x, float) and math.isfinite(x) for x in numbers)
    for _ in range(10):
        point = random_point(rng, query)
        if satisfies(query, point) is not False:
            assert possible(nested.goal, ranges(nested, {n: fractions(v).tolist() for n, v in point.items()}))


def test_sums_of_sums_are_added_exactly_and_other_numbers_are_enclosed() -> None:
    third = Fraction(1, 3)
    nodes = (
        Input("x", exact([-1]), exact([third])),
        RealAffine(((Matrix(exact([[third], [third + Fraction(1, 2**70)]])), 0),), exact([0, 0])),
        RealAffine(((Matrix(exact([[3, 0], [0, 1], [1, 0]])), 1),), exact([0, 0, 0])),
    )
    nested = nest(Query(nodes, All(2)))
    first, second, *others = (a for a in nested.atoms if isinstance(a, BoundedReal))
    assert first == BoundedReal(-1.0, math.nextafter(1 / 3, 1), "x", 0)
    assert Fraction(first.upper) >= third
    enclosed = [second, *others]
    assert all(v.input is None and v.upper == math.nextafter(v.lower, 1) for v in enclosed)
    assert len({v.index for v in enclosed}) == len(enclosed) == 2, "numbers between the same doubles are different variables"
    assert isinstance(nested.goal, Junction)
    assert nested.goal.children[0] == SumComparison(WeightedSum(0.0, ((1.0, 0),)), False)


@pytest.mark.usefixtures("fake")
class TestWithTheStandIn:
    def test_unsat(self) -> None:
        answer = ASKED.solve(RealProblem(margin([[1, 1]], [Fraction(-21, 10)], None)), QUICK)
        assert answer.status == "unsat", answer

    @pytest.mark.parametrize("function", [f for f in Function if f is not Function.RECIPROCAL])
    def test_a_model_of_the_strengthened_query_is_a_solution(self, function: Function) -> None:
        problem = RealProblem(margin([[2, 1]], [Fraction(1, 3)], function))
        answer = ASKED.solve(problem, QUICK)
        assert answer.status == "delta-sat", answer
        assert answer.model is not None
        assert satisfies(problem.query, problem.decode(answer.model))

    def test_products_maxima_and_reciprocals(self) -> None:
        x = Input("x", exact([1, 1]), exact([2, 2]))
        one = Matrix(exact([[1]]))
        nodes = (
            x,
            RealAffine(((Matrix(exact([[1, 0]])), 0),), exact([0])),
            RealAffine(((Matrix(exact([[0, 1]])), 0),), exact([0])),
            Product(1, 2),
            Apply(2, Function.RECIPROCAL),
            Maximum(0, np.array([[0, 1]])),
            RealAffine(((one, 3), (one, 4), (one, 5)), exact([Fraction(-13, 2)])),
        )
        answer = ASKED.solve(RealProblem(Query(nodes, All(6, strict=True))), QUICK)
        assert answer.status == "unsat" or answer.status == "delta-sat"
        beyond = (*nodes[:-1], RealAffine(((one, 3), (one, 4), (one, 5)), exact([Fraction(-36, 5)])))
        assert ASKED.solve(RealProblem(Query(beyond, All(6, strict=True))), QUICK).status == "unsat"

    def test_a_boundary_is_delta_sat_and_its_point_is_in_the_box(self) -> None:
        """No point reaches 2 + 1e-9, which is within delta of one that does."""
        problem = RealProblem(margin([[1, 1]], [Fraction(-2)], None))
        answer = ASKED.solve(problem, QUICK)
        assert answer.status == "delta-sat"
        assert answer.model is not None
        assert all(-1 <= v <= 1 for v in answer.model.values())

    def test_a_dying_solver_is_an_unknown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FAKE_DREAL", "dying")
        answer = ASKED.solve(RealProblem(margin([[1, 1]], [0], None)), QUICK)
        assert (answer.status, answer.reason) == ("unknown", Reason.CRASH)

    def test_what_monotonicity_decides_is_not_asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FAKE_DREAL", "dying")
        for bias, status in ((-Fraction(41, 20), "unsat"), (-Fraction(39, 20), "sat")):
            answer = DReal().solve(RealProblem(margin([[1, 1]], [bias], None)), QUICK)
            assert answer.status == status, answer

    @pytest.mark.parametrize("name", sorted(set(REAL_CHECKS) - {"time limit", "model", "repeatable"}))
    def test_behaviour(self, name: str) -> None:
        """Equations and splits of 45 variables are beyond the stand-in."""
        for solver in (DReal(), ASKED):
            assert REAL_CHECKS[name](solver, "real") == ""

    def test_the_time_limit_binds(self) -> None:
        assert ASKED.solve(RealProblem(margin([[1, 1]], [0], None)), Limits(seconds=0.01)).reason is Reason.TIMEOUT

    def test_availability(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert DReal().availability().ok
        monkeypatch.setenv("FAKE_DREAL", "broken")
        state = DReal().availability()
        assert not state.ok
        assert "libibex" in state.missing
        assert "ppa:dreal" in state.install


def test_availability_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(COMMAND_VARIABLE, raising=False)
    monkeypatch.setattr("qspec_solvers.dreal.find_spec", lambda _: None)
    state = DReal().availability()
    assert (state.ok, state.missing) == (False, "the Python package 'dreal'") or sys.version_info >= (3, 12)
    monkeypatch.setattr(sys, "version_info", (3, 13, 0))
    assert "3.12" in DReal().availability().missing
    monkeypatch.setenv(COMMAND_VARIABLE, "/nowhere/dreal --in")
    assert COMMAND_VARIABLE in DReal().availability().install


def test_what_it_cannot_take_is_refused() -> None:
    nothing = Query((), And(()))
    assert DReal().solve(GridProblem(nothing), QUICK).reason is Reason.UNSUPPORTED  # pyright: ignore[reportArgumentType]
    for delta in (0.0, -1.0, math.nan, math.inf):
        answer = DReal().solve(RealProblem(margin([[1, 1]], [0], None), delta=delta), QUICK)
        assert (answer.reason, "delta" in answer.detail) == (Reason.UNSUPPORTED, True)
    wide = Input("x", exact([-1] * 129), exact([1] * 129))
    query = Query((wide, RealAffine(((Matrix(exact([[1] * 129])), 0),), exact([0]))), All(1))
    answer = ASKED.solve(RealProblem(query), QUICK)
    assert answer.reason is Reason.TOO_LARGE
    assert "129" in answer.detail


def test_constants_are_not_asked_about() -> None:
    assert DReal().solve(RealProblem(Query((), Or(()))), QUICK).status == "unsat"
    sure = Query((Input("x", exact([1]), exact([2])),), All(0))
    answer = DReal().solve(RealProblem(sure), QUICK)
    assert (answer.status, answer.model) == ("sat", {"x[0]": 2})


COMMAND = """
import sys
text = sys.stdin.read()
assert text.count("(check-sat)") == 1 and "0x" in text
strong = "0x0.0p+0)" not in text.split("(assert")[-1]
box = ["v0 : [0.25, 0.75]", "v1 : [1, 1]"] if strong else ["v0 : [-1, -0.5]", "v1 : [ 0.125, 0.5 ]"]
absent = {unsat} == 1 or ({unsat} == 2 and strong)
print("unsat" if absent else chr(10).join(["delta-sat with delta = 0.001", *box]))
"""


@pytest.mark.parametrize(("unsat", "expected"), [(1, None), (0, (Fraction(1, 2), Fraction(1))), (2, (Fraction(-3, 4), Fraction(5, 16)))])
def test_a_command(unsat: int, expected: tuple[Fraction, Fraction] | None, tmp_path: Path) -> None:
    program = tmp_path / "dreal.py"
    program.write_text(COMMAND.format(unsat=unsat))
    problem = RealProblem(margin([[1, 1]], [0], None))
    answer = DReal(command=(sys.executable, str(program)), presolve=False).solve(problem, QUICK)
    assert answer.status == ("unsat" if expected is None else "delta-sat"), answer
    assert answer.model == (None if expected is None else dict(zip(("x[0]", "x[1]"), expected, strict=True)))


def test_what_a_command_prints() -> None:
    assert translated(Finished(End.EXIT, output="unsat\n")) == "unsat\n"
    assert translated(Finished(End.EXIT, output="delta-sat with delta = 0.1\nv3 : [-1e-05, 0]\nb : True\n")) == "delta-sat ((v3 -1/200000))"
