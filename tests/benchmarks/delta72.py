"""Robustness of two-moons networks to changed inputs and weights, over the reals: 96 queries of four kinds, and a series of input sizes.

L: some input within a radius has another class. W: some weights within 2**-5 (2**-8 for 2-16-16-2) change the confidence of one input by
more than eta. WX: the same for some input within 0.125. G: the same for some input in [-2, 2]². `u` is 10 % above the largest eta (for L:
20 % below the radius), and has no solution; `s` is as much below (above), and has one. The thresholds are found by bisection with `delta`,
until it brackets them to 1 % or says δ-sat. Run `python tests/benchmarks/delta72.py`, or with `--solvers delta,z3,cvc5,dreal`. Of `delta`,
which runs in this process, the CPU time is given too. `dreal-plain` is dReal as it comes: no presolve, one process, its own brancher. What
dReal calls delta-sat is decided if the point replays. SMT solvers are asked side by side, as `verify` does, and "not taken" is a logic that
they have not.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qspec.deadline import Deadline
from qspec.engines.delta.branch_and_prune import search
from qspec.ir.enclosure import satisfies
from qspec.ir.real import TRUE, Query
from qspec.problem import RealProblem
from qspec.solver import Limits, Solver, get_solver
from qspec.theories import real_smtlib
from qspec.theories.real_monotone import one_sided
from qspec_solvers.dreal import DReal

sys.path.insert(0, str(Path(__file__).parent))
from _moons import ACTIVATIONS, Layers, drift, evaluate, fresh, moons, other_class, train
from _report import header, table

SIZES = ([2, 2, 1], [2, 8, 1], [2, 16, 16, 2])
POINT = np.array([-0.5, 0.5])
DELTA = 1e-3
CLOSE = 0.01


@dataclass(frozen=True)
class Case:
    """A query with its place in the table, and what the answer must be if there is one (None: not known)."""

    network: str
    kind: str
    query: Query
    expected: str | None


def bracket(make: Callable[[float], Query], top: float, seconds: float) -> tuple[float, float]:
    """Return thresholds (no solution up to the first, a solution from the second on), for `make` whose solutions grow with its argument."""
    low, high = 0.0, top
    while high - low > CLOSE * high:
        middle = (low + high) / 2
        match search(make(middle), DELTA, Deadline.after(seconds)).status:
            case "sat":
                high = middle
            case "unsat":
                low = middle
            case _:
                break
    return low, high


def two_moons(seconds: float) -> list[Case]:
    """Train the networks and return their queries."""
    x, labels = moons(400, np.random.default_rng(1))
    result: list[Case] = []
    for name in ACTIVATIONS:
        for sizes in SIZES:
            net = train(fresh(sizes, np.random.default_rng(5)), name, x, labels)
            label = f"{'-'.join(map(str, sizes))} {name}"
            z = evaluate(net, name, x)
            right = ((z[:, 0] > 0) if sizes[-1] == 1 else z.argmax(1)) == labels
            print(f"{label}: accuracy {right.mean():.3f}", file=sys.stderr, flush=True)
            result += questions(label, net, name, 2.0**-5 if len(sizes) == 3 else 2.0**-8, seconds)
    return result


def questions(label: str, net: Layers, name: str, radius: float, seconds: float) -> list[Case]:
    """Return L, W, WX and G, above and below their thresholds."""
    low, high = bracket(lambda r: other_class(net, name, POINT, r), 2.0, seconds)
    result = [
        Case(label, "L u", other_class(net, name, POINT, 0.8 * low), "unsat"),
        Case(label, "L s", other_class(net, name, POINT, 1.2 * high), "sat"),
    ]
    for kind, at, spread in (("W", POINT, None), ("WX", POINT, 0.125), ("G", np.zeros(2), 2.0)):

        def make(eta: float, at: np.ndarray = at, spread: float | None = spread) -> Query:
            return drift(net, name, at, radius, spread, eta)

        low, high = bracket(lambda fewer, make=make: make(1 - fewer), 1.0, seconds)
        largest_sat, least_unsat = 1 - high, 1 - low
        result.append(Case(label, f"{kind} u", make(1.1 * least_unsat), "unsat"))
        result.append(Case(label, f"{kind} s", make(0.9 * largest_sat), "sat"))
    return result


def dimensions(seconds: float) -> list[Case]:
    """Return margin queries of d-16-1 networks: 70 % and 90 % of a certified radius, and 110 % of a violated one."""
    result: list[Case] = []
    for d in (4, 8, 16, 32, 64, 128):
        for name in ("relu", "tanh"):
            rng = np.random.default_rng(d)
            x = rng.uniform(-1, 1, (400, d))
            straight, bent = rng.normal(size=(2, d)) / np.sqrt(d)
            net = train(fresh([d, 16, 1], rng), name, x, (x @ straight + (x @ bent) ** 2 > 0.3).astype(np.float64), steps=600)
            result += radii(f"{d}-16-1 {name}", net, name, x, seconds)
    return result


def patterns(seconds: float) -> list[Case]:
    """Return margin queries of 784-64-10 networks on ten noisy patterns."""
    rng = np.random.default_rng(784)
    label = np.arange(600) % 10
    x = np.clip(rng.uniform(0.3, 0.7, (10, 784))[label] + 0.15 * rng.normal(size=(600, 784)), 0, 1)
    return [
        case
        for name in ("relu", "tanh")
        for case in radii(
            f"784-64-10 {name}", train(fresh([784, 64, 10], rng), name, x, label.astype(np.float64), steps=60), name, x, seconds
        )
    ]


def radii(label: str, net: Layers, name: str, x: np.ndarray, seconds: float) -> list[Case]:
    """Return queries about the point of median margin."""
    z = evaluate(net, name, x)
    margin = np.abs(z[:, 0]) if z.shape[1] == 1 else np.diff(np.sort(z, axis=1)[:, -2:], axis=1)[:, 0]
    at = x[np.argsort(margin)[len(margin) // 2]]
    low, high = bracket(lambda r: other_class(net, name, at, r), 1.0, seconds)
    shares = ((0.7, low, "unsat"), (0.9, low, "unsat"), (1.1, high, "sat"))
    return [Case(label, f"{share:.0%} of {r:.4f}", other_class(net, name, at, share * r), expected) for share, r, expected in shares]


def contender(name: str) -> Solver:
    """Return a solver by its name in the table."""
    return DReal(name=name, presolve=False, modes=("plain",)) if name == "dreal-plain" else get_solver(name)


def decide(query: Query, solver: Solver, seconds: float) -> tuple[str, object]:
    """Return what a solver says, and how many boxes it looked at if it tells."""
    if "real" in solver.theories:
        problem = RealProblem(query, DELTA)
        answer = solver.solve(problem, Limits(seconds=seconds))
        replays = answer.model is not None and satisfies(query, problem.decode(answer.model)) is True
        return "sat" if replays else answer.status, answer.statistics.get("boxes", "")
    end, said = time.monotonic() + seconds, "unsat"
    for side in one_sided(query):
        if side.goal == TRUE:
            return "sat", ""
        written = real_smtlib.lower(side)
        if written.theory not in solver.theories:
            return "not taken", ""
        answer = solver.solve(written, Limits(seconds=max(0.1, end - time.monotonic())))
        if answer.status == "sat":
            return "sat", ""
        said = answer.status if said == "unsat" else said
    return said, ""


def ask(cases: list[Case], solvers: list[Solver], seconds: float) -> tuple[list[list[object]], list[list[object]]]:
    """Return the rows of the table and those of the summary."""
    rows: list[list[object]] = []
    tally = {s.name: {"asked": 0, "decided": 0, "total": 0.0, "longest": 0.0, "most CPU": 0.0, "disagree": 0} for s in solvers}
    for case in cases:
        row: list[object] = [case.network, case.kind]
        for solver in solvers:
            began, worked = time.monotonic(), time.process_time()
            status, boxes = decide(case.query, solver, seconds)
            taken, worked = time.monotonic() - began, time.process_time() - worked
            row += [status, taken, worked, boxes] if solver.name == "delta" else [status, taken]
            mine = tally[solver.name]
            mine["asked"] += status != "not taken"
            mine["decided"] += status in ("sat", "unsat")
            mine["total"] += taken
            mine["longest"] = max(mine["longest"], taken)
            mine["most CPU"] = max(mine["most CPU"], worked)
            mine["disagree"] += {status, case.expected} == {"sat", "unsat"}
        rows.append(row)
        print(*row, file=sys.stderr, flush=True)
    return rows, [[name, *t.values()] for name, t in tally.items()]


SETS = {"Two moons": two_moons, "Input dimension": dimensions, "784-64-10": patterns}


def main() -> int:
    """Print the tables; the exit status is 1 if some answer contradicts another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--solvers", default="delta", help="separated by commas")
    parser.add_argument("--seconds", type=float, default=60.0, help="limit for one query")
    parser.add_argument("--search", type=float, default=5.0, help="limit for one step of the search for a threshold")
    parser.add_argument("--sets", default=",".join(SETS), help="separated by commas")
    options = parser.parse_args()
    solvers = [contender(name) for name in options.solvers.split(",")]
    solvers = [s for s in solvers if s.availability().ok]
    print(header("Real queries: robustness to changed inputs and weights", "numpy", "z3-solver", "cvc5", "dreal"))
    columns = ["network", "query"]
    columns += [c for s in solvers for c in ((s.name, "s", "CPU s", "boxes") if s.name == "delta" else (s.name, "s"))]
    wrong = 0
    for title in options.sets.split(","):
        rows, summary = ask(SETS[title](options.search), solvers, options.seconds)
        wrong += sum(int(str(line[-1])) for line in summary)
        print(f"## {title}\n\n{table(columns, rows)}\n")
        print(table(["solver", "asked", "decided", "total s", "longest s", "most CPU s", "contradictions"], summary) + "\n", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
