"""Counterexamples and witnesses for a page: images as PNG within the page, other inputs as tables."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np

from qspec.errors import SpecError
from qspec.records import Record
from qspec.show.solution import Reals, Shown, shown

LONGEST = 40
"""Elements that a table shows at most: those that were changed most."""
LETTERS = 40
"""Letters of an exact number that a table shows at most; the row has all of them."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image as a `data:` address, with what it shows in words."""

    title: str
    address: str
    words: str


@dataclass(frozen=True, slots=True)
class Element:
    """One row of a table: an element of a variable, exactly, and what it was before."""

    name: str
    before: str
    now: str
    change: str


@dataclass(frozen=True, slots=True)
class Solution:
    """The counterexample or witness of one row, variable by variable."""

    record: Record
    about: str
    pictures: Sequence[Picture]
    elements: Sequence[Element]
    left_out: int


def solutions(records: Sequence[Record], most: int) -> tuple[list[Solution], int]:
    """Return up to `most` counterexamples and witnesses, of every method and number of bits in turn, and how many more there are.

    Raises SpecError if one is damaged.
    """
    groups: dict[tuple[object, ...], list[Record]] = {}
    for r in records:
        if _codes(r) or _point(r):
            groups.setdefault((r.name, r.method, r.bits), []).append(r)
    turns = [r for turn in zip_longest(*groups.values()) for r in turn if r is not None]
    return [_solution(r) for r in sorted(turns[:most], key=lambda r: r.id)], max(0, len(turns) - most)


def _codes(record: Record) -> object:
    return record.source.get("result", record.source).get("codes")


def _point(record: Record) -> object:
    return record.source.get("result", record.source).get("point")


def _solution(record: Record) -> Solution:
    try:
        variables = shown(_codes(record), _point(record), record.parameters)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError, ZeroDivisionError, OverflowError, AttributeError) as error:
        raise SpecError("a counterexample is damaged", given=f"row {record.id}", expected=f"numbers ({error})") from None
    scalars = {k: v for k, v in record.parameters.items() if isinstance(v, int | float | str)}
    about = ", ".join(f"{k} {v}" for k, v in scalars.items())
    pictures = [p for v in variables if v.picture is not None for p in _pictures(v, v.picture)]
    tables = [v for v in variables if v.picture is None]
    elements = [e for v in tables for e in _elements(v)]
    return Solution(record, about, pictures, elements, sum(v.values.size for v in tables) - len(elements))


def _pictures(v: Shown, shape: tuple[int, int]) -> list[Picture]:
    low, high = min(0.0, float(v.values.min())), max(float(v.values.max()), 1.0 if v.before is not None else 1e-9)
    now = v.values.reshape(shape)
    size = f"{shape[0]} by {shape[1]}"
    if v.before is None:
        return [Picture(v.name, _png(now, "gray_r", low, high), f"{v.name}, an image of {size} values")]
    before = v.before.reshape(shape)
    change = now - before
    most = max(1.0, float(np.abs(change).max()))
    words = f"{v.changed} of {v.values.size} elements changed, by {change.min():+g} to {change.max():+g}"
    return [
        Picture(v.before_name, _png(before, "gray_r", low, high), f"{v.before_name}, an image of {size} codes"),
        Picture(v.name, _png(now, "gray_r", low, high), f"{v.name}, an image of {size} codes"),
        Picture(words, _png(change, "PuOr_r", -most, most), f"the change: {words}"),
    ]


def _png(values: Reals, colours: str, low: float, high: float) -> str:
    from matplotlib.image import imsave  # pyright: ignore[reportUnknownVariableType]

    stream = io.BytesIO()
    options: Any = {"cmap": colours, "vmin": low, "vmax": high, "format": "png", "metadata": {"Software": ""}}
    imsave(stream, values, **options)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def _elements(v: Shown) -> list[Element]:
    flat = v.values.reshape(-1)
    before = None if v.before is None else v.before.reshape(-1)
    order = range(flat.size) if before is None else sorted(range(flat.size), key=lambda k: (-abs(float(flat[k] - before[k])), k))
    rows: list[Element] = []
    for k in sorted(list(order)[:LONGEST]):
        name = v.name if flat.size == 1 else f"{v.name}[{k}]"
        was = "" if before is None else f"{before[k]:g}"
        rows.append(Element(name, was, _short(v.text[k]), "" if before is None else f"{flat[k] - before[k]:+g}"))
    return rows


def _short(text: str) -> str:
    return text if len(text) <= LETTERS else f"≈ {float(_ratio(text)):.9g}"


def _ratio(text: str) -> float:
    top, _, bottom = text.partition("/")
    return int(top) / int(bottom or "1")
