"""Lists of names, as users give them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from qspec.errors import SpecError

Name = TypeVar("Name")


def listed(names: Iterable[Name], what: str) -> tuple[Name, ...]:
    """Return names as a tuple; raises SpecError on what is no list, and on a bare string, which Python would take letter by letter."""
    if isinstance(names, str):
        raise SpecError(f"`{what}` is a list of names", given=names, expected=f"[{names!r}]")
    if not isinstance(names, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SpecError(f"`{what}` is a list", given=names, expected="a list or a tuple, if only of this one")
    return tuple(names)
