"""Branch and bound by cutting boxes of inputs, many samples and many boxes at once on the device: complete, since boxes shrink to points.

A box is closed when interval propagation in exact integers leaves no other class; else it is attacked; else it is cut in two, `[l, m]` and
`[m + 1, u]`, along its longest axis (the first of equal ones). Source: Algorithm 1 of Lechner, Žikelić, Chatterjee, Henzinger, Rus,
*Quantization-aware Interval Bound Propagation …*, AAAI 2023, which takes one box at a time and cuts real boxes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.deadline import NEVER, Deadline
from qspec.engines.boxes.class_query import ClassQuery
from qspec.errors import SoundnessError

ARRAYS, OBJECTS = 2, 400
"""Arrays of 8 bytes an element that a box keeps, and bytes of what holds them."""
BATCH = 256
"""Boxes that are bounded at once."""
SHARE = 64
"""Boxes of one sample among them at most, while others wait."""
Confirm = Callable[[int, IntArray], object]
"""Replays a counterexample for the sample of this place on the reference integers; raises SoundnessError if it is none."""


@dataclass(eq=False)
class SampleSearch:
    """One sample: the boxes that are open, the time spent on it, and how many boxes were bounded."""

    place: int
    open: list[tuple[IntArray, IntArray]]
    seconds: float = 0.0
    visited: int = 0
    witness: IntArray | None = field(default=None)
    full: bool = False
    """Whether it ended because there was no room for more boxes."""


def search(
    question: ClassQuery,
    lower: IntArray,
    upper: IntArray,
    *,
    seconds: float | None,
    confirm: Confirm,
    rng: np.random.Generator,
    deadline: Deadline = NEVER,
) -> Iterator[tuple[SampleSearch, bool]]:
    """Decide boxes (samples, size) of one class; yields each sample when it is done, and whether it was decided.

    A sample with a witness is refuted, one without open boxes is proved. Each may take `seconds` of the time that its boxes use, and when
    the memory of the deadline has no room for the halves of a batch, all that are open end.
    """
    batch = 2 * BATCH * (ARRAYS * 8 * lower.shape[1] + OBJECTS)
    waiting = [SampleSearch(k, [(low, high)]) for k, (low, high) in enumerate(zip(lower, upper, strict=True))]
    while waiting:
        if batch > deadline.room():
            yield from ((replace(s, full=True), False) for s in waiting)
            return
        began = time.perf_counter()
        picked = _picked(waiting)
        _visit(question, picked, confirm, rng)
        each = (time.perf_counter() - began) / max(1, sum(len(boxes) for _, boxes in picked))
        for s, boxes in picked:
            s.seconds += each * len(boxes)
        done = [s for s, _ in picked if s.witness is not None or not s.open or (seconds is not None and s.seconds >= seconds)]
        yield from ((s, s.witness is not None or not s.open) for s in done)
        gone = {id(s) for s in done}
        waiting = [s for s in waiting if id(s) not in gone]


def _picked(waiting: list[SampleSearch]) -> list[tuple[SampleSearch, list[tuple[IntArray, IntArray]]]]:
    """Take boxes, the oldest of each sample first, until a batch is full."""
    room, picked = BATCH, list[tuple[SampleSearch, list[tuple[IntArray, IntArray]]]]()
    for s in waiting:
        if room <= 0:
            break
        count = min(room, len(s.open), SHARE if len(waiting) > 1 else BATCH)
        picked.append((s, s.open[:count]))
        del s.open[:count]
        s.visited += count
        room -= count
    return picked


def _visit(
    question: ClassQuery, picked: list[tuple[SampleSearch, list[tuple[IntArray, IntArray]]]], confirm: Confirm, rng: np.random.Generator
) -> None:
    """Close boxes by intervals, attack those that are left, and cut them."""
    owners = [s for s, boxes in picked for _ in boxes]
    lower, upper = (np.stack([box[end] for _, boxes in picked for box in boxes]) for end in (0, 1))
    left = np.flatnonzero(~question.absent(lower, upper))
    if not left.size:
        return
    low, high = lower[left], upper[left]
    starts = rng.integers(low, high, endpoint=True)
    found, points = question.attack(low, high, starts, question.aims(low, high, 1)[:, 0])
    axis = np.argmax(high - low, axis=1)
    for row, k in enumerate(left):
        s = owners[k]
        if s.witness is None and found[row]:
            confirm(s.place, points[row])
            s.witness = points[row]
        if s.witness is None:
            s.open += _halves(low[row], high[row], int(axis[row]))


def _halves(lower: IntArray, upper: IntArray, axis: int) -> list[tuple[IntArray, IntArray]]:
    """Return the two halves of a box; a single point is closed by intervals or met by the attack, which both are exact there."""
    if lower[axis] == upper[axis]:
        raise SoundnessError("a single input is neither safe nor a counterexample", given=lower, expected="one of the two")
    middle = int(lower[axis] + (upper[axis] - lower[axis]) // 2)
    below, above = upper.copy(), lower.copy()
    below[axis], above[axis] = middle, middle + 1
    return [(lower, below), (above, upper)]
