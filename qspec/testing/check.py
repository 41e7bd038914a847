"""Run examples through a solver, with and without passes before it, and judge what comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from qspec.errors import QspecError
from qspec.passes import Pipeline
from qspec.solver import Reason, Solver, get_solver
from qspec.testing.example import Example, Mark
from qspec.testing.examples import EXAMPLES
from qspec.verify.decide import verify
from qspec.verify.result import Result, Verdict

PRODUCTS = {"QF_LIA": "QF_NIA", "QF_LRA": "QF_NRA"}
"""What a linear theory becomes where variables are multiplied."""
RELAXING = frozenset({"QF_LRA", "QF_NRA", "real"})
"""Theories that relax a query over integers, in which a candidate may fail to replay."""


class Lack(Enum):
    """Why a solver does not reach the verdict of an example. A wrong verdict has no excuse."""

    NOTIMPL = "the adapter does not hand it over, but could"
    NOTYET = "the solver does not decide it in time, but may one day"
    NEVER = "the theory cannot say it"


@dataclass(frozen=True, slots=True)
class Excuse:
    """A failure that is expected, strictly: of the named examples, or of all that bear `mark`, in one theory or in all.

    What is expected is UNKNOWN or an error that says the problem is not supported; to reach the verdict after all is an error as well.
    """

    lack: Lack
    reason: str
    theory: str | None = None
    examples: frozenset[str] = frozenset()
    mark: Mark | None = None

    def covers(self, example: Example, theory: str) -> bool:
        """Return whether this is about an example in a theory."""
        about = example.name in self.examples or (self.mark is not None and self.mark in example.marks)
        return about and self.theory in (None, theory)


@dataclass(frozen=True, slots=True)
class ExampleOutcome:
    """What became of one example; `complaint` is empty if it is what was expected."""

    example: str
    theory: str
    passes: bool
    said: str
    expected: str
    complaint: str


def theories_to_check(solver: Solver) -> tuple[str, ...]:
    """Return the theories to run examples in: QF_LIA becomes QF_NIA by itself where variables are multiplied, QF_LRA QF_NRA."""
    grown = {wide for linear, wide in PRODUCTS.items() if linear in solver.theories}
    return tuple(t for t in solver.theories if t not in grown and t != "QF_NRAT")


def run_example(
    example: Example, solver: Solver, theory: str, *, passes: bool = True, timeout: float = 60.0, excuses: Sequence[Excuse] = ()
) -> ExampleOutcome:
    """Ask a solver for the verdict on an example, without an attack before it, and without any pass unless `passes`."""
    without = () if passes else tuple(p.name for p in Pipeline().passes)
    excuse = _excuse(example, solver, theory, excuses)
    try:
        result = verify(
            example.make().at(**example.parameters),
            solver=solver,
            theory=theory,
            timeout=timeout,
            attack=False,
            without=without,
        )
    except QspecError as error:
        said, complaint = f"{type(error).__name__}: {error.what}", "" if excuse and excuse.lack is not Lack.NOTYET else "an error"
    else:
        said, complaint = _said(result), _complaint(example, result, excuse, relaxed=theory in RELAXING)
    expected = example.verdict.name if excuse is None else f"{excuse.lack.name.lower()}: {excuse.reason}"
    return ExampleOutcome(example.name, theory, passes, said, expected, complaint)


def check_solver(
    solver: str | Solver,
    *,
    examples: Sequence[Example] = EXAMPLES,
    theories: Sequence[str] | None = None,
    passes: Sequence[bool] = (True, False),
    timeout: float = 60.0,
    excuses: Sequence[Excuse] = (),
) -> tuple[ExampleOutcome, ...]:
    """Run every example in every theory that a solver decides, with passes and without, and return what came out.

    `timeout` is in seconds for each run. Raises AssertionError with a table of all runs that did not come out as expected.
    """
    chosen = get_solver(solver)
    outcomes = tuple(
        run_example(example, chosen, theory, passes=on, timeout=timeout, excuses=excuses)
        for theory in (theories_to_check(chosen) if theories is None else theories)
        for example in examples
        for on in passes
    )
    wrong = [o for o in outcomes if o.complaint]
    if wrong:
        raise AssertionError(f"{chosen.name}: {len(wrong)} of {len(outcomes)} runs are not as expected\n{table(wrong)}")
    return outcomes


def table(outcomes: Sequence[ExampleOutcome]) -> str:
    """Return outcomes as lines of text under a heading, in columns."""
    rows = [("example", "theory", "passes", "expected", "said", "complaint")]
    rows += [(o.example, o.theory, "on" if o.passes else "off", o.expected, o.said, o.complaint) for o in outcomes]
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def _excuse(example: Example, solver: Solver, theory: str, excuses: Sequence[Excuse]) -> Excuse | None:
    linear_only = theory in PRODUCTS and PRODUCTS[theory] not in solver.theories
    built_in = [Excuse(Lack.NEVER, "linear arithmetic has no products of variables", mark=Mark.PRODUCT)] if linear_only else []
    return next((e for e in (*excuses, *built_in) if e.covers(example, theory)), None)


def _complaint(example: Example, result: Result, excuse: Excuse | None, *, relaxed: bool) -> str:
    if result.verdict is Verdict.UNKNOWN:
        return "" if excuse or (relaxed and result.reason is Reason.SPURIOUS) else "no verdict"
    if result.verdict is not example.verdict:
        return "WRONG"
    if result.vacuous is not None and result.vacuous != (Mark.VACUOUS in example.marks):
        return "vacuity is wrong"
    if excuse and result.answers:
        return "the excuse is out of date"
    return ""


def _said(result: Result) -> str:
    if result.verdict is Verdict.UNKNOWN and result.reason is not None:
        return f"UNKNOWN ({result.reason.name}{': ' if result.detail else ''}{result.detail[:80]})"
    return result.verdict.name
