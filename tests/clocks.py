"""Clocks that tests move: time passes when somebody looks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

from qspec.deadline import Deadline


@dataclass(frozen=True, slots=True)
class Patient(Deadline):
    """A deadline that ends loops which ask whether it has passed, and interrupts nothing between."""

    def check(self, size: float = 0) -> None:
        """Let everything that was begun be finished."""


def looks(number: int) -> Deadline:
    """Return a deadline that has passed once it was looked at more than so many times."""
    return Deadline(number, count().__next__)


def rounds(number: int) -> Deadline:
    """Return a deadline that has passed once loops have asked more than so many times."""
    return Patient(number, count().__next__)
