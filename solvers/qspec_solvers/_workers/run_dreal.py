"""Decide nested real expressions with dReal: JSON on stdin, the answer as SMT-LIB solvers write it.

Processes race, each with one job, because dReal holds the interpreter's lock and two jobs abort it: one divides inputs before
parameters, another contracts by linear relaxations ("polytope"), a plain one does neither. A box that dReal calls delta-sat lies beside the
solutions more often than among them, so that the same is asked again with every comparison strengthened by 2 delta: the middle of that box
often is one.
"""

from __future__ import annotations

import json
import math
import os
import select
import signal
import sys
import time
from fractions import Fraction
from importlib import import_module
from typing import Any

from qspec_solvers._workers.channel import answer

NARROW = 1e-3
"""Inputs narrower than this wait until parameters are as narrow."""
MARGIN = 0.25
"""Seconds before the end at which the best answer so far is given."""


class Terms:
    """dReal's expressions of a job: one variable for each name."""

    def __init__(self, dreal: Any, job: dict[str, Any]) -> None:
        self.dreal = dreal
        self.variables: dict[int, Any] = {}
        self.atoms: list[Any] = []
        self.box: list[Any] = []
        for k, (operator, *rest) in enumerate(job["atoms"]):
            if operator == "variable":
                lower, upper, _ = rest
                self.variables[k] = dreal.Variable(f"v{k}")
                self.atoms.append(dreal.Expression(self.variables[k]))
                self.box += [self.atoms[k] >= lower, self.atoms[k] <= upper]
            else:
                self.atoms.append(self.call(operator, [self.sum(a) for a in rest[0]]))

    def sum(self, given: list[Any]) -> Any:
        total = self.dreal.Expression(given[0])
        for coefficient, atom in given[1]:
            total = total + coefficient * self.atoms[atom]
        return total

    def call(self, operator: str, arguments: list[Any]) -> Any:
        dreal, first = self.dreal, arguments[0]
        match operator:
            case "max":
                for other in arguments[1:]:
                    first = dreal.Max(first, other)
                return first
            case "product":
                return first * arguments[1]
            case "exp":
                return dreal.exp(first)
            case "tanh":
                return dreal.tanh(first)
            case "sigmoid":
                return 1.0 / (1.0 + dreal.exp(-first))
            case "softplus":
                return dreal.log(1.0 + dreal.exp(first))
            case "reciprocal":
                return 1.0 / first
            case _:
                raise ValueError(f"no such operation: {operator}")

    def formula(self, tree: list[Any], margin: float) -> Any:
        """Return a formula whose every comparison is strengthened by a margin."""
        operator, *rest = tree
        if operator in ("and", "or"):
            children = [self.formula(c, margin) for c in rest[0]]
            return (self.dreal.And if operator == "and" else self.dreal.Or)(*children)
        left = self.sum(rest[0]) - margin
        return left > 0.0 if operator == ">" else left >= 0.0


def brancher(first: set[str]) -> Any:
    """Return a brancher that divides the widest of the variables in `first` until they are narrow, then the widest of all."""

    def branch(box: Any, active: Any, left: Any, right: Any) -> int:
        widths = {k: box[k].diam() for k in range(active.size()) if active.get(k) and box[k].is_bisectable()}
        early = {k: w for k, w in widths.items() if w > NARROW and str(box.variable(k)) in first}
        chosen = early or widths
        if not chosen:
            return -1
        widest = max(chosen, key=lambda k: chosen[k])
        halves = box.bisect(widest)
        left.set(halves[0])
        right.set(halves[1])
        return widest

    return branch


def decide(job: dict[str, Any], mode: str, say: Any) -> None:
    """Decide a job in one way; `say` is given a status and the middle of a box, twice if a better point may follow."""
    dreal = import_module("dreal")
    terms = Terms(dreal, job)
    config = dreal.Config()
    config.precision = job["delta"]
    config.number_of_jobs = 1
    if mode == "polytope":
        config.use_polytope = True
    if mode == "inputs first":
        config.brancher = brancher({f"v{k}" for k in terms.variables if job["atoms"][k][3] == 0})
    found = ask(terms, job, config, 0.0)
    if found is None:
        say("unsat", None, final=True)
        return
    say("delta-sat", found, final=False)
    say("delta-sat", ask(terms, job, config, 2.0 * job["delta"]) or found, final=True)


