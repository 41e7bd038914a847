"""Solvers that worker processes can be given: they travel by the name of their module, and tell tests by files what they did."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from qspec.problem import Problem
from qspec.solver import Answer, Availability, Limits, Reason
from tests.unit.fake_solvers.in_process import enumerated, opposite


@dataclass(frozen=True)
class Honest:
    """Says the truth, and leaves a file in a folder each time it is asked."""

    folder: Path
    name: str = "honest"
    theories: tuple[str, ...] = ("grid",)
    cite: str = "nobody"

    def availability(self) -> Availability:
        return Availability(True, "1.0")

    def solve(self, problem: Problem, limits: Limits) -> Answer:
        (self.folder / f"asked-{os.getpid()}-{len(list(self.folder.iterdir()))}").touch()
        return self.answer(problem, limits)

    def answer(self, problem: Problem, limits: Limits) -> Answer:
        return enumerated(problem)

    @property
    def asked(self) -> int:
        """How often it was asked, in every process."""
        return len(list(self.folder.glob("asked-*")))


@dataclass(frozen=True)
class Deadly(Honest):
    """Takes its process with it the first `deaths` times that it is asked."""

    deaths: int = 1

    def answer(self, problem: Problem, limits: Limits) -> Answer:
        if self.asked <= self.deaths:
            os.kill(os.getpid(), signal.SIGKILL)
        return enumerated(problem)


@dataclass(frozen=True)
class Slow(Honest):
    """Gives up, for lack of time or of memory, unless it is given 50 seconds and 500 MiB."""

    def answer(self, problem: Problem, limits: Limits) -> Answer:
        if limits.seconds is not None and limits.seconds < 50:
            return Answer("unknown", reason=Reason.TIMEOUT)
        return Answer("unknown", reason=Reason.MEMORY) if limits.memory is not None and limits.memory < 500 else enumerated(problem)


@dataclass(frozen=True)
class Liar(Honest):
    """Says the opposite of the truth."""

    def answer(self, problem: Problem, limits: Limits) -> Answer:
        return opposite(problem)


@dataclass(frozen=True)
class Broken(Honest):
    """Raises what no solver may raise."""

    def answer(self, problem: Problem, limits: Limits) -> Answer:
        raise ZeroDivisionError("on the way")


@dataclass(frozen=True)
class Stuck(Honest):
    """Never answers; writes its process to the pipe `stuck` in its folder, if there is one, and holds that open until it ends."""

    def answer(self, problem: Problem, limits: Limits) -> Answer:
        if (self.folder / "stuck").exists():
            os.write(os.open(self.folder / "stuck", os.O_WRONLY), f"{os.getpid()}\n".encode())
        while True:
            signal.pause()
