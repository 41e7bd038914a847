"""`qspec flips`: whether two runtimes of one file can give different classes near the inputs of a test set."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from qspec.arithmetic.integers import IntArray
from qspec.cli.arrays import read_array
from qspec.cli.outcome import Exit, Outcome
from qspec.cli.report import check_writable
from qspec.cli.terminal import painted, table
from qspec.conformance.flips import Flips, flips
from qspec.conformance.pairing import drift
from qspec.files.atomic import replacing, writing
from qspec.verify.result import Verdict

STATUS = {Verdict.HOLDS: Exit.HOLDS, Verdict.VIOLATED: Exit.VIOLATED, Verdict.UNKNOWN: Exit.UNKNOWN}


def run(
    *,
    file: str,
    between: Sequence[str],
    inputs: str,
    radius: Sequence[int],
    tolerance: int | None,
    replay: bool,
    layers: bool,
    json: str | None,
    timeout: float | None,
    seed: int,
) -> Outcome:
    """Return a table with a row for each radius, and where the two part; status 1 if something flips, 3 if something is open."""
    check_writable(json)
    codes = read_array(inputs)
    first, second = between
    found = [
        flips(file, first, second, inputs=codes, radius=r, tolerance=tolerance, timeout=timeout, replay=replay, seed=seed) for r in radius
    ]
    verdict = next((v for v in (Verdict.VIOLATED, Verdict.UNKNOWN) if any(f.count(v) for f in found)), Verdict.HOLDS)
    head = ("radius", "inputs", "cannot flip", "flip", "shown in both", "open")
    rows = [[f.radius, len(f.outcomes), *_counts(f)] for f in found]
    parts = [painted(verdict.name), *map(str, found), table(head, [[str(v) for v in row] for row in rows], right=range(6))]
    if layers:
        parts.append(_layers(file, first, second, codes, max(radius)))
    if json is not None:
        _write(json, found)
    return Outcome("\n\n".join(parts), STATUS[verdict])


def _counts(found: Flips) -> list[int]:
    return [found.count(Verdict.HOLDS), found.count(Verdict.VIOLATED), found.shown, found.count(Verdict.UNKNOWN)]


def _layers(file: str, first: str, second: str, codes: IntArray, radius: int) -> str:
    """Return how far each tensor can drift near the first input."""
    rows = [
        (name, str(own.difference.lower.size), str(own.alike), str(own.most))
        for name, own in drift(file, first, second, centre=codes[0], radius=radius)
    ]
    return table(("tensor, near the first input", "elements", "cannot differ", "drift at most"), rows, right=(1, 2, 3))


def _write(path: str, found: Sequence[Flips]) -> None:
    rows = [
        {
            "file": f.file,
            "semantics": f.semantics,
            "radius": f.radius,
            "tolerance": f.tolerance,
            "input": k,
            "verdict": o.verdict.name,
            "how": o.how,
            "replayed": o.replayed,
            "codes": None if o.codes is None else o.codes.tolist(),
            "outputs": None if o.outputs is None else [v.tolist() for v in o.outputs],
        }
        for f in found
        for k, o in enumerate(f.outcomes)
    ]
    with writing(path), replacing(Path(path)) as stream:
        stream.write(json.dumps(rows).encode())
