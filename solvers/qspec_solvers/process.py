"""Run a solver as a process of its own, under hard limits; however it ends, that is a value.

Every run has a supervisor (`_workers/supervise.py`), which holds the limits, kills the whole process tree when one is reached or when
the parent is gone, and reports. The script travels as an unlinked temporary file on stdin, so that nothing is left on disk. Answers travel
on stdout, or, so that nothing that a library prints is taken for one, on a descriptor of their own (`CHANNEL`).
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import IO

from qspec.solver import Limits

WORKERS = Path(__file__).parent / "_workers"
CHANNEL = 3
"""The descriptor of its own on which a command that knows of it answers; its stdout is then a remark, as stderr is."""
OUTPUT_LIMIT = 32 << 20
"""Bytes of answer after which a solver is stopped; a model of 50 000 variables takes about 2 MB."""
ERROR_LIMIT = 4096
"""Bytes of remarks that are kept, of the beginning and of the end each."""
GRACE = 5.0
"""Seconds that the supervisor has to clear up before it is killed with everything in its session."""

PAUSE = 0.1
"""Seconds between looks at whether somebody who listens has cancelled the run."""


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
    """A run that has ended: exit status or signal, the answer, what else was printed, wall-clock seconds, peak resident MiB and
    CPU seconds (0 if it was stopped) of the process tree."""

    end: End
    code: int = 0
    output: str = ""
    errors: str = ""
    noise: str = ""
    """What was printed on stdout by a command that answers elsewhere."""
    seconds: float = 0.0
    peak: int = 0
    cpu: float = 0.0


def worker(name: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that starts one of our workers; by path and with -P, so that no module shadows a library."""
    return (sys.executable, "-P", "-W", "ignore", str(WORKERS / f"{name}.py"), *arguments)


def run(command: Sequence[str], text: str, limits: Limits, *, channel: bool = False, output_limit: int = OUTPUT_LIMIT) -> Finished:
    """Run a command with `text` on stdin until it ends or a limit is reached; nothing is left running, whatever happens.

    It answers on the descriptor `CHANNEL` if `channel` is set, else on stdout.
    """
    began = time.monotonic()
    try:
        with tempfile.TemporaryFile() as script:
            script.write(text.encode())
            script.seek(0)
            return _supervise(command, script, limits, _Heard(channel, output_limit), began)
    except (OSError, ValueError) as error:  # no process, descriptor or room on disk to be had; a zero byte in the command
        return Finished(End.LOST, errors=str(error), seconds=time.monotonic() - began)


@dataclass(slots=True)
class _Ends:
    """Both ends of what a stream carried."""

    head: bytes = b""
    tail: bytes = b""

    def add(self, data: bytes) -> None:
        room = ERROR_LIMIT - len(self.head)
        self.head, self.tail = self.head + data[:room], (self.tail + data[room:])[-ERROR_LIMIT:]

    def text(self) -> str:
        return (self.head + self.tail).decode(errors="replace")


@dataclass(slots=True)
class _Heard:
    """What has come from a run so far: the answer, whole, and both ends of each stream of remarks."""

    channel: bool
    limit: int
    answer: bytearray = field(default_factory=bytearray)
    noise: _Ends = field(default_factory=_Ends)
    errors: _Ends = field(default_factory=_Ends)
    report: bytearray = field(default_factory=bytearray)

    @property
    def too_long(self) -> bool:
        return len(self.answer) > self.limit


def _supervise(command: Sequence[str], script: IO[bytes], limits: Limits, heard: _Heard, began: float) -> Finished:
    overdue = float("inf") if limits.seconds is None else began + limits.seconds + GRACE
    with ExitStack() as stack:
        (report, report_end), (answer, answer_end) = _pipe(stack), _pipe(stack)
        own = (report_end.fileno(), answer_end.fileno()) if heard.channel else (report_end.fileno(), -1)
        seconds = "inf" if limits.seconds is None else str(limits.seconds)
        options = (*map(str, own), str(os.getpid()), seconds, str(limits.memory or 0))
        process = subprocess.Popen(
            (sys.executable, "-I", "-S", str(WORKERS / "supervise.py"), *options, *command),
            stdin=script, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[d for d in own if d >= 0], start_new_session=True,
        )  # fmt: skip
        try:
            report_end.close()
            answer_end.close()
            assert process.stdout is not None
            assert process.stderr is not None
            out = heard.noise.add if heard.channel else heard.answer.extend
            streams = {process.stdout: out, process.stderr: heard.errors.add, report: heard.report.extend}
            _read(streams | ({answer: heard.answer.extend} if heard.channel else {}), heard, limits, overdue)
        finally:
            _stop(process)
    return _finished(heard, limits, time.monotonic() - began)


def _pipe(stack: ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    """Return the reading and the writing end of a new pipe."""
    read, write = os.pipe()
    return stack.enter_context(open(read, "rb")), stack.enter_context(open(write, "wb"))  # noqa: PTH123 (descriptors)


def _read(streams: Mapping[IO[bytes], Callable[[bytes], object]], heard: _Heard, limits: Limits, overdue: float) -> None:
    """Hand on what comes from each stream until all are closed, the answer is too long, the supervisor overdue, or the run cancelled."""
    deadline = limits.deadline()
    with selectors.DefaultSelector() as selector:
        for stream, take in streams.items():
            selector.register(stream, selectors.EVENT_READ, take)
        while selector.get_map() and not heard.too_long and time.monotonic() < overdue and not deadline.cancelled:
            for key, _ in selector.select(timeout=PAUSE if deadline.listeners else 1.0):
                data = os.read(key.fd, 1 << 16)
                if data:
                    key.data(data)
                else:
                    selector.unregister(key.fileobj)


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


def _finished(heard: _Heard, limits: Limits, seconds: float) -> Finished:
    end, code, peak, cpu = End.LOST, 0, 0, 0.0
    match heard.report.decode().split():
        case [word, status, memory, time_used] if word in (e.value for e in End):
            end, code, peak, cpu = End(word), int(status), int(memory), float(time_used)
        case _ if limits.seconds is not None and seconds >= limits.seconds:
            end = End.TIMEOUT
        case _:
            pass
    end = End.OUTPUT if heard.too_long else end
    return Finished(end, code, heard.answer.decode(errors="replace"), heard.errors.text(), heard.noise.text(), seconds, peak, cpu)
