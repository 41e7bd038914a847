"""Files of lines that one run at a time appends to: what is written is on the disk, and only a last line may be cut off by a kill."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from qspec.errors import SpecError
from qspec.files.atomic import check_plain, write_all, writing
from qspec.support import checks


@dataclass(frozen=True, slots=True)
class AppendedLines:
    """A file that is open for one run; made by `appending`."""

    path: Path
    descriptor: int

    def part(self, offset: int, length: int) -> bytes:
        """Return some bytes of the file."""
        return os.pread(self.descriptor, length, offset)

    def cut(self, end: int) -> None:
        """Remove what comes after `end`: what a killed run left of its last line."""
        if end < os.fstat(self.descriptor).st_size:
            os.ftruncate(self.descriptor, end)
            os.fsync(self.descriptor)

    def append(self, data: bytes) -> None:
        """Write whole lines; they are on the disk when this returns. Raises SpecError if they cannot be."""
        with writing(self.path):
            write_all(self.descriptor, data)


@contextmanager
def appending(where: str | os.PathLike[str]) -> Generator[AppendedLines]:
    """Open a store for one run, made if it is not there; raises SpecError if it cannot be, or if another run has it."""
    path = Path(checks.path(where, "a store"))
    check_plain(path, "a store")
    try:
        new = not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise SpecError("cannot open a store there", given=str(path), expected=f"a file in a folder ({error.strerror})") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SpecError(
                "another run writes this store", given=str(path), expected="one run at a time", advice="wait for it, or name another file"
            ) from None
        if new:
            _sync_folder(path)
        yield AppendedLines(path, descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(path: Path) -> None:
    """Put the name of a new file on the disk, too."""
    folder = os.open(path.resolve().parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
