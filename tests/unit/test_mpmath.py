"""Enclosures in doubles and in rationals, and lines around functions, against mpmath: by other hands, and at numbers the reference refuses.

Arguments are near 0, subnormal (which `enclosed` makes normal ends), moderate, at the ends of exp, and up to the largest doubles.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from qspec.engines import outward
from qspec.engines.delta.affine import LinePair, lines
from qspec.evaluate.device import wide
from qspec.ir.enclosure import at
from qspec.ir.real import Function

SIZE = 8
BITS, WIDE = 300, 250
"""Of precision, and those that are relied on."""
NOTABLE = (0.0, 5e-324, 2.0**-1073, 2.0**-1023, 2.0**-1022, 2.0**-960, 1e-300, 1e-20, 1e-17, 1e-9, 1e-8, 0.5, 1.0, 2.0, 19.0, 37.0)
LARGE = (350.0, 372.0, 709.0, 709.78, 710.0, 745.0, 746.0, 1e3, 1e6, 2.0**53, 1e19, 1e300, 1.7e308)
SMOOTH = (Function.EXP, Function.TANH, Function.SIGMOID, Function.SOFTPLUS)
few = settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
numbers = st.sampled_from([s * v for v in NOTABLE + LARGE for s in (1, -1)]) | st.floats(-40, 40) | st.floats(-1e-6, 1e-6)
rows = st.lists(numbers, min_size=SIZE, max_size=SIZE).map(np.array)
EVERYTHING = [np.array([s * v for v in (NOTABLE + LARGE)[k::4]] * 2)[:SIZE] for k in range(4) for s in (1, -1)]

mp: Any = mpmath.mp.clone()
mp.prec = BITS


def value(function: Function, x: Any) -> Any:
    """Return a function, good to WIDE bits."""
    match function:
        case Function.EXP:
            return mp.exp(x)
        case Function.TANH:
            return mp.tanh(x)
        case Function.SIGMOID:
            return 1 / (1 + mp.exp(-x))
        case Function.SOFTPLUS:
            return mp.log1p(mp.exp(x)) if x < 0 else x + mp.log1p(mp.exp(-x))
        case Function.RELU:
            return max(x, mp.mpf(0))
        case Function.RECIPROCAL:
            return 1 / x


def derivative(function: Function, x: Any) -> Any:
    """Return its derivative, good to WIDE bits."""
    match function:
        case Function.EXP:
            return mp.exp(x)
        case Function.TANH:
            return mp.sech(x) ** 2
        case Function.SIGMOID:
            return value(Function.SIGMOID, x) * value(Function.SIGMOID, -x)
        case Function.SOFTPLUS:
            return value(Function.SIGMOID, x)
        case Function.RELU:
            return mp.mpf(x > 0)
        case Function.RECIPROCAL:
            return -1 / x**2


def meets(low: float, high: float, v: Any) -> bool:
    """Return whether an enclosure has a number that v may stand for."""
    margin = abs(v) * mp.mpf(2) ** -WIDE
    assert not np.isnan([low, high]).any()
    return low <= v + margin and v - margin <= high


@cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    return jax.jit(partial(function, jnp))


def run(library: str, function: Callable[..., Any], *arguments: Any) -> Any:
    if library == "numpy":
        with np.errstate(all="ignore"):
            return function(np, *arguments)
    with wide():
        found = compiled(function)(*arguments)
    return type(found)(*(np.asarray(v) for v in found))


APPLIED = {f: partial(lambda xp, x, f: outward.apply(xp, f, x), f=f) for f in Function}
SLOPE = {f: partial(lambda xp, x, f: outward.slope(xp, f, x, outward.apply(xp, f, x)), f=f) for f in Function}
LINES = {f: partial(lambda xp, x, f: lines(xp, f, x), f=f) for f in Function}


def every(test: Callable[..., None]) -> Callable[..., None]:
    """Give a property rows of all notable numbers first."""
    for row in EVERYTHING:
        test = example(row, np.roll(row, 1))(test)
    return test


@pytest.mark.parametrize("library", ["numpy", "XLA"])
@pytest.mark.parametrize("function", SMOOTH, ids=lambda f: f.value)
@few
@every
@given(rows, rows)
def test_functions_and_derivatives(library: str, function: Function, a: np.ndarray, b: np.ndarray) -> None:
    """The smallest and largest value are at the ends; so are those of derivatives, or at 0."""
    low, high = np.minimum(a, b), np.maximum(a, b)
    x = outward.enclosed(low[None], high[None])
    found, slope = run(library, APPLIED[function], x), run(library, SLOPE[function], x)
    for k, ends in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        for v in (*ends, *([0.0] if ends[0] < 0 < ends[1] else [])):
            assert meets(found.lower[0, k], found.upper[0, k], value(function, mp.mpf(v))), v
            assert meets(slope.lower[0, k], slope.upper[0, k], derivative(function, mp.mpf(v))), v


@pytest.mark.parametrize("library", ["numpy", "XLA"])
@pytest.mark.parametrize("function", Function, ids=lambda f: f.value)
@few
@every
@given(rows, rows)
def test_lines_are_on_their_side(library: str, function: Function, a: np.ndarray, b: np.ndarray) -> None:
    low, high = np.minimum(a, b), np.maximum(a, b)
    if function is Function.RECIPROCAL:
        low, high = np.minimum(abs(a), abs(b)), np.maximum(abs(a), abs(b))
    x = outward.enclosed(low[None], high[None])
    found = run(library, LINES[function], x)
    for k, (left, right) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        for share in (0, 1, Fraction(1, 2), Fraction(1, 3), Fraction(9, 10)):
            exact = Fraction(left) + share * (Fraction(right) - Fraction(left))
            if exact > 0 or function is not Function.RECIPROCAL:
                _between(found, k, mp.mpf(exact.numerator) / exact.denominator, function)


def _between(found: LinePair, k: int, x: Any, function: Function) -> None:
    """Check `below x + under <= f(x) <= above x + over`; an intercept that is no finite number says nothing."""
    below, under, above, over = (mp.mpf(float(v[0, k])) for v in found)
    y = value(function, x)
    margin = (abs(y) + abs(x) * (abs(below) + abs(above))) * mp.mpf(2) ** -WIDE
    assert not (mp.isfinite(under) and mp.isfinite(below)) or below * x + under <= y + margin
    assert not (mp.isfinite(over) and mp.isfinite(above)) or above * x + over >= y - margin


@pytest.mark.parametrize("function", SMOOTH, ids=lambda f: f.value)
@pytest.mark.parametrize("digits", [6, 24, 60])
def test_the_reference_in_rationals(function: Function, digits: int) -> None:
    """What verdicts are replayed with contains what mpmath says, and is about as narrow as it promises."""
    rng = np.random.default_rng(digits)
    chosen = [*NOTABLE, *(v for v in LARGE if v <= 1e3), *rng.normal(size=20).tolist(), *(50 * rng.normal(size=20)).tolist()]
    for v in chosen:
        for x in (v, -v):
            found = at(function, Fraction(x), digits)
            y = value(function, mp.mpf(x))
            low, high = (mp.mpf(e.numerator) / e.denominator for e in (found.lower, found.upper))
            margin = abs(y) * mp.mpf(2) ** -WIDE
            assert low <= y + margin
            assert y - margin <= high
            assert high - low <= (1 + abs(y)) * mp.mpf(10) ** (3 - digits)
