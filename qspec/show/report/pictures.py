"""Counterexamples and witnesses for a page: images as PNG within the page, rows of tables in words, other inputs as numbers."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np

from qspec.batch.records import Record
from qspec.errors import SpecError
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
class Elements:
    """Features in words, or elements as exact numbers; those that differ least are left out if there are many."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    left_out: int
    words: bool = False


@dataclass(frozen=True, slots=True)
class SolutionPictures:
    """The counterexample or witness of one row, variable by variable."""

    record: Record
    about: str
    pictures: Sequence[Picture]
    tables: Sequence[Elements]
    """What is no image."""


def solutions(records: Sequence[Record], most: int) -> tuple[list[SolutionPictures], int]:
    """Return up to `most` counterexamples and witnesses, of every method and number of bits in turn, and how many more there are.

    Raises SpecError if one is damaged.
    """
    groups: dict[tuple[object, ...], list[Record]] = {}
    for r in records:
        if any(_result(r).get(part) for part in ("codes", "point", "rows")):
            groups.setdefault((r.name, r.method, r.bits), []).append(r)
    turns = [r for turn in zip_longest(*groups.values()) for r in turn if r is not None]
    return [_solution(r) for r in sorted(turns[:most], key=lambda r: r.id)], max(0, len(turns) - most)


def _result(record: Record) -> Any:
    return record.source.get("result", record.source)


def _solution(record: Record) -> SolutionPictures:
    result = _result(record)
    try:
        told = _told(result.get("rows") or {})
        variables = shown(result.get("codes"), result.get("point"), record.parameters)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError, AttributeError) as error:
        raise SpecError("a counterexample is damaged", given=f"row {record.id}", expected=f"numbers ({error})") from None
    scalars = {k: v for k, v in record.parameters.items() if isinstance(v, int | float | str)}
    about = ", ".join(f"{k} {v}" for k, v in scalars.items())
    variables = [v for v in variables if v.name not in told]
    pictures = [p for v in variables if v.picture is not None for p in _pictures(v, v.picture)]
    numbers = _numbers([v for v in variables if v.picture is None])
    return SolutionPictures(record, about, pictures, [*_words(told), *numbers])


def _told(given: Any) -> dict[str, dict[str, str]]:
    """Return rows in words, by variable and feature; raises ValueError or AttributeError if they are none."""
    rows = {str(name): {str(f): str(word) for f, word in row.items()} for name, row in given.items()}
    if not all(rows.values()):
        raise ValueError("a row without features")
    return rows


def _words(told: Mapping[str, Mapping[str, str]]) -> list[Elements]:
    """Return a table for all rows with the same features: a line for each feature, marked where they differ."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, row in told.items():
        alike.setdefault(tuple(row), []).append(name)
    tables: list[Elements] = []
    for features, names in alike.items():
        lines = [[f, *(told[name][f] for name in names)] for f in features]
        differ = np.array([float(len(set(line[1:])) > 1) for line in lines])
        rows = [[*lines[k], *(["≠" if differ[k] else ""] if len(names) > 1 else [])] for k in _most(differ)]
        tables.append(Elements(["feature", *names, *[""] * (len(names) > 1)], rows, len(lines) - len(rows), words=True))
    return tables


def _numbers(variables: Sequence[Shown]) -> list[Elements]:
    """Return one table of variables that have no names for what they hold, none of no variables."""
    sizes = {v.values.size for v in variables}
    if len(variables) > 1 and len(sizes) == 1:
        columns, rows = _beside(variables)
        return [Elements(columns, rows, max(sizes) - len(rows))]
    columns = ["element", "before", "now", "change"] if any(v.before is not None for v in variables) else ["element", "value"]
    rows = [row for v in variables for row in _elements(v, len(columns))]
    return [Elements(columns, rows, sum(v.values.size for v in variables) - len(rows))] if rows else []


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


def _elements(v: Shown, columns: int) -> list[list[str]]:
    """Return a row for each element of a variable, in 2 columns, or in 4 with what it was before."""
    flat = v.values.reshape(-1)
    before = None if v.before is None else v.before.reshape(-1)
    change = np.zeros(flat.size) if before is None else flat - before
    rows: list[list[str]] = []
    for k in _most(change):
        was, by = ("", "") if before is None else (f"{before[k]:g}", f"{change[k]:+g}")
        name, now = v.name if flat.size == 1 else f"{v.name}[{k}]", _short(v.text[k])
        rows.append([name, now] if columns == 2 else [name, was, now, by])
    return rows


def _beside(variables: Sequence[Shown]) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows of variables of one size: a row for each element, marked where they differ."""
    flat = np.stack([v.values.reshape(-1) for v in variables])
    spread: Reals = flat.max(axis=0) - flat.min(axis=0)
    rows = [[f"[{k}]", *(_short(v.text[k]) for v in variables), "≠" if spread[k] else ""] for k in _most(spread)]
    return ["element", *(v.name for v in variables), ""], rows


def _most(change: Reals) -> list[int]:
    """Return the elements with the greatest changes, as many as a table has room for, in order."""
    order = sorted(range(change.size), key=lambda k: (-abs(float(change[k])), k))
    return sorted(order[:LONGEST])


def _short(text: str) -> str:
    return text if len(text) <= LETTERS else f"≈ {float(_ratio(text)):.9g}"


def _ratio(text: str) -> float:
    top, _, bottom = text.partition("/")
    return int(top) / int(bottom or "1")
