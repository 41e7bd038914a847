"""The real query: a program over vectors of real numbers, and a formula about it.

A closed set of five operations; every consumer is one exhaustive `match`. All vectors are flat; a node refers to earlier nodes by position.
All numbers are exact: arrays are float64 where each number is a double, Fractions (dtype object) where not. The question is always the
same: is there a point in the closed box of the inputs for which the formula `goal` is true?
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from math import lcm
from typing import Any as AnyType
from typing import assert_never

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.integers import IntArray, rational
from qspec.errors import InternalError

ExactArray = npt.NDArray[AnyType]
"""An array of finite doubles (float64), each meant exactly, or of Fractions (dtype object)."""
BITS = 53
"""Of the mantissa of a double."""


class Function(Enum):
    """A function of one real, applied elementwise."""

    RELU = "relu"
    EXP = "exp"
    TANH = "tanh"
    SIGMOID = "sigmoid"
    SOFTPLUS = "softplus"
    RECIPROCAL = "reciprocal"
    """1 / x; the argument must be provably positive."""


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """`y = matrix @ x`; shape (outputs, inputs)."""

    matrix: ExactArray

    @property
    def outputs(self) -> int:
        return self.matrix.shape[0]

    @property
    def inputs(self) -> int:
        return self.matrix.shape[1]


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """`y[rows[k]] += coefficients[k] * x[columns[k]]`: selections, sums, scalings and convolutions."""

    outputs: int
    inputs: int
    rows: IntArray
    columns: IntArray
    coefficients: ExactArray


RealMap = Matrix | Entries


@dataclass(frozen=True, slots=True, eq=False)
class Input:
    """Free reals, `lower <= x <= upper` elementwise; both ends belong to the box."""

    name: str
    lower: ExactArray
    upper: ExactArray


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """`y = bias + sum of map(argument)`; no terms makes a constant."""

    terms: tuple[tuple[RealMap, int], ...]
    bias: ExactArray


@dataclass(frozen=True, slots=True, eq=False)
class Apply:
    """`y = function(argument)`, elementwise."""

    argument: int
    function: Function


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


Node = Input | Affine | Apply | Product | Maximum
Program = tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Truth:
    """A constant."""

    value: bool


@dataclass(frozen=True, slots=True)
class All:
    """Every element of a node is at least zero (above zero if `strict`)."""

    node: int
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Any:
    """Some element of a node is at least zero (above zero if `strict`)."""

    node: int
    strict: bool = False


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

Point = Mapping[str, ExactArray]
"""The reals of every input, by name."""


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """Is there a point of the box for which `goal` is true?"""

    program: Program
    goal: Formula

    @property
    def inputs(self) -> dict[str, Input]:
        return {n.name: n for n in self.program if isinstance(n, Input)}


def exact(values: object) -> ExactArray:
    """Return numbers as an exact array: doubles if each is one, else Fractions; raises FormatError on what is not a finite number."""
    array: ExactArray = np.asarray(values, dtype=None if isinstance(values, np.ndarray) else object)
    if array.dtype.kind == "f" and bool(np.all(np.isfinite(array))):
        return array.astype(np.float64)
    fractions = [rational(v) for v in array.flat]
    doubles = np.array([_double(f) for f in fractions], dtype=np.float64)
    if bool(np.all(np.isfinite(doubles))) and all(Fraction(float(d)) == f for d, f in zip(doubles, fractions, strict=True)):
        return doubles.reshape(array.shape)
    result = np.empty(len(fractions), dtype=object)
    result[:] = fractions
    return result.reshape(array.shape)


def _double(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return np.inf


def fractions(array: ExactArray) -> ExactArray:
    """Return the same numbers as Fractions."""
    result = np.empty(array.size, dtype=object)
    result[:] = [v if isinstance(v, Fraction) else Fraction(v) for v in array.reshape(-1).tolist()]
    return result.reshape(array.shape)


def whole(array: ExactArray) -> tuple[ExactArray, int]:
    """Return whole numbers (dtype object) over the least denominator that all have in common, and that."""
    if array.dtype == object:
        flat: list[Fraction] = array.reshape(-1).tolist()
        unit = lcm(*{v.denominator for v in flat})
        found = np.empty(len(flat), dtype=object)
        found[:] = [v.numerator * (unit // v.denominator) for v in flat]
        return found.reshape(array.shape), unit
    mantissa, exponent = np.frexp(array)
    numbers = np.ldexp(mantissa, BITS).astype(np.int64)
    lowest = np.frexp((numbers & -numbers).astype(np.float64))[1] - 1
    shift, power = np.where(numbers == 0, 0, lowest), np.where(numbers == 0, 0, exponent - BITS + lowest)
    least = min(0, int(power.min(initial=0)))
    return (numbers >> shift).astype(object) << (power - least).astype(object), 1 << -least


def arguments(node: Node) -> tuple[int, ...]:
    """Return the positions of the nodes that a node reads."""
    match node:
        case Input():
            return ()
        case Affine(terms):
            return tuple(a for _, a in terms)
        case Apply(a) | Maximum(a):
            return (a,)
        case Product(left, right):
            return (left, right)
        case _:
            assert_never(node)


def sizes(program: Program) -> list[int]:
    """Return the number of elements of every node."""
    result: list[int] = []
    for node in program:
        result.append(_size(node, result))
    return result


def _size(node: Node, before: list[int]) -> int:
    match node:
        case Input(_, lower, _):
            return lower.size
        case Affine(_, bias):
            return bias.size
        case Apply(a):
            return before[a]
        case Product(left, _):
            return before[left]
        case Maximum(_, groups):
            return groups.shape[0]
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


def moved(node: Node, place: Mapping[int, int] | Sequence[int]) -> Node:
    """Return a node that reads what stands at these places."""
    match node:
        case Input():
            return node
        case Affine(terms, bias):
            return Affine(tuple((m, place[a]) for m, a in terms), bias)
        case Apply(a, function):
            return Apply(place[a], function)
        case Product(left, right):
            return Product(place[left], place[right])
        case Maximum(a, groups):
            return Maximum(place[a], groups)
        case _:
            assert_never(node)


def moved_goal(formula: Formula, place: Mapping[int, int] | Sequence[int]) -> Formula:
    """Return a formula that reads the nodes at these places."""
    match formula:
        case Truth():
            return formula
        case All(node, strict):
            return All(place[node], strict)
        case Any(node, strict):
            return Any(place[node], strict)
        case And(children):
            return And(tuple(moved_goal(c, place) for c in children))
        case Or(children):
            return Or(tuple(moved_goal(c, place) for c in children))
        case _:
            assert_never(formula)


def conjunction(children: Sequence[Formula]) -> Formula:
    """Return the conjunction, flattened, with constants removed."""
    flat = [g for c in children for g in (c.children if isinstance(c, And) else (c,))]
    if any(c == FALSE for c in flat):
        return FALSE
    kept = tuple(c for c in flat if c != TRUE)
    return kept[0] if len(kept) == 1 else And(kept) if kept else TRUE


def disjunction(children: Sequence[Formula]) -> Formula:
    """Return the disjunction, flattened, with constants removed."""
    flat = [g for c in children for g in (c.children if isinstance(c, Or) else (c,))]
    if any(c == TRUE for c in flat):
        return TRUE
    kept = tuple(c for c in flat if c != FALSE)
    return kept[0] if len(kept) == 1 else Or(kept) if kept else FALSE


def entries(m: RealMap) -> Entries:
    """Return a map as the list of its entries that are not zero."""
    if isinstance(m, Entries):
        return m
    rows, columns = np.nonzero(m.matrix)
    return Entries(m.outputs, m.inputs, rows, columns, m.matrix[rows, columns])


def listed(node: Node) -> int:
    """Return how many numbers a node lists, about: the entries of its maps, or what its groups are made of."""
    match node:
        case Input(_, lower, _):
            return lower.size
        case Affine(terms, bias):
            return bias.size + sum(m.coefficients.size if isinstance(m, Entries) else int(np.count_nonzero(m.matrix)) for m, _ in terms)
        case Apply() | Product():
            return 1
        case Maximum(_, groups):
            return groups.size
        case _:
            assert_never(node)


def check(query: Query) -> Query:
    """Return the query; raises InternalError if it is malformed."""
    size: list[int] = []
    names: set[str] = set()
    for position, node in enumerate(query.program):
        problem = _problem(node, position, size)
        if isinstance(node, Input):
            problem = f"two inputs are called {node.name!r}" if node.name in names else problem
            names.add(node.name)
        if problem is not None:
            raise InternalError(f"real node {position} is malformed: {problem}", given=type(node).__name__)
        size.append(_size(node, size))
    if any(not 0 <= n < len(query.program) for n in formula_nodes(query.goal)):
        raise InternalError("the goal reads a node that does not exist", given=query.goal)
    return query


def _problem(node: Node, position: int, size: list[int]) -> str | None:
    if any(not 0 <= a < position for a in arguments(node)):
        return "reads a node that does not come before it"
    match node:
        case Input(_, lower, upper):
            return None if lower.ndim == 1 and lower.shape == upper.shape else "bounds are not two flat vectors of one size"
        case Affine(terms, bias):
            fits = bias.ndim == 1 and all(m.outputs == bias.size and m.inputs == size[a] for m, a in terms)
            return None if fits else "a map does not fit its argument or the bias"
        case Apply():
            return None
        case Product(left, right):
            return None if size[left] == size[right] else "factors differ in size"
        case Maximum(a, groups):
            fits = groups.ndim == 2 and groups.shape[1] > 0
            fits = fits and (not groups.size or (groups.max() < size[a] and bool(np.all(groups.max(axis=1) >= 0))))
            return None if fits else "a group is empty or reads outside its argument"
        case _:
            assert_never(node)
