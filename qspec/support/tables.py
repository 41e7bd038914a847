"""Plain rows as tables for other programs: polars, CSV, and LaTeX in the style of booktabs."""

from __future__ import annotations

import csv
import io
import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qspec.errors import SpecError
from qspec.support.optional import need

if TYPE_CHECKING:
    from polars import DataFrame

Row = dict[str, object]
SPECIAL = str.maketrans(
    {
        **{c: f"\\{c}" for c in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
    }
)


class Tabular:
    """A result that is a table: whoever has `rows` gets the other forms. `columns` chooses some, in this order."""

    __slots__ = ()

    @abstractmethod
    def rows(self) -> list[Row]:
        """Return a plain dictionary for each row, all with the same names of columns."""

    def to_polars(self, columns: Sequence[str] | None = None) -> DataFrame:
        """Return the rows as a polars table; a column of mixed kinds is text. Raises PackageMissingError without polars."""
        need("polars", "report", "a table")
        import polars

        rows = self._chosen(columns)
        mixed = {n for n in (rows[0] if rows else ()) if len({_kind(row[n]) for row in rows} - {"nothing"}) > 1}
        plain = [{n: str(v) if n in mixed and v is not None else v for n, v in row.items()} for row in rows]
        return polars.DataFrame(plain, infer_schema_length=None)

    def to_csv(self, path: str | os.PathLike[str] | None = None, columns: Sequence[str] | None = None) -> str:
        """Return the rows as CSV, and write it to a file if one is named; raises SpecError if that fails."""
        return _written(to_csv(self._chosen(columns)), path)

    def to_latex(self, path: str | os.PathLike[str] | None = None, columns: Sequence[str] | None = None) -> str:
        """Return the rows as a LaTeX tabular with rules of booktabs, and write it to a file if one is named; raises SpecError."""
        return _written(to_latex(self._chosen(columns)), path)

    def _chosen(self, columns: Sequence[str] | None) -> list[Row]:
        rows = self.rows()
        if columns is None or not rows:
            return rows
        stray = [columns] if isinstance(columns, str) else [n for n in columns if n not in rows[0]]
        if stray:
            raise SpecError("no such columns", given=", ".join(map(str, stray)), expected=f"a list of some of {', '.join(rows[0])}")
        return [{n: row[n] for n in columns} for row in rows]


def _kind(value: object) -> str:
    return (
        "nothing" if value is None else "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__
    )


def _written(text: str, path: str | os.PathLike[str] | None) -> str:
    if path is not None:
        try:
            Path(path).write_text(text, encoding="utf-8", newline="")
        except OSError as error:
            raise SpecError("cannot write the table there", given=str(path), expected=f"a file in a folder that exists ({error})") from None
    return text


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
