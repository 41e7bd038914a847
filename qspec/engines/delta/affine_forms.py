"""Enclosures of every node that remember the inputs: below and above each element runs an affine function of the few inputs, forwards.

On a box with middle c and radius r the inputs are `c + e`, `|e| <= r`. A form holds coefficients of e that are doubles meant exactly; by
how much rounding made them differ from what was derived, times r, goes into the constant. So the bounds are those of real arithmetic; they
meet the natural ones, and deep in a network those of the backward pass, with what is known of the nodes before.
Sources: Wang et al. 2018 (symbolic intervals), Singh et al. 2019 (lines around a function), Zhang et al. 2018 (backwards).
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple, assert_never

import numpy as np

from qspec.deadline import NEVER, Deadline
from qspec.engines import outward as interval
from qspec.engines.delta import tensor_program
from qspec.engines.delta.affine import above, lines
from qspec.engines.delta.tensor_program import FloatProgram, MapTerm, Values
from qspec.engines.outward import TINY, UNIT, Floats, Linear, OutwardInterval, down, up
from qspec.ir.real import Affine, Apply, Function, Input, Maximum, Product, Program, arguments

MOST_INPUTS = 24
"""Beyond so many inputs forms cost more than they bring."""
DEEP = 2
"""Behind so many functions a sum that a function reads is bounded backwards, too."""
PIECE = 1 << 22
"""Doubles of all nodes that are bounded backwards at once, about."""


class Side(NamedTuple):
    """One affine function for each element: coefficients (inputs, batch, size) and constant (batch, size)."""

    slope: Floats
    constant: Floats

    def reach(self, radius: Floats) -> Floats:
        """Return an upper bound of `sum of |slope| radius`, (batch, size)."""
        total = np.einsum("kbm,bk->bm", np.abs(self.slope), radius)
        return up(np, total, (len(self.slope) + 8) * UNIT) + len(self.slope) * TINY


class Form(NamedTuple):
    """`low <= node <= high` on the box."""

    low: Side
    high: Side


def enclose(plan: FloatProgram, lower: Floats, upper: Floats, deadline: Deadline = NEVER) -> Values:
    """Return enclosures of every node on boxes (batch, inputs), sharpened by forms if there are few inputs.

    The deadline is looked at before each node; raises OutOfTime.
    """
    if not 0 < lower.shape[1] <= MOST_INPUTS:
        return tensor_program.enclose(np, plan, lower, upper)
    middle = np.clip(0.5 * lower + 0.5 * upper, lower, upper)
    radius = up(np, np.maximum(upper - middle, middle - lower))
    deep = _deep(plan.program)
    forms: list[Form] = []
    values: Values = []
    for k, node in enumerate(plan.program):
        deadline.check()
        match node:
            case Input():
                values.append(OutwardInterval(lower[:, plan.place[k]], upper[:, plan.place[k]]))
                forms.append(_input(plan.place[k], middle))
            case Affine():
                natural = _sum(plan, k, values)
                form = _affine(plan, k, forms, radius)
                values.append(_meet(natural, form, radius))
                forms.append(form)
                if k in deep:
                    values[k] = _sharpened(plan, k, values, lower, upper, relu=deep[k] is Function.RELU)
            case Apply(a, function):
                natural = interval.apply(np, function, values[a])
                form = (
                    _constant(natural, radius)
                    if function is Function.RECIPROCAL
                    else _apply(function, forms[a], values[a], natural, radius)
                )
                values.append(_meet(natural, form, radius))
                forms.append(form)
            case Product(left, right):
                x, y = values[left], values[right]
                values.append(interval.square(np, x) if left == right else interval.multiply(np, x, y))
                forms.append(_constant(values[-1], radius))
            case Maximum(a, groups):
                values.append(interval.maximum(np, values[a], groups))
                forms.append(_constant(values[-1], radius))
            case _:
                assert_never(node)
    return values


def _deep(program: Program) -> dict[int, Function]:
    """Return the sums behind several functions that a function reads, and which: what forms say of these is loose."""
    depth: list[int] = []
    read: dict[int, Function] = {}
    for node in program:
        depth.append(max((depth[a] for a in arguments(node)), default=0) + isinstance(node, Apply))
        if isinstance(node, Apply) and isinstance(program[node.argument], Affine) and depth[node.argument] >= DEEP:
            read[node.argument] = node.function
    return read


def _sharpened(plan: FloatProgram, k: int, values: Values, lower: Floats, upper: Floats, *, relu: bool) -> OutwardInterval:
    """Return the enclosure of a sum with its elements, of a ReLU those on both sides of its kink, bounded backwards, too."""
    # Of nodes that come later only inputs are looked at.
    later = plan.program[len(values) :]
    places = (plan.place[len(values) + j] if isinstance(node, Input) else slice(0) for j, node in enumerate(later))
    values = [*values, *(OutwardInterval(lower[:, p], upper[:, p]) for p in places)]
    low, high = (v.copy() for v in values[k])
    rows, columns = np.nonzero((low < 0) & (high > 0) if relu else low < high)
    piece = max(1, PIECE // plan.width)
    for start in range(0, rows.size, piece):
        row, column = rows[start : start + piece], columns[start : start + piece]
        own = [OutwardInterval(v.lower[row], v.upper[row]) for v in values]
        seed = np.zeros((row.size, plan.sizes[k]))
        seed[np.arange(row.size), column] = 1.0
        high[row, column] = np.fmin(high[row, column], above(np, plan, own, {k: seed}).bound)
        low[row, column] = np.fmax(low[row, column], -above(np, plan, own, {k: -seed}).bound)
    return OutwardInterval(low, high)


def _meet(x: OutwardInterval, form: Form, radius: Floats) -> OutwardInterval:
    """Return what both an enclosure and a form allow; what is not a number allows all."""
    low = np.fmax(x.lower, down(np, form.low.constant - form.low.reach(radius)))
    high = np.fmin(x.upper, up(np, form.high.constant + form.high.reach(radius)))
    return OutwardInterval(low, high)


def _input(place: slice, middle: Floats) -> Form:
    size = place.stop - place.start
    slope = np.zeros((middle.shape[1], middle.shape[0], size))
    for j in range(size):
        slope[place.start + j, :, j] = 1.0
    side = Side(slope, middle[:, place])
    return Form(side, side)


def _constant(x: OutwardInterval, radius: Floats) -> Form:
    slope = np.zeros((radius.shape[1], *x.lower.shape))
    return Form(Side(slope, x.lower), Side(slope, x.upper))


def _sum(plan: FloatProgram, k: int, values: Values) -> OutwardInterval:
    shape = (values[0].lower.shape[0], plan.sizes[k])
    result = OutwardInterval(np.broadcast_to(plan.bias[k].lower, shape), np.broadcast_to(plan.bias[k].upper, shape))
    for term in plan.linear[k]:
        result = interval.add(np, result, interval.linear(np, term.forward, values[term.argument]))
    return result


def _affine(plan: FloatProgram, k: int, forms: list[Form], radius: Floats) -> Form:
    shape = (radius.shape[0], plan.sizes[k])
    result = _constant(OutwardInterval(np.broadcast_to(plan.bias[k].lower, shape), np.broadcast_to(plan.bias[k].upper, shape)), radius)
    for term in plan.linear[k]:
        added = _mapped(term, forms[term.argument], radius)
        result = Form(_plus(result.low, added.low, radius, -1), _plus(result.high, added.high, radius, 1))
    return result


def _plus(a: Side, b: Side, radius: Floats, sign: int) -> Side:
    """Return a sum, below (-1) or above (1) the exact one: each coefficient is off by at most `UNIT |slope|`."""
    side = Side(a.slope + b.slope, a.constant + b.constant)
    return _paid(Side(side.slope, up(np, side.constant) if sign > 0 else down(np, side.constant)), UNIT * side.reach(radius), sign)


def _paid(side: Side, error: Floats, sign: int) -> Side:
    error = up(np, error, 8 * UNIT)
    return Side(side.slope, up(np, side.constant + error) if sign > 0 else down(np, side.constant - error))


def _mapped(term: MapTerm, form: Form, radius: Floats) -> Form:
    """Return the form of a matrix product: positive entries hand on the same side, negative ones the other.

    With s the largest magnitude of the argument, all rounding of the coefficients and of the matrix itself is at most `share |m| s`, as in
    `outward.linear`.
    """
    positive, negative = (_part(term.forward, sign) for sign in (1, -1))
    share = (2 * term.forward.terms + 16) * UNIT
    sides = [np.abs(s.constant) + s.reach(radius) for s in form]
    magnitude = up(np, np.maximum(*sides), 8 * UNIT)
    tiny = (2 * term.forward.terms + 16) * TINY * (1 + radius.sum(-1, keepdims=True))
    error = share * term.forward.size_of(np, magnitude) * (1 + share) + up(np, tiny, 64 * UNIT)

    def product(same: Side, other: Side, sign: int) -> Side:
        slope = _of(positive, same.slope) + _of(negative, other.slope)
        return _paid(Side(slope, positive.of(np, same.constant) + negative.of(np, other.constant)), error, sign)

    return Form(product(form.low, form.high, -1), product(form.high, form.low, 1))


def _part(m: Linear, sign: int) -> Linear:
    return replace(m, value=np.maximum(m.value, 0.0) if sign > 0 else np.minimum(m.value, 0.0))


def _of(m: Linear, slope: Floats) -> Floats:
    inputs, batch, size = slope.shape
    return m.of(np, slope.reshape(inputs * batch, size)).reshape(inputs, batch, -1)


def _apply(function: Function, form: Form, x: OutwardInterval, natural: OutwardInterval, radius: Floats) -> Form:
    """Return the form of an increasing function: by a line above on the range of the high side, and one below on that of the low side.

    Where the high side is beyond x, the line, which rises, is above the function at the upper end of x all the same; and likewise below.
    """
    low_low, low_high = _range(form.low, radius)
    high_low, high_high = _range(form.high, radius)
    top = np.fmin(high_high, x.upper)
    above = lines(np, function, OutwardInterval(np.fmin(np.fmax(high_low, x.lower), top), top))
    bottom = np.fmax(low_low, x.lower)
    below = lines(np, function, OutwardInterval(bottom, np.fmax(np.fmin(low_high, x.upper), bottom)))
    return Form(
        _through(form.low, below.below, below.under, natural.lower, radius, -1),
        _through(form.high, above.above, above.over, natural.upper, radius, 1),
    )


def _range(side: Side, radius: Floats) -> tuple[Floats, Floats]:
    reach = side.reach(radius)
    return down(np, side.constant - reach), up(np, side.constant + reach)


def _through(side: Side, slope: Floats, intercept: Floats, otherwise: Floats, radius: Floats, sign: int) -> Side:
    """Return `slope * side + intercept`, or the constant `otherwise` where the line does not rise or is not finite."""
    usable = (slope >= 0) & np.isfinite(slope) & np.isfinite(intercept) & np.isfinite(side.constant) & np.isfinite(side.slope).all(0)
    scaled = np.where(usable, side.slope * np.where(usable, slope, 0.0), 0.0)
    outward = up if sign > 0 else down
    constant = outward(np, outward(np, np.where(usable, slope, 0.0) * side.constant) + intercept)
    moved = Side(scaled, constant)
    error = UNIT * moved.reach(radius) + TINY * radius.sum(-1, keepdims=True)
    paid = _paid(moved, error, sign)
    return Side(scaled, np.where(usable, paid.constant, otherwise))
