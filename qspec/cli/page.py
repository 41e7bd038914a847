"""`qspec report`: results as one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qspec.cli.outcome import CommandOutput
from qspec.cli.report import check_writable
from qspec.errors import SpecError
from qspec.files.atomic import replacing, writing
from qspec.show.report.page import page
from qspec.show.report.read import read


def run(*, results: Sequence[str], out: str, title: str | None, by: Sequence[str], most: int) -> CommandOutput:
    """Write the page about some files of results, and return where it is."""
    check_writable(out)
    if most < 0:
        raise SpecError("no number of counterexamples", given=most, expected="--most N, at least 0")
    records, sources = read(results)
    text = page(records, sources, title=title or f"Results: {', '.join(s.name for s in sources)}", by=by, most=most)
    data = text.encode(errors="replace")  # JSON may have halves of characters
    with writing(out), replacing(Path(out)) as stream:
        stream.write(data)
    return CommandOutput(f"{out}: {len(records)} rows, {len(data) / 2**20:.1f} MiB")
