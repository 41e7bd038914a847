"""One HTML page about results that needs nothing else: no network, no other file; every number leads to its rows.

Text from files is escaped by the template engine; figures are SVG in the page, and take the colours of its text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qspec.batch.curves import Judged, judged, methods, shares, steps, widths
from qspec.batch.records import ERROR, Record
from qspec.errors import SoundnessError, SpecError
from qspec.show.figures.bars import bars
from qspec.show.figures.bits import against_bits
from qspec.show.figures.cactus import cactus
from qspec.show.figures.style import INK, svg
from qspec.show.report.embed import embedded
from qspec.show.report.numbers import Cell, ReportTable, agreement, count, decided, evidence, figure, matrix, ranges, text, verdicts
from qspec.show.report.pictures import solutions
from qspec.show.report.read import Source
from qspec.support.optional import need
from qspec.verify.result import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BY = ("radius", "epsilon", "eps", "distance", "tolerance")
"""Parameters that verdicts are drawn against, where they have several values."""
PICTURES = 24
GLYPHS: Mapping[str, str] = {"HOLDS": "●", "VIOLATED": "✕", "UNKNOWN": "?", ERROR: "!"}
COLOURS = {
    INK: "currentColor",
    "#0072b2": "var(--holds)",
    "#d55e00": "var(--violated)",
    "#999999": "var(--unknown)",
    "#666666": "var(--soft)",
}
"""Colours of figures that the page has brighter in the dark."""
COUNTED = ("true_robust", "false_robust", "true_vulnerable", "false_vulnerable", "undecided")


@dataclass(frozen=True, slots=True)
class Drawn:
    """A figure of the page, and the numbers in it as a table."""

    title: str
    words: str
    svg: Any
    table: ReportTable


def page(
    records: Sequence[Record],
    sources: Sequence[Source],
    *,
    title: str = "Verification report",
    by: Sequence[str] = (),
    most: int = PICTURES,
) -> str:
    """Return the page about some results as text.

    `by` are parameters to draw verdicts against, besides those usual for radii; `most` counterexamples are shown. Raises SpecError if a
    row is damaged or nobody has such a parameter, and PackageMissingError without jinja2 or matplotlib.
    """
    need("jinja2", "report", "a report")
    need("matplotlib", "report", "a report")
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
    from markupsafe import Markup

    shown, hidden = solutions(records, most)
    environment = Environment(
        loader=PackageLoader("qspec.show.report", "."),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    axes = _axes(records, by)
    contradiction, right, changes = _judgements(records)
    return environment.get_template("page.html.j2").render(
        title=title,
        sources=sources,
        records=records,
        glyphs=GLYPHS,
        word=_word,
        total=count(records),
        totals=[(v.name, count(r for r in records if r.verdict is v and r.reason != ERROR)) for v in Verdict],
        failed=count(r for r in records if r.reason == ERROR),
        vacuous=count(r for r in records if r.vacuous),
        methods=methods(records),
        matrix=matrix(records),
        verdicts=verdicts(records, axes),
        evidence=evidence(records),
        strips=_strips(records, axes),
        agreement=agreement(records),
        contradiction=contradiction,
        judged=right,
        steps=changes,
        drawn=_figures(records, axes, sound=not contradiction),
        solutions=shown,
        hidden=hidden,
        environment=_environment(records),
        scalars=_scalars(records),
        data=Markup(embedded(records)),
    )


def _axes(records: Sequence[Record], by: Sequence[str]) -> list[str]:
    """Return the parameters to draw verdicts against: those asked for, and usual ones with several values."""
    for name in by:
        if not any(name in r.parameters for r in records):
            known = sorted({k for r in records for k in _scalar(r)})
            raise SpecError("no row has such a parameter", given=name, expected=", ".join(known) or "none has any")
    usual = [n for n in BY if n not in by and len({str(r.parameters[n]) for r in records if n in r.parameters}) > 1]
    return [*by, *usual]


def _word(record: Record) -> str:
    return ERROR if record.reason == ERROR else record.verdict.name


def _judgements(records: Sequence[Record]) -> tuple[str, ReportTable | None, ReportTable | None]:
    """Return a contradiction among exact verdicts, if there is one, or else who is right, and what more bits have cost."""
    if not widths(records):
        return "", None, None
    try:
        right, changes = judged(records), steps(records)
    except SoundnessError as error:
        return str(error), None, None
    rows = [[text(j.method), text(j.bits), *(count(getattr(j, c)) for c in COUNTED), _lost(j)] for j in right]
    table = ReportTable(["method", "bits", *(c.replace("_", " ") for c in COUNTED), "lost when rounded"], rows, 2)
    told = [
        [
            text(f"{s.before} to {s.after}"),
            count(r for r in records if r.subject in s.gained and r.bits in (s.before, s.after)) if s.gained else text(0),
            count(r for r in records if r.subject in s.lost and r.bits in (s.before, s.after)) if s.lost else text(0),
            text("" if s.accuracy is None else f"{100 * s.accuracy:+.2f}"),
            text("yes" if s.monotone else "no"),
        ]
        for s in changes
    ]
    for row, s in zip(told, changes, strict=True):
        row[1], row[2] = Cell(str(len(s.gained)), row[1].rows), Cell(str(len(s.lost)), row[2].rows)
    columns = ["bits", "violated, then hold", "hold, then violated", "accuracy, points", "monotone"]
    return "", table, ReportTable(columns, told) if told else None


def _lost(j: Judged) -> Cell:
    return (
        Cell(f"{len(j.lost)} of {len(j.lost) + len(j.kept)}", ranges([r.id for r in (*j.lost, *j.kept)])) if j.lost or j.kept else text("")
    )


def _strips(records: Sequence[Record], axes: Sequence[str]) -> list[tuple[str, list[Record]]]:
    """Return every row as one mark, in strips of one method, number of bits and value of each axis."""
    found: dict[str, list[Record]] = {}
    for r in records:
        bits = [] if r.bits is None else [f"{r.bits} bits"]
        label = " · ".join([r.method, *bits, *(f"{a} {r.parameters[a]}" for a in axes if a in r.parameters)])
        found.setdefault(label, []).append(r)
    return list(found.items())


def _figures(records: Sequence[Record], axes: Sequence[str], *, sound: bool) -> list[Drawn]:
    """Return the figures that these results have something for."""
    found: list[Drawn] = []
    if widths(records) and sound:
        rows = [
            [
                text("real" if s.bits is None else s.bits),
                text(s.method),
                *(count(s.of(v)) for v in Verdict),
                text("") if s.accuracy is None else Cell(f"{100 * s.accuracy:.2f}", ranges([r.id for r in s.records])),
            ]
            for s in shares(records)
        ]
        table = ReportTable(["bits", "method", *(v.name for v in Verdict), "accuracy, %"], rows, 2)
        words = "How many hold by each method, and the accuracy, against bits. Rings mark steps at which more bits cost something."
        found.append(_drawn("Against bits", words, against_bits(records), table, len(found)))
    for axis in axes:
        for method in methods(records):
            own = [r for r in records if r.method == method and axis in r.parameters]
            if own:
                found.append(_against(axis, method, own, len(found)))
    quick = decided(records)
    if quick:
        rows = [
            [text(m), count(own), figure(sum(r.seconds for r in own), own), figure(max(r.seconds for r in own), own)]
            for m, own in quick.items()
        ]
        words = "How many queries each method decides within how many seconds each: the further right and the lower, the better."
        drawn = cactus({m: [r.seconds for r in own] for m, own in quick.items()})
        found.append(_drawn("Time", words, drawn, ReportTable(["method", "decided", "sum s", "max s"], rows), len(found)))
    return found


def _against(axis: str, method: str, own: Sequence[Record], number: int) -> Drawn:
    values = sorted({str(r.parameters[axis]) for r in own}, key=_in_order)
    groups = {v: [r for r in own if str(r.parameters[axis]) == v] for v in values}
    counts = {v: Counter(r.verdict for r in g) for v, g in groups.items()}
    rows = [[text(v), count(g), *(count(r for r in g if r.verdict is w) for w in Verdict)] for v, g in groups.items()]
    table = ReportTable([axis, "queries", *(v.name for v in Verdict)], rows)
    return _drawn(f"Against {axis}: {method}", f"The verdicts of {method} for each {axis}.", bars(counts, axis), table, number)


def _in_order(value: str) -> tuple[float, str]:
    try:
        top, _, bottom = value.partition("/")
        return float(top) / float(bottom or 1), value
    except (ValueError, ZeroDivisionError):
        return float("inf"), value


def _drawn(title: str, words: str, made: Figure, table: ReportTable, number: int) -> Drawn:
    """Return a figure whose names occur once in the page, which scales, and whose ink is the page's."""
    from markupsafe import Markup

    code = svg(made)
    code = re.sub(r'(\bid="|url\(#|href="#)', lambda m: f"{m.group(1)}f{number}-", code)
    code = re.sub(r"<metadata>.*?</metadata>", "", code, flags=re.DOTALL)
    for colour, name in COLOURS.items():
        code = code.replace(colour, name)
    head = f'<svg role="img" aria-labelledby="figure-{number}" '
    code = head + re.sub(r'\b(width|height)="[\d.]+pt" ', "", code[len("<svg ") :], count=2)
    return Drawn(title, words, Markup(code), table)  # matplotlib has escaped the text in it


