"""Results as flat rows: what tables, curves and reports are made of, wherever the results come from."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qspec.result import Evidence, Verdict

Bits = int | str
"""A number of bits, or the name of a format or network where there is no number."""
SEARCH, REAL = "falsify", "real"
"""Methods of a sweep that are no solver of the quantised network: a search for counterexamples alone, and the real network."""
ERROR = "ERROR"
"""The reason of a query that could not be asked."""


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One result. `question` is the same for everybody who was asked the same, `subject` for the same at any number of bits."""

    id: int
    name: str
    subject: str
    question: str
    method: str
    verdict: Verdict
    evidence: str
    reason: str | None
    detail: str
    seconds: float
    bits: Bits | None = None
    sample: int | None = None
    notes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    source: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    """The row as it was found, or as the store would have it."""

    @property
    def numerical(self) -> bool:
        """Whether the verdict stands on floating point alone."""
        return self.evidence == Evidence.NUMERICAL.name

    @property
    def exact(self) -> bool:
        """Whether the record says what is true of the quantised network."""
        return self.verdict is not Verdict.UNKNOWN and not self.numerical and self.method != REAL

    @property
    def accuracy(self) -> float | None:
        """The accuracy of the network that was asked about, if it was told."""
        return self.notes.get("accuracy")

    @property
    def claim(self) -> bool | None:
        """Whether the method takes the property for true: a search that finds nothing does, without any right; None if it says nothing."""
        if self.verdict is Verdict.UNKNOWN:
            return True if self.method == SEARCH and self.reason == "INCOMPLETE" else None
        return self.verdict is Verdict.HOLDS


def of_line(number: int, line: Mapping[str, Any]) -> Record:
    """Return the record of one line of a store (see `qspec.store`); raises KeyError, TypeError or ValueError if it is damaged."""
    result, tags = line["result"], line.get("tags", {})
    name, method = str(tags.get("spec", result["name"])), str(tags.get("method", result["solver"]))
    sample, bits = tags.get("sample"), tags.get("bits")
    if sample is None:
        subject = f"{name} {fingerprint(result['parameters'])}"
        question = str(result["hashes"].get("query", subject))
    else:
        subject = f"{name} {sample}"
        question = f"{subject} @ {bits}"
    return Record(
        number,
        name,
        subject,
        question,
        method,
        Verdict[result["verdict"]],
        str(result["evidence"]),
        None if result["reason"] is None else str(result["reason"]),
        str(result["detail"]),
        math.fsum(float(s) for s in result["times"].values()),
        bits,
        None if sample is None else int(sample),
        dict(tags.get("notes", {})),
        line,
    )


def fingerprint(value: object) -> str:
    """Return a few letters that tell JSON values apart."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]
