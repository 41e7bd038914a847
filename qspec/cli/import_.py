"""`qspec import`: a file of another format as a file of qspec."""

from __future__ import annotations

from collections.abc import Sequence

from qspec.cli.outcome import CommandOutput
from qspec.cli.specs import reader_options
from qspec.readers.load import load


def run(*, file: str, format: str | None, option: Sequence[str], semantics: str | None, out: str) -> CommandOutput:
    """Write the network; returns its summary."""
    network = load(file, format=format, **reader_options(option, semantics))
    network.save(out)
    return CommandOutput(f"{network.summary()}\n\n{out}")
