"""Go through the expressions of a property."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass

from qspec.language.expressions import Application
from qspec.language.formulas import Property
from qspec.network.graph import Network


def networks(spec: Property) -> list[Network]:
    """Return every network that a property applies, each once, in order of appearance."""
    found: dict[int, Network] = {}
    for application in _applications(spec, set()):
        found.setdefault(id(application.network), application.network)
    return list(found.values())


def _applications(value: object, seen: set[int]) -> Iterator[Application]:
    """Yield the applications inside a tree of dataclasses and tuples; networks themselves are not entered."""
    if isinstance(value, Network) or id(value) in seen:
        return
    if isinstance(value, tuple):
        items: tuple[object, ...] = value
        for item in items:
            yield from _applications(item, seen)
    elif is_dataclass(value):
        seen.add(id(value))
        if isinstance(value, Application):
            yield value
        for f in fields(value):
            yield from _applications(getattr(value, f.name), seen)
