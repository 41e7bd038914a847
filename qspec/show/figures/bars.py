"""Verdicts, or shares of a test set, as stacked bars, one for each value of a parameter such as the radius."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qspec.show.figures.style import PALETTE, VERDICTS, canvas, style
from qspec.verify.result import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Look = tuple[str, str]
"""A colour, and a hatch that tells it apart without."""
HATCH = {Verdict.HOLDS: "", Verdict.VIOLATED: "////", Verdict.UNKNOWN: "...."}
SHARES: Mapping[str, Look] = {
    "certified": (VERDICTS[Verdict.HOLDS], HATCH[Verdict.HOLDS]),
    "undecided": (VERDICTS[Verdict.UNKNOWN], HATCH[Verdict.UNKNOWN]),
    "refuted": (VERDICTS[Verdict.VIOLATED], HATCH[Verdict.VIOLATED]),
    "misclassified": (PALETTE[3], "xxxx"),
}
"""Of a certification: the first three together are the clean share."""
LOOKS: Mapping[str, Look] = {v.name: (colour, HATCH[v]) for v, colour in VERDICTS.items()}


def bars(counts: Mapping[str, Mapping[Verdict, int]], what: str) -> Figure:
    """Return stacked bars of how many queries have which verdict, in per cent, for each value of `what`.

    Raises PackageMissingError without matplotlib.
    """
    return _stacked({n: {v.name: k for v, k in c.items()} for n, c in counts.items()}, what, "queries, %", LOOKS)


def shares(counts: Mapping[str, Mapping[str, int]], what: str) -> Figure:
    """Return stacked bars of how many samples are certified, undecided, refuted, misclassified, in per cent, for each value of `what`.

    Raises PackageMissingError without matplotlib.
    """
    return _stacked(counts, what, "samples, %", SHARES)


def _stacked(counts: Mapping[str, Mapping[str, int]], what: str, unit: str, looks: Mapping[str, Look]) -> Figure:
    names = list(counts)
    totals = [max(1, sum(counts[n].values())) for n in names]
    with style():
        figure, (axis,) = canvas(4.8, 2.8)
        below = [0.0] * len(names)
        for kind, (colour, hatch) in looks.items():
            parts = [100 * counts[n].get(kind, 0) / t for n, t in zip(names, totals, strict=True)]
            style_of: dict[str, Any] = {"color": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0.6}
            axis.bar(names, parts, 0.7, bottom=below, label=kind, **style_of)
            below = [b + p for b, p in zip(below, parts, strict=True)]
        axis.set(xlabel=what, ylabel=unit, ylim=(0, 100))
        axis.grid(visible=False, axis="x")
        figure.legend(loc="outside upper center", ncols=len(looks), fontsize="small")
    return figure
