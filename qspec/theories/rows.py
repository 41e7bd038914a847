"""List an affine node row by row over the elements that vary, if time and memory allow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from qspec.deadline import NEVER, Deadline
from qspec.ir import linear
from qspec.ir.integer import Affine, products

T = TypeVar("T")

ENTRY = 300
"""Bytes that an entry takes about, from its listing to the text or the row of a solver."""
BETWEEN = 64
"""Rows between two looks at the limits."""


@dataclass(frozen=True, slots=True)
class Rows(Generic[T]):
    """Row k is `constants[k]` plus the sum of weight * variable over its entries."""

    variables: list[T]
    constants: list[int]
    columns: list[int]
    weights: list[int]
    starts: list[int]
    deadline: Deadline

    def __iter__(self) -> Iterator[tuple[int, list[int], list[int]]]:
        """Yield constant, columns and weights of each row; raises OutOfTime and OutOfMemory."""
        for k, constant in enumerate(self.constants):
            if k % BETWEEN == 0:
                self.deadline.check()
            row = slice(self.starts[k], self.starts[k + 1])
            yield constant, self.columns[row], self.weights[row]


def gather(node: Affine, elements: Sequence[Sequence[T | int]], offset: Callable[[T], int], deadline: Deadline = NEVER) -> Rows[T]:
    """Return the rows of an affine node; integers among `elements` and the offsets of the others are summed into the constants.

    Raises OutOfTime, and OutOfMemory before more is listed than there is room for.
    """
    deadline.check(ENTRY * sum(products(m) for m, _ in node.terms))
    variables: list[T] = []
    places: dict[int, list[int]] = {}
    constants = node.bias.astype(object)
    for a in dict.fromkeys(a for _, a in node.terms):
        places[a] = []
        for element in elements[a]:
            places[a].append(-1 if isinstance(element, int) else len(variables))
            if not isinstance(element, int):
                variables.append(element)
    for m, a in node.terms:
        fixed = [e if isinstance(e, int) else offset(e) for e in elements[a]]
        constants = constants + linear.apply(m, np.array(fixed, dtype=object))
    rows, columns, weights = ([np.zeros(0, dtype=np.int64)] for _ in range(3))
    for m, a in node.terms:
        entries = linear.to_sparse(m)
        place = np.array(places[a], dtype=np.int64)[entries.columns]
        rows.append(entries.rows[place >= 0])
        columns.append(place[place >= 0])
        weights.append(entries.coefficients[place >= 0])
    merged = linear.sparse(node.bias.size, len(variables), np.concatenate(rows), np.concatenate(columns), np.concatenate(weights))
    return Rows(variables, constants.tolist(), merged.columns.tolist(), merged.coefficients.tolist(), merged.starts.tolist(), deadline)
