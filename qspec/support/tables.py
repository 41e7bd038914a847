"""Plain rows as text for other programs: CSV, and LaTeX in the style of booktabs."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

SPECIAL = str.maketrans(
    {
        **{c: f"\\{c}" for c in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
    }
)


def to_csv(rows: Sequence[Mapping[str, object]]) -> str:
    """Return rows as CSV (RFC 4180), the names of the columns first."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def to_latex(rows: Sequence[Mapping[str, object]]) -> str:
    """Return rows as a LaTeX tabular with rules of the package booktabs; numbers stand at the right."""
    names = list(rows[0]) if rows else []
    right = [all(isinstance(row[n], int | float) and not isinstance(row[n], bool) for row in rows) for n in names]
    lines = [" & ".join(_cell(v) for v in line) + r" \\" for line in (names, *(row.values() for row in rows))]
    columns = "".join("r" if r else "l" for r in right)
    body = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule", r"\end{tabular}"]
    return "\n".join(body) + "\n"


def _cell(value: object) -> str:
    return (f"{value:.2f}" if isinstance(value, float) else "" if value is None else str(value)).translate(SPECIAL)
