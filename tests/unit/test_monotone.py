"""Inputs are fixed only where that loses no solution, and wherever signs can be told; derivatives contain every difference quotient."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from qspec.ir.enclosure import bound, evaluate, satisfies
from qspec.ir.real import Affine, All, Any, Apply, Function, Input, Matrix, Maximum, Or, Product, Query, exact, fractions
from qspec.theories.real_monotone import derivatives, fixed, one_sided
from tests.soundness.random_real_queries import random_point, random_real_query


def free(query: Query) -> int:
    return sum(int((n.lower != n.upper).sum()) for n in query.inputs.values())


@pytest.mark.parametrize("seed", range(80))
def test_a_solution_of_the_query_is_one_of_a_side_when_it_is_moved_to_the_ends(seed: int) -> None:
    rng = np.random.default_rng(seed)
    query = random_real_query(rng)
    sides = one_sided(query)
    for _ in range(8):
        point = random_point(rng, query)
        if satisfies(query, point):
            moved = [
                {name: exact(np.clip(fractions(point[name]), fractions(n.lower), fractions(n.upper))) for name, n in s.inputs.items()}
                for s in sides
            ]
            assert any(satisfies(s, p) is not False for s, p in zip(sides, moved, strict=True))
        for side in sides:
            inner = random_point(rng, side)
            if satisfies(side, inner):
                assert satisfies(query, inner)


def test_random_queries_lose_inputs() -> None:
    """The test above is not about queries that stay as they were."""
    queries = [random_real_query(np.random.default_rng(seed)) for seed in range(80)]
    assert sum(free(s) < free(q) for q in queries for s in one_sided(q)) > 25


@pytest.mark.parametrize("seed", range(50))
def test_derivatives_contain_every_difference_quotient(seed: int) -> None:
    rng = np.random.default_rng(seed)
    query = random_real_query(rng)
    last = len(query.program) - 1
    slopes = derivatives(query.program, bound(query.program), last, 0)
    for _ in range(6):
        a = {name: fractions(v) for name, v in random_point(rng, query).items()}
        name = str(rng.choice(list(a)))
        position = next(k for k, n in enumerate(query.program) if isinstance(n, Input) and n.name == name)
        j = int(rng.integers(a[name].size))
        b = {n: v.copy() for n, v in a.items()}
        b[name][j] = fractions(random_point(rng, query)[name])[j]
        run = b[name][j] - a[name][j]
        if run == 0:
            continue
        (before,), (after,) = ([evaluate(query.program, {n: exact(v) for n, v in p.items()}, 60)[-1][0]] for p in (a, b))
        ends = sorted([(after.lower - before.upper) / run, (after.upper - before.lower) / run])
        slope = slopes[position][j] if position in slopes else None
        low, high = (slope.lower, slope.upper) if slope is not None else (0, 0)
        assert ends[1] >= low
        assert ends[0] <= high


def test_free_weights_of_a_relu_network_are_all_fixed() -> None:
    """Where a ReLU may be on or off the derivative is at least 0, exactly: no rounding hides the sign."""
    rng = np.random.default_rng(3)
    centre = rng.normal(size=12)
    theta = Input("w", exact(centre - 2.0**-5), exact(centre + 2.0**-5))
    hidden = Apply(1, Function.RELU)
    first, second = np.zeros((3, 12)), np.ones((1, 3))
    first[np.repeat(np.arange(3), 4), np.arange(12)] = rng.normal(size=12)
    nodes = (theta, Affine(((Matrix(first), 0),), np.zeros(3)), hidden, Affine(((Matrix(second), 2),), exact([-1])))
    assert free(fixed(Query(nodes, All(3)))) == 0


def test_the_sides_of_a_disjunction_are_monotone_where_both_together_are_not() -> None:
    """`|x y| >= 9/10`: a maximum at one end for `x y`, at another for `-x y`."""
    x = Input("x", exact([-1, 0]), exact([1, 1]))
    parts = [Affine(((Matrix(exact([row])), 0),), exact([0])) for row in ([1, 0], [0, 1])]
    both = Affine(((Matrix(exact([[1], [-1]])), 3),), exact([Fraction(-9, 10)] * 2))
    query = Query((x, *parts, Product(1, 2), both), Any(4))
    assert free(fixed(query)) == 2
    sides = one_sided(query)
    assert [s.inputs["x"].lower.tolist() for s in sides] == [[1.0, 1.0], [-1.0, 1.0]]
    assert all(free(s) == 0 and satisfies(s, {"x": s.inputs["x"].lower}) for s in sides)


def test_what_was_fixed_narrows_the_rest() -> None:
    """The sign of the derivative of `x (y + z)` by z is that of x, which is known once x is at its end; y is at most 0, and z above 2."""
    x = Input("x", exact([-1, -1, 2]), exact([1, 0, 3]))
    nodes = (
        x,
        Affine(((Matrix(exact([[1, 0, 0]])), 0),), exact([0])),
        Affine(((Matrix(exact([[0, 1, 1]])), 0),), exact([0])),
        Product(1, 2),
    )
    assert fixed(Query(nodes, All(3))).inputs["x"].lower.tolist() == [1, 0, 3]


def test_members_of_maxima_that_never_win_do_not_count() -> None:
    x = Input("x", exact([0, -3]), exact([1, -2]))
    nodes = (x, Maximum(0, np.array([[0, 1]])), Affine(((Matrix(exact([[1]])), 1), (Matrix(exact([[0, -1]])), 0)), exact([-2])))
    assert fixed(Query(nodes, All(2))).inputs["x"].lower.tolist() == [1, -3]


def test_what_cannot_be_bounded_or_is_too_large_stays_as_it_is() -> None:
    x = Input("x", exact([-1]), exact([1]))
    pole = Query((x, Apply(0, Function.RECIPROCAL)), All(1))
    assert one_sided(pole)[0].inputs["x"].lower.tolist() == [-1]
    wide = Query((Input("x", np.zeros(300), np.ones(300)), Affine(((Matrix(np.ones((300, 300))), 0),), np.zeros(300))), All(1))
    assert fixed(wide) is wide
    many = Or(tuple(All(0, strict=bool(k % 2)) for k in range(17)))
    assert len(one_sided(Query((x,), many))) == 1
