"""What was found as JSON values: exact numbers stay exact, as whole numbers or as texts "p/q"."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from fractions import Fraction
from numbers import Integral, Real
from typing import Any, cast

import numpy as np


def document(found: object, schema: str) -> dict[str, object]:
    """Return a result as JSON values: its schema, its verdict and reason if it has them, its text, and every field by name."""
    return {"schema": schema, "text": str(found), **_fields(found)}


def plain(value: object) -> object:
    """Return a value as JSON has it; networks and properties are their names, and doubles that JSON has no word for are texts."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Fraction):
        return value.numerator if value.denominator == 1 else str(value)
    if isinstance(value, Real):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, np.ndarray):
        return plain(cast("list[object]", value.tolist()))
    if isinstance(value, Mapping):
        return {str(plain(k)): plain(v) for k, v in cast("Mapping[object, object]", value).items()}
    if isinstance(value, Collection):
        return [plain(v) for v in cast("Collection[object]", value)]
    return _object(value)


def _object(value: object) -> object:
    if callable(to_dict := getattr(value, "to_dict", None)):
        return to_dict()
    if any(hasattr(value, name) for name in ("stages", "variables")):
        return str(cast(Any, value).name)
    return _fields(value) if is_dataclass(value) else str(value)


def _fields(value: object) -> dict[str, object]:
    """Return verdict and reason, where there is one, and every field by name."""
    names = [n for n in ("verdict", "reason") if hasattr(value, n)] + [f.name for f in fields(cast(Any, value))]
    return {name: plain(getattr(value, name)) for name in dict.fromkeys(names)}
