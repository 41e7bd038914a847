"""All counterexamples of a property, or as many as are wanted: each verdict is on the property without those that were found before."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Unpack

from qspec.arithmetic.integers import IntArray
from qspec.deadline import tell
from qspec.errors import SpecError, UnsupportedError
from qspec.language.connectives import Formula
from qspec.language.formulas import some
from qspec.language.property import Property
from qspec.language.traversal import is_real
from qspec.support import checks
from qspec.verify.decide import verify
from qspec.verify.options import Options, Settings
from qspec.verify.result import Result

NO_TIME = 1e-9
"""Seconds in which nothing is decided."""


def violations(spec: Property, *, most: int | None = None, **options: Unpack[Options]) -> Generator[Result]:
    """Yield results with one counterexample each (a witness of an `exists` property), all distinct, then the result that ends the search.

    Two differ if some variable differs in some code. The last result has no counterexample: the opposite verdict if there is none but
    those before, UNKNOWN if limits were met. Without it, `most` were found. `timeout` is for all verdicts together. Later queries grow by
    one condition for each counterexample, so this is for hundreds, not millions; `solver="enumerate"` counts more. Raises SpecError on
    parameters without values, and UnsupportedError on properties over the reals, where there is no next counterexample.
    """
    if not isinstance(spec, Property):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SpecError("not a property", given=spec, expected="qs.forall(…), qs.exists(…) or a named property")
    if is_real(spec):
        raise UnsupportedError(
            "counterexamples over the reals cannot be listed", given=spec.name, expected="a property of fixed-point inputs"
        )
    settings = Settings.of(options)
    return _found(spec, settings, None if most is None else checks.whole(most, "how many are wanted", least=1))


def _found(spec: Property, settings: Settings, most: int | None) -> Generator[Result]:
    deadline, done = settings.limits.deadline(), 0
    while most is None or done < most:
        tell("counterexamples", done, most)
        seconds = deadline.seconds
        result = verify(spec, **replace(settings, timeout=None if seconds is None else max(seconds, NO_TIME)).options())
        yield result
        if result.codes is None:
            return
        done += 1
        spec = replace(spec, given=spec.given & _another(spec, result.codes))


def _another(spec: Property, codes: Mapping[str, IntArray]) -> Formula:
    """Return that some variable has another code somewhere."""
    first, *others = (some(v.code != codes[v.name]) for v in spec.variables)
    for other in others:
        first = first | other
    return first
