"""The query: a program over integer vectors, and a formula about it.

A closed set of seven operations; every consumer is one exhaustive `match`. All vectors are flat; images are channels-last. A node refers
to earlier nodes by position. The question a query asks is always the same: is there an assignment of the inputs, within their bounds, for
which the formula `goal` is true? For a `forall` property the goal is its violation, for an `exists` property its witness.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.errors import InternalError
from qspec.ir.linear import Convolution, Dense, LinearMap, Sparse
from qspec.ir.staircase import Rescale, Steps


@dataclass(frozen=True, slots=True, eq=False)
class Input:
    """Free integers, `lower <= x <= upper` elementwise."""

    name: str
    lower: IntArray
    upper: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """`y = bias + sum of map(argument)`; no terms makes a constant."""

    terms: tuple[tuple[LinearMap, int], ...]
    bias: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Staircase:
    """A monotone step function, elementwise."""

    argument: int
    steps: Rescale | Steps


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """`y = values[element, a - first]`: an arbitrary function, elementwise; `values` has shape (size, entries) and covers the argument."""

    argument: int
    first: IntArray
    values: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """`y = left * right`, elementwise."""

    left: int
    right: int


@dataclass(frozen=True, slots=True, eq=False)
class Maximum:
    """`y[k] = max of argument[groups[k]]`; -1 in `groups` is an absent member, and every row has at least one present."""

    argument: int
    groups: IntArray

    @property
    def members(self) -> IntArray:
        """The groups with a member that is present, said again, in place of each absent one: the maximum is the same."""
        return np.where(self.groups >= 0, self.groups, self.groups.max(axis=1, initial=0, keepdims=True))


@dataclass(frozen=True, slots=True, eq=False)
class Wrap:
    """Keep the low `width` bits, read as two's complement where `signed`; all elements alike in sign, widths per element."""

    argument: int
    width: IntArray
    signed: bool


Node = Input | Affine | Staircase | Table | Product | Maximum | Wrap
Program = tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Truth:
    """A constant."""

    value: bool


@dataclass(frozen=True, slots=True)
class All:
    """Every element of a node is at least zero."""

    node: int


@dataclass(frozen=True, slots=True)
class Any:
    """Some element of a node is at least zero."""

    node: int


