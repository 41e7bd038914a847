"""Verdicts about reals: what a candidate must pass, results and their JSON, named properties, thresholds, and the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

import qspec as qs
from qspec.cli import main
from qspec.problem import Problem, RealProblem, SmtProblem
from qspec.solver import Answer, Availability, Limits, Reason, Status
from qspec.verify.export import to_smt
from qspec.verify.result import Evidence

P = qs.real.properties
KERNEL = np.array([[1.0, -2.0], [0.5, 0.25]])
NET = qs.real.Sequential(
    qs.real.Input((2,)), qs.real.Dense(KERNEL, activation=qs.ReLU()), qs.real.Dense(np.array([[1.0], [-1.0]])), name="net"
)
SOFT = qs.real.Sequential(*(s.layer for s in NET.stages), qs.real.Activate(qs.Sigmoid()), name="soft")
X = NET.input("x", lower=-1, upper=1)
TRUE, FALSE = qs.forall(X, then=NET(X)[0] <= qs.q("3/2")), qs.forall(X, then=NET(X)[0] < qs.q("3/2"))
"""The greatest output is 3/2, at (1, 1) alone."""


@dataclass(frozen=True)
class Says:
    """A solver of reals that says what it was made to say."""

    answer: Callable[[RealProblem], Answer]
    name: str = "says"
    theories: tuple[str, ...] = ("real",)
    cite: str = ""

    def availability(self) -> Availability:
        return Availability(True)

    def solve(self, problem: Problem, limits: Limits) -> Answer:
        assert isinstance(problem, RealProblem)
        return self.answer(problem)


def saying(status: Status, *values: object, numerical: bool = False) -> Says:
    model = {f"x[{k}]": Fraction(str(v)) for k, v in enumerate(values)} if values else None
    return Says(lambda problem: Answer(status, model, numerical=numerical))


@pytest.mark.parametrize("solver", [None, "z3", "cvc5"])
def test_verdicts_are_exact_where_the_property_touches_its_bound(solver: str | None) -> None:
    looser = qs.forall(X, then=NET(X)[0] <= qs.q("1501/1000"))
    assert qs.verify(looser, solver=solver).verdict is qs.Verdict.HOLDS
    found = qs.verify(qs.forall(X, then=NET(X)[0] <= qs.q("1499/1000")), solver=solver)
    assert found.verdict is qs.Verdict.VIOLATED
    assert found.codes is None
    assert found.point is not None
    assert found.counterexample == found.point
    assert NET.enclose(found.point["x"])[0][0] > Fraction(1499, 1000)
    if solver is not None:
        assert qs.verify(TRUE, solver=solver).verdict is qs.Verdict.HOLDS
        touched = qs.verify(FALSE, solver=solver)
        assert touched.point is not None
        assert list(touched.point["x"]) == [1, 1]


def test_only_what_replays_is_a_violation() -> None:
    good = qs.verify(FALSE, solver=saying("delta-sat", 1, 1))
    assert (good.verdict, good.evidence) == (qs.Verdict.VIOLATED, Evidence.MODEL)
    near = qs.verify(FALSE, solver=saying("delta-sat", "0.999999", 1))
    assert (near.verdict, near.reason) == (qs.Verdict.UNKNOWN, Reason.SPURIOUS)
    assert "missed by less than delta" in near.detail
    outside = qs.verify(FALSE, solver=saying("delta-sat", 2, 1))
    assert outside.verdict is qs.Verdict.UNKNOWN
    rounded = qs.verify(FALSE, solver=saying("sat", "0.999999", 1, numerical=True))
    assert (rounded.verdict, rounded.reason) == (qs.Verdict.UNKNOWN, Reason.NUMERICAL)


def test_an_exact_answer_that_does_not_replay_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(qs.SoundnessError, match="does not replay"):
        qs.verify(FALSE, solver=saying("sat", "0.999999", 1))
    (folder,) = tmp_path.iterdir()
    assert json.loads((folder / "assignment.json").read_text()) == {"x": ["999999/1000000", "1"]}


def test_a_solution_that_is_too_close_to_tell_is_unknown() -> None:
    """exp(x) - exp(x) is zero, which no enclosure shows."""
    spec = qs.forall(X, then=(qs.exp(X) - qs.exp(X + 0))[0] > 0)
    result = qs.verify(spec, solver=saying("sat", "1/3", 0))
    assert (result.verdict, result.reason) == (qs.Verdict.UNKNOWN, Reason.SPURIOUS)


def test_no_model_and_no_answer_are_unknown() -> None:
    assert qs.verify(FALSE, solver=saying("sat")).reason is Reason.GARBAGE
    assert qs.verify(FALSE, solver=saying("unknown")).reason is Reason.INCOMPLETE


def test_witnesses_and_their_absence() -> None:
    there = qs.verify(qs.exists(X, then=NET(X)[0] >= 1))
    assert there.verdict is qs.Verdict.HOLDS
    assert there.witness is not None
    gone = qs.verify(qs.exists(X, then=NET(X)[0] >= 2))
    assert (gone.verdict, gone.witness, gone.evidence) == (qs.Verdict.VIOLATED, None, Evidence.PROOF)


def test_vacuous_properties_say_so() -> None:
    def claim(limit: str) -> qs.Property:
        return qs.forall(X, given=NET(X)[0] >= qs.q(limit), then=NET(X)[0] < 0)

    empty = qs.verify(claim("2"), solver="z3")
    assert (empty.verdict, empty.vacuous) == (qs.Verdict.HOLDS, True)
    assert qs.verify(qs.forall(X, given=NET(X)[0] >= 1, then=NET(X)[0] >= 0), solver="z3").vacuous is False
    assert qs.verify(qs.forall(X, given=qs.linf(X) < 0, then=NET(X)[0] > 9)).vacuous is True
    assert qs.verify(qs.forall(X, then=NET(X)[0] < 9)).vacuous is False


def test_a_result_comes_back_from_json_exactly() -> None:
    result = qs.verify(qs.forall(X, then=NET(X)[0] <= qs.parameter("most")).at(most="1/10"), solver=saying("delta-sat", "1/3", "1/7"))
    again = qs.Result.from_dict(json.loads(result.to_json()))
    assert again.to_json() == result.to_json()
    assert json.loads(result.to_json())["point"] == {"x": ["1/3", "1/7"]}
    assert again.point is not None
    assert list(again.point["x"]) == [Fraction(1, 3), Fraction(1, 7)]
    assert "real network 0 (net)" in again.hashes


def test_solvers_of_integers_are_refused_and_logics_too_small_as_well() -> None:
    with pytest.raises(qs.UnsupportedError, match="delta"):
        qs.verify(TRUE, solver="bounds")
    with pytest.raises(qs.UnsupportedError, match="QF_LRA"):
        qs.verify(TRUE, solver="z3", theory="QF_BV")
    with pytest.raises(qs.UnsupportedError, match="QF_NRAT"):
        qs.verify(qs.forall(X, then=SOFT(X)[0] * X[0] <= "1/2"), solver="z3")
    with pytest.raises(qs.UnsupportedError, match="no passes"):
        qs.verify(TRUE, split=True)
    with pytest.raises(qs.SpecError, match="delta is out of range"):
        qs.verify(TRUE, delta=0)


def test_what_monotonicity_decides_needs_no_solver_of_its_functions() -> None:
    """z3 has no exp, but the largest value of each side is at a corner of the box."""
    weights = SOFT.perturb(rho="1/8")
    drift = abs(weights([1, "1/2"])[0] - SOFT([1, "1/2"])[0])
    for limit, verdict in (("1/4", qs.Verdict.HOLDS), ("1/100", qs.Verdict.VIOLATED)):
        result = qs.verify(qs.forall(weights.parameters, then=drift <= limit), solver="z3")
        assert (result.verdict, result.evidence, result.answers) == (verdict, Evidence.BOUNDS, ())


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("ties", ["first", "last"])
def test_what_rises_strictly_at_the_end_changes_no_decision(classes: int, ties: Literal["first", "last"]) -> None:
    """z3 has no exp; the last two scores are equal where x is 0, and the first of two networks has no function at all."""
    kernel = np.array([[1.0, -0.5, 0.25], [0.5, 0.25, -0.75]])[:, :classes]
    ends: list[object] = [qs.Linear(), qs.real.Softmax(), qs.Tanh(), qs.Sigmoid(), qs.real.Softplus()]
    nets = [qs.real.Sequential(qs.real.Input((2,)), qs.real.Dense(kernel, activation=e)) for e in ends]  # pyright: ignore[reportArgumentType]
    for centre, radius in (([0, 0], 0), ([1, "-1/8"], "1/4"), (["-1/2", 0], "1/4"), ([0, 0], "1/2")):
        for k in range(classes):
            near = qs.linf(X - centre) <= radius
            specs = [qs.forall(X, given=near, then=qs.argmax(n(X), ties=ties) == k) for n in nets]
            verdicts = [qs.verify(s, solver="z3").verdict for s in specs]
            assert verdicts[0] is not qs.Verdict.UNKNOWN
            assert set(verdicts) == {verdicts[0]}


def test_text_of_a_property_about_reals() -> None:
    assert "(set-logic QF_LRA)" in qs.to_smtlib(TRUE)
    fixed = NET.quantize(input=qs.Fixed(4, 2), weights=qs.Fixed(6, 2), activations=qs.Fixed(6, 2))
    z = fixed.input("z")
    with pytest.raises(qs.UnsupportedError, match="only relaxed"):
        qs.to_smtlib(qs.forall(z, then=abs(fixed(z) - NET(z))[0] <= 1))


def quantisation_error(tolerance: object, format: qs.Fixed) -> qs.Property:
    fixed = NET.quantize(input=qs.Fixed(4, 2), weights=qs.Fixed(6, 2), activations=format)
    z = fixed.input("z")
    return qs.forall(z, then=abs(fixed(z) - NET(z))[0] <= qs.q(tolerance))


@pytest.mark.parametrize("frac", [0, 1, 2])
def test_quantisation_errors_agree_with_enumeration(frac: int) -> None:
    """The network is exact but for the rounding of its signals; all 256 inputs are tried."""
    fixed = NET.quantize(input=qs.Fixed(4, 2), weights=qs.Fixed(6, 2), activations=qs.Fixed(6, frac))
    codes = np.stack(np.meshgrid(np.arange(-8, 8), np.arange(-8, 8), indexing="ij"), axis=-1).reshape(-1, 2)
    errors = np.abs(fixed.evaluate(codes) / 2**frac - NET.evaluate(codes / 4))
    worst = Fraction(float(errors.max()))
    for solver in ("delta", "z3"):
        beyond = qs.verify(quantisation_error(worst + 2, qs.Fixed(6, frac)), solver=solver)
        assert beyond.verdict is qs.Verdict.HOLDS
        below = qs.verify(quantisation_error(worst / 2 - Fraction(1, 64), qs.Fixed(6, frac)), solver=solver)
        assert below.verdict is not qs.Verdict.HOLDS
        if below.verdict is qs.Verdict.VIOLATED:
            assert below.codes is not None
            assert below.point is None
            z = np.asarray(below.codes["z"])
            assert abs(Fraction(int(fixed.evaluate(z)[0]), 2**frac) - NET.enclose(z * Fraction(1, 4))[0][0]) > worst / 2 - Fraction(1, 64)
        else:
            assert below.reason is Reason.TIMEOUT


def sup_of_deviation(rho: Fraction, centre: list[float], steps: int = 3) -> float:
    """Return the greatest deviation of SOFT over a grid of perturbed parameters, which the true one is at least."""
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, steps)] * 6, indexing="ij"), axis=-1).reshape(-1, 6) * float(rho)
    hidden = np.maximum(np.einsum("i,nij->nj", centre, KERNEL + grid[:, :4].reshape(-1, 2, 2)), 0)
    out = np.einsum("nj,nj->n", hidden, np.array([1.0, -1.0]) + grid[:, 4:])
    return float(np.abs(1 / (1 + np.exp(-out)) - SOFT.evaluate(centre)[0]).max())


def test_local_deviation_is_bracketed_where_sampling_says() -> None:
    centre, rho = [0.5, -0.25], Fraction(1, 16)
    perturbed = SOFT.perturb(rho=rho)
    found = qs.least_value(lambda t: P.local_deviation(perturbed, centre, t), high=1, step="1/64")
    assert found.closed
    assert found.holds is not None
    assert found.violated is not None
    assert found.holds - found.violated == Fraction(1, 64)
    assert found.violated <= sup_of_deviation(rho, centre) <= found.holds
    assert found.counterexample is not None


def test_the_largest_perturbation_is_bracketed() -> None:
    centre = [0.5, -0.25]
    found = qs.largest_value(lambda r: P.local_deviation(SOFT.perturb(rho=r), centre, "1/20"), high="1/2", step="1/64")
    assert found.holds is not None
    assert found.violated is not None
    assert found.violated - found.holds == Fraction(1, 64)
    assert sup_of_deviation(found.holds, centre) <= 0.05 <= sup_of_deviation(found.violated, centre) + 1e-3
    assert "holds at" in str(found)


def test_labels_under_perturbation() -> None:
    assert qs.verify(P.local_label(SOFT.perturb(rho="1/64"), [1, 0])).verdict is qs.Verdict.HOLDS
    assert qs.verify(P.local_label(SOFT.perturb(rho=2), [1, 0])).verdict is qs.Verdict.VIOLATED
    near = P.global_label(SOFT.perturb(rho="1/64"), lower=-1, upper=1)
    far = P.global_label(SOFT.perturb(rho="1/64"), lower=-1, upper=1, margin="1/10")
    assert qs.verify(near).verdict is qs.Verdict.VIOLATED
    assert qs.verify(far).verdict is qs.Verdict.HOLDS
    two = qs.real.Sequential(qs.real.Input((2,)), qs.real.Dense(KERNEL, activation=qs.real.Softmax()))
    assert qs.verify(P.local_label(two.perturb(bits=6), [1, 0])).verdict is qs.Verdict.HOLDS
    assert qs.verify(P.global_label(two.perturb(bits=6), lower=-1, upper=1, margin="1/5")).verdict is qs.Verdict.HOLDS
    assert qs.verify(P.global_deviation(two.perturb(bits=1), "1/100", lower=-1, upper=1)).verdict is qs.Verdict.VIOLATED


def test_products_of_parameters_are_decided_by_nonlinear_arithmetic() -> None:
    perturbed = NET.perturb(rho="1/8")
    for tolerance, verdict in (("1/2", qs.Verdict.HOLDS), ("1/100", qs.Verdict.VIOLATED)):
        spec = P.local_deviation(perturbed, [0.5, -0.25], tolerance)
        assert qs.verify(spec, solver="z3").verdict is verdict
        assert qs.verify(spec).verdict is verdict


def test_thresholds_of_fixed_point_work_as_well() -> None:
    net = qs.Sequential(qs.Input((1,), qs.Fixed(4, 0)), qs.Dense(qs.Tensor(np.array([[2]]), qs.Fixed(4, 0))))
    x = net.input("x")
    found = qs.least_value(lambda t: qs.forall(x, then=net(x)[0] <= t), high=20, step=1)
    assert (found.holds, found.violated) == (14, 13)
    with pytest.raises(qs.SpecError, match="nothing to search"):
        qs.least_value(lambda t: TRUE, low=2, high=1, step=1)


def test_several_solvers_compared() -> None:
    found = qs.compare(FALSE, solvers=["z3", "cvc5"])
    assert found.verdict is qs.Verdict.VIOLATED


SPEC = """
import numpy as np
import qspec as qs

