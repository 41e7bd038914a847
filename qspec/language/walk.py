"""Go through the expressions of a property."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import TypeVar, cast

from qspec.language.expressions import Application
from qspec.language.formulas import Property
from qspec.network.graph import Network

Kind = TypeVar("Kind")


def networks(spec: Property) -> list[Network]:
    """Return every network that a property applies, each once, in order of appearance."""
    found: dict[int, Network] = {}
    for application in occurrences(spec, Application):
        found.setdefault(id(application.network), application.network)
    return list(found.values())


def occurrences(value: object, kind: type[Kind]) -> list[Kind]:
    """Return everything of one kind inside a property, formula or expression, each object once; networks themselves are not entered."""
    return list(_walk(value, kind, set()))


def _walk(value: object, kind: type[Kind], seen: set[int]) -> Iterator[Kind]:
    """Yield what is of this kind in a tree of dataclasses and tuples."""
    if isinstance(value, Network) or id(value) in seen:
        return
    if isinstance(value, tuple):
        for item in cast(tuple[object, ...], value):
            yield from _walk(item, kind, seen)
    elif is_dataclass(value):
        seen.add(id(value))
        if isinstance(value, kind):
            yield value
        for f in fields(value):
            yield from _walk(getattr(value, f.name), kind, seen)
