"""What a command ends with: text for stdout, and the exit status that says what was found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from qspec.solver import Reason
from qspec.verify.result import Result, Verdict, all_hold

SCHEMA = "qspec.command/1"


class Exit(IntEnum):
    """Exit status; 0 also means that a command without a verdict did what it was asked."""

    HOLDS = 0
    VIOLATED = 1
    USAGE = 2
    UNKNOWN = 3
    FAILURE = 4
    VACUOUS = 5
    INTERRUPTED = 130


FAILURES = frozenset({Reason.CRASH, Reason.GARBAGE})
"""Reasons for UNKNOWN that are the solver's fault."""


@dataclass(frozen=True, slots=True)
class CommandOutput:
    """Text for stdout, complete, the exit status, and who returns what `--json` writes beside them: what was found as JSON values."""

    text: str
    status: Exit = Exit.HOLDS
    found: Callable[[], Mapping[str, object]] = dict[str, object]

    def document(self, command: str) -> dict[str, object]:
        """Return the JSON document of a command: its schema, name and status, the text, and what was found."""
        return {"schema": SCHEMA, **self.found(), "command": command, "status": int(self.status), "text": self.text}


def overall(results: Sequence[Result]) -> Verdict:
    """Return the verdict on all properties together: one violation decides, and all must hold."""
    return all_hold(r.verdict for r in results)


def status(verdict: Verdict, results: Sequence[Result], *, allow_vacuous: bool = False) -> Exit:
    """Return the exit status of a verdict: of one that holds whether nothing meets an assumption, of none whether a solver failed."""
    match verdict:
        case Verdict.HOLDS:
            return Exit.VACUOUS if vacuous(results) and not allow_vacuous else Exit.HOLDS
        case Verdict.VIOLATED:
            return Exit.VIOLATED
        case Verdict.UNKNOWN:
            return Exit.FAILURE if any(r.reason in FAILURES for r in results) else Exit.UNKNOWN


def vacuous(results: Sequence[Result]) -> bool:
    """Return whether some property holds only because nothing meets its assumption."""
    return any(r.vacuous is True for r in results)


def version() -> CommandOutput:
    """Return the version of qspec."""
    from qspec import __version__

    return CommandOutput(f"qspec {__version__}")
