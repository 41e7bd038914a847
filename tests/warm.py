"""Workers that need not start: processes forked from one that has imported their library already (`zygote.py`).

What a worker does is the same: it runs as a program, reads its script on stdin and answers on its channel. What it does without is its
supervisor and a fresh interpreter, which cost each question a tenth of a second. These are tested by `test_process.py`, by the tests of
each adapter, by asking both ways (`test_a_worker_that_is_forked_says_what_one_that_is_started_says`), and by every question to z3, whose
executable is started as ever.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from qspec.solver import Limits
from qspec_solvers.process import OUTPUT_LIMIT, WORKERS, End, Finished, run

FOREVER = 1e6
"""Seconds, for what has no limit."""


class Warm:
    """The processes that workers are forked from, each started when its worker is first asked."""

    def __init__(self) -> None:
        self._started: dict[str, subprocess.Popen[str]] = {}

    def take_over(self, patch: pytest.MonkeyPatch) -> None:
        """Let the adapters that run workers have them forked here, until the patch is undone."""
        for adapter in ("smtlib", "highs"):
            patch.setattr(f"qspec_solvers.{adapter}.run", self.run)

    def run(
        self, command: Sequence[str], text: str, limits: Limits, *, channel: bool = False, output_limit: int = OUTPUT_LIMIT
    ) -> Finished:
        """Run a command as `qspec_solvers.process.run` does; one of our workers without a supervisor, in a process forked for it."""
        at = next((k for k, word in enumerate(command) if word.startswith(str(WORKERS))), None)
        if at is None:
            return run(command, text, limits, channel=channel, output_limit=output_limit)
        began = time.monotonic()
        with TemporaryDirectory() as folder:
            files = {name: Path(folder, name) for name in ("script", "answer", "noise")}
            files["script"].write_text(text, encoding="utf-8")
            seconds = FOREVER if limits.seconds is None else limits.seconds
            request = {**{name: str(path) for name, path in files.items()}, "arguments": command[at + 1 :], "seconds": seconds}
            code = self._answered(command[at], json.dumps(request))
            said, noise = (f.read_text(encoding="utf-8", errors="replace") if f.exists() else "" for f in (files["answer"], files["noise"]))
        end = End.EXIT if code >= 0 else End.TIMEOUT if code == -signal.SIGALRM else End.SIGNAL
        return Finished(end, abs(code), said, noise, seconds=time.monotonic() - began)

    def _answered(self, worker: str, request: str) -> int:
        """Return the exit status of a worker that was given a request."""
        if worker not in self._started:
            command = (sys.executable, "-P", "-W", "ignore", str(Path(__file__).parent / "zygote.py"), worker)
            self._started[worker] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        process = self._started[worker]
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{request}\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    def close(self) -> None:
        """End them all."""
        for process in self._started.values():
            process.communicate()
