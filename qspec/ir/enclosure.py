"""The reference meaning of a real query at a point: enclosures in exact rationals, as narrow as a question needs.

Affine maps, products, maxima and ReLU are computed exactly. Of exp (and what is made of it) an enclosure is computed with so many decimal
digits; the decimal module rounds exp and ln correctly, so that one unit in the last place on either side contains the value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal, Overflow, localcontext
from fractions import Fraction
from typing import assert_never

import numpy as np

from qspec.deadline import NEVER, Deadline
from qspec.errors import ShapeError, UnsupportedError
from qspec.ir.real import (
    Affine,
    All,
    And,
    Any,
    Apply,
    Formula,
    Function,
    Input,
    Matrix,
    Maximum,
    Or,
    Point,
    Product,
    Program,
    Query,
    Truth,
    entries,
    fractions,
    listed,
    whole,
)

DIGITS = (24, 60, 200)
"""Digits that are tried one after the other, until a question is decided."""
ENTRY = 300
"""Bytes that a number takes about while a node is bounded."""
LARGEST = 10**6
"""Arguments of exp beyond this are refused: the numbers would be longer than anything exact needs."""


@dataclass(frozen=True, slots=True)
class Enclosure:
    """`lower <= x <= upper`; equal where the value is known exactly."""

    lower: Fraction
    upper: Fraction


Values = list[Enclosure]


def evaluate(program: Program, point: Point, digits: int = DIGITS[0]) -> list[Values]:
    """Return enclosures of every element of every node; raises ShapeError if a point does not fit, UnsupportedError on huge exponents."""
    inputs: dict[str, Values] = {}
    for node in program:
        if isinstance(node, Input):
            if node.name not in point or point[node.name].shape != node.lower.shape:
                raise ShapeError("the point does not fit the input", given=node.name, expected=f"{node.lower.size} numbers")
            inputs[node.name] = [Enclosure(v, v) for v in fractions(point[node.name])]
    return _enclose(program, inputs, digits)


def bound(program: Program, digits: int = DIGITS[0], deadline: Deadline = NEVER) -> list[Values]:
    """Return enclosures of what every element of every node can be on the whole box; raises UnsupportedError as `apply` does.

    Interval arithmetic (Moore 1966) in exact rationals: for queries that are written as text, not for search. Raises OutOfTime, and
    OutOfMemory before a node is bounded for which there is no room.
    """
    nodes = [n for n in program if isinstance(n, Input)]
    boxes = {n.name: [Enclosure(a, b) for a, b in zip(fractions(n.lower), fractions(n.upper), strict=True)] for n in nodes}
    return _enclose(program, boxes, digits, deadline)


def _enclose(program: Program, inputs: Mapping[str, Values], digits: int, deadline: Deadline = NEVER) -> list[Values]:
    values: list[Values] = []
    for node in program:
        deadline.check(ENTRY * listed(node))
        match node:
            case Input(name):
                values.append(inputs[name])
            case Affine():
                values.append(_affine(node, values))
            case Apply(a, function):
                values.append([apply(function, x, digits) for x in values[a]])
            case Product(left, right):
                values.append([times(x, y) for x, y in zip(values[left], values[right], strict=True)])
            case Maximum(a, groups):
                rows: list[list[int]] = groups.tolist()
                members = [[values[a][k] for k in row if k >= 0] for row in rows]
                values.append([Enclosure(max(x.lower for x in row), max(x.upper for x in row)) for row in members])
            case _:
                assert_never(node)
    return values


def inside(query: Query, point: Point) -> bool:
    """Return whether a point is in the box of a query."""
    boxes = [(fractions(n.lower), fractions(n.upper), fractions(point[n.name])) for n in query.inputs.values()]
    return all(low <= x <= high for lower, upper, xs in boxes for low, high, x in zip(lower, upper, xs, strict=True))


def satisfies(query: Query, point: Point) -> bool | None:
    """Return whether a point is a solution; None where that is too close to tell."""
    if not inside(query, point):
        return False
    for digits in DIGITS:
        found = truth(query.goal, evaluate(query.program, point, digits))
        if found is not None:
            return found
    return None


def truth(formula: Formula, values: Sequence[Values]) -> bool | None:
    """Return the truth of a formula if the enclosures settle it, else None."""
    match formula:
        case Truth(value):
            return value
        case All(node, strict):
            return _all([_positive(x, strict) for x in values[node]])
        case Any(node, strict):
            return _any([_positive(x, strict) for x in values[node]])
        case And(children):
            return _all([truth(c, values) for c in children])
        case Or(children):
            return _any([truth(c, values) for c in children])
        case _:
            assert_never(formula)


def _positive(x: Enclosure, strict: bool) -> bool | None:
    if strict:
        return True if x.lower > 0 else False if x.upper <= 0 else None
    return True if x.lower >= 0 else False if x.upper < 0 else None


def _all(votes: list[bool | None]) -> bool | None:
    return False if False in votes else None if None in votes else True


def _any(votes: list[bool | None]) -> bool | None:
    return True if True in votes else None if None in votes else False


def _affine(node: Affine, values: Sequence[Values]) -> Values:
    if all(x.lower == x.upper for _, a in node.terms for x in values[a]):
        return _affine_at(node, values)
    lower: list[Fraction] = fractions(node.bias).tolist()
    upper = list(lower)
    for m, a in node.terms:
        found = entries(m)
        rows: list[int] = found.rows.tolist()
        columns: list[int] = found.columns.tolist()
        coefficients: list[Fraction] = fractions(found.coefficients).tolist()
        for row, column, c in zip(rows, columns, coefficients, strict=True):
            x = values[a][column]
            lower[row] += c * (x.lower if c >= 0 else x.upper)
            upper[row] += c * (x.upper if c >= 0 else x.lower)
    return [Enclosure(low, high) for low, high in zip(lower, upper, strict=True)]


def _affine_at(node: Affine, values: Sequence[Values]) -> Values:
    """Return an affine node at a point: whole numbers over one denominator are multiplied and added, and every sum is divided once."""
    total: list[Fraction] = fractions(node.bias).tolist()
    for m, a in node.terms:
        point, unit = whole(np.array([x.lower for x in values[a]], dtype=object))
        if isinstance(m, Matrix):
            matrix, part = whole(m.matrix)
            sums = (matrix @ point).tolist()
        else:
            coefficients, part = whole(m.coefficients)
            added = np.zeros(m.outputs, dtype=object)
            np.add.at(added, m.rows, coefficients * point[m.columns])
            sums = added.tolist()
        total = [t + Fraction(s, unit * part) for t, s in zip(total, sums, strict=True)]
    return [Enclosure(t, t) for t in total]


def times(x: Enclosure, y: Enclosure) -> Enclosure:
    """Return the exact range of a product."""
    corners = [a * b for a in (x.lower, x.upper) for b in (y.lower, y.upper)]
    return Enclosure(min(corners), max(corners))


def apply(function: Function, x: Enclosure, digits: int) -> Enclosure:
    """Return an enclosure of a function on an enclosure; raises UnsupportedError where it is not defined, or beyond 10**6 for exp."""
    match function:
        case Function.RELU:
            return Enclosure(max(x.lower, Fraction(0)), max(x.upper, Fraction(0)))
        case Function.RECIPROCAL:
            if x.lower <= 0:
                raise UnsupportedError(
                    "1 / x where x may not be positive", given=str(_decimal(x.lower, 6, ROUND_HALF_EVEN)), expected="x > 0"
                )
            return Enclosure(1 / x.upper, 1 / x.lower)
        case Function.EXP | Function.TANH | Function.SIGMOID | Function.SOFTPLUS:
            return Enclosure(at(function, x.lower, digits).lower, at(function, x.upper, digits).upper)
        case _:
            assert_never(function)


def at(function: Function, x: Fraction, digits: int) -> Enclosure:
    """Return an enclosure of an increasing function (exp, tanh, sigmoid, softplus) at a rational, of about so many digits."""
    match function:
        case Function.EXP:
            return _exp(x, digits)
        case Function.SIGMOID:
            e = _exp(-x, digits)
            return Enclosure(1 / (1 + e.upper), 1 / (1 + e.lower))
        case Function.TANH:
            e = _exp(2 * x, digits)
            return Enclosure(1 - 2 / (e.lower + 1), 1 - 2 / (e.upper + 1))
        case Function.SOFTPLUS:
            # ln(1 + exp(x)) = max(x, 0) + ln(1 + exp(-|x|)), where the sum under the logarithm is at most 2.
            e = _exp(-abs(x), digits)
            rest = Enclosure(_ln(1 + e.lower, digits).lower, _ln(1 + e.upper, digits).upper)
            return Enclosure(max(x, Fraction(0)) + rest.lower, max(x, Fraction(0)) + rest.upper)
        case Function.RELU | Function.RECIPROCAL:
            raise AssertionError("exact functions need no digits")
        case _:
            assert_never(function)


def _context(digits: int, rounding: str) -> Context:
    return Context(prec=digits, rounding=rounding, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[Overflow])


def _decimal(x: Fraction, digits: int, rounding: str) -> Decimal:
    return _context(digits, rounding).divide(Decimal(x.numerator), Decimal(x.denominator))


def _exp(x: Fraction, digits: int) -> Enclosure:
    if abs(x) > LARGEST:
        raise UnsupportedError("exp of a huge number", given=str(_decimal(x, 6, ROUND_HALF_EVEN)), expected=f"within ±{LARGEST}")
    if x == 0:
        return Enclosure(Fraction(1), Fraction(1))
    more = digits + 10
    with localcontext(_context(digits, ROUND_HALF_EVEN)) as context:
        lower = context.next_minus(_decimal(x, more, ROUND_FLOOR).exp(context))
        upper = context.next_plus(_decimal(x, more, ROUND_CEILING).exp(context))
    return Enclosure(max(Fraction(lower), Fraction(0)), Fraction(upper))


def _ln(x: Fraction, digits: int) -> Enclosure:
    """Return an enclosure of the logarithm of a number of at least 1."""
    if x == 1:
        return Enclosure(Fraction(0), Fraction(0))
    more = digits + 10
    with localcontext(_context(digits, ROUND_HALF_EVEN)) as context:
        low = _decimal(x, more, ROUND_FLOOR).ln(context)
        lower = context.next_minus(low) if low else low  # next to 0 is a number that no Fraction can hold
        upper = context.next_plus(_decimal(x, more, ROUND_CEILING).ln(context))
    return Enclosure(max(Fraction(lower), Fraction(0)), Fraction(upper))
