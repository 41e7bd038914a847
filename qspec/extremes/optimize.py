"""The greatest or least value of an expression, as an exact interval that closes: bisection, with a verdict at every step.

A point that replays raises the lower end to its exact value; a proof that no point reaches a value lowers the upper end. Values lie on the
grid of the compiled expression, so the interval closes in finitely many steps. What nobody can tell moves neither end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from time import perf_counter
from typing import TYPE_CHECKING, NoReturn, Unpack, cast

from qspec.bounds.tighten import bound
from qspec.compile.compiler import Compiler
from qspec.compile.formula import lower_formula
from qspec.compile.query import compile_property
from qspec.deadline import Deadline
from qspec.errors import InternalError, SoundnessError, SpecError
from qspec.extremes.bisection import Bracket, questions, why_open
from qspec.extremes.optimum import Objective, Optimum, Sense, Step, empty, summed
from qspec.ir.integer import FALSE, Query
from qspec.language.bind import bind
from qspec.language.expressions import Expression, Operand, expression
from qspec.language.formulas import Comparison, Formula, Property, exists
from qspec.language.interpret import Interpreter
from qspec.language.traversal import is_real
from qspec.passes import Pipeline
from qspec.solver import Reason
from qspec.verify.decide import default_solver, verify
from qspec.verify.options import Options, Settings
from qspec.verify.reproducer import write_reproducer
from qspec.verify.result import Result, Verdict

if TYPE_CHECKING:
    from qspec.extremes.real_optimize import RealRun

STEP = Fraction(1, 1000)
"""Of optima over reals."""


def maximize(value: Operand, *variables: object, given: Formula | None = None, name: str = "objective") -> Objective:
    """Ask for the greatest value of a scalar expression over all values of the variables for which `given` is true.

    Nothing is solved before `optimize`. Raises SpecError on an array (say `qs.max`, `qs.sum`, `qs.linf`) or if nothing is quantified.
    """
    return _objective("maximize", value, variables, given, name)


def minimize(value: Operand, *variables: object, given: Formula | None = None, name: str = "objective") -> Objective:
    """Ask for the least value of a scalar expression; see `maximize`."""
    return _objective("minimize", value, variables, given, name)


def _objective(sense: Sense, value: Operand, variables: tuple[object, ...], given: Formula | None, name: str) -> Objective:
    e = expression(value)
    if e.size != 1:
        raise SpecError("an objective is one number", given=f"shape {e.shape}", expected="one element", advice="qs.max, qs.sum or qs.linf")
    checked = exists(*variables, given=given, then=Comparison(e, ">="), name=name)
    return Objective(sense, e, checked.variables, checked.given, name, checked.reals)


def optimize(
    objective: Objective,
    *,
    step: object = STEP,
    **options: Unpack[Options],
) -> Optimum:
    """Close the interval around an optimum as far as `timeout` seconds for everything allow; `options` are those of `verify`.

    Over reals an interval that is not wider than `step` counts as closed.
    Raises SpecError if no point meets the assumption or the objective is malformed, SoundnessError if a replayed point lies above a proved
    bound, and what `verify` raises. Limits and solvers that give up leave the interval open.
    """
    run = _start(objective, step, Settings.of(options))
    return list(run.improve())[-1]


def optimizing(
    objective: Objective,
    *,
    step: object = STEP,
    **options: Unpack[Options],
) -> Iterator[Optimum]:
    """Yield the interval when it is first known, each time it improves, and at the end; each one is true, so stop when it is enough."""
    return _start(objective, step, Settings.of(options)).improve()


def _start(
    objective: Objective,
    step: object,
    settings: Settings,
) -> _Run | RealRun:
    if not isinstance(objective, Objective):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SpecError("not an objective", given=objective, expected="qs.maximize(…) or qs.minimize(…)")
    deadline = settings.limits.deadline()
    spec = objective.property()
    settings = settings.resolved(default_solver(spec))
    bound_spec = bind(spec)

    def ask(asked: Property, timeout: float | None) -> Result:
        return verify(asked, **replace(settings, timeout=timeout).options())

    value = cast(Comparison, bound_spec.then).difference
    value = value if objective.sense == "maximize" else -value
    best = Optimum(objective.sense, objective.name, Fraction(0), Fraction(0), solver=settings.name, parameters=dict(spec.values))
    if is_real(bound_spec):
        from qspec.extremes.real_optimize import start, step_of  # here, because `import qspec` is to be quick

        unit = step_of(step)
        settings = replace(settings, delta=min(settings.delta, float(unit / 16)))
        return start(bound_spec, value, unit, ask, deadline, best)
    unit, lower, upper = _grid(bound_spec, value)
    return _Run(bound_spec, value, unit, lower, Bracket(lower - 1, upper + 1), ask, deadline, best)


def _grid(spec: Property, value: Expression) -> tuple[Fraction, int, int]:
    """Return the unit of the values, and the least and the greatest multiple of it that exact bounds leave under the assumption."""
    compiler = Compiler(spec)
    given = lower_formula(compiler, spec.given)
    lowered = compiler.lower(value)
    # The box keeps the positions of nodes, and narrows the inputs to what the assumption allows.
    (part,) = Pipeline().only("box").apply(Query(compiler.builder.program, given))
    if part.query.goal == FALSE:
        raise empty(spec)
    known = bound(part.query.program, [lowered.node])[lowered.node]
    return lowered.unit, int(known.lower[0]), int(known.upper[0])


@dataclass(slots=True)
class _Run:
    """One maximisation under way; indices count units. The bracket is about "some point reaches this value"."""

    spec: Property
    value: Expression
    unit: Fraction
    least: int
    bracket: Bracket
    ask: Callable[[Property, float | None], Result]
    deadline: Deadline
    best: Optimum
    began: float = field(default_factory=perf_counter)

    def improve(self) -> Iterator[Optimum]:
        """Yield every improvement, and the last state with the reason if it is open."""
        self._update()
        yield self.best
        unknown: Result | None = None
        for k, seconds in self._questions():
            result = self.ask(self._reaches(k), seconds)
            before = (self.best.lower, self.best.upper, self.best.witness)
            if result.verdict is Verdict.UNKNOWN:
                unknown = result
            self._learn(k, result)
            self._update(result)
            if (self.best.lower, self.best.upper, self.best.witness) != before and not self.best.closed:
                yield self.best
        if not self.best.closed:
            reason, detail = why_open(unknown, self.deadline)
            self.best = replace(self.best, reason=reason, detail=detail)
        yield self.best

    def _questions(self) -> Iterator[tuple[int, float | None]]:
        """Ask first whether any point meets the assumption, which every later answer builds on."""
        if not self.deadline.passed():
            yield self.least, self.deadline.granted(4)
        yield from questions(self.bracket, self.deadline)

    def _reaches(self, k: int) -> Property:
        """Return that some point has at least the value `k`: not at most the one below, a form that the compiler splits into cases."""
        return replace(self.spec, then=~(self.value.reshape() <= (k - 1) * self.unit))

    def _learn(self, k: int, result: Result) -> None:
        if result.verdict is Verdict.UNKNOWN:
            self.bracket.skip(k, again=result.reason is Reason.TIMEOUT)
        elif result.witness is None:
            self.bracket.fall(k)
            if self.bracket.upper <= self.least:
                raise empty(self.spec)
        else:
            found = Interpreter(result.witness).values(self.value).item() / self.unit
            if found.denominator != 1 or found < k:
                raise InternalError("a value is off its grid", given=found * self.unit, expected=f"a multiple of {self.unit}")
            if found >= self.bracket.upper:
                self._contradiction(result, int(found))
            self.bracket.rise(int(found))
            self.best = replace(self.best, witness=result.witness)

    def _contradiction(self, result: Result, found: int) -> NoReturn:
        proved = f"no point above {(self.bracket.upper - 1) * self.unit}"
        facts = {"solver": self.best.solver, "proved": proved, "found": str(found * self.unit)}
        where = write_reproducer(compile_property(self._reaches(found)).query, self.spec, {}, facts, result.witness or {})
        raise SoundnessError("a point lies beyond a proved bound", given=facts["found"], expected=proved, advice=f"report {where}")

    def _update(self, result: Result | None = None) -> None:
        """Bring the state in line with the bracket, seen from the user's side."""
        low, high = max(self.bracket.lower, self.least) * self.unit, (self.bracket.upper - 1) * self.unit
        low, high = (low, high) if self.best.sense == "maximize" else (-high, -low)
        steps = self.best.steps
        if not steps or steps[-1][1:] != (low, high):
            steps = (*steps, Step(perf_counter() - self.began, low, high))
        times = self.best.times if result is None else summed(self.best.times, result.times)
        self.best = replace(self.best, lower=low, upper=high, steps=steps, times=times, asked=self.best.asked + (result is not None))
