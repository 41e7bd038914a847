"""Deadlines: what a clock and a memory that tests move say, and that every stage looks at them; and proofs that are checked fast."""

from __future__ import annotations

from itertools import count
from math import inf

import numpy as np
import pytest

import qspec as qs
from qspec import deadline as module
from qspec.arithmetic.rounding import Rounding
from qspec.certificate.check import check
from qspec.certificate.derive import _least_of_rescale
from qspec.certificate.points import period, rescale_points
from qspec.cli.report import grounds
from qspec.deadline import NEVER, Deadline, OutOfMemory, OutOfTime, memory_errors
from qspec.engines.dual.branch_and_bound import prove
from qspec.ir.linear import apply, sparse
from qspec.ir.staircase import Rescale, climb
from qspec.passes import Pipeline
from qspec.solver import Limits, Reason, get_solver
from qspec.verify import integers
from qspec.verify.result import Result
from tests.clocks import looks


def test_a_deadline_says_what_is_left() -> None:
    now = [10.0]
    deadline = Deadline(14.0, lambda: now[0])
    assert (deadline.left(), deadline.seconds, deadline.passed(), deadline.affords(4.5)) == (4.0, 4.0, False, False)
    assert deadline.part(0.25).end == 11.0
    assert deadline.within(100).end == 14.0
    now[0] = 15.0
    assert (deadline.left(), deadline.passed()) == (0.0, True)
    with pytest.raises(OutOfTime):
        deadline.check()
    assert (NEVER.left(), NEVER.seconds, NEVER.passed(), NEVER.room()) == (inf, None, False, inf)


def test_memory_is_asked_for_before_it_is_taken() -> None:
    deadline = Deadline(most=100.0, held=lambda: 60)
    deadline.check(40)
    assert deadline.room() == 40
    with pytest.raises(OutOfMemory):
        deadline.check(41)
    assert Limits(None, 16).deadline().most >= module.resident() > 1 << 20


@pytest.mark.parametrize("rounding", list(Rounding))
def test_periods_of_steps_have_the_least_value_of_all_arguments(rounding: Rounding) -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        n, d, o = int(rng.integers(1, 12)), int(rng.integers(1, 20)), int(rng.integers(-40, 40))
        low = int(rng.integers(-90, 60))
        lower, upper = np.array([low]), np.array([low + int(rng.integers(0, 120))])
        ends = (np.array([-15]), np.array([20])) if rng.random() < 0.5 else (None, None)
        steps = Rescale(np.array([n]), np.array([o]), np.array([d]), rounding, *ends)
        x = np.arange(lower[0], upper[0] + 1)
        y = climb(steps, x[:, None])[:, 0]
        c, p = rng.integers(-30, 31, (8, 1)), rng.integers(-30, 31, (8, 1))
        assert np.array_equal(_least_of_rescale(steps, lower, upper, c, p)[:, 0], (c * y - p * x).min(axis=1))
        at, values = rescale_points(steps, lower, upper)
        assert np.array_equal(values[0], climb(steps, at[0][:, None])[:, 0])
        assert at.min() >= lower[0]
        assert at.max() <= upper[0]


def test_wide_leaky_steps_have_few_points() -> None:
    steps = Rescale(np.array([51]), np.array([0]), np.array([512]), Rounding.TRN, None, None)
    at, _ = rescale_points(steps, np.array([-(10**6)]), np.array([10**6]))
    assert period(steps, 4096) == 51
    assert at.shape[1] < 300


def test_maps_are_applied_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    entries = sparse(5, 7, rng.integers(0, 5, 20), rng.integers(0, 7, 20), rng.integers(-9, 10, 20))
    x = rng.integers(-9, 10, (3, 11, 7))
    whole = apply(entries, x)
    monkeypatch.setattr("qspec.ir.linear.CELLS", 64)
    assert np.array_equal(apply(entries, x), whole)
    assert whole.shape == (3, 11, 5)


def robust(radius: int) -> qs.Property:
    return qs.properties.local_robustness(qs.load("iris-4bit"), [50, 30, 14, 2], radius, 0)


