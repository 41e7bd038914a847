"""From a property to a query: vectors of integers with a unit, in one program; exact, with nothing decided on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never, cast

import numpy as np

from qspec.arithmetic.formats import code_range
from qspec.arithmetic.integers import IntArray, common_unit, in_common_unit, integers
from qspec.arithmetic.rounding import Rounding
from qspec.bounds.interval import Interval, bound_node
from qspec.compile.visitor import Lowered, Ties, Visitor
from qspec.deadline import NEVER, Deadline
from qspec.errors import InternalError, SpecError, UnsupportedError
from qspec.ir import linear
from qspec.ir.integer import All, Any, Assignment, Query, Truth, conjunction, disjunction
from qspec.ir.integer import Formula as Goal
from qspec.ir.integer_builder import Builder
from qspec.ir.reference import evaluate
from qspec.language.connectives import Conjunction, Formula
from qspec.language.domains import extremes, free_of, lower_domain, part, shareable
from qspec.language.expressions import Constant, Expression, Floor, Gather, NonZero, RationalArray
from qspec.language.formulas import Same
from qspec.language.property import Property, bind
from qspec.language.traversal import is_real
from qspec.language.variables import Application, Code, Output, RealOnly, Variable
from qspec.lowering.layers import Taps, lower
from qspec.network.layers import Input

LARGEST_TABLE = 256
"""Most entries of a table that stands for a square."""


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """A property as queries: `query` asks for a violation (or a witness), `assumption` whether the assumption can be met at all."""

    query: Query
    assumption: Query
    variables: Mapping[str, int]
    """The node of the codes of each variable, in both programs."""

    def lift(self, assignment: Assignment) -> dict[str, IntArray]:
        """Return the codes of every variable for an assignment of the query's inputs."""
        values = evaluate(self.query.program, assignment)
        return {name: values[node] for name, node in self.variables.items()}


def compile_property(spec: Property, *, deadline: Deadline = NEVER) -> Compiled:
    """Return the queries of a property with its parameters given; raises SpecError on a missing or misshapen one.

    The deadline is looked at before each node; raises OutOfTime and OutOfMemory.
    """
    spec = bind(spec)
    if is_real(spec):
        raise UnsupportedError(
            "a property about reals is no query of integers",
            given=spec.name,
            expected="fixed-point networks",
            advice="qs.verify decides it",
        )
    compiler = Compiler(spec, deadline)
    given = compiler.formula(spec.given)
    then = compiler.formula(spec.then, negated=spec.kind == "forall")
    goal = conjunction([given, then])
    program = compiler.builder.program
    return Compiled(Query(program, goal), Query(program, given), dict(compiler.variables))


def free_integers(spec: Property, codes: Assignment) -> dict[str, IntArray]:
    """Return the inputs of the query of a bound property for flat codes of its variables; `Compiled.lift` takes them back.

    The codes must lie in the domains and meet the assumption, or some inputs stand for other codes.
    """
    merged = _equalities(spec.given, spec.variables)
    found: dict[str, IntArray] = {}
    for v in spec.variables:
        everywhere = np.arange(v.size)
        rest = np.setdiff1d(everywhere, merged[v.name][1]) if v.name in merged else everywhere
        if rest.size:
            found |= free_of(v.name, part(v.domain, rest), codes[v.name][rest])
    return found


