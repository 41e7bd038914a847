"""Lines below and above a function on an interval: slopes are chosen in floats, and intercepts follow from them by proof.

Any slope is allowed. Where the function is convex, `f(x) - a x` is largest at an end, and least at about the point p whose derivative is a:
`f(x) >= f(p) + f'(p) (x - p)` for all x, hence `f(x) - a x >= f(p) - a p + (f'(p) - a) (x - p)`, for any p. Where it is concave it is
the other way round. All is computed with enclosures of f(p) and f'(p), rounded outward.
Sources: Singh et al. 2019 (DeepPoly), Zhang et al. 2018 (CROWN); the slopes are theirs, the intercepts are not.
"""

from __future__ import annotations

from typing import Any, NamedTuple, assert_never

from qspec.engines import outward
from qspec.engines.outward import Array, OutwardInterval, down, up
from qspec.ir.real import Function

STEPS = 4
"""Newton steps towards the tangent of tanh through an end."""


class LinePair(NamedTuple):
    """`below x + under <= f(x) <= above x + over`; all (batch, size)."""

    below: Array
    under: Array
    above: Array
    over: Array


def lines(xp: Any, function: Function, x: OutwardInterval) -> LinePair:
    """Return lines around a function on x; an intercept is infinite or not a number where there are none."""
    match function:
        case Function.RELU:
            return _relu(xp, x)
        case Function.TANH:
            return _tanh(xp, x)
        case Function.SIGMOID:
            # 1/2 + tanh(x / 2) / 2
            inner = _tanh(xp, OutwardInterval(0.5 * x.lower, 0.5 * x.upper))
            under, over = down(xp, 0.5 + 0.5 * inner.under), up(xp, 0.5 + 0.5 * inner.over)
            return LinePair(0.25 * inner.below, under, 0.25 * inner.above, over)
        case Function.EXP | Function.SOFTPLUS | Function.RECIPROCAL:
            return _convex(xp, function, x)
        case _:
            assert_never(function)


def _relu(xp: Any, x: OutwardInterval) -> LinePair:
    kink = (x.lower < 0) & (x.upper > 0)
    always = xp.where(x.lower >= 0, 1.0, 0.0)
    above = xp.where(kink, x.upper / xp.where(kink, x.upper - x.lower, 1.0), always)
    left, right = _over(xp, above, x.lower, xp.maximum(x.lower, 0.0)), _over(xp, above, x.upper, xp.maximum(x.upper, 0.0))
    below = xp.where(kink, xp.where(x.upper > -x.lower, 1.0, 0.0), always)
    return LinePair(below, xp.zeros_like(below), above, xp.where(kink, xp.maximum(left, right), 0.0))


def _over(xp: Any, a: Array, x: Array, y: Array) -> Array:
    """Return an upper bound of `y - a x`."""
    return up(xp, y + up(xp, -a * x))


def _chord(xp: Any, x: OutwardInterval, low: Array, high: Array) -> Array:
    width = x.upper - x.lower
    return (high - low) / xp.where(width > 0, width, 1.0)


def _touching(xp: Any, function: Function, a: Array, p: Array, low: Array, high: Array) -> Array:
    """Return an upper bound of `f(x) - a x` on [low, high], where f is concave there and p is in between."""
    at = OutwardInterval(p, p)
    y = outward.apply(xp, function, at)
    d = outward.slope(xp, function, at, y)
    right = up(xp, xp.maximum(up(xp, d.upper - a), 0.0) * up(xp, high - p))
    left = up(xp, xp.maximum(up(xp, a - d.lower), 0.0) * up(xp, p - low))
    return up(xp, _over(xp, a, p, y.upper) + xp.maximum(left, right))


def _touching_below(xp: Any, function: Function, a: Array, p: Array, x: OutwardInterval) -> Array:
    """Return a lower bound of `f(x) - a x` where f is convex and p is in x."""
    at = OutwardInterval(p, p)
    y = outward.apply(xp, function, at)
    d = outward.slope(xp, function, at, y)
    right = up(xp, xp.maximum(up(xp, a - d.lower), 0.0) * up(xp, x.upper - p))
    left = up(xp, xp.maximum(up(xp, d.upper - a), 0.0) * up(xp, p - x.lower))
    return down(xp, down(xp, y.lower + down(xp, -a * p)) - xp.maximum(left, right))


def _convex(xp: Any, function: Function, x: OutwardInterval) -> LinePair:
    left = outward.apply(xp, function, OutwardInterval(x.lower, x.lower)).upper
    right = outward.apply(xp, function, OutwardInterval(x.upper, x.upper)).upper
    above = _chord(xp, x, left, right)
    over = xp.maximum(_over(xp, above, x.lower, left), _over(xp, above, x.upper, right))
    p = 0.5 * x.lower + 0.5 * x.upper
    at = OutwardInterval(p, p)
    below = outward.slope(xp, function, at, outward.apply(xp, function, at)).lower
    return LinePair(below, _touching_below(xp, function, below, p, x), above, over)


def _tanh(xp: Any, x: OutwardInterval) -> LinePair:
    above, over = _above_tanh(xp, x)
    # tanh is odd: a line above it on [-upper, -lower], turned by half a turn, is one below it on [lower, upper].
    below, under = _above_tanh(xp, OutwardInterval(-x.upper, -x.lower))
    return LinePair(below, -under, above, over)


def _above_tanh(xp: Any, x: OutwardInterval) -> tuple[Array, Array]:
    """Return slope and intercept of a line above tanh: convex below 0, concave above."""
    ends = outward.tanh(xp, OutwardInterval(x.lower, x.lower)), outward.tanh(xp, OutwardInterval(x.upper, x.upper))
    chord = _chord(xp, x, ends[0].upper, ends[1].upper)
    low = xp.maximum(x.lower, 0.0)
    p = xp.where(x.lower >= 0, 0.5 * x.lower + 0.5 * x.upper, _tangent(xp, x.lower))
    concave = x.upper > 0
    touches = concave & (p < x.upper)
    t = xp.tanh(p)
    a = xp.where(touches, 1.0 - t * t, chord)
    p = xp.where(concave, xp.minimum(xp.maximum(xp.where(touches, p, x.upper), low), x.upper), x.upper)
    at_ends = xp.maximum(_over(xp, a, x.lower, ends[0].upper), _over(xp, a, x.upper, ends[1].upper))
    bent = _touching(xp, Function.TANH, a, p, xp.where(concave, low, x.upper), x.upper)
    # On the convex side the ends decide: x.lower and, if the interval goes on, 0, which belongs to the concave side as well.
    over = xp.where(x.lower >= 0, bent, xp.where(concave, xp.maximum(_over(xp, a, x.lower, ends[0].upper), bent), at_ends))
    return a, over


def _tangent(xp: Any, lower: Array) -> Array:
    """Return about the point p > 0 whose tangent meets tanh at `lower` < 0."""
    low = xp.minimum(lower, 0.0)
    t_low = xp.tanh(low)
    p = xp.minimum(-0.5 * low, 1.0)
    for _ in range(STEPS):
        t = xp.tanh(p)
        d = 1.0 - t * t
        # g(p) = t(p) - t(low) - t'(p) (p - low), which grows with p: g' = 2 t t' (p - low)
        g = t - t_low - d * (p - low)
        growth = 2.0 * t * d * (p - low)
        p = xp.clip(p - g / xp.where(growth > 0, growth, 1.0), 1e-9, 20.0)
    return p
