"""The listed points of an elementwise operation hold a minimiser of `c f(a) - p a`, found by trying every argument."""

from __future__ import annotations

import numpy as np
import pytest

from qspec.arithmetic.integers import IntArray
from qspec.arithmetic.rounding import Rounding
from qspec.bounds.breakpoints import MAX_POINTS, Elementwise, Points, points
from qspec.bounds.interval import Interval
from qspec.ir.integer import Input, Staircase, Table, Wrap
from qspec.ir.reference import evaluate
from qspec.ir.staircase import Rescale, Steps
from qspec.passes.affine_elements import covered

SIZE = 6
WIDTH = 60
"""Longest interval."""


def value(node: Elementwise, x: IntArray) -> IntArray:
    """Return the operation at arguments of shape (k, size) by the reference evaluator."""
    return evaluate((Input("x", x.min(axis=0), x.max(axis=0)), node), {"x": x})[1]


def least(node: Elementwise, c: IntArray, p: IntArray, x: Interval) -> IntArray:
    """Return the least `c f(a) - p a` of every element, over all arguments of its interval."""
    inside = covered(node, x)
    arguments = np.minimum(inside.lower + np.arange(int((inside.upper - inside.lower).max()) + 1)[:, None], inside.upper)
    exact = np.result_type(c, p)
    return (c * value(node, arguments).astype(exact) - p * arguments.astype(exact)).min(axis=0)


def rescale(rng: np.random.Generator, rounding: Rounding, numerators: int, size: int = SIZE) -> Rescale:
    ends = np.sort(rng.integers(-9, 10, (2, size)), axis=0)
    lower, upper = (None if rng.random() < 0.4 else e for e in ends)
    return Rescale(rng.integers(1, numerators + 1, size), rng.integers(-20, 21, size), rng.integers(1, 9, size), rounding, lower, upper)


def interval(rng: np.random.Generator, size: int = SIZE) -> Interval:
    lower = rng.integers(-WIDTH, WIDTH, size)
    return Interval(lower, lower + rng.integers(0, WIDTH, size) * rng.integers(0, 2, size))


def argument(rng: np.random.Generator, kind: str) -> Interval:
    """Return an interval to ask about, wider than the table if that is narrow."""
    if kind != "narrow":
        return interval(rng)
    return Interval(WIDTH - rng.integers(4, 20, SIZE), WIDTH + rng.integers(4, 20, SIZE))


def made(rng: np.random.Generator, kind: str) -> Elementwise:
    match kind:
        case "steps":
            return Staircase(
                0, Steps(rng.integers(-5, 6, SIZE), np.sort(rng.integers(-WIDTH, 2 * WIDTH, (SIZE, int(rng.integers(0, 9)))), axis=1))
            )
        case "table":
            return Table(0, np.full(SIZE, -WIDTH), rng.integers(-9, 10, (SIZE, 3 * WIDTH)))
        case "narrow":
            return Table(0, np.full(SIZE, WIDTH - 4), rng.integers(-9, 10, (SIZE, 9)))
        case "signed" | "unsigned":
            return Wrap(0, rng.integers(1, 7, SIZE), kind == "signed")
        case _:
            name, numerators = kind.split("/")
            return Staircase(0, rescale(rng, Rounding[name], int(numerators)))


def assert_minimisers(rng: np.random.Generator, node: Elementwise, x: Interval, listed: Points) -> None:
    inside = covered(node, x)
    assert np.all(listed.arguments >= inside.lower)
    assert np.all(listed.arguments <= inside.upper)
    assert np.array_equal(listed.arguments[:2], [inside.lower, inside.upper])
    assert np.array_equal(listed.values, value(node, listed.arguments))
    for _ in range(12):
        c, p = rng.integers(-12, 13, SIZE), rng.integers(-12, 13, SIZE)
        found = (c * listed.values - p * listed.arguments).min(axis=0)
        assert np.all(found >= least(node, c, p, x))
        if listed.complete:
            assert np.array_equal(found, least(node, c, p, x))


THREE_SEVENTHS = Rescale(np.array([3]), np.array([1]), np.array([7]), Rounding.TRN_ZERO, None, None)
KINDS = [*(f"{r.name}/{n}" for r in Rounding for n in (1, 5)), "steps", "table", "narrow", "signed", "unsigned"]


