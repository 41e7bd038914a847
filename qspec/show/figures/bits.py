"""Verdicts and accuracy against the number of bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qspec.batch.curves import Share, shares, steps, widths
from qspec.batch.records import REAL, Bits, Record
from qspec.show.figures.style import canvas, look, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def against_bits(records: Sequence[Record]) -> Figure:
    """Return a figure: above, how many hold by each method; below, the accuracy, if it is known.

    A band reaches from what is known to hold to what may hold. A ring marks where more bits have cost a property, or accuracy. Raises
    PackageMissingError without matplotlib.
    """
    found = shares(records)
    order = widths(records)
    place = {b: b if all(isinstance(w, int) for w in order) else k for k, b in enumerate(order)}
    known = any(s.accuracy is not None for s in found)
    with style():
        figure, axes = canvas(4.8, 4.6 if known else 3.2, 1 + known, heights=(2, 1) if known else None)
        _held(axes[0], found, place)
        if known:
            _accuracy(axes[1], found, place)
        _rings(axes, records, place)
        axes[-1].set_xlabel("bits")
        axes[-1].set_xticks([float(x) for x in place.values()], [str(b) for b in place])
    return figure


def claimed(share: Share) -> float:
    """Return of how many properties, in per cent, a method says that they hold."""
    return 100 * sum(r.claim is True for r in share.records) / len(share.records)


def _held(axis: Axes, found: Sequence[Share], place: dict[Bits, Bits]) -> None:
    for k, method in enumerate(dict.fromkeys(s.method for s in found)):
        own = [s for s in found if s.method == method]
        if method == REAL:
            axis.axhline(claimed(own[0]), color=look(k)["color"], linestyle=look(k)["linestyle"], label="real network")
            continue
        points = [(place[s.bits], claimed(s), s) for s in own if s.bits is not None]
        xs = [float(x) for x, _, _ in points]
        axis.plot(xs, [y for _, y, _ in points], **look(k), label=f"{method}: nothing found" if method == "falsify" else method)
        above = [y + 100 * sum(r.claim is None for r in s.records) / len(s.records) for _, y, s in points]
        axis.fill_between(xs, [y for _, y, _ in points], above, color=look(k)["color"], alpha=0.2, linewidth=0)
    axis.set(ylabel="hold, %", ylim=(-4, 104))
    axis.legend(loc="best", fontsize="small")


def _accuracy(axis: Axes, found: Sequence[Share], place: dict[Bits, Bits]) -> None:
    seen = {s.bits: s.accuracy for s in found if s.accuracy is not None}
    points = [(float(place[b]), 100 * a) for b, a in seen.items() if b is not None]
    axis.plot([x for x, _ in points], [y for _, y in points], color="#666666", marker="o", markersize=5, label="quantised")
    if None in seen:
        axis.axhline(100 * seen[None], color="#666666", linestyle="--", label="real network")
        axis.legend(loc="best", fontsize="small")
    axis.set(ylabel="accuracy, %")


def _rings(axes: Sequence[Axes], records: Sequence[Record], place: dict[Bits, Bits]) -> None:
    """Mark steps that go the wrong way."""
    found = {(s.bits, s.method): s for s in shares(records)}
    ring: dict[str, Any] = {
        "marker": "o",
        "markersize": 13,
        "markerfacecolor": "none",
        "markeredgecolor": "#d55e00",
        "linestyle": "",
        "clip_on": False,
    }
    exact = next((r.method for r in records if r.exact), "")
    for step in steps(records):
        share = found.get((step.after, exact))
        if step.lost and share is not None:
            axes[0].plot([float(place[step.after])], [claimed(share)], **ring)
        if step.accuracy is not None and step.accuracy < 0 and share is not None and share.accuracy is not None and len(axes) > 1:
            axes[1].plot([float(place[step.after])], [100 * share.accuracy], **ring)
