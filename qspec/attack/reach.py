"""Which queries floats can search: those without numbers that single precision, or its sums, would take for infinity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import cast

import numpy as np

from qspec.arithmetic.integers import IntArray, magnitude
from qspec.errors import UnsupportedError
from qspec.ir.integer import Query

REACH = 2**100
"""Single precision ends at 2^128; what is left is for sums of products with codes."""


def check_reach(query: Query) -> None:
    """Raise UnsupportedError if a constant of a query is too large for floats to search with; int64 arrays never are."""
    for number in (magnitude(a) for node in query.program for a in _arrays(node) if a.dtype == object):
        if number >= REACH:
            raise UnsupportedError(
                "numbers too large to be searched with floats",
                given=f"about 2^{number.bit_length()}",
                expected=f"below 2^{REACH.bit_length() - 1}",
            )


def _arrays(value: object) -> Iterator[IntArray]:
    """Yield every array in a node, and in the maps that it holds."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, tuple):
        for item in cast("tuple[object, ...]", value):
            yield from _arrays(item)
    elif is_dataclass(value):
        for field in fields(value):
            yield from _arrays(getattr(value, field.name))
