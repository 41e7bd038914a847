"""Run a solver as a process of its own, under hard limits; however it ends, that is a value.

Every run has a supervisor (`_workers/supervise.py`), which holds the limits, kills the whole process tree when one is reached or when
the parent is gone, and reports. The script travels as an unlinked temporary file on stdin, so that nothing is left on disk.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import IO

from qspec.solver import Limits

WORKERS = Path(__file__).parent / "_workers"
OUTPUT_LIMIT = 32 << 20
"""Bytes on stdout after which a solver is stopped; a model of 50 000 variables takes about 2 MB."""
ERROR_LIMIT = 4096
"""Bytes of stderr that are kept, of the beginning and of the end each."""
GRACE = 5.0
"""Seconds that the supervisor has to clear up before it is killed with everything in its session."""


class End(Enum):
    """How a run ended."""

    EXIT = "exit"
    SIGNAL = "signal"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    OUTPUT = "output"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that has ended: exit status or signal, what was printed, wall-clock seconds, peak resident MiB and CPU
    seconds (0 if it was stopped) of the process tree."""

    end: End
    code: int = 0
    output: str = ""
    errors: str = ""
    seconds: float = 0.0
    peak: int = 0
    cpu: float = 0.0


def worker(name: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that starts one of our workers; by path and with -P, so that no module shadows a library."""
    return (sys.executable, "-P", "-W", "ignore", str(WORKERS / f"{name}.py"), *arguments)


def run(command: Sequence[str], text: str, limits: Limits, *, output_limit: int = OUTPUT_LIMIT) -> Finished:
    """Run a command with `text` on stdin until it ends or a limit is reached; nothing is left running, whatever happens."""
    began = time.monotonic()
    try:
        with tempfile.TemporaryFile() as script:
            script.write(text.encode())
            script.seek(0)
            return _supervise(command, script, limits, output_limit, began)
    except (OSError, ValueError) as error:  # no process, descriptor or room on disk to be had; a zero byte in the command
        return Finished(End.LOST, errors=str(error), seconds=time.monotonic() - began)


def _supervise(command: Sequence[str], script: IO[bytes], limits: Limits, output_limit: int, began: float) -> Finished:
    overdue = float("inf") if limits.seconds is None else began + limits.seconds + GRACE
    read, write = os.pipe()
    with open(read, "rb") as report:  # noqa: PTH123 (a descriptor)
        try:
            seconds = "inf" if limits.seconds is None else str(limits.seconds)
            options = (str(write), str(os.getpid()), seconds, str(limits.memory or 0))
            process = subprocess.Popen(
                (sys.executable, "-I", "-S", str(WORKERS / "supervise.py"), *options, *command),
                stdin=script, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=(write,), start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(write)
        try:
            output, errors, line = _read(process, report, output_limit, overdue)
        finally:
            _stop(process)
    return _finished(output, errors, line, limits, output_limit, time.monotonic() - began)


def _read(process: subprocess.Popen[bytes], report: IO[bytes], output_limit: int, overdue: float) -> tuple[bytes, bytes, bytes]:
    """Return stdout, both ends of stderr, and the report, read until all are closed, stdout is too long, or the supervisor is overdue."""
    assert process.stdout is not None
    assert process.stderr is not None
    chunks, size, head, tail, line = list[bytes](), 0, b"", b"", b""
    with selectors.DefaultSelector() as selector:
        for stream in (process.stdout, process.stderr, report):
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map() and size <= output_limit and time.monotonic() < overdue:
            for key, _ in selector.select(timeout=1.0):
                data = os.read(key.fd, 1 << 16)
                if not data:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stdout:
                    chunks.append(data)
                    size += len(data)
                elif key.fileobj is process.stderr:
                    room = ERROR_LIMIT - len(head)
                    head, tail = head + data[:room], (tail + data[room:])[-ERROR_LIMIT:]
                else:
                    line += data
    return b"".join(chunks), head + tail, line


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the supervisor and everything below it, unless it has ended by itself, and release its pipes."""
    process.terminate()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _finished(output: bytes, errors: bytes, report: bytes, limits: Limits, output_limit: int, seconds: float) -> Finished:
    end, code, peak, cpu = End.LOST, 0, 0, 0.0
    match report.decode().split():
        case [word, status, memory, time_used] if word in (e.value for e in End):
            end, code, peak, cpu = End(word), int(status), int(memory), float(time_used)
        case _ if limits.seconds is not None and seconds >= limits.seconds:
            end = End.TIMEOUT
        case _:
            pass
    end = End.OUTPUT if len(output) > output_limit else end
    return Finished(end, code, output.decode(errors="replace"), errors.decode(errors="replace"), seconds, peak, cpu)
