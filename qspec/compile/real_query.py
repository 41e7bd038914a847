"""From a property about reals to a real query: exact, but for fixed-point parts, which are relaxed where their codes are not given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.compile.fixed_part import Cell, FixedPart, fixed_leaves
from qspec.compile.real_box import narrowed, trimmed
from qspec.compile.visitor import Lowered, Ties, Visitor
from qspec.deadline import NEVER, Deadline
from qspec.errors import UnsupportedError
from qspec.ir.enclosure import Enclosure, bound
from qspec.ir.integer import Assignment
from qspec.ir.real import TRUE, All, Any, Query, Truth, conjunction, disjunction
from qspec.ir.real import Formula as Goal
from qspec.ir.real_builder import RealBuilder, placement
from qspec.language.expressions import Expression, Floor, NonZero, RationalArray
from qspec.language.property import Property, bind
from qspec.language.variables import Applied, Code, Output, RealApplication, RealOnly, RealOutput, RealVariable, SoftmaxOf, Variable
from qspec.lowering.real_layers import lower, softmax
from qspec.problem import Fidelity


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
    spec = bind(spec)
    leaves = fixed_leaves(spec, deadline)
    fixed = FixedPart(spec, leaves, within, deadline) if spec.variables or leaves else None
    compiler = _Compiler(spec, fixed, assignment, deadline)
    given = conjunction([compiler.facts, compiler.formula(spec.given)])
    goal = conjunction([given, compiler.formula(spec.then, negated=spec.kind == "forall")])
    program = compiler.builder.program
    fidelity = Fidelity.EXACT if fixed is None or assignment is not None else Fidelity.OVER
    return CompiledReal(narrowed(trimmed(Query(program, goal))), narrowed(trimmed(Query(program, given))), fidelity, fixed)


def value_range(spec: Property, value: Expression) -> Enclosure:
    """Return between what a scalar expression of a bound property lies, whatever its variables are; fixed-point parts are relaxed.

    Raises UnsupportedError where it cannot be bounded.
    """
    leaves = fixed_leaves(spec)
    compiler = _Compiler(spec, FixedPart(spec, leaves, None) if spec.variables or leaves else None, None)
    node = compiler.lower(value).node
    return bound(compiler.builder.program)[node][0]


class _Compiler(Visitor[Goal]):
    """Lowers expressions and formulas into one program of reals."""

    def __init__(self, spec: Property, fixed: FixedPart | None, assignment: Assignment | None, deadline: Deadline = NEVER) -> None:
        super().__init__()
        self._applied: dict[object, dict[str, int]] = {}
        self._keep.append(fixed)
        self.builder, self._leaves, self.facts = RealBuilder(deadline=deadline), dict[int, int](), TRUE
        if fixed is not None and assignment is None:
            self.builder, self._leaves, self.facts = fixed.relaxed()
        elif fixed is not None and assignment is not None:
            self._leaves = fixed.constants(self.builder, assignment)
        self._variables = {v.name: self.builder.input(v.name, v.lower, v.upper) for v in spec.reals}

    @property
    def nodes(self) -> RealBuilder:
        return self.builder

    def constant(self, values: RationalArray) -> Lowered:
        return Lowered(self.builder.constant(values))

    def leaf(self, e: Variable | Output | Code) -> Lowered:
        return Lowered(self._leaves[id(e)])

    def codes(self, variable: Variable) -> int:
        return self._leaves[id(variable)]

    def add(self, x: Lowered, y: Lowered) -> Lowered:
        return Lowered(self.builder.sum(x.node, y.node))

    def product(self, left: Expression, right: Expression) -> Lowered:
        return Lowered(self.builder.product(self.lower(left).node, self.lower(right).node))

    def join(self, parts: Sequence[Lowered]) -> Lowered:
        sizes = [self.builder.size(p.node) for p in parts]
        starts = np.cumsum([0, *sizes])
        places = [placement(np.arange(size) + start, int(starts[-1])) for size, start in zip(sizes, starts, strict=False)]
        return Lowered(self.builder.affine([(m, p.node) for m, p in zip(places, parts, strict=True)]))

    def whole(self, e: Floor | NonZero) -> Lowered:
        if isinstance(e, Floor):
            raise UnsupportedError("whole parts have no meaning on reals that solvers take", given="//, %", expected="codes, or bounds")
        raise UnsupportedError("counting what is not zero has no meaning on reals that solvers take", given="qs.l0", expected="qs.l1")

    def real(self, e: RealOnly) -> Lowered:
        match e:
            case RealVariable(name):
                return Lowered(self._variables[name])
            case RealOutput(application, stage):
                return Lowered(self._apply(application)[stage])
            case Applied(function, argument):
                return Lowered(self.builder.apply(function, self.lower(argument).node))
            case SoftmaxOf(argument):
                return Lowered(softmax(self.builder, self.lower(argument).node, argument.shape[-1]))
            case _:
                assert_never(e)

    def _apply(self, a: RealApplication) -> dict[str, int]:
        values = tuple(self.lower(x).node for x in a.arguments)
        free = tuple((key, self.lower(p).node) for key, p in a.parameters)
        key = (id(a.network), values, free)
        if key not in self._applied:
            self._keep.append(a)
            self._applied[key] = lower(self.builder, a.network, values, dict(free))
        return self._applied[key]

    def truth(self, value: bool) -> Goal:
        return Truth(value)

    def all(self, goals: Sequence[Goal]) -> Goal:
        return conjunction(goals)

    def any(self, goals: Sequence[Goal]) -> Goal:
        return disjunction(goals)

    def sign(self, node: int, *, every: bool, strict: bool = False) -> Goal:
        values = self.builder.known(node)
        if values is not None:
            true = values > 0 if strict else values >= 0
            return Truth(bool(np.all(true) if every else np.any(true)))
        return All(node, strict) if every else Any(node, strict)

    def apart(self, node: int, every: bool) -> Goal:
        if every and self.builder.size(node) > 1:
            return super().apart(node, every)
        below = self.builder.scale(node, -1)
        return disjunction([self.sign(node, every=False, strict=True), self.sign(below, every=False, strict=True)])

    def wins(self, node: int, k: int, ties: Ties) -> Goal:
        node = self.builder.ordered(node)  # what rises strictly, such as a softmax at the end, changes no order
        n = self.builder.size(node)
        before, after = np.arange(k), np.arange(k + 1, n)
        strict, loose = (before, after) if ties == "first" else (after, before)
        return conjunction([All(self._margins(node, k, others), strict=others is strict) for others in (strict, loose) if others.size])

    def _margins(self, node: int, k: int, others: IntArray) -> int:
        m = others.size
        columns = np.concatenate([np.full(m, k), others])
        return self.builder.combine(node, m, np.tile(np.arange(m), 2), columns, np.repeat([1, -1], m))
