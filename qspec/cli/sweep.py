"""`qspec sweep`: the properties of a file at many numbers of bits, by several methods."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, cast

from qspec.batch.sweeps import Sweep, sweep
from qspec.cli.outcome import CommandOutput, Exit
from qspec.cli.specs import read_values, split_target
from qspec.cli.terminal import table
from qspec.errors import SpecError
from qspec.show.figures.plot import plot
from qspec.show.figures.style import check_drawable
from qspec.verify.result import Verdict

OPTIONAL = ("samples", "real", "labelled")


def run(
    *,
    target: str,
    bits: str,
    solvers: str,
    figure: str | None,
    store: str | None,
    workers: int | None,
    timeout: float | None,
    memory: int | None,
    seed: int,
    allow_vacuous: bool,
) -> CommandOutput:
    """Return how many hold at each number of bits by each method, and where more bits cost something; what is vacuous ends with 5."""
    check_drawable(figure)
    path, _ = split_target(target)
    values = cast("dict[str, Any]", read_values(path))
    if missing := [n for n in ("make", "specs") if n not in values]:
        raise SpecError(f"{path.name} does not say what to sweep over", given=f"no {', no '.join(missing)}", expected="`make` and `specs`")
    given = {n: values[n] for n in OPTIONAL if n in values}
    found = sweep(
        values["make"],
        values["specs"],
        bits=None if isinstance(values["make"], Mapping) and not bits else numbers(bits),
        solvers=[s.strip() for s in solvers.split(",")],
        workers=workers,
        store=store,
        timeout=timeout,
        memory=memory,
        seed=seed,
        progress=sys.stderr.isatty(),
        **given,
    )
    if figure is not None:
        plot(found, figure)
    text = "\n\n".join([shares(found), *([judged(found)] if len(found.shares) > 1 else []), *steps(found), *found.warnings])
    return CommandOutput(text, Exit.VACUOUS if found.vacuous and not allow_vacuous else Exit.HOLDS, found.to_dict)


def numbers(text: str) -> list[int]:
    """Return the numbers in `4,6-8`; raises SpecError on anything else."""
    if not re.fullmatch(r"\d{1,3}(-\d{1,3})?(,\d{1,3}(-\d{1,3})?)*", text):
        raise SpecError("no numbers of bits", given=text, expected="such as 4,6-10", advice="--bits 6-10")
    ends = [[int(n) for n in part.split("-")] for part in text.split(",")]
    if any(e[0] > e[-1] for e in ends):
        raise SpecError("these bits go down", given=text, expected="the fewest first, such as 4,6-10", advice="--bits 6-10")
    return sorted({k for e in ends for k in range(e[0], e[-1] + 1)})


def shares(found: Sweep) -> str:
    """Return a table of verdicts and accuracy."""
    rows: list[Sequence[str]] = []
    for s in found.shares:
        right = "" if s.accuracy is None else f"{100 * s.accuracy:.2f}"
        failed = sum(r.reason == "ERROR" for r in s.records)
        counts = [str(len(s.of(v)) - (failed if v is Verdict.UNKNOWN else 0)) for v in Verdict]
        rows.append(("real" if s.bits is None else str(s.bits), s.method, *counts, str(failed), right))
    return table(("bits", "method", "holds", "violated", "unknown", "errors", "accuracy %"), rows, right=(2, 3, 4, 5, 6))


def judged(found: Sweep) -> str:
    """Return a table of who is right."""
    rows = [
        (
            str(j.bits),
            j.method,
            *(str(len(part)) for part in (j.true_robust, j.false_robust, j.true_vulnerable, j.false_vulnerable, j.undecided)),
            f"{len(j.lost)} of {len(j.lost) + len(j.kept)}" if j.lost or j.kept else "",
        )
        for j in found.judged
    ]
    header = ("bits", "method", "true robust", "false robust", "true vulnerable", "false vulnerable", "undecided", "lost when rounded")
    return table(header, rows, right=(2, 3, 4, 5, 6, 7))


def steps(found: Sweep) -> list[str]:
    """Return a sentence for each step at which more bits cost something."""
    told: list[str] = []
    for s in found.steps:
        if not s.monotone:
            fell = f", accuracy {100 * s.accuracy:+.2f} points" if s.accuracy is not None and s.accuracy < 0 else ""
            told.append(f"from {s.before} to {s.after} bits: {len(s.lost)} that held are violated{fell}")
    return ["\n".join(told)] if told else []
