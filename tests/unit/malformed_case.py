"""A malformed thing that a user did, and what must come of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from qspec.errors import QspecError


@dataclass(frozen=True)
class Case:
    """`act` gets an empty folder and must raise `error`, whose message holds `says`."""

    name: str
    error: type[QspecError]
    says: str
    act: Callable[[Path], object]
