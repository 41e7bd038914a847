"""JSON as others give it: with a byte order mark or not, nested as deeply or with numbers as long as they like."""

from __future__ import annotations

import json
from collections.abc import Callable


def parse(text: str | bytes, *, floats: Callable[[str], object] | None = None, words: Callable[[str], object] | None = None) -> object:
    """Return what JSON text says; raises ValueError, and nothing else, on text that is none or that Python cannot hold.

    `floats` reads numbers with a point or an exponent, `words` NaN and Infinity. A byte order mark is skipped.
    """
    try:
        plain = text.decode("utf-8-sig") if isinstance(text, bytes) else text.removeprefix("\ufeff")
        return json.loads(plain, parse_float=floats, parse_constant=words)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
