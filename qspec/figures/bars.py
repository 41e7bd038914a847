"""Verdicts as stacked bars, one for each value of a parameter such as the radius."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qspec.figures.style import VERDICTS, canvas, style
from qspec.result import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HATCH = {Verdict.HOLDS: "", Verdict.VIOLATED: "////", Verdict.UNKNOWN: "...."}


def bars(counts: Mapping[str, Mapping[Verdict, int]], what: str) -> Figure:
    """Return stacked bars of how many queries have which verdict, in per cent, for each value of `what`.

    Raises PackageMissingError without matplotlib.
    """
    names = list(counts)
    totals = [max(1, sum(counts[n].values())) for n in names]
    with style():
        figure, (axis,) = canvas(4.8, 2.8)
        below = [0.0] * len(names)
        for verdict, colour in VERDICTS.items():
            shares = [100 * counts[n].get(verdict, 0) / t for n, t in zip(names, totals, strict=True)]
            style_of: dict[str, Any] = {"color": colour, "hatch": HATCH[verdict], "edgecolor": "white", "linewidth": 0.6}
            axis.bar(names, shares, 0.7, bottom=below, label=verdict.name, **style_of)
            below = [b + s for b, s in zip(below, shares, strict=True)]
        axis.set(xlabel=what, ylabel="queries, %", ylim=(0, 100))
        axis.grid(visible=False, axis="x")
        figure.legend(loc="outside upper center", ncols=3, fontsize="small")
    return figure
