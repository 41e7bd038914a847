"""The queries of batches that have finished, as one table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real

from qspec.batch.many import Finished
from qspec.batch.records import ERROR, Record
from qspec.errors import SpecError
from qspec.solver import Reason
from qspec.support.plain import plain
from qspec.support.tables import Row, Tabular
from qspec.verify.result import Result, Verdict, all_hold


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes(Tabular):
    """Finished queries, those of each batch in the order in which they were asked; `Outcomes.of` runs batches."""

    finished: tuple[Finished, ...]

    @classmethod
    def of(cls, *batches: Iterable[Finished]) -> Outcomes:
        """Run batches to their end, one after the other: what `verify_many` returns, or lists of it. Several solvers are several batches.

        Raises SpecError on what is no finished query, and whatever a batch raises.
        """
        found: list[Finished] = []
        for batch in batches:
            own = list(batch)
            stray = [f for f in own if not isinstance(f, Finished)]  # pyright: ignore[reportUnnecessaryIsInstance]
            if stray:
                raise SpecError("not a finished query", given=stray[0], expected="what qs.verify_many yields")
            found += sorted(own, key=lambda f: f.index)
        return cls(tuple(found))

    @property
    def verdict(self) -> Verdict:
        """VIOLATED if one is, HOLDS if all do, else UNKNOWN."""
        return all_hold(f.verdict for f in self.finished)

    @property
    def reason(self) -> Reason | None:
        """INCOMPLETE if the verdict is unknown; the rows say more."""
        return Reason.INCOMPLETE if self.verdict is Verdict.UNKNOWN else None

    def rows(self) -> list[Row]:
        """Return a plain row for each query: index, property, solver, verdict, its grounds, seconds; parameters that are single values."""
        singles = [{k: v for k, v in f.parameters.items() if isinstance(v, str | Real)} for f in self.finished]
        names = list(dict.fromkeys(name for single in singles for name in single))
        return [
            _row(f) | {f"parameter {n}" if n in FIXED else n: plain(single.get(n)) for n in names}
            for f, single in zip(self.finished, singles, strict=True)
        ]

    def records(self) -> tuple[Record, ...]:
        """Return the results as figures take them."""
        return tuple(_record(k, f) for k, f in enumerate(self.finished))

    def __str__(self) -> str:
        count = {v: sum(f.verdict is v for f in self.finished) for v in Verdict}
        return f"{len(self.finished)} queries: " + ", ".join(f"{n} {v.name}" for v, n in count.items() if n)


def _row(f: Finished) -> Row:
    r = f.outcome if isinstance(f.outcome, Result) else None
    return {
        "index": f.index,
        "property": f.name,
        "solver": None if r is None else r.solver,
        "verdict": f.verdict.name,
        "evidence": None if r is None else r.evidence.name,
        "reason": _reason(f),
        "seconds": None if r is None else r.times.total,
        "resumed": f.resumed,
    }


def _record(k: int, f: Finished) -> Record:
    r = f.outcome if isinstance(f.outcome, Result) else None
    question = f"{f.name} {f.index}"
    if r is None:
        return Record(k, f.name, question, question, "", f.verdict, "NONE", ERROR, str(f.outcome), 0.0)
    return Record(k, f.name, question, question, r.solver, f.verdict, r.evidence.name, _reason(f), r.detail, r.times.total)


def _reason(f: Finished) -> str | None:
    return ERROR if f.error else None if f.reason is None else f.reason.name


FIXED = ("index", "property", "solver", "verdict", "evidence", "reason", "seconds", "resumed")
"""Columns that every batch has; a parameter of such a name says that it is one."""
