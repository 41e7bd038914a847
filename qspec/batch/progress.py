"""A progress bar on stderr that counts what came of the queries of a batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager

ORDER = ("HOLDS", "VIOLATED", "UNKNOWN", "errors", "resumed")


@contextmanager
def tally(total: int | None) -> Generator[Callable[..., None]]:
    """Show how many of `total` queries are done (None: nobody knows how many there are); what it yields is called with words to count."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    shown = (BarColumn(bar_width=20), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    counts: Counter[str] = Counter()
    with Progress(*shown, console=Console(stderr=True, markup=False)) as bar:
        task = bar.add_task("", total=total)

        def count(*words: str) -> None:
            counts.update(words)
            bar.update(task, advance=1, description="  ".join(f"{counts[w]} {w}" for w in ORDER if counts[w]))

        yield count
