"""Who says what: a row for each question, a column for each method, the colour is the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from qspec.batch.curves import methods
from qspec.batch.records import Record
from qspec.show.figures.style import VERDICTS, canvas, style
from qspec.verify.result import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LETTERS = {Verdict.HOLDS: "H", Verdict.VIOLATED: "V", Verdict.UNKNOWN: "?"}
LABELLED = 40
"""Up to so many questions have their names, and their cells the seconds."""
LONGEST = 42


def verdicts(records: Sequence[Record]) -> Figure:
    """Return a heat map of verdicts: H holds, V violated, ? unknown, with the seconds; many questions have neither names nor seconds.

    Raises PackageMissingError without matplotlib.
    """
    columns, rows = methods(records), list(dict.fromkeys(r.question for r in records))
    kinds = list(VERDICTS)
    cells = np.full((len(rows), len(columns)), np.nan)
    few = len(rows) <= LABELLED
    at = {q: k for k, q in enumerate(rows)}
    with style():
        from matplotlib.colors import ListedColormap
        from matplotlib.patches import Patch

        names = max((min(LONGEST, len(q)) for q in rows), default=0) if few else 0
        figure, (axis,) = canvas(1.4 + 0.075 * names + 1.05 * len(columns), 1.3 + min(9.0, (0.3 if few else 0.02) * len(rows)))
        for r in records:
            x, y = columns.index(r.method), at[r.question]
            cells[y, x] = kinds.index(r.verdict)
            if few:
                colour = "black" if r.verdict is Verdict.UNKNOWN else "white"
                axis.text(x, y, f"{LETTERS[r.verdict]} {r.seconds:.2g} s", ha="center", va="center", fontsize="small", color=colour)
        axis.imshow(cells, cmap=ListedColormap([VERDICTS[v] for v in kinds]), vmin=0, vmax=len(kinds) - 1, aspect="auto")
        axis.grid(visible=False)
        axis.set_xticks(range(len(columns)), [_short(c, 24) for c in columns], rotation=0 if len(columns) < 4 else 30)
        axis.set_yticks(range(len(rows)) if few else [], [_short(q, LONGEST) for q in rows] if few else [])
        axis.set_ylabel("" if few else f"{len(rows)} questions")
        axis.set_xticks(np.arange(1, len(columns)) - 0.5, minor=True)
        axis.set_yticks(np.arange(1, len(rows)) - 0.5 if few else [], minor=True)
        axis.grid(visible=True, which="minor", color="white", linewidth=1.5, alpha=1.0)
        axis.tick_params(which="both", length=0)
        patches = [Patch(color=c, label=f"{LETTERS[v]} {v.name}") for v, c in VERDICTS.items() if any(r.verdict is v for r in records)]
        figure.legend(handles=patches, loc="outside upper center", ncols=1 if len(columns) < 2 else 3, fontsize="small")
    return figure


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
