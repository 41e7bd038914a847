"""Optima over reals lie between a point that replays and a proof; assumptions, mixed variables, limits and lying solvers are met."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import qspec as qs
from qspec.language.real_interpret import RealInterpreter
from qspec.problem import Problem
from qspec.solver import Answer, Availability, Limits, Reason

STEP = Fraction(1, 32)
NET = qs.real.Sequential(
    qs.real.Input((2,)),
    qs.real.Dense(np.array([[1.0, -2.0], [0.5, 0.25]]), np.array([0.25, 0.5]), qs.ReLU()),
    qs.real.Dense(np.array([[1.0], [-1.0]])),
    name="net",
)
SOFT = qs.real.Sequential(*(s.layer for s in NET.stages), qs.real.Activate(qs.Sigmoid()), name="soft")
X = NET.input("x", lower=-1, upper=1)
GRID = np.stack(np.meshgrid(np.linspace(-1, 1, 41), np.linspace(-1, 1, 41)), axis=-1).reshape(-1, 2)


@pytest.mark.parametrize("net", [NET, SOFT], ids=["piecewise linear", "sigmoid"])
@pytest.mark.parametrize("sense", ["maximize", "minimize"])
def test_the_optimum_is_bracketed_and_attained(net: qs.real.Network, sense: str) -> None:
    near = qs.linf(X - ["1/4", 0]) <= "1/2"
    found = qs.optimize(getattr(qs, sense)(net(X)[0], X, given=near), step=STEP)
    assert found.closed
    assert found.upper - found.lower <= STEP
    inside = GRID[np.abs(GRID - [0.25, 0]).max(-1) <= 0.5]
    sampled = net.evaluate(inside)[:, 0]
    best = sampled.max() if sense == "maximize" else sampled.min()
    assert float(found.lower) - 1e-9 <= best <= float(found.upper) + 1e-9 or abs(best - float(found.lower)) < 0.1
    assert found.witness is not None
    value = RealInterpreter({}, found.witness).values(net(X)[0]).item()
    end = found.lower if sense == "maximize" else -found.upper
    assert abs(value.lower - (end if sense == "maximize" else -end)) < Fraction(1, 10**15)


def test_intervals_only_shrink_and_each_has_the_optimum() -> None:
    """The least value of the network is -11/4, at (-1, 1): no first neuron there, and 2 + 1/4 + 1/2 of the second."""
    states = list(qs.optimizing(qs.maximize(-NET(X)[0], X), solver="z3", step=STEP))
    assert states[-1].closed
    assert all(s.lower <= Fraction(11, 4) <= s.upper for s in states)
    for a, b in pairwise(states):
        assert a.lower <= b.lower <= b.upper <= a.upper


def test_an_assumption_that_nothing_meets_is_an_error() -> None:
    with pytest.raises(qs.SpecError, match="no point meets the assumption"):
        qs.optimize(qs.maximize(NET(X)[0], X, given=X[0] > 2))
    with pytest.raises(qs.SpecError, match="step"):
        qs.optimize(qs.maximize(NET(X)[0], X), step=0)


def test_fixed_point_beside_reals_agrees_with_enumeration() -> None:
    fixed = NET.quantize(input=qs.Fixed(2, 1), weights=qs.Fixed(5, 2), activations=qs.Fixed(6, 2))
    z = fixed.input("z")
    codes = np.stack(np.meshgrid(np.arange(-2, 2), np.arange(-2, 2)), axis=-1).reshape(-1, 2)
    errors = [abs(Fraction(int(fixed.evaluate(c)[0]), 4) - NET.enclose(c / 2)[0][0]) for c in codes]
    found = qs.optimize(qs.maximize(abs(fixed(z)[0] - NET(z)[0]), z), step="1/4")
    assert found.lower <= max(errors) <= found.upper
    assert found.closed


@dataclass(frozen=True)
class Says:
    """A solver of reals that gives these answers, and the last one ever after."""

    answers: list[Answer]
    name: str = "says"
    theories: tuple[str, ...] = ("real",)
    cite: str = ""

    def availability(self) -> Availability:
        return Availability(True)

    def solve(self, problem: Problem, limits: Limits) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def test_a_solver_that_gives_up_leaves_the_interval_open() -> None:
    found = qs.optimize(qs.maximize(NET(X)[0], X), solver=Says([Answer("unknown", reason=Reason.INCOMPLETE)]), step=STEP)
    assert not found.closed
    assert found.reason is Reason.INCOMPLETE
    assert (found.lower, found.upper) == (Fraction(-1, 4), Fraction(7, 4)), "at the middle of the box, and what enclosures exclude"


def test_a_point_beyond_a_proof_is_a_soundness_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is 7/4 at (1, 1), which is more than the first answer allows."""
    monkeypatch.chdir(tmp_path)
    lies = [Answer("unsat"), Answer("sat", {"x[0]": Fraction(1), "x[1]": Fraction(1)})]
    with pytest.raises(qs.SoundnessError, match="beyond a proved bound"):
        qs.optimize(qs.maximize(NET(X)[0], X), solver=Says(lies), step=STEP)
    assert list(tmp_path.iterdir())


@pytest.mark.parametrize("high", [None, 1])
@pytest.mark.parametrize("solver", [None, "delta"])
def test_a_radius_over_reals_is_refused_and_its_advice_works(high: int | None, solver: str | None) -> None:
    """The greatest value within a radius from 2/7 on is 1/4 + 3/2 radius: the second neuron is off there."""
    radius = qs.parameter("radius")
    spec = qs.forall(X, given=qs.linf(X) <= radius, then=NET(X)[0] <= "7/8", name="bounded")
    with pytest.raises(qs.UnsupportedError, match="largest_value"):
        qs.largest_radius(spec, high=high, step="1/8", solver=solver)
    found = qs.largest_value(lambda v: spec.at(radius=v), high=1, step="1/8")
    assert found.closed
    assert (found.holds, found.violated) == (Fraction(3, 8), Fraction(1, 2))
