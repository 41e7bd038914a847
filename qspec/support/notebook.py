"""HTML for notebooks: plain text, tables, and pictures of numbers, without scripts, styles of their own or anything from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

COLOURS = {"HOLDS": "#00897b", "VIOLATED": "#e0353b", "UNKNOWN": "#967700"}
"""Legible on white and on black alike: a contrast of 4.2 at least."""
SIDE = 112
"""Pixels of the longer side of a picture."""


def verdict(word: str, rest: str) -> str:
    """Return a verdict in its colour, and what is said of it."""
    return f'<p><b style="color: {COLOURS[word]}">{word}</b> {escape(rest)}</p>'


def text(content: str) -> str:
    """Return text as it is, in lines."""
    return f'<pre style="overflow-x: auto">{escape(content)}</pre>'


def table(rows: Sequence[Sequence[object]], *, header: Sequence[str] = (), caption: str = "") -> str:
    """Return rows as a table."""
    above = f'<caption style="text-align: left">{escape(caption)}</caption>' if caption else ""
    head = "<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in header) + "</tr>" if header else ""
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{above}{head}{body}</table>"


def picture(rows: Sequence[Sequence[float]], low: float, high: float, title: str) -> str:
    """Return numbers as grey squares, from `low` (black) to `high` (white), with a title that screen readers read."""
    height, width = len(rows), len(rows[0])
    squares = "".join(
        f'<rect x="{x}" y="{y}" width="1.02" height="1.02" fill="rgb({g},{g},{g})"/>'
        for y, row in enumerate(rows)
        for x, value in enumerate(row)
        for g in [round(255 * (value - low) / ((high - low) or 1))]
    )
    scale = SIDE / max(height, width)
    size = f'width="{round(width * scale)}" height="{round(height * scale)}" viewBox="0 0 {width} {height}"'
    return f'<svg role="img" {size} shape-rendering="crispEdges"><title>{escape(title)}</title>{squares}</svg>'
