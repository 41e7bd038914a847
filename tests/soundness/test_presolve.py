"""Branch first, then ask: verdicts equal enumeration, whoever is asked, and a partial certificate is never taken for a full one."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qspec as qs
from qspec.certificate.claim import check_property
from qspec.certificate.file import Certificate, load
from qspec.deadline import Deadline, OutOfTime
from qspec.engines.dual import branch_and_bound
from qspec.engines.dual.options import EngineOptions
from qspec.errors import CertificateError, SoundnessError, SpecError, UnsupportedError
from qspec.ir.integer import Assignment, Query
from qspec.passes import Pipeline
from qspec.passes.base import Reduced
from qspec.problem import Problem
from qspec.solver import Answer, Reason, get_solver, solver_entry_points
from qspec.testing import theories_to_check
from qspec.testing.check import RELAXING
from qspec.verify import cube_and_conquer, integers
from qspec.verify.cube_and_conquer import confirm
from qspec.verify.result import Evidence
from tests.clocks import rounds
from tests.contract.conftest import available
from tests.soundness.random_queries import solutions
from tests.unit.fake_solvers.in_process import Fake, enumerated

ROUTES = [(name, theory) for name in solver_entry_points() for theory in theories_to_check(get_solver(name)) if name != "bounds"]
ALL_OFF = tuple(p.name for p in Pipeline().passes)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the engine take a few small batches only."""
    whole = branch_and_bound.prove

    def early(query: Query, deadline: Deadline, options: EngineOptions, attack: object) -> branch_and_bound.Outcome:
        return whole(query, rounds(4), EngineOptions(2, 2, compiled=False, leave=options.leave))

    monkeypatch.setattr(branch_and_bound, "prove", early)
    monkeypatch.setattr(integers, "attacked", lambda *_: None)


def margin(seed: int, *, beyond: int) -> qs.Property:
    """Return that a margin of a random network never exceeds a bound, the greatest that there is, less so many units."""
    rng = np.random.default_rng(seed)
    weight = qs.Fixed(4, 2)

    def drawn(*shape: int) -> qs.Tensor:
        return qs.Tensor(rng.integers(-8, 8, shape), weight)

    net = qs.Sequential(
        qs.Input((3,), qs.Fixed(3, 1)),
        qs.Dense(drawn(3, 4), drawn(4), qs.ReLU(), qs.Fixed(3, 1, signed=False)),
        qs.Dense(drawn(4, 2), output=qs.Fixed(6, 2)),
        name="tiny",
    )
    x = net.input("x")
    outputs = net.evaluate(np.indices((8, 8, 8)).reshape(3, -1).T - 4)
    most = int((outputs[:, 0] - outputs[:, 1]).max())
    return qs.forall(x, then=net(x)[0] - net(x)[1] <= qs.q(most - beyond) / 4, name="margin")


def agrees(spec: qs.Property, **options: Any) -> qs.Result:
    """Verify a property, and fail if the verdict is not that of enumeration."""
    result = qs.verify(spec, presolve="branch", attack=False, **options)
    truth = qs.Verdict.VIOLATED if len(solutions(qs.query(spec))) else qs.Verdict.HOLDS
    assert result.verdict in (truth, qs.Verdict.UNKNOWN)
    if result.verdict is qs.Verdict.UNKNOWN:
        assert (found := re.fullmatch(r"(\d+) of (\d+) cubes are open", result.detail)), result.detail
        assert 0 < int(found[1]) <= int(found[2])
    return result


def test_verdicts_equal_enumeration() -> None:
    evidence: Counter[Evidence] = Counter()
    for seed in range(24):
        result = agrees(margin(seed, beyond=seed % 3), solver=Fake(enumerated), without=ALL_OFF if seed % 2 else ())
        evidence[result.evidence] += 1
        assert result.verdict is not qs.Verdict.UNKNOWN
        if result.evidence is Evidence.PROOF:
            assert result.certificate is not None
            assert result.certificate.assumed
    assert min(evidence[e] for e in (Evidence.PROOF, Evidence.MODEL)) >= 5, evidence


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("route", range(len(ROUTES)), ids=[f"{n}-{t}" for n, t in ROUTES])
def test_every_solver_agrees_with_enumeration(route: int) -> None:
    name, theory = ROUTES[route]
    solver = available(name)
    for seed in range(2):
        result = agrees(margin(seed, beyond=seed), solver=solver, theory=theory)
        assert len(result.answers) > 1
        if result.verdict is qs.Verdict.UNKNOWN:
            assert theory in RELAXING
            assert result.reason is Reason.SPURIOUS


def denying(problem: Problem) -> Answer:
    """Say that there is no solution, whatever is asked."""
    return Answer("unsat")