def _environment(records: Sequence[Record]) -> Mapping[str, ReportTable]:
    """Return versions, limits and networks, each with the rows that name them."""
    found: dict[str, dict[tuple[str, str], list[Record]]] = {"Versions": {}, "Networks and queries": {}, "Limits": {}}
    for r in records:
        result: Mapping[str, Any] = r.source.get("result", r.source)
        told = [("Versions", k, v) for k, v in result.get("versions", {}).items()]
        if result.get("solver_version"):
            told.append(("Versions", f"solver {result['solver']}", result["solver_version"]))
        told += [("Networks and queries", k, v) for k, v in result.get("hashes", {}).items() if k != "query"]
        told += [("Limits", k, "none" if v is None else v) for k, v in result.get("limits", {}).items()]
        for part, name, value in told:
            found[part].setdefault((str(name), str(value)), []).append(r)
    return {
        part: ReportTable(["what", "value", "rows"], [[text(n), text(v), count(own)] for (n, v), own in told.items()], 1)
        for part, told in found.items()
        if told
    }


def _scalar(record: Record) -> dict[str, object]:
    return {k: v for k, v in record.parameters.items() if isinstance(v, int | float | str)}


def _scalars(records: Sequence[Record]) -> list[str]:
    """Return the parameters that are one number somewhere: the columns of the table of all rows."""
    return list(dict.fromkeys(k for r in records for k in _scalar(r)))[:6]
