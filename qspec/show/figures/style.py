"""What all figures have in common: sizes, colours that any colour vision tells apart, and files that are the same each time.

Colours: Okabe and Ito 2008. What a colour says is said by a marker or by text as well.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qspec.errors import SpecError
from qspec.files.atomic import writable
from qspec.support.optional import need
from qspec.verify.result import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = "osD^vP"
DASHES = ("-", "--", "-.", ":")
VERDICTS: Mapping[Verdict, str] = {Verdict.HOLDS: "#0072b2", Verdict.VIOLATED: "#d55e00", Verdict.UNKNOWN: "#999999"}
INK = "#1a1a1a"
"""Text, axes and frames; reports give it the colour of their text."""
SETTINGS: Mapping[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 10.5,
    "grid.alpha": 0.25,
    "grid.color": INK,
    "legend.frameon": False,
    "savefig.transparent": True,
    "svg.fonttype": "none",
    "svg.hashsalt": "qspec",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
}


def style() -> AbstractContextManager[None]:
    """Return the context in which figures are made; raises PackageMissingError without matplotlib."""
    need("matplotlib", "plot", "a figure")
    from matplotlib import rc_context

    settings: Any = dict(SETTINGS)
    return rc_context(settings)


def canvas(
    width: float, height: float, rows: int = 1, columns: int = 1, *, heights: tuple[float, ...] | None = None
) -> tuple[Figure, list[Axes]]:
    """Return a figure of so many inches, and its axes row by row; those below each other share their x axis."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharex="col" if rows > 1 else False, height_ratios=heights)
    return figure, list(grid.flat)


def look(k: int) -> dict[str, Any]:
    """Return colour, marker and dashes of the k-th series."""
    return {
        "color": PALETTE[k % len(PALETTE)],
        "marker": MARKERS[k % len(MARKERS)],
        "linestyle": DASHES[k % len(DASHES)],
        "markersize": 5,
    }


KINDS = (".svg", ".png", ".pdf")
"""Suffixes of the files that figures are written to."""


def check_drawable(path: str | os.PathLike[str] | None) -> None:
    """Raise, before anything takes time, SpecError if no figure can be written there, PackageMissingError without matplotlib."""
    if path is None:
        return
    if Path(path).suffix not in KINDS or not writable(Path(path)):
        raise SpecError("cannot write the figure there", given=str(path), expected="a file .svg, .png or .pdf, in a folder that exists")
    need("matplotlib", "plot", "a figure")


def saved(figure: Figure, path: str | os.PathLike[str] | None) -> Figure:
    """Write a figure to a file, if one is named, and return it; raises SpecError if it cannot be written there."""
    if path is None:
        return figure
    kind = Path(path).suffix
    opaque: dict[str, Any] = {"facecolor": "white", "transparent": False, "dpi": 200}
    try:
        with style():
            figure.savefig(path, metadata={"Date": None} if kind in (".svg", ".pdf") else None, **opaque)
    except (OSError, ValueError) as error:
        raise SpecError("cannot write the figure there", given=str(path), expected=f"a file .svg, .png or .pdf ({error})") from None
    return figure


def svg(figure: Figure) -> str:
    """Return a figure as SVG text, without the declaration before it, on no background."""
    stream = io.StringIO()
    with style():
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = stream.getvalue()
    return text[text.index("<svg") :]


def logarithmic(axis: Axes) -> None:
    """Make the y axis logarithmic, with plain numbers at 1, 2 and 5."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter(NullFormatter())
