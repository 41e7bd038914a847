"""`qspec verify`: decide the properties of a file."""

from __future__ import annotations

from collections.abc import Sequence

from qspec.cli.outcome import Outcome, overall, status
from qspec.cli.report import caveat, check_writable, deliver, solutions, verdict_line
from qspec.cli.specs import read_specs
from qspec.cli.terminal import painted, progress
from qspec.result import Result
from qspec.verify import verify


def run(
    *,
    target: str,
    solver: str,
    theory: str | None,
    timeout: float | None,
    memory: int | None,
    seed: int,
    attack: bool,
    without: Sequence[str],
    param: Sequence[str],
    json: str | None,
) -> Outcome:
    """Return the verdict on every property, then one line for each, then counterexamples."""
    check_writable(json)
    cases = read_specs(target, param)
    results: list[Result] = []
    with progress(len(cases)) as report:
        for case in cases:
            report(f"{case.name} · {solver}")
            results.append(
                verify(
                    case.spec,
                    solver=solver,
                    theory=theory,
                    timeout=timeout,
                    memory=memory,
                    seed=seed,
                    attack=attack,
                    without=without,
                    **case.parameters,  # pyright: ignore[reportArgumentType]
                )
            )
    verdict = overall(results)
    width = max(len(c.name) for c in cases)
    head = "\n".join([painted(verdict.name) + caveat(results), *(verdict_line(r, width) for r in results)])
    ended = status(verdict, results)
    return Outcome(deliver("\n\n".join([head, *solutions(cases, results)]), json, target, results, ended), ended)
