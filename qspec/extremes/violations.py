"""All counterexamples of a property, or as many as are wanted: each verdict is on the property without those that were found before."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Unpack

from qspec.arithmetic.integers import IntArray
from qspec.deadline import OutOfTime, tell
from qspec.errors import SpecError, UnsupportedError
from qspec.extremes.neighbours import Neighbours
from qspec.language.connectives import Conjunction, Disjunction
from qspec.language.formulas import some
from qspec.language.property import Property
from qspec.language.traversal import is_real
from qspec.support import checks
from qspec.verify.decide import verify
from qspec.verify.options import DEFAULT_SOLVER, Options, Settings
from qspec.verify.result import Result

Codes = Mapping[str, IntArray]
NO_TIME = 1e-9
"""Seconds in which nothing is decided."""


def violations(spec: Property, *, most: int | None = None, **options: Unpack[Options]) -> Generator[Result]:
    """Yield results with one counterexample each (a witness of an `exists` property), all distinct, then the result that ends the search.

    Two differ if some variable differs in some code. After each that the solver finds, those next to it are found by evaluation: one code
    changes by one at a time. Where these end, the solver is asked for another one, by a query with one condition for each that was told.
    For the native engine a region of at most 16 384 points is evaluated as a whole. The last result has no counterexample: the opposite
    verdict if there is none but those before, UNKNOWN if limits were met. Without it, `most` were found. `timeout` is for all verdicts
    together. Raises SpecError on parameters without values, and UnsupportedError on properties over the reals, where there is no next
    counterexample.
    """
    if not isinstance(spec, Property):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SpecError("not a property", given=spec, expected="qs.forall(…), qs.exists(…) or a named property")
    if is_real(spec):
        raise UnsupportedError(
            "counterexamples over the reals cannot be listed", given=spec.name, expected="a property of fixed-point inputs"
        )
    settings = Settings.of(options)
    return _counted(spec, settings, None if most is None else checks.whole(most, "how many are wanted", least=1))


def _counted(spec: Property, settings: Settings, most: int | None) -> Generator[Result]:
    tell("counterexamples", 0, most)
    for done, result in enumerate(_found(spec, settings), 1):
        yield result
        if result.codes is None or done == most:
            return
        tell("counterexamples", done, most)


def _found(spec: Property, settings: Settings) -> Generator[Result]:
    deadline = settings.limits.deadline()
    near: Neighbours | None = None
    told: list[Codes] = []
    while True:
        seconds = deadline.seconds
        limited = replace(settings, timeout=None if seconds is None else max(seconds, NO_TIME))
        result = verify(_excluding(spec, told), **limited.options())
        yield result
        if result.codes is None:
            return
        told.append(result.codes)
        with suppress(OutOfTime, MemoryError):  # the next verdict says so
            near = near or Neighbours.of(spec, limited)
            for other in near.after(result, deadline):
                yield other
                told.append(other.codes or {})
            if near.complete and settings.name in ("", DEFAULT_SOLVER):
                yield near.end()
                return


def _excluding(spec: Property, told: Sequence[Codes]) -> Property:
    """Return the property of the points that differ from each of some: some variable has another code somewhere."""
    others = tuple(Disjunction(tuple(some(v.code != codes[v.name]) for v in spec.variables)) for codes in told)
    return replace(spec, given=Conjunction((spec.given, *others))) if others else spec
