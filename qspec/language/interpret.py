"""What a property says of concrete codes: exact rationals, one recursive function, independent of the compiler.

Networks are computed by `qspec.semantics`, which shares no code with the lowering that queries are made by. A counterexample counts only if
this and the compiled query agree on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar, assert_never, cast

import numpy as np

from qspec.arithmetic.integers import IntArray, integers
from qspec.language.connectives import Conjunction, Constantly, Disjunction, Formula, Negation
from qspec.language.domains import AtMost, OneHot, Piece, Range, VariableDomain
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
    Sum,
)
from qspec.language.formulas import AnyFormula, ClassIn, Quantified, Same, SameClass
from qspec.language.property import Property
from qspec.language.variables import AnyExpression, Code, Output, Variable
from qspec.network.graph import Graph
from qspec.semantics import fixed
from qspec.semantics.exact import Numbers, spread

Codes = Mapping[str, IntArray]


def witnesses(spec: Property, codes: Codes) -> bool:
    """Return whether these codes refute a bound `forall` property, or witness an `exists` property."""
    if not all(in_domain(v.domain, integers(codes[v.name]).reshape(-1)) for v in spec.variables):
        return False
    run = Interpreter(codes)
    return run.truth(spec.given) and run.truth(spec.then) is (spec.kind == "exists")


def in_domain(domain: VariableDomain, codes: IntArray) -> bool:
    """Return whether flat codes lie in a domain."""
    return codes.size == domain.size and all(_in_piece(p, codes) for p in domain.pieces)


def _in_piece(piece: Piece, codes: IntArray) -> bool:
    own = codes[piece.positions]
    match piece:
        case Range(_, start, stride, count):
            steps = own - start
            return bool(np.all((steps % stride == 0) & (steps >= 0) & (steps <= count * stride)))
        case OneHot(_, _, off, on):
            return bool(np.all((own == on) | (own == off))) and int(np.sum(own == on)) == 1
        case AtMost(_, _, count):
            return bool(np.all((own == 0) | (own == 1))) and int(own.sum()) <= count
        case _:
            assert_never(piece)


class Interpreter:
    """Evaluates expressions and formulas on concrete codes of the variables."""

    def __init__(self, codes: Codes) -> None:
        self._codes = codes
        self._applied: dict[int, dict[str, fixed.Taps]] = {}
        self._keep: list[object] = []

    def truth(self, formula: Formula) -> bool:
        """Return the truth of a formula."""
        f = cast(AnyFormula, formula)
        match f:
            case Constantly(value):
                return value
            case Comparison():
                return bool(np.all(self._compare(f)))
            case Quantified(comparison, every):
                truths = self._compare(comparison)
                return bool(np.all(truths) if every else np.any(truths))
            case Conjunction(children):
                return all(self.truth(c) for c in children)
            case Disjunction(children):
                return any(self.truth(c) for c in children)
            case Negation(child):
                return not self.truth(child)
            case Same(left, right, positions):
                a, b = (self._codes[v.name].reshape(-1)[positions] for v in (left, right))
                return bool(np.all(a == b))
            case ClassIn(scores, classes, ties):
                return self.argmax(scores, ties) in classes
            case SameClass(left, right, ties):
                return self.argmax(left, ties) == self.argmax(right, ties)
            case _:
                assert_never(f)

    def _compare(self, comparison: Comparison) -> IntArray:
        d = self.values(comparison.difference)
        match comparison.relation:
            case ">=":
                return d >= 0
            case ">":
                return d > 0
            case "==":
                return d == 0
            case "!=":
                return d != 0
            case _:
                assert_never(comparison.relation)

    def argmax(self, scores: Expression, ties: str) -> int:
        """Return the index of the greatest score; `ties` says which of equal ones ("first" or "last")."""
        values = self.values(scores).reshape(-1).tolist()
        greatest = max(values)
        best = [k for k, v in enumerate(values) if v == greatest]
        return best[0] if ties == "first" else best[-1]

    def values(self, expression: Expression) -> RationalArray:
        """Return the exact values of an expression, in its shape."""
        return np.asarray(self._values(cast(AnyExpression, expression)), dtype=object)

    def _values(self, e: AnyExpression) -> object:
        match e:
            case Constant(values):
                return values
            case Parameter(name):
                raise AssertionError(f"parameter {name} is not bound")
            case Variable():
                units, zeros = e.type.grid.per_element(e.shape)
                return (units * (self._own(e).astype(object) - zeros)).reshape(e.shape)
            case Output():
                return _rationals(self._signal(e))
            case Code(Variable() as own):
                return self._own(own).astype(object).reshape(e.shape)
            case Code(argument):
                assert isinstance(argument, Output)
                return self._codes_of(argument).astype(object)
            case Sum(left, right):
                return self.values(left) + self.values(right)
            case Product(left, right):
                return self.values(left) * self.values(right)
            case Absolute(argument) | NonZero(argument) | Floor(argument):
                return _elementwise(e, self.values(argument))
            case Gather(argument, index):
                return self.values(argument).reshape(-1)[index]
            case Join(parts):
                return np.concatenate([self.values(p).reshape(-1) for p in parts])
            case Reduce(argument, kind):
                reduce = {"sum": np.sum, "max": np.max, "min": np.min}[kind]
                return np.asarray(reduce(self.values(argument), axis=-1), dtype=object)
            case _:
                assert_never(e)

    def _own(self, variable: Variable) -> IntArray:
        return integers(self._codes[variable.name]).reshape(-1)

    def _signal(self, e: Output) -> Numbers:
        """Return the exact values of a signal of an applied network."""
        match e.tap:
            case "output":
                return self._taps(e).output.exact
            case "accumulator":
                return _observed(self._taps(e).accumulator, e)
            case "held":
                return _observed(self._taps(e).held, e).exact
            case "rounded":
                return _observed(self._taps(e).rounded, e).exact
            case _:
                assert_never(e.tap)

    def _codes_of(self, e: Output) -> IntArray:
        """Return the codes of a signal; those of an exact sum count its units."""
        match e.tap:
            case "output":
                return self._taps(e).output.codes
            case "accumulator":
                return _observed(self._taps(e).accumulator, e).whole
            case "held":
                return _observed(self._taps(e).held, e).codes
            case "rounded":
                return _observed(self._taps(e).rounded, e).codes
            case _:
                assert_never(e.tap)

    def _taps(self, e: Output) -> fixed.Taps:
        a = e.application
        if id(a) not in self._applied:
            self._keep.append(a)
            inputs = [self._input_codes(a.network, k, self.values(x)) for k, x in enumerate(a.arguments)]
            free = {key: integers(self.values(Code(p) if isinstance(p, Variable) else p)) for key, p in a.parameters}
            self._applied[id(a)] = fixed.evaluate(a.network, inputs, free)
        return self._applied[id(a)][e.stage]

    def _input_codes(self, network: Graph, which: int, values: RationalArray) -> IntArray:
        stage = network.inputs[which]
        units, zeros = stage.type.grid.per_element(stage.type.shape)
        return integers([v / u + z for v, u, z in zip(values.reshape(-1), units, zeros, strict=True)])


def _elementwise(e: Absolute | NonZero | Floor, values: RationalArray) -> RationalArray:
    match e:
        case Absolute():
            return np.abs(values)
        case NonZero():
            return np.where(values != 0, 1, 0).astype(object)
        case Floor():
            return np.asarray(values // 1, dtype=object)


Observed = TypeVar("Observed")


def _observed(tap: Observed | None, e: Output) -> Observed:
    assert tap is not None, f"the compiler has refused that layer {e.stage} has no {e.tap}"
    return tap


def _rationals(numbers: Numbers) -> RationalArray:
    """Return exact numbers as Fractions, in their shape."""
    units = np.array(spread(numbers.units, numbers.shape[-1]), dtype=object)
    return numbers.whole.astype(object) * units
