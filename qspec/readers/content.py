"""What files of other makers hold, as bytes and as text, up to a size; and the decimal numbers in such text."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path

from qspec.errors import ModelFileError

DECIMAL = re.compile(r"[+-]?([0-9]{1,400}(\.[0-9]{0,400})?|\.[0-9]{1,400})([eE][+-]?[0-9]{1,3})?")
"""A finite number of bounded length, whose exact value is a ratio of bounded length."""


def read_bytes(path: str | Path, most: int, kind: str, *, packed: bool) -> bytes:
    """Return the bytes of a file, unpacked if it may be `packed` and its name ends in .gz.

    Raises ModelFileError, which calls the file `kind`, if it cannot be read or has more than `most` bytes.
    """
    place = Path(path)
    try:
        with gzip.open(place) if packed and place.suffix == ".gz" else place.open("rb") as file:
            data = file.read(most + 1)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise _unreadable(path, kind, error) from None
    if len(data) > most:
        raise ModelFileError("the file is too large", given=str(path), expected=f"at most {most} bytes")
    return data


def read_text(path: str | Path, most: int, kind: str, *, packed: bool) -> str:
    """Return the text of a file in UTF-8, without a byte order mark; raises as `read_bytes`, and on what is no text."""
    try:
        return read_bytes(path, most, kind, packed=packed).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unreadable(path, kind, error) from None


def _unreadable(path: str | Path, kind: str, error: Exception) -> ModelFileError:
    return ModelFileError("cannot read the file", given=str(path), expected=f"{kind} ({error})")