@dataclass(frozen=True, slots=True)
class And:
    """Every child is true."""

    children: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Some child is true."""

    children: tuple[Formula, ...]


Formula = Truth | All | Any | And | Or
TRUE, FALSE = Truth(True), Truth(False)

Assignment = Mapping[str, IntArray]
"""The integers of every input, by name."""


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """Is there an assignment for which `goal` is true?"""

    program: Program
    goal: Formula

    @property
    def inputs(self) -> dict[str, Input]:
        return {n.name: n for n in self.program if isinstance(n, Input)}


def arguments(node: Node) -> tuple[int, ...]:
    """Return the positions of the nodes that a node reads."""
    match node:
        case Input():
            return ()
        case Affine(terms):
            return tuple(a for _, a in terms)
        case Staircase(a) | Table(a) | Maximum(a) | Wrap(a):
            return (a,)
        case Product(left, right):
            return (left, right)
        case _:
            assert_never(node)


def needed(program: Program, nodes: Iterable[int]) -> list[int]:
    """Return the positions of the nodes and of all that they depend on, ascending."""
    found: set[int] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting.extend(arguments(program[node]))
    return sorted(found)


def sizes(program: Program) -> list[int]:
    """Return the number of elements of every node."""
    result: list[int] = []
    for node in program:
        match node:
            case Input(_, lower, _):
                result.append(lower.size)
            case Affine(_, bias):
                result.append(bias.size)
            case Staircase(a) | Table(a) | Wrap(a):
                result.append(result[a])
            case Product(left, _):
                result.append(result[left])
            case Maximum(_, groups):
                result.append(groups.shape[0])
            case _:
                assert_never(node)
    return result


def multiplications(program: Program) -> list[int]:
    """Return how many products evaluating each node takes, counting one for every element that is not an affine map."""
    return [
        sum(products(m) for m, _ in node.terms) if isinstance(node, Affine) else size
        for node, size in zip(program, sizes(program), strict=True)
    ]


def products(linear: LinearMap) -> int:
    """Return how many products applying a map once takes."""
    match linear:
        case Dense(matrix):
            return matrix.size
        case Sparse():
            return linear.rows.size
        case Convolution():
            return linear.outputs * linear.kernel[..., 0].size


def with_arguments(node: Node, position: Sequence[int] | Mapping[int, int]) -> Node:
    """Return the node reading `position[a]` wherever it read `a`."""
    match node:
        case Input():
            return node
        case Affine(terms, bias):
            return Affine(tuple((m, position[a]) for m, a in terms), bias)
        case Staircase(a, steps):
            return Staircase(position[a], steps)
        case Table(a, first, values):
            return Table(position[a], first, values)
        case Product(left, right):
            return Product(position[left], position[right])
        case Maximum(a, groups):
            return Maximum(position[a], groups)
        case Wrap(a, width, signed):
            return Wrap(position[a], width, signed)
        case _:
            assert_never(node)


def formula_nodes(formula: Formula) -> set[int]:
    """Return the positions of the nodes that a formula reads."""
    match formula:
        case Truth():
            return set()
        case All(node) | Any(node):
            return {node}
        case And(children) | Or(children):
            return {node for child in children for node in formula_nodes(child)}
        case _:
            assert_never(formula)


def with_nodes(formula: Formula, position: Sequence[int] | Mapping[int, int]) -> Formula:
    """Return the formula reading `position[n]` wherever it read node `n`."""
    match formula:
        case Truth():
            return formula
        case All(node):
            return All(position[node])
        case Any(node):
            return Any(position[node])
        case And(children):
            return And(tuple(with_nodes(c, position) for c in children))
        case Or(children):
            return Or(tuple(with_nodes(c, position) for c in children))
        case _:
            assert_never(formula)


def conjunction(children: Sequence[Formula]) -> Formula:
    """Return the conjunction, flattened, with constants removed."""
    flat = [g for c in children for g in (c.children if isinstance(c, And) else (c,))]
    if any(c == FALSE for c in flat):
        return FALSE
    kept = tuple(c for c in flat if c != TRUE)
    return kept[0] if len(kept) == 1 else And(kept) if kept else TRUE


def conjuncts(formula: Formula) -> list[Formula]:
    """Return what a formula is the conjunction of, those of conjunctions within it included."""
    return [g for c in formula.children for g in conjuncts(c)] if isinstance(formula, And) else [formula]


def disjunction(children: Sequence[Formula]) -> Formula:
    """Return the disjunction, flattened, with constants removed."""
    flat = [g for c in children for g in (c.children if isinstance(c, Or) else (c,))]
    if any(c == TRUE for c in flat):
        return TRUE
    kept = tuple(c for c in flat if c != FALSE)
    return kept[0] if len(kept) == 1 else Or(kept) if kept else FALSE


def check(query: Query) -> Query:
    """Return the query if it is well formed, else raise InternalError; run after every pass."""
    names: set[str] = set()
    size = sizes(query.program)
    for position, node in enumerate(query.program):
        problem = _problem(node, position, size)
        if problem is None and isinstance(node, Input):
            problem = f"two inputs are called {node.name!r}" if node.name in names else None
            names.add(node.name)
        if problem is not None:
            raise InternalError(f"node {position} is malformed: {problem}", given=type(node).__name__)
    if any(not 0 <= n < len(query.program) for n in formula_nodes(query.goal)):
        raise InternalError("the goal reads a node that does not exist", given=query.goal)
    return query


def _problem(node: Node, position: int, size: list[int]) -> str | None:
    if any(not 0 <= a < position for a in arguments(node)):
        return "reads a node that does not come before it"
    n = size[position]
    match node:
        case Input(_, lower, upper):
            return None if lower.shape == upper.shape == (n,) else "bounds are not two flat vectors of one size"
        case Affine(terms, bias):
            fits = bias.shape == (n,) and all(m.outputs == n and m.inputs == size[a] for m, a in terms)
            return None if fits else "a map does not fit its argument or the bias"
        case Staircase(_, steps):
            return _staircase_problem(steps, n)
        case Table(_, first, values):
            fits = first.shape == (n,) and values.ndim == 2 and values.shape[0] == n and values.shape[1] > 0
            return None if fits else "table has the wrong shape"
        case Product(left, right):
            return None if size[left] == size[right] else "factors differ in size"
        case Maximum(a, groups):
            fits = (
                groups.ndim == 2
                and groups.shape[1] > 0
                and (not groups.size or (groups.max() < size[a] and bool(np.all(groups.max(axis=1) >= 0))))
            )
            return None if fits else "a group is empty or reads outside its argument"
        case Wrap(_, width, _):
            return None if width.shape == (n,) and bool(np.all(width >= 1)) else "width must be positive"
        case _:
            assert_never(node)


def _staircase_problem(steps: Rescale | Steps, n: int) -> str | None:
    match steps:
        case Rescale(numerator, offset, denominator, _, lower, upper):
            arrays = [numerator, offset, denominator, *(b for b in (lower, upper) if b is not None)]
            if any(a.shape != (n,) for a in arrays):
                return "a staircase parameter has the wrong shape"
            if np.any(numerator <= 0) or np.any(denominator <= 0):
                return "numerator and denominator must be positive"
            return "lower end above upper end" if lower is not None and upper is not None and np.any(lower > upper) else None
        case Steps(base, thresholds):
            if base.shape != (n,) or thresholds.ndim != 2 or thresholds.shape[0] != n:
                return "a staircase parameter has the wrong shape"
            return "thresholds decrease" if np.any(thresholds[:, 1:] < thresholds[:, :-1]) else None
        case _:
            assert_never(steps)
