"""Counterexamples one after the other: all of them, none twice, and a last result that says whether there are more."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import qspec as qs
from qspec.deadline import NEVER, Deadline, OutOfMemory
from qspec.extremes.neighbours import Neighbours
from qspec.solver import Reason
from qspec.verify.options import Settings

THREE = qs.Fixed(3, 0)
NET = qs.Sequential(qs.Input((2,), THREE), qs.Dense(qs.Tensor(np.array([[1, -1], [-1, 1]]), THREE), activation=qs.ReLU()), name="net")
X, Y = NET.input("x"), NET.input("y")


def truth(bound: int) -> set[tuple[int, ...]]:
    """The codes for which the first output exceeds a bound, by hand."""
    return {(a, b) for a in range(-4, 4) for b in range(-4, 4) if max(a - b, 0) > bound}


@pytest.mark.parametrize("solver", ["bounds", "bitwuzla"])
def test_all_are_found_and_none_twice(solver: str) -> None:
    *found, last = qs.violations(qs.forall(X, then=NET(X)[0] <= 4), solver=solver)
    points = [tuple(int(c) for c in r.codes["x"]) for r in found if r.codes]
    assert len(points) == len(set(points)) == len(found)
    assert set(points) == truth(4)
    assert (last.verdict, last.codes) == (qs.Verdict.HOLDS, None)


def test_the_solver_is_asked_only_where_nothing_is_near(monkeypatch: pytest.MonkeyPatch) -> None:
    """The inputs for which the output is 7 or more lie in two corners that no single step joins."""
    asked: list[qs.Property] = []

    def counted(spec: qs.Property, **options: Any) -> qs.Result:
        asked.append(spec)
        return qs.verify(spec, **options)

    monkeypatch.setattr("qspec.extremes.violations.verify", counted)
    either = qs.forall(X, then=qs.max(NET(X)) <= 6)
    *whole, last = qs.violations(either)
    assert (len(asked), len(whole), last.verdict, last.hashes) == (1, 2, qs.Verdict.HOLDS, {})
    monkeypatch.setattr("qspec.extremes.neighbours.FEW", 1)
    *found, last = qs.violations(either, solver="bitwuzla")
    assert {tuple(r.codes["x"].tolist()) for r in found if r.codes} == {(3, -4), (-4, 3)}
    assert (len(asked), last.verdict) == (4, qs.Verdict.HOLDS)


@pytest.mark.parametrize(("few", "solver"), [(1, "bitwuzla"), (1 << 14, "bounds")])
def test_features_are_moved_as_a_whole(few: int, solver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One-hot columns, strides and shared variables: the witnesses are those of a count by enumeration."""
    monkeypatch.setattr("qspec.extremes.neighbours.FEW", few)
    features = (qs.Feature("job", categories=("a", "b", "c")), qs.Feature("age", lower=-3, upper=3))
    net = qs.Sequential(
        qs.Input((4,), THREE, features=features),
        qs.Dense(qs.Tensor(np.array([[1, -1], [2, 0], [3, 1], [1, -2]]), THREE), output=qs.Fixed(6, 0)),
    )
    a, b = net.input("a"), net.input("b")
    pairs = qs.exists(a, b, given=qs.same(a, b, except_for=["job"]), then=net(a)[0] - net(b)[0] >= 1)
    *found, last = qs.violations(pairs, solver=solver)
    points = {(tuple(r.codes["a"].tolist()), tuple(r.codes["b"].tolist())) for r in found if r.codes}
    assert len(points) == len(found) == qs.verify(pairs, solver="enumerate").violations == 21
    assert last.verdict is qs.Verdict.VIOLATED
    assert all(r.rows["a"]["age"] == r.rows["b"]["age"] for r in found)


def test_witnesses_of_two_variables_differ_in_one_of_them() -> None:
    pairs = qs.exists(X, Y, given=(qs.all(X.code == [3, -4])), then=NET(Y)[0] >= NET(X)[0] - 1)
    *found, last = qs.violations(pairs)
    points = {(tuple(r.codes["x"].tolist()), tuple(r.codes["y"].tolist())) for r in found if r.codes}
    assert points == {((3, -4), y) for y in truth(5)}
    assert last.verdict is qs.Verdict.VIOLATED


def test_a_wide_input_takes_no_square_of_memory() -> None:
    """Points next to one are made in portions: all at once would take 2 · 3000 · 3000 numbers, which are 137 MiB."""
    wide = qs.Input((3000,), THREE)
    net = qs.Sequential(wide, qs.Dense(qs.Tensor(np.eye(3000, 1, dtype=np.int64), THREE), output=qs.Fixed(6, 0)))
    x = net.input("x")
    spec = qs.exists(x, then=net(x)[0] >= 3)
    near, first = Neighbours.of(spec, Settings()), qs.verify(spec)
    tracemalloc.start()
    second = next(near.after(first, NEVER))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert first.codes is not None
    assert second.codes is not None
    assert int(np.abs(first.codes["x"] - second.codes["x"]).sum()) == 1
    assert peak < 64 << 20
    with pytest.raises(OutOfMemory):
        next(near.after(first, Deadline(most=0, held=lambda: 1)))


def test_limits_end_the_search() -> None:
    spec = qs.forall(X, then=NET(X)[0] <= 4)
    assert [r.verdict.name for r in qs.violations(spec, most=2)] == ["VIOLATED"] * 2
    (only,) = qs.violations(spec, timeout=1e-9)
    assert only.reason is Reason.TIMEOUT
    with qs.Watch() as watch:
        watch.cancel()
        (only,) = qs.violations(spec)
    assert only.reason is Reason.CANCELLED


def test_arguments_are_checked_at_once() -> None:
    real = NET.real()
    r = real.input("r", lower=0, upper=1)
    with pytest.raises(qs.UnsupportedError, match="cannot be listed"):
        qs.violations(qs.forall(r, then=real(r)[0] <= Fraction(1, 2)))
    with pytest.raises(qs.SpecError, match="how many"):
        qs.violations(qs.forall(X, then=NET(X)[0] <= 4), most=0)
    with pytest.raises(qs.SpecError, match="not a property"):
        qs.violations("spec")  # pyright: ignore[reportArgumentType]
