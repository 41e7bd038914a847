"""What options may be: one place that refuses a value by its name, before anything takes time."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from numbers import Integral, Real
from os import PathLike
from types import UnionType
from typing import TypeVar, cast

from qspec.errors import SpecError

SEEDS = 2**32
"""Seeds are whole numbers below this, which every generator and solver takes, if need be by its remainder."""
MEMORY = (16, 2**30 - 1)
"""MiB."""
Name = TypeVar("Name")


def listed(names: Iterable[Name], what: str) -> tuple[Name, ...]:
    """Return names as a tuple; raises SpecError on what is no list, and on a bare string, which Python would take letter by letter."""
    if isinstance(names, str):
        raise SpecError(f"`{what}` is a list of names", given=names, expected=f"[{names!r}]")
    if not isinstance(names, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SpecError(f"`{what}` is a list", given=names, expected="a list or a tuple, if only of this one")
    return tuple(names)


def flag(value: object, what: str) -> bool:
    """Return a truth value; raises SpecError on anything that only counts as one."""
    if not isinstance(value, bool):
        raise SpecError(f"{what} is yes or no", given=repr(value), expected="True or False")
    return value


def whole(value: object, what: str, *, least: int, most: int | None = None) -> int:
    """Return a whole number between ends that count; raises SpecError on others, on fractions and on truth values."""
    ends = f"a whole number, at least {least}" if most is None else f"a whole number from {least} to {most}"
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise SpecError(f"{what} is no whole number", given=repr(value), expected=ends)
    number = int(value)
    if number < least or (most is not None and number > most):
        raise SpecError(f"{what} is out of range", given=number, expected=ends)
    return number


def integer(value: object, what: str) -> int:
    """Return a whole number; raises SpecError on anything else, fractions and truth values among it."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise SpecError(f"{what} is no whole number", given=repr(value), expected="a whole number")
    return int(value)


def integers(value: object, what: str) -> tuple[int, ...]:
    """Return a list of whole numbers; raises SpecError on anything else."""
    return tuple(integer(v, f"one of `{what}`") for v in listed(cast("tuple[object, ...]", value), what))


def seconds(value: object, *, zero: bool = False) -> float | None:
    """Return a time limit in seconds, None for no limit; raises SpecError unless it is above zero (or zero, if it may be) and finite."""
    if value is None:
        return None
    least = "seconds, at least 0" if zero else "seconds > 0"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise SpecError("the time limit is not a number", given=repr(value), expected=f"{least}, or None for no limit")
    number = _double(value)
    if not 0 <= number < 1e9 or (number == 0 and not zero):
        what = "the time limit is out of range" if number > 0 else "the time limit must be positive"
        raise SpecError(what, given=value, expected=f"{least} and below 1e9, or None for no limit")
    return number


def memory(value: object) -> int | None:
    """Return a memory limit in MiB, None for no limit; raises SpecError unless it is a whole number that leaves room to start."""
    return None if value is None else whole(value, "the memory limit", least=MEMORY[0], most=MEMORY[1])


def seed(value: object) -> int:
    """Return a seed; raises SpecError unless it is a whole number from 0 to 2^32 - 1."""
    return whole(value, "the seed", least=0, most=SEEDS - 1)


def workers(value: object) -> int | None:
    """Return a number of processes, None for one a core; raises SpecError unless it is a whole number from 1 to 4096."""
    return None if value is None else whole(value, "the number of workers", least=1, most=4096)


def positive(value: object, what: str) -> float:
    """Return a finite number above zero; raises SpecError on anything else."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise SpecError(f"{what} is not a number", given=repr(value), expected="a finite number above zero")
    number = _double(value)
    if not 0 < number < math.inf:
        raise SpecError(f"{what} is out of range", given=repr(value), expected="a finite number above zero")
    return number


def _double(value: Real) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def choice(value: object, what: str, names: Collection[str]) -> str:
    """Return one of some names; raises SpecError on anything else."""
    if not isinstance(value, str) or value not in names:
        raise SpecError(f"no such {what}", given=repr(value), expected=" or ".join(f'"{n}"' for n in names))
    return value


def kind(value: object, kinds: type | UnionType, what: str, expected: str) -> None:
    """Raise SpecError unless a value is of a kind."""
    if not isinstance(value, kinds):
        raise SpecError(f"{what} is of the wrong kind", given=repr(value), expected=expected)


def text(value: object, what: str) -> str:
    """Return a text; raises SpecError on anything else."""
    if not isinstance(value, str):
        raise SpecError(f"{what} is no text", given=repr(value), expected="a text")
    return value


def names(value: object, what: str) -> tuple[str, ...]:
    """Return a list of texts; raises SpecError on anything else."""
    return tuple(text(v, f"one of `{what}`") for v in listed(cast("tuple[object, ...]", value), what))


def path(value: object, what: str) -> str | PathLike[str]:
    """Return the name of a file; raises SpecError on anything else, and on names that no file can have."""
    name = cast("str | PathLike[str]", value) if isinstance(value, str | PathLike) else ""
    if not str(name) or "\0" in str(name):
        raise SpecError(f"{what} is no path", given=repr(cast("object", value)), expected="a text or a pathlib.Path")
    return name


def function(value: object, what: str, expected: str) -> None:
    """Raise SpecError on what cannot be called."""
    if not callable(value):
        raise SpecError(f"{what} cannot be called", given=repr(value), expected=expected)


def mappings(value: object, what: str) -> list[dict[str, object]]:
    """Return a list of mappings of names to values; raises SpecError on anything else."""
    found = listed(cast("tuple[object, ...]", value), what)
    for element in found:
        kind(element, Mapping, f"one of `{what}`", "a mapping of names to values")
    return [dict(cast("Mapping[str, object]", element)) for element in found]
