"""Every assignment of a query, one by one: the decision that needs no argument, and exact counts."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qspec.arithmetic.integers import IntArray, shrink
from qspec.attack.flat_inputs import FlatBox
from qspec.deadline import NEVER, Deadline, compiled, tell
from qspec.errors import SoundnessError, UnsupportedError
from qspec.ir.integer import Query
from qspec.ir.reference import evaluate, holds, row_bytes, satisfies, together

if TYPE_CHECKING:
    from qspec.engines.enumerate.scan import Scan

LIMIT = 2**28
"""Most assignments that are enumerated unless the caller says otherwise."""
LISTED = 4096
"""Up to so many assignments numpy is faster than a compilation; it also takes them in such portions."""
SAMPLE = 256
"""Points that are also evaluated by the reference."""
CALL_SECONDS = 0.2
"""How long one call on the device lasts, about; the clock is looked at in between."""
COMPILATION = 3.0
"""Seconds that have to be left for a compilation to begin; with less of them, or of memory, the reference evaluator counts."""


@dataclass(frozen=True, slots=True, eq=False)
class Enumeration:
    """What came of going through all assignments.

    `violations` counts those among the `checked` that make the goal true; `first` is the first of them in lexicographic order. `complete`
    says whether all `total` assignments were checked.
    """

    total: int
    checked: int
    violations: int
    first: dict[str, IntArray] | None

    @property
    def complete(self) -> bool:
        return self.checked == self.total


def enumerate_query(query: Query, deadline: Deadline = NEVER, *, limit: int = LIMIT, batch: int | None = None) -> Enumeration:
    """Evaluate the goal at every assignment within bounds and count those that make it true, on the device in batches of at most `batch`.

    Stops, incomplete, when the deadline has passed. Raises OutOfMemory where not even a few assignments fit its limit, UnsupportedError if
    there are more than `limit` assignments, and SoundnessError if the reference evaluator contradicts the device, on a sample or on the
    first solution.
    """
    box = FlatBox.of(query)
    if box.points > limit:
        raise UnsupportedError(
            "too many assignments to enumerate",
            given=box.points,
            expected=f"at most {limit}",
            advice="narrow the domain, or use another solver",
        )
    if box.points <= LISTED or not deadline.affords(COMPILATION) or compiled() > deadline.room():
        return _listed(query, box, deadline)
    # Imported here so that small queries do without JAX.
    from qspec.engines.enumerate.scan import Scan

    try:
        sweep = Scan.prepare(query, box, batch, deadline)
    except UnsupportedError:
        return _listed(query, box, deadline)
    _compare(query, sweep, deadline)
    return _swept(query, sweep, deadline)


def _listed(query: Query, box: FlatBox, deadline: Deadline) -> Enumeration:
    """Enumerate with the reference evaluator."""
    checked, violations, first = 0, 0, None
    portion = together(query.program, LISTED)
    while checked < box.points and (checked == 0 or not deadline.passed()):
        portion = deadline.portion(row_bytes(query.program), portion)
        points = box.listed(checked, min(portion, box.points - checked))
        solved = np.broadcast_to(holds(query.goal, evaluate(query.program, box.split(points))), (len(points),))
        if first is None and np.any(solved):
            first = box.split(shrink(points[np.argmax(solved)]))
        checked, violations = checked + len(points), violations + int(solved.sum())
        tell("assignments", checked, box.points)
    return Enumeration(box.points, checked, violations, first)


def _swept(query: Query, sweep: Scan, deadline: Deadline) -> Enumeration:
    """Enumerate on the device, in calls that last about `CALL_SECONDS`."""
    box, blocks = sweep.blocks.box, sweep.blocks.count
    done, portion, violations, first = 0, 1, 0, None
    while done < blocks and (done == 0 or not deadline.passed()):
        began = time.monotonic()
        portion = min(portion, blocks - done)
        count, point = sweep.count(done, done + portion)
        done, violations = done + portion, violations + count
        tell("blocks of assignments", done, blocks)
        if first is None and point is not None:
            first = box.split(shrink(point))
            if not satisfies(query, first):
                raise SoundnessError("a solution that enumeration reports is none by the reference evaluator", given=first)
        spent = time.monotonic() - began
        portion = max(1, int(portion * min(8.0, CALL_SECONDS / max(spent, 1e-6))))
    checked = box.points if done == blocks else box.number(sweep.blocks.point(done, 0)[0])
    return Enumeration(box.points, checked, violations, first)


def _compare(query: Query, sweep: Scan, deadline: Deadline) -> None:
    """Let device and reference count the solutions in a sample of one block; a guard against a device that is not exact."""
    rng = np.random.default_rng(0)
    sample = deadline.portion(row_bytes(query.program), together(query.program, SAMPLE))
    block, rows = int(rng.integers(sweep.blocks.count)), rng.permutation(sweep.blocks.used)[:sample]
    points, inside = sweep.blocks.point(block, rows)
    values = evaluate(query.program, sweep.blocks.box.split(shrink(points[inside])))
    expected = int(np.broadcast_to(holds(query.goal, values), (int(inside.sum()),)).sum())
    chosen = np.isin(np.arange(len(sweep.blocks.inner)), rows)
    counted, _ = sweep.count(block, block + 1, chosen)
    if counted != expected:
        raise SoundnessError(
            "the device and the reference evaluator disagree", given=f"{counted} solutions in a sample", expected=f"{expected}"
        )
