"""`q` is at most `c f(a) - p a` everywhere in the box, by enumeration, and no less than it must be where one element is alone."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from qspec.arithmetic.integers import IntArray, integers
from qspec.arithmetic.rounding import Rounding
from qspec.bounds.breakpoints import MAX_POINTS, Elementwise
from qspec.bounds.conjugate import conjugate
from qspec.bounds.interval import Interval
from qspec.ir.integer import Maximum, Product, Staircase, Table
from qspec.ir.staircase import Rescale
from qspec.passes.elements import value
from tests.unit.test_points import KINDS, SIZE, argument, least, made

FACTORS = (1, 2**20, 2**55, 2**58, 2**80)


def ends(rng: np.random.Generator, size: int, width: int = 5) -> Interval:
    lower = rng.integers(-9, 9, size)
    return Interval(lower, lower + rng.integers(0, width, size))


def corners(x: Interval) -> IntArray:
    """Return every point of a box, shape (points, size)."""
    return np.array(list(product(*(range(a, b + 1) for a, b in zip(x.lower.tolist(), x.upper.tolist(), strict=True)))), dtype=object)


def any_factor(rng: np.random.Generator) -> int:
    return FACTORS[int(rng.integers(0, len(FACTORS)))]


def scaled(rng: np.random.Generator, factor: int, count: int) -> IntArray:
    numbers = rng.integers(-15, 16, count).astype(object) * factor + rng.integers(-3, 4, count)
    return integers(numbers)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("kind", KINDS)
def test_of_elementwise_operations_it_is_the_minimum(kind: str, factor: int) -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        node, x = made(rng, kind), argument(rng, kind)
        c, p = scaled(rng, factor, SIZE), scaled(rng, any_factor(rng), SIZE)
        expected = sum(least(node, c.astype(object), p.astype(object), x).tolist())
        assert conjugate(node, c, p, [x]).tolist() == expected


@pytest.mark.parametrize("factor", FACTORS)
def test_of_products_it_is_the_minimum(factor: int) -> None:
    rng = np.random.default_rng(2)
    for _ in range(60):
        x, y = ends(rng, 3), ends(rng, 3)
        c, p = scaled(rng, factor, 3), scaled(rng, any_factor(rng), 6)
        expected = 0
        for k in range(3):
            each = product(range(int(x.lower[k]), int(x.upper[k]) + 1), range(int(y.lower[k]), int(y.upper[k]) + 1))
            expected += min(int(c[k]) * a * b - int(p[k]) * a - int(p[3 + k]) * b for a, b in each)
        assert conjugate(Product(0, 1), c, p, [x, y]).tolist() == expected


def maxima(rng: np.random.Generator, rows: int, members: int, size: int) -> IntArray:
    """Return groups of different members; some are absent."""
    groups = np.stack([rng.permutation(size)[:members] for _ in range(rows)])
    absent = rng.random(groups.shape) < 0.3
    absent[np.arange(rows), rng.integers(0, members, rows)] = False
    return np.where(absent, -1, groups)


def costs(groups: IntArray, c: IntArray, p: IntArray, a: IntArray) -> IntArray:
    """Return `c max(a) - p a` at points of shape (points, size), summed over the groups."""
    present = groups >= 0
    members = a[:, np.where(present, groups, 0)]
    largest = np.where(present, members, -(10**6)).max(axis=2)
    return (c * largest).sum(axis=1) - np.where(present, p.reshape(groups.shape) * members, 0).sum(axis=(1, 2))


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("sign", [-1, 0, 1])
def test_of_maxima_it_is_below_every_value_and_the_minimum_of_one_that_counts_negatively(sign: int, factor: int) -> None:
    rng = np.random.default_rng(3)
    for k in range(80):
        rows = 1 + k % 3
        x, groups = ends(rng, 4), maxima(rng, rows, 3, 4)
        c, p = scaled(rng, factor, rows), scaled(rng, any_factor(rng), groups.size)
        c = sign * np.abs(c) if sign else c
        found = int(conjugate(Maximum(0, groups), c, p, [x]))
        expected = int(costs(groups, c.astype(object), p.astype(object), corners(x)).min())
        assert found <= expected
        if rows == 1 and c[0] <= 0:
            assert found == expected


def test_members_may_occur_twice() -> None:
    rng = np.random.default_rng(4)
    for _ in range(80):
        x, groups = ends(rng, 3), rng.integers(0, 3, (2, 3))
        c, p = rng.integers(-9, 10, 2), rng.integers(-9, 10, 6)
        assert conjugate(Maximum(0, groups), c, p, [x]) <= costs(groups, c, p, corners(x)).min()


def test_a_maximum_is_at_least_an_average_of_its_members_and_costs_nothing() -> None:
    x, node = Interval(np.full(3, -5), np.full(3, 5)), Maximum(0, np.array([[0, -1, 1, 2]]))
    for p in ([7, 0, 0, 0], [0, 0, 7, 0], [3, 0, 4, 0], [1, 99, 2, 4]):
        assert conjugate(node, np.array([7]), np.array(p), [x]) == 0


def test_what_is_left_of_a_maximum_goes_to_the_member_with_the_greatest_lower_end() -> None:
    x, node = Interval(np.array([-9, 4, -8]), np.array([9, 6, 5])), Maximum(0, np.array([[0, 1, -1, 2]]))
    assert conjugate(node, np.array([7]), np.zeros(4, dtype=np.int64), [x]) == 28
    assert conjugate(node, np.array([7]), np.array([2, 0, 0, 0]), [x]) == 20


def test_absent_members_have_no_say() -> None:
    rng = np.random.default_rng(5)
    for c in ([5], [-5]):
        x, node = ends(rng, 3), Maximum(0, np.array([[1, -1, 2]]))
        found = {int(conjugate(node, np.array(c), np.array([3, p, -2]), [x])) for p in (-100, 0, 100)}
        assert len(found) == 1


SECOND = Interval(np.array([-1, 4, 0]), np.array([5, 6, 0]))


@pytest.mark.parametrize("kind", [*KINDS, "product", "maximum"])
def test_batches_are_what_their_rows_are(kind: str) -> None:
    rng = np.random.default_rng(6)
    match kind:
        case "product":
            node, boxes, shape, rest = Product(0, 1), [ends(rng, 3) for _ in range(4)], (3, 6), [SECOND]
        case "maximum":
            node, boxes, shape, rest = Maximum(0, maxima(rng, 2, 3, 4)), [ends(rng, 4) for _ in range(4)], (2, 6), list[Interval]()
        case _:
            node, boxes, shape, rest = made(rng, kind), [argument(rng, kind) for _ in range(4)], (SIZE, SIZE), list[Interval]()
    c, p = (rng.integers(-15, 16, (2, 4, n)) for n in shape)
    whole = [Interval(np.stack([x.lower for x in boxes]), np.stack([x.upper for x in boxes])), *rest]
    found = conjugate(node, c, p, whole)
    assert found.shape == (2, 4)
    for row, k in product(range(2), range(4)):
        assert found[row, k] == conjugate(node, c[row, k], p[row, k], [boxes[k], *rest])
    assert conjugate(node, c[0], p[0], [boxes[0], *rest]).tolist() == [
        conjugate(node, c[0, k], p[0, k], [boxes[0], *rest]) for k in range(4)
    ]


def long_operation(kind: str) -> Elementwise:
    """Return an operation with more points than are listed."""
    entries = 3 * MAX_POINTS
    if kind == "table":
        return Table(0, np.array([-7]), np.random.default_rng(7).integers(-99, 100, (1, entries)))
    return Staircase(0, Rescale(np.array([3]), np.array([1]), np.array([2]), Rounding.RND_CONV, None, np.array([2 * entries])))


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("kind", ["table", "rescale"])
def test_too_many_points_to_list_are_bounded_all_the_same(kind: str, factor: int) -> None:
    node, rng = long_operation(kind), np.random.default_rng(8)
    boxes = [Interval(np.array([-7 + k]), np.array([2 * MAX_POINTS - k])) for k in range(3)]
    whole = Interval(np.stack([x.lower for x in boxes]), np.stack([x.upper for x in boxes]))
    for _ in range(6):
        c, p = scaled(rng, factor, 1), scaled(rng, any_factor(rng), 1)
        found = conjugate(node, np.tile(c, (3, 1)), np.tile(p, (3, 1)), [whole]).tolist()
        for x, q in zip(boxes, found, strict=True):
            assert q == conjugate(node, c, p, [x])
            assert q <= least(node, c.astype(object), p.astype(object), x)[0]
        flat = conjugate(node, c, 0 * p, [boxes[0]])
        assert flat == least(node, c.astype(object), 0 * p.astype(object), boxes[0])[0]


def test_the_entry_that_no_sample_hits_counts() -> None:
    values = np.zeros((1, 3 * MAX_POINTS), dtype=object)
    values[0, 5] = -(2**70)
    node, x = Table(0, np.array([0]), values), Interval(np.array([0]), np.array([3 * MAX_POINTS - 1]))
    assert value(node, np.array([5]))[0] == -(2**70)
    assert conjugate(node, np.array([2**20]), np.array([0]), [x]) == -(2**90)


def test_one_row_of_multipliers_serves_all_rows_of_coefficients() -> None:
    rng = np.random.default_rng(2)
    node, x = made(rng, "RND/5"), argument(rng, "RND/5")
    c, p = rng.integers(-9, 10, (12, SIZE)), rng.integers(-9, 10, SIZE)
    assert np.array_equal(conjugate(node, c, p, [x]), conjugate(node, c, np.tile(p, (12, 1)), [x]))
    assert conjugate(node, c, p, [x]).tolist() == [int(least(node, row, p, x).sum()) for row in c]
