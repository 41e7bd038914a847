"""Ask several solvers the same, and refuse to go on if they contradict each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Unpack

from qspec.errors import SoundnessError, SpecError
from qspec.language.bind import bind
from qspec.language.property import Property
from qspec.solver import Reason, Solver
from qspec.support.checks import listed
from qspec.support.plain import document
from qspec.support.tables import to_csv, to_latex
from qspec.verify.decide import verify
from qspec.verify.options import SearchOptions, Settings
from qspec.verify.reproducer import write_reproducer
from qspec.verify.result import Result, Verdict


@dataclass(frozen=True, slots=True, eq=False)
class SolverComparison:
    """The results of several solvers on one property; none contradict each other."""

    results: tuple[Result, ...]

    @property
    def decisive(self) -> Result:
        """The first result with a verdict; without any the first."""
        return next((r for r in self.results if r.verdict is not Verdict.UNKNOWN), self.results[0])

    @property
    def verdict(self) -> Verdict:
        """The verdict of those that reached one."""
        return self.decisive.verdict

    @property
    def reason(self) -> Reason | None:
        """Why the verdict is unknown, of the first solver; None if there is a verdict."""
        return self.decisive.reason

    def __str__(self) -> str:
        return "\n".join(map(str, self.results))

    def to_dict(self) -> dict[str, object]:
        """Return everything as JSON values, schema `qspec.comparison/1`; exact numbers stay exact."""
        return document(self, "qspec.comparison/1")

    def rows(self) -> list[dict[str, object]]:
        """Return a plain row for each solver: solver, version, theory, verdict, reason, seconds, size of what it was asked."""
        return [
            {
                "solver": r.solver,
                "version": r.solver_version,
                "theory": r.said[-1].theory if r.said else None,
                "verdict": r.verdict.name,
                "reason": None if r.reason is None else r.reason.name,
                "seconds": r.times.total,
                "size": r.said[-1].size if r.said else None,
            }
            for r in self.results
        ]

    def to_csv(self) -> str:
        """Return the rows as CSV."""
        return to_csv(self.rows())

    def to_latex(self) -> str:
        """Return the rows as a LaTeX tabular with rules of booktabs."""
        return to_latex(self.rows())

    def agreement(self) -> dict[tuple[str, str], bool | None]:
        """Return for each pair of solvers whether their verdicts agree; None where one is UNKNOWN."""
        names = [r.solver for r in self.results]
        table: dict[tuple[str, str], bool | None] = {}
        for a, first in zip(names, self.results, strict=True):
            for b, second in zip(names, self.results, strict=True):
                open_ = Verdict.UNKNOWN in (first.verdict, second.verdict)
                table[a, b] = None if open_ else first.verdict is second.verdict
        return table


def compare(
    spec: Property,
    *,
    solvers: Sequence[str | Solver],
    **options: Unpack[SearchOptions],
) -> SolverComparison:
    """Ask several solvers the same; by default without an attack before, so that solvers are compared. Options are those of `verify`.

    Raises SoundnessError, with a reproducer written, if two verdicts contradict each other.
    """
    return SolverComparison(tuple(compare_each(spec, solvers=solvers, **options)))


def compare_each(spec: Property, *, solvers: Sequence[str | Solver], **options: Unpack[SearchOptions]) -> Iterator[Result]:
    """Yield the result of each solver as it comes; raises SoundnessError at the first contradiction."""
    asked, settings = listed(solvers, "solvers"), Settings.of(options, SearchOptions, attack=False)
    if not asked:
        raise SpecError("nobody is asked", given=solvers, expected="at least one solver")
    seen: list[Result] = []
    for solver in asked:
        result = verify(spec, **replace(settings, solver=solver).options())
        for other in seen:
            if {result.verdict, other.verdict} == {Verdict.HOLDS, Verdict.VIOLATED}:
                _contradiction(spec, result, other)
        seen.append(result)
        yield result


def _contradiction(spec: Property, first: Result, second: Result) -> None:
    facts = {f"verdict of {r.solver}": r.verdict.name for r in (first, second)}
    found = first if first.codes or first.point else second
    where = write_reproducer(bind(spec), facts, {**(found.codes or {}), **(found.point or {})})
    raise SoundnessError(
        "two solvers contradict each other",
        given=", ".join(f"{k}: {v}" for k, v in facts.items()),
        expected="agreement",
        advice=f"report {where}",
    )
