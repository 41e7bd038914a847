"""`qspec lint`: what is wrong with a quantised file, or likely to be."""

from __future__ import annotations

from qspec.cli.arrays import read_array
from qspec.cli.outcome import CommandOutput, Exit
from qspec.cli.terminal import table
from qspec.lint.lint import lint


def run(*, file: str, twin: str | None, inputs: str | None, semantics: str | None) -> CommandOutput:
    """Return the findings, and each layer beside its twin; status 1 if there is an error or a warning."""
    found = lint(file, twin=twin, inputs=None if inputs is None else read_array(inputs), semantics=semantics)
    parts = [str(found)]
    if found.beside:
        rows = [(b.layer, b.twin, f"{b.mean:.2f}", f"{b.largest:.1f}") for b in found.beside]
        parts.append(table(("layer", "of the twin", "codes apart, mean", "largest"), rows, right=(2, 3)))
    return CommandOutput("\n\n".join(parts), Exit.HOLDS if found.clean else Exit.VIOLATED, found.to_dict)
