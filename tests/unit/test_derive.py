"""Whatever multipliers are chosen, what is derived is never above the minimum found by enumeration."""

from __future__ import annotations

import numpy as np
import pytest

from qspec.arithmetic.integers import IntArray, integers
from qspec.bounds import interval
from qspec.bounds.backward_substitution import Chooser, add, by_slopes, derive, lowest, repeated, repeats
from qspec.bounds.initial_slopes import SLOPE_BITS, rounded, slopes
from qspec.bounds.interval import Interval
from qspec.bounds.layout import Layout
from qspec.ir.integer import TRUE, Affine, Input, Program, Query, sizes
from qspec.ir.integer_builder import Builder
from qspec.ir.linear import diagonal, row_sums
from qspec.ir.reference import evaluate
from tests.soundness.random_queries import assignments, random_query

ONE = 1 << SLOPE_BITS


def fixed(layout: Layout, vector: IntArray) -> Chooser:
    """Return the rule that takes these multipliers, shape (..., total), whatever the coefficients are."""
    return lambda node, _: layout.part(vector, node)


def starting(program: Program, layout: Layout, known: list[Interval]) -> Chooser:
    low, high = slopes(program, layout, known)
    return by_slopes(layout, rounded(low), rounded(high), repeats(program, layout))


def random_rows(rng: np.random.Generator, program: Program, batch: tuple[int, ...] = ()) -> dict[int, IntArray]:
    size = sizes(program)
    nodes = rng.permutation(len(program))[: int(rng.integers(1, 4))]
    return {int(k): rng.integers(-9, 10, (*batch, size[k])) for k in {len(program) - 1, *nodes.tolist()}}


def minimum(query: Query, rows: dict[int, IntArray]) -> int:
    values = evaluate(query.program, assignments(query))
    return int(sum((values[k].astype(object) * c.astype(object)).sum(axis=-1) for k, c in rows.items()).min())  # pyright: ignore[reportAttributeAccessIssue]


def test_of_what_only_affine_nodes_read_no_interval_need_be_known() -> None:
    """As where bounds of a batch of domains are closed: only inputs and arguments of relaxed nodes are known."""
    twice, total = diagonal([2, 3]), row_sums(1, 2)
    nothing = np.zeros(2, dtype=np.int64)
    program = (Input("x", nothing, nothing + 5), Affine(((twice, 0),), nothing - 1), Affine(((total, 1),), np.array([4])))
    known: dict[int, Interval] = {0: Interval(nothing, nothing + 5)}
    least = derive(program, {2: np.array([-1])}, fixed(Layout.of(program), np.zeros(0, dtype=np.int64)), known)  # pyright: ignore[reportArgumentType]
    assert int(least) == -(2 * 5 - 1 + 3 * 5 - 1 + 4)


@pytest.mark.parametrize("factor", [1, 2**40, 2**52, 2**56, 2**70])
def test_any_multipliers_are_sound(factor: int) -> None:
    rng = np.random.default_rng(1)
    tight = 0
    for _ in range(80):
        query = random_query(rng)
        layout, known = Layout.of(query.program), interval.bound(query.program)
        rows = {k: integers(c.astype(object) * factor) for k, c in random_rows(rng, query.program).items()}
        least = minimum(query, rows)
        multipliers = integers(rng.integers(-9, 10, layout.total).astype(object) * [0, 1, factor][int(rng.integers(0, 3))])
        for choose in (fixed(layout, multipliers), starting(query.program, layout, known)):
            found = int(derive(query.program, rows, choose, known))
            assert found <= least
            tight += found == least
    assert tight > 10


def boxes(query: Query, rng: np.random.Generator, count: int) -> list[list[Interval]]:
    """Return the intervals of all nodes for some boxes within that of the query."""
    result: list[list[Interval]] = []
    for _ in range(count):
        known: list[Interval] = []
        for node in query.program:
            if isinstance(node, Input):
                ends = np.sort(rng.integers(node.lower, node.upper + 1, (2, node.lower.size)), axis=0)
                known.append(Interval(ends[0], ends[1]))
            else:
                known.append(interval.bound_node(node, known))
        result.append(known)
    return result


def stacked(known: list[list[Interval]]) -> list[Interval]:
    return [Interval(np.stack([x.lower for x in each]), np.stack([x.upper for x in each])) for each in zip(*known, strict=True)]


def test_batched_intervals_give_what_they_give_one_by_one() -> None:
    rng = np.random.default_rng(2)
    for _ in range(60):
        query = random_query(rng)
        layout, known = Layout.of(query.program), boxes(query, rng, 4)
        rows, together = random_rows(rng, query.program, (4,)), stacked(known)
        multipliers = rng.integers(-9, 10, (4, layout.total))
        found = derive(query.program, rows, fixed(layout, multipliers), together)
        guided = derive(query.program, rows, starting(query.program, layout, together), together)
        assert found.shape == guided.shape == (4,)
        for k, own in enumerate(known):
            row = {node: c[k] for node, c in rows.items()}
            assert found[k] == derive(query.program, row, fixed(layout, multipliers[k]), own)
            assert guided[k] == derive(query.program, row, starting(query.program, layout, own), own)


