"""Integers stay exact whatever numpy would have made of them, and everything else is refused."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qspec.arithmetic.integers import SAFE, IntArray, common_unit, integers, magnitude, rational, shrink
from qspec.errors import FormatError

anything = st.integers(-(2**130), 2**130)


def is_sound(array: IntArray) -> bool:
    """Return whether the array has one of the two dtypes, and int64 just where the magnitude allows."""
    return array.dtype == (np.int64 if magnitude(array) < SAFE else object)


@given(st.lists(anything))
def test_lists_of_integers_stay_exact(values: list[int]) -> None:
    array = integers(values)
    assert array.tolist() == values
    assert is_sound(array)


@given(st.lists(anything, min_size=1), st.integers(-(2**53), 2**53))
def test_a_float_in_the_list_rounds_nothing(values: list[int], whole: int) -> None:
    array = integers([*values, float(whole)])
    assert array.tolist() == [*values, whole]
    assert is_sound(array)


@given(st.lists(st.integers(-(2**11), 2**11)), st.sampled_from([np.float16, np.float32, np.float64, np.int16, np.int32, np.longdouble]))
def test_arrays_of_any_kind_are_read(values: list[int], dtype: type[np.number]) -> None:
    array = integers(np.array(values, dtype=dtype))
    assert array.tolist() == values
    assert is_sound(array)


def test_unsigned_integers_above_the_signed_ones_stay_exact() -> None:
    assert integers(np.array([2**64 - 1], dtype=np.uint64)).tolist() == [2**64 - 1]
    assert integers([2**63 + 1, -1]).tolist() == [2**63 + 1, -1]


def test_whole_fractions_and_large_floats_are_integers() -> None:
    assert integers([Fraction(6, 2), Fraction(10**400)]).tolist() == [3, 10**400]
    assert integers(np.array([1e300])).tolist() == [int(1e300)]


@pytest.mark.parametrize(
    "value", [[0.5], np.array([0.5]), [np.nan], np.array([np.inf], np.float16), ["a"], [1j], [Fraction(1, 2)], [2**70, 0.5]]
)
def test_what_is_no_integer_is_refused(value: object) -> None:
    with pytest.raises(FormatError, match="integers expected"):
        integers(value)


def test_a_ragged_list_is_refused() -> None:
    with pytest.raises(FormatError, match="rows of equal length"):
        integers([[1], [2, 3]])


@given(st.lists(anything))
def test_shrink_changes_the_dtype_alone(values: list[int]) -> None:
    array = shrink(np.array(values, dtype=object))
    assert array.tolist() == values
    assert is_sound(array)


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([np.float32, np.float64]))
def test_a_float_means_its_exact_value(value: float, dtype: type[np.floating]) -> None:
    with np.errstate(over="ignore"):
        scalar = dtype(value)
    if np.isfinite(scalar):
        assert rational(scalar) == Fraction(*scalar.as_integer_ratio())


@pytest.mark.parametrize("value", [np.nan, np.float32("inf"), "x", "1/0", None, True, 1j, [1]])
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(FormatError, match="a number is expected"):
        rational(value)


@given(st.lists(st.fractions(max_denominator=10**6)))
def test_the_common_unit_divides_all_and_is_the_largest(units: list[Fraction]) -> None:
    unit = common_unit(units)
    multiples = [u / unit for u in units]
    assert unit > 0
    assert all(m.denominator == 1 for m in multiples)
    assert not any(units) or math.gcd(*(m.numerator for m in multiples)) == 1
