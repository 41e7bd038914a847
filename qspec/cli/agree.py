"""`qspec agree`: a file in its real runtime and here, tensor by tensor."""

from __future__ import annotations

from qspec.cli.arrays import read_array
from qspec.cli.outcome import CommandOutput, Exit
from qspec.conformance.agree import agree


def run(
    *, file: str, semantics: str | None, runtime: str | None, inputs: str | None, samples: int, seed: int, input: str | None
) -> CommandOutput:
    """Return what was compared, with status 1 if anything differs."""
    given = None if inputs is None else read_array(inputs)
    found = agree(file, semantics, runtime, inputs=given, samples=samples, seed=seed, input=input)
    return CommandOutput(str(found), Exit.VIOLATED if found.differing else Exit.HOLDS, found.to_dict)
