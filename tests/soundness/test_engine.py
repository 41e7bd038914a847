"""The native engine against enumeration: a solution is one, and where there is a proof, it is accepted and there is no solution."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from qspec.bounds.initial_slopes import SLOPE_BITS
from qspec.bounds.tighten import SCALE
from qspec.certificate import derive
from qspec.certificate.check import check
from qspec.certificate.file import LIST, Certificate
from qspec.deadline import Deadline
from qspec.engines.dual import exhaustive
from qspec.engines.dual.branch_and_bound import prove
from qspec.engines.dual.options import Branching, EngineOptions
from qspec.engines.dual.outcome import Outcome
from qspec.errors import CertificateError, InternalError, UnsupportedError
from qspec.ir import live
from qspec.ir.digest import digest
from qspec.ir.integer import Query
from qspec.ir.reference import satisfies
from tests.clocks import rounds
from tests.soundness.random_queries import KINDS, Kind, random_query, solutions
from tests.soundness.test_certificate_check import MUTATIONS, accepted, relaxed, widened

BRANCHINGS: tuple[Branching | None, ...] = (None, "steps", "input")
ROUNDS = 40
"""Batches that a search may take; no clock."""


def budget() -> Deadline:
    return rounds(ROUNDS)


def certificate(query: Query, outcome: Outcome) -> Certificate:
    """Return the certificate that a finished search amounts to."""
    assert outcome.proof is not None
    proof = outcome.proof
    return Certificate(digest(query), "", "forall", {}, (), SCALE, SLOPE_BITS, proof.steps, proof.slopes, proof.multipliers, proof.weights)


def judged(query: Query, satisfiable: bool, options: EngineOptions, label: object) -> str:
    """Search, and fail with the label where the outcome is wrong or its proof is rejected."""
    try:
        outcome = prove(query, budget(), options)
    except UnsupportedError:
        return "too wide"
    if outcome.solution is not None:
        assert outcome.proof is None, label
        assert satisfies(query, outcome.solution), f"{label}: not a solution"
        return "solution"
    if outcome.proof is None:
        return "undecided"
    assert not satisfiable, f"{label}: a proof that there is no solution, but there is one"
    try:
        check(certificate(query, outcome), query)
    except CertificateError as error:
        raise AssertionError(f"{label}: the proof is rejected: {error}") from error
    return "proof"


def example(seed: int, kind: Kind | None = None) -> Query:
    return random_query(np.random.default_rng(seed), max_points=100, max_nodes=5, kinds=KINDS if kind is None else ("affine", kind, kind))


@pytest.mark.parametrize("branching", ["steps", "input"])
@pytest.mark.parametrize("kind", [*KINDS, None])
def test_verdicts_equal_enumeration(kind: Kind | None, branching: Branching) -> None:
    options = EngineOptions(branching=branching, compiled=False)
    counts: Counter[str] = Counter()
    for seed in range(20):
        query = example(seed, kind)
        counts[judged(query, bool(len(solutions(query))), options, (kind, branching, seed))] += 1
    assert min(counts["solution"], counts["proof"]) >= 4
    assert counts["undecided"] <= (0 if branching == "input" else 1)


def test_what_bounds_do_not_close_at_once_is_listed_and_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    """In blocks of a few assignments; where the budget ends before all were seen, nothing is claimed."""
    monkeypatch.setattr(exhaustive, "price", lambda *_: 0)
    counts: Counter[str] = Counter()
    kinds: tuple[tuple[Kind, int], ...] = (("maximum", 7), ("table", 1))
    for kind, block in kinds:
        monkeypatch.setattr(exhaustive, "BLOCK", block)
        for seed in range(60):
            query = example(seed, kind)
            outcome = prove(query, budget(), EngineOptions(compiled=False))
            if outcome.solution is not None:
                assert satisfies(query, outcome.solution), (kind, seed)
            elif outcome.proof is not None:
                assert not len(solutions(query)), (kind, seed)
                check(certificate(query, outcome), query)
            steps = None if outcome.proof is None else outcome.proof.steps[:, 0]
            counts["open" if steps is None else "listed" if LIST in steps else "closed"] += outcome.solution is None
    assert counts["listed"] >= 4
    assert counts["open"] >= 1


@pytest.mark.parametrize(
    ("seed", "kind"),
    [
        (100136, None),  # a disjunction of one disjunct bounds an input
        (1004165, "product"),  # a fact about an input beside facts that are no bounds
        (1006006, "maximum"),
        (2057527, "wrap"),  # weights too small for single floats
    ],
)
def test_proofs_that_were_rejected_once(seed: int, kind: Kind | None) -> None:
    query = example(seed, kind)
    for branching in BRANCHINGS:
        assert judged(query, bool(len(solutions(query))), EngineOptions(branching=branching, compiled=False), (seed, branching)) == "proof"


@pytest.mark.parametrize("branching", ["steps", "input"])
def test_verdicts_on_compiled_code_equal_enumeration(branching: Branching) -> None:
    for seed in range(3):
        query = example(seed)
        assert judged(query, bool(len(solutions(query))), EngineOptions(8, 5, branching, compiled=True), (branching, seed)) != "too wide"


def test_verdicts_without_what_bounds_fix_equal_enumeration(monkeypatch: pytest.MonkeyPatch) -> None:
    """However small a program is, engine and checker leave out what is fixed; the checker looks at corners for every row."""
    monkeypatch.setattr(live, "LEAST", 0)
    monkeypatch.setattr(live, "PART", 0)
    monkeypatch.setattr(derive, "ROWS", 1)
    counts: Counter[str] = Counter()
    for seed in range(42):
        query = example(seed, (None, *KINDS)[seed % 7])
        counts[judged(query, bool(len(solutions(query))), EngineOptions(branching=BRANCHINGS[seed % 3], compiled=False), seed)] += 1
    assert min(counts["solution"], counts["proof"]) >= 8


@cache
def proofs() -> list[tuple[Query, Certificate]]:
    """Return small queries without a solution, with the certificate that the engine found for each, where that derives anything."""
    found: list[tuple[Query, Certificate]] = []
    for seed in range(1000, 1400):
        query = example(seed)
        if not len(solutions(query)):
            outcome = prove(query, budget(), EngineOptions(branching="input", compiled=False))
            if outcome.proof is not None and len(outcome.proof.multipliers):
                found.append((query, certificate(query, outcome)))
        if len(found) == 25:
            break
    return found


def flipped(proof: Certificate) -> Certificate:
    return replace(proof, multipliers=-proof.multipliers, slopes=-proof.slopes)


def test_few_proofs_stand_without_a_step_or_a_weight() -> None:
    """Each could be accepted without harm, since the queries have no solution; but a checker that rounds finds most of them out."""
    rng = np.random.default_rng(1)
    for name in ("without a step", "a step too many", "cut short", "no weight", "a negative weight"):
        mutants = [(q, m) for q, c in proofs() if (m := MUTATIONS[name](c, rng)) is not None]
        assert len(mutants) >= 5
        stood = sum(accepted(m, q) for q, m in mutants)
        assert stood <= (2 if name == "without a step" else 0), name  # a choice of which one disjunct is left may be needless
    steeper = [(q, flipped(c)) for q, c in proofs() if np.any(c.multipliers)]
    assert sum(not accepted(m, q) for q, m in steeper) >= len(steeper) // 4 > 0


@pytest.mark.parametrize("alter", [widened, relaxed])
def test_a_proof_does_not_prove_another_query(alter: Callable[[Query, np.random.Generator], Query]) -> None:
    """With the digest forged, and with mutants as well, no proof passes for a query that has a solution."""
    solvable = 0
    for seed, (query, proof) in enumerate(proofs()):
        for trial in range(4):
            other = alter(query, np.random.default_rng([seed, trial]))
            try:
                found = bool(len(solutions(other)))
            except InternalError:  # a table does not cover the wider argument
                continue
            if not found:
                continue
            solvable += 1
            forged = replace(proof, query=digest(other))
            for mutant in (forged, flipped(forged), *(m(forged, np.random.default_rng(seed)) for m in MUTATIONS.values())):
                assert mutant is None or not accepted(mutant, other)
    assert solvable > 5
