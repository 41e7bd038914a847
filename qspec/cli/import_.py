"""`qspec import`: a file of a runtime as a file of qspec."""

from __future__ import annotations

from qspec.cli.outcome import Outcome
from qspec.readers.tflite import read_tflite


def run(*, file: str, semantics: str, out: str) -> Outcome:
    """Write the network; returns its summary."""
    network = read_tflite(file, semantics)
    network.save(out)
    return Outcome(f"{network.summary()}\n\n{out}")
