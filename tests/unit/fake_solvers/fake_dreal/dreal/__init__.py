"""A stand-in for dReal's Python package with the part of its interface that the worker uses, found by PYTHONPATH.

Expressions are evaluated over intervals of doubles; boxes are halved by the brancher until they are empty or narrow. Like dReal it says
neither that a box is a solution nor which: a narrow box that is not refuted is returned.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from itertools import pairwise, product
from typing import Any

Range = tuple[float, float]
STEPS = 200_000

if os.environ.get("FAKE_DREAL") == "broken":
    raise ImportError("libibex.so: cannot open shared object file: No such file or directory")


class Variable:
    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return self.name


class Interval:
    def __init__(self, ends: Range) -> None:
        self.ends = ends

    def lb(self) -> float:
        return self.ends[0]

    def ub(self) -> float:
        return self.ends[1]

    def diam(self) -> float:
        return self.ends[1] - self.ends[0]

    def is_bisectable(self) -> bool:
        return self.ends[0] < sum(self.ends) / 2 < self.ends[1]


class Box:
    def __init__(self, variables: list[Variable], ranges: list[Range]) -> None:
        self.variables, self.ranges = variables, ranges

    def __getitem__(self, k: int) -> Interval:
        return Interval(self.ranges[k])

    def variable(self, k: int) -> Variable:
        return self.variables[k]

    def items(self) -> list[tuple[Variable, Interval]]:
        return list(zip(self.variables, map(Interval, self.ranges), strict=True))

    def bisect(self, k: int) -> tuple[Box, Box]:
        low, high = self.ranges[k]
        middle = (low + high) / 2
        return tuple(Box(self.variables, [*self.ranges[:k], ends, *self.ranges[k + 1 :]]) for ends in ((low, middle), (middle, high)))  # pyright: ignore[reportReturnType]

    def set(self, other: Box) -> None:
        self.variables, self.ranges = other.variables, other.ranges


class Active:
    def __init__(self, count: int) -> None:
        self.count = count

    def size(self) -> int:
        return self.count

    def get(self, k: int) -> bool:
        return 0 <= k < self.count


class Config:
    """dReal ignores names that it does not know only to raise AttributeError; so does this."""

    __slots__ = ("brancher", "number_of_jobs", "precision", "use_polytope")

    def __init__(self) -> None:
        self.precision, self.number_of_jobs, self.use_polytope = 0.001, 1, False
        self.brancher = widest


class Expression:
    def __init__(self, of: float | Variable | Callable[[dict[str, Range]], Range], variables: frozenset[Variable] = frozenset()) -> None:
        self.variables = variables
        if isinstance(of, Variable):
            self.variables = frozenset({of})
            self.range: Callable[[dict[str, Range]], Range] = lambda box: box[of.name]
        elif isinstance(of, float | int):
            self.range = lambda box: (float(of), float(of))
        else:
            self.range = of

    def __add__(self, other: object) -> Expression:
        return _lift(lambda x, y: (x[0] + y[0], x[1] + y[1]), self, other)

    def __neg__(self) -> Expression:
        return _lift(lambda x: (-x[1], -x[0]), self)

    def __sub__(self, other: object) -> Expression:
        return self + (-_expression(other))

    def __mul__(self, other: object) -> Expression:
        return _lift(lambda x, y: _ends([a * b for a, b in product(x, y)]), self, other)

    def __rtruediv__(self, other: object) -> Expression:
        return _expression(other) * _lift(lambda x: (1 / x[1], 1 / x[0]) if x[0] > 0 else (-math.inf, math.inf), self)

    __radd__ = __add__
    __rmul__ = __mul__

    def __ge__(self, other: float) -> Formula:
        return Formula("ge", self - other)

    def __gt__(self, other: float) -> Formula:
        return Formula("gt", self - other)

    def __le__(self, other: float) -> Formula:
        return Formula("ge", -(self - other))


class Formula:
    def __init__(self, kind: str, *parts: Any) -> None:
        self.kind, self.parts = kind, parts

    def possible(self, box: dict[str, Range]) -> bool:
        match self.kind:
            case "and":
                return all(p.possible(box) for p in self.parts)
            case "or":
                return any(p.possible(box) for p in self.parts)
            case _:
                high = self.parts[0].range(box)[1]
                return high > 0 if self.kind == "gt" else high >= 0

    def comparisons(self) -> list[Expression]:
        return [c for p in self.parts for c in ([p] if isinstance(p, Expression) else p.comparisons())]


def _expression(value: Any) -> Expression:
    return value if isinstance(value, Expression) else Expression(value)


def _ends(values: list[float]) -> Range:
    return min(values), max(values)


def _lift(function: Callable[..., Range], *arguments: object) -> Expression:
    known = [_expression(a) for a in arguments]
    return Expression(lambda box: function(*(e.range(box) for e in known)), frozenset[Variable]().union(*(e.variables for e in known)))


def _increasing(function: Callable[[float], float]) -> Callable[[Expression], Expression]:
    return lambda e: _lift(lambda x: (function(x[0]), function(x[1])), e)


exp, log, tanh = _increasing(math.exp), _increasing(math.log), _increasing(math.tanh)


def Max(left: Expression, right: Expression) -> Expression:
    return _lift(lambda x, y: (max(x[0], y[0]), max(x[1], y[1])), left, right)


def And(*formulas: Formula) -> Formula:
    assert formulas
    return Formula("and", *formulas)


def Or(*formulas: Formula) -> Formula:
    assert formulas
    return Formula("or", *formulas)


def widest(box: Box, active: Active, left: Box, right: Box) -> int:
    k = max(range(active.size()), key=lambda k: box[k].diam())
    for target, half in zip((left, right), box.bisect(k), strict=True):
        target.set(half)
    return k


def CheckSatisfiability(formula: Formula, config: Config) -> Box | None:
    assert config.precision > 0
    assert config.number_of_jobs == 1
    if os.environ.get("FAKE_DREAL") == "dying":
        os.abort()
    variables = sorted({v for e in formula.comparisons() for v in e.variables}, key=str)
    assert len({v.name for v in variables}) == len(variables), "two variables of one name"
    stack = [Box(variables, [_ends_of(v, formula) for v in variables])]
    for _ in range(STEPS):
        if not stack:
            return None
        box = stack.pop()
        if not formula.possible(dict(zip(map(str, box.variables), box.ranges, strict=True))):
            continue
        if all(high - low <= config.precision for low, high in box.ranges):
            return box
        left, right = Box([], []), Box([], [])
        if config.brancher(box, Active(len(variables)), left, right) < 0:
            return box
        stack += [right, left]
    sys.exit("the stand-in gives up")


def _ends_of(variable: Variable, formula: Formula) -> Range:
    """Return the ends of a variable that comparisons of it alone with constants give."""
    low, high = -math.inf, math.inf
    for e in formula.parts:
        if isinstance(e, Formula) and e.kind == "ge" and e.parts[0].variables == {variable}:
            at = [e.parts[0].range({variable.name: (x, x)})[0] for x in (0.0, 1.0, 2.0)]
            slopes = [round(b - a, 9) for a, b in pairwise(at)]
            if slopes == [1, 1]:
                low = max(low, -at[0])
            elif slopes == [-1, -1]:
                high = min(high, at[0])
    assert math.isfinite(low)
    assert math.isfinite(high)
    return low, high
