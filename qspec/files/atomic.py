"""Files that are written whole: after a crash there is the new one, complete, or what was there before."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from qspec.errors import SpecError


def writable(path: Path) -> bool:
    """Return whether a file may be written there, as far as can be told before: its folder exists, and it is no folder itself."""
    return path.resolve().parent.is_dir() and not path.is_dir()


@contextmanager
def replacing(path: Path) -> Generator[BinaryIO]:
    """Open a file that takes the place of `path` when the block ends without an error; raises OSError or ValueError where it cannot.

    No file takes the place of what is none: a pipe is written to as it is, a device or a folder raises SpecError.
    """
    check_plain(path, "what is to be written")
    if path.is_fifo():
        with path.open("wb") as stream:
            yield stream
        return
    part = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        with part.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def writing(where: str | os.PathLike[str]) -> Generator[None]:
    """Say of a block that writes there, as a SpecError, what keeps it from doing so: a full disk, a folder that is read-only, a device."""
    try:
        yield
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        why = error.strerror or type(error).__name__
        raise SpecError("cannot write there", given=os.fspath(where), expected=f"a file that can be written ({why})") from None


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of some bytes to a file and have them on the disk; raises OSError where it cannot."""
    written = 0
    while written < len(data):
        written += os.write(descriptor, data[written:])
    os.fsync(descriptor)


def check_plain(where: str | os.PathLike[str], what: str) -> None:
    """Raise SpecError if there is something that is no file, such as a device, which may never end or hold nothing."""
    path = Path(where)
    if path.exists() and not path.is_file() and not path.is_fifo():
        raise SpecError(f"{what} is no file", given=str(path), expected="a file, or a path where none is yet")
