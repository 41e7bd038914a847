"""`qspec compare`: ask several solvers the same."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from qspec.batch.comparison import Compared, SolverComparison, compare_each
from qspec.batch.contenders import entrants
from qspec.cli.outcome import CommandOutput, overall, status
from qspec.cli.report import caveat, document, grounds, solution
from qspec.cli.solvers import installed
from qspec.cli.specs import read_specs
from qspec.cli.terminal import Report, painted, progress, table
from qspec.errors import SolverMissingError
from qspec.language.property import Property
from qspec.verify.options import SearchOptions
from qspec.verify.result import Result, Verdict


def run(
    *,
    target: str,
    solvers: str,
    theory: str | None,
    timeout: float | None,
    memory: int | None,
    seed: int,
    attack: bool,
    without: Sequence[str],
    param: Sequence[str],
    allow_vacuous: bool,
) -> CommandOutput:
    """Return the verdict on every property, then for each what every solver said, how long it took, and who agrees."""
    cases = read_specs(target, param)
    names = list(dict.fromkeys(n.strip() for n in solvers.split(",") if n.strip())) or _default(theory)
    options: SearchOptions = {
        "theory": theory,
        "timeout": timeout,
        "memory": memory,
        "seed": seed,
        "attack": attack,
        "without": without,
    }
    comparisons: list[SolverComparison] = []
    with progress(len(cases) * len(names)) as report:
        comparisons.extend(_compare(case, names, options, report) for case in cases)
    results = list(chain.from_iterable(c.results for c in comparisons))
    decided = [_decisive(c) for c in comparisons]
    verdict = overall(decided)
    parts = [painted(verdict.name) + caveat(decided), *(compared(*both) for both in zip(cases, comparisons, strict=True))]
    ended = status(verdict, decided, allow_vacuous=allow_vacuous)
    return CommandOutput("\n\n".join(parts), ended, lambda: document(target, results))


def _default(theory: str | None) -> list[str]:
    """Return the installed solvers that decide this theory, or any SMT theory."""
    names = [s.name for s in installed() if any(t == theory or (theory is None and t.startswith("QF_")) for t in s.theories)]
    if not names:
        raise SolverMissingError("no installed solver decides this", given=theory or "SMT", expected="a solver", advice="`qspec solvers`")
    return names


def _compare(case: Property, names: Sequence[str], options: SearchOptions, report: Report) -> SolverComparison:
    answers: list[Compared] = []
    waiting = iter(names)
    report(f"{case.name} · {next(waiting)}")
    for answer in compare_each(case, entrants(names, options)):
        answers.append(answer)
        following = next(waiting, None)
        if following is not None:
            report(f"{case.name} · {following}")
    return SolverComparison(tuple(answers))


def _decisive(comparison: SolverComparison) -> Result:
    """Return the result that decides; without one, the first of a solver that failed, else the first."""
    if comparison.verdict is not Verdict.UNKNOWN:
        return comparison.decisive
    failed = [r for r in comparison.results if status(r.verdict, [r]) == 4]
    return (failed or list(comparison.results))[0]


def compared(case: Property, comparison: SolverComparison) -> str:
    """Return a comparison as text: the verdict, a table of answers, the matrix of who agrees, and one counterexample."""
    verdict = comparison.verdict
    same = sum(r.verdict is verdict for r in comparison.results)
    head = f"{case.name}: {painted(verdict.name)}  {same} of {len(comparison.results)} solvers"
    parts = [head, answers(comparison)]
    if len(comparison.results) > 1:
        parts.append(agreement(comparison))
    found = next((r for r in comparison.results if r.codes is not None or r.point is not None), None)
    if found is not None:
        parts.append(solution(case, found.codes or {}, found.point))
    return "\n\n".join(parts)


def answers(comparison: SolverComparison) -> str:
    """Return a table with a row for each solver: verdict, grounds, theory, size of the problem, times in seconds."""
    rows = [
        (
            r.solver,
            r.verdict.name,
            grounds(r) if r.verdict is Verdict.UNKNOWN else r.evidence.name.lower(),
            ", ".join(dict.fromkeys(s.theory for s in r.answers)) or "-",
            size(r),
            f"{r.times.solve:.2f}",
            f"{r.times.total:.2f}",
        )
        for r in comparison.results
    ]
    header = ("solver", "verdict", "by", "theory", "size", "solve s", "total s")
    return table(header, rows, right=(4, 5, 6))


def size(result: Result) -> str:
    """Return the size of what the solver was asked: SMT-LIB text in KiB, terms of a MILP, or the free integers of a grid problem."""
    sizes = {theory: sum(s.size for s in result.answers if s.theory == theory) for theory in ("milp", "grid")}
    text = sum(s.size for s in result.answers if s.theory not in sizes)
    if text:
        return f"{text / 1024:.0f} KiB"
    return f"{sizes['milp']} terms" if sizes["milp"] else f"{sizes['grid']} inputs" if sizes["grid"] else "-"


def agreement(comparison: SolverComparison) -> str:
    """Return the agreement matrix as a table."""
    names = [r.solver for r in comparison.results]
    marks = {True: "✓", None: "·", False: "✗"}
    found = comparison.agreement()
    rows = [[a, *(marks[found[a, b]] if a != b else "" for b in names)] for a in names]
    legend = "✓ same verdict" + ("   · one of the two is unknown" if None in found.values() else "")
    legend += "   ✗ contradicted" if False in found.values() else ""
    return table(["agreement", *names], rows) + f"\n\n{legend}"
