"""The verified checker: it accepts right proofs, and never one of a query that has a solution. Needs ACL2; `make check-verified` runs it.

ACL2 proves that the second is so. What is tested here is what is not proved: that the query is written down as it is, and read as written.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from qspec.arithmetic.rounding import round_ratio
from qspec.certificate.check import check
from qspec.certificate.file import LIST, Certificate
from qspec.certificate.points import EVEN
from qspec.certificate.verified import ACCEPTED, ASIDE, answers, check_verified
from qspec.errors import CertificateError
from qspec.ir import linear
from qspec.ir.digest import digest
from qspec.ir.integer import All, Query
from qspec.ir.integer_builder import Builder
from tests.soundness.naive_proofs import Writer
from tests.soundness.random_queries import KINDS, Kind, random_query, solutions
from tests.soundness.test_certificate_check import MUTATIONS, accepted, disjunctive, examples
from tests.soundness.test_cubes import wild_proof


def verdicts(cases: list[tuple[Query, Certificate]]) -> list[bool]:
    found, _ = answers(cases)
    return [answer == f"{ACCEPTED} {digest(query)}" for answer, (query, _) in zip(found, cases, strict=True)]


def listed(query: Query) -> Certificate:
    """Return a proof that looks at every assignment."""
    certificate = Writer(query).certificate()
    return replace(certificate, steps=np.array([[LIST, 0, 0, 0]]))


def test_every_operation_means_what_the_reference_says() -> None:
    """A proof that lists every assignment is right if and only if the reference finds no solution."""
    every: list[Kind | None] = [*KINDS, None, None]
    queries = [
        random_query(np.random.default_rng([seed, k]), max_points=30, kinds=KINDS if kind is None else ("affine", kind, kind))
        for k, kind in enumerate(every)
        for seed in range(20)
    ]
    expected = [not len(solutions(query)) for query in queries]
    assert 0.2 < np.mean(expected) < 0.8
    assert verdicts([(query, listed(query)) for query in queries]) == expected


def test_right_proofs_are_accepted() -> None:
    assert all(verdicts(examples(False)))


def test_no_proof_of_a_satisfiable_query_is_accepted() -> None:
    rng = np.random.default_rng(0)
    cases = [(query, certificate) for query, certificate in examples(True)]
    cases += [(query, mutant) for query, right in examples(True) for change in MUTATIONS.values() if (mutant := change(right, rng))]
    assert len(cases) > 300
    assert not any(verdicts(cases))


def test_what_the_other_checker_accepts_is_accepted() -> None:
    """Mutants of right proofs may happen to be proofs. The verified checker takes some more: it narrows more, and takes weights of zero."""
    rng = np.random.default_rng(1)
    cases = [(query, mutant) for query, right in examples(False) for change in MUTATIONS.values() if (mutant := change(right, rng))][::3]
    other = np.array([accepted(mutant, query) for query, mutant in cases])
    ours = np.array(verdicts(cases))
    assert np.sum(other & ~ours) < 0.02 * len(cases)
    assert 0.2 < np.mean(other) <= np.mean(ours) < 0.6


def test_multipliers_and_weights_decide() -> None:
    """Is there x from -10 to 10 for which `2 max(x, 0) - x >= 11`? One slope of the clamp shows that there is not; intervals do not."""
    b = Builder()
    x = b.input("x", -10, 10)
    line = b.affine([(linear.diagonal([2]), b.clamp(x, 0, None)), (linear.diagonal([-1]), x)], -11)
    query = Query(b.program, All(line))
    cases: list[tuple[Query, Certificate]] = []
    for p in range(-6, 7):
        for weight in range(1, 4):
            writer = Writer(query)
            writer.close([(line, 0, weight)], [p])
            cases.append((query, writer.certificate()))
    other = [accepted(certificate, query) for query, certificate in cases]
    assert verdicts(cases) == other
    assert 0 < sum(other) < len(other)


def test_rescaling_many_codes_in_one_step_loses_nothing() -> None:
    """What rounding leaves is an integer, between bounds that are reached: a query one beyond them has no solution."""
    cases: list[tuple[Query, Certificate]] = []
    for rounding, denominator, sign in product(EVEN, (3, 4), (-3, 3)):
        b = Builder()
        x = b.input("x", -50, 50)
        y = b.rescale(x, 1, denominator, rounding)
        codes = np.arange(-50, 51)
        most = int((sign * (codes - denominator * round_ratio(codes, np.array(denominator), rounding))).max())
        line = b.affine([(linear.diagonal([sign]), x), (linear.diagonal([-sign * denominator]), y)], -most - 1)
        query = Query(b.program, All(line))
        for p in range(-5, 6):
            writer = Writer(query)
            writer.close([(line, 0, 1)], [p])
            cases.append((query, writer.certificate()))
    other = [accepted(certificate, query) for query, certificate in cases]
    assert verdicts(cases) == other
    assert sum(other) == 12


def test_choices_are_in_order() -> None:
    query = disjunctive()
    writer = Writer(query)
    writer.choose(1)
    writer.choose(0)
    for _ in range(2):
        writer.propagate()
        writer.empty()
    writer.choose(0)
    writer.propagate()
    writer.empty()
    writer.close([(5, 0, 1), (3, 0, 1)])
    assert verdicts([(query, writer.certificate())]) == [True]


def test_the_digest_must_be_that_of_the_query() -> None:
    query, certificate = examples(False)[0]
    assert check_verified(certificate, query).prover.startswith("ACL2")
    with pytest.raises(CertificateError, match="another query"):
        check_verified(replace(certificate, query="0" * 64), query)
    solvable, wrong = examples(True)[0]
    with pytest.raises(CertificateError, match="is wrong"):
        check_verified(replace(wrong, query=digest(solvable)), solvable)


def test_a_proof_with_assumptions_is_accepted_but_for_them() -> None:
    """All solutions lie in what is put aside: as many domains as the other checker says. Without its assumption such a proof is none."""
    cases: list[tuple[Query, Certificate, int]] = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        query = random_query(rng, max_points=30)
        certificate = wild_proof(query, rng)
        cases.append((query, certificate, len(check(certificate, query, partial=True).assumed)))
    found, _ = answers([(query, certificate) for query, certificate, _ in cases])
    expected = [f"{ASIDE} {n} {digest(query)}" if n else f"{ACCEPTED} {digest(query)}" for query, _, n in cases]
    assert found == expected
    assert sum(n > 1 for _, _, n in cases) > 10
    query, certificate, number = next(case for case in cases if case[2] > 1)
    assert check_verified(certificate, query).assumed == number
    with pytest.raises(CertificateError, match="does not accept"):
        check_verified(replace(certificate, steps=certificate.steps[:-1], assumed=certificate.assumed[:-1]), query)
