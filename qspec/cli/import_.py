"""`qspec import`: a file of another format as a file of qspec."""

from __future__ import annotations

from collections.abc import Sequence

from qspec.cli.outcome import Outcome
from qspec.cli.specs import reader_option
from qspec.readers.load import load


def run(*, file: str, format: str | None, option: Sequence[str], out: str) -> Outcome:
    """Write the network; returns its summary."""
    network = load(file, format=format, **dict(map(reader_option, option)))
    network.save(out)
    return Outcome(f"{network.summary()}\n\n{out}")
