"""Rows as JSON that can stand in a page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from qspec.batch.records import Record
from qspec.errors import SpecError

SHORTEST = 16
"""Lists of numbers from this length on are kept once in the page, however many rows have them."""


def embedded(records: Sequence[Record]) -> str:
    """Return `{"arrays": […], "rows": […]}`, in which `{"$array": k}` stands for a list; nothing in it can end an element of HTML.

    Raises SpecError if a row is no JSON value, or has NaN.
    """
    arrays: dict[str, int] = {}
    try:
        rows = json.dumps([_shared(dict(r.source), arrays) for r in records], allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SpecError("results are damaged", given=str(error), expected="finite numbers, texts, lists, objects") from None
    code = f'{{"arrays": [{", ".join(arrays)}], "rows": {rows}}}'
    return code.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _shared(value: object, arrays: dict[str, int]) -> object:
    if isinstance(value, list):
        items = cast("list[Any]", value)
        if len(items) >= SHORTEST and all(isinstance(v, int | str) for v in items):
            return {"$array": arrays.setdefault(json.dumps(items), len(arrays))}
        return [_shared(v, arrays) for v in items]
    if isinstance(value, Mapping):
        return {k: _shared(v, arrays) for k, v in cast("Mapping[str, object]", value).items()}
    return value
