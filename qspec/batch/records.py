"""Results as flat rows: what tables, curves and reports are made of, wherever the results come from."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qspec.verify.result import Verdict

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
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    notes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    source: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    """The row as it was found, or as the store would have it."""
    vacuous: bool = False
    """Whether it holds because nothing meets the assumption."""

    @property
    def exact(self) -> bool:
        """Whether the record says what is true of the quantised network."""
        return self.verdict is not Verdict.UNKNOWN and self.method != REAL

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
    """Return the record of one line of a store (see `qspec.batch.store`); raises KeyError, TypeError or ValueError if it is damaged."""
    return of_result(number, line["result"], line.get("tags", {}), line)


def of_result(number: int, result: Mapping[str, Any], tags: Mapping[str, Any], source: Mapping[str, Any]) -> Record:
    """Return the record of a result as `Result.to_dict` has it; raises KeyError, TypeError or ValueError if it is damaged."""
    name, method = str(tags.get("spec", result["name"])), str(tags.get("method", result["solver"]))
    sample, bits, told = tags.get("sample"), width(tags.get("bits")), notes(tags.get("notes", {}))
    mappings(result, "hashes", "versions", "limits")
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
        seconds(math.fsum(float(s) for s in result["times"].values())),
        bits,
        None if sample is None else int(sample),
        dict(result["parameters"]),
        told,
        source,
        result.get("vacuous") is True,
    )


def of_row(number: int, row: Mapping[str, Any]) -> Record:
    """Return the record of a flat row, as benchmarks write them: `solver`, `verdict`, and perhaps evidence, reason, seconds, codes.

    What else is there names the query. Raises KeyError, TypeError or ValueError if it is damaged.
    """
    mappings(row, "hashes", "versions", "limits")
    about = {k: v for k, v in row.items() if k not in ANSWERED and isinstance(v, int | str) and not isinstance(v, bool)}
    subject = " ".join(f"{k} {v}" for k, v in about.items() if k != "bits")
    bits = width(row.get("bits"))
    return Record(
        number,
        str(row.get("name", "query")),
        subject,
        f"{subject} @ {bits}",
        str(row["solver"]),
        Verdict[row["verdict"]],
        str(row.get("evidence", "")),
        None if row.get("reason") is None else str(row["reason"]),
        str(row.get("detail", "")),
        seconds(float(row.get("seconds", 0.0))),
        bits,
        None,
        {**about, **dict(row.get("parameters", {}))},
        {},
        row,
        row.get("vacuous") is True,
    )


ANSWERED = frozenset({"solver", "verdict", "evidence", "reason", "detail", "name", "domains", "size", "index", "key", "schema"})
"""Fields of a flat row that are no part of the question."""


def width(value: object) -> Bits | None:
    """Return a number of bits or a name; raises TypeError if it is neither."""
    if isinstance(value, bool) or not isinstance(value, int | str | None):
        raise TypeError(f"{value!r} is no number of bits")
    return value


def notes(value: Any) -> dict[str, Any]:
    """Return what a sweep has noted; raises TypeError or ValueError if that is no accuracy, or says of no width whether codes survive."""
    found = dict(value)
    if "accuracy" in found and not 0 <= found["accuracy"] <= 1:
        raise ValueError(f"{found['accuracy']} is no accuracy")
    if not all(isinstance(v, bool) for v in dict(found.get("survives", {})).values()):
        raise TypeError("it says not whether codes survive")
    return found


def mappings(content: Mapping[str, Any], *names: str) -> None:
    """Raise TypeError unless each of these that is there is a mapping."""
    if wrong := [n for n in names if not isinstance(content.get(n, {}), Mapping)]:
        raise TypeError(f"{', '.join(wrong)}: no object")


def seconds(value: float) -> float:
    """Return a time; raises ValueError if it is none."""
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{value} is no time")
    return value


def fingerprint(value: object) -> str:
    """Return a few letters that tell JSON values apart."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]
