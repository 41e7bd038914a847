"""Conditions of VNN-LIB on inputs X_i and outputs Y_j: linear atoms over exact rationals, and conjunctions and disjunctions of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Literal, assert_never

Kind = Literal["X", "Y"]
Name = tuple[Kind, int]


@dataclass(frozen=True, slots=True)
class LinearSum:
    """`sum of coefficient * variable + constant`; no coefficient is zero."""

    terms: Mapping[Name, Fraction]
    constant: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class LinearAtom:
    """`left >= 0`, or `left > 0` if strict; it has a variable."""

    left: LinearSum
    strict: bool = False


@dataclass(frozen=True, slots=True)
class AllOf:
    children: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    children: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class DeclaredTensor:
    """An input or output that a text declares; its elements, row by row, are the variables of its kind from `first` on."""

    name: str
    kind: Kind
    shape: tuple[int, ...]
    first: int = 0

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def declared(self) -> str:
        """How VNN-LIB 2 declares and assigns it, such as `X Real [1,2]`."""
        return f"{self.name} Real [{','.join(map(str, self.shape))}]"

    def element(self, k: int) -> str:
        """Return what VNN-LIB 2 calls the element k of those of its kind, such as `X[0,2]`."""
        rest, index = k - self.first, list[int]()
        for extent in reversed(self.shape):
            rest, own = divmod(rest, extent)
            index.insert(0, own)
        return f"{self.name}[{','.join(map(str, index))}]" if index else self.name


@dataclass(frozen=True, slots=True)
class NetworkUse:
    """A network that a text declares, applied to an input; `model` is the declared network that has its weights, often itself."""

    name: str
    model: str
    input: DeclaredTensor
    output: DeclaredTensor


Condition = LinearAtom | AllOf | AnyOf
Box = Mapping[Name, tuple[Fraction | None, Fraction | None]]
"""Bounds of variables; None where there is none."""
TRUE, FALSE = AllOf(()), AnyOf(())


def atom(left: LinearSum, *, strict: bool = False) -> Condition:
    """Return `left >= 0`, or `left > 0`; a number alone is true or false."""
    if left.terms:
        return LinearAtom(left, strict)
    return TRUE if left.constant > 0 or (left.constant == 0 and not strict) else FALSE


def conjunction(children: Iterable[Condition]) -> Condition:
    """Return that all are true, without conjunctions inside; FALSE if one is."""
    flat = [c for child in children for c in (child.children if isinstance(child, AllOf) else (child,))]
    return FALSE if FALSE in flat else flat[0] if len(flat) == 1 else AllOf(tuple(flat))


def disjunction(children: Iterable[Condition]) -> Condition:
    """Return that one is true, without disjunctions inside; TRUE if one is."""
    flat = [c for child in children for c in (child.children if isinstance(child, AnyOf) else (child,))]
    return TRUE if TRUE in flat else flat[0] if len(flat) == 1 else AnyOf(tuple(flat))


def negation(condition: Condition) -> Condition:
    """Return that a condition is false."""
    match condition:
        case LinearAtom(left, strict):
            return LinearAtom(combined([(Fraction(-1), left)]), not strict)
        case AllOf(children):
            return disjunction(map(negation, children))
        case AnyOf(children):
            return conjunction(map(negation, children))
        case _:
            assert_never(condition)


def combined(parts: Iterable[tuple[Fraction, LinearSum]]) -> LinearSum:
    """Return the sum of factors times linear terms."""
    terms: dict[Name, Fraction] = {}
    constant = Fraction(0)
    for factor, part in parts:
        constant += factor * part.constant
        for name, c in part.terms.items():
            terms[name] = terms.get(name, Fraction(0)) + factor * c
    return LinearSum({n: c for n, c in terms.items() if c}, constant)


def difference(left: LinearSum, right: LinearSum) -> LinearSum:
    """Return one linear term less another."""
    return combined([(Fraction(1), left), (Fraction(-1), right)])


def compared(left: LinearSum, relation: Literal["<=", "<", ">=", ">", "==", "!="], right: LinearSum) -> Condition:
    """Return a comparison of two linear terms."""
    match relation:
        case ">=" | ">":
            return atom(difference(left, right), strict=relation == ">")
        case "<=" | "<":
            return atom(difference(right, left), strict=relation == "<")
        case "==":
            return conjunction([atom(difference(left, right)), atom(difference(right, left))])
        case "!=":
            return disjunction([atom(difference(left, right), strict=True), atom(difference(right, left), strict=True)])
        case _:
            assert_never(relation)


def conjuncts(condition: Condition) -> tuple[Condition, ...]:
    """Return what has to be true together."""
    return condition.children if isinstance(condition, AllOf) else (condition,)


def is_bound(condition: Condition) -> bool:
    """Return whether a condition is one closed bound of one input, which the box says."""
    return isinstance(condition, LinearAtom) and not condition.strict and len(condition.left.terms) == 1 and kinds(condition) == {"X"}


def kinds(condition: Condition) -> set[Kind]:
    """Return whether inputs occur, and outputs."""
    if isinstance(condition, LinearAtom):
        return {kind for kind, _ in condition.left.terms}
    return {kind for c in condition.children for kind in kinds(c)}


def is_true(condition: Condition, values: Mapping[Name, Fraction]) -> bool:
    match condition:
        case LinearAtom(LinearSum(terms, constant), strict):
            left = sum((c * values[n] for n, c in terms.items()), constant)
            return left > 0 or (left == 0 and not strict)
        case AllOf(children):
            return all(is_true(c, values) for c in children)
        case AnyOf(children):
            return any(is_true(c, values) for c in children)
        case _:
            assert_never(condition)


def hull(condition: Condition) -> Box:
    """Return bounds that every solution meets: those of an alternative are the widest, those of a conjunction the narrowest."""
    match condition:
        case LinearAtom(LinearSum(terms, constant)):
            if len(terms) != 1:
                return {}
            ((name, c),) = terms.items()
            return {name: (-constant / c, None) if c > 0 else (None, -constant / c)}
        case AllOf(children):
            narrow: dict[Name, tuple[Fraction | None, Fraction | None]] = {}
            for box in map(hull, children):
                for name, (low, high) in box.items():
                    a, b = narrow.get(name, (None, None))
                    narrow[name] = _some(max, a, low), _some(min, b, high)
            return narrow
        case AnyOf(children):
            first, *others = map(hull, children)
            wide = dict(first)
            for box in others:
                wide = {n: (_all(min, wide[n][0], box[n][0]), _all(max, wide[n][1], box[n][1])) for n in wide.keys() & box.keys()}
            return wide
        case _:
            assert_never(condition)


def completed(box: Box, condition: Condition) -> Box:
    """Return bounds, with those that were missing and that rows about several inputs imply, such as `X_0 == X_1`."""
    rows = [c for c in conjuncts(condition) if isinstance(c, LinearAtom) and kinds(c) == {"X"} and len(c.left.terms) > 1]
    known = dict(box)
    while found := {name: ends for row in rows for name, ends in _implied(row.left, known).items()}:
        known |= found
    return known


def _implied(left: LinearSum, box: Box) -> Box:
    """Return ends that `left >= 0` implies where there was none."""
    found: dict[Name, tuple[Fraction | None, Fraction | None]] = {}
    for name, c in left.terms.items():
        low, high = box.get(name, (None, None))
        most: Fraction | None = left.constant
        for other, d in left.terms.items():
            end = box.get(other, (None, None))[1 if d > 0 else 0]
            most = most if other == name else None if most is None or end is None else most + d * end
        if most is not None and (low if c > 0 else high) is None:
            found[name] = (-most / c, high) if c > 0 else (low, -most / c)
    return found


Choice = Callable[[Fraction, Fraction], Fraction]


def _some(choose: Choice, a: Fraction | None, b: Fraction | None) -> Fraction | None:
    return b if a is None else a if b is None else choose(a, b)


def _all(choose: Choice, a: Fraction | None, b: Fraction | None) -> Fraction | None:
    return None if a is None or b is None else choose(a, b)
