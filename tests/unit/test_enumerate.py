"""Enumeration visits every assignment once and counts exactly, in numpy and on the device."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qspec.arithmetic.integers import IntArray
from qspec.attack.flat_inputs import FlatBox
from qspec.engines.enumerate import enumerate as module
from qspec.engines.enumerate.blocks import blocks
from qspec.engines.enumerate.enumerate import Enumeration, enumerate_query
from qspec.engines.enumerate.scan import Scan
from qspec.errors import SoundnessError, UnsupportedError
from qspec.ir.integer import FALSE, TRUE, All, Any, Formula, Query
from qspec.ir.integer_builder import Builder
from qspec.ir.linear import Dense
from qspec.ir.reference import evaluate, holds
from tests.clocks import looks
from tests.soundness.random_queries import assignment, random_query, solutions

pytestmark = pytest.mark.usefixtures("optimized")


def ask(builder: Builder, goal: Formula) -> Query:
    """Return the query whether a goal, built just now, can be true."""
    return Query(builder.program, goal)


def assert_exact(query: Query, result: Enumeration) -> None:
    """Compare with the solutions that the reference finds."""
    expected = solutions(query)
    assert result.complete
    assert result.total == result.checked == FlatBox.of(query).points
    assert result.violations == len(expected)
    assert (result.first is None) == (len(expected) == 0)
    if result.first is not None:
        for name, values in assignment(query, expected[0]).items():
            np.testing.assert_array_equal(result.first[name], values)


def half_plane(size: int, high: int, limit: int) -> Query:
    """Ask whether the sum of integers in 0..high exceeds a limit."""
    b = Builder()
    x = b.input("x", np.zeros(size), np.full(size, high))
    return ask(b, All(b.affine([(Dense(np.ones((1, size))), x)], -limit - 1)))


@settings(max_examples=100)
@given(seed=st.integers(0, 2**32))
def test_counts_in_numpy_are_exact(seed: int) -> None:
    query = random_query(np.random.default_rng(seed), max_points=1000)
    assert_exact(query, enumerate_query(query))


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32))
def test_counts_on_the_device_are_exact(seed: int) -> None:
    query = random_query(np.random.default_rng(seed), max_points=5000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LISTED", 0)
        assert_exact(query, enumerate_query(query, batch=64))


def test_a_million_assignments() -> None:
    result = enumerate_query(half_plane(20, 1, 9))
    assert (result.total, result.checked, result.violations) == (2**20, 2**20, 616_666)
    assert result.first is not None
    assert result.first["x"].tolist() == [0] * 10 + [1] * 10


def test_one_wide_element_is_divided() -> None:
    b = Builder()
    x = b.input("x", [-70_000, 3], [70_000, 4])
    result = enumerate_query(ask(b, All(b.affine([(Dense(np.array([[1, 1]])), x)], -69_990))), batch=1000)
    assert (result.total, result.violations) == (280_002, 14 + 15)
    assert result.first is not None
    assert result.first["x"].tolist() == [69_986, 4]


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 12)), max_size=4), st.sampled_from([64, 100, 1000]))
def test_blocks_cover_a_box_in_order(elements: list[tuple[int, int]], rows: int) -> None:
    lower, upper = np.array([lo for lo, _ in elements], dtype=np.int64), np.array([lo + w for lo, w in elements], dtype=np.int64)
    box = FlatBox(("x",), (len(elements),), lower, upper)
    cut = blocks(box, rows)
    assert box.points <= rows or 2 * cut.used > rows
    seen = [cut.point(k, np.arange(cut.used)) for k in range(cut.count)]
    inside = np.concatenate([points[ok] for points, ok in seen])
    np.testing.assert_array_equal(inside, box.listed(0, box.points))
    for number in {0, box.points // 2, box.points - 1}:
        assert box.number(box.listed(number, 1)[0]) == number


def test_boxes_of_any_size_are_numbered() -> None:
    box = FlatBox(("x",), (3,), np.array([0, -(2**90), 5], dtype=object), np.array([2**70, 2**90, 6], dtype=object))
    assert box.points == (2**70 + 1) * (2**91 + 1) * 2
    point = box.listed(12345678901234567890123, 2)[1]
    assert box.number(point) == 12345678901234567890124


def test_too_many_assignments_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="given:    1048576\n  expected: at most 1000000"):
        enumerate_query(half_plane(20, 1, 9), limit=1_000_000)


@pytest.mark.parametrize("listed", [module.LISTED, 10**9])
def test_out_of_time_it_says_how_far_it_came(listed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the device, and in numpy alone."""
    query = half_plane(20, 1, 5)
    monkeypatch.setattr(module, "LISTED", module.LISTED)
    if listed > module.LISTED:
        monkeypatch.setattr(Scan, "prepare", classmethod(refuse))
    result = enumerate_query(query, looks(0))
    assert not result.complete
    assert 0 < result.checked < result.total == 2**20
    box = FlatBox.of(query)
    values = evaluate(query.program, box.split(box.listed(0, result.checked)))
    assert result.violations == int(holds(query.goal, values).sum()) > 0


def refuse(*_: object) -> Scan:
    raise UnsupportedError("not on this device")


def test_integers_beyond_64_bits_are_enumerated_in_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LISTED", 100)
    b = Builder()
    x = b.input("x", [0, 0], [30, 30])
    y = b.affine([(Dense(np.array([[2**70, -(2**70)]], dtype=object)), x)])
    result = enumerate_query(ask(b, All(y)))
    assert (result.checked, result.violations) == (31 * 31, 31 * 32 // 2)
    b.input("not read", [2**70], [2**70 + 1])
    result = enumerate_query(ask(b, All(b.select(x, [0]))))
    assert (result.checked, result.violations) == (2 * 31 * 31, 2 * 31 * 31)


def test_a_device_that_miscounts_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    count = Scan.count

    def generous(self: Scan, begin: int, end: int, rows: IntArray | None = None) -> tuple[int, IntArray | None]:
        number, first = count(self, begin, end, rows)
        return number + 1, first

    monkeypatch.setattr(Scan, "count", generous)
    with pytest.raises(SoundnessError, match="disagree"):
        enumerate_query(half_plane(14, 1, 5))


def test_a_first_solution_that_does_not_replay_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    count = Scan.count

    def confused(self: Scan, begin: int, end: int, rows: IntArray | None = None) -> tuple[int, IntArray | None]:
        number, _ = count(self, begin, end, rows)
        return number, self.blocks.box.lower

    monkeypatch.setattr(Scan, "count", confused)
    with pytest.raises(SoundnessError, match="none by the reference"):
        enumerate_query(half_plane(14, 1, 5))


@pytest.mark.parametrize("listed", [4096, 0])
def test_constants_and_empty_domains(listed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LISTED", listed)
    b = Builder()
    x = b.input("x", [0, 0], [6, 2])
    five = b.constant([5])
    for goal, expected in ((TRUE, 21), (FALSE, 0), (All(five), 21), (Any(b.scale(five, -1)), 0)):
        assert enumerate_query(ask(b, goal)).violations == expected
    assert enumerate_query(ask(b, All(b.select(x, [0])))).violations == 21
    nothing = Builder()
    assert enumerate_query(ask(nothing, TRUE)).violations == 1
    empty = Builder()
    empty.input("x", [0, 5], [3, 4])
    result = enumerate_query(ask(empty, TRUE))
    assert result.complete
    assert (result.total, result.violations, result.first) == (0, 0, None)
