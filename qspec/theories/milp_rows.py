"""Columns and rows of a mixed-integer linear problem while it is written, and exact linear terms over its columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import gcd
from typing import NamedTuple

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.errors import UnsupportedError
from qspec.problem import EXACT_DOUBLE, OPEN, MilpProblem, Symbol

ADVICE = "solve it as QF_BV or QF_LIA, whose integers have no limit"


class LinearForm(NamedTuple):
    """`constant + sum of weight * column`; weights are not zero, and there is at least one."""

    constant: int
    weights: Mapping[int, int]


Element = LinearForm | int
"""One element of a node: a linear term, or its value where that is fixed."""


def weighted(*parts: tuple[int, Element], constant: int = 0) -> Element:
    """Return `constant + sum of factor * element`."""
    weights: dict[int, int] = {}
    for factor, element in parts:
        if isinstance(element, int):
            constant += factor * element
            continue
        constant += factor * element.constant
        for column, weight in element.weights.items():
            weights[column] = weights.get(column, 0) + factor * weight
    kept = {c: w for c, w in weights.items() if w}
    return LinearForm(constant, kept) if kept else constant


@dataclass(slots=True)
class Model:
    """Columns and rows written so far; the one mutable object of a lowering."""

    names: list[str] = field(default_factory=list[str])
    lower: list[int] = field(default_factory=list[int])
    upper: list[int] = field(default_factory=list[int])
    starts: list[int] = field(default_factory=lambda: [0])
    columns: list[int] = field(default_factory=list[int])
    coefficients: list[int] = field(default_factory=list[int])
    row_lower: list[int] = field(default_factory=list[int])
    row_upper: list[int] = field(default_factory=list[int])

    def column(self, name: str, low: int, high: int) -> Element:
        """Return a new whole column between bounds; without a column its value, where they leave only one."""
        if low == high:
            return low
        self.names.append(name)
        self.lower.append(low)
        self.upper.append(high)
        return LinearForm(0, {len(self.names) - 1: 1})

    def binary(self, name: str) -> Element:
        """Return a new column that is 0 or 1."""
        return self.column(name, 0, 1)

    def ends(self, element: Element) -> tuple[int, int]:
        """Return what the bounds of the columns allow an element to be."""
        if isinstance(element, int):
            return element, element
        low = high = element.constant
        for c, w in element.weights.items():
            a, b = w * self.lower[c], w * self.upper[c]
            low, high = low + min(a, b), high + max(a, b)
        return low, high

    def require(self, element: Element, low: int | None, high: int | None) -> None:
        """Add the row `low <= element <= high`, unless the bounds of its columns say so already.

        Raises UnsupportedError on one too wide for doubles.
        """
        least, most = self.ends(element)
        low = None if low is not None and low <= least else low
        high = None if high is not None and high >= most else high
        if low is None and high is None:
            return
        if isinstance(element, int):
            self.fail()
            return
        # All columns are whole: a common divisor of the weights leaves the row, and the ends round inwards.
        common = gcd(*element.weights.values())
        low = None if low is None else -((element.constant - low) // common)
        high = None if high is None else (high - element.constant) // common
        if low is not None and high is not None and low > high:
            self.fail()
            return
        weights = {c: w // common for c, w in element.weights.items()}
        reach = sum(abs(w) * max(abs(self.lower[c]), abs(self.upper[c])) for c, w in weights.items())
        if max(reach, abs(low or 0), abs(high or 0)) > EXACT_DOUBLE:
            raise UnsupportedError(
                "a sum is too wide for a solver in double precision", given=f"up to {reach}", expected="at most 2**53", advice=ADVICE
            )
        self.columns += weights.keys()
        self.coefficients += weights.values()
        self.starts.append(len(self.columns))
        self.row_lower.append(-OPEN if low is None else low)
        self.row_upper.append(OPEN if high is None else high)

    def equal(self, left: Element, right: Element) -> None:
        """Add the row that two elements are equal."""
        self.require(weighted((1, left), (-1, right)), 0, 0)

    def fail(self) -> None:
        """Make the problem infeasible: a column that is 0 must be 1."""
        self.names.append(f"false{len(self.names)}")
        self.lower.append(0)
        self.upper.append(0)
        self.require(LinearForm(0, {len(self.names) - 1: 1}), 1, None)

    def problem(self, symbols: tuple[Symbol, ...], inputs: Mapping[str, IntArray]) -> MilpProblem:
        """Return the problem; raises UnsupportedError if a bound is beyond what a double holds."""
        widest = max((abs(end) for end in (*self.lower, *self.upper)), default=0)
        if widest > EXACT_DOUBLE:
            raise UnsupportedError(
                "a bound is too wide for a solver in double precision", given=widest, expected="at most 2**53", advice=ADVICE
            )
        lists = (self.lower, self.upper, self.starts, self.columns, self.coefficients, self.row_lower, self.row_upper)
        lower, upper, starts, columns, coefficients, row_lower, row_upper = (np.array(v, dtype=np.int64) for v in lists)
        whole = np.ones(len(self.names), dtype=bool)
        return MilpProblem(tuple(self.names), lower, upper, whole, starts, columns, coefficients, row_lower, row_upper, symbols, inputs)
