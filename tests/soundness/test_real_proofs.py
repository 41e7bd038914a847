"""Proofs of piecewise-linear queries are checked in whole numbers, and forged ones are refused."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import cache

import numpy as np
import pytest

from qspec.arithmetic.integers import shrink
from qspec.certificate.real_bound import GRID, prepared, relu, through
from qspec.certificate.real_check import check
from qspec.certificate.whole import WholeMultiples, parts, product
from qspec.engines.piecewise import search as searching
from qspec.engines.piecewise import tree as growing
from qspec.engines.piecewise.facts import facts_of
from qspec.engines.piecewise.root import bounded
from qspec.errors import CertificateError
from qspec.ir.real import TRUE, Affine, Any, Apply, Function, Input, Matrix, Query, entries, exact, fractions, whole
from qspec.ir.real_proof import CLOSE, INPUT, RELU, RealProof
from tests.soundness.piecewise_agreement import steps
from tests.soundness.piecewise_queries import random_network, truth


@pytest.fixture(autouse=True, params=[0, 10], ids=["relus", "inputs"])
def few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(searching, "FEW", request.param)
    with_splits.cache_clear()
    return request.param


def proved(seed: int) -> tuple[Query, RealProof] | None:
    query = random_network(seed)
    outcome = searching.search(query, steps(150))
    return None if outcome.proof is None else (query, outcome.proof)


@cache
def with_splits() -> tuple[Query, RealProof]:
    """Return a query, and a proof that splits ReLUs: relu(x + y) + relu(x - y) is at most 2, and 3 by chords."""
    nodes = (
        Input("x", exact([-1, -1]), exact([1, 1])),
        Affine(((Matrix(exact([[1, 1], [1, -1]])), 0),), exact([0, 0])),
        Apply(1, Function.RELU),
        Affine(((Matrix(exact([[1, 1]])), 2),), exact([Fraction(-21, 10)])),
    )
    query = Query(nodes, Any(3))
    proof = searching.search(query, steps(1000)).proof
    assert proof is not None
    assert proof.tree[proof.roots[0], 0] == (INPUT if searching.FEW else RELU)
    return query, proof


def test_every_proof_passes_the_check_and_is_right() -> None:
    count = 0
    for seed in range(30):
        found = proved(seed)
        if found is not None:
            query, proof = found
            assert check(proof, query) == len(proof.weights)
            assert truth(query) is False
            count += 1
    assert count >= 8


def test_a_proof_of_a_query_does_not_prove_one_that_has_solutions() -> None:
    query, proof = with_splits()
    last = query.program[-1]
    assert isinstance(last, Affine)
    raised = Affine(last.terms, exact(fractions(last.bias) + Fraction(100)))
    with pytest.raises(CertificateError):
        check(proof, Query((*query.program[:-1], raised), query.goal))


def forged(proof: RealProof) -> dict[str, RealProof]:
    root = int(proof.roots[0])
    bent = proof.tree.copy()
    bent[root] = (CLOSE, 0, 0, 0)
    loop, beyond, nowhere = proof.tree.copy(), proof.tree.copy(), proof.tree.copy()
    loop[root, 2] = root
    beyond[root, 3] = len(proof.tree)
    nowhere[root, 1] = proof.low.size
    nan = proof.slopes.copy()
    nan[0, 0] = np.nan
    return {
        "a leaf instead of a split": replace(proof, tree=bent),
        "a node that is its own child": replace(proof, tree=loop),
        "a child that there is not": replace(proof, tree=beyond),
        "a split of no element": replace(proof, tree=nowhere),
        "tighter lower bounds": replace(proof, low=np.maximum(proof.low, proof.high - 1e-6)),
        "tighter upper bounds": replace(proof, high=np.minimum(proof.high, proof.low + 1e-6)),
        "negative weights": replace(proof, weights=-proof.weights),
        "no weights": replace(proof, weights=0 * proof.weights),
        "no leaves": replace(proof, slopes=proof.slopes[:0], shifts=proof.shifts[:0], weights=proof.weights[:0]),
        "no cases": replace(proof, roots=proof.roots[:0]),
        "a slope that is no number": replace(proof, slopes=nan),
        "arrays of another query": replace(proof, low=proof.low[:-1], high=proof.high[:-1]),
        "weights of no fact": replace(proof, weights=proof.weights[:, :0]),
        "weights of facts that there are not": replace(proof, weights=np.repeat(proof.weights, 2, axis=1)),
        "numbers instead of arrays": replace(proof, weights=np.array(1.0), tree=np.array(1)),
        "a root instead of roots": replace(proof, roots=proof.roots[0]),
        "bounds as wide as doubles": replace(proof, low=proof.low - 1.7e308, high=proof.high + 1.7e308),
    }


def forged_splits_of_inputs(proof: RealProof) -> dict[str, RealProof]:
    root = int(proof.roots[0])
    outside, claims, ends, infinite = proof.cuts.copy(), proof.claims.copy(), proof.ends.copy(), proof.ends.copy()
    outside[root] = 2.0
    claims[0, 1] = proof.low.size
    ends[0] = ends[0].mean()
    infinite[0, 0] = -np.inf
    moved = proof.claims.copy()
    moved[:, 0] = 0
    return {
        "a cut outside of the box": replace(proof, cuts=outside),
        "cuts of fewer nodes": replace(proof, cuts=proof.cuts[:-1]),
        "a claim about no element": replace(proof, claims=claims),
        "a claim that is too tight": replace(proof, ends=ends),
        "an infinite claim": replace(proof, ends=infinite),
        "claims without ends": replace(proof, ends=proof.ends[:0]),
        "claims that are no pairs": replace(proof, claims=proof.claims[:, :1]),
        "claims of parts about the whole box": replace(proof, claims=moved),
        "no claims": replace(proof, claims=proof.claims[:0], ends=proof.ends[:0]),
    }


def test_forged_splits_of_inputs_are_refused(few: int) -> None:
    if few:
        query, proof = with_splits()
        check(proof, query)
        for wrong in forged_splits_of_inputs(proof).values():
            with pytest.raises(CertificateError):
                check(wrong, query)


def test_a_proof_that_grows_too_long_is_dropped_and_the_verdict_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    query, proof = with_splits()
    monkeypatch.setattr(growing, "LARGEST", 2 * proof.slopes.size)
    outcome = searching.search(query, steps(1000))
    assert (outcome.status, outcome.proof) == ("unsat", None)


def test_forged_proofs_are_refused(few: int) -> None:
    query, proof = with_splits()
    check(proof, query)
    for name, wrong in forged(proof).items():
        if few and name == "bounds as wide as doubles":  # true, and parts of the box claim their own
            assert check(wrong, query) == check(proof, query)
            continue
        with pytest.raises(CertificateError):
            check(wrong, query)


def test_what_is_always_true_has_no_proof() -> None:
    query, proof = with_splits()
    with pytest.raises(CertificateError, match="always true"):
        check(replace(proof, weights=proof.weights[:, :0]), Query(query.program, TRUE))


def test_any_multipliers_prove_nothing_that_is_false() -> None:
    """The checker holds against multipliers of chance for queries that have solutions."""
    rng = np.random.default_rng(0)
    tried = 0
    for seed in range(40):
        query = random_network(seed)
        if not isinstance(query.goal, Any) or not truth(query):
            continue
        search = searching.ReluSearch(query, steps(1000), 0)
        search.facts = facts_of(search.cases, search.net.plan.sizes)
        whole = bounded(search.net, search.net.plan.lower[None], search.net.plan.upper[None])
        n = search.net.elements
        for k in range(len(search.cases)):
            search.tree.close(k, search.tree.leaf(rng.uniform(0, 1, n), np.zeros(n), search.facts.present[k]))
        proof = search.tree.proof(whole.low[0], whole.high[0], search.facts.present.shape[1])
        assert proof is not None
        with pytest.raises(CertificateError):
            check(proof, query)
        tried += 1
    assert tried >= 5


def test_products_of_long_whole_numbers_are_exact() -> None:
    rng = np.random.default_rng(1)
    left = np.array([[int(v) * (1 << 70) - 3 for v in row] for row in rng.integers(-(10**9), 10**9, (3, 5))], dtype=object)
    right = np.array([[int(v) * 12345678901 + 1 for v in row] for row in rng.integers(-(10**9), 10**9, (5, 2))], dtype=object)
    assert np.array_equal(product(left, parts(right)), left @ right)
    for one, other in ((left, right), (left >> 70, right), (left >> 70, right >> 40), (np.array([[2**61, -3]]), right[:2])):
        for drop in (0, 13, 20, 47, 200):
            assert np.array_equal(product(one, parts(other), drop), (one.astype(object) @ other) >> drop)
    assert WholeMultiples.of(exact([Fraction(1, 3), Fraction(-5, 4)])).unit == 12


def test_what_a_relu_leaves_is_the_exact_least_value_at_its_ends_and_its_kink() -> None:
    rng = np.random.default_rng(3)
    shape = (40, 12)
    low, high = np.sort(np.round(rng.normal(size=(2, *shape)), 1), axis=0) + rng.choice([0, 0, 1e-9, 2.0], (2, 1, shape[1]))
    low, high = np.minimum(low, high), np.maximum(low, high)
    slopes, shifts = rng.choice([0.0, 1.0, 0.3], shape), rng.choice([0.0, 0.0, 0.1, -3.0], shape)
    for magnitude, unit in ((2**40, 1), (2**50, 1 << GRID), (2**57, 1 << GRID), (2**70, 3 << 60), (2**62, 1 << GRID), (2**90, 1 << 80)):
        numbers = np.array([[int(v * magnitude) for v in row] for row in rng.uniform(-1, 1, shape)], dtype=object)
        for c in (WholeMultiples(numbers, unit), WholeMultiples(shrink(numbers), unit)):
            p, rest = relu(c, low, high, slopes, shifts)
            for row in range(shape[0]):
                expected = Fraction(0)
                for k in range(shape[1]):
                    a, b = Fraction(int(numbers[row, k]), unit), Fraction(int(p.numbers[row, k]), p.unit)
                    ends = [low[row, k], high[row, k], *([0.0] if low[row, k] < 0 < high[row, k] else [])]
                    expected += min(a * max(Fraction(v), Fraction(0)) - b * Fraction(v) for v in ends)
                assert Fraction(rest.numbers[row], rest.unit) == expected


def test_coefficients_of_what_is_at_least_zero_are_rounded_down_by_less_than_the_grid() -> None:
    rng = np.random.default_rng(4)
    c = WholeMultiples(rng.integers(-(2**55), 2**55, (5, 6)), 1 << GRID)
    for matrix in (rng.normal(size=(6, 7)).astype(np.float32), rng.normal(size=(6, 7)), exact([[Fraction(k, 3) for k in range(7)]] * 6)):
        for m in (Matrix(exact(matrix)), entries(Matrix(exact(matrix)))):
            precise, rounded = (through(c, *prepared(m), down=down) for down in (False, True))
            assert rounded.numbers.dtype == np.int64
            for one, other in zip(fractions_of(precise), fractions_of(rounded), strict=True):
                assert 0 <= one - other < Fraction(1, 1 << GRID)


def fractions_of(numbers: WholeMultiples) -> list[Fraction]:
    return [Fraction(v, numbers.unit) for v in numbers.numbers.reshape(-1).tolist()]


def test_doubles_are_whole_numbers_over_their_least_common_denominator() -> None:
    rng = np.random.default_rng(2)
    for least, most in ((-1074, 900), (-60, 3), (0, 1)):
        drawn = np.ldexp(rng.integers(-(2**53), 2**53, (3, 4)).astype(np.float64), rng.integers(least, most, (3, 4)))
        short = (drawn % 1).astype(np.float32).astype(np.float64)
        for values in (drawn, short, np.array([0.0, -0.0, 5e-324, 1.75, -1.7e308]), np.zeros((2, 0)), np.ones(3)):
            numbers, unit = whole(values)
            expected, least_unit = whole(fractions(values))
            assert unit == least_unit
            assert numbers.shape == values.shape
            assert numbers.tolist() == expected.tolist()
