"""Case distinctions as exact arithmetic: truth as a number, one of two arrays, places in a ranking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Literal, cast

import numpy as np

from qspec.errors import ShapeError, SpecError
from qspec.language.connectives import Conjunction, Constantly, Disjunction, Formula, Negation
from qspec.language.expressions import Comparison, Expression, NonZero, Operand, Parameter, broadcast, constant, expression
from qspec.language.formulas import ClassIn, Quantified, SameClass, argmax
from qspec.language.functions import join, maximum, minimum, total
from qspec.support import checks

Ties = Literal["first", "last"]


def indicator(condition: Formula) -> Expression:
    """Return 1 where a condition is true and 0 elsewhere, in the shape of the comparison; `&`, `|`, `~`, `qs.all`, `qs.any` are numbers.

    Raises SpecError on classes and on variables that are the same, which are no comparisons.
    """
    match condition:
        case Comparison():
            return _indicator(condition)
        case Constantly(value):
            return constant(int(value))
        case Negation(child):
            return 1 - indicator(child)
        case Quantified(comparison, every):
            return (minimum if every else maximum)(indicator(comparison))
        case Conjunction(children):
            return minimum(*(indicator(c) for c in children))
        case Disjunction(children):
            return maximum(*(indicator(c) for c in children))
        case _:
            raise SpecError("not a comparison", given=condition, expected="comparisons of numbers, joined by &, |, ~")


def _indicator(c: Comparison) -> Expression:
    d = c.difference
    match c.relation:
        case ">":
            return NonZero(maximum(d, 0))
        case ">=":
            return 1 - NonZero(minimum(d, 0))
        case "==":
            return 1 - NonZero(d)
        case "!=":
            return NonZero(d)


def where(condition: Formula, value: Operand, otherwise: Operand) -> Expression:
    """Return `value` where a condition is true and `otherwise` elsewhere, elementwise; shapes broadcast as in numpy.

    It is `otherwise + [condition]·(value − otherwise)`: linear if the two differ by constants, else a product of variables.
    """
    yes, no = broadcast(expression(value), expression(otherwise))
    return no + indicator(condition) * (yes - no)


def in_top(scores: Operand, label: int | Parameter, k: int, *, ties: Ties = "first") -> Formula:
    """Return that a class is among the `k` greatest scores; among equal scores the first index is the greater (or the last).

    Raises SpecError if there is no such class, or if `k` is no number of classes.
    """
    flat = argmax(scores, ties=ties).scores
    checks.whole(k, "k", least=1, most=flat.size)
    winner = argmax(flat, ties=ties).isin([label])
    if isinstance(label, Parameter):  # the winner is among them; saying so lets the value of the label be checked where it is given
        labels = [(label == c) & _in_top(flat, c, k, ties) for c in range(flat.size)]
        return Disjunction((winner, *labels))
    return winner if k == 1 else _in_top(flat, int(label), k, ties)


def _in_top(scores: Expression, label: int, k: int, ties: Ties) -> Formula:
    """Return that fewer than `k` others beat a class."""
    others = np.delete(np.arange(scores.size), label)
    if k > others.size:
        return Constantly(True)
    wins_ties = others < label if ties == "first" else others > label
    margin = scores[others] - scores[label]
    beaten = [margin[np.flatnonzero(wins_ties)] >= 0] if np.any(wins_ties) else []
    beaten += [margin[np.flatnonzero(~wins_ties)] > 0] if np.any(~wins_ties) else []
    return total(join([indicator(b) for b in beaten])) <= k - 1


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Ranking:
    """The classes in the order of their scores, the greatest first; made by `qs.ranking`."""

    scores: Expression
    ties: Ties

    def starts_with(self, classes: Sequence[int]) -> Formula:
        """Return that these classes come first, in this order; raises SpecError on one that does not exist, or occurs twice."""
        n = self.scores.size
        for c in classes:
            if not isinstance(c, Integral) or isinstance(c, bool) or not 0 <= int(c) < n:  # pyright: ignore[reportUnnecessaryIsInstance]
                raise SpecError("no such class", given=c, expected=f"an index from 0 to {n - 1}")
        if len(set(classes)) != len(classes) or not classes:
            raise SpecError("no ranking of classes", given=list(classes), expected="different classes, at least one")
        left, parts = list(range(n)), list[Formula]()
        for c in classes[: n - 1]:
            parts.append(ClassIn(self.scores[np.array(left)], (left.index(int(c)),), self.ties))
            left.remove(int(c))
        return Conjunction(tuple(parts)) if parts else Constantly(True)

    def __eq__(self, other: object) -> Formula:  # pyright: ignore[reportIncompatibleMethodOverride]
        n = self.scores.size
        if not isinstance(other, Ranking):
            listed = list(cast(Sequence[int], other)) if isinstance(other, Sequence | np.ndarray) else []
            if len(listed) != n:
                raise SpecError(
                    "no ranking of all classes", given=repr(cast(object, other)), expected=f"{n} classes", advice="starts_with([…])"
                )
            return self.starts_with(listed)
        if other.scores.size != n or other.ties != self.ties:
            raise ShapeError("rankings of different kinds", given=(n, other.scores.size), expected="as many scores, and one tie rule")
        pairs = [np.array([i, j]) for i in range(n) for j in range(i + 1, n)]
        same = tuple(SameClass(self.scores[p], other.scores[p], self.ties) for p in pairs)
        return Conjunction(same) if same else Constantly(True)

    def __ne__(self, other: object) -> Formula:  # pyright: ignore[reportIncompatibleMethodOverride]
        return ~(self == other)

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"ranking({self.scores!r})"


def ranking(scores: Operand, *, ties: Ties = "first") -> Ranking:
    """Return the classes in the order of their scores, to be compared with a list of all classes, or with another ranking."""
    return Ranking(argmax(scores, ties=ties).scores, ties)
