"""Typed reading of JSON that others wrote: every mistake becomes an error that says where it is, what was found and what belongs there."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import NoReturn, TypeVar, cast

from qspec.errors import ModelFileError

MAX_DIGITS = 4000
"""Most decimal digits of an integer in a file; Python converts longer texts slowly or not at all."""

T = TypeVar("T")
E = TypeVar("E", bound=Enum)


def parse(text: bytes, where: str) -> Cursor:
    """Return JSON as a cursor at its root; raises ModelFileError if it is malformed, repeats a field, or holds NaN or another float."""
    try:
        value: object = json.loads(text.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_not_exact, parse_float=_not_exact)
    except ModelFileError as error:
        raise ModelFileError(f"{where}: {error.what}", given=error.given, expected=error.expected, advice=error.advice) from None
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ModelFileError(
            f"{where} is not valid JSON", given=reason, expected="JSON in UTF-8", advice="write the file again with save"
        ) from None
    return Cursor(value, where)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A JSON value and where in the file it stands."""

    value: object
    path: str

    def fail(self, what: str, expected: str, *, given: object = None, advice: str = "") -> NoReturn:
        """Raise the ModelFileError of this place; `given` is the value itself unless stated."""
        found = given if given is not None else json.dumps(self.value)
        raise ModelFileError(f"{self.path}: {what}", given=found, expected=expected, advice=advice)

    def at(self, key: str) -> Cursor:
        """Return one field of an object."""
        members = self._members()
        if key not in members:
            self.fail("a field is missing", f"the field {key!r}", given=", ".join(members) or "{}")
        return Cursor(members[key], f"{self.path}.{key}")

    def fields(self, *names: str) -> dict[str, Cursor]:
        """Return the fields of an object that has these and no others."""
        unknown = sorted(set(self._members()) - set(names))
        if unknown:
            self.fail(
                "unknown field", ", ".join(names), given=", ".join(unknown), advice="a newer version of qspec may have written the file"
            )
        return {name: self.at(name) for name in names}

    def items(self) -> list[Cursor]:
        """Return the elements of an array."""
        value = self.value
        if not isinstance(value, list):
            self.fail("a list is expected", "[…]")
        return [Cursor(item, f"{self.path}[{k}]") for k, item in enumerate(cast("list[object]", value))]

    def text(self) -> str:
        """Return a string."""
        if not isinstance(self.value, str):
            self.fail("a text is expected", "a string")
        return self.value

    def whole(self) -> int:
        """Return an integer; true and false are none."""
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            self.fail("a whole number is expected", "an integer")
        return self.value

    def flag(self) -> bool:
        """Return a truth value."""
        if not isinstance(self.value, bool):
            self.fail("a truth value is expected", "true or false")
        return self.value

    def exact(self) -> Fraction:
        """Return a rational number, written "p/q" or "p"."""
        if not isinstance(self.value, str) or not re.fullmatch(rf"-?[0-9]{{1,{MAX_DIGITS}}}(/0*[1-9][0-9]{{0,{MAX_DIGITS}}})?", self.value):
            self.fail("an exact number is expected", 'a string "p/q" or "p" of decimal digits')
        return Fraction(self.value)

    def choice(self, options: type[E]) -> E:
        """Return a member of an enumeration by its value."""
        found = next((o for o in options if isinstance(self.value, str) and o.value == self.value), None)
        return self.fail(f"unknown {options.__name__.lower()}", ", ".join(str(o.value) for o in options)) if found is None else found

    def kind(self, table: Mapping[str, T]) -> T:
        """Return the entry of a table that the field "kind" names."""
        kind = self.at("kind")
        if not isinstance(kind.value, str) or kind.value not in table:
            kind.fail("unknown kind", ", ".join(table), advice="a newer version of qspec may have written the file")
        return table[kind.value]

    def optional(self, read: Callable[[Cursor], T]) -> T | None:
        """Return null as None and anything else as `read` reads it."""
        return None if self.value is None else read(self)

    def _members(self) -> dict[str, object]:
        value = self.value
        if not isinstance(value, dict):
            self.fail("an object is expected", "{…}")
        return cast("dict[str, object]", value)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        repeated = sorted(k for k, count in Counter(k for k, _ in pairs).items() if count > 1)
        raise ModelFileError("a field occurs twice", given=repeated, expected="each field once")
    return members


def _not_exact(text: str) -> NoReturn:
    raise ModelFileError("not an exact number", given=text, expected='an integer, or a rational as a string "p/q"')
