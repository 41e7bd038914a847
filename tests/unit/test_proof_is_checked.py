"""No HOLDS of the native engine is reported before the independent checker has accepted its proof."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import qspec as qs
from qspec.errors import SoundnessError
from qspec.problem import Problem
from qspec.solver import Answer, Limits
from qspec_solvers.bounds import Bounds


class Careless(Bounds):
    """Drops the weights of its proofs."""

    def solve(self, problem: Problem, limits: Limits) -> Answer:
        answer = super().solve(problem, limits)
        return answer if answer.proof is None else replace(answer, proof={**answer.proof, "weights": np.zeros((0, 4), dtype=np.int64)})


def robust() -> qs.Property:
    """Return a property that needs a derivation by weights: bounds alone do not show it."""
    q4 = qs.Fixed(4, 2)
    first = qs.quantize([[1.25, 0.5, 0.0], [-1.0, -1.0, -2.0]], q4)
    second = qs.quantize([[-1.75, -2.0], [-1.5, 1.25], [0.5, 1.5]], q4)
    hidden = qs.Dense(first, None, qs.ReLU(), qs.Fixed(6, 2, signed=False))
    net = qs.Sequential(qs.Input((2,), q4), hidden, qs.Dense(second, output=qs.Fixed(8, 2)), name="small")
    return qs.properties.local_robustness(net, [-2, -2], 1, 1)


def test_a_right_proof_is_accepted_and_a_wrong_one_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = qs.verify(robust(), solver=Bounds(), attack=False)
    assert (result.verdict, result.evidence.name) == (qs.Verdict.HOLDS, "CERTIFICATE")
    assert result.certificate is not None
    assert result.certificate.weights.size
    with pytest.raises(SoundnessError, match="proof"):
        qs.verify(robust(), solver=Careless(), attack=False)