@pytest.mark.parametrize("kind", KINDS)
def test_points_hold_a_minimiser_whatever_the_line(kind: str) -> None:
    rng = np.random.default_rng(4)
    for _ in range(40):
        node = made(rng, kind)
        x = argument(rng, kind)
        listed = points(node, x.lower, x.upper)
        assert listed.complete
        assert_minimisers(rng, node, x, listed)


@pytest.mark.parametrize("kind", KINDS)
def test_few_points_are_said_to_be_too_few(kind: str) -> None:
    rng = np.random.default_rng(5)
    flags: set[bool] = set()
    for most in (1, 2, 3, 7):
        for _ in range(20):
            node = made(rng, kind)
            x = argument(rng, kind)
            listed = points(node, x.lower, x.upper, most)
            assert len(listed.arguments) <= 2 * most + 4
            assert_minimisers(rng, node, x, listed)
            flags.add(listed.complete)
    evenly = kind in ("TRN/1", "RND/1", "RND_MIN_INF/1", "signed", "unsigned")
    assert flags == {True} if evenly else False in flags


def test_unevenly_listed_steps_begin_and_end_with_the_first_and_the_last() -> None:
    node = Staircase(0, Rescale(np.array([3]), np.array([0]), np.array([1000]), Rounding.RND_CONV, None, None))
    listed = points(node, np.array([-(10**6)]), np.array([10**6]), 5)
    assert not listed.complete
    assert {-3000, -2999, 2999, 3000} <= set(listed.values[:, 0].tolist())
    assert len(listed.arguments) == 12


@pytest.mark.parametrize("node", [Staircase(0, THREE_SEVENTHS), Wrap(0, np.array([5]), True)])
@pytest.mark.parametrize("centre", [0, 2**61, 2**62, -(2**62), 2**80])
def test_large_arguments_stay_exact(node: Elementwise, centre: int) -> None:
    x = Interval(*(np.array([centre + k], dtype=object) for k in (-40, 40)))
    if abs(centre) < 2**61:
        x = Interval(x.lower.astype(np.int64), x.upper.astype(np.int64))
    listed = points(node, x.lower, x.upper)
    assert listed.complete
    every = np.array([[centre + k] for k in range(-40, 41)], dtype=object)
    values = value(node, every).astype(object)
    assert np.array_equal(listed.values, value(node, listed.arguments.astype(object)))
    for c, p in ((2**70 * 7, 2**70 * 3), (7, 3), (-7, -3), (7, 2), (-5, 2), (5, 0)):
        assert (c * listed.values.astype(object) - p * listed.arguments.astype(object)).min() == (c * values - p * every).min()


@pytest.mark.parametrize("width", [2, 60, 61, 62, 63, 64, 100])
@pytest.mark.parametrize("signed", [True, False])
def test_words_as_wide_as_machine_words_turn_where_they_should(width: int, signed: bool) -> None:
    node = Wrap(0, np.array([width]), signed)
    for centre in (-(2**62) + 9, -(2**61), 0, 2**59, 2**60, 2**61, 2**62 - 9):
        ends = np.array([centre - 8]), np.array([centre + 8])
        listed = points(node, *ends)
        every = np.arange(centre - 8, centre + 9).astype(object)[:, None]
        values = value(node, every).astype(object)
        for c, p in ((1, 1), (-1, -1), (5, 2), (-5, 2), (1, 0), (-1, 0)):
            assert (c * listed.values.astype(object) - p * listed.arguments.astype(object)).min() == (c * values - p * every).min()


def test_steps_too_many_for_machine_words_are_listed_in_order() -> None:
    one = np.array([1])
    node = Staircase(0, Rescale(one, 0 * one, one, Rounding.RND_CONV, None, None))
    listed = points(node, np.array([-(2**61)]), np.array([2**61]), MAX_POINTS)
    starts = listed.arguments[2 + MAX_POINTS :, 0].tolist()
    assert not listed.complete
    assert starts == sorted(set(starts))
    assert (starts[0], starts[-1]) == (1 - 2**61, 2**61)


@pytest.mark.parametrize("kind", KINDS)
def test_batches_have_the_points_of_their_rows(kind: str) -> None:
    rng = np.random.default_rng(6)
    node = made(rng, kind)
    boxes = [argument(rng, kind) for _ in range(4)]
    listed = points(node, np.stack([x.lower for x in boxes]), np.stack([x.upper for x in boxes]))
    assert listed.arguments.shape[1:] == (4, SIZE)
    for k, x in enumerate(boxes):
        assert_minimisers(rng, node, x, Points(listed.arguments[:, k], listed.values[:, k], listed.complete))
