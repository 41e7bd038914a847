"""From a property about reals to a real query: exact, but for fixed-point parts, which are relaxed where their codes are not given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, assert_never, cast

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.compile.fixed_part import Cell, FixedPart, fixed_leaves
from qspec.compile.formula import split_concave
from qspec.compile.real_box import narrowed, trimmed
from qspec.deadline import NEVER, Deadline
from qspec.errors import SpecError, UnsupportedError
from qspec.ir.enclosure import Enclosure, bound
from qspec.ir.integer import Assignment
from qspec.ir.real import TRUE, All, And, Any, Entries, Query, RealMap, Truth, conjunction, disjunction
from qspec.ir.real import Formula as Goal
from qspec.ir.real_builder import RealBuilder, placement
from qspec.language import bind
from qspec.language.expressions import (
    Absolute,
    Code,
    Constant,
    Expression,
    Floor,
    Gather,
    Join,
    NonZero,
    Output,
    Parameter,
    Product,
    Reduce,
    Sum,
    Variable,
)
from qspec.language.formulas import (
    AnyFormula,
    ClassIn,
    Comparison,
    Conjunction,
    Constantly,
    Disjunction,
    Formula,
    Negation,
    Property,
    Quantified,
    Relation,
    Same,
    SameClass,
)
from qspec.language.real_expressions import Applied, EveryExpression, RealApplication, RealOnly, RealOutput, RealVariable, SoftmaxOf
from qspec.lowering.real_layers import lower, softmax
from qspec.problem import Fidelity

Ties = Literal["first", "last"]


@dataclass(frozen=True, slots=True, eq=False)
class CompiledReal:
    """A property as real queries: `query` asks for a violation (or a witness), `assumption` whether the assumption can be met at all."""

    query: Query
    assumption: Query
    fidelity: Fidelity
    fixed: FixedPart | None
    """The fixed-point variables and networks of the property, None if it has none."""


def compile_real(
    spec: Property,
    *,
    assignment: Assignment | None = None,
    within: Cell | None = None,
    deadline: Deadline = NEVER,
) -> CompiledReal:
    """Return the real queries of a property with its parameters given.

    With an `assignment` of the inputs of its fixed-point part this is constant, and the queries exact; else fixed-point parts are relaxed,
    so that the queries have more solutions, the fewer the smaller the part of their inputs that they are asked `within`. Raises SpecError
    on a malformed property, UnsupportedError on what no operation on reals says, OutOfTime at the deadline.
    """
    spec = bind.bind(spec)
    leaves = fixed_leaves(spec, deadline)
    fixed = FixedPart(spec, leaves, within, deadline) if spec.variables or leaves else None
    compiler = _Compiler(spec, fixed, assignment, deadline)
    given = conjunction([compiler.facts, compiler.formula(spec.given)])
    then = compiler.formula(spec.then)
    goal = conjunction([given, then if spec.kind == "exists" else compiler.builder.negate(then)])
    program = compiler.builder.program
    fidelity = Fidelity.EXACT if fixed is None or assignment is not None else Fidelity.OVER
    return CompiledReal(narrowed(trimmed(Query(program, goal))), narrowed(trimmed(Query(program, given))), fidelity, fixed)


def value_range(spec: Property, value: Expression) -> Enclosure:
    """Return between what a scalar expression of a bound property lies, whatever its variables are; fixed-point parts are relaxed.

    Raises UnsupportedError where it cannot be bounded.
    """
    leaves = fixed_leaves(spec)
    compiler = _Compiler(spec, FixedPart(spec, leaves, None) if spec.variables or leaves else None, None)
    node = compiler.lower(value)
    return bound(compiler.builder.program)[node][0]


class _Compiler:
    """Lowers expressions and formulas into one program; equal sub-expressions are lowered once."""

    def __init__(self, spec: Property, fixed: FixedPart | None, assignment: Assignment | None, deadline: Deadline = NEVER) -> None:
        self._memo: dict[int, int] = {}
        self._applied: dict[object, dict[str, int]] = {}
        self._keep: list[object] = [fixed]
        self.builder, self._leaves, self.facts = RealBuilder(deadline=deadline), dict[int, int](), TRUE
        if fixed is not None and assignment is None:
            self.builder, self._leaves, self.facts = fixed.relaxed()
        elif fixed is not None and assignment is not None:
            self._leaves = fixed.constants(self.builder, assignment)
        self._variables = {v.name: self.builder.input(v.name, v.lower, v.upper) for v in spec.reals}

    def lower(self, e: Expression) -> int:
        """Add the values of an expression to the program."""
        if id(e) not in self._memo:
            self._memo[id(e)] = self._lower(cast(EveryExpression, e))
            self._keep.append(e)
        return self._memo[id(e)]

    def _lower(self, e: EveryExpression) -> int:
        b = self.builder
        if isinstance(e, RealOnly):
            return self._lower_real(e)
        match e:
            case Constant(values):
                return b.constant(values)
            case Parameter(name):
                raise SpecError("a parameter has no value", given=name, expected=f"verify(spec, {name}=…), or --param {name}=…")
            case Variable() | Output() | Code():
                return self._leaves[id(e)]
            case Sum(left, right):
                return b.sum(self.lower(left), self.lower(right))
            case Product(left, right):
                return b.product(self.lower(left), self.lower(right))
            case Absolute(argument):
                return self._absolute(self.lower(argument))
            case Gather(argument, index):
                return b.select(self.lower(argument), index)
            case Join(parts):
                return self._join([self.lower(p) for p in parts])
            case Reduce(argument, kind):
                return self._reduce(self.lower(argument), kind, argument.shape[-1])
            case Floor():
                raise UnsupportedError("whole parts have no meaning on reals that solvers take", given="//, %", expected="codes, or bounds")
            case NonZero():
                raise UnsupportedError(
                    "counting what is not zero has no meaning on reals that solvers take", given="qs.l0", expected="qs.l1"
                )
            case _:
                assert_never(e)

    def _lower_real(self, e: RealOnly) -> int:
        match e:
            case RealVariable(name):
                return self._variables[name]
            case RealOutput(application, stage):
                return self._apply(application)[stage]
            case Applied(function, argument):
                return self.builder.apply(function, self.lower(argument))
            case SoftmaxOf(argument):
                return softmax(self.builder, self.lower(argument), argument.shape[-1])
            case _:
                assert_never(e)

    def _apply(self, a: RealApplication) -> dict[str, int]:
        values = tuple(self.lower(x) for x in a.arguments)
        free = tuple((key, self.lower(p)) for key, p in a.parameters)
        key = (id(a.network), values, free)
        if key not in self._applied:
            self._keep.append(a)
            self._applied[key] = lower(self.builder, a.network, values, dict(free))
        return self._applied[key]

    def _absolute(self, node: int) -> int:
        n = self.builder.size(node)
        both = self.builder.affine([(Entries(2 * n, n, np.arange(2 * n), np.tile(np.arange(n), 2), np.repeat([1.0, -1.0], n)), node)])
        return self.builder.maximum(both, np.stack([np.arange(n), np.arange(n) + n], axis=1))

    def _join(self, parts: Sequence[int]) -> int:
        starts = np.cumsum([0, *(self.builder.size(p) for p in parts)])
        terms: list[tuple[RealMap, int]] = []
        for p, start in zip(parts, starts, strict=False):
            terms.append((placement(np.arange(self.builder.size(p)) + start, int(starts[-1])), p))
        return self.builder.affine(terms)

    def _reduce(self, node: int, kind: Literal["sum", "max", "min"], length: int) -> int:
        b = self.builder
        size = b.size(node)
        groups = size // length
        if kind == "sum":
            return b.affine([(Entries(groups, size, np.repeat(np.arange(groups), length), np.arange(size), np.ones(size)), node)])
        index = np.arange(size).reshape(groups, length)
        return b.maximum(node, index) if kind == "max" else b.scale(b.maximum(b.scale(node, -1), index), -1)

    def formula(self, formula: Formula) -> Goal:
        """Add the nodes of a formula and return it over them."""
        f = cast(AnyFormula, formula)
        match f:
            case Constantly(value):
                return Truth(value)
            case Comparison(difference, relation):
                return self._compare(difference, relation, every=True)
            case Quantified(comparison, every):
                return self._compare(comparison.difference, comparison.relation, every)
            case Conjunction(children):
                return conjunction([self.formula(c) for c in children])
            case Disjunction(children):
                return disjunction([self.formula(c) for c in children])
            case Negation(child):
                return self.builder.negate(self.formula(child))
            case Same(left, right, positions):
                a, c = (self.builder.select(self._leaves[id(v)], positions) for v in (left, right))
                return conjunction([All(self.builder.difference(a, c)), All(self.builder.difference(c, a))])
            case ClassIn(scores, classes, ties):
                return disjunction([self._wins(scores, cast(int, c), ties) for c in classes])
            case SameClass(left, right, ties):
                both = [(self._wins(left, k, ties), self._wins(right, k, ties)) for k in range(left.size)]
                return disjunction([conjunction(pair) for pair in both])
            case _:
                assert_never(f)

    def _wins(self, scores: Expression, k: int, ties: Ties) -> Goal:
        """Return that score `k` beats all others; among equal ones the first (or last) index wins, which makes some comparisons strict.

        What is strictly increasing, such as a softmax at the end, is left out: it changes no order.
        """
        node = self.builder.ordered(self.lower(scores))
        n = self.builder.size(node)
        before, after = np.arange(k), np.arange(k + 1, n)
        strict, loose = (before, after) if ties == "first" else (after, before)
        return conjunction([All(self._margins(node, k, others), strict=others is strict) for others in (strict, loose) if others.size])

    def _margins(self, node: int, k: int, others: IntArray) -> int:
        m, rows = others.size, np.arange(others.size)
        columns = np.concatenate([np.full(m, k), others])
        return self.builder.affine([(Entries(m, self.builder.size(node), np.tile(rows, 2), columns, np.repeat([1.0, -1.0], m)), node)])

    def _compare(self, difference: Expression, relation: Relation, every: bool) -> Goal:
        b = self.builder
        match relation:
            case ">=" | ">":
                return self._at_least(difference, strict=relation == ">", every=every)
            case "==":
                node = self.lower(difference)
                if every or b.size(node) == 1:
                    return And((All(node), All(b.scale(node, -1))))
                return Any(b.scale(self._absolute(node), -1))
            case "!=":
                node = self.lower(difference)
                if not every or b.size(node) == 1:
                    return disjunction([Any(node, strict=True), Any(b.scale(node, -1), strict=True)])
                return All(self._absolute(node), strict=True)
            case _:
                assert_never(relation)

    def _at_least(self, e: Expression, *, strict: bool, every: bool) -> Goal:
        """Return `e >= 0` (or `> 0`); absolute values and maxima that only lower `e` are split into their branches."""
        if every:
            split = split_concave(e)
            if split is not None:
                return conjunction([self._at_least(part, strict=strict, every=True) for part in split])
        node = self.lower(e)
        values = self.builder.known(node)
        if values is not None:
            true = values > 0 if strict else values >= 0
            return Truth(bool(np.all(true) if every else np.any(true)))
        return All(node, strict) if every else Any(node, strict)
