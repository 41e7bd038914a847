"""The solvers `delta` and `dreal`, z3 and sampling do not contradict each other on random real queries; `real_agreement.py` says how."""

from __future__ import annotations

from collections import Counter

import pytest

from qspec.solver import get_solver
from tests.soundness.real_agreement import check_seed

CHUNK = 50


@pytest.mark.parametrize("first", range(150, 300, CHUNK))
def test_delta_agrees_with_z3_and_sampling(first: int) -> None:
    counts: Counter[str] = Counter()
    for seed in range(first, first + CHUNK):
        found, wrong = check_seed(seed)
        assert wrong == []
        counts += found
    assert min(counts["delta sat"], counts["delta unsat"]) >= CHUNK // 5
    assert counts["both decide"] >= CHUNK // 3


def test_dreal_agrees_with_z3_and_sampling() -> None:
    """dReal comes with an extra, and needs a library that no package brings: without it there is nothing to test."""
    dreal = get_solver("dreal")
    state = dreal.availability()
    if not state.ok:
        pytest.skip(f"dreal: {state.missing}")
    counts: Counter[str] = Counter()
    for seed in range(CHUNK):
        found, wrong = check_seed(seed, 5.0, dreal)
        assert wrong == []
        counts += found
    assert counts["dreal unsat"] >= CHUNK // 5
