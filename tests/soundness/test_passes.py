"""Every pass, alone and with others, keeps exactly the solutions: against enumeration on random queries over every operation."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qspec.arithmetic.integers import IntArray
from qspec.ir.integer import TRUE, Affine, Any, Input, Query, check, sizes, with_arguments, with_nodes
from qspec.ir.integer_builder import Builder
from qspec.passes import ALL_PASSES, Pass, Pipeline, Reduced
from qspec.passes.fuse_clamps import FuseClamps
from tests.soundness.random_queries import ROUNDINGS, assignment, random_query, solutions

SEEDS = range(100)
COUNTED = tuple(p for p in ALL_PASSES if p.name != "split")
Rows = frozenset[tuple[int, ...]]


@cache
def example(seed: int) -> tuple[Query, Rows]:
    query = random_query(np.random.default_rng(seed))
    return query, rows(solutions(query))


def rows(array: IntArray) -> Rows:
    return frozenset(tuple(r) for r in array.tolist())


def lifted(part: Reduced, old: Query) -> Rows:
    """Return every solution of the part, lifted as one batch."""
    found = solutions(part.query)
    if not found.shape[0]:
        return frozenset()
    batch = part.lift(assignment(part.query, found))
    size = [n.lower.size for n in old.inputs.values()]
    columns = [np.broadcast_to(batch[name], (found.shape[0], n)) for name, n in zip(old.inputs, size, strict=True)]
    result = rows(np.concatenate(columns, axis=1))
    assert len(result) == found.shape[0], "two solutions were lifted to one"
    return result


def keeps_solutions(reduce: Pass, query: Query, expected: Rows) -> tuple[Reduced, ...]:
    return keep_solutions(reduce.apply(query), query, expected)


def keep_solutions(parts: tuple[Reduced, ...], query: Query, expected: Rows) -> tuple[Reduced, ...]:
    found: Rows = frozenset()
    for part in parts:
        check(part.query)
        solved = lifted(part, query)
        assert solved <= expected, "a lifted solution does not solve the old query"
        assert part.multiplicity is None or len(solved) * part.multiplicity == len(expected)
        found |= solved
    assert bool(found) == bool(expected), "satisfiability changed"
    return parts


def test_the_examples_are_of_both_kinds_and_not_trivial() -> None:
    counts = [len(example(seed)[1]) for seed in SEEDS]
    assert 0.3 < np.mean([n > 0 for n in counts]) < 0.7
    open_ones = [seed for seed in SEEDS if Pipeline().run(example(seed)[0]).decided is None]
    assert len(open_ones) > len(SEEDS) // 5


@pytest.mark.parametrize("reduce", ALL_PASSES, ids=lambda p: p.name)
def test_a_pass_keeps_the_solutions(reduce: Pass) -> None:
    changed = 0
    for seed in SEEDS:
        query, expected = example(seed)
        parts = keeps_solutions(reduce, query, expected)
        changed += parts[0].query is not query
        assert (parts[0].multiplicity is not None) == (len(parts) == 1)
    assert changed or reduce.name == "fuse"  # random queries seldom clamp twice; `fusing` below does


@pytest.mark.parametrize("reduce", COUNTED, ids=lambda p: p.name)
def test_a_pass_ends(reduce: Pass) -> None:
    """Applied again and again, a pass comes to a query that it returns as it is."""
    assert [seed for seed in SEEDS if not ends(reduce, example(seed)[0])] == []


def ends(reduce: Pass, query: Query) -> bool:
    for _ in range(6):
        (part,) = reduce.apply(query)
        if part.query is query:
            return True
        query = part.query
    return False


def test_fusing_clamps_keeps_the_solutions() -> None:
    for seed in SEEDS:
        query = clamped(example(seed)[0], np.random.default_rng(seed))
        parts = keeps_solutions(FuseClamps(), query, rows(solutions(query)))
        assert parts[0].query is not query


def clamped(query: Query, rng: np.random.Generator) -> Query:
    """Return a query about two clamps, one on the other, over the last node of another query."""
    builder = builder_with(query)
    end = np.sort(rng.integers(-20, 20, (2, 2)), axis=1).tolist()
    low, high = (end[0][k] if rng.random() < 0.7 else None for k in (0, 1))
    first = builder.rescale(len(query.program) - 1, 1, 3, ROUNDINGS[int(rng.integers(0, len(ROUNDINGS)))], lower=low, upper=high)
    low, high = (end[1][k] if rng.random() < 0.7 else None for k in (0, 1))
    compared = builder.scale(builder.clamp(first, low, high), int(rng.choice([-1, 1])), int(rng.integers(-20, 20)))
    return check(Query(builder.program, Any(compared)))


def builder_with(query: Query) -> Builder:
    builder = Builder()
    for node, size in zip(query.program, sizes(query.program), strict=True):
        builder.add(node, size)
    return builder


@pytest.mark.parametrize("pipeline", [Pipeline(), Pipeline().adding("split")], ids=["default", "split"])
def test_the_pipeline_keeps_the_solutions_and_ends(pipeline: Pipeline) -> None:
    for seed in SEEDS:
        query, expected = example(seed)
        reduction = pipeline.run(query)
        keep_solutions(reduction.parts, query, expected)
        assert reduction.decided in (None, bool(expected))
        assert len(reduction.records) < pipeline.rounds * len(pipeline.passes)
        for part in reduction.parts:
            if reduction.decided is None:
                assert [again.query for again in pipeline.apply(part.query)] == [part.query]


@settings(max_examples=150)
@given(seed=st.integers(1000, 10**9), passes=st.lists(st.sampled_from(ALL_PASSES), min_size=1, max_size=9))
def test_passes_in_any_order_keep_the_solutions(seed: int, passes: list[Pass]) -> None:
    query = random_query(np.random.default_rng(seed), max_points=300)
    keeps_solutions(Pipeline(tuple(passes), rounds=2), query, rows(solutions(query)))


@pytest.mark.parametrize("reduce", [*COUNTED, Pipeline()], ids=lambda p: p.name)
def test_integers_beyond_64_bits_are_as_exact(reduce: Pass) -> None:
    for seed in range(50):
        query, expected = enlarged_example(seed)
        keeps_solutions(reduce, query, expected)


@cache
def enlarged_example(seed: int) -> tuple[Query, Rows]:
    rng = np.random.default_rng(seed)
    query = enlarged(random_query(rng, max_points=60), rng)
    return query, rows(solutions(query))


def enlarged(query: Query, rng: np.random.Generator) -> Query:
    """Return a query with the same solutions, `huge` further from zero, whose affine nodes are scaled up and down again."""
    huge, factor = 10**25, 10**22
    builder = Builder()
    position: list[int] = []
    for node, size in zip(query.program, sizes(query.program), strict=True):
        if isinstance(node, Input):
            moved = builder.input(node.name, node.lower.astype(object) + huge, node.upper.astype(object) + huge)
            position.append(builder.scale(moved, 1, -huge))
            continue
        k = builder.add(with_arguments(node, position), size)
        if isinstance(node, Affine):
            rounding = ROUNDINGS[int(rng.integers(0, len(ROUNDINGS)))]
            k = builder.rescale(builder.scale(k, factor), 3, 3 * factor, rounding, lower=-huge if rng.random() < 0.5 else None)
        position.append(k)
    return check(Query(builder.program, with_nodes(query.goal, position)))


def test_an_empty_domain_has_no_solution() -> None:
    for seed in SEEDS[::8]:
        program = example(seed)[0].program
        first = next(n for n in program if isinstance(n, Input))
        empty = Input(first.name, first.lower, first.lower - 1)
        for goal in (example(seed)[0].goal, TRUE):
            query = Query(tuple(empty if n is first else n for n in program), goal)
            for reduce in (*ALL_PASSES, Pipeline()):
                keeps_solutions(reduce, query, frozenset())
            assert Pipeline().run(query).decided is False
