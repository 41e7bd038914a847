"""Verdicts of a certification on disk, one line of JSON for each sample, written batch by batch; a run that is killed goes on from there.

The first line says what the others are about; a last line that is cut off is dropped. One run writes at a time.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from qspec.certification.certification import Outcome
from qspec.errors import SpecError
from qspec.integers import IntArray
from qspec.result import Verdict

SCHEMA = "qspec.certify/1"


class Journal:
    """A file that is open for one run; made by `opened`."""

    def __init__(self, stream: BinaryIO | None, kept: dict[int, Outcome]) -> None:
        self._stream = stream
        self.kept = kept

    def write(self, outcomes: Mapping[int, Outcome]) -> None:
        """Write outcomes by the index of their sample; they are on the disk when this returns."""
        if self._stream is not None and outcomes:
            self._stream.write(b"".join(_line(k, o) for k, o in outcomes.items()))
            self._stream.flush()
            os.fsync(self._stream.fileno())


def _line(index: int, o: Outcome) -> bytes:
    codes = None if o.codes is None else o.codes.reshape(-1).tolist()
    return (json.dumps({"index": index, "verdict": o.verdict.name, "stage": o.stage, "codes": codes, "detail": o.detail}) + "\n").encode()


@contextmanager
def opened(where: str | os.PathLike[str] | None, key: str, shape: tuple[int, ...]) -> Generator[Journal]:
    """Open the journal of one certification, known by its key; images have this shape.

    Raises SpecError if the file cannot be used, is in use, or is about something else.
    """
    if where is None:
        yield Journal(None, {})
        return
    path = Path(where)
    try:
        stream = path.open("a+b")
    except OSError as error:
        raise SpecError("cannot open a store there", given=str(path), expected=f"a file in a folder ({error.strerror})") from None
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SpecError("another run writes this store", given=str(path), expected="one run at a time") from None
        stream.seek(0)
        kept, end = _read(path, stream.read(), key, shape)
        stream.truncate(end)
        stream.seek(0, os.SEEK_END)
        if not end:
            stream.write((json.dumps({"schema": SCHEMA, "key": key}) + "\n").encode())
            stream.flush()
        yield Journal(stream, kept)


def _read(path: Path, data: bytes, key: str, shape: tuple[int, ...]) -> tuple[dict[int, Outcome], int]:
    """Return the outcomes in a file, and where its last whole line ends."""
    lines = data.splitlines(keepends=True)
    whole = [line for line in lines if line.endswith(b"\n")]
    if not whole:
        if data and not json.dumps({"schema": SCHEMA}).encode().startswith(data[:10]):
            raise _stray(path)
        return {}, 0
    try:
        head = cast("dict[str, Any]", json.loads(whole[0]))
        same = head["schema"] == SCHEMA and head["key"] == key
        found = [cast("dict[str, Any]", json.loads(line)) for line in whole[1:]] if same else []
        kept = {int(line["index"]): _outcome(line, shape) for line in found}
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


def _stray(path: Path) -> SpecError:
    return SpecError(
        "not the store of a certification, or damaged", given=str(path), expected=f"lines of {SCHEMA}", advice="name another file"
    )


def _outcome(line: dict[str, Any], shape: tuple[int, ...]) -> Outcome:
    codes: IntArray | None = None if line["codes"] is None else np.array(line["codes"], np.int64).reshape(shape)
    return Outcome(Verdict[line["verdict"]], str(line["stage"]), codes, str(line["detail"]))
