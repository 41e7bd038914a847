"""An affine function above each of some elements on a box: backwards through the program, by lines around every function.

With `f <= sum of coefficient * node + constant` on the box, nodes are replaced from the last to the first. Coefficients are doubles that
are meant exactly; by how much rounding made them differ from what was derived, times the largest magnitude of the node in the box, is
added to the constant. So the bound is one of real arithmetic. Source: Zhang et al. 2018 (CROWN), Singh et al. 2019 (DeepPoly).
"""

from __future__ import annotations

from typing import Any, NamedTuple, assert_never

from qspec.engines import outward
from qspec.engines.delta.tensor_program import FloatProgram, Values
from qspec.engines.outward import TINY, UNIT, Array, OutwardInterval, down, total, up
from qspec.ir.real import Affine, Apply, Function, Input, Maximum, Product

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


class Above(NamedTuple):
    """`f(x) <= slope · x + constant` on a box; `slope` (batch, inputs), `constant` and `bound` (batch,), `bound` its largest value."""

    slope: Array
    constant: Array
    bound: Array


class _Backward:
    """The sum so far: coefficients by node, and the constant."""

    def __init__(self, xp: Any, values: Values, batch: int) -> None:
        self.xp, self.values = xp, values
        self.held: dict[int, Array] = {}
        self.constant = xp.zeros(batch)

    def magnitude(self, node: int) -> Array:
        """Return the largest magnitude of a node."""
        x = self.values[node]
        return self.xp.maximum(self.xp.abs(x.lower), self.xp.abs(x.upper))

    def pay(self, terms: Array) -> None:
        """Add the sum of terms (batch, n), rounded up, to the constant."""
        self.constant = up(self.xp, self.constant + total(self.xp, terms))

    def hold(self, node: int, c: Array) -> None:
        """Add coefficients of a node, each a product or sum that was rounded once by at most `2 UNIT |c|`."""
        added = self.held[node] + c if node in self.held else c
        error = 4 * UNIT * (self.xp.abs(added) + self.xp.abs(c)) + TINY
        self.pay(up(self.xp, error * self.magnitude(node), 4 * UNIT))
        self.held[node] = added


def above(xp: Any, plan: FloatProgram, values: Values, seeds: dict[int, Array]) -> Above:
    """Return an affine function above `sum of seed * node`, on the boxes of which `values` are the enclosures."""
    first = next(iter(seeds.values()))
    state = _Backward(xp, values, first.shape[0])
    state.held.update(seeds)
    found: dict[int, Array] = {}
    for k in range(max(seeds), -1, -1):
        if k not in state.held:
            continue
        c = state.held.pop(k)
        node = plan.program[k]
        match node:
            case Input():
                found[k] = c
            case Affine():
                _affine(state, plan, k, c)
            case Apply(a, function):
                _apply(state, lines(xp, function, values[a]), a, c)
            case Product(left, right):
                _product(state, left, right, c)
            case Maximum(a, groups):
                _maximum(state, a, groups, values[k], c)
            case _:
                assert_never(node)
    batch = first.shape[0]
    none = xp.zeros((batch, 0))
    slope = xp.concatenate([none, *(found.get(k, xp.zeros((batch, s.stop - s.start))) for k, s in plan.place.items())], -1)
    lower = xp.concatenate([none, *(values[k].lower for k in plan.place)], -1)
    upper = xp.concatenate([none, *(values[k].upper for k in plan.place)], -1)
    ends = up(xp, xp.where(slope > 0, slope * upper, slope * lower))
    bound = up(xp, state.constant + total(xp, ends))
    return Above(slope, state.constant, xp.where(bound == bound, bound, xp.inf))


def _affine(state: _Backward, plan: FloatProgram, k: int, c: Array) -> None:
    """Hand coefficients on to the arguments; `|fl(c A) - c A| <= share |c| M`, and `sum of |c| M |x|` is formed from the right."""
    xp = state.xp
    bias = plan.bias[k]
    state.pay(up(xp, xp.maximum(c * bias.lower, c * bias.upper)))
    for term in plan.linear[k]:
        terms = term.forward.terms + term.backward.terms + 16
        share, tiny = terms * UNIT, terms * TINY
        reach = state.magnitude(term.argument)
        weight = term.forward.size_of(xp, reach) * (1 + share) + tiny
        state.pay(up(xp, share * xp.abs(c) * weight, 4 * UNIT))
        state.pay(up(xp, reach * tiny))
        state.hold(term.argument, term.backward.of(xp, c))


def _apply(state: _Backward, line: LinePair, a: int, c: Array) -> None:
    xp = state.xp
    positive = c > 0
    state.pay(up(xp, c * xp.where(positive, line.over, line.under)))
    state.hold(a, c * xp.where(positive, line.above, line.below))


def _product(state: _Backward, left: int, right: int, c: Array) -> None:
    """Use `x y = x q + p y - p q + (x - p) (y - q)`, where p and q are the middles, for the radii bound the last term."""
    xp = state.xp
    x, y = state.values[left], state.values[right]
    p, q = 0.5 * x.lower + 0.5 * x.upper, 0.5 * y.lower + 0.5 * y.upper
    far_x = up(xp, xp.maximum(x.upper - p, p - x.lower))
    far_y = up(xp, xp.maximum(y.upper - q, q - y.lower))
    rest = up(xp, xp.abs(c) * up(xp, far_x * far_y))
    state.pay(up(xp, rest + up(xp, -c * p * q, 4 * UNIT)))
    state.pay(up(xp, TINY * xp.abs(q)))  # c p may have been flushed to zero
    state.hold(left, c * q)
    state.hold(right, c * p)


def _maximum(state: _Backward, a: int, groups: Any, y: OutwardInterval, c: Array) -> None:
    """Below by the member with the highest lower end; above by the only member that can be the largest, else by a constant."""
    xp = state.xp
    x = state.values[a]
    present = groups >= 0
    index = xp.maximum(groups, 0)
    best = xp.where(present, x.lower[:, index], -xp.inf).argmax(-1)
    chosen = xp.arange(groups.shape[1]) == best[..., None]
    others = xp.where(present & ~chosen, x.upper[:, index], -xp.inf).max(-1)
    low = xp.where(chosen, x.lower[:, index], -xp.inf).max(-1)
    linear = (c < 0) | (low >= others)
    state.pay(up(xp, xp.where(linear, 0.0, c * y.upper)))
    share = xp.where(chosen & linear[..., None], c[..., None], 0.0).reshape(c.shape[0], -1)
    one_hot = xp.asarray((index.reshape(-1)[:, None] == xp.arange(x.lower.shape[1])) & present.reshape(-1)[:, None], dtype=xp.float64)
    members = groups.size
    state.pay(up(xp, members * UNIT * ((xp.abs(share) @ one_hot) * state.magnitude(a)), (members + 8) * UNIT))
    state.hold(a, share @ one_hot)