class Compiler(Visitor[Goal]):
    """Lowers expressions and formulas into one program of integers."""

    def __init__(self, spec: Property, deadline: Deadline = NEVER) -> None:
        super().__init__()
        self.builder = Builder(deadline)
        self.variables: dict[str, int] = {}
        self._applied: dict[object, dict[str, Taps]] = {}
        self._bounds: list[Interval] = []
        self._declare(spec)

    def _declare(self, spec: Property) -> None:
        """Add every quantified variable; codes that the assumption equates are shared, not constrained."""
        merged = _equalities(spec.given, spec.variables)
        for v in spec.variables:
            if v.name in merged:
                other, positions = merged[v.name]
                self.variables[v.name] = self._share(v, other, positions)
            else:
                self.variables[v.name] = lower_domain(self.builder, v.name, v.domain)

    def _share(self, v: Variable, other: Variable, positions: IntArray) -> int:
        """Add a copy that reads these positions from another variable; only the rest gets free integers of its own."""
        source = self.builder.select(self.variables[other.name], positions)
        terms: list[tuple[linear.LinearMap, int]] = [(linear.placement(positions, v.size), source)]
        rest = np.setdiff1d(np.arange(v.size), positions)
        if rest.size:
            terms.append((linear.placement(rest, v.size), lower_domain(self.builder, v.name, part(v.domain, rest))))
        return self.builder.affine(terms)

    def bounds(self, node: int) -> Interval:
        """Return exact interval bounds of a node."""
        while len(self._bounds) <= node:
            self._bounds.append(bound_node(self.builder.program_node(len(self._bounds)), self._bounds))
        return self._bounds[node]

    @property
    def nodes(self) -> Builder:
        return self.builder

    def constant(self, values: RationalArray) -> Lowered:
        codes, unit = in_common_unit(values.flat)
        return Lowered(self.builder.constant(codes), unit)

    def leaf(self, e: Variable | Output | Code) -> Lowered:
        return Lowered(self._codes(e.argument)) if isinstance(e, Code) else self._values(e)

    def codes(self, variable: Variable) -> int:
        return self.variables[variable.name]

    def whole(self, e: Floor | NonZero) -> Lowered:
        b, x = self.builder, self.lower(e.argument)
        if isinstance(e, Floor):
            return Lowered(b.rescale(x.node, x.unit.numerator, x.unit.denominator, Rounding.TRN))
        positive = b.steps(x.node, 0, [1])
        not_negative = b.steps(x.node, 0, [0])
        ones = linear.identity(b.size(x.node))
        return Lowered(b.affine([(ones, positive), (linear.diagonal(np.full(ones.outputs, -1)), not_negative)], 1))

    def real(self, e: RealOnly) -> Lowered:
        raise InternalError("a real expression has no integers", given=type(e).__name__)

    def _codes(self, e: Variable | Output) -> int:
        if isinstance(e, Variable):
            if e.name not in self.variables:
                raise SpecError(
                    "a variable is not quantified",
                    given=e.name,
                    expected=", ".join(self.variables),
                    advice="list it in forall(…) or exists(…)",
                )
            return self.variables[e.name]
        return self._tap(e)

    def _tap(self, e: Output) -> int:
        taps = self._apply(e.application)[e.stage]
        node: int | None
        match e.tap:
            case "output":
                node = taps.output
            case "accumulator":
                node = taps.accumulator
            case "held":
                node = taps.held and taps.held()
            case "rounded":
                node = taps.rounded and taps.rounded()
            case _:
                assert_never(e.tap)
        if node is None:
            raise SpecError(
                f"layer {e.stage!r} has no {e.tap!r}", given=e.tap, expected="a layer that sums, declares an accumulator, or rounds"
            )
        return node

    def _values(self, e: Variable | Output) -> Lowered:
        node = self._codes(e)
        stage_type = e.type if isinstance(e, Variable) else e.application.network.stage(e.stage).type
        units, zeros = stage_type.grid.per_element(stage_type.shape)
        if isinstance(e, Output) and e.tap == "accumulator":
            units, zeros = self._apply(e.application)[e.stage].accumulator_units, np.zeros(stage_type.size, dtype=object)
        elif isinstance(e, Output) and e.tap == "held":
            raise SpecError("a held accumulator is compared by its code", given=e.stage, expected=".code")
        multiples, unit = in_common_unit(cast(np.ndarray, units))
        factors = integers(multiples)
        if np.all(factors == 1) and not np.any(zeros):
            return Lowered(node, unit)
        return Lowered(self.builder.scale(node, factors, -integers(factors.astype(object) * zeros)), unit)

    def _apply(self, application: Application) -> dict[str, Taps]:
        values = [self.lower(a) for a in application.arguments]
        codes_of = {key: self.lower(Code(p) if isinstance(p, Variable) else p) for key, p in application.parameters}
        if any(p.unit.denominator != 1 for p in codes_of.values()):
            raise SpecError("parameter codes must be whole", given=str(application.parameters), expected="integer expressions")
        free = {key: p.node if p.unit == 1 else self.builder.scale(p.node, int(p.unit)) for key, p in codes_of.items()}
        key = (id(application.network), tuple((x.node, x.unit) for x in values), tuple(sorted(free.items())))
        if key not in self._applied:
            codes = [self._as_input(x, application, k) for k, x in enumerate(values)]
            self._applied[key] = lower(self.builder, application.network, codes, free)
        return self._applied[key]

    def _as_input(self, x: Lowered, application: Application, which: int) -> int:
        """Return the node of the codes that an argument hands to a network; its values must be codes of the input, provably in range."""
        stage = application.network.inputs[which]
        layer = stage.layer
        assert isinstance(layer, Input)
        argument = application.arguments[which]
        plain = (
            argument.argument
            if isinstance(argument, Gather) and np.array_equal(argument.index.reshape(-1), np.arange(argument.argument.size))
            else argument
        )
        if isinstance(plain, Variable | Output) and _grid(plain) == stage.type.grid:
            node = self._codes(plain)
        else:
            units, zeros = stage.type.grid.per_element(stage.type.shape)
            ratios = [x.unit / u for u in units]
            if any(r.denominator != 1 for r in ratios):
                raise SpecError(
                    f"values for input {stage.name!r} are finer than its format",
                    given=f"unit {x.unit}",
                    expected=f"multiples of {max(units)}",
                )
            node = self.builder.scale(x.node, integers([int(r) for r in ratios]), integers(zeros))
        low, high = code_range(layer.format, layer.shape)
        least, greatest = self._extremes(node, plain)
        if np.any(least < low) or np.any(greatest > high):
            raise SpecError(
                f"values for input {stage.name!r} may leave its format",
                given=f"codes {least.min()}..{greatest.max()}",
                expected=f"{low.min()}..{high.max()}",
                advice="narrow the variables, or use qs.clip",
            )
        return node

    def _extremes(self, node: int, argument: Expression) -> tuple[IntArray, IntArray]:
        """Return the least and greatest codes of an argument: of a variable by its domain, which knows of groups, else by intervals."""
        if isinstance(argument, Variable):
            return extremes(argument.domain)
        known = self.bounds(node)
        return known.lower, known.upper

    def add(self, x: Lowered, y: Lowered) -> Lowered:
        unit = common_unit([x.unit, y.unit])
        n = self.builder.size(x.node)
        terms = [(linear.diagonal(np.full(n, int(z.unit / unit), dtype=object)), z.node) for z in (x, y)]
        return Lowered(self.builder.affine(terms), unit)

    def product(self, left: Expression, right: Expression) -> Lowered:
        if isinstance(right, Constant):
            left, right = right, left
        if isinstance(left, Constant):
            factors, unit = in_common_unit(left.values.flat)
            y = self.lower(right)
            return Lowered(self.builder.scale(y.node, integers(factors)), unit * y.unit)
        x, y = self.lower(left), self.lower(right)
        return Lowered(self._square(x.node) if x == y else self.builder.product(x.node, y.node), x.unit * y.unit)

    def _square(self, node: int) -> int:
        """Add the square of each element, as a table where that is small: bounds of a product do not know that its factors are equal."""
        known = self.bounds(node)
        first, entries = known.lower, int((known.upper - known.lower).max(initial=0)) + 1
        if entries > LARGEST_TABLE:
            return self.builder.product(node, node)
        codes = first.astype(object)[:, None] + np.arange(entries)
        return self.builder.table(node, first, integers(codes * codes))

    def join(self, parts: Sequence[Lowered]) -> Lowered:
        unit = common_unit(p.unit for p in parts)
        sizes = [self.builder.size(p.node) for p in parts]
        starts = np.cumsum([0, *sizes])
        terms: list[tuple[linear.LinearMap, int]] = []
        for p, size, start in zip(parts, sizes, starts, strict=False):
            factor = np.full(size, int(p.unit / unit), dtype=object)
            terms.append((linear.sparse(int(starts[-1]), size, np.arange(size) + start, np.arange(size), factor), p.node))
        return Lowered(self.builder.affine(terms), unit)

    def truth(self, value: bool) -> Goal:
        return Truth(value)

    def all(self, goals: Sequence[Goal]) -> Goal:
        return conjunction(goals)

    def any(self, goals: Sequence[Goal]) -> Goal:
        return disjunction(goals)

    def sign(self, node: int, *, every: bool, strict: bool = False) -> Goal:
        shifted = self.builder.scale(node, 1, -1) if strict else node
        return All(shifted) if every else Any(shifted)

    def wins(self, node: int, k: int, ties: Ties) -> Goal:
        n = self.builder.size(node)
        if n == 1:
            return Truth(True)
        others, rows = np.delete(np.arange(n), k), np.arange(n - 1)
        strict = others < k if ties == "first" else others > k
        columns, coefficients = np.concatenate([np.full(n - 1, k), others]), np.repeat([1, -1], n - 1)
        return All(self.builder.combine(node, n - 1, np.tile(rows, 2), columns, coefficients, -strict.astype(np.int64)))


def _grid(e: Variable | Output) -> object:
    if isinstance(e, Variable):
        return e.type.grid
    return e.application.network.stage(e.stage).type.grid if e.tap == "output" else None


def _equalities(given: Formula, variables: tuple[Variable, ...]) -> dict[str, tuple[Variable, IntArray]]:
    """Return, for each later variable that the assumption equates with an earlier one, that variable and the positions where they agree.

    Positions are shared only where both domains are the same box, so that nothing is lost by dropping the copy's own domain.
    """
    order = {v.name: k for k, v in enumerate(variables)}
    found: dict[str, tuple[Variable, IntArray]] = {}
    for conjunct in _conjuncts(given):
        if isinstance(conjunct, Same) and conjunct.left.name in order and conjunct.right.name in order:
            first, second = sorted((conjunct.left, conjunct.right), key=lambda v: order[v.name])
            positions = shareable(first.domain, second.domain, conjunct.positions)
            if second.name not in found and first.name not in found and first is not second and positions.size:
                found[second.name] = (first, positions)
    return found


def _conjuncts(formula: Formula) -> list[Formula]:
    return [g for c in formula.children for g in _conjuncts(c)] if isinstance(formula, Conjunction) else [formula]
