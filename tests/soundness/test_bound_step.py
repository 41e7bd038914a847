"""The `bound` step of certificates: whatever multipliers, coefficients and facts it is given, no solution is lost."""

from __future__ import annotations

import numpy as np
import pytest

from qspec.arithmetic.integers import IntArray
from qspec.certificate.check import check
from qspec.certificate.file import ASSUME, BOUND, PROPAGATE, Assumption, Certificate
from qspec.errors import CertificateError
from qspec.ir.digest import digest
from qspec.ir.integer import All, And, Query, sizes
from qspec.ir.reference import evaluate
from tests.soundness.naive_proofs import largest_multipliers
from tests.soundness.random_queries import assignment, random_query, solutions

NOBODY = Assumption("nobody", "0", "QF_BV")


def asserted(query: Query) -> list[int]:
    """Return the nodes of which every element is a fact from the start."""
    parts = query.goal.children if isinstance(query.goal, And) else (query.goal,)
    return [p.node for p in parts if isinstance(p, All)]


def certificate(query: Query, steps: list[tuple[int, int, int, int]], multipliers: IntArray, weights: IntArray) -> Certificate:
    listed = np.array([*steps, (ASSUME, 0, 0, 0)], dtype=np.int64)
    slopes = np.zeros((0, 2, multipliers.shape[1]), dtype=np.int64)
    return Certificate(digest(query), "", "forall", {}, (), 1, 1, listed, slopes, multipliers, weights, (NOBODY,))


def drawn(query: Query, rng: np.random.Generator, count: int) -> Certificate:
    """Return a certificate of `bound` steps with random numbers, some followed by propagation; nothing is proved by it."""
    size = sizes(query.program)
    width = largest_multipliers(query).size
    steps: list[tuple[int, int, int, int]] = []
    weights: list[tuple[int, int, int, int]] = []
    facts = [n for n in asserted(query) if size[n]]
    for number in range(count):
        node = int(rng.choice([k for k, n in enumerate(size) if n]))
        steps.append((BOUND, node, int(rng.integers(0, size[node])), int(rng.choice([-3, -1, 1, 2]))))
        if facts and rng.random() < 0.3:
            fact = int(rng.choice(facts))
            weights.append((number, fact, int(rng.integers(0, size[fact])), int(rng.integers(1, 4))))
        if rng.random() < 0.5:
            steps.append((PROPAGATE, 0, 0, 0))
    multipliers = np.where(rng.random((count, width)) < 0.5, 0, rng.integers(-2, 3, (count, width)))
    return certificate(query, steps, multipliers, np.array(weights, dtype=np.int64).reshape(-1, 4))


def test_no_solution_is_outside_of_what_is_bounded() -> None:
    tighter = counted = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        query = random_query(rng, max_points=60)
        points = solutions(query)
        if not len(points):
            continue
        (left,) = check(drawn(query, rng, 40), query, partial=True).assumed
        assert not left.empty, seed
        (before,) = check(drawn(query, rng, 0), query, partial=True).assumed
        values = evaluate(query.program, assignment(query, points))
        for value, (lower, upper) in zip(values, left.bounds, strict=True):
            assert np.all(value >= lower), seed
            assert np.all(value <= upper), seed
        tighter += any(np.any(new[0] > old[0]) or np.any(new[1] < old[1]) for new, old in zip(left.bounds, before.bounds, strict=True))
        counted += 1
    assert counted > 50
    assert tighter > 7


@pytest.mark.parametrize("step", [(BOUND, 0, 0, 0), (BOUND, 0, 10**6, 1), (BOUND, 0, -1, 1), (BOUND, 10**6, 0, 1), (BOUND, -1, 0, 1)])
def test_a_step_that_bounds_nothing_is_refused(step: tuple[int, int, int, int]) -> None:
    query = random_query(np.random.default_rng(0), max_points=50)
    width = largest_multipliers(query).size
    wrong = certificate(query, [step], np.zeros((1, width), dtype=np.int64), np.zeros((0, 4), dtype=np.int64))
    with pytest.raises(CertificateError, match="bound"):
        check(wrong, query, partial=True)
