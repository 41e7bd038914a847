"""Does a solver agree with z3 and with dense sampling on random real queries? `python -m tests.soundness.real_agreement --count 20000`.

z3 is asked where a query has no transcendental function; points of a grid and of chance are judged by the exact reference. A model of `sat`
must solve the query exactly, one of `delta-sat` by `delta` must miss no atom by more than δ (other solvers give hints: those must be in the
box). The solver is `delta`, or another one of theory "real": `--solver dreal`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from qspec.errors import UnsupportedError
from qspec.ir.enclosure import evaluate, inside, satisfies
from qspec.ir.real import All, And, Any, Formula, Or, Point, Query, Truth
from qspec.problem import RealProblem
from qspec.solver import Limits, Solver, get_solver
from qspec_solvers.delta import Delta
from tests.soundness.delta_queries import by_z3, floats, for_z3, points, random_query

DELTA = 1e-3
POINTS, EXACTLY = 400, 6
"""Points of one query that are sampled, and those of them that are judged exactly."""


def check_seed(seed: int, seconds: float = 20.0, solver: Solver | None = None) -> tuple[Counter[str], list[str]]:
    """Check one random query; return what was met, and a line for everything that is wrong."""
    solver = solver or Delta()
    query = random_query(seed)
    problem = RealProblem(query, DELTA)
    answer = solver.solve(problem, Limits(seconds=seconds, seed=seed))
    counts, wrong = Counter({"queries": 1, f"{solver.name} {answer.status}": 1}), list[str]()
    if answer.status == "sat":
        assert answer.model is not None
        if satisfies(query, problem.decode(answer.model)) is not True:
            wrong.append(f"seed {seed}: the model is no solution")
    if answer.status == "delta-sat":
        assert answer.model is not None
        point = problem.decode(answer.model)
        if not inside(query, point):
            wrong.append(f"seed {seed}: the model is not in the box")
        try:
            counts[f"{solver.name} delta-sat, and a solution"] += satisfies(query, point) is True
            if isinstance(solver, Delta) and not missed_by(query, point, Fraction(DELTA)):
                wrong.append(f"seed {seed}: the model misses an atom by more than δ")
        except UnsupportedError:  # exp of a huge number
            counts["not judged"] += 1
    if answer.status == "unsat" and (point := sampled(query, seed)) is not None:
        wrong.append(f"seed {seed}: unsat, but {point} is a solution")
    if for_z3(query):
        said = by_z3(query)
        counts[f"z3 {said}"] += 1
        if {said, answer.status} == {"sat", "unsat"}:
            wrong.append(f"seed {seed}: {solver.name} says {answer.status}, z3 says {said}")
        counts["both decide"] += said != "unknown" and answer.status in ("sat", "unsat")
    return counts, wrong


def sampled(query: Query, seed: int) -> Point | None:
    """Return a solution among many points: floats choose, the exact reference judges."""
    rng = np.random.default_rng([seed, 1])
    many = points(query, POINTS, rng)
    with np.errstate(all="ignore"):
        score = _score(query.goal, floats(query, many), next(iter(many.values())).shape[0])
    for k in np.argsort(-score)[:EXACTLY].tolist():
        point = {name: v[k] for name, v in many.items()}
        try:
            if satisfies(query, point):
                return point
        except UnsupportedError:
            continue
    return None


def _score(goal: Formula, values: Sequence[np.ndarray], count: int) -> np.ndarray:
    """Return by how much a goal is true at points, about."""
    match goal:
        case Truth(value):
            return np.full(count, np.inf if value else -np.inf)
        case All(node) | Any(node):
            return values[node].min(-1) if isinstance(goal, All) else values[node].max(-1)
        case And(children) | Or(children):
            scores = np.stack([_score(c, values, count) for c in children])
            return scores.min(0) if isinstance(goal, And) else scores.max(0)


def missed_by(query: Query, point: Point, delta: Fraction) -> bool:
    """Return whether the goal is true at a point if every atom may be missed by δ."""
    values = evaluate(query.program, point)

    def weakly(goal: Formula) -> bool:
        match goal:
            case Truth(value):
                return value
            case All(node):
                return all(x.upper >= -delta for x in values[node])
            case Any(node):
                return any(x.upper >= -delta for x in values[node])
            case And(children):
                return all(weakly(c) for c in children)
            case Or(children):
                return any(weakly(c) for c in children)

    return weakly(query.goal)


def main(arguments: Sequence[str] | None = None) -> int:
    """Check `--count` queries from seed `--seed`, and print the figures; the exit status is 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=20.0, help="limit for one query")
    parser.add_argument("--solver", default="delta", help='a solver of theory "real"')
    options = parser.parse_args(arguments)
    began, counts, bad = time.monotonic(), Counter[str](), 0
    for seed in range(options.seed, options.seed + options.count):
        found, wrong = check_seed(seed, options.seconds, get_solver(options.solver))
        counts += found
        bad += len(wrong)
        for line in wrong:
            print(line, flush=True)
        if seed % 500 == 499:
            print(f"{counts['queries']} queries, {bad} wrong, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    print(", ".join(f"{number} {word}" for word, number in sorted(counts.items())) + f"; {bad} wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
