"""Tables and progress on a terminal, plain text elsewhere; colour only where it is shown and wanted."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Protocol


def columns() -> int:
    """Return the width of the terminal, 80 where there is none."""
    return shutil.get_terminal_size((80, 24)).columns


def colour() -> bool:
    """Return whether stdout shows colours and nobody has asked for none (see no-color.org)."""
    return sys.stdout is not None and sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Return a table as text with a rule under its header; columns in `right` are aligned there, the last wraps at the terminal's edge."""
    widths = [max(len(row[k]) for row in [header, *rows]) for k in range(len(header))]
    before = sum(w + 2 for w in widths[:-1])
    widths[-1] = min(widths[-1], max(20, columns() - before))
    lines: list[str] = []
    for row in [header, *rows]:
        cells = [c.rjust(w) if k in right else c.ljust(w) for k, (c, w) in enumerate(zip(row[:-1], widths[:-1], strict=True))]
        last = textwrap.wrap(row[-1], widths[-1]) or [""]
        lines.append("  ".join([*cells, last[0].rjust(widths[-1]) if len(row) - 1 in right else last[0]]).rstrip())
        lines += [" " * before + text for text in last[1:]]
    return "\n".join([lines[0], "─" * (before + widths[-1]), *lines[1:]])


STYLES = {"HOLDS": "1;32", "VIOLATED": "1;31", "UNKNOWN": "1;33"}


def painted(word: str) -> str:
    """Return a verdict, in its colour where there is colour."""
    return f"\x1b[{STYLES[word]}m{word}\x1b[0m" if colour() and word in STYLES else word


class Report(Protocol):
    """Called before each piece of work with what it is."""

    def __call__(self, what: str, /) -> None: ...


@contextmanager
def progress(total: int) -> Generator[Report]:
    """Show on stderr, if that is a terminal, how many of `total` pieces of work are done, which one is under way, and for how long."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    shown = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*shown, console=Console(stderr=True, markup=False), transient=True) as bar:
        task = bar.add_task("", total=total)
        begun = [False]

        def report(what: str) -> None:
            bar.update(task, description=what, advance=1 if begun[0] else 0)
            begun[0] = True

        yield report
