"""What `certify` and `verify-many` have in common for CI: a share that must hold, an earlier run to compare with, a file of JUnit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qspec.batch.regression import Changes, RegressionCase, changes, junit, share
from qspec.cli.outcome import Exit
from qspec.cli.report import check_writable
from qspec.errors import SpecError
from qspec.files.atomic import replacing, writing

MOST = 20
"""Changed questions that are listed, of each kind."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What a run must do to pass; made before the run, so that what cannot work is said at once."""

    fail_under: float | None
    baseline: str | None
    junit: str | None

    def __post_init__(self) -> None:
        if self.fail_under is not None and not 0 <= self.fail_under <= 100:
            raise SpecError("not a percentage", given=self.fail_under, expected="--fail-under from 0 to 100")
        if self.baseline is not None and not Path(self.baseline).is_file():
            raise SpecError("no baseline", given=self.baseline, expected="the --store of an earlier run")
        check_writable(self.junit)

    def passed(self, cases: Sequence[RegressionCase], before: dict[str, str] | None, suite: str, ended: Exit) -> tuple[list[str], Exit]:
        """Return what to add to the text, and the status: that of the run, unless a share or a baseline says what passes.

        Errors, failures of solvers and vacuous properties keep their own status.
        """
        parts: list[str] = []
        bad = False
        if before is not None:
            found = changes(before, cases)
            parts.append(described(found, self.baseline or ""))
            bad = found.worse
        if self.fail_under is not None:
            held = share(cases)
            enough = held >= self.fail_under
            parts.append(f"{held:.2f} % hold, {'at least' if enough else 'fewer than'} the {self.fail_under:g} % of --fail-under")
            bad = bad or not enough
        if self.junit is not None:
            with writing(self.junit), replacing(Path(self.junit)) as stream:
                stream.write(junit(cases, suite))
        if (before is None and self.fail_under is None) or ended in (Exit.USAGE, Exit.FAILURE, Exit.VACUOUS):
            return parts, ended
        return parts, Exit.VIOLATED if bad else Exit.HOLDS


def described(found: Changes, where: str) -> str:
    """Return the changes as text: a line of counts, then each question that changed."""
    counts = f"{len(found.refuted)} newly refuted, {len(found.opened)} newly open, {len(found.proved)} newly proved, {found.same} as before"
    others = [f"{n} {word}" for n, word in ((found.added, "asked for the first time"), (found.gone, "no longer asked")) if n]
    lines = [f"against {where}: " + ", ".join([counts, *others])]
    for word, titles in (("newly refuted", found.refuted), ("newly open", found.opened), ("newly proved", found.proved)):
        lines += [f"  {word}: {title}" for title in titles[:MOST]]
        lines += [f"  {word}: {len(titles) - MOST} more"] if len(titles) > MOST else []
    return "\n".join(lines)
