"""`--json`, which every command has: one JSON document in a file, or on stdout, where nothing else goes then."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

from qspec.cli.outcome import CommandOutput
from qspec.cli.report import check_writable
from qspec.errors import SpecError
from qspec.files.atomic import replacing, writing


def run_with_json(run: Callable[[], CommandOutput], command: str, where: str | None) -> CommandOutput:
    """Run a command, write its document if asked to, and return what is left for stdout: the text, unless the document went there.

    With `-` the text goes to stderr. If a file cannot be written, the text is shown all the same, and then the error raised.
    """
    if where is None:
        return run()
    check_writable(where)
    if where == "-":
        with redirect_stdout(sys.stderr):
            outcome = run()
        if outcome.text:
            sys.stderr.write(outcome.text + "\n")
        return CommandOutput(_text(outcome, command), outcome.status)
    outcome = run()
    try:
        with writing(where), replacing(Path(where)) as stream:
            stream.write(_text(outcome, command).encode())
    except SpecError:
        sys.stdout.write(outcome.text + "\n")
        raise
    return outcome


def _text(outcome: CommandOutput, command: str) -> str:
    return json.dumps(outcome.document(command), indent=2, allow_nan=False) + "\n"
