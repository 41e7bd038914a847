"""Watch long calls: hear how far they are, and stop them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from qspec.deadline import LISTENERS, Deadline
from qspec.errors import CancelledError, SpecError


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a call is: `done` of `total` (None: nobody knows) of `what`, so many `seconds` after the watch was made.

    `what` is in words that are meant for people, such as "domains" or "queries".
    """

    what: str
    done: int
    total: int | None
    seconds: float

    def __str__(self) -> str:
        return f"{self.what}: {self.done}{'' if self.total is None else f' of {self.total}'} ({self.seconds:.1f} s)"


def stop_if_cancelled(deadline: Deadline | None = None) -> None:
    """Raise CancelledError if a watch around this call, or around what made the deadline, was cancelled."""
    if (deadline or Deadline.after()).cancelled:
        raise CancelledError("cancelled", expected="a call that nobody cancels", advice="the same call again, with its store if it has one")


class Watch:
    """Watches every call of qspec inside its `with` block, in that thread or asyncio task.

    `report` is called with a `Progress`, in the thread that computes and often, so it must be quick; what it raises ends the call.
    `cancel` may be called from any thread: the calls end as if their time were over, with what they know by then. A watch may be
    used in several threads, and inside others, which also hear and stop what is inside. Raises SpecError if `report` cannot be called.
    """

    def __init__(self, report: Callable[[Progress], object] | None = None) -> None:
        if report is not None and not callable(report):
            raise SpecError("nothing that can report progress", given=report, expected="a function", advice="qs.Watch(print)")
        self._report = report
        self._since = time.monotonic()
        self._cancelled = False

    def cancel(self) -> None:
        """Stop every call that is watched, and those that begin later."""
        self._cancelled = True

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled

    def hear(self, what: str, done: int, total: int | None) -> None:
        """Hand progress on to who wants to know."""
        if self._report is not None:
            self._report(Progress(what, done, total, time.monotonic() - self._since))

    def __enter__(self) -> Self:
        LISTENERS.set((*LISTENERS.get(), self))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        there = list(LISTENERS.get())
        if self in there:  # blocks of generators need not end in the order in which they began, nor in the context
            del there[len(there) - 1 - there[::-1].index(self)]
        LISTENERS.set(tuple(there))