def test_a_batch_of_intervals_is_propagated_as_its_rows_are() -> None:
    rng = np.random.default_rng(3)
    for _ in range(60):
        query = random_query(rng)
        known = boxes(query, rng, 3)
        together: list[Interval] = []
        for k, node in enumerate(query.program):
            together.append(stacked(known)[k] if isinstance(node, Input) else interval.bound_node(node, together))
            assert np.array_equal(np.broadcast_to(together[k].lower, (3, known[0][k].lower.size)), [x[k].lower for x in known])
            assert np.array_equal(np.broadcast_to(together[k].upper, (3, known[0][k].upper.size)), [x[k].upper for x in known])


def test_boxes_are_bounded_soundly_in_a_batch() -> None:
    rng = np.random.default_rng(4)
    for _ in range(40):
        query = random_query(rng, max_points=400)
        layout, known = Layout.of(query.program), boxes(query, rng, 3)
        rows = random_rows(rng, query.program)
        found = derive(
            query.program, {k: c[None] for k, c in rows.items()}, starting(query.program, layout, stacked(known)), stacked(known)
        )
        points = assignments(query)
        values = evaluate(query.program, points)
        total = sum((values[k] * c).sum(axis=-1) for k, c in rows.items())
        for own, least in zip(known, found, strict=True):
            inside = np.ones(np.shape(total), dtype=bool)
            for k, node in enumerate(query.program):
                if isinstance(node, Input):
                    inside &= np.all((values[k] >= own[k].lower) & (values[k] <= own[k].upper), axis=-1)
            assert inside.any()
            assert least <= np.asarray(total)[inside].min()


def both(factor: int) -> tuple[Program, int, int]:
    """Return a program with a product and a maximum with an absent member; two elements, of three members each."""
    b = Builder()
    x, y = b.input("x", [-3, 2], [5, 9]), b.input("y", [1, -4], [6, 4])
    times = b.product(x, b.scale(y, factor))
    most = b.maximum(b.scale(x, factor), [[0, 1, -1], [1, 0, 1]])
    return b.program, times, most


def test_multipliers_lie_in_the_layout_of_their_node() -> None:
    program, times, most = both(1)
    layout = Layout.of(program)
    assert layout.places == {times: (0, 4), most: (4, 10)}
    groups = repeats(program, layout)
    assert groups == {times: -2, most: 3}
    c = np.array([[7, -5]])
    assert repeated(c, groups[times]).tolist() == [[7, -5, 7, -5]]
    assert repeated(c, groups[most]).tolist() == [[7, 7, 7, -5, -5, -5]]
    assert repeated(c, 1) is c


@pytest.mark.parametrize("factor", [1, 2**35, 2**58])
def test_slopes_below_go_to_positive_coefficients_and_those_above_to_negative_ones(factor: int) -> None:
    program, times, most = both(1)
    layout = Layout.of(program)
    low, high = np.arange(1, 11) * ONE // 2, np.arange(11, 21) * ONE
    choose = by_slopes(layout, low, high, repeats(program, layout))
    c = np.array([[7, -5]], dtype=object) * factor
    c = integers(c)
    low_part = [-(-7 * factor * k // 2) for k in range(1, 11)]
    high_part = [-5 * factor * k for k in range(11, 21)]
    assert choose(times, c).tolist() == [[low_part[0], high_part[1], low_part[2], high_part[3]]]
    assert choose(most, c).tolist() == [[*low_part[4:7], *high_part[7:]]]


def test_products_with_a_fixed_factor_and_maxima_with_a_leader_lose_nothing() -> None:
    b = Builder()
    x, y = b.input("x", [-3, 2], [5, 9]), b.input("y", [4, -4], [4, -4])
    times = b.product(x, y)
    most = b.maximum(b.scale(x, 1, np.array([0, 50])), [[0, 1, -1], [-1, 0, -1]])
    query = Query(b.program, TRUE)
    layout, known = Layout.of(b.program), interval.bound(b.program)
    for rows in (
        {times: np.array([3, -2]), x: np.array([-12, -8])},
        {most: np.array([5, 3]), x: np.array([1, -5])},
        {most: np.array([-5, -3]), x: np.array([3, 5])},
    ):
        assert int(derive(b.program, rows, starting(b.program, layout, known), known)) == minimum(query, rows)


def test_sums_beyond_machine_words_stay_exact() -> None:
    for a, c in ((2**61, 2**61), (2**61, 2**80), (-(2**61), -(2**61))):
        assert add(np.array(a, dtype=object), np.array(c, dtype=object)).tolist() == a + c
        assert add(np.array([a]), np.array([c])).tolist() == [a + c]
    for n in (2**30, 2**52, 2**53 - 1, 2**53, 2**61):
        for one in (0, 1):
            x = Interval(np.array([-n, -1]), np.array([n - 1, one]))
            for c in (np.array([1, 1]), np.array([-1, -1]), np.array([[1, -1], [3, 2**40 + 1]])):
                wide = c.astype(object)
                expected = np.minimum(wide * x.lower.astype(object), wide * x.upper.astype(object)).sum(axis=-1)
                assert lowest(c, x).tolist() == (expected if isinstance(expected, int) else expected.tolist())
