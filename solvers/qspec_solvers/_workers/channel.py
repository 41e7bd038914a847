"""Where our workers answer: a descriptor of their own, so that nothing that a library prints is taken for an answer."""

from __future__ import annotations

CHANNEL = 3
"""As in `qspec_solvers.process`; the supervisor opens it."""

PROOF_FILE = "proof-file"
"""The option of ours that names the file for the proof of `unsat`."""


def answer(text: str) -> None:
    """Write the whole answer, once."""
    with open(CHANNEL, "w", encoding="utf-8") as channel:
        channel.write(text)
