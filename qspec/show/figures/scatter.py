"""Solver against solver: a point for each question, the seconds of one across and of the other upwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qspec.batch.records import Record
from qspec.errors import SpecError
from qspec.show.figures.cactus import LEAST
from qspec.show.figures.style import MARKERS, VERDICTS, canvas, style
from qspec.verify.result import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def scatter(records: Sequence[Record], methods: tuple[str, str]) -> Figure:
    """Return the times of two methods on the questions that both were asked; what one of them left open stands on the edge.

    Raises SpecError if they share no question that one of them decides, and PackageMissingError without matplotlib.
    """
    across, upwards = ({r.question: r for r in records if r.method == m} for m in methods)
    shared = [(across[q], upwards[q]) for q in across if q in upwards]
    decided = [max(LEAST, r.seconds) for pair in shared for r in pair if r.verdict is not Verdict.UNKNOWN]
    if not decided:
        raise SpecError("no question that both were asked is decided", given=" and ".join(methods), expected="two that were asked the same")
    low, high = min(decided) / 1.5, max(decided) * 1.5
    edge = high * 1.8
    with style():
        figure, (axis,) = canvas(4.2, 4.0)
        axis.axline((low, low), (high, high), color="#999999", linewidth=0.8)
        for k, verdict in enumerate((Verdict.HOLDS, Verdict.VIOLATED)):
            own = [(a, b) for a, b in shared if verdict in (a.verdict, b.verdict)]
            if own:
                x, y = ([edge if r.verdict is Verdict.UNKNOWN else max(LEAST, r.seconds) for r in side] for side in zip(*own, strict=True))
                axis.scatter(x, y, s=22, color=VERDICTS[verdict], marker=MARKERS[k], alpha=0.75, label=f"{verdict.name} ({len(own)})")
        for line in (axis.axhline, axis.axvline) if any(r.verdict is Verdict.UNKNOWN for p in shared for r in p) else ():
            line(edge, color="#999999", linewidth=0.8, linestyle=":")
        _scales(axis, low, edge * 1.3)
        axis.set(xlabel=f"{methods[0]}, seconds", ylabel=f"{methods[1]}, seconds", aspect="equal")
        figure.legend(loc="outside upper center", ncols=2, fontsize="small")
    return figure


def _scales(axis: Axes, low: float, high: float) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
    for one in (axis.xaxis, axis.yaxis):
        one.set_major_locator(LogLocator(subs=(1.0,) if high / low > 100 else (1.0, 3.0)))
        one.set_major_formatter("{x:g}")
        one.set_minor_formatter(NullFormatter())
