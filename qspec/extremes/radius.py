"""The largest value of a parameter for which a property holds: exponential, then binary search, with a verdict at every step.

The search assumes that a property which holds for one value holds for every smaller one, as robustness within a radius does. What it sees
is checked against that: a counterexample is replayed at larger values, and where it is none any more, the verdict there is asked for too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Unpack

from qspec.arithmetic.integers import IntArray, rational
from qspec.arithmetic.text import exact
from qspec.bounds.interval import bound, decide
from qspec.compile.query import compile_property
from qspec.deadline import Deadline
from qspec.errors import SpecError, UnsupportedError
from qspec.extremes.bisection import Bracket, questions, why_open
from qspec.language import interpret
from qspec.language.expressions import Parameter
from qspec.language.property import Property, bind
from qspec.language.traversal import is_real, occurrences
from qspec.solver import Reason
from qspec.support import checks
from qspec.support.plain import document
from qspec.verify.decide import verify
from qspec.verify.options import DEFAULT_SOLVER, Options, Settings
from qspec.verify.result import Result, Verdict

DOUBLINGS = 64
"""How often the value is doubled before the search asks for an end."""


@dataclass(frozen=True, slots=True, eq=False)
class Radius:
    """For which values of a parameter a property holds: all up to `holds`, none from `violated` on; between them nobody could tell.

    `holds` is None if it is not known to hold for any value asked about, `violated` if it is not known to fail for any. `everywhere` says
    that it holds for all values up to `high`, or for all there are where none was given: at `holds` the assumption leaves nothing out.
    `counterexample` are the codes of a violation at `violated`. `reason` says why the search left a gap.
    """

    parameter: str
    name: str
    holds: Fraction | None
    violated: Fraction | None
    counterexample: Mapping[str, IntArray] | None
    everywhere: bool
    closed: bool
    reason: Reason | None
    detail: str
    solver: str
    verdicts: tuple[tuple[Fraction, Result], ...] = field(repr=False)
    """Each value asked about with its verdict, in the order of asking."""

    @property
    def vacuous(self) -> bool:
        """Whether what holds at `holds` does so because nothing meets the assumption."""
        return any(value == self.holds and r.verdict is Verdict.HOLDS and r.vacuous is True for value, r in self.verdicts)

    @property
    def verdict(self) -> Verdict:
        """VIOLATED if it holds for no value at all, HOLDS if the end is known, else UNKNOWN."""
        return Verdict.UNKNOWN if not self.closed else Verdict.VIOLATED if self.holds is None else Verdict.HOLDS

    def to_dict(self) -> dict[str, object]:
        """Return everything as JSON values, schema `qspec.radius/1`; exact numbers stay exact."""
        return document(self, "qspec.radius/1")

    def __str__(self) -> str:
        empty = "vacuously: nothing meets the assumption; " if self.vacuous else ""
        until = f"holds up to {self.parameter} = {exact(self.holds)}" if self.holds is not None else "not known to hold"
        end = f", violated from {exact(self.violated)}" if self.violated is not None else ", violated nowhere" if self.everywhere else ""
        why = f", open ({self.reason.value})" if self.reason else ""
        seconds = sum(r.times.total for _, r in self.verdicts)
        return f"{empty}{self.name} {until}{end}{why}, {self.solver}, {len(self.verdicts)} verdicts, {seconds:.2f} s"


def largest_radius(
    spec: Property,
    *,
    parameter: str = "radius",
    low: object = 0,
    high: object = None,
    step: object = 1,
    **options: Unpack[Options],
) -> Radius:
    """Find the largest of `low`, `low + step`, … up to `high` for which a `forall` property holds, within `timeout` seconds for everything.

    The other parameters have their values (`spec.at(…)`); `options` are those of `verify`.

    Without `high` the search ends where the assumption leaves nothing out. Assumes that a property which holds for one value holds for
    every smaller one; raises SpecError where a verdict contradicts that, if the parameter is not one number, or if no end is found.
    """
    settings = Settings.of(options).resolved(DEFAULT_SOLVER)
    deadline = settings.limits.deadline()
    first, width = rational(low), rational(step)
    last = None if high is None else rational(high)
    checks.text(parameter, "the name of the parameter")
    _check(spec, parameter, first, last, width)

    def ask(at: Property, seconds: float | None) -> Result:
        return verify(at, **replace(settings, timeout=seconds).options())

    limit = _limit(spec, parameter, first, width)
    top = None if last is None else (last - first) // width if limit is None else min(limit, (last - first) // width)
    run = _RadiusSearch(spec, parameter, first, width, ask, deadline, limit, top)
    run.search()
    return run.result(settings.name)


def _check(spec: Property, parameter: str, low: Fraction, high: Fraction | None, step: Fraction) -> None:
    if not isinstance(spec, Property) or spec.kind != "forall":  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SpecError("not a property that a growing parameter could violate", given=spec, expected="qs.forall(…)")
    if is_real(spec):
        advice = "qs.largest_value(lambda v: spec.at(name=v), high=…, step=…)"
        raise UnsupportedError(
            "a radius is searched for in steps of codes", given=spec.name, expected="fixed-point networks", advice=advice
        )
    if parameter in spec.values:
        raise SpecError("the parameter that is searched for has a value", given=parameter, expected="low=…, high=…, step=…")
    names = spec.parameters
    if names.get(parameter) != ():
        scalars = [n for n, shape in names.items() if shape == ()]
        raise SpecError("no such parameter of one number", given=parameter, expected=", ".join(scalars) or "a property with a parameter")
    if step <= 0 or (high is not None and high < low):
        raise SpecError("nothing to search", given=f"from {low} to {high} by {step}", expected="low <= high and step > 0")


def _limit(spec: Property, parameter: str, first: Fraction, step: Fraction) -> int | None:
    """Return how many steps lead to the greatest value that the property accepts of its parameter; None if it accepts all."""
    most = [r.most for r in spec.requires if isinstance(r.value, Parameter) and r.value.name == parameter and r.most is not None]
    return max(0, int((min(most) - first) // step)) if most else None


@dataclass(slots=True)
class _RadiusSearch:
    """One search under way; index k stands for the value `first + k * width`. The bracket is about "it holds"."""

    spec: Property
    parameter: str
    first: Fraction
    width: Fraction
    ask: Callable[[Property, float | None], Result]
    deadline: Deadline
    limit: int | None
    """The index of the greatest value that the property accepts, None if it accepts all."""
    top: int | None
    """The last index there is, or from which on nothing changes, as soon as that is known."""
    bracket: Bracket = field(default_factory=lambda: Bracket(-1, 1 << (DOUBLINGS + 1)))
    verdicts: list[tuple[int, Result]] = field(default_factory=list[tuple[int, Result]])
    counterexample: tuple[int, Mapping[str, IntArray]] | None = None
    unknown: Result | None = None

    def search(self) -> None:
        for k, seconds in self._doubling():
            self._try(k, seconds)
        if self.top is not None:
            self.bracket.fall(self.top + 1)
        for k, seconds in questions(self.bracket, self.deadline):
            self._try(k, seconds)
        self._check_above()

    def _doubling(self) -> Iterator[tuple[int, float | None]]:
        """Yield 0, 1, 2, 4, … until a counterexample is found or nothing changes any more."""
        for k in (0, *(1 << n for n in range(DOUBLINGS))):
            if self.counterexample is not None or self.deadline.passed():
                return
            if self.limit is not None and k >= self.limit:
                self.top = self.limit if self.top is None else min(self.top, self.limit)
            if self.top is None and self._is_everything(k):
                self.top = k
            yield (k if self.top is None else min(k, self.top)), self.deadline.granted(8)
            if self.top is not None and k >= self.top:
                return
        self.top = 1 << (DOUBLINGS - 1)
        if self.bracket.lower == self.top:
            raise SpecError("no end in sight", given=f"it holds at {self.parameter} = {self._value(self.top)}", expected="high=…")

    def _is_everything(self, k: int) -> bool:
        """Return whether the assumption provably leaves nothing out, and the parameter is nowhere else: larger values mean nothing new."""
        if any(p.name == self.parameter for p in occurrences(self.spec.then, Parameter)):
            return False
        assumption = compile_property(self._at(k)).assumption
        return decide(assumption.goal, bound(assumption.program)) is True

    def _try(self, k: int, seconds: float | None) -> None:
        result = self._verdict(k, seconds)
        match result.verdict:
            case Verdict.HOLDS:
                self.bracket.rise(k)
            case Verdict.UNKNOWN:
                self.unknown = result
                self.bracket.skip(k, again=result.reason is Reason.TIMEOUT)
            case Verdict.VIOLATED:
                assert result.codes is not None
                least = self._least(k, result.codes)
                self.counterexample = least, result.codes
                self.bracket.fall(least)

    def _verdict(self, k: int, seconds: float | None) -> Result:
        """Ask, and refuse to go on if this verdict and another contradict what the search assumes."""
        result = self.ask(self._at(k), seconds)
        self.verdicts.append((k, result))
        known = [(j, r.verdict) for j, r in self.verdicts]
        holds = max((j for j, v in known if v is Verdict.HOLDS), default=-1)
        violated = min((j for j, v in known if v is Verdict.VIOLATED), default=holds + 1)
        if violated < holds:
            self._refuse(violated, holds)
        return result

    def _least(self, k: int, codes: Mapping[str, IntArray]) -> int:
        """Return the least index above the bracket's lower end at which these codes refute the property, by bisection."""
        reach = Bracket(self.bracket.lower, k)
        while (middle := reach.next()) is not None:
            if self._refutes(middle, codes):
                reach.fall(middle)
            else:
                reach.rise(middle)
        return reach.upper

    def _refutes(self, k: int, codes: Mapping[str, IntArray]) -> bool:
        return interpret.witnesses(bind(self._at(k)), codes)

    def _check_above(self) -> None:
        """Replay the counterexample at the next and at the last value; where it is none, ask whether the property holds again."""
        if self.counterexample is None:
            return
        k, codes = self.counterexample
        end = self.limit if self.top is None else self.top
        above = {k + 1, 2 * k if end is None else end}
        for j in sorted(j for j in above if j > k and (end is None or j <= end)):
            if not self._refutes(j, codes) and not self.deadline.passed():
                result = self._verdict(j, self.deadline.granted(2))
                if result.verdict is Verdict.HOLDS:
                    self._refuse(k, j)

    def _refuse(self, violated: int, holds: int) -> None:
        raise SpecError(
            f"the property is not monotone in {self.parameter!r}",
            given=f"violated at {self._value(violated)}, holds at {self._value(holds)}",
            expected="a property that holds for every smaller value too",
            advice="verify the values one by one",
        )

    def _value(self, k: int) -> Fraction:
        return self.first + k * self.width

    def _at(self, k: int) -> Property:
        return self.spec.at(**{self.parameter: self._value(k)})

    def result(self, solver: str) -> Radius:
        """Return what is known now."""
        lower, found = self.bracket.lower, self.counterexample
        reason, detail = (None, "") if self.bracket.closed else why_open(self.unknown, self.deadline)
        return Radius(
            self.parameter,
            self.spec.name,
            None if lower < 0 else self._value(lower),
            None if found is None else self._value(found[0]),
            None if found is None else found[1],
            self.top is not None and lower == self.top,
            self.bracket.closed,
            reason,
            detail,
            solver,
            tuple((self._value(k), r) for k, r in self.verdicts),
        )