@pytest.mark.parametrize("solver", ["bounds", "z3", "highs", "enumerate"])
def test_whenever_time_ends_the_verdict_is_right_or_unknown(solver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock stands still until it is looked at for the n-th time, and has then passed every limit."""
    if not get_solver(solver).availability().ok:
        pytest.skip("not installed")
    late = 0
    for number in (1, 2, 3, 5, 8, 13, 21, 34, 55):
        clock = count()

        def now(clock: count[int] = clock, number: int = number) -> float:
            return 0.0 if next(clock) < number else 1e6

        monkeypatch.setattr(module, "_now", now)
        result = qs.verify(robust(1), solver=solver, timeout=5.0)
        assert result.verdict is qs.Verdict.HOLDS or result.reason is Reason.TIMEOUT, (number, result)
        late += result.reason is Reason.TIMEOUT
    assert late >= 1


def test_what_xla_calls_exhausted_is_a_limit_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    class JaxRuntimeError(RuntimeError): ...

    def exhausted(*_: object) -> None:
        raise JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 99 bytes.\n(details)")

    monkeypatch.setattr(integers, "_prove", exhausted)
    result = qs.verify(robust(1))
    assert (result.verdict, result.reason) == (qs.Verdict.UNKNOWN, Reason.MEMORY)
    assert result.detail == "RESOURCE_EXHAUSTED: Out of memory allocating 99 bytes."
    with pytest.raises(JaxRuntimeError), memory_errors():
        raise JaxRuntimeError("INTERNAL: RESOURCE")


def test_every_stage_ends_at_the_first_look() -> None:
    query = qs.query(robust(1))
    for stage in (lambda: Pipeline().apply(query, looks(0)), lambda: Pipeline().only("linear").apply(query, looks(1))):
        with pytest.raises(OutOfTime):
            stage()
    outcome = prove(query, looks(0))
    assert not outcome.decided
    proof = qs.verify(robust(1)).certificate
    assert proof is not None
    with pytest.raises(OutOfTime):
        check(proof, query, deadline=looks(0))
    with pytest.raises(OutOfTime):
        check(proof, query, deadline=looks(len(proof.steps) // 2))
    assert check(proof, query).domains > 0


def tied() -> qs.Property:
    """Holds, and its assumption is no box."""
    net = qs.load("iris-4bit")
    x = net.input("x")
    return qs.forall(x, given=x[0] + x[1] <= x[2], then=net(x)[0] <= 1000)


def test_what_is_proved_stays_proved_when_there_is_no_time_to_examine_the_assumption(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(*_: object) -> None:
        raise OutOfTime

    monkeypatch.setattr(integers, "_vacuous", late)
    for solver in ("bounds", "z3"):
        result = qs.verify(tied(), solver=solver)
        assert (result.verdict, result.vacuous, result.unexamined) == (qs.Verdict.HOLDS, None, True)
        assert "not examined whether anything meets the assumption" in str(result)
        assert "not examined whether anything meets the assumption" in grounds(result)
        assert Result.from_dict(result.to_dict()).unexamined


def real() -> qs.Property:
    """Holds on a real network, and its assumption is no box."""
    kernel = np.array([[1.0, -2.0], [0.5, 0.25]])
    net = qs.real.Sequential(qs.real.Input((2,)), qs.real.Dense(kernel, activation=qs.ReLU()), name="net")
    x = net.input("x", lower=-1, upper=1)
    return qs.forall(x, given=x[0] * x[1] >= qs.q("1/2"), then=net(x)[0] <= qs.q("8/5"))


def test_a_query_about_reals_ends_as_unknown_or_right() -> None:
    late = 0
    assert qs.verify(real()).verdict is qs.Verdict.HOLDS
    with pytest.MonkeyPatch.context() as patch:
        for number in range(1, 40, 3):
            clock = count()
            patch.setattr(module, "_now", lambda clock=clock, number=number: 0.0 if next(clock) < number else 1e6)
            result = qs.verify(real(), timeout=5.0)
            assert result.verdict is qs.Verdict.HOLDS or result.reason is Reason.TIMEOUT, (number, result)
            late += result.reason is Reason.TIMEOUT
    assert late >= 1
