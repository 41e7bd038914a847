"""Write a compiled query as text for the verified checker: a plain dump, node by node (meaning and format: book/semantics.lisp).

The checker counts backwards: nodes from the last one, arguments from the node before the one that reads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate, pairwise, repeat
from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.ir import linear
from qspec.ir.integer import Affine, All, And, Any, Formula, Input, Maximum, Node, Or, Product, Program, Staircase, Table, Truth, Wrap
from qspec.ir.linear import Dense, LinearMap
from qspec.ir.staircase import Rescale, Steps


class Labels:
    """Maps that several programs of one text have in common: their rows are written once, `#n=(…)`, and are then `#n#` (Common Lisp)."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[LinearMap, int]] = {}

    def rows(self, m: LinearMap) -> str:
        """Return the rows of a map, or its label."""
        if id(m) in self._known:
            return f"#{self._known[id(m)][1]}#"
        self._known[id(m)] = m, len(self._known) + 1  # the map is held, so that no other one gets its id
        return f"#{len(self._known)}={grouped(_rows(m))}"


def program_text(program: Program, labels: Labels) -> str:
    """Return the nodes of a program, the last one first."""
    return grouped(_node(k, node, labels) for k, node in reversed(list(enumerate(program))))


def formula_text(formula: Formula, count: int) -> str:
    """Return a formula about a program of so many nodes."""
    match formula:
        case Truth(value):
            return "(:and)" if value else "(:false)"
        case All(node):
            return f"(:all {count - 1 - node})"
        case Any(node):
            return f"(:any {count - 1 - node})"
        case And(children):
            return grouped(":and", *(formula_text(c, count) for c in children))
        case Or(children):
            return grouped(":or", *(formula_text(c, count) for c in children))
        case _:
            assert_never(formula)


def grouped(*parts: str | Iterable[str]) -> str:
    """Return texts, and those of iterables of texts, in brackets."""
    return "(" + " ".join(p if isinstance(p, str) else " ".join(p) for p in parts) + ")"


def numbers(values: IntArray) -> Iterator[str]:
    """Return integers as texts."""
    return map(str, values.reshape(-1).tolist())


def _node(k: int, node: Node, labels: Labels) -> str:
    def back(argument: int) -> str:
        return str(k - 1 - argument)

    match node:
        case Input(_, lower, upper):
            return grouped(":input", grouped(numbers(lower)), grouped(numbers(upper)))
        case Affine(terms, bias):
            return grouped(":affine", grouped(numbers(bias)), (grouped(back(a), ".", labels.rows(m)) for m, a in terms))
        case Staircase(a, steps):
            return grouped(":each", back(a), _staircase(steps))
        case Table(a, first, values):
            return grouped(":each", back(a), (grouped(":table", f, numbers(v)) for f, v in zip(numbers(first), values, strict=True)))
        case Product(left, right):
            return grouped(":product", back(left), back(right))
        case Maximum(a, groups):
            return grouped(":maximum", back(a), (grouped(numbers(g[g >= 0])) for g in groups))
        case Wrap(a, width, signed):
            widths: list[int] = width.tolist()
            return grouped(":each", back(a), (f"(:wrap {1 << w} {-(1 << w - 1) if signed else 0})" for w in widths))
        case _:
            assert_never(node)


def _staircase(steps: Rescale | Steps) -> Iterator[str]:
    match steps:
        case Rescale(numerator, offset, denominator, rounding, lower, upper):
            ends = (repeat("none") if end is None else numbers(end) for end in (lower, upper))
            mode = ":" + rounding.value.lower().replace("_", "-")
            for n, o, d, low, high in zip(numbers(numerator), numbers(offset), numbers(denominator), *ends, strict=False):
                yield f"(:rescale {n} {o} {d} {low} {high} {mode})"
        case Steps(base, thresholds):
            for b, row in zip(numbers(base), thresholds, strict=True):
                yield grouped(":steps", b, numbers(row))
        case _:
            assert_never(steps)


def _rows(m: LinearMap) -> Iterator[str]:
    """Return the rows of a map: weights, and gaps `(n)` where n weights are zero; a number n between rows moves all after it on by n."""
    if isinstance(m, Dense):
        for row in m.matrix:
            yield grouped(numbers(row))
        return
    entries = linear.to_sparse(m)
    if entries.rows.size == entries.outputs == entries.filled.size and np.all(np.diff(entries.columns) >= 0):
        for step, weight in zip(np.diff(entries.columns, prepend=0).tolist(), entries.coefficients.tolist(), strict=True):
            yield f"{step} ({weight})" if step else f"({weight})"
        return
    starts: list[int] = entries.starts.tolist()
    columns: list[int] = entries.columns.tolist()
    weights: list[int] = entries.coefficients.tolist()
    first = [min(columns[begin:end], default=entries.inputs) for begin, end in pairwise(starts)]
    begins = list(accumulate(reversed(first), min))[::-1]  # no row from here on reads anything before it
    moved = 0
    for begin, end, place in zip(starts, starts[1:], begins, strict=False):
        if begin < end and place > moved:
            yield str(place - moved)
            moved = place
        yield _row(sorted(zip(columns[begin:end], weights[begin:end], strict=True)), moved)


def _row(entries: list[tuple[int, int]], place: int) -> str:
    parts: list[str] = []
    for column, weight in entries:
        parts += [f"({column - place})"] * (column > place)
        parts.append(str(weight))
        place = column + 1
    return grouped(parts)
