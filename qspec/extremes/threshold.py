"""The least (or largest) value for which a property holds, by bisection over verdicts: tolerances, perturbations, widths of boxes.

Unlike `largest_radius`, the value need not be a parameter: any function from a value to a property will do, of integers or of reals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Unpack

from qspec.arithmetic.integers import IntArray, rational
from qspec.arithmetic.text import exact
from qspec.errors import SpecError
from qspec.extremes.bisection import Bracket, questions, why_open
from qspec.language.property import Property
from qspec.solver import Reason
from qspec.support import checks
from qspec.support.plain import document
from qspec.verify.decide import verify
from qspec.verify.options import Options, Settings
from qspec.verify.result import Result, Verdict


@dataclass(frozen=True, slots=True, eq=False)
class Threshold:
    """Two neighbouring values: the property `holds` for one and is `violated` for the other; None where no verdict says so.

    `closed` says that nothing is left to ask between them; else `reason` says why.
    """

    name: str
    holds: Fraction | None
    violated: Fraction | None
    counterexample: Mapping[str, IntArray] | None
    closed: bool
    reason: Reason | None
    detail: str
    verdicts: tuple[tuple[Fraction, Result], ...] = field(repr=False)
    """Each value asked about with its verdict, in the order of asking."""

    @property
    def verdict(self) -> Verdict:
        """VIOLATED if it holds for no value at all, HOLDS if the end is known, else UNKNOWN."""
        return Verdict.UNKNOWN if not self.closed else Verdict.VIOLATED if self.holds is None else Verdict.HOLDS

    def to_dict(self) -> dict[str, object]:
        """Return everything as JSON values, schema `qspec.threshold/1`; exact numbers stay exact."""
        return document(self, "qspec.threshold/1")

    def __str__(self) -> str:
        good = f"holds at {exact(self.holds)}" if self.holds is not None else "not known to hold"
        bad = f"violated at {exact(self.violated)}" if self.violated is not None else "not known to be violated"
        why = f", open ({self.reason.value})" if self.reason else ""
        return f"{self.name}: {good}, {bad}{why}, {len(self.verdicts)} verdicts"


def least_value(
    make: Callable[[Fraction], Property],
    *,
    high: object,
    step: object,
    low: object = 0,
    **options: Unpack[Options],
) -> Threshold:
    """Find the least of `low`, `low + step`, … `high` for which `make(value)` holds, within `timeout` seconds for everything.

    Assumes that what holds for one value holds for every larger one, as it does for tolerances. Raises SpecError on an empty range.
    """
    return _search(make, low, high, step, True, Settings.of(options))


def largest_value(
    make: Callable[[Fraction], Property],
    *,
    high: object,
    step: object,
    low: object = 0,
    **options: Unpack[Options],
) -> Threshold:
    """Find the largest of `low`, `low + step`, … `high` for which `make(value)` holds, within `timeout` seconds for everything.

    Assumes that what holds for one value holds for every smaller one, as it does for perturbations. Raises SpecError on an empty range.
    """
    return _search(make, low, high, step, False, Settings.of(options))


def _search(
    make: Callable[[Fraction], Property],
    low: object,
    high: object,
    step: object,
    least: bool,
    settings: Settings,
) -> Threshold:
    """Bisect over k, which stands for `first + k * width`; the bracket is about "it holds" for the smaller numbers."""
    checks.function(make, "`make`", "a function from a value to a property")
    first, last, width = rational(low), rational(high), rational(step)
    if width <= 0 or last < first:
        raise SpecError("nothing to search", given=f"from {first} to {last} by {width}", expected="low <= high and step > 0")
    top = (last - first) // width
    deadline, bracket = settings.limits.deadline(), Bracket(-1, top + 1)
    verdicts: list[tuple[Fraction, Result]] = []
    found: dict[Verdict, tuple[Fraction, Result]] = {}
    open_result: Result | None = None
    for k, seconds in questions(bracket, deadline):
        value = first + (top - k if least else k) * width
        result = verify(make(value), **replace(settings, timeout=seconds).options())
        verdicts.append((value, result))
        verdict = result.verdict
        if verdict is Verdict.UNKNOWN:
            open_result = result
            bracket.skip(k, again=result.reason is Reason.TIMEOUT)
        else:
            found[verdict] = value, result
            (bracket.rise if verdict is Verdict.HOLDS else bracket.fall)(k)
    good, bad = found.get(Verdict.HOLDS), found.get(Verdict.VIOLATED)
    reason, detail = (None, "") if bracket.closed else why_open(open_result, deadline)
    return Threshold(
        verdicts[0][1].name if verdicts else "property",
        None if good is None else good[0],
        None if bad is None else bad[0],
        None if bad is None else bad[1].counterexample,
        bracket.closed,
        reason,
        detail,
        tuple(verdicts),
    )
