"""Results on disk: one line of JSON for each finished query, written at once and never changed.

A line is `{"schema": "qspec.store/1", "key": …, "index": …, "tags": {…}, "result": {…}}` with the result as `Result.to_dict()` has it.
Tags are there if the batch gives some, as a sweep does: all but `notes` say which question of the batch this was. A run that is killed
leaves at most one line that is cut off, which readers ignore and the next run removes. Of several lines with one key and one identity the
last counts.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Any, cast

from qspec.errors import SpecError
from qspec.files.atomic import check_plain
from qspec.files.lines import AppendedLines, appending
from qspec.solver import Limits, Reason
from qspec.support.json_text import parse
from qspec.verify.result import Result

SCHEMA = "qspec.store/1"
HEAD = f'{{"schema": "{SCHEMA}", "key": '.encode()
"""What every line begins with, so that no file is taken for a store that is none."""

BOM = b"\xef\xbb\xbf"
"""A byte order mark, which some editors put before the first line."""

COLUMNS = (
    "name",
    "kind",
    "parameters",
    "verdict",
    "evidence",
    "reason",
    "detail",
    "vacuous",
    "violations",
    "codes",
    "solver",
    "solver_version",
)
"""What rows take from a result as it is."""

PASSING = frozenset({Reason.CRASH.name, Reason.CANCELLED.name})
"""Reasons for UNKNOWN that say nothing of the query: it is asked again."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Where the last line of a key is, and what tells whether its query needs to be asked again."""

    offset: int
    length: int
    verdict: str
    reason: str | None
    limits: Limits
    tags: Mapping[str, Mapping[str, object]] = field(default_factory=dict[str, Mapping[str, object]])
    """By identity: what was told of the questions that this one query has answered."""

    def settles(self, limits: Limits) -> bool:
        """Return whether asking again within these limits is in vain: decided, or unknown within limits that were no smaller."""
        if self.verdict != "UNKNOWN":
            return True
        more = _most(limits.seconds) > _most(self.limits.seconds) or _most(limits.memory) > _most(self.limits.memory)
        return self.reason not in PASSING and not more


class Store:
    """A file of results that is open for one run; made by `opened`."""

    def __init__(self, lines: AppendedLines) -> None:
        self._lines = lines
        self._entries, end = _scan(lines.path)
        lines.cut(end)

    def settled(self, limits: Limits) -> frozenset[str]:
        """Return the keys of queries that need not be asked again within these limits."""
        return frozenset(key for key, entry in self._entries.items() if entry.settles(limits))

    def result(self, key: str) -> Result:
        """Return the stored result of a key."""
        entry = self._entries[key]
        return Result.from_dict(json.loads(self._lines.part(entry.offset, entry.length))["result"])

    def keep(self, key: str, index: int, result: str, tags: Mapping[str, object]) -> None:
        """Write a result, given as JSON text in one line; it is on the disk when this returns. Raises SpecError if it cannot be.

        Without a result, that of an earlier run is kept; it is written again if its tags have changed.
        """
        entry = self._entries.get(key)
        if not result and entry is not None and tags and entry.tags.get(identity(tags)) != tags:
            result = json.dumps(self.result(key).to_dict())
        if not result:
            return
        told = f'"tags": {json.dumps(tags)}, ' if tags else ""
        self._lines.append(HEAD + f'{json.dumps(key)}, "index": {index}, {told}"result": {result}}}\n'.encode())


@contextmanager
def opened(where: str | os.PathLike[str]) -> Generator[Store]:
    """Open a store for one run, made if it is not there; raises SpecError if another run has it, or if the file is something else."""
    with appending(where) as lines:
        yield Store(lines)


def read(where: str | os.PathLike[str]) -> list[dict[str, object]]:
    """Return the results of a store as plain rows, in the order of their index; a store that is being written may be read.

    Columns: index, key, tags, name, kind, parameters, verdict, evidence, reason, detail, vacuous, violations, codes, rows (of tables, in
    words), solver, solver_version, seconds (spent) and timeout (allowed). Raises SpecError if the file is not a store, or damaged.
    """
    return [_row(line) for line in lines(where)]


def lines(where: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return the lines of a store as they are, in the order of their index, but for those that others replace; see `read`."""
    path = Path(where)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    with _reading(path) as file:
        for _, _, line in _lines(path, file):
            found[line["key"], identity(line.get("tags", {}))] = line
    return sorted(found.values(), key=lambda line: cast(int, line["index"]))


def identity(tags: Mapping[str, object]) -> str:
    """Return which question of a batch some tags are about, as text."""
    return json.dumps({k: v for k, v in tags.items() if k != "notes"}, sort_keys=True)


def _row(line: dict[str, Any]) -> dict[str, object]:
    result = line["result"]
    return {
        "index": line["index"],
        "key": line["key"],
        "tags": line.get("tags", {}),
        **{c: result[c] for c in COLUMNS},
        "rows": result.get("rows", {}),
        "seconds": math.fsum(result["times"].values()),
        "timeout": result["limits"]["seconds"],
    }


def _scan(path: Path) -> tuple[dict[str, Entry], int]:
    """Return the entries of a store by key, and where its last whole line ends."""
    entries: dict[str, Entry] = {}
    end = 0
    with _reading(path) as file:
        for offset, length, line in _lines(path, file):
            result = line["result"]
            key, tags, limits = line["key"], line.get("tags", {}), Limits(**result["limits"])
            told = {**(entries[key].tags if key in entries else {}), identity(tags): tags}
            entries[key] = Entry(offset, length, result["verdict"], result["reason"], limits, told)
            end = offset + length
    return entries, end


def _lines(path: Path, file: BufferedReader) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Yield offset, length and content of every whole line; what a killed run may have left at the end is not one.

    After a power failure the last line may have its end but not all that comes before it, so the last one may be damaged, too.
    """
    offset = 0
    damaged = ""
    for number, given in enumerate(file, 1):
        text = given.removeprefix(BOM) if number == 1 else given
        if damaged:
            raise SpecError(
                "a store is damaged", given=damaged, expected=f"lines of schema {SCHEMA}", advice="restore it, or name another file"
            )
        if not text.startswith(HEAD) and not HEAD.startswith(text.rstrip(b"\n")) and text.strip(b"\0\n"):
            raise SpecError("not a store of results", given=f"{path}, line {number}", expected=f"a line of schema {SCHEMA}")
        content = _content(text)
        if content is None:
            damaged = f"{path}, line {number}"
        else:
            yield offset + len(given) - len(text), len(text), content
        offset += len(given)


def _content(text: bytes) -> dict[str, Any] | None:
    """Return the content of a line, None if it is cut off or damaged."""
    try:
        line = cast("dict[str, Any]", parse(text))
        placed = isinstance(line["key"], str) and isinstance(line["index"], int) and isinstance(line.get("tags", {}), dict)
        result: dict[str, Any] = line["result"]
        told = isinstance(result["times"], dict) and {"verdict", "reason"} <= set(result)
        Limits(**result["limits"])
        return line if text.endswith(b"\n") and placed and told else None
    except (ValueError, KeyError, TypeError):
        return None


@contextmanager
def _reading(path: Path) -> Generator[BufferedReader]:
    check_plain(path, "a store")
    try:
        file = path.open("rb")
    except OSError as error:
        raise SpecError("cannot read a store", given=str(path), expected=f"a file of results ({error.strerror})") from None
    with file:
        yield file


def _most(limit: float | None) -> float:
    return math.inf if limit is None else limit
