"""`qspec demo`: a demonstration that a package registers under the entry point group `qspec.demos`."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import cast

from qspec.cli.outcome import CommandOutput
from qspec.cli.report import check_writable
from qspec.errors import SpecError

ENTRY_POINTS = "qspec.demos"


def run(*, name: str, out: str) -> CommandOutput:
    """Run a demonstration, which prints as it goes; a registered one is a function of the path of its picture."""
    check_writable(out)
    points = {p.name: p for p in entry_points(group=ENTRY_POINTS)}
    if name not in points:
        raise SpecError("no such demonstration", given=name, expected=", ".join(sorted(points)) or "an installed one")
    demonstrate = cast(Callable[[Path], None], points[name].load())
    demonstrate(Path(out))
    return CommandOutput("")
