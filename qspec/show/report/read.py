"""Read files of results: stores, what `--json` writes, and rows of benchmarks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from qspec.batch import store
from qspec.batch.curves import methods, widths
from qspec.batch.records import Record, of_line, of_result, of_row
from qspec.errors import SpecError
from qspec.files.atomic import check_plain
from qspec.support.json_text import parse
from qspec.verify.result import SCHEMA

RESULTS = "qspec.results/1"
"""The schema of what `qspec verify --json` and `qspec compare --json` write."""
CERTIFIED = b'{"schema": "qspec.certify/'
"""What the store of a certification begins with: shares of a test set, and no queries."""


@dataclass(frozen=True, slots=True)
class Source:
    """One file that was read."""

    name: str
    sha256: str
    rows: int


def read(paths: Sequence[str | Path]) -> tuple[list[Record], list[Source]]:
    """Return the results in some files, numbered from 0, and the files; raises SpecError if one is damaged, or if there are none."""
    records: list[Record] = []
    sources: list[Source] = []
    for path in map(Path, paths):
        check_plain(path, "what is read")
        try:
            data = path.read_bytes().removeprefix(store.BOM)
        except OSError as error:
            raise SpecError("cannot read results", given=str(path), expected=f"a file ({error.strerror})") from None
        found = list(_records(path, data))
        sources.append(Source(path.name, hashlib.sha256(data).hexdigest(), len(found)))
        records += found
    if not records:
        raise SpecError("there are no results", given=", ".join(map(str, paths)), expected="at least one row")
    return [replace(r, id=k) for k, r in enumerate(_ordered(records))], sources


def _ordered(records: list[Record]) -> list[Record]:
    """Return the rows of sweeps by method, bits and sample; others stay where they are."""
    if not widths(records):
        return records
    place = {m: k for k, m in enumerate(methods(records))}
    wide = {b: k for k, b in enumerate(widths(records))}
    return sorted(records, key=lambda r: (place[r.method], len(wide) if r.bits is None else wide[r.bits], r.sample or 0))


def _records(path: Path, data: bytes) -> Iterator[Record]:
    """Yield what is in a file, by what it begins with."""
    if data.startswith(store.HEAD):
        for number, line in enumerate(store.lines(path), 1):
            yield _made(path, number, lambda line=line: of_line(0, line))
        return
    if data.startswith(CERTIFIED):
        raise SpecError(
            "this is the store of a certification, not of queries",
            given=str(path),
            expected="a store of verify-many or of a sweep",
            advice="qspec certify --store FILE --plot shares.png draws it",
        )
    whole = _json(data)
    if isinstance(whole, dict) and "schema" in whole:
        yield from _whole(path, cast("dict[str, Any]", whole))
        return
    for number, text in enumerate(data.splitlines(keepends=True), 1):
        if text.strip():
            row = _json(text)
            if row is None and not text.endswith(b"\n"):
                return  # what a killed run has left
            if not isinstance(row, dict):
                raise _damaged(path, number, "a line is no JSON object")
            fields = cast("dict[str, Any]", row)
            yield _made(path, number, lambda fields=fields: of_row(0, fields))


def _whole(path: Path, content: dict[str, Any]) -> Iterator[Record]:
    """Yield the results in a file that is one JSON object."""
    if content.get("schema") == SCHEMA:
        results: object = [content]
    elif content.get("schema") == RESULTS:
        results = content.get("results")
    else:
        raise SpecError(
            "not a file of results",
            given=f"{path}, schema {content.get('schema')!r}",
            expected=f"a store, {RESULTS}, {SCHEMA}, or rows with `solver` and `verdict`",
        )
    if not isinstance(results, list):
        raise _damaged(path, 1, "no list of results")
    for number, result in enumerate(cast("list[Any]", results), 1):
        yield _made(path, number, lambda result=result: of_result(0, result, {}, result))


def _made(path: Path, number: int, make: Callable[[], Record]) -> Record:
    try:
        return make()
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise _damaged(path, number, f"{type(error).__name__}: {error}") from None


def _damaged(path: Path, number: int, why: str) -> SpecError:
    return SpecError("results are damaged", given=f"{path}, row {number}", expected=f"a whole row ({why})", advice="restore the file")


def _json(data: bytes) -> object:
    try:
        return parse(data)
    except ValueError:
        return None
