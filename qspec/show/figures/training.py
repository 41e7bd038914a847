"""How trainings went: the shares of held-out samples that are right, and certified, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from qspec.errors import SpecError
from qspec.show.figures.style import PALETTE, canvas, logarithmic, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Rows = Sequence[tuple[int, int, float, float, float]]
"""Phase, step in the phase, loss, clean and certified shares."""


def curves(trainings: Mapping[str, Rows]) -> Figure:
    """Return clean and certified accuracy against steps, a colour for each training, and below them the loss.

    Where a phase begins there is a thin line, if all trainings agree on it. Raises SpecError on a training without progress, and
    PackageMissingError without matplotlib.
    """
    empty = [name for name, rows in trainings.items() if not rows]
    if empty or not trainings:
        raise SpecError("no progress to draw", given=empty, expected="trainings that reported at least once")
    with style():
        figure, (shares, losses) = canvas(4.8, 4.2, 2, heights=(2, 1))
        for k, (name, rows) in enumerate(trainings.items()):
            steps, colour = whole(rows), PALETTE[k % len(PALETTE)]
            before = f"{name}, " if name else ""
            shares.plot(steps, [100 * r[3] for r in rows], "--", color=colour, marker="o", markersize=3, label=f"{before}clean")
            shares.plot(steps, [100 * r[4] for r in rows], "-", color=colour, marker="s", markersize=3, label=f"{before}certified")
            losses.plot(steps, [r[2] for r in rows], "-", color=colour)
        begins = {tuple(starts(rows)) for rows in trainings.values()}
        for step in begins.pop() if len(begins) == 1 else ():
            for axis in (shares, losses):
                axis.axvline(step, color="#999999", linewidth=0.8)
        shares.set(ylabel="held-out samples, %", ylim=(0, 101))
        losses.set(ylabel="loss", xlabel="steps")
        logarithmic(losses)
        figure.legend(loc="outside upper center", ncols=min(2, len(trainings)), fontsize="small")
    return figure


def whole(rows: Rows) -> list[int]:
    """Return the number of steps that were done at each row, over all phases."""
    before = starts(rows)
    return [row[1] + (0, *before)[row[0]] for row in rows]


def starts(rows: Rows) -> list[int]:
    """Return after how many steps the second and each later phase began."""
    last = max(r[0] for r in rows)
    found: list[int] = []
    for phase in range(last):
        steps = max((r[1] for r in rows if r[0] == phase), default=0)
        found.append(steps + (found[-1] if found else 0))
    return found
