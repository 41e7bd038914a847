"""`qspec radius`: the largest value of a parameter for which the properties of a file hold."""

from __future__ import annotations

from collections.abc import Sequence

from qspec.cli.outcome import FAILURES, CommandOutput, Exit
from qspec.cli.report import MOST, solution
from qspec.cli.specs import read_specs
from qspec.cli.terminal import progress
from qspec.errors import SpecError
from qspec.extremes.radius import Radius, largest_radius
from qspec.verify.options import DEFAULT_SOLVER


def run(
    *,
    target: str,
    parameter: str,
    low: str,
    high: str | None,
    step: str,
    solver: str | None,
    theory: str | None,
    timeout: float | None,
    memory: int | None,
    seed: int,
    attack: bool,
    without: Sequence[str],
    param: Sequence[str],
    allow_vacuous: bool,
) -> CommandOutput:
    """Return for each property that has the parameter up to where it holds and from where it is violated, then counterexamples."""
    cases = [c for c in read_specs(target, param) if parameter in c.parameters]
    if not cases:
        raise SpecError("no property has this parameter", given=parameter, expected="--parameter NAME of a qs.parameter(…)")
    found: list[Radius] = []
    with progress(len(cases)) as report:
        for case in cases:
            report(case.name)
            found.append(
                largest_radius(
                    case,
                    parameter=parameter,
                    low=low,
                    high=high,
                    step=step,
                    solver=solver or DEFAULT_SOLVER,
                    theory=theory,
                    timeout=timeout,
                    memory=memory,
                    seed=seed,
                    attack=attack,
                    without=without,
                )
            )
    refuted = [
        solution(c.at(**{parameter: r.violated}), r.counterexample)
        for c, r in zip(cases, found, strict=True)
        if r.counterexample is not None
    ]
    text = "\n\n".join(["\n".join(map(str, found)), *refuted[:MOST]])
    return CommandOutput(text, _status(found, allow_vacuous), lambda: {"results": [r.to_dict() for r in found]})


def _status(found: Sequence[Radius], allow_vacuous: bool) -> Exit:
    """Return violated if some property holds for no value at all, unknown if a gap is left, else holds, vacuously or not."""
    if any(r.closed and r.holds is None for r in found):
        return Exit.VIOLATED
    if all(r.closed for r in found):
        return Exit.VACUOUS if any(r.vacuous for r in found) and not allow_vacuous else Exit.HOLDS
    return Exit.FAILURE if any(r.reason in FAILURES for r in found) else Exit.UNKNOWN
