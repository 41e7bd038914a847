"""Enclosures in doubles contain what exact arithmetic says, under numpy and under XLA, which flushes subnormals and fuses operations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from fractions import Fraction
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from qspec.engines import outward
from qspec.engines.outward import OutwardInterval
from qspec.evaluate.device import wide
from qspec.ir.enclosure import Enclosure, apply, at, times
from qspec.ir.real import Function

SIZE = 8
DIGITS = 200
TRANSCENDENTAL = (Function.EXP, Function.TANH, Function.SIGMOID, Function.SOFTPLUS)
NOTABLE = (0.0, 2.0**-1022, 2.0**-1021, 2.0**-600, 1e-17, 0.5, 1 - 2.0**-53, 1.0, 1 + 2.0**-52, 3.7e2, 709.7, 745.0, 1e19, 1.7e308)
"""No subnormal numbers: `enclosed` lets none in."""

EXTREME = np.array([[745.0, 709.0, 708.0, 37.0, 36.0, 20.0, 1e-9, 1e-300]])
checks = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
quick = settings(max_examples=40, suppress_health_check=checks)
slower = settings(max_examples=15, suppress_health_check=checks)


def doubles(limit: float = 1.7e308) -> st.SearchStrategy[float]:
    """Return doubles that are not subnormal, up to a limit."""
    some = st.sampled_from([v for n in NOTABLE if n <= limit for v in (n, -n)])
    other = st.floats(-limit, limit, allow_subnormal=False)
    return some | other | st.floats(-4, 4, allow_subnormal=False)


def vectors(limit: float = 1.7e308) -> st.SearchStrategy[OutwardInterval]:
    """Return rows of intervals, half of them points."""

    def made(pairs: list[tuple[float, float, bool]]) -> OutwardInterval:
        low = np.array([min(a, b) if wide else a for a, b, wide in pairs])
        high = np.array([max(a, b) if wide else a for a, b, wide in pairs])
        return OutwardInterval(low[None], high[None])

    return st.lists(st.tuples(doubles(limit), doubles(limit), st.booleans()), min_size=SIZE, max_size=SIZE).map(made)


@cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    return jax.jit(partial(function, jnp))


@pytest.fixture(params=["numpy", "XLA"])
def run(request: pytest.FixtureRequest) -> Iterator[Callable[..., OutwardInterval]]:
    """Return how to run an operation: `run(operation, arguments)`."""

    def ran(function: Callable[..., OutwardInterval], *arguments: Any) -> OutwardInterval:
        if request.param == "numpy":
            with np.errstate(all="ignore"):
                return function(np, *arguments)
        return OutwardInterval(*(np.asarray(v) for v in compiled(function)(*arguments)))

    with nullcontext() if request.param == "numpy" else wide():
        yield ran


def contains(found: OutwardInterval, k: int, value: Enclosure) -> bool:
    """Return whether element k of a row contains a value."""
    low, high = float(found.lower[0, k]), float(found.upper[0, k])
    assert not np.isnan(low)
    assert not np.isnan(high)
    return (low == -np.inf or (low < np.inf and Fraction(low) <= value.lower)) and (
        high == np.inf or (high > -np.inf and Fraction(high) >= value.upper)
    )


def meets(found: OutwardInterval, k: int, value: Enclosure) -> bool:
    """Return whether element k of a row may contain the number that `value` encloses very narrowly."""
    low, high = float(found.lower[0, k]), float(found.upper[0, k])
    return (low == -np.inf or Fraction(low) <= value.upper) and (high == np.inf or Fraction(high) >= value.lower)


def exactly(x: OutwardInterval, k: int) -> Enclosure:
    """Return element k of a row in rationals."""
    return Enclosure(Fraction(float(x.lower[0, k])), Fraction(float(x.upper[0, k])))


@quick
@given(vectors(), vectors())
def test_sums_and_products(run: Callable[..., OutwardInterval], x: OutwardInterval, y: OutwardInterval) -> None:
    added, multiplied, squared = run(outward.add, x, y), run(outward.multiply, x, y), run(outward.square, x)
    for k in range(SIZE):
        a, b = exactly(x, k), exactly(y, k)
        assert contains(added, k, Enclosure(a.lower + b.lower, a.upper + b.upper))
        assert contains(multiplied, k, times(a, b))
        for v in (a.lower, a.upper, (a.lower + a.upper) / 2):
            assert contains(squared, k, Enclosure(v * v, v * v))


@quick
@given(vectors(), st.lists(doubles(), min_size=3 * SIZE, max_size=3 * SIZE), st.booleans())
def test_matrix_products(run: Callable[..., OutwardInterval], x: OutwardInterval, numbers: list[float], thirds: bool) -> None:
    matrix: Any = np.array(numbers).reshape(3, SIZE)
    if thirds:
        matrix = np.array([Fraction(v) / 3 for v in numbers], dtype=object).reshape(3, SIZE)
    m = outward.coefficients(matrix)

    assert isinstance(m, outward.DoubleMatrix) or not any(numbers[k] for k in range(3))
    if isinstance(m, outward.Selection):
        return
    found = run(_matrix_product, m.value, m.magnitude, x.lower, x.upper)
    for row in range(3):
        parts = [times(Enclosure(Fraction(c), Fraction(c)), exactly(x, k)) for k, c in enumerate(matrix[row].tolist())]
        assert contains(found, row, Enclosure(sum((p.lower for p in parts), Fraction(0)), sum((p.upper for p in parts), Fraction(0))))


def _matrix_product(xp: Any, value: Any, magnitude: Any, low: Any, high: Any) -> OutwardInterval:
    return outward.linear(xp, outward.DoubleMatrix(value, magnitude), OutwardInterval(low, high))


@quick
@given(vectors(), st.lists(doubles(), min_size=SIZE, max_size=SIZE), st.permutations(range(SIZE)))
def test_selections(x: OutwardInterval, numbers: list[float], order: list[int]) -> None:
    matrix: Any = np.zeros((SIZE, SIZE), dtype=object)
    matrix[np.arange(SIZE), order] = [Fraction(v) / 3 for v in numbers]
    m = outward.coefficients(matrix)
    assert isinstance(m, outward.Selection)
    with np.errstate(all="ignore"):
        found = outward.linear(np, m, x)
    for k in range(SIZE):
        c = Fraction(numbers[k]) / 3
        assert contains(found, k, times(Enclosure(c, c), exactly(x, order[k])))


@pytest.mark.parametrize("function", TRANSCENDENTAL, ids=lambda f: f.value)
@slower
@given(vectors(1e3))
@example(OutwardInterval(-np.array([NOTABLE[:SIZE]]), np.array([NOTABLE[:SIZE]])))
@example(OutwardInterval(-EXTREME, EXTREME))
def test_transcendental_functions(run: Callable[..., OutwardInterval], function: Function, x: OutwardInterval) -> None:
    found = run(_APPLIED[function], x)
    slope = run(_SLOPE[function], x)
    for k in range(SIZE):
        a = exactly(x, k)
        for v in (a.lower, a.upper, (a.lower + a.upper) / 2):
            assert meets(found, k, at(function, v, DIGITS))
            assert meets(slope, k, _derivative(function, v))


@pytest.mark.parametrize("function", TRANSCENDENTAL, ids=lambda f: f.value)
def test_enclosures_are_narrow(run: Callable[..., OutwardInterval], function: Function) -> None:
    x = np.linspace(-6, 6, SIZE)[None]
    found = run(_APPLIED[function], OutwardInterval(x, x))
    assert np.all(found.upper - found.lower <= 1e-13 * np.maximum(1, found.upper))


def _derivative(function: Function, x: Fraction) -> Enclosure:
    match function:
        case Function.EXP:
            return at(Function.EXP, x, DIGITS)
        case Function.SOFTPLUS:
            return at(Function.SIGMOID, x, DIGITS)
        case Function.TANH:
            t = at(Function.TANH, x, DIGITS)
            far, near = max(abs(t.lower), abs(t.upper)), min(abs(t.lower), abs(t.upper))
            return Enclosure(1 - far * far, 1 - near * near)
        case _:
            a, b = at(Function.SIGMOID, x, DIGITS), at(Function.SIGMOID, -x, DIGITS)
            return times(a, b)


_APPLIED = {f: partial(lambda xp, x, f: outward.apply(xp, f, x), f=f) for f in Function}
_SLOPE = {f: partial(lambda xp, x, f: outward.slope(xp, f, x, outward.apply(xp, f, x)), f=f) for f in Function}


@quick
@given(vectors())
def test_relu_and_reciprocal(run: Callable[..., OutwardInterval], x: OutwardInterval) -> None:
    relu, inverse, slope = (run(_APPLIED[Function.RELU], x), run(_APPLIED[Function.RECIPROCAL], x), run(_SLOPE[Function.RECIPROCAL], x))
    for k in range(SIZE):
        a = exactly(x, k)
        assert contains(relu, k, apply(Function.RELU, a, 0))
        if a.lower > 0:
            assert contains(inverse, k, apply(Function.RECIPROCAL, a, 0))
            assert contains(slope, k, Enclosure(-1 / a.lower**2, -1 / a.upper**2))
        else:
            assert inverse.lower[0, k] == -np.inf
            assert inverse.upper[0, k] == np.inf


@quick
@given(vectors())
def test_sums_of_rows(x: OutwardInterval) -> None:
    with np.errstate(all="ignore"):
        found = float(outward.total(np, x.lower)[0])
    assert found == np.inf or np.isnan(found) or Fraction(found) >= sum((Fraction(v) for v in x.lower[0].tolist()), Fraction(0))


def test_maximum() -> None:
    x = OutwardInterval(np.array([[0.0, 1.0, -1.0]]), np.array([[0.5, 2.0, 3.0]]))
    found = outward.maximum(np, x, np.array([[0, 1], [2, -1], [0, 2]]))
    assert found.lower.tolist() == [[1.0, -1.0, 0.0]]
    assert found.upper.tolist() == [[2.0, 3.0, 3.0]]


@quick
@given(st.lists(st.fractions() | st.floats(allow_nan=False, allow_infinity=False).map(Fraction), min_size=1, max_size=6))
def test_fractions_and_subnormals_are_enclosed(numbers: list[Fraction]) -> None:
    array: Any = np.empty(len(numbers), dtype=object)
    array[:] = numbers
    found = outward.enclosed(array, array)
    for k, v in enumerate(numbers):
        low, high = float(found.lower[k]), float(found.upper[k])
        assert Fraction(low) <= v <= Fraction(high)
        assert all(x == 0 or abs(x) >= 2.0**-1022 for x in (low, high))


def test_numbers_beyond_all_doubles_are_enclosed() -> None:
    huge: Any = np.array([Fraction(10) ** 400, -(Fraction(10) ** 400)], dtype=object)
    found = outward.enclosed(huge, huge)
    assert found.lower.tolist() == [-np.inf, -np.inf]
    assert found.upper.tolist() == [np.inf, np.inf]
