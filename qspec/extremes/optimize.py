"""The greatest or least value of an expression, as an exact interval that closes: bisection, with a verdict at every step.

A point that replays raises the lower end to its exact value; a proof that no point reaches a value lowers the upper end. Of fixed point,
values lie on the grid of the compiled expression, so the interval closes in finitely many steps. Of reals, multiples of half a step are
asked about, so that one of them may stay open: that an optimum is reached exactly, enclosures cannot tell. What nobody can tell moves
neither end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import floor
from time import perf_counter
from typing import NoReturn, Unpack, cast

from qspec.arithmetic.integers import rational
from qspec.bounds.tighten import bound
from qspec.compile.query import Compiler
from qspec.deadline import Deadline
from qspec.errors import InternalError, SoundnessError, SpecError
from qspec.extremes.bisection import Bracket, questions, why_open
from qspec.extremes.optimum import BracketStep, Objective, Optimum, Sense, empty, summed
from qspec.ir.integer import FALSE, Query
from qspec.language.connectives import Constantly, Formula
from qspec.language.expressions import Comparison, Expression, Operand, expression
from qspec.language.interpret import Interpreter
from qspec.language.property import Property, bind, exists
from qspec.language.traversal import is_real
from qspec.passes import Pipeline
from qspec.solver import Reason
from qspec.verify.decide import default_solver, verify
from qspec.verify.options import Options, Settings
from qspec.verify.reproducer import write_reproducer
from qspec.verify.result import Result, Verdict

Ends = tuple[Fraction, Fraction]

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


def optimize(objective: Objective, *, step: object = STEP, **options: Unpack[Options]) -> Optimum:
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


def _start(objective: Objective, step: object, settings: Settings) -> _Maximization:
    if not isinstance(objective, Objective):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SpecError("not an objective", given=objective, expected="qs.maximize(…) or qs.minimize(…)")
    deadline = settings.limits.deadline()
    asked = objective.property()
    settings, spec = settings.resolved(default_solver(asked)), bind(asked)
    value = cast(Comparison, spec.then).difference
    value = value if objective.sense == "maximize" else -value
    best = Optimum(objective.sense, objective.name, Fraction(0), Fraction(0), solver=settings.name, parameters=dict(spec.values))
    if is_real(spec):
        best = replace(best, step=_step(step))
        settings = replace(settings, delta=min(settings.delta, float(best.step / 32)))
        unit, ends = best.step / 2, _enclosed(spec, value)
    else:
        unit, ends = _on_grid(spec, value)
    bracket = Bracket(floor(ends[0] / unit) - (not best.step), floor(ends[1] / unit) + 1)

    def ask(then: Formula, seconds: float | None) -> Result:
        return verify(replace(spec, then=then), **replace(settings, timeout=seconds).options())

    return _Maximization(spec, value, unit, ends, bracket, ask, deadline, best)


def _step(given: object) -> Fraction:
    """Return the step of an optimum over reals; raises SpecError on one that is not positive."""
    step = rational(given)
    if step <= 0:
        raise SpecError("the step of an optimum over reals is not positive", given=given, expected="step > 0", advice='step="1/1000"')
    return step


def _enclosed(spec: Property, value: Expression) -> Ends:
    """Return between what a value over reals lies, whatever its variables are."""
    from qspec.compile.real_query import value_range  # here, because `import qspec` is to be quick

    known = value_range(spec, value)
    return known.lower, known.upper


def _on_grid(spec: Property, value: Expression) -> tuple[Fraction, Ends]:
    """Return the unit of the values, and between what exact bounds leave them under the assumption."""
    compiler = Compiler(spec)
    given = compiler.formula(spec.given)
    lowered = compiler.lower(value)
    # The box keeps the positions of nodes, and narrows the inputs to what the assumption allows.
    (part,) = Pipeline().only("box").apply(Query(compiler.builder.program, given))
    if part.query.goal == FALSE:
        raise empty(spec)
    known = bound(part.query.program, [lowered.node])[lowered.node]
    return lowered.unit, (int(known.lower[0]) * lowered.unit, int(known.upper[0]) * lowered.unit)


@dataclass(slots=True)
class _Maximization:
    """One maximisation of `value` under way; indices count units. The bracket is about "some point reaches this value"."""

    spec: Property
    value: Expression
    unit: Fraction
    ends: Ends
    """Between these the value lies, if any point meets the assumption; they only come nearer."""
    bracket: Bracket
    ask: Callable[[Formula, float | None], Result]
    deadline: Deadline
    best: Optimum
    began: float = field(default_factory=perf_counter)

    def improve(self) -> Iterator[Optimum]:
        """Yield every improvement, and the last state with the reason if it is open."""
        self._update()
        yield self.best
        unknown: Result | None = None
        for k, formula, seconds in self._questions():
            result = self.ask(formula, seconds)
            before = (self.best.lower, self.best.upper, self.best.witness)
            if result.verdict is Verdict.UNKNOWN:
                unknown = result
            self._learn(k, result)
            self._update(result)
            if self.best.closed:
                break
            if (self.best.lower, self.best.upper, self.best.witness) != before:
                yield self.best
        if not self.best.closed:
            reason, detail = why_open(unknown, self.deadline)
            self.best = replace(self.best, reason=reason, detail=detail)
        yield self.best

    def _questions(self) -> Iterator[tuple[int | None, Formula, float | None]]:
        """Ask first whether any point meets the assumption, which every later answer builds on; None stands for that question."""
        if not self.deadline.passed():
            yield None, Constantly(True), self.deadline.granted(4)
        for k, seconds in questions(self.bracket, self.deadline):
            yield k, self._reaches(k * self.unit), seconds

    def _reaches(self, least: Fraction) -> Formula:
        """Return that a value is reached: not that it is missed, a form that the compiler splits into cases."""
        return ~(self.value.reshape() < least)

    def _learn(self, k: int | None, result: Result) -> None:
        low, high = self.ends
        if result.verdict is Verdict.UNKNOWN:
            if k is not None:
                self.bracket.skip(k, again=result.reason is Reason.TIMEOUT)
        elif result.witness is not None:
            self._reached(k, result)
        elif k is None or k * self.unit <= low:
            raise empty(self.spec)
        else:
            self.bracket.fall(k)
            self.ends = low, min(high, (k if self.best.step else k - 1) * self.unit)

    def _reached(self, k: int | None, result: Result) -> None:
        """Note the value of a point: at least what was asked for; of reals its enclosure may begin a little below."""
        low, high = self.ends
        found = self._value(result)
        if self.best.step:
            found = found if k is None else max(found, k * self.unit)
        elif (found / self.unit).denominator != 1 or (k is not None and found < k * self.unit):
            raise InternalError("a value is off its grid", given=found, expected=f"a multiple of {self.unit}")
        if found > high:
            self._contradiction(result, found)
        if self.best.witness is None or found > low:
            self.ends = max(low, found), high
            self.best = replace(self.best, witness=result.witness)
            self.bracket.rise(min(floor(found / self.unit), self.bracket.upper - 1))

    def _value(self, result: Result) -> Fraction:
        """Return the value at a point, of reals the lower end of its enclosure."""
        if self.best.step:
            from qspec.language.real_interpret import RealInterpreter  # here, because `import qspec` is to be quick

            return RealInterpreter(result.codes or {}, result.point or {}).values(self.value).item().lower
        return Interpreter(result.witness or {}).values(self.value).item()

    def _contradiction(self, result: Result, found: Fraction) -> NoReturn:
        facts = {"solver": self.best.solver, "proved": f"no point above {self.ends[1]}", "found": str(found)}
        asked = replace(self.spec, then=self._reaches(found))
        where = write_reproducer(asked, facts, {**(result.codes or {}), **(result.point or {})})
        raise SoundnessError("a point lies beyond a proved bound", given=facts["found"], expected=facts["proved"], advice=f"report {where}")

    def _update(self, result: Result | None = None) -> None:
        """Bring the state in line with what is known, seen from the user's side."""
        low, high = self.ends if self.best.sense == "maximize" else (-self.ends[1], -self.ends[0])
        steps = self.best.steps
        if not steps or steps[-1][1:] != (low, high):
            steps = (*steps, BracketStep(perf_counter() - self.began, low, high))
        times = self.best.times if result is None else summed(self.best.times, result.times)
        self.best = replace(self.best, lower=low, upper=high, steps=steps, times=times, asked=self.best.asked + (result is not None))
