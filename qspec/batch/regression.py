"""Compare the verdicts of a run with those of an earlier one, question by question, and write them as JUnit's XML."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from qspec.batch import journal, store
from qspec.batch.certification import Certification
from qspec.batch.many import Finished
from qspec.errors import SpecError
from qspec.verify.result import Result, plain

HELD, FELL, OPEN, FAILED = "HOLDS", "VIOLATED", "UNKNOWN", "error"
LONGEST = 60
"""Values of parameters longer than this are left out of a title."""


@dataclass(frozen=True, slots=True)
class RegressionCase:
    """One question of a run: what it is known by in another run, how it is called, what came of it, and why."""

    identity: str
    title: str
    verdict: str
    detail: str
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs from an earlier run: titles of questions that are newly refuted, newly open or newly proved, and how many are as before.

    A question that one of the runs has not asked is neither; `added` and `gone` count those.
    """

    refuted: tuple[str, ...]
    opened: tuple[str, ...]
    proved: tuple[str, ...]
    same: int
    added: int
    gone: int

    @property
    def worse(self) -> bool:
        """Whether something no longer holds, or is refuted that was open."""
        return bool(self.refuted or self.opened)


def changes(before: Mapping[str, str], now: Sequence[RegressionCase]) -> Changes:
    """Return what differs between verdicts by identity and the questions of a run."""
    known = [c for c in now if c.identity in before]

    def newly(*verdicts: str, once: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(c.title for c in known if c.verdict in verdicts and before[c.identity] in once)

    refuted = newly(FELL, once=(HELD, OPEN, FAILED))
    opened = newly(OPEN, FAILED, once=(HELD,))
    proved = newly(HELD, once=(FELL, OPEN, FAILED))
    changed = len(refuted) + len(opened) + len(proved)
    return Changes(refuted, opened, proved, len(known) - changed, len(now) - len(known), len(set(before) - {c.identity for c in known}))


def of_certification(found: Certification) -> list[RegressionCase]:
    """Return the samples of a certification, known by their index."""
    return [
        RegressionCase(str(k), f"sample {k} (label {label})", o.verdict.name, f"{o.stage} {o.detail}".strip())
        for k, (label, o) in enumerate(zip(found.labels.tolist(), found.outcomes, strict=True))
    ]


def of_batch(done: Iterable[Finished]) -> list[RegressionCase]:
    """Return the queries of a batch, known by property and parameters."""
    found: list[RegressionCase] = []
    for f in sorted(done, key=lambda f: f.index):
        values = {k: plain(v) for k, v in f.parameters.items()}
        short = ", ".join(f"{k}={v}" for k, v in values.items() if len(str(v)) <= LONGEST)
        title = f"{f.name}, query {f.index}" + (f" ({short})" if short else "")
        if isinstance(f.outcome, Result):
            r = f.outcome
            why = r.reason.value if r.reason else r.evidence.value
            found.append(RegressionCase(_identity(f.name, values), title, r.verdict.name, why, r.times.total))
        else:
            found.append(RegressionCase(_identity(f.name, values), title, FAILED, str(f.outcome)))
    return found


def share(cases: Sequence[RegressionCase]) -> float:
    """Return the percentage of questions whose answer is that the property holds."""
    return 100 * sum(c.verdict == HELD for c in cases) / len(cases)


def baseline(where: str | os.PathLike[str], about: str = "") -> dict[str, str]:
    """Return the verdicts in the store of an earlier run, by identity: of `verify_many`, or with `about` of a certification.

    `about` is what the journal of the certification must be about (`journal.about`). Raises SpecError if the file is none, or is about
    other samples, labels or another radius.
    """
    path = Path(where)
    if not about:
        lines = store.lines(path)
        return {_identity(line["result"]["name"], line["result"]["parameters"]): line["result"]["verdict"] for line in lines}
    try:
        told, found = journal.verdicts(path)
    except SpecError as error:
        why = f"{type(error.__cause__).__name__}: {error.__cause__}"
        raise SpecError("no baseline", given=str(path), expected=f"the --store of an earlier `qspec certify` ({why})") from None
    if told != about:
        raise SpecError("the baseline is about something else", given=str(path), expected="the same samples, labels and radius")
    return {str(k): verdict for k, verdict in found.items()}


def junit(cases: Sequence[RegressionCase], suite: str) -> bytes:
    """Return the questions as JUnit's XML: a violation is a failure, what is undecided is skipped, what could not be asked is an error."""
    count = Counter(c.verdict for c in cases)
    totals = {"tests": len(cases), "failures": count[FELL], "skipped": count[OPEN], "errors": count[FAILED]}
    root = ElementTree.Element("testsuite", {"name": _legal(suite), **{k: str(v) for k, v in totals.items()}})
    root.set("time", f"{sum(c.seconds for c in cases):.3f}")
    for c in cases:
        case = ElementTree.SubElement(root, "testcase", {"classname": _legal(suite), "name": _legal(c.title), "time": f"{c.seconds:.3f}"})
        kind = {FELL: "failure", OPEN: "skipped", FAILED: "error"}.get(c.verdict)
        if kind is not None:
            ElementTree.SubElement(case, kind, {"message": _legal(f"{c.verdict}: {c.detail}")})
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def _identity(name: str, values: Mapping[str, object]) -> str:
    return json.dumps([name, dict(values)], sort_keys=True)


def _legal(text: str) -> str:
    """Return text without the characters that XML has no way to say."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "�", text)
