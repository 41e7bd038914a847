"""Classes of two networks, and formulas that would be thousands of queries if they were multiplied out, against enumeration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import qspec as qs
from qspec.certificate.check import check
from qspec.compile.query import compile_property
from qspec.engines.dual.branch_and_bound import prove
from qspec.engines.dual.options import EngineOptions
from qspec.ir.digest import digest
from qspec.ir.integer import All, And, Any, Formula, Or, Query
from qspec.testing.exhaustive import census
from qspec_models import samples
from tests.benchmarks.equality import by_channel
from tests.soundness.random_networks import random_classes
from tests.soundness.random_queries import random_query, solutions
from tests.soundness.test_certificate_check import MUTATIONS, accepted
from tests.soundness.test_engine import BRANCHINGS, budget, certificate, judged

DOMAINS = 32
"""Domains that may be bounded where bounds decide nearly everything."""


def about_classes(seed: int) -> str:
    """Decide a property of classes, and fail where enumeration by the interpreter says otherwise."""
    spec = random_classes(seed)
    query = compile_property(spec).query
    return judged(query, bool(census(spec).solutions), EngineOptions(branching=BRANCHINGS[seed % 3], compiled=False), seed)


def deep(seed: int) -> Query:
    return random_query(np.random.default_rng(seed), max_points=100, max_nodes=4, nested=(3, 5))


def nested(seed: int) -> str:
    """Decide a query about a deep formula, and fail where enumeration says otherwise."""
    query = deep(seed)
    return judged(query, bool(len(solutions(query))), EngineOptions(branching=BRANCHINGS[seed % 3], compiled=False), seed)


@pytest.mark.parametrize("decide", [about_classes, nested])
def test_verdicts_equal_enumeration(decide: Callable[[int], str]) -> None:
    counts = Counter(decide(seed) for seed in range(21))
    assert min(counts["solution"], counts["proof"]) >= 6
    assert counts["undecided"] <= 2


def test_a_proof_about_a_deep_formula_does_not_prove_another_one() -> None:
    """With the digest forged, and with mutants as well, no proof passes for the formula with one of its conjunctions a disjunction."""
    rng = np.random.default_rng(0)
    tried = 0
    for query in map(deep, range(60)):
        if len(solutions(query)):
            continue
        outcome = prove(query, budget(), EngineOptions(branching="input", compiled=False))
        other = Query(query.program, weakened(query.goal))
        if outcome.proof is None or not len(solutions(other)):
            continue
        forged = replace(certificate(query, outcome), query=digest(other))
        mutants = [forged, *(m for change in MUTATIONS.values() if (m := change(forged, rng)) is not None)]
        assert not any(accepted(m, other) for m in mutants)
        tried += 1
    assert tried >= 8


def weakened(formula: Formula) -> Formula:
    """Return the formula with its first conjunction made a disjunction."""
    match formula:
        case And(children):
            return Or(children)
        case Or(children):
            return Or((weakened(children[0]), *children[1:]))
        case All(node):
            return Any(node)
        case _:
            return formula


def same_class(a: qs.Network, b: qs.Network, image: np.ndarray, radius: int) -> Query:
    x = a.input("x")
    spec = qs.forall(x, given=qs.linf(x.code - image) <= radius, then=qs.argmax(a(x)) == qs.argmax(b(x)))
    return compile_property(spec).query


@pytest.mark.parametrize("radius", [0, 1])
def test_two_networks_give_one_class(radius: int) -> None:
    """Bounds alone decide it: nothing is bounded twice, and the proof is short."""
    images, _ = samples("digits-6bit")
    query = same_class(qs.load("digits-6bit"), qs.load("digits-8bit"), images[3], radius)
    outcome = prove(query, budget(), EngineOptions(compiled=False))
    assert outcome.proof is not None
    assert outcome.visited <= 4
    assert len(outcome.proof.steps) <= 100
    check(certificate(query, outcome), query)


def test_weights_of_8_and_of_4_bits_with_scales_for_each_channel_give_one_class() -> None:
    """Within two codes of an image, as in `tests/benchmarks/equality.py`; few domains are bounded, whatever the machine."""
    a, b, images = by_channel()
    decided: Counter[str] = Counter()
    for image in images[3:7]:
        query = same_class(a, b, image, 2)
        outcome = prove(query, budget(), EngineOptions(compiled=False))
        assert outcome.visited <= DOMAINS
        if outcome.proof is not None:
            assert len(outcome.proof.steps) <= 200
            check(certificate(query, outcome), query)
        decided["proof" if outcome.proof is not None else "solution" if outcome.solution is not None else "open"] += 1
    assert decided["proof"] >= 2
    assert decided["open"] == 0


def test_forty_three_classes_are_not_multiplied_out() -> None:
    """Every network of 43 classes agrees with itself, and with a copy whose scores are scaled."""
    rng = np.random.default_rng(0)
    wide = qs.Fixed(8, 0)
    kernel = qs.Tensor(rng.integers(-7, 8, (6, 43)), wide)
    a, b = (qs.Sequential(qs.Input((6,), qs.Fixed(4, 0)), qs.Dense(kernel, output=output)) for output in (None, qs.Fixed(12, 1)))
    query = same_class(a, b, np.zeros(6, dtype=np.int64), 1)
    outcome = prove(query, budget(), EngineOptions(compiled=False))
    assert outcome.proof is not None
    assert outcome.visited <= 2000
    check(certificate(query, outcome), query)
