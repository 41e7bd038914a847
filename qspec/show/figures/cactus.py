"""How many queries each solver decides in what time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from qspec.show.figures.style import canvas, logarithmic, look, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST = 1e-3
"""Seconds below which times are not told apart."""


def cactus(seconds: Mapping[str, Sequence[float]]) -> Figure:
    """Return a cactus plot of the seconds that each solver took for what it decided: the quickest first.

    Raises PackageMissingError without matplotlib.
    """
    with style():
        figure, (axis,) = canvas(4.8, 3.2)
        for k, (solver, times) in enumerate(seconds.items()):
            ordered = [max(LEAST, t) for t in sorted(times)]
            every = max(1, len(ordered) // 12)
            axis.plot(range(1, len(ordered) + 1), ordered, **look(k), markevery=every, label=f"{solver} ({len(ordered)})")
        axis.set(xlabel="queries decided", ylabel="seconds each, at most")
        logarithmic(axis)
        axis.legend(loc="best", fontsize="small")
    return figure
