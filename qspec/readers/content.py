"""What files of other makers hold, as bytes and as text, up to a size; and the decimal numbers in such text."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from qspec.errors import ModelFileError

PART = 1 << 20
"""Bytes that are read at a time."""
DECIMAL = re.compile(r"[+-]?([0-9]{1,400}(\.[0-9]{0,400})?|\.[0-9]{1,400})([eE][+-]?[0-9]{1,3})?")
"""A finite number of bounded length, whose exact value is a ratio of bounded length."""


def read_bytes(path: str | Path, most: int, kind: str, *, packed: bool) -> bytes:
    """Return the bytes of a file, unpacked if it may be `packed` and its name ends in .gz.

    Raises ModelFileError, which calls the file `kind`, if it cannot be read or has more than `most` bytes.
    """
    place = Path(path)
    try:
        with _opened(place, packed) as file:
            data = b"".join(_parts(file, most + 1))
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise _unreadable(path, kind, error) from None
    if len(data) > most:
        raise ModelFileError("the file is too large", given=str(path), expected=f"at most {most} bytes")
    return data


def _opened(place: Path, packed: bool) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(place)) if packed and place.suffix == ".gz" else place.open("rb")


def _parts(file: IO[bytes], most: int) -> Iterator[bytes]:
    """Yield what is in a file up to a size, in parts: reading so much at once would ask for so much memory first."""
    while most > 0 and (part := file.read(min(most, PART))):
        yield part
        most -= len(part)


def read_text(path: str | Path, most: int, kind: str, *, packed: bool) -> str:
    """Return the text of a file in UTF-8, without a byte order mark; raises as `read_bytes`, and on what is no text."""
    try:
        return read_bytes(path, most, kind, packed=packed).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unreadable(path, kind, error) from None


def _unreadable(path: str | Path, kind: str, error: Exception) -> ModelFileError:
    return ModelFileError("cannot read the file", given=str(path), expected=f"{kind} ({error})")
