"""Verdicts of a certification on disk, one line of JSON for each sample, written batch by batch; a run that is killed goes on from there.

The first line says what the others are about; a last line that is cut off is dropped. One run writes at a time.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.batch.certification import SampleOutcome
from qspec.errors import SpecError
from qspec.files.lines import AppendedLines, appending
from qspec.support.json_text import parse
from qspec.verify.result import Verdict

SCHEMA = "qspec.certify/1"


def about(images: IntArray, labels: IntArray, radius: int) -> str:
    """Return the SHA-256 of what certifications of several networks can be compared on: samples, classes and radius."""
    state = hashlib.sha256(f"{radius} {len(images)}".encode())
    for array in (images, labels):
        state.update(np.ascontiguousarray(array.astype(np.int64)).tobytes())
    return state.hexdigest()


class Journal:
    """A file that is open for one run; made by `opened`."""

    def __init__(self, lines: AppendedLines | None, kept: dict[int, SampleOutcome], limit: float | None) -> None:
        self._lines = lines
        self.kept = kept
        self._limit = limit

    def write(self, outcomes: Mapping[int, SampleOutcome]) -> None:
        """Write outcomes by the index of their sample; they are on the disk when this returns."""
        if self._lines is not None and outcomes:
            self._lines.append(b"".join(_line(k, o, self._limit) for k, o in outcomes.items()))


def _line(index: int, o: SampleOutcome, limit: float | None) -> bytes:
    codes = None if o.codes is None else o.codes.reshape(-1).tolist()
    line = {"index": index, "verdict": o.verdict.name, "stage": o.stage, "codes": codes, "detail": o.detail}
    return (json.dumps(line | ({"limit": limit} if o.verdict is Verdict.UNKNOWN else {})) + "\n").encode()


@contextmanager
def opened(where: str | os.PathLike[str] | None, key: str, subject: str, shape: tuple[int, ...], limit: float | None) -> Generator[Journal]:
    """Open the journal of one certification, known by its key; images have this shape, and a sample has so many seconds (None: any).

    `subject` (see `about`) is what it shares with certifications of other networks.

    What was undecided is kept only if it had as much time then as it has now.
    Raises SpecError if the file cannot be used, is in use, or is about something else.
    """
    if where is None:
        yield Journal(None, {}, limit)
        return
    with appending(where) as lines:
        kept, end = _read(lines.path, lines.path.read_bytes(), key, shape, limit)
        lines.cut(end)
        if not end:
            lines.append((json.dumps({"schema": SCHEMA, "key": key, "about": subject}) + "\n").encode())
        yield Journal(lines, kept, limit)


def verdicts(where: str | os.PathLike[str]) -> tuple[str | None, dict[int, str]]:
    """Return what a certification was of (`about`; None from before that was written), and the verdict of every sample by its index.

    Raises SpecError if the file is no journal, or damaged.
    """
    path = Path(where)
    try:
        head, *found = [cast("dict[str, Any]", parse(line)) for line in _whole(path.read_bytes()) if line.strip()]
        if head["schema"] != SCHEMA:
            raise ValueError(head["schema"])
        return head.get("about"), {int(line["index"]): Verdict[line["verdict"]].name for line in found}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _stray(path) from error


def _whole(data: bytes) -> list[bytes]:
    """Return the lines that have their end; a run that was killed may have left one that has none."""
    return [line for line in data.splitlines(keepends=True) if line.endswith(b"\n")]


def _read(path: Path, data: bytes, key: str, shape: tuple[int, ...], limit: float | None) -> tuple[dict[int, SampleOutcome], int]:
    """Return the outcomes in a file, and where its last whole line ends."""
    whole = _whole(data)
    if not whole:
        if data and not json.dumps({"schema": SCHEMA}).encode().startswith(data[:10]):
            raise _stray(path)
        return {}, 0
    try:
        head = cast("dict[str, Any]", parse(whole[0]))
        same = head["schema"] == SCHEMA and head["key"] == key
        found = [cast("dict[str, Any]", parse(line)) for line in whole[1:]] if same else []
        kept = {int(line["index"]): _outcome(line, shape) for line in found if _stays(line, limit)}
    except (ValueError, KeyError, TypeError):
        raise _stray(path) from None
    if not same:
        raise SpecError(
            "this store is of another certification",
            given=str(path),
            expected="the same network, images, labels, radius and branching",
            advice="name another file",
        )
    return kept, sum(map(len, whole))


def _stays(line: dict[str, Any], limit: float | None) -> bool:
    """Return whether a verdict is not asked for again; a store from before limits were written says nothing of them."""
    if line["verdict"] != Verdict.UNKNOWN.name:
        return True
    if "limit" not in line:
        return False
    before: float | None = line["limit"]
    return before is None or (limit is not None and limit <= before)


def _stray(path: Path) -> SpecError:
    return SpecError(
        "not the store of a certification, or damaged", given=str(path), expected=f"lines of {SCHEMA}", advice="name another file"
    )


def _outcome(line: dict[str, Any], shape: tuple[int, ...]) -> SampleOutcome:
    codes: IntArray | None = None if line["codes"] is None else np.array(line["codes"], np.int64).reshape(shape)
    return SampleOutcome(Verdict[line["verdict"]], str(line["stage"]), codes, str(line["detail"]))
