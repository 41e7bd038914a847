"""Files that are written whole: after a crash there is the new one, complete, or what was there before."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4


def writable(path: Path) -> bool:
    """Return whether a file may be written there, as far as can be told before: its folder exists, and it is no folder itself."""
    return path.resolve().parent.is_dir() and not path.is_dir()


@contextmanager
def replacing(path: Path) -> Generator[BinaryIO]:
    """Open a file that takes the place of `path` when the block ends without an error; raises OSError or ValueError where it cannot."""
    part = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        with part.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
