"""The greatest value of an expression over reals: between the value of a point that replays and what a proof excludes, down to a step.

Bisection over multiples of half a step, as `qspec.extremes.optimize` does on the grid of fixed point, so that one of them may
stay open: that the optimum is reached exactly there is nothing that enclosures can tell. The value of a point is enclosed in rationals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import floor
from time import perf_counter
from typing import NoReturn

from qspec.arithmetic.integers import rational
from qspec.compile.real_query import compile_real, value_range
from qspec.deadline import Deadline
from qspec.errors import SoundnessError, SpecError
from qspec.extremes.bisection import Bracket, questions, why_open
from qspec.extremes.optimum import Optimum, Step, empty, summed
from qspec.ir.real import exact
from qspec.language.expressions import Expression
from qspec.language.formulas import Constantly, Property
from qspec.language.real_interpret import RealInterpreter
from qspec.solver import Reason
from qspec.verify.reproducer import write_real_reproducer
from qspec.verify.result import Result, Verdict


@dataclass(slots=True)
class RealRun:
    """One maximisation of `value` under way; indices count units. The bracket is about "some point reaches this value"."""

    spec: Property
    value: Expression
    unit: Fraction
    ends: tuple[Fraction, Fraction]
    """Between these the value lies, if any point meets the assumption; they only come nearer."""
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
        for k, formula, seconds in self._questions():
            result = self.ask(replace(self.spec, then=formula), seconds)
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

    def _questions(self) -> Iterator[tuple[int | None, object, float | None]]:
        """Ask first whether any point meets the assumption; None stands for that question."""
        if not self.deadline.passed():
            yield None, Constantly(True), self.deadline.granted(4)
        for k, seconds in questions(self.bracket, self.deadline):
            yield k, ~(self.value.reshape() < k * self.unit), seconds

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
            self.ends = low, min(high, k * self.unit)

    def _reached(self, k: int | None, result: Result) -> None:
        """Note the value of a point: at least what was asked for, whose enclosure may begin a little below."""
        low, high = self.ends
        found: Fraction = RealInterpreter(result.codes or {}, result.point or {}).values(self.value).item().lower
        found = found if k is None else max(found, k * self.unit)
        if found > high:
            self._contradiction(result, found)
        if self.best.witness is None or found > low:
            self.ends = max(low, found), high
            self.best = replace(self.best, witness=result.witness)
            self.bracket.rise(min(floor(found / self.unit), self.bracket.upper - 1))

    def _contradiction(self, result: Result, found: Fraction) -> NoReturn:
        facts = {"solver": self.best.solver, "proved": f"no point reaches {self.ends[1]}", "found": str(found)}
        query = compile_real(replace(self.spec, then=~(self.value.reshape() < found))).query
        point = {name: exact(values.reshape(-1)) for name, values in (result.point or {}).items()}
        where = write_real_reproducer(query, self.spec, {}, facts, point)
        raise SoundnessError("a point lies beyond a proved bound", given=facts["found"], expected=facts["proved"], advice=f"report {where}")

    def _update(self, result: Result | None = None) -> None:
        """Bring the state in line with what is known, seen from the user's side."""
        low, high = self.ends if self.best.sense == "maximize" else (-self.ends[1], -self.ends[0])
        steps = self.best.steps
        if not steps or steps[-1][1:] != (low, high):
            steps = (*steps, Step(perf_counter() - self.began, low, high))
        times = self.best.times if result is None else summed(self.best.times, result.times)
        self.best = replace(self.best, lower=low, upper=high, steps=steps, times=times, asked=self.best.asked + (result is not None))


def step_of(given: object) -> Fraction:
    """Return the step of an optimum over reals; raises SpecError on one that is not positive."""
    step = rational(given)
    if step <= 0:
        raise SpecError("the step of an optimum over reals is not positive", given=given, expected="step > 0", advice='step="1/1000"')
    return step


def start(
    spec: Property, value: Expression, step: Fraction, ask: Callable[[Property, float | None], Result], deadline: Deadline, best: Optimum
) -> RealRun:
    """Return a maximisation of a bound property's expression, to a step that is positive."""
    ends, unit = value_range(spec, value), step / 2
    bracket = Bracket(floor(ends.lower / unit), floor(ends.upper / unit) + 1)
    return RealRun(spec, value, unit, (ends.lower, ends.upper), bracket, ask, deadline, replace(best, step=step))
