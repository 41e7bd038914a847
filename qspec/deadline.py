"""When work has to end, and how much memory it may hold: one value that is handed down to everything that may take long.

Loops look at it between blocks of bounded cost. Nothing is interrupted in mid-flight, so what cannot be interrupted (a compilation, one
large array) is asked for only if what is left can pay for it. The clock is injected, so that tests need not wait.

Listeners (`qspec.support.watch`) are told how far the work is, and may cancel it, which is as if its time were over.
"""

from __future__ import annotations

import logging
import resource
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cache
from math import inf
from pathlib import Path
from typing import Protocol

MEBIBYTE = 1 << 20
LIBRARY = 170 * MEBIBYTE
"""What JAX takes itself, loaded and with its first compilation; measured with jax 0.10.2 on Linux."""
LEAST = 0.01
"""Seconds that a question gets at least."""
SHARE = 4
"""Where a process holds much already, a query may still take one part in so many of its limit on top."""


class Listener(Protocol):
    """Somebody who waits for work to end."""

    @property
    def cancelled(self) -> bool:
        """Whether it is not wanted any more."""
        ...

    def hear(self, what: str, done: int, total: int | None) -> None:
        """Take note that so many (of so many) of something are done."""
        ...


LISTENERS: ContextVar[tuple[Listener, ...]] = ContextVar("LISTENERS", default=())
"""Who listens to the work of this thread or task."""

_log = logging.getLogger("qspec")


def tell(what: str, done: int = 0, total: int | None = None) -> None:
    """Tell all listeners, and the logger `qspec` at level DEBUG, how far the work is."""
    if _log.isEnabledFor(logging.DEBUG):
        _log.debug("%s: %d%s", what, done, "" if total is None else f" of {total}")
    for listener in LISTENERS.get():
        listener.hear(what, done, total)


class OutOfTime(Exception):
    """A deadline has passed; whoever answers to the user turns it into UNKNOWN."""


class OutOfMemory(MemoryError):
    """More memory would be held than the limit allows; numpy's own MemoryError is treated alike."""


def _now() -> float:
    return time.monotonic()


def resident() -> int:
    """Return how many bytes of memory this process holds; its peak, where the system tells no more."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * _page()
    except OSError:  # no Linux
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak


@cache
def _page() -> int:
    return resource.getpagesize()


def compiled(size: float = 0) -> float:
    """Return how many bytes compiled code on arrays of `size` bytes takes: with JAX itself, where this process has not loaded it."""
    return size if "jax" in sys.modules else size + LIBRARY


@contextmanager
def memory_errors() -> Generator[None]:
    """Raise OutOfMemory where XLA says so in its own way; it is known by name, because JAX may not be loaded."""
    try:
        yield
    except Exception as error:
        if any(c.__name__ == "JaxRuntimeError" for c in type(error).__mro__) and "RESOURCE_EXHAUSTED" in str(error):
            raise OutOfMemory(str(error).partition("\n")[0]) from error
        raise


@dataclass(frozen=True, slots=True)
class Deadline:
    """Work ends when `clock` says `end` seconds, or before this process holds more than `most` bytes, as `held` tells.

    Where one of the `listeners` has cancelled it, no time is left.
    """

    end: float = inf
    clock: Callable[[], float] = _now
    most: float = inf
    held: Callable[[], int] = resident
    listeners: tuple[Listener, ...] = ()

    @classmethod
    def after(cls, seconds: float | None = None, memory: int | None = None) -> Deadline:
        """Return the deadline so many seconds from now, with a limit of so many MiB (None is no limit), for who listens now."""
        end = inf if seconds is None else _now() + seconds
        if memory is None:
            return cls(end, _now, listeners=LISTENERS.get())
        most = max(memory, resident() / MEBIBYTE + memory / SHARE) * MEBIBYTE
        return cls(end, _now, most, resident, listeners=LISTENERS.get())

    @property
    def cancelled(self) -> bool:
        """Whether nobody wants the work any more."""
        return any(listener.cancelled for listener in self.listeners)

    def left(self) -> float:
        """Return the seconds that are left, at least 0; infinity if there is no limit."""
        if self.cancelled:
            return 0.0
        return inf if self.end == inf else max(0.0, self.end - self.clock())

    @property
    def seconds(self) -> float | None:
        """The seconds that are left, or None if there is no limit."""
        left = self.left()
        return None if left == inf else left

    def granted(self, parts: int = 1) -> float | None:
        """Return the seconds that a question gets: one in so many parts of what is left, `LEAST` at least; None if there is no limit."""
        left = self.left()
        return None if left == inf else max(LEAST, left / parts)

    def passed(self) -> bool:
        """Return whether the time is over."""
        return self.cancelled or (self.end != inf and self.clock() >= self.end)

    def affords(self, seconds: float) -> bool:
        """Return whether work that takes so many seconds ends in time."""
        return self.left() >= seconds

    def room(self) -> float:
        """Return how many bytes may still be taken, at least 0; infinity if there is no limit."""
        return inf if self.most == inf else max(0.0, self.most - self.held())

    def check(self, size: float = 0) -> None:
        """Raise OutOfTime if the time is over, and OutOfMemory if there is no room for `size` bytes more."""
        if self.passed():
            raise OutOfTime
        if self.most != inf and self.held() + size > self.most:
            raise OutOfMemory(f"{size / MEBIBYTE:.0f} MiB more are needed than the limit has room for")

    def portion(self, each: float, most: int) -> int:
        """Return how many things of `each` bytes may be taken together, at most `most`; raises OutOfMemory if there is no room for one."""
        room = self.room()
        if each > room:
            raise OutOfMemory(f"{each / MEBIBYTE:.0f} MiB more are needed than the limit has room for")
        return most if room == inf else min(most, int(room // max(1, each)))

    def within(self, seconds: float) -> Deadline:
        """Return the deadline so many seconds from now, or this one if it is earlier."""
        return self if seconds == inf else replace(self, end=min(self.end, self.clock() + seconds))

    def timeless(self) -> Deadline:
        """Return the same limit of memory, without one of time."""
        return replace(self, end=inf, listeners=())

    def part(self, share: float) -> Deadline:
        """Return the deadline by which this share of what is left is over."""
        return self.within(share * self.left())


NEVER = Deadline()
"""No limit."""
