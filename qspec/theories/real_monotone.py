"""Fix inputs at an end of the box where the goal only gains by it: exact, and for whichever solver comes next.

Where no atom of the goal falls as an input rises, a solution stays one with that input at its upper end; so the query has a solution if and
only if it has one there. Signs come from enclosures of the derivatives in exact rationals, backwards through the program (Clarke's
derivative where a function has a kink, so that Lebourg's mean-value theorem applies); of one box, so that inputs that were fixed make the
derivatives by others narrower, and the test is repeated. A disjunction is asked about side by side: `|f| > c` has two sides, each monotone
where both together are not. Sources: Moore 1966, Neumaier 1990 (monotonicity test).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import product
from math import prod
from typing import assert_never

from qspec.compile.real_box import trimmed
from qspec.errors import UnsupportedError
from qspec.ir.enclosure import DIGITS, Enclosure, Values, apply, bound, times, truth
from qspec.ir.real import (
    FALSE,
    Affine,
    All,
    And,
    Any,
    Apply,
    Formula,
    Function,
    Input,
    Maximum,
    Or,
    Product,
    Program,
    Query,
    RealMap,
    Truth,
    conjunction,
    entries,
    exact,
    formula_nodes,
    fractions,
    sizes,
)
from qspec.ir.real_builder import RealBuilder

SIDES = 16
"""A goal with more alternatives is asked about as one."""
WORK = 1 << 14
"""Entries of affine maps times atoms beyond which derivatives in rationals take longer than they may save."""
ROUNDS = 8
"""How often the test is repeated at most."""
ZERO, ONE = (Enclosure(Fraction(v), Fraction(v)) for v in (0, 1))


def one_sided(query: Query) -> tuple[Query, ...]:
    """Return queries of which one has a solution if and only if the query has; each solution of one is a solution of the query.

    The goal of one that enclosures decide is a constant; those that have no solution are left out.
    """
    builder = RealBuilder(query.program)
    sides = _alternatives(builder, query.goal)
    parts = [query] if len(sides) > SIDES else [trimmed(Query(builder.program, goal)) for goal in sides]
    decided = (_decided(fixed(part)) for part in parts)
    return tuple(part for part in decided if part.goal != FALSE)


def fixed(query: Query) -> Query:
    """Return the query with each input at an end if all atoms are monotone in it, the same way; as it is where that cannot be told."""
    for _ in range(ROUNDS if _work(query) <= WORK else 0):
        try:
            boxes = _ends(query)
        except UnsupportedError:  # a reciprocal of what may be zero, exp of a huge number
            return query
        if not boxes:
            return query
        query = replace(query, program=tuple(boxes.get(k, node) for k, node in enumerate(query.program)))
    return query


def _decided(query: Query) -> Query:
    """Return the query with a constant for its goal if enclosures on the box settle it."""
    try:
        found = truth(query.goal, bound(query.program)) if _work(query) <= WORK else None
    except UnsupportedError:
        return query
    return query if found is None else trimmed(Query(query.program, Truth(found)))


def _work(query: Query) -> int:
    held = sum(entries(m).rows.size for node in query.program if isinstance(node, Affine) for m, _ in node.terms)
    size = sizes(query.program)
    return held * sum(size[node] for node in formula_nodes(query.goal))


def _ends(query: Query) -> dict[int, Input]:
    """Return the inputs of which some element is newly fixed, by position."""
    bounds, size = bound(query.program), sizes(query.program)
    atoms = [(node, k) for node in sorted(formula_nodes(query.goal)) for k in range(size[node])]
    signs = [derivatives(query.program, bounds, node, k) for node, k in atoms]
    result: dict[int, Input] = {}
    for position, node in enumerate(query.program):
        if not isinstance(node, Input):
            continue
        low, high = fractions(node.lower), fractions(node.upper)
        free: list[int] = (low < high).nonzero()[0].tolist()
        for j in free:
            rates = [s[position][j] if position in s else ZERO for s in signs]
            if all(r.lower >= 0 for r in rates):
                low[j] = high[j]
            elif all(r.upper <= 0 for r in rates):
                high[j] = low[j]
        if any(low[j] == high[j] for j in free):
            result[position] = Input(node.name, exact(low), exact(high))
    return result


def _alternatives(builder: RealBuilder, goal: Formula) -> list[Formula]:
    """Return goals of which one is true if and only if this one is: disjunctions are taken apart, where that makes few."""
    match goal:
        case Or(children):
            return [side for child in children for side in _alternatives(builder, child)]
        case Any(node, strict) if 1 < builder.size(node) <= SIDES:
            return [All(builder.select(node, [k]), strict) for k in range(builder.size(node))]
        case And(children):
            choices = [_alternatives(builder, child) for child in children]
            return [conjunction(chosen) for chosen in product(*choices)] if prod(map(len, choices)) <= SIDES else [goal]
        case Truth() | All() | Any():
            return [goal]
        case _:
            assert_never(goal)


def derivatives(program: Program, bounds: Sequence[Values], node: int, element: int) -> Mapping[int, Values]:
    """Return enclosures of the derivatives of one element by those of the inputs that it reads, by position."""
    held: dict[int, dict[int, Enclosure]] = {node: {element: ONE}}
    found: dict[int, Values] = {}
    for k in range(node, -1, -1):
        rates = held.pop(k, None)
        if rates is None:
            continue
        current = program[k]
        match current:
            case Input(_, lower):
                found[k] = [rates.get(j, ZERO) for j in range(lower.size)]
            case Affine(terms):
                for m, a in terms:
                    _hand(held, a, ((j, _scaled(rates[i], c)) for i, j, c in _listed(m) if i in rates))
            case Apply(a, function):
                _hand(held, a, ((j, times(r, _slope(function, bounds[a][j], bounds[k][j]))) for j, r in rates.items()))
            case Product(left, right):
                _hand(held, left, ((j, times(r, bounds[right][j])) for j, r in rates.items()))
                _hand(held, right, ((j, times(r, bounds[left][j])) for j, r in rates.items()))
            case Maximum(a, groups):
                _hand(held, a, (pair for j, r in rates.items() for pair in _shares(r, groups[j].tolist(), bounds[a])))
            case _:
                assert_never(current)
    return found


def _listed(m: RealMap) -> Iterator[tuple[int, int, Fraction]]:
    """Yield row, column and coefficient of every entry."""
    listed = entries(m)
    return zip(listed.rows.tolist(), listed.columns.tolist(), fractions(listed.coefficients).tolist(), strict=True)


def _hand(held: dict[int, dict[int, Enclosure]], node: int, rates: Iterable[tuple[int, Enclosure]]) -> None:
    """Add derivatives to those of the elements of a node."""
    mine = held.setdefault(node, {})
    for j, rate in rates:
        before = mine.get(j, ZERO)
        mine[j] = Enclosure(before.lower + rate.lower, before.upper + rate.upper)


def _scaled(x: Enclosure, c: Fraction) -> Enclosure:
    return Enclosure(c * x.lower, c * x.upper) if c >= 0 else Enclosure(c * x.upper, c * x.lower)


def _shares(rate: Enclosure, group: Sequence[int], members: Values) -> Iterator[tuple[int, Enclosure]]:
    """Yield the derivatives of a maximum by its members: all by one that always is the largest, nothing by one that never is."""
    present = [j for j in group if j >= 0]
    most = max(members[j].lower for j in present)
    rivals = [j for j in present if members[j].upper >= most]
    for j in rivals:
        yield j, rate if len(rivals) == 1 else times(rate, Enclosure(Fraction(0), Fraction(1)))


def _slope(function: Function, x: Enclosure, y: Enclosure) -> Enclosure:
    """Return the range of a derivative on x, where y is the range of the function."""
    match function:
        case Function.RELU:
            return Enclosure(Fraction(x.lower > 0), Fraction(x.upper >= 0))
        case Function.EXP:
            return y
        case Function.SOFTPLUS:
            return apply(Function.SIGMOID, x, DIGITS[0])
        case Function.TANH:
            s = _square(y)
            return Enclosure(max(1 - s.upper, Fraction(0)), 1 - s.lower)
        case Function.SIGMOID:  # y (1 - y) = 1/4 - (y - 1/2)²
            s = _square(Enclosure(y.lower - Fraction(1, 2), y.upper - Fraction(1, 2)))
            return Enclosure(max(Fraction(1, 4) - s.upper, Fraction(0)), Fraction(1, 4) - s.lower)
        case Function.RECIPROCAL:
            s = _square(y)
            return Enclosure(-s.upper, -s.lower)
        case _:
            assert_never(function)


def _square(x: Enclosure) -> Enclosure:
    far = max(abs(x.lower), abs(x.upper))
    near = max(x.lower, -x.upper, Fraction(0))
    return Enclosure(near * near, far * far)