net = qs.real.Sequential(qs.real.Input((2,)), qs.real.Dense(np.array([[1.0, -2.0], [0.5, 0.25]]), activation=qs.Sigmoid()), name="net")
_x = net.input("x", lower=-1, upper=1)
bounded = qs.forall(_x, then=qs.max(net(_x)) <= qs.parameter("most"))
"""


def test_the_command_line_verifies_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "spec.py").write_text(SPEC)
    target, stored = str(tmp_path / "spec.py"), str(tmp_path / "result.json")
    assert main(["verify", target, "--param", "most=0.99"]) == 0
    assert capsys.readouterr().out.startswith("HOLDS")
    assert main(["verify", target, "--param", "most=0.5", "--json", stored]) == 1
    text = capsys.readouterr().out
    assert "x (2), reals" in text
    assert "net(x)" in text
    point = json.loads(Path(stored).read_text())["results"][0]["point"]["x"]
    assert len(point) == 2
    assert main(["replay", stored]) == 1
    assert "violate it, exactly" in capsys.readouterr().out
    assert main(["show", target]) == 0
    assert "x (2, real)" in capsys.readouterr().out
    assert main(["verify", target, "--param", "most=0.5", "--solver", "bounds"]) == 2


def test_many_queries_about_reals() -> None:
    spec = qs.forall(X, then=NET(X)[0] <= qs.parameter("most"))
    values = [{"most": v} for v in ("1", "2")]
    done = {str(f.parameters["most"]): f.result.verdict for f in qs.verify_many(spec, values, solver="delta", workers=1)}
    assert done == {"1": qs.Verdict.VIOLATED, "2": qs.Verdict.HOLDS}


def test_problems_are_what_they_say() -> None:
    problem = to_smt(TRUE)
    assert isinstance(problem, SmtProblem)
    assert problem.logic == "QF_LRA"
