"""The slopes with which bounds start, on intervals small enough to see what they must be."""

from __future__ import annotations

import numpy as np

from qspec.arithmetic.rounding import Rounding
from qspec.bounds import interval
from qspec.bounds.initial_slopes import SLOPE_BITS, node_slopes, rounded, slopes
from qspec.bounds.interval import Interval
from qspec.bounds.layout import Layout, Relaxed
from qspec.ir.integer import Maximum, Product, Staircase, Table, Wrap
from qspec.ir.integer_builder import Builder
from qspec.ir.staircase import Rescale


def found(node: Relaxed, *known: tuple[list[int], list[int]]) -> tuple[list[float], list[float]]:
    low, high = node_slopes(node, [Interval(np.array(a), np.array(b)) for a, b in known])
    return low.tolist(), high.tolist()


def quarter(lower: int, upper: int) -> Staircase:
    one = np.array([1])
    return Staircase(0, Rescale(one, 0 * one, 4 * one, Rounding.TRN, lower * one, upper * one))


def test_lines_around_a_staircase_pass_through_its_ends() -> None:
    assert found(quarter(0, 3), ([-8], [20])) == ([3 / 17], [3 / 20])


def test_lines_around_a_staircase_are_flat_where_that_leaves_less_between_them() -> None:
    assert found(quarter(0, 3), ([-30], [20])) == ([0.0], [3 / 42])
    assert found(quarter(0, 3), ([-8], [60])) == ([3 / 57], [0.0])
    assert found(quarter(0, 3), ([-8], [-3])) == ([0.0], [0.0])


def test_a_staircase_that_is_not_clamped_starts_with_the_line_that_it_rounds() -> None:
    assert found(quarter(-99, 99), ([-8], [20])) == ([0.25], [0.25])
    assert found(quarter(-99, 99), ([3], [4])) == ([0.25], [0.25])  # one step: its hull would be far steeper, and alone in that
    assert found(quarter(-99, 99), ([4], [7])) == ([0.0], [0.0])


def test_where_one_end_is_clamped_the_line_itself_or_a_constant_bounds_that_side() -> None:
    assert found(quarter(0, 99), ([-8], [20])) == ([0.25], [5 / 28])
    assert found(quarter(0, 99), ([-9], [20])) == ([0.0], [5 / 29])
    assert found(quarter(-99, 0), ([-20], [11])) == ([5 / 28], [0.25])
    assert found(quarter(-99, 0), ([-20], [15])) == ([5 / 32], [0.0])


def test_a_table_starts_with_its_chord() -> None:
    table = Table(0, np.array([-1, 0]), np.array([[5, 9, 1, 8], [2, 2, 2, 7]]))
    assert found(table, ([-5, 1], [2, 1])) == ([1.0, 0.0], [1.0, 0.0])


def test_a_wrap_is_a_line_on_one_turn_only() -> None:
    wrap = Wrap(0, np.array([3, 3, 3]), True)
    assert found(wrap, ([-4, 4, 3], [3, 11, 4])) == ([1.0, 1.0, 0.0], [1.0, 1.0, 0.0])


def test_a_product_starts_with_two_of_the_four_planes_of_mccormick() -> None:
    assert found(Product(0, 1), ([2, -1], [3, 5]), ([7, -4], [9, 6])) == ([7.0, -4.0, 2.0, -1.0], [9.0, 6.0, 2.0, -1.0])


def test_a_maximum_starts_with_its_leader() -> None:
    ends = ([0, 4, -9], [3, 6, 9])
    assert found(Maximum(0, np.array([[0, 1, -1]])), ends) == ([0.0, 1.0, 0.0], [0.0, 1.0, 0.0])
    assert found(Maximum(0, np.array([[-1, 1, 2]])), ends) == ([0.0, 1.0, 0.0], [0.0, 0.0, 0.0])


def test_slopes_of_all_nodes_lie_in_the_layout_and_later_ones_can_be_left_out() -> None:
    b = Builder()
    x = b.input("x", [-8, 0], [20, 5])
    step = b.rescale(x, 1, 4, Rounding.TRN, lower=0, upper=3)
    times = b.product(step, x)
    known, layout = interval.bound(b.program), Layout.of(b.program)
    low, high = slopes(b.program, layout, known)
    for node in (step, times):
        operation = b.program_node(node)
        assert isinstance(operation, Staircase | Product)
        own = node_slopes(operation, known)
        first, end = layout.places[node]
        assert (low[first:end].tolist(), high[first:end].tolist()) == (own[0].tolist(), own[1].tolist())
    earlier = slopes(b.program, layout, known, times)
    assert [s[:2].tolist() for s in earlier] == [low[:2].tolist(), high[:2].tolist()]
    assert not np.any(np.stack(earlier)[:, 2:])


def test_slopes_too_steep_for_machine_words_are_dropped() -> None:
    assert rounded(np.array([0.5, -3.0, 1e12, -(2.0**33)])).tolist() == [2 ** (SLOPE_BITS - 1), -3 * 2**SLOPE_BITS, 0, 0]
