"""What a property about reals says at a point: enclosures in exact rationals, independent of the compiler.

Networks and functions are computed by `qspec.semantics`, which shares no code with the lowering and the evaluation of real queries.

A counterexample counts only if this does not contradict the compiled query.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import assert_never, cast

import numpy as np

from qspec.arithmetic.integers import IntArray, integers
from qspec.errors import UnsupportedError
from qspec.ir.real import Function, Point, fractions
from qspec.language.connectives import Conjunction, Constantly, Disjunction, Formula, Negation
from qspec.language.expressions import (
    Absolute,
    Comparison,
    Constant,
    Expression,
    Floor,
    Gather,
    Join,
    NonZero,
    Parameter,
    Product,
    RationalArray,
    Reduce,
    Relation,
    Sum,
)
from qspec.language.formulas import AnyFormula, ClassIn, Quantified, Same, SameClass
from qspec.language.interpret import Interpreter, in_domain
from qspec.language.property import Property
from qspec.language.variables import (
    Applied,
    Code,
    EveryExpression,
    Output,
    RealApplication,
    RealOnly,
    RealOutput,
    RealVariable,
    SoftmaxOf,
    Variable,
)
from qspec.semantics import reals, series
from qspec.semantics.series import Enclosure

BITS = (80, 200, 670)
"""Bits that are tried one after the other, until a question is decided."""
Truth = bool | None
"""None: the enclosures are too wide to tell."""


def witnesses(spec: Property, codes: Mapping[str, IntArray], point: Point) -> Truth:
    """Return whether these codes and reals refute a bound `forall` property, or witness an `exists` property; None if that stays open."""
    if not all(in_domain(v.domain, integers(codes[v.name]).reshape(-1)) for v in spec.variables):
        return False
    for v in spec.reals:
        low, x, high = fractions(v.lower), fractions(np.asarray(point[v.name])), fractions(v.upper)
        if x.shape != low.shape or not np.all((low <= x) & (x <= high)):
            return False
    for bits in BITS:
        run = RealInterpreter(codes, point, bits)
        then = run.truth(spec.then)
        found = _and([run.truth(spec.given), then if spec.kind == "exists" else _not(then)])
        if found is not None:
            return found
    return None


class RealInterpreter:
    """Evaluates expressions and formulas on codes of the fixed-point variables and values of the real ones."""

    def __init__(self, codes: Mapping[str, IntArray], point: Point, bits: int = BITS[0]) -> None:
        self._fixed = Interpreter(codes)
        self._point = point
        self._bits = bits
        self._applied: dict[int, dict[str, list[Enclosure]]] = {}
        self._keep: list[object] = []

    def truth(self, formula: Formula) -> Truth:
        """Return the truth of a formula, None if the enclosures leave it open."""
        f = cast(AnyFormula, formula)
        match f:
            case Constantly(value):
                return value
            case Comparison():
                return _and(self._compare(f))
            case Quantified(comparison, every):
                return _and(self._compare(comparison)) if every else _or(self._compare(comparison))
            case Conjunction(children):
                return _and([self.truth(c) for c in children])
            case Disjunction(children):
                return _or([self.truth(c) for c in children])
            case Negation(child):
                return _not(self.truth(child))
            case Same():
                return self._fixed.truth(f)
            case ClassIn(scores, classes, ties):
                return _or([self._wins(scores, cast(int, c), ties) for c in classes])
            case SameClass(left, right, ties):
                return _or([_and([self._wins(left, k, ties), self._wins(right, k, ties)]) for k in range(left.size)])
            case _:
                assert_never(f)

    def _compare(self, comparison: Comparison) -> list[Truth]:
        return [_holds(x, comparison.relation) for x in self.values(comparison.difference).reshape(-1).tolist()]

    def _wins(self, scores: Expression, k: int, ties: str) -> Truth:
        values: list[Enclosure] = self.values(scores).reshape(-1).tolist()
        strict = [j < k if ties == "first" else j > k for j in range(len(values))]
        return _and([_holds(_plus(values[k], _minus(v)), ">" if strict[j] else ">=") for j, v in enumerate(values) if j != k])

    def values(self, expression: Expression) -> RationalArray:
        """Return enclosures of the values of an expression, in its shape."""
        e = cast(EveryExpression, expression)
        flat = self._values(e)
        result = np.empty(len(flat), dtype=object)
        result[:] = flat
        return result.reshape(e.shape)

    def _values(self, e: EveryExpression) -> list[Enclosure]:
        if isinstance(e, RealOnly):
            return self._real_values(e)
        match e:
            case Constant(values):
                return [_point(v) for v in values.flat]
            case Parameter(name):
                raise AssertionError(f"parameter {name} is not bound")
            case Variable() | Output() | Code():
                return [_point(v) for v in self._fixed.values(e).flat]
            case Sum(left, right):
                return [_plus(x, y) for x, y in zip(self._flat(left), self._flat(right), strict=True)]
            case Product(left, right):
                return [_times(x, y) for x, y in zip(self._flat(left), self._flat(right), strict=True)]
            case Absolute(argument):
                return [_greatest([x, _minus(x)]) for x in self._flat(argument)]
            case Gather(argument, index):
                values = self._flat(argument)
                return [values[k] for k in index.reshape(-1).tolist()]
            case Join(parts):
                return [x for p in parts for x in self._flat(p)]
            case Reduce(argument, kind):
                return [_reduce(row.tolist(), kind) for row in self.values(argument).reshape(-1, argument.shape[-1])]
            case Floor(argument):
                return [Enclosure(Fraction(x.lower // 1), Fraction(x.upper // 1)) for x in self._flat(argument)]
            case NonZero():
                raise UnsupportedError(
                    "counting what is not zero has no meaning on reals that solvers take", given="qs.l0", expected="qs.l1"
                )
            case _:
                assert_never(e)

    def _real_values(self, e: RealOnly) -> list[Enclosure]:
        match e:
            case RealVariable(name):
                return [_point(v) for v in fractions(np.asarray(self._point[name])).flat]
            case RealOutput(application, stage):
                return self._apply(application)[stage]
            case Applied(function, argument):
                return [_apply(function, x, self._bits) for x in self._flat(argument)]
            case SoftmaxOf(argument):
                rows = self.values(argument).reshape(-1, argument.shape[-1]).tolist()
                return [x for row in rows for x in reals.softmax(row, self._bits)]
            case _:
                assert_never(e)

    def _flat(self, e: Expression) -> list[Enclosure]:
        return self.values(e).reshape(-1).tolist()

    def _apply(self, a: RealApplication) -> dict[str, list[Enclosure]]:
        if id(a) not in self._applied:
            self._keep.append(a)
            free = {key: self._flat(p) for key, p in a.parameters}
            signals = reals.evaluate(a.network, [self._flat(x) for x in a.arguments], free, self._bits)
            self._applied[id(a)] = {name: values.listed() for name, values in signals.items()}
        return self._applied[id(a)]


def _apply(function: Function, x: Enclosure, bits: int) -> Enclosure:
    match function:
        case Function.RELU:
            return _greatest([x, _point(0)])
        case Function.EXP:
            return reals.monotone(series.exp, x, bits)
        case Function.TANH:
            return reals.monotone(series.tanh, x, bits)
        case Function.SIGMOID:
            return reals.monotone(series.sigmoid, x, bits)
        case Function.SOFTPLUS:
            return reals.monotone(series.softplus, x, bits)
        case Function.RECIPROCAL:
            if x.lower <= 0:
                raise UnsupportedError("1 / x where x may not be positive", given=float(x.lower), expected="x > 0")
            return Enclosure(1 / x.upper, 1 / x.lower)
        case _:
            assert_never(function)


def _times(x: Enclosure, y: Enclosure) -> Enclosure:
    corners = [a * b for a in (x.lower, x.upper) for b in (y.lower, y.upper)]
    return Enclosure(min(corners), max(corners))


def _point(value: object) -> Enclosure:
    exact = Fraction(cast(int, value))
    return Enclosure(exact, exact)


def _plus(x: Enclosure, y: Enclosure) -> Enclosure:
    return Enclosure(x.lower + y.lower, x.upper + y.upper)


def _minus(x: Enclosure) -> Enclosure:
    return Enclosure(-x.upper, -x.lower)


def _greatest(values: list[Enclosure]) -> Enclosure:
    return Enclosure(max(v.lower for v in values), max(v.upper for v in values))


def _reduce(values: list[Enclosure], kind: str) -> Enclosure:
    if kind == "sum":
        return Enclosure(sum((v.lower for v in values), Fraction(0)), sum((v.upper for v in values), Fraction(0)))
    return _greatest(values) if kind == "max" else _minus(_greatest([_minus(v) for v in values]))


def _holds(x: Enclosure, relation: Relation) -> Truth:
    """Return whether `x relation 0`."""
    match relation:
        case ">=":
            return True if x.lower >= 0 else False if x.upper < 0 else None
        case ">":
            return True if x.lower > 0 else False if x.upper <= 0 else None
        case "==":
            return _and([_holds(x, ">="), _holds(_minus(x), ">=")])
        case "!=":
            return _not(_holds(x, "=="))
        case _:
            assert_never(relation)


def _not(truth: Truth) -> Truth:
    return None if truth is None else not truth


def _and(truths: list[Truth]) -> Truth:
    return False if False in truths else None if None in truths else True


def _or(truths: list[Truth]) -> Truth:
    return True if True in truths else None if None in truths else False
