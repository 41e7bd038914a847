"""Checks of what users hand to layers, so that a wrong kind of object is named where it is given and not where it first hurts."""

from __future__ import annotations

from types import UnionType

from qspec.errors import NetworkError


def expect(value: object, kinds: type | UnionType, what: str, expected: str, *, advice: str = "") -> None:
    """Raise NetworkError unless a value is of one of these types; a bool is no integer."""
    if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is int):
        raise NetworkError(f"{what} is of the wrong kind", given=repr(value), expected=expected, advice=advice)
