"""`qspec flips`: whether two runtimes of one file can give different classes near the inputs of a test set."""

from __future__ import annotations

from collections.abc import Sequence

from qspec.arithmetic.integers import IntArray
from qspec.cli.arrays import read_array
from qspec.cli.outcome import CommandOutput, status
from qspec.cli.terminal import painted, table
from qspec.conformance.flips import Flips, flips
from qspec.conformance.pairing import drift
from qspec.verify.result import Verdict, all_hold


def run(
    *,
    file: str,
    between: Sequence[str],
    inputs: str,
    radius: Sequence[int],
    tolerance: int | None,
    replay: bool,
    layers: bool,
    timeout: float | None,
    seed: int,
) -> CommandOutput:
    """Return a table with a row for each radius, and where the two part; status 1 if something flips, 3 if something is open."""
    codes = read_array(inputs)
    first, second = between
    found = [
        flips(file, first, second, inputs=codes, radius=r, tolerance=tolerance, timeout=timeout, replay=replay, seed=seed) for r in radius
    ]
    verdict = all_hold(f.verdict for f in found)
    head = ("radius", "inputs", "cannot flip", "flip", "shown in both", "open")
    rows = [[f.radius, len(f.outcomes), *_counts(f)] for f in found]
    parts = [painted(verdict.name), *map(str, found), table(head, [[str(v) for v in row] for row in rows], right=range(6))]
    if layers:
        parts.append(_layers(file, first, second, codes, max(radius)))
    return CommandOutput(
        "\n\n".join(parts), status(verdict, []), lambda: {"verdict": verdict.name, "results": [f.to_dict() for f in found]}
    )


def _counts(found: Flips) -> list[int]:
    return [found.count(Verdict.HOLDS), found.count(Verdict.VIOLATED), found.shown, found.count(Verdict.UNKNOWN)]


def _layers(file: str, first: str, second: str, codes: IntArray, radius: int) -> str:
    """Return how far each tensor can drift near the first input."""
    rows = [
        (name, str(own.difference.lower.size), str(own.alike), str(own.most))
        for name, own in drift(file, first, second, centre=codes[0], radius=radius)
    ]
    return table(("tensor, near the first input", "elements", "cannot differ", "drift at most"), rows, right=(1, 2, 3))
