"""Conclusions about `row_lower <= A x <= row_upper`, `lower <= x <= upper` on integers: what is infeasible, and what is a solution.

All sums of a row are within 2**53, whatever the values of its columns, so that int64 holds every one; sums over rows are Python's integers
where int64 might not hold them. Nothing here has a tolerance.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

np: Any = import_module("numpy")

OPEN = 1 << 62
"""The end of a row that has none, as in `qspec.problem`."""
EXACT = 1 << 53
ROUNDS = 12
"""How often bounds are propagated through all rows at most."""
FINEST, COARSEST = 40, 12
"""Bits of a multiplier: the most that are tried, and the fewest."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that have terms; `row`, `column` and `weight` list all terms, of which row r has those from `starts[r]`."""

    starts: Any
    row: Any
    column: Any
    weight: Any
    lower: Any
    upper: Any
    whole: Any
    """Which columns take integers only."""
    reach: Any
    """For each row the largest magnitude that its sum or a finite end of it can have."""
    consistent: bool
    """Whether every row without terms is met."""


def rows(given: dict[str, Any]) -> Rows:
    """Return the rows of a problem; raises ValueError if a sum may leave what is exact."""
    starts, column, weight, lower, upper = (
        np.array(given[name], dtype=np.int64) for name in ("starts", "columns", "coefficients", "row_lower", "row_upper")
    )
    counts = np.diff(starts)
    kept = counts > 0
    far = [max(abs(low), abs(high)) for low, high in zip(given["lower"], given["upper"], strict=True)]
    sums = [abs(w) * far[c] for c, w in zip(given["columns"], given["coefficients"], strict=True)]
    reach = [
        max(sum(sums[a:b]), *(abs(end) for end in ends if abs(end) < OPEN), 0)
        for a, b, *ends in zip(given["starts"], given["starts"][1:], given["row_lower"], given["row_upper"], strict=False)
    ]
    if max([*reach, *far], default=0) > EXACT:
        raise ValueError("a sum is beyond 2**53, where doubles are no longer exact")
    return Rows(
        starts[:-1][kept], np.repeat(np.arange(int(kept.sum())), counts[kept]), column, weight, lower[kept], upper[kept],
        np.array(given["integral"], dtype=bool), np.array(reach, dtype=object)[kept],
        bool(np.all((lower[~kept] <= 0) & (upper[~kept] >= 0))),
    )  # fmt: skip


def meets(rows: Rows, point: Any) -> bool:
    """Return whether integers meet every row."""
    if not rows.consistent:
        return False
    if not rows.starts.size:
        return True
    total = np.add.reduceat(rows.weight * point[rows.column], rows.starts)
    return bool(np.all((rows.lower <= total) & (total <= rows.upper)))


def propagate(rows: Rows, lower: Any, upper: Any) -> bool:
    """Narrow the bounds of whole columns in place by each row; return False if no value is left, or a row cannot be met."""
    if not rows.consistent or np.any(lower > upper):
        return False
    if not rows.starts.size:
        return True
    size, up, whole = np.abs(rows.weight), rows.weight > 0, rows.whole[rows.column]
    for _ in range(ROUNDS):
        low, high = lower[rows.column], upper[rows.column]
        least = np.add.reduceat(rows.weight * np.where(up, low, high), rows.starts)
        most = np.add.reduceat(rows.weight * np.where(up, high, low), rows.starts)
        if np.any(least > rows.upper) or np.any(most < rows.lower):
            return False
        above, below = ((gap[rows.row] // size) for gap in (rows.upper - least, most - rows.lower))
        new_upper, new_lower = upper.copy(), lower.copy()
        np.minimum.at(new_upper, rows.column[whole], (low + np.where(up, above, below))[whole])
        np.maximum.at(new_lower, rows.column[whole], (high - np.where(up, below, above))[whole])
        if np.array_equal(new_lower, lower) and np.array_equal(new_upper, upper):
            return True
        lower[:], upper[:] = new_lower, new_upper
        if np.any(lower > upper):
            return False
    return True


def refutes(rows: Rows, ray: Any, lower: Any, upper: Any) -> bool:
    """Return whether a multiple of each row, close to `ray` or to its negative, adds up to a contradiction within bounds.

    The sum of the rows, each times an integer, is at least `least` wherever they are met, and at most `most` within the bounds (Farkas);
    the multipliers are rounded, which may lose a contradiction and never makes one.
    """
    if ray.size != rows.starts.size or not np.all(np.isfinite(ray)) or not np.any(ray):
        return False
    scaled = ray / np.max(np.abs(ray))
    reach = float(sum(rows.reach.tolist()))
    fits = 61 - int(np.ceil(np.log2(max(reach, 1.0))))
    return any(
        _contradiction(rows, np.rint(sign * scaled * 2.0**bits), lower, upper, exact=bits > fits)
        for bits in sorted({max(COARSEST, min(FINEST, fits)), FINEST})
        for sign in (1, -1)
    )


def _contradiction(rows: Rows, multiplier: Any, lower: Any, upper: Any, *, exact: bool) -> bool:
    usable = np.where(multiplier > 0, rows.lower > -OPEN, rows.upper < OPEN)
    factor = np.where(usable, multiplier, 0).astype(np.int64)
    if exact:
        factor = factor.astype(object)
    used = np.flatnonzero(factor != 0)
    least = (factor[used] * np.where(multiplier[used] > 0, rows.lower[used], rows.upper[used])).sum()
    total = np.zeros(lower.size, dtype=factor.dtype)
    terms = factor[rows.row] != 0
    np.add.at(total, rows.column[terms], factor[rows.row[terms]] * rows.weight[terms])
    most = (total * np.where(total > 0, upper, lower)).sum()
    return int(most) < int(least)
