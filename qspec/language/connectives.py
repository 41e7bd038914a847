"""Formulas: the operators that join them, and what these make."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal, NoReturn

from qspec.errors import SpecError
from qspec.language.protocols import Syntax


class Sentence:
    """Base of what quantifies its variables itself, and so is no part of a formula."""

    kind: Literal["forall", "exists"]


class Formula(Syntax):
    """Base of all formulas: the connectives. Never made directly."""

    __slots__ = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an array of comparisons; every other formula is one truth."""
        return ()

    def __and__(self, other: Formula) -> Formula:
        return Conjunction((*_members(self, Conjunction), *_members(other, Conjunction)))

    def __or__(self, other: Formula) -> Formula:
        return Disjunction((*_members(self, Disjunction), *_members(other, Disjunction)))

    def __invert__(self) -> Formula:
        return Negation(scalar(self))

    def implies(self, other: Formula) -> Formula:
        """Return `not self or other`, which is also written `self >> other`."""
        return ~self | other

    def __rshift__(self, other: Formula) -> Formula:
        return ~self | other

    def __xor__(self, other: Formula) -> Formula:
        return (self & ~other) | (~self & other)

    def __rand__(self, other: object) -> NoReturn:
        refuse(other)

    def __bool__(self) -> NoReturn:
        raise SpecError(
            "a formula has no truth value in Python",
            given=type(self).__name__,
            expected="&, | and ~",
            advice="write (a <= x) & (x <= b) for a <= x <= b, and &, |, ~ for and, or, not",
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Conjunction(Formula):
    """Both."""

    children: tuple[Formula, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Disjunction(Formula):
    """Either."""

    children: tuple[Formula, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Negation(Formula):
    """Not."""

    child: Formula


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Constantly(Formula):
    """A constant."""

    value: bool


def _members(formula: Formula, kind: type[Conjunction] | type[Disjunction]) -> tuple[Formula, ...]:
    """Return the children of a formula of this kind, so that long chains stay flat, or the formula alone."""
    one = scalar(formula)
    return one.children if isinstance(one, kind) else (one,)


def scalar(formula: Formula) -> Formula:
    """Return a formula that is one truth; raises SpecError on an array of comparisons, and on what is no formula."""
    if not isinstance(formula, Formula):  # pyright: ignore[reportUnnecessaryIsInstance]
        refuse(formula)
    if prod(formula.shape) != 1:
        raise SpecError(
            "an array of comparisons is not one truth",
            given=f"shape {formula.shape}",
            expected="a single comparison",
            advice="say qs.all(…) or qs.any(…)",
        )
    return formula


def refuse(value: object) -> NoReturn:
    """Raise SpecError on what is no formula, with advice on what was meant."""
    if isinstance(value, Sentence):
        raise SpecError(
            "quantifiers do not nest",
            given=f"{value.kind} within a formula",
            expected="one quantifier over all variables",
            advice="forall(a, b, …) for two of one kind; for `exists` within `forall`, make candidates parameters and ask about each",
        )
    raise SpecError(
        "not a formula",
        given=value,
        expected="a comparison, or formulas joined by &, |, ~",
        advice="Python's and, or, not and chained comparisons do not build formulas",
    )
