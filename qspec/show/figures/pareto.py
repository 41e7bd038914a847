"""Size against what it buys: accuracy and certified robustness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qspec.show.figures.style import canvas, look, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Offer:
    """What one choice of formats costs and gives, and whether everything was proved."""

    kibibytes: float
    certified: float
    accuracy: float | None
    proved: bool
    label: str


def pareto(offers: Sequence[Offer]) -> Figure:
    """Return certified robustness, and accuracy if it is known, against the size of all parameters; raises PackageMissingError.

    The line joins the offers that no other one beats in size and share certified; filled points are proved on all samples, and named.
    """
    known = any(o.accuracy is not None for o in offers)
    with style():
        figure, axes = canvas(4.8, 4.6 if known else 3.2, 1 + known, heights=(2, 1) if known else None)
        for axis, of, name in zip(axes, ("certified", "accuracy"), ("certified, %", "accuracy, %"), strict=False):
            points = [(o.kibibytes, 100 * value, o) for o in offers if (value := getattr(o, of)) is not None]
            front = frontier([(x, y) for x, y, _ in points])
            axis.plot([x for x, _ in front], [y for _, y in front], color=look(0)["color"], linewidth=1, alpha=0.6, drawstyle="steps-post")
            for x, y, o in points:
                axis.plot([x], [y], color=look(0)["color"], marker="o", markersize=6, markerfacecolor=None if o.proved else "none")
            axis.set_ylabel(name)
        best = min((o for o in offers if o.proved), key=lambda o: o.kibibytes, default=None)
        if best is not None:
            text: dict[str, Any] = {"xytext": (6, -12), "textcoords": "offset points", "fontsize": "small"}
            axes[0].annotate(best.label, (best.kibibytes, 100 * best.certified), **text)
        axes[-1].set_xlabel("parameters, KiB")
    return figure


def frontier(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points that no other one beats: none is smaller and gives as much."""
    best: list[tuple[float, float]] = []
    for x, y in sorted(points, key=lambda p: (p[0], -p[1])):
        if not best or y > best[-1][1]:
            best.append((x, y))
    return best
