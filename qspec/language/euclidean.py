"""The Euclidean norm, compared exactly: never as a root, but as sums of squares."""

from __future__ import annotations

from dataclasses import dataclass

from qspec.language.connectives import Formula
from qspec.language.expressions import Expression, Operand, expression
from qspec.language.functions import linf, total


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Euclidean:
    """The l2 norm of the elements; compare it with `<=`, `<`, `>=`, `>`, or take its square, which is an expression."""

    elements: Expression

    @property
    def squared(self) -> Expression:
        """The sum of the squares."""
        return total(self.elements * self.elements)

    def __le__(self, other: Operand | Euclidean) -> Formula:
        """A norm is at most r if its square is at most r², and no element exceeds r, which leaves a box."""
        if isinstance(other, Euclidean):
            return self.squared <= other.squared
        r = expression(other)
        return (linf(self.elements) <= r) & (self.squared <= r * r)

    def __lt__(self, other: Operand | Euclidean) -> Formula:
        if isinstance(other, Euclidean):
            return self.squared < other.squared
        r = expression(other)
        return (linf(self.elements) < r) & (self.squared < r * r)

    def __ge__(self, other: Operand | Euclidean) -> Formula:
        return ~(self < other)

    def __gt__(self, other: Operand | Euclidean) -> Formula:
        return ~(self <= other)

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"l2({self.elements!r})"


def l2(value: Operand) -> Euclidean:
    """Return the square root of the sum of squares, which is compared exactly: `qs.l2(x.code - centre) <= 3`."""
    return Euclidean(expression(value).flatten())
