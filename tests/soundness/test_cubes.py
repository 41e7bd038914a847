"""What a proof leaves open, as queries: together they have exactly the solutions of the query, since closed domains have none."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from qspec.arithmetic.integers import IntArray
from qspec.arithmetic.rounding import Rounding
from qspec.certificate.check import OpenDomain, check
from qspec.certificate.file import ASSUME, EMPTY, Certificate
from qspec.engines.dual.branch_and_bound import prove
from qspec.engines.dual.options import Branching, EngineOptions
from qspec.errors import CertificateError, UnsupportedError
from qspec.ir import linear
from qspec.ir.digest import digest
from qspec.ir.integer import All, And, Any, Input, Query, Staircase, formula_nodes, sizes
from qspec.ir.integer_builder import Builder
from qspec.ir.reference import evaluate, holds
from qspec.verify.cubes import cube
from tests.clocks import rounds
from tests.soundness.naive_proofs import SOMEBODY, State, Writer
from tests.soundness.random_queries import KINDS, Kind, assignments, random_query, solutions
from tests.soundness.test_certificate_check import MUTATIONS


def partial(query: Query, *, batches: int, leave: int, branching: Branching | None = None) -> Certificate | None:
    """Return the proof of a search that ends early, None if it decides the query, or there is nothing to search."""
    if not formula_nodes(query.goal):
        return None
    options = EngineOptions(2, 3, branching, compiled=False, leave=leave)
    try:
        outcome = prove(query, rounds(batches), options)
    except UnsupportedError:
        return None
    if outcome.partial is None:
        return None
    count = int(np.sum(outcome.partial.steps[:, 0] == ASSUME))
    assert count == outcome.open
    return Certificate(digest(query), "", "forall", {}, (), assumed=(SOMEBODY,) * count, **outcome.partial.mapping())  # pyright: ignore[reportArgumentType]


def rows(found: IntArray) -> list[tuple[int, ...]]:
    return [tuple(row) for row in found.tolist()]


def inside(query: Query, domain: OpenDomain) -> set[tuple[int, ...]]:
    """Return the points of a domain, by its definition: bounds of all nodes, facts and pending disjunctions."""
    points = assignments(query)
    values = evaluate(query.program, points)
    true = np.ones(next(iter(points.values())).shape[0], dtype=bool) & (not domain.empty)
    for v, (lower, upper) in zip(values, domain.bounds, strict=True):
        true &= np.all((v >= lower) & (v <= upper), axis=-1)
    for node, mask in domain.facts.items():
        true &= np.all(values[node][..., mask] >= 0, axis=-1)
    for formula in domain.pending:
        true &= holds(formula, values)
    return set(rows(np.concatenate(list(points.values()), axis=1)[true]))


def agrees(query: Query, certificate: Certificate) -> int:
    """Fail unless cubes have the solutions that their domains have, and all together those of the query; return how many there are."""
    found = set[tuple[int, ...]]()
    for domain in check(certificate, query, partial=True).assumed:
        own = set(rows(solutions(cube(query, domain))))
        assert own == inside(query, domain)
        found |= own
    assert found == set(rows(solutions(query)))
    return len(found)


@pytest.mark.parametrize("branching", ["steps", "input"])
@pytest.mark.parametrize("kind", [*KINDS, None])
def test_cubes_of_the_engine_have_the_solutions_of_the_query(kind: Kind | None, branching: Branching) -> None:
    seen: list[int] = []
    for seed in range(16):
        query = random_query(
            np.random.default_rng(seed), max_points=150, max_nodes=5, kinds=KINDS if kind is None else ("affine", kind, kind)
        )
        certificate = partial(query, batches=seed % 4, leave=4 + seed % 9, branching=branching)
        if certificate is not None:
            seen.append(agrees(query, certificate))
    assert len(seen) >= 3
    assert any(seen)


def wild_proof(query: Query, rng: np.random.Generator) -> Certificate:
    """Return a proof that splits (staircases above all), chooses, propagates and tightens at random, and assumes whatever is left."""
    writer = Writer(query, rng)
    size = sizes(query.program)
    values = [v.reshape(-1, n) for v, n in zip(evaluate(query.program, assignments(query)), size, strict=True)]
    stairs = [k for k, n in enumerate(query.program) if isinstance(n, Staircase)]
    stack = [(State().asserting(query.goal, size), 0)]
    while stack:
        state, depth = stack.pop()
        act = rng.choice(["split", "split", "choose", "propagate", "tighten"]) if depth < 4 else ""
        node = int(rng.choice(stairs if stairs and rng.random() < 0.5 else range(len(query.program))))
        if act == "split" and size[node]:
            element = int(rng.integers(0, size[node]))
            writer.split(node, element, int(np.median(values[node][:, element])) - int(rng.integers(0, 2)))
            stack += [(state, depth + 1)] * 2
        elif act == "choose" and state.pending and size[getattr(state.pending[0], "node", 0)] < 6:
            writer.choose(0)
            stack += [(s, depth + 1) for s in reversed(state.chosen(0, size))]
        elif act:
            writer.propagate() if act == "propagate" or isinstance(query.program[node], Input) else writer.tighten(node)
            stack.append((state, depth + 1))
        else:
            writer.assume()
    return writer.certificate()


@pytest.mark.parametrize("kind", [*KINDS, None])
def test_cubes_of_wild_proofs_have_the_solutions_of_the_query(kind: Kind | None) -> None:
    total = 0
    for seed in range(16):
        rng = np.random.default_rng([seed, 7])
        query = random_query(rng, max_points=150, max_nodes=5, kinds=KINDS if kind is None else ("affine", kind, kind))
        total += agrees(query, wild_proof(query, rng))
    assert total > 16


@pytest.mark.parametrize("rounding", [*Rounding, None])
def test_a_cut_of_a_staircase_is_one_of_its_argument(rounding: Rounding | None) -> None:
    rng = np.random.default_rng(0)
    for seed in range(3):
        b = Builder()
        x = b.input("x", -12, 12)
        if rounding is None:
            y = b.steps(x, -2, np.sort(rng.integers(-9, 9, 5)))
        else:
            n, d, o = rng.integers(1, 4), rng.integers(1, 6), rng.integers(-3, 4)
            y = b.rescale(x, n, d, rounding, offset=o, lower=-3, upper=[None, 4][seed % 2])
        z = b.clamp(b.scale(y, -2, 1), -5, 5)
        goal = And((All(b.scale(x, 1, 12)), Any(b.affine([(linear.identity(1), z)], 4))))
        query = Query(b.program, goal)
        for node, threshold in [(n, t) for n in (y, z) for t in range(-4, 5)]:
            writer = Writer(query)
            writer.split(node, 0, threshold)
            for _ in range(2):
                writer.propagate()
                writer.assume()
            agrees(query, writer.certificate())


def test_a_bound_that_follows_from_a_later_fact_is_asserted() -> None:
    """Narrowing a staircase by what a fact about it says would make the fact true of everything."""
    b = Builder()
    x = b.input("x", -9, 9)
    a = b.scale(x, 2, 1)
    y = b.clamp(a, -6, 6)
    fact = b.scale(y, 1, -3)
    query = Query(b.program, All(fact))
    writer = Writer(query)
    writer.bound(a, 0, 1, [(fact, 0, 2)], [-1])
    writer.bound(a, 0, 1, [(fact, 0, 1)], [-1])
    writer.assume()
    (domain,) = check(writer.certificate(), query, partial=True).assumed
    assert domain.bounds[a][0].tolist() == [3]
    assert agrees(query, writer.certificate()) == 9


@cache
def satisfiable(count: int) -> list[tuple[Query, Certificate]]:
    """Return queries with solutions, and a partial proof of each."""
    found: list[tuple[Query, Certificate]] = []
    for seed in range(1000):
        rng = np.random.default_rng([seed, 8])
        query = random_query(rng, max_points=60, max_nodes=4)
        if len(solutions(query)):
            found.append((query, wild_proof(query, rng)))
        if len(found) == count:
            return found
    raise AssertionError("too few examples")


def to_closed(certificate: Certificate, rng: np.random.Generator) -> Certificate:
    """Claim that a domain is closed that was assumed to be."""
    steps = certificate.steps.copy()
    last = len(certificate.assumed) - 1
    steps[(steps[:, 0] == ASSUME) & (steps[:, 1] == last)] = (EMPTY, 0, 0, 0)
    return replace(certificate, steps=steps, assumed=certificate.assumed[:last])


def forgotten(certificate: Certificate, rng: np.random.Generator) -> Certificate:
    """Leave an assumed domain out."""
    last = len(certificate.assumed) - 1
    keep = (certificate.steps[:, 0] != ASSUME) | (certificate.steps[:, 1] != last)
    return replace(certificate, steps=certificate.steps[keep], assumed=certificate.assumed[:last])


def numbered(certificate: Certificate, rng: np.random.Generator) -> Certificate:
    """Give an assumption a number that is none."""
    steps = certificate.steps.copy()
    steps[(steps[:, 0] == ASSUME) & (steps[:, 1] == 0), 1] = -1
    return replace(certificate, steps=steps)


def with_more(certificate: Certificate, rng: np.random.Generator) -> Certificate:
    """Write numbers where an assumption has none."""
    steps = certificate.steps.copy()
    steps[steps[:, 0] == ASSUME, 2] = 1
    return replace(certificate, steps=steps)


ABOUT_ASSUMPTIONS = {"closed": to_closed, "forgotten": forgotten, "numbered": numbered, "with more": with_more}


@pytest.mark.parametrize("name", [*MUTATIONS, *ABOUT_ASSUMPTIONS])
def test_no_mutant_of_a_partial_proof_loses_a_solution(name: str) -> None:
    accepted = 0
    for query, certificate in satisfiable(8):
        with pytest.raises(CertificateError, match="partial"):
            check(certificate, query)
        try:
            mutant = {**MUTATIONS, **ABOUT_ASSUMPTIONS}[name](certificate, np.random.default_rng(0))
            domains = () if mutant is None else check(mutant, query, partial=True).assumed
        except CertificateError:
            continue
        if mutant is not None:
            accepted += 1
            left = {row for domain in domains for row in rows(solutions(cube(query, domain)))}
            assert left == set(rows(solutions(query)))
    assert not accepted or name in ("closed", *MUTATIONS)
