"""Relax a query over integers to one over reals that has more solutions: integers become reals, roundings become bounded errors.

Affine maps, products and maxima stay what they are. A rounding is its argument plus an error, saturation is exact (two ReLUs), steps and
tables lie in a band about the chord through their ends, and a wrap that bounds do not exclude subtracts a number of turns that need not be
whole. What bounds say of the codes of such nodes is part of the goal.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import gcd
from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.arithmetic.rounding import Rounding
from qspec.bounds.interval import Interval
from qspec.deadline import NEVER, Deadline
from qspec.ir import integer, linear
from qspec.ir.integer import Table, Wrap
from qspec.ir.real import (
    Affine,
    All,
    And,
    Any,
    Apply,
    Entries,
    Formula,
    Function,
    Input,
    Matrix,
    Maximum,
    Node,
    Or,
    Product,
    Query,
    RealMap,
    Truth,
    check,
    conjunction,
    exact,
)
from qspec.ir.staircase import Rescale, Steps, climb

Range = tuple[Fraction, Fraction]


def relax(query: integer.Query, bounds: Sequence[Interval], deadline: Deadline = NEVER) -> Query:
    """Return a real query with at least the solutions of `query`; `bounds` has a valid interval for every node.

    It has the inputs of `query` under their names, and further ones for the errors. Every solution of `query` is one of it for some errors.
    """
    relaxation = _Relaxation(query, bounds)
    for position, node in enumerate(query.program):
        deadline.check()
        relaxation.add(position, node)
    goal = conjunction([relaxation.formula(query.goal), *relaxation.facts])
    return check(Query(tuple(relaxation.nodes), goal))


class _Relaxation:
    """The real nodes made so far, where each integer node went, and what is known of errors."""

    def __init__(self, query: integer.Query, bounds: Sequence[Interval]) -> None:
        self.nodes: list[Node] = []
        self.facts: list[Formula] = []
        self._bounds = bounds
        self._names = set(query.inputs)
        self._at: list[int] = []

    def formula(self, formula: integer.Formula) -> Formula:
        match formula:
            case integer.Truth(value):
                return Truth(value)
            case integer.All(node):
                return All(self._at[node])
            case integer.Any(node):
                return Any(self._at[node])
            case integer.And(children):
                return And(tuple(self.formula(c) for c in children))
            case integer.Or(children):
                return Or(tuple(self.formula(c) for c in children))
            case _:
                assert_never(formula)

    def add(self, position: int, node: integer.Node) -> None:
        """Relax one node, and state its bounds where the relaxation does not imply them."""
        match node:
            case integer.Input(name, lower, upper):
                made = self._keep(Input(name, exact(lower), exact(upper)))
            case integer.Affine(terms, bias):
                made = self._keep(Affine(tuple((_map(m), self._at[a]) for m, a in terms), exact(bias)))
            case integer.Product(left, right):
                made = self._keep(Product(self._at[left], self._at[right]))
            case integer.Maximum(a, groups):
                made = self._keep(Maximum(self._at[a], groups))
            case integer.Staircase(a, Rescale() as steps):
                made = self._rescale(a, steps, self._bounds[position])
            case integer.Staircase() | Table():
                made = self._band(node)
            case Wrap():
                made = self._wrap(node)
            case _:
                assert_never(node)
        self._at.append(made)
        if isinstance(node, integer.Staircase | Table | Wrap):
            self._state(made, self._bounds[position])

    def _keep(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    def _error(self, ranges: Sequence[Range]) -> int:
        """Return an input for errors in these ranges, under a name that no other has."""
        name = f"error {len(self.nodes)}"
        while name in self._names:
            name += "'"
        return self._keep(Input(name, exact([low for low, _ in ranges]), exact([high for _, high in ranges])))

    def _state(self, node: int, known: Interval) -> None:
        """Add the bounds of the elements that vary to what is known."""
        (vary,) = np.nonzero(known.lower < known.upper)
        if vary.size:
            chosen = _spread(vary, known.lower.size, np.ones(vary.size, dtype=np.int64), transposed=True)
            above = self._keep(Affine(((chosen, node),), exact(-known.lower[vary])))
            negated = Entries(chosen.outputs, chosen.inputs, chosen.rows, chosen.columns, -chosen.coefficients)
            self.facts += [All(above), All(self._keep(Affine(((negated, node),), exact(known.upper[vary]))))]

    def _rescale(self, a: int, steps: Rescale, known: Interval) -> int:
        """Return `clamp((n x + o) / d + error)`; saturation is kept where bounds do not exclude it."""
        x = self._bounds[a]
        columns = (steps.numerator, steps.offset, steps.denominator, x.lower, x.upper, known.lower, known.upper)
        scales, constants, errors = list[Fraction](), list[Fraction](), list[Range]()
        for n, o, d, low, high, least, most in zip(*(c.tolist() for c in columns), strict=True):
            fixed = least == most
            scales.append(Fraction(0 if fixed else n, d))
            constants.append(Fraction(least) if fixed else Fraction(o, d))
            errors.append((Fraction(0), Fraction(0)) if fixed else rounding_error(n, o, d, steps.rounding, low, high))
        size = known.lower.size
        total = self._keep(
            Affine(((_diagonal(scales), self._at[a]), (_diagonal([Fraction(1)] * size), self._error(errors))), exact(constants))
        )
        unlimited = Rescale(steps.numerator, steps.offset, steps.denominator, steps.rounding, None, None)
        varies = known.lower < known.upper
        if steps.lower is not None:
            total = self._limit(total, varies & (climb(unlimited, x.lower) < steps.lower), steps.lower, 1)
        if steps.upper is not None:
            total = self._limit(total, varies & (climb(unlimited, x.upper) > steps.upper), steps.upper, -1)
        return total

    def _limit(self, node: int, where: IntArray, ends: IntArray, sign: int) -> int:
        """Return `end + sign * relu(sign * (y - end))` where asked, else y."""
        (chosen,), (others,) = np.nonzero(where), np.nonzero(~where)
        if not chosen.size:
            return node
        signs = np.full(chosen.size, sign, dtype=np.int64)
        beyond = self._keep(Affine(((_spread(chosen, where.size, signs, transposed=True), node),), exact(-sign * ends[chosen])))
        kept = self._keep(Apply(beyond, Function.RELU))
        rest = Entries(where.size, where.size, others, others, np.ones(others.size))
        return self._keep(Affine(((rest, node), (_spread(chosen, where.size, signs), kept)), exact(np.where(where, ends, 0))))

    def _band(self, node: integer.Staircase | Table) -> int:
        """Return `slope * x + error` of steps or tables; slopes are those of chords."""
        x = self._bounds[node.argument]
        slopes, errors = list[Fraction](), list[Range]()
        for k, (low, high) in enumerate(zip(x.lower.tolist(), x.upper.tolist(), strict=True)):
            slope, error = band(*_points(node, k, low, high))
            slopes.append(slope)
            errors.append(error)
        ones = _diagonal([Fraction(1)] * len(slopes))
        zero = np.zeros(len(slopes))
        return self._keep(Affine(((_diagonal(slopes), self._at[node.argument]), (ones, self._error(errors))), zero))

    def _wrap(self, node: Wrap) -> int:
        """Return `x - modulus * turns`."""
        x = self._bounds[node.argument]
        moduli, turns = list[Fraction](), list[Range]()
        for width, low, high in zip(node.width.tolist(), x.lower.tolist(), x.upper.tolist(), strict=True):
            modulus = 1 << width
            least = -(modulus >> 1) if node.signed else 0
            moduli.append(Fraction(-modulus))
            turns.append((Fraction((low - least) // modulus), Fraction((high - least) // modulus)))
        ones = _diagonal([Fraction(1)] * len(moduli))
        return self._keep(Affine(((ones, self._at[node.argument]), (_diagonal(moduli), self._error(turns))), np.zeros(len(moduli))))


def rounding_error(n: int, o: int, d: int, rounding: Rounding, low: int, high: int) -> Range:
    """Return the range of `round(v) - v` for `v = (n x + o) / d` with whole x from `low` to `high`.

    It depends on the remainder r of the division: r / d less is lost by rounding down, (d - r) / d more is gained by rounding up.
    """
    step = gcd(n, d)
    first = o % step
    last = d - step + first
    half_below = first + (d // 2 - first) // step * step if 2 * first <= d else None
    half_above = first + -((2 * first - d) // (2 * step)) * step if 2 * last >= d else None
    match rounding:
        case Rounding.TRN:
            down, up = (first, last), None
        case Rounding.TRN_ZERO:
            down = (first, last) if n * high + o >= 0 else (0, 0) if first == 0 else None
            above = first if first > 0 else step
            up = (above, last) if n * low + o < 0 and above <= last else None
        case Rounding.RND | Rounding.RND_MIN_INF | Rounding.RND_ZERO | Rounding.RND_INF | Rounding.RND_CONV:
            down = None if half_below is None else (first, half_below)
            up = None if half_above is None else (max(first, half_above), last)
        case _:
            assert_never(rounding)
    ends = [Fraction(-r, d) for r in down or ()] + [Fraction(d - r, d) for r in up or () if r > 0]
    return min(ends), max(ends)


def band(points: IntArray, values: IntArray) -> tuple[Fraction, Range]:
    """Return the slope s of the chord from the first point to the last, and the range of `value - s * point`, exactly."""
    run, rise = int(points[-1] - points[0]), int(values[-1] - values[0])
    slope = Fraction(rise, run) if run else Fraction(0)
    rests = [Fraction(y) - slope * p for p, y in zip(points.tolist(), values.tolist(), strict=True)]
    return slope, (min(rests), max(rests))


def _points(node: integer.Staircase | Table, k: int, low: int, high: int) -> tuple[IntArray, IntArray]:
    """Return the arguments from `low` to `high` among which a function takes its extremes relative to a line, and its values."""
    match node:
        case Table(_, first, values):
            # Bounds may be wider than the table, which covers what the argument can really be.
            start = int(first[k])
            low, high = max(low, start), min(high, start + values.shape[1] - 1)
            return np.arange(low, high + 1).astype(object), values[k, low - start : high - start + 1]
        case integer.Staircase(_, Steps(base, thresholds)):
            inside = [int(t) for t in thresholds[k] if low < t <= high]
            points = np.array(sorted({low, high, *inside, *(t - 1 for t in inside)}), dtype=object)
            return points, climb(Steps(base[k : k + 1], thresholds[k : k + 1]), points[:, None])[:, 0]
        case integer.Staircase():
            raise AssertionError("even staircases have roundings")
        case _:
            assert_never(node)


def _map(m: linear.LinearMap) -> RealMap:
    if isinstance(m, linear.Dense):
        return Matrix(exact(m.matrix))
    listed = linear.to_sparse(m)
    return Entries(listed.outputs, listed.inputs, listed.rows, listed.columns, exact(listed.coefficients))


def _diagonal(coefficients: Sequence[Fraction]) -> Entries:
    index = np.arange(len(coefficients))
    return Entries(index.size, index.size, index, index, exact(list(coefficients)))


def _spread(index: IntArray, size: int, coefficients: IntArray, *, transposed: bool = False) -> Entries:
    """Return the map that puts element k at `index[k]` of so many, or the one that takes it from there."""
    few = np.arange(index.size)
    if transposed:
        return Entries(index.size, size, few, index, exact(coefficients))
    return Entries(size, index.size, index, few, exact(coefficients))
