"""`qspec import`: a file of a runtime as a file of qspec."""

from __future__ import annotations

from qspec.cli.outcome import Outcome
from qspec.readers.load import load


def run(*, file: str, semantics: str | None, out: str) -> Outcome:
    """Write the network; returns its summary."""
    network = load(file, semantics=semantics)
    network.save(out)
    return Outcome(f"{network.summary()}\n\n{out}")
