"""The solver `delta`, z3 and sampling do not contradict each other on random real queries; `real_agreement.py` says how."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.soundness.real_agreement import check_seed

CHUNK = 50


@pytest.mark.parametrize("first", range(0, 300, CHUNK))
def test_delta_agrees_with_z3_and_sampling(first: int) -> None:
    counts: Counter[str] = Counter()
    for seed in range(first, first + CHUNK):
        found, wrong = check_seed(seed)
        assert wrong == []
        counts += found
    assert min(counts["delta sat"], counts["delta unsat"]) >= CHUNK // 5
    assert counts["both decide"] >= CHUNK // 3
