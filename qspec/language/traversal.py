"""Go through the expressions of a property."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import TypeVar, cast

from qspec.language.connectives import Formula
from qspec.language.expressions import Expression
from qspec.language.property import Property
from qspec.language.variables import Application, Applied, RealApplication, RealVariable, SoftmaxOf
from qspec.network.graph import Graph, RealGraph

Kind = TypeVar("Kind")


def networks(spec: Property) -> list[Graph]:
    """Return every network that a property applies, each once, in order of appearance."""
    found: dict[int, Graph] = {}
    for application in occurrences(spec, Application):
        found.setdefault(id(application.network), application.network)
    return list(found.values())


def real_networks(spec: Property) -> list[RealGraph]:
    """Return every real network that a property applies, each once, in order of appearance."""
    found: dict[int, RealGraph] = {}
    for application in occurrences(spec, RealApplication):
        found.setdefault(id(application.network), application.network)
    return list(found.values())


def is_real(value: Property | Formula | Expression) -> bool:
    """Return whether a property, formula or expression is about reals: a real variable, network or function occurs in it."""
    return next(_walk(value, (RealVariable, RealApplication, Applied, SoftmaxOf)), None) is not None


def occurrences(value: object, kind: type[Kind]) -> list[Kind]:
    """Return everything of one kind inside a property, formula or expression, each object once; networks themselves are not entered."""
    return list(_walk(value, (kind,)))


def _walk(value: object, kinds: tuple[type[Kind], ...]) -> Iterator[Kind]:
    """Yield what is of these kinds in a tree of dataclasses and tuples, each object once, outer before inner."""
    seen: set[int] = set()
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, Graph | RealGraph) or id(item) in seen:
            continue
        if isinstance(item, tuple):
            pending.extend(reversed(cast(tuple[object, ...], item)))
        elif is_dataclass(item):
            seen.add(id(item))
            if isinstance(item, kinds):
                yield item
            pending.extend(getattr(item, f.name) for f in reversed(fields(item)))
