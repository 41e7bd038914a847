"""What an example is: a property of a tiny network, and the verdict that every solver must reach on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from qspec.language.property import Property, bind
from qspec.verify.result import Verdict


class Mark(Enum):
    """What is special about an example."""

    PRODUCT = "variables are multiplied, which linear arithmetic cannot say"
    VACUOUS = "nothing meets the assumption"


@dataclass(frozen=True, slots=True)
class Example:
    """A property, made anew by `make`, the values of its parameters, and its verdict: HOLDS or VIOLATED, never UNKNOWN.

    The space of all values of its variables is small enough to be enumerated, and the project's tests do so.
    """

    name: str
    make: Callable[[], Property]
    verdict: Verdict
    parameters: Mapping[str, object] = field(default_factory=dict[str, object])
    marks: frozenset[Mark] = frozenset()

    def bound(self) -> Property:
        """Return the property with its parameters given."""
        return bind(self.make().at(**self.parameters))

    def __str__(self) -> str:
        return self.name
