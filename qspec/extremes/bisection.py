"""Search for the last of the whole numbers of which something is true, when asking may take long and the answer may be "unknown"."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from qspec.deadline import Deadline, tell
from qspec.solver import Reason
from qspec.verify.result import Result

SHARES = (4, 2, 1)
"""Of the time that is left one question gets this part: a quarter at first, later half, and all in the end."""


@dataclass(slots=True)
class Bracket:
    """Something is true of `lower`, false of `upper`, and true of every number below one of which it is true.

    Numbers from `first` to `last` were asked about in vain; the next question is beside them, where it tends to be easier.
    """

    lower: int
    upper: int
    first: int | None = None
    last: int | None = None
    again: bool = False
    """Whether more time might help with one of them."""

    @property
    def closed(self) -> bool:
        return self.upper - self.lower == 1

    def rise(self, to: int) -> None:
        """Note that it is true of this number."""
        self.lower = max(self.lower, to)
        self._trim()

    def fall(self, to: int) -> None:
        """Note that it is false of this number."""
        self.upper = min(self.upper, to)
        self._trim()

    def skip(self, number: int, *, again: bool) -> None:
        """Note that nobody could tell of this number, and whether more time might help. Neither end moves."""
        self.first = number if self.first is None else min(self.first, number)
        self.last = number if self.last is None else max(self.last, number)
        self.again |= again

    def forget(self) -> None:
        """Let numbers that were asked about in vain be asked about again."""
        self.first, self.last, self.again = None, None, False

    def next(self) -> int | None:
        """Return the next number to ask about, in the middle of the wider gap, or None if there is none left."""
        first = self.upper if self.first is None else self.first
        last = self.upper if self.last is None else self.last
        below, above = first - self.lower, self.upper - last
        if max(below, above) <= 1:
            return None
        return (self.lower + first) // 2 if below >= above else (last + self.upper) // 2

    def _trim(self) -> None:
        """Keep what was asked in vain between the ends."""
        if self.first is not None and self.last is not None:
            self.first, self.last = max(self.first, self.lower + 1), min(self.last, self.upper - 1)
            if self.first > self.last:
                self.forget()


def questions(bracket: Bracket, deadline: Deadline) -> Iterator[tuple[int, float | None]]:
    """Yield numbers to ask about, each with the seconds for it, until the bracket is closed, nothing helps, or the time is over.

    The caller answers each by `rise`, `fall` or `skip`. What ran out of time is asked again, with a larger part of what is left.
    """
    asked = 0
    for share in SHARES:
        while not deadline.passed() and (number := bracket.next()) is not None:
            tell("verdicts", asked)
            asked += 1
            yield number, deadline.granted(share)
        if deadline.passed() or not bracket.again:
            return
        if share != SHARES[-1]:
            bracket.forget()


def why_open(unknown: Result | None, deadline: Deadline) -> tuple[Reason, str]:
    """Return why a bracket stayed open, with details: the time was over, or the last answer that settled nothing."""
    if unknown is None or deadline.passed():
        return Reason.CANCELLED if deadline.cancelled else Reason.TIMEOUT, ""
    return unknown.reason or Reason.INCOMPLETE, unknown.detail
