"""Decide a small mixed-integer linear problem exactly: bounds of rows are propagated on integers, then columns are tried value by value."""

from __future__ import annotations

from collections.abc import Mapping

from qspec.problem import MilpProblem

Rows = list[tuple[list[tuple[int, int]], int, int]]


def feasible(problem: MilpProblem, fixed: Mapping[str, int]) -> dict[str, int] | None:
    """Return values of all columns that meet every row and take these values in these columns, or None if there are none."""
    assert problem.integral.all()
    bounds = [fixed.get(n, lo) for n, lo in zip(problem.names, problem.lower.tolist(), strict=True)]
    ends = [fixed.get(n, up) for n, up in zip(problem.names, problem.upper.tolist(), strict=True)]
    if any(not lo <= fixed[n] <= up for n, lo, up in zip(problem.names, problem.lower, problem.upper, strict=True) if n in fixed):
        return None
    found = _search(rows(problem), bounds, ends)
    return None if found is None else dict(zip(problem.names, found, strict=True))


def rows(problem: MilpProblem) -> Rows:
    """Return the rows as pairs of column and coefficient, with their ends."""
    slices = [slice(*pair) for pair in zip(problem.starts.tolist(), problem.starts.tolist()[1:], strict=False)]
    terms = [list(zip(problem.columns[s].tolist(), problem.coefficients[s].tolist(), strict=True)) for s in slices]
    return list(zip(terms, problem.row_lower.tolist(), problem.row_upper.tolist(), strict=True))


def _search(given: Rows, low: list[int], high: list[int]) -> list[int] | None:
    if not _propagate(given, low, high):
        return None
    open_ = [k for k in range(len(low)) if low[k] < high[k]]
    if not open_:
        return low
    k = min(open_, key=lambda j: high[j] - low[j])
    for value in range(low[k], high[k] + 1):
        found = _search(given, [*low[:k], value, *low[k + 1 :]], [*high[:k], value, *high[k + 1 :]])
        if found is not None:
            return found
    return None


def _propagate(given: Rows, low: list[int], high: list[int]) -> bool:
    """Tighten bounds in place until nothing changes; return whether every row can still be met."""
    changed = True
    while changed:
        changed = False
        for terms, least, most in given:
            bottom = sum(w * (low[c] if w > 0 else high[c]) for c, w in terms)
            top = sum(w * (high[c] if w > 0 else low[c]) for c, w in terms)
            if bottom > most or top < least:
                return False
            for c, w in terms:
                span = abs(w) * (high[c] - low[c])
                above = low[c] + (most - bottom) // w if w > 0 else high[c] - (most - bottom) // -w
                below = high[c] - (top - least) // w if w > 0 else low[c] + (top - least) // -w
                new_low, new_high = (max(low[c], below), min(high[c], above)) if w > 0 else (max(low[c], above), min(high[c], below))
                if span and (new_low, new_high) != (low[c], high[c]):
                    low[c], high[c], changed = new_low, new_high, True
                    if new_low > new_high:
                        return False
                    bottom = sum(w * (low[c] if w > 0 else high[c]) for c, w in terms)
                    top = sum(w * (high[c] if w > 0 else low[c]) for c, w in terms)
    return True
