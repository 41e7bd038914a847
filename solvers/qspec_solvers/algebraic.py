"""Real algebraic numbers as SMT solvers print them, approximated by rationals.

z3 prints the k-th real root of a polynomial, cvc5 a polynomial and an interval that has one root of it. Roots are told apart by Sturm's
theorem (Basu, Pollack, Roy, Algorithms in Real Algebraic Geometry, section 2.2.2).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from qspec_solvers.sexpr import SExpr, integer

Polynomial = tuple[Fraction, ...]
"""Coefficients, constant first; the last is not zero."""

WIDTH = Fraction(1, 1 << 100)
"""How narrow an enclosure is made before its middle is taken."""
HIGHEST = 100
"""Polynomials of a higher degree are not read."""


def approximate(value: SExpr) -> Fraction | None:
    """Return a rational within 2**-100 of an algebraic number, `(root-obj p k)` or `(_ real_algebraic_number <p, (a, b)>)`; else None."""
    match value:
        case ("root-obj", polynomial, str() as place) if place.isdecimal():
            coefficients = _polynomial(polynomial)
            return None if coefficients is None or len(coefficients) < 2 else _root(coefficients, int(place))
        case ("_", "real_algebraic_number", *words):
            found = re.fullmatch(r"<(.+),\((-?[0-9]+(?:/[0-9]+)?),(-?[0-9]+(?:/[0-9]+)?)\)>", _joined(words))
            coefficients = None if found is None else _written(found[1])
            if found is None or coefficients is None or len(coefficients) < 2:
                return None
            return _between(coefficients, Fraction(found[2]), Fraction(found[3]))
        case _:
            return None


def _joined(words: Sequence[SExpr]) -> str:
    return "".join(w if isinstance(w, str) else f"({_joined(w)})" for w in words)


def _written(text: str) -> Polynomial | None:
    """Return a polynomial in cvc5's notation without blanks, `1*x^2+(-3*x)+(-2)`."""
    found: dict[int, Fraction] = {}
    for term in re.sub(r"[()]", "", text).split("+"):
        parts = re.fullmatch(r"(-?[0-9]+)(\*x(?:\^([0-9]{1,3}))?)?", term)
        if parts is None:
            return None
        degree = 0 if parts[2] is None else int(parts[3] or 1)
        found[degree] = found.get(degree, Fraction(0)) + int(parts[1])
    return _trimmed([found.get(k, Fraction(0)) for k in range(max(found) + 1)])


def _polynomial(expression: SExpr) -> Polynomial | None:
    """Return a polynomial in `x` from its S-expression."""
    number = integer(expression)
    if number is not None:
        return _trimmed([Fraction(number)])
    match expression:
        case "x":
            return (Fraction(0), Fraction(1))
        case ("^", "x", str() as degree) if degree.isdecimal() and int(degree) <= HIGHEST:
            return (Fraction(0),) * int(degree) + (Fraction(1),)
        case ("+" | "*" | "-" as operator, *arguments) if arguments:
            parts = [_polynomial(a) for a in arguments]
            known = [p for p in parts if p is not None]
            return _combined(operator, known) if len(known) == len(parts) else None
        case _:
            return None


def _combined(operator: str, parts: Sequence[Polynomial]) -> Polynomial:
    total = parts[0] if len(parts) > 1 or operator != "-" else _product((Fraction(-1),), parts[0])
    for part in parts[1:]:
        total = _product(total, part) if operator == "*" else _sum(total, part if operator == "+" else _product((Fraction(-1),), part))
    return total


def _trimmed(coefficients: Sequence[Fraction]) -> Polynomial:
    kept = list(coefficients)
    while kept and kept[-1] == 0:
        kept.pop()
    return tuple(kept)


def _sum(p: Polynomial, q: Polynomial) -> Polynomial:
    zero = Fraction(0)
    return _trimmed([(p[k] if k < len(p) else zero) + (q[k] if k < len(q) else zero) for k in range(max(len(p), len(q)))])


def _product(p: Polynomial, q: Polynomial) -> Polynomial:
    total = [Fraction(0)] * max(0, len(p) + len(q) - 1)
    for i, a in enumerate(p):
        for j, b in enumerate(q):
            total[i + j] += a * b
    return _trimmed(total)


def _remainder(p: Polynomial, q: Polynomial) -> Polynomial:
    rest = p
    while len(rest) >= len(q):
        factor = (Fraction(0),) * (len(rest) - len(q)) + (-rest[-1] / q[-1],)
        rest = _sum(rest[:-1], _trimmed(_product(factor, q[:-1])))
    return rest


def _at(p: Polynomial, x: Fraction) -> Fraction:
    total = Fraction(0)
    for c in reversed(p):
        total = total * x + c
    return total


def _root(p: Polynomial, place: int) -> Fraction | None:
    """Return about the `place`-th real root (from 1) of a polynomial; None if it has fewer."""
    chain = [p, _trimmed([k * c for k, c in enumerate(p)][1:])]
    while rest := _remainder(chain[-2], chain[-1]):
        chain.append(tuple(-c for c in rest))
    bound = 1 + max(abs(c / p[-1]) for c in p)
    low, high = -bound, bound
    first = _changes(chain, low)
    if not 1 <= place <= first - _changes(chain, high):
        return None
    while high - low > WIDTH:
        middle = (low + high) / 2
        low, high = (low, middle) if first - _changes(chain, middle) >= place else (middle, high)
    return (low + high) / 2


def _changes(chain: Sequence[Polynomial], x: Fraction) -> int:
    """Return how often the sign changes along a Sturm chain; its fall from a to b is the number of distinct roots in (a, b]."""
    signs = [value > 0 for p in chain if (value := _at(p, x)) != 0]
    return sum(a != b for a, b in pairwise(signs))


def _between(p: Polynomial, low: Fraction, high: Fraction) -> Fraction:
    """Return about the only root of a polynomial in an open interval, at the ends of which its signs differ."""
    positive = _at(p, high) > 0
    while high - low > WIDTH:
        middle = (low + high) / 2
        low, high = (low, middle) if (_at(p, middle) > 0) == positive else (middle, high)
    return (low + high) / 2
