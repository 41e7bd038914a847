"""Ask several contenders the same, and refuse to go on if they contradict each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Unpack

from qspec.batch.contenders import Contender, Entrant, entrants
from qspec.batch.many import Over, Specs, properties_of, values_of
from qspec.batch.records import Record
from qspec.errors import SoundnessError
from qspec.language.property import Property, bind
from qspec.solver import Reason
from qspec.support import checks
from qspec.support.plain import plain
from qspec.support.tables import Row, Tabular
from qspec.verify.decide import verify
from qspec.verify.options import SearchOptions
from qspec.verify.reproducer import write_reproducer
from qspec.verify.result import Result, Verdict, all_hold


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """What one contender said to one question, in each of its runs."""

    question: str
    contender: str
    runs: tuple[Result, ...]

    @property
    def result(self) -> Result:
        """The run of median time, of two such the quicker one."""
        return sorted(self.runs, key=lambda r: r.times.total)[(len(self.runs) - 1) // 2]

    @property
    def seconds(self) -> tuple[float, ...]:
        """The seconds of all runs, in order."""
        return tuple(r.times.total for r in self.runs)


@dataclass(frozen=True, slots=True, eq=False)
class SolverComparison(Tabular):
    """What every contender said to every question; none contradict each other."""

    answers: tuple[Compared, ...]

    @property
    def results(self) -> tuple[Result, ...]:
        """One result for each answer: that of the run of median time."""
        return tuple(a.result for a in self.answers)

    @property
    def decisive(self) -> Result:
        """The first result with a verdict; without any the first."""
        return next((r for r in self.results if r.verdict is not Verdict.UNKNOWN), self.results[0])

    @property
    def verdict(self) -> Verdict:
        """The verdict of those that reached one; of several questions VIOLATED if one is, HOLDS if all do, else UNKNOWN."""
        decided = {a.question: a.result.verdict for a in reversed(self.answers) if a.result.verdict is not Verdict.UNKNOWN}
        return all_hold(decided.get(a.question, Verdict.UNKNOWN) for a in self.answers)

    @property
    def reason(self) -> Reason | None:
        """Why the verdict is unknown, of the first answer without one; None if there is a verdict."""
        if self.verdict is not Verdict.UNKNOWN:
            return None
        return next(r.reason for r in self.results if r.verdict is Verdict.UNKNOWN)

    def __str__(self) -> str:
        return "\n".join(f"{a.contender}: {a.result}" for a in self.answers)

    def to_dict(self) -> dict[str, object]:
        """Return everything as JSON values, schema `qspec.comparison/1`; exact numbers stay exact."""
        answers = [{"question": a.question, "contender": a.contender, "seconds": list(a.seconds)} for a in self.answers]
        return {
            "schema": "qspec.comparison/1",
            "text": str(self),
            "verdict": self.verdict.name,
            "reason": plain(self.reason),
            "results": plain(self.results),
            "answers": answers,
        }

    def rows(self) -> list[Row]:
        """Return a plain row for each answer: who said what to which question, seconds (median, least, most), size of what was asked."""
        return [_row(a) for a in self.answers]

    def records(self) -> tuple[Record, ...]:
        """Return the results as figures take them."""
        return tuple(
            Record(
                k,
                a.result.name,
                a.question,
                a.question,
                a.contender,
                a.result.verdict,
                a.result.evidence.name,
                None if a.result.reason is None else a.result.reason.name,
                a.result.detail,
                a.result.times.total,
            )
            for k, a in enumerate(self.answers)
        )

    def agreement(self) -> dict[tuple[str, str], bool | None]:
        """Return for each pair of contenders whether their verdicts agree; None where no question was decided by both."""
        said: dict[str, dict[str, Verdict]] = {}
        for a in self.answers:
            said.setdefault(a.contender, {})[a.question] = a.result.verdict
        table: dict[tuple[str, str], bool | None] = {}
        for one, first in said.items():
            for other, second in said.items():
                both = [(first[q], second[q]) for q in first.keys() & second.keys() if Verdict.UNKNOWN not in (first[q], second[q])]
                table[one, other] = all(a is b for a, b in both) if both else None
        return table


def _row(a: Compared) -> Row:
    r = a.result
    return {
        "question": a.question,
        "contender": a.contender,
        "solver": r.solver,
        "version": r.solver_version,
        "theory": r.answers[-1].theory if r.answers else None,
        "verdict": r.verdict.name,
        "reason": None if r.reason is None else r.reason.name,
        "runs": len(a.runs),
        "seconds": r.times.total,
        "least": min(a.seconds),
        "most": max(a.seconds),
        "size": r.answers[-1].size if r.answers else None,
    }


def compare(
    spec: Specs,
    over: Over = ({},),
    *,
    solvers: Sequence[Contender],
    repeat: int = 1,
    **options: Unpack[SearchOptions],
) -> SolverComparison:
    """Ask several solvers the same; by default without an attack before, so that solvers are compared. Options are those of `verify`.

    A contender is a solver (a name or a `Solver`), or a tuple of a solver and what it is asked with: a theory, a dictionary of options, or
    both, as in `("z3", "QF_BV", {"split": True})`. `spec` may be a list or dictionary of properties, and `over` values of their parameters,
    as in `verify_many`: each property with each of them is a question. With `repeat` every contender is asked that often.

    Raises SoundnessError, with a reproducer written, if two verdicts on a question contradict each other.
    """
    questions = _questions(spec, over)
    checks.whole(repeat, "how often to ask", least=1)
    asked = entrants(solvers, options)
    return SolverComparison(tuple(a for name, one in questions.items() for a in compare_each(one, asked, repeat, name)))


def _questions(spec: Specs, over: Over) -> dict[str, Property]:
    """Return every property with every of the values, by names that differ."""
    properties, values = properties_of(spec), [dict(v) for v in values_of(over)]
    found: dict[str, Property] = {}
    for k, given in enumerate(values):
        for n, p in enumerate(properties):
            name = p.name if len(values) == 1 else f"{p.name} {k}"
            free = name if name not in found else next(m for i in count(n) if (m := f"{name} ({i})") not in found)
            found[free] = p.at(**given) if given else p
    return found


def compare_each(spec: Property, asked: Iterable[Entrant], repeat: int = 1, question: str = "") -> Iterator[Compared]:
    """Yield what each contender says, as it comes; raises SoundnessError at the first contradiction."""
    seen: list[Result] = []
    for entrant in asked:
        runs: list[Result] = []
        for _ in range(repeat):
            result = verify(spec, **entrant.settings.options())
            for other in seen:
                if {result.verdict, other.verdict} == {Verdict.HOLDS, Verdict.VIOLATED}:
                    _contradiction(spec, result, other)
            seen.append(result)
            runs.append(result)
        yield Compared(question or spec.name, entrant.name, tuple(runs))


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
