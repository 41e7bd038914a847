"""Write a mixed-integer linear problem as text: CPLEX LP format, or free MPS.

Both are what CPLEX, Gurobi, SCIP and HiGHS read. A row with two ends is two rows in LP files, as not every reader knows ranges there.
Sources: IBM ILOG CPLEX file formats, "LP file format" and "MPS file format".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from qspec.problem import OPEN, MilpProblem

TERMS = 8
"""Terms on one line of an LP file, whose lines readers limit to 510 characters."""


def lp(problem: MilpProblem) -> str:
    """Return the problem in the LP format, with an objective of nothing."""
    names = problem.names or ("nothing",)
    lines = ["Minimize", f" obj: 0 {names[0]}", "Subject To"]
    rows = 0
    for r, (low, high) in enumerate(_ends(problem)):
        terms = _wrapped(_signed(w, problem.names[c], first=k == 0) for k, (c, w) in enumerate(_row(problem, r)))
        sides = [("=", low)] if low == high else [(s, end) for s, end in ((">=", low), ("<=", high)) if abs(end) < OPEN]
        for side, end in sides:
            lines.append(f" r{rows}: {terms} {side} {end}")
            rows += 1
    if not rows:
        lines.append(f" r0: {names[0]} >= {problem.lower[0] if problem.names else 0}")
    lines.append("Bounds")
    lines += [f" {low} <= {name} <= {high}" for name, low, high in _bounded(problem)]
    whole = [name for name, integral in zip(problem.names, problem.integral.tolist(), strict=True) if integral]
    if whole:
        lines += ["General", f" {_wrapped(whole)}"]
    return "\n".join((*lines, "End", ""))


def mps(problem: MilpProblem) -> str:
    """Return the problem in the free MPS format; whole columns lie between markers, rows with two ends have a range."""
    kinds = ["E" if low == high else "G" if high >= OPEN else "L" for low, high in _ends(problem)]
    lines = ["NAME qspec", "ROWS", " N obj", *(f" {kind} r{r}" for r, kind in enumerate(kinds)), "COLUMNS"]
    entries: list[list[str]] = [[] for _ in problem.names]
    for r in range(len(kinds)):
        for c, w in _row(problem, r):
            entries[c].append(f" {problem.names[c]} r{r} {w}")
    inside = False
    for name, integral, own in zip(problem.names, problem.integral.tolist(), entries, strict=True):
        if integral is not inside:
            lines.append(f" MARKER 'MARKER' '{'INTORG' if integral else 'INTEND'}'")
            inside = integral
        lines += own or [f" {name} obj 0"]
    if inside:
        lines.append(" MARKER 'MARKER' 'INTEND'")
    lines.append("RHS")
    lines += [f" rhs r{r} {low if kinds[r] == 'G' else high}" for r, (low, high) in enumerate(_ends(problem))]
    ranged = [f" range r{r} {high - low}" for r, (low, high) in enumerate(_ends(problem)) if kinds[r] == "L" and low > -OPEN]
    lines += ["RANGES", *ranged] if ranged else []
    lines.append("BOUNDS")
    lines += [f" {kind} bound {name} {end}" for name, low, high in _bounded(problem) for kind, end in (("LO", low), ("UP", high))]
    return "\n".join((*lines, "ENDATA", ""))


def _ends(problem: MilpProblem) -> Iterable[tuple[int, int]]:
    return zip(problem.row_lower.tolist(), problem.row_upper.tolist(), strict=True)


def _bounded(problem: MilpProblem) -> Iterable[tuple[str, int, int]]:
    return zip(problem.names, problem.lower.tolist(), problem.upper.tolist(), strict=True)


def _row(problem: MilpProblem, r: int) -> Iterator[tuple[int, int]]:
    entries = slice(int(problem.starts[r]), int(problem.starts[r + 1]))
    return zip(problem.columns[entries].tolist(), problem.coefficients[entries].tolist(), strict=True)


def _signed(weight: int, name: str, *, first: bool) -> str:
    sign = "-" if weight < 0 else "" if first else "+"
    size = name if abs(weight) == 1 else f"{abs(weight)} {name}"
    return f"{sign} {size}" if sign else size


def _wrapped(words: Iterable[str]) -> str:
    parts = list(words)
    return "\n  ".join(" ".join(parts[k : k + TERMS]) for k in range(0, len(parts), TERMS))
