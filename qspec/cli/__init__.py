"""The command line: `qspec verify`, `verify-many`, `certify`, `compare`, `export`, `vnnlib`, `replay`, `show` and more."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import TYPE_CHECKING, cast

from qspec.cli.parser import COMMANDS, parse
from qspec.errors import InternalError, QspecError, SoundnessError

if TYPE_CHECKING:
    from qspec.cli.outcome import CommandOutput

MODULES = {"import": "import_", "verify-many": "many", "check-certificate": "certificate", "report": "page", "any-order": "any_order"}
"""Where the code of a command is, if not in the module of its name."""
FAILURE, USAGE, INTERRUPTED, CLOSED_PIPE = 4, 2, 130, 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0 holds, 1 violated, 2 bad usage, 3 unknown, 4 failure, 130 interrupted.

    stdout begins with the verdict; errors, notes and progress go to stderr. Raises SystemExit on `--help` and on bad usage.
    """
    _take_any_text()
    options = parse(arguments)
    debug = bool(options.pop("debug"))
    try:
        outcome = _run(options)
        return _print(outcome.text, outcome.status)
    except KeyboardInterrupt:
        return _say("interrupted", INTERRUPTED)
    except BrokenPipeError:
        _drop_stdout()
        return CLOSED_PIPE
    except MemoryError:
        return _say("error: memory ran out, outside of any solver\n  try:      a larger limit of the system, or a smaller network", FAILURE)
    except QspecError as error:
        if debug:
            raise
        return _say(f"error: {error}", FAILURE if isinstance(error, SoundnessError | InternalError) else USAGE)
    except Exception as error:
        if debug:
            raise
        return _say(f"internal error: {type(error).__name__}: {error} (a defect in qspec; --debug shows where)", FAILURE)


def _run(options: dict[str, object]) -> CommandOutput:
    """Import the module of a command, which nothing else does, and call it with its options."""
    command = cast(str, options.pop("command"))
    if options.pop("version"):
        from qspec.cli.outcome import version

        return version()
    if command not in COMMANDS:
        raise InternalError("a command without code", given=command)
    run = cast("Callable[..., CommandOutput]", import_module(f"qspec.cli.{MODULES.get(command, command)}").run)
    where = cast("str | None", options.pop("json"))
    from qspec.cli.json_output import run_with_json

    return run_with_json(lambda: run(**options), command, where)  # argparse makes what each command takes


def _print(text: str, status: int) -> int:
    """Write text to stdout and return the status, which a reader that has gone away does not change."""
    if sys.stdout is None:
        return int(status)  # closed before the program began: the status says what was found
    try:
        if text:
            sys.stdout.write(text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_stdout()
    except OSError as error:
        _drop_stdout()
        return _say(f"error: cannot write to stdout ({error.strerror}); the status would have been {int(status)}", FAILURE)
    return int(status)


def _take_any_text() -> None:
    """Let stdout and stderr replace what their encoding has no characters for, so that a verdict is shown whatever it is."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def _drop_stdout() -> None:
    """Let what is still buffered for stdout go nowhere, so that the interpreter can exit in silence."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(text: str, status: int) -> int:
    sys.stderr.write(text + "\n")
    return status
