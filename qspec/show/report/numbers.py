"""Numbers that know the rows they come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from qspec.batch.curves import methods
from qspec.batch.records import ERROR, REAL, Record
from qspec.verify.result import Verdict


@dataclass(frozen=True, slots=True)
class Cell:
    """A number as text, and the ids of the rows that it was made from, as ranges: `0-98,105`. Without rows it is plain text."""

    text: str
    rows: str = ""
    verdict: str = ""
    """If it is about one verdict."""


@dataclass(frozen=True, slots=True)
class ReportTable:
    """A table; the first `heads` cells of each row are its head."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    heads: int = 1


def count(records: Iterable[Record]) -> Cell:
    """Return how many rows there are, and which."""
    ids = [r.id for r in records]
    return Cell(str(len(ids)), ranges(ids))


def figure(value: float, records: Iterable[Record]) -> Cell:
    """Return a number made from some rows, with three digits."""
    return Cell(f"{value:.3g}", ranges([r.id for r in records]))


def text(value: object) -> Cell:
    """Return what is no number of results."""
    return Cell(str(value))


def ranges(ids: Iterable[int]) -> str:
    """Return whole numbers as ranges, in order."""
    found: list[list[int]] = []
    for k in sorted(set(ids)):
        if found and found[-1][1] == k - 1:
            found[-1][1] = k
        else:
            found.append([k, k])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in found)


def matrix(records: Sequence[Record]) -> ReportTable | None:
    """Return the verdicts of every property by every method, or how many have which; None if there is one property only."""
    names, who = list(dict.fromkeys(r.name for r in records)), methods(records)
    if len(names) < 2:
        return None
    groups: dict[tuple[str, str], list[Record]] = {}
    for r in records:
        groups.setdefault((r.name, r.method), []).append(r)
    return ReportTable(["property", *who], [[text(n), *(_together(groups.get((n, m), [])) for m in who)] for n in names])


def _together(own: Sequence[Record]) -> Cell:
    """Return the verdict that some rows have in common, or how many hold, are violated, are unknown."""
    found = list(dict.fromkeys(r.verdict.name for r in own))
    rows = ranges([r.id for r in own])
    if len(found) == 1:
        return Cell(found[0] if len(own) == 1 else f"{len(own)} {found[0]}", rows, found[0])
    return Cell(" / ".join(str(sum(r.verdict is v for r in own)) for v in Verdict), rows) if own else text("")


def verdicts(records: Sequence[Record], by: Sequence[str]) -> ReportTable:
    """Return how many queries ended how and what they took, by bits, the parameters in `by`, and method.

    What is the same for all rows is left out, but for the method.
    """
    keys: dict[str, Callable[[Record], object]] = {"bits": lambda r: REAL if r.method == REAL else "" if r.bits is None else r.bits}
    keys.update({name: lambda r, name=name: r.parameters.get(name, "") for name in by})
    telling = {k: value for k, value in keys.items() if len({str(value(r)) for r in records}) > 1}
    groups: dict[tuple[str, ...], list[Record]] = {}
    for r in records:
        groups.setdefault((*(str(value(r)) for value in telling.values()), r.method), []).append(r)
    rows = [[*map(text, key), *_verdicts(own)] for key, own in groups.items()]
    columns = [*telling, "method", "queries", *(v.name for v in Verdict), "errors", "sum s", "median s", "max s"]
    return ReportTable(columns, rows, len(telling) + 1)


def _verdicts(own: Sequence[Record]) -> list[Cell]:
    failed = [r for r in own if r.reason == ERROR]
    asked = [r for r in own if r.reason != ERROR]
    seconds = [r.seconds for r in own]
    return [
        count(own),
        *(count(r for r in asked if r.verdict is v) for v in Verdict),
        count(failed),
        figure(sum(seconds), own),
        figure(median(seconds), own),
        figure(max(seconds), own),
    ]


def evidence(records: Sequence[Record]) -> ReportTable:
    """Return on what verdicts stand, and why there is none; what holds vacuously is counted apart."""
    names = methods(records)
    kinds: dict[tuple[str, str], list[Record]] = {}
    for r in records:
        kinds.setdefault((r.verdict.name, "nothing meets the assumption" if r.vacuous else r.reason or r.evidence), []).append(r)
    rows = [[*map(text, kind), *(count(r for r in own if r.method == m) for m in names)] for kind, own in sorted(kinds.items())]
    return ReportTable(["verdict", "by, or why", *names], rows, 2)


def agreement(records: Sequence[Record]) -> ReportTable | None:
    """Return for each two methods how many common queries they agree on, contradict each other on, and only one or none decides."""
    asked: dict[str, dict[str, Record]] = {}
    for r in records:
        asked.setdefault(r.method, {})[r.question] = r
    rows: list[list[Cell]] = []
    names = list(asked)
    for k, a in enumerate(names):
        for b in names[k + 1 :]:
            pairs = [(asked[a][q], asked[b][q]) for q in asked[a] if q in asked[b]]
            if pairs:
                rows.append([text(a), text(b), *_pairs(pairs)])
    return (
        ReportTable(["method", "method", "common", "agree", "contradict", "only first", "only second", "neither"], rows, 2)
        if rows
        else None
    )


def _pairs(pairs: Sequence[tuple[Record, Record]]) -> list[Cell]:
    def those(wanted: Callable[[bool, bool, bool], bool]) -> Cell:
        found: list[int] = []
        for a, b in pairs:
            if wanted(a.verdict is not Verdict.UNKNOWN, b.verdict is not Verdict.UNKNOWN, a.verdict is b.verdict):
                found += [a.id, b.id]
        return Cell(str(len(found) // 2), ranges(found))

    return [
        those(lambda a, b, same: True),
        those(lambda a, b, same: a and b and same),
        those(lambda a, b, same: a and b and not same),
        those(lambda a, b, same: a and not b),
        those(lambda a, b, same: b and not a),
        those(lambda a, b, same: not a and not b),
    ]


def decided(records: Sequence[Record]) -> Mapping[str, Sequence[Record]]:
    """Return what each method decided, quickest first."""
    found: dict[str, list[Record]] = {}
    for r in sorted(records, key=lambda r: r.seconds):
        if r.verdict is not Verdict.UNKNOWN:
            found.setdefault(r.method, []).append(r)
    return {m: found[m] for m in methods(records) if m in found}