def half_proved(*, beyond: int = 0) -> tuple[qs.Property, Certificate]:
    """Return a property, and a partial certificate of which somebody claims the rest, whether that is true or not."""
    spec = margin(0, beyond=beyond)
    result = qs.verify(spec, solver=Fake(denying), without=ALL_OFF, presolve="branch", attack=False)
    assert (result.verdict, result.evidence) == (qs.Verdict.HOLDS, Evidence.PROOF)
    assert result.certificate is not None
    assert result.certificate.assumed
    return spec, result.certificate


def test_a_partial_certificate_is_not_taken_for_a_full_one(tmp_path: Path) -> None:
    spec, made = half_proved()
    made.save(tmp_path / "proof")
    certificate = load(tmp_path / "proof")
    assert certificate.assumed == made.assumed
    assert {(a.solver, a.version) for a in certificate.assumed} == {("fake", "1.0")}
    with pytest.raises(CertificateError, match="partial"):
        check_property(certificate, spec)
    found = str(check_property(certificate, spec, partial=True))
    assert f"HOLDS if there is no solution in {len(certificate.assumed)} domain" in found
    assert f"fake 1.0 (grid): {len(certificate.assumed)}" in found
    again = confirm(certificate, spec, solver="bitwuzla")
    assert (again.verdict, again.evidence) == (qs.Verdict.HOLDS, Evidence.PROOF)
    assert again.certificate is not None
    assert {a.solver for a in again.certificate.assumed} <= {"bitwuzla", "passes"}


def test_whoever_is_asked_again_finds_out_what_is_not_true() -> None:
    spec, certificate = half_proved(beyond=1)
    assert confirm(certificate, spec, solver=Fake(enumerated)).verdict is qs.Verdict.VIOLATED
    with pytest.raises(CertificateError, match="another query"):
        confirm(certificate, margin(0, beyond=2), solver=Fake(enumerated))


def test_an_answer_that_is_missing_leaves_cubes_open() -> None:
    spec, certificate = half_proved()
    result = confirm(certificate, spec, solver=Fake(lambda p: Answer("unknown", reason=Reason.MEMORY)))
    assert (result.verdict, result.reason) == (qs.Verdict.UNKNOWN, Reason.MEMORY)
    assert result.detail.endswith(f"of {len(certificate.assumed)} cubes are open")


def test_a_cube_whose_time_ends_stays_open_and_the_others_are_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, certificate = half_proved()
    cubes = len(certificate.assumed)
    assert cubes > 1
    in_time = cube_and_conquer.presolved
    looked = count()

    def late(run: integers.Run, query: Query) -> tuple[Assignment | None, list[Reduced]]:
        if next(looked) == 0:
            raise OutOfTime
        return in_time(run, query)

    monkeypatch.setattr(cube_and_conquer, "presolved", late)
    result = confirm(certificate, spec, solver=Fake(enumerated), timeout=None)
    assert (result.verdict, result.reason) == (qs.Verdict.UNKNOWN, Reason.TIMEOUT)
    assert result.detail == f"1 of {cubes} cubes are open"
    assert next(looked) == cubes


def test_cubes_share_the_time_that_is_left() -> None:
    solver = Fake(lambda p: Answer("unknown", reason=Reason.TIMEOUT))
    result = qs.verify(margin(0, beyond=0), solver=solver, without=ALL_OFF, presolve="branch", attack=False, timeout=30)
    assert result.reason is Reason.TIMEOUT
    times = [limits.seconds or 0.0 for _, limits in solver.asked]
    assert 0 < times[0] < 31 / int(result.detail.split()[0])
    assert times[-1] > 20


def test_wrong_proofs_are_found_out_before_anybody_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    right = branch_and_bound.prove

    def careless(query: Query, deadline: Deadline, options: EngineOptions, attack: None) -> branch_and_bound.Outcome:
        outcome = right(query, deadline, options, attack)
        assert outcome.partial is not None
        return replace(outcome, partial=replace(outcome.partial, weights=outcome.partial.weights[:0]))

    monkeypatch.setattr(branch_and_bound, "prove", careless)
    solver = Fake(enumerated)
    with pytest.raises(SoundnessError, match="proof"):
        qs.verify(margin(3, beyond=0), solver=solver, presolve="branch", attack=False)
    assert not solver.asked


def test_what_the_engine_cannot_take_goes_to_the_solver_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> branch_and_bound.Outcome:
        raise UnsupportedError("too wide")

    monkeypatch.setattr(branch_and_bound, "prove", refused)
    result = agrees(margin(0, beyond=0), solver=Fake(enumerated), without=ALL_OFF)
    assert (result.evidence, len(result.answers)) == (Evidence.PROOF, 1)
    assert result.certificate is None


@pytest.mark.parametrize(("solver", "presolve", "says"), [("bounds", "branch", "by itself"), ("z3", "divine", "no such presolving")])
def test_what_cannot_be_is_refused(solver: str, presolve: Any, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        qs.verify(margin(0, beyond=0), solver=solver, presolve=presolve)