def ask(terms: Terms, job: dict[str, Any], config: Any, margin: float) -> dict[int, float] | None:
    """Return the middle of the box that dReal finds, None if there is none; raises ValueError on an empty box."""
    box = terms.dreal.CheckSatisfiability(terms.dreal.And(*terms.box, terms.formula(job["goal"], margin)), config)
    if box is None:
        return None
    middles = {str(v): (i.lb(), i.ub()) for v, i in box.items()}
    found: dict[int, float] = {}
    for k in terms.variables:
        lower, upper = middles[f"v{k}"]
        if not lower <= upper or math.isinf(lower) or math.isinf(upper):
            raise ValueError("dReal returned a box that is empty or has no ends")
        found[k] = lower + (upper - lower) / 2
    return found


def start(job: dict[str, Any], mode: str) -> tuple[int, int]:
    """Start a process for one way to decide; return its number and the descriptor that it writes lines of JSON to."""
    read, write = os.pipe()
    pid = os.fork()
    if pid:
        os.close(write)
        return pid, read

    def say(status: str, point: dict[int, float] | None, *, final: bool) -> None:
        line = {"status": status, "point": point, "final": final, "mode": mode}
        os.write(write, json.dumps(line).encode() + b"\n")

    try:
        os.close(read)
        decide(job, mode, say)
    except BaseException as error:  # noqa: BLE001 - a forked process must not return; the reason is reported
        line = {"status": "error", "point": None, "final": True, "mode": f"{type(error).__name__}: {error}"}
        os.write(write, json.dumps(line).encode() + b"\n")
    finally:
        os._exit(0)


def race(job: dict[str, Any], deadline: float) -> dict[str, Any]:
    """Return the first final answer of the processes, else the last that was not final; they are ended."""
    processes = {read: pid for pid, read in (start(job, mode) for mode in job["modes"])}
    waiting = dict.fromkeys(processes, b"")
    best: dict[str, Any] = {"status": "unknown", "mode": "", "point": None}
    try:
        while waiting and not best.get("final"):
            ready, _, _ = select.select(list(waiting), [], [], max(0.0, min(deadline - time.monotonic(), 3600.0)))
            if not ready and time.monotonic() >= deadline:
                break
            for read in ready:
                data = os.read(read, 1 << 16)
                waiting[read] += data
                *lines, waiting[read] = waiting[read].split(b"\n")
                for line in map(json.loads, lines):
                    best = chosen(best, line)
                if not data:
                    del waiting[read]
    finally:
        for pid in processes.values():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return best


def chosen(best: dict[str, Any], line: dict[str, Any]) -> dict[str, Any]:
    """Return the better of two answers: an error is no answer, and one that failed does not end the race."""
    if line["status"] == "error":
        return best if best["status"] != "unknown" else {**line, "status": "unknown", "final": False}
    return best if best.get("final") else line


def main() -> str:
    job = json.load(sys.stdin)
    seconds = job["seconds"]
    deadline = math.inf if seconds is None else time.monotonic() + max(0.0, seconds - MARGIN)
    best = race(job, deadline)
    if best["status"] == "unknown" and best["mode"]:
        reason = best["mode"].replace('"', "'")
        return f'(error "{reason}")'
    if best["status"] == "unknown":
        return "timeout" if time.monotonic() >= deadline else sys.exit("the processes of dReal died")
    point: dict[str, float] = best["point"] or {}
    values = "".join(f"(v{k} {Fraction(x)})" for k, x in point.items())
    mode = best["mode"].replace(" ", "-")
    return f"{best['status']}\n(:mode {mode})\n" + (f"({values})" if best["point"] is not None else "")


if __name__ == "__main__":
    answer(main())
