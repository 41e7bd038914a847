"""Do passes, theories and solvers agree with enumeration on random networks? `python -m tests.soundness.agreement --count 100000`.

The truth about a property is the enumeration of its query by the reference integers; the interpreter of the language, which knows neither
compiler nor query, judges some of the points as well (or all, with `thorough`).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.bounds import interval
from qspec.bounds.tighten import bound
from qspec.compile.query import Compiled, compile_property
from qspec.errors import QspecError, UnsupportedError
from qspec.ir.integer import FALSE, TRUE, Query
from qspec.ir.reference import evaluate, holds, satisfies
from qspec.language.interpret import witnesses
from qspec.language.property import Property
from qspec.passes import Pipeline
from qspec.passes.base import Reduced
from qspec.problem import SmtProblem
from qspec.solver import Answer
from qspec.theories import bitvector, integer
from qspec.verify.decide import verify
from qspec.verify.result import Verdict
from tests.soundness import in_process
from tests.soundness.random_networks import random_property
from tests.soundness.random_queries import assignments

DECIDERS: Mapping[str, Callable[[Query, list[interval.Interval]], tuple[SmtProblem, Answer]]] = {
    "QF_BV": lambda q, bounds: (p := bitvector.lower(q, bounds), in_process.bitwuzla(p)),
    "QF_LIA": lambda q, bounds: (p := integer.lower(q, bounds), in_process.z3(p)),
}


@dataclass(slots=True)
class Tally:
    """What happened on some seeds: counts by word, and a line for everything that is wrong."""

    counts: Counter[str] = field(default_factory=Counter[str])
    wrong: list[str] = field(default_factory=list[str])

    def add(self, other: Tally) -> None:
        self.counts.update(other.counts)
        self.wrong += other.wrong


def check_seed(
    seed: int, *, solver: str | None = None, theory: str | None = None, thorough: bool = False, theories: Sequence[str] = tuple(DECIDERS)
) -> Tally:
    """Check one random property: interpreter, passes, theories (raw, or after passes), and, if named, a solver by way of `verify`."""
    tally = Tally(Counter({"properties": 1}))
    spec = random_property(seed)
    compiled = compile_property(spec)
    truth = _solutions(compiled, spec, seed, tally, thorough=thorough)
    satisfiable = bool(truth.any())
    tally.counts["satisfiable" if satisfiable else "unsatisfiable"] += 1
    parts = Pipeline().apply(compiled.query)
    _check_passes(parts, compiled, satisfiable, seed, tally)
    asked = [Reduced(compiled.query, dict)] if seed % 2 == 0 else list(parts)
    bounds = [bound(part.query.program) for part in asked] if theories else []
    for name in theories:
        _check_theory(name, asked, bounds, compiled, satisfiable, seed, tally)
    if solver is not None:
        _check_solver(spec, solver, theory, satisfiable, seed, tally)
    return tally


def _solutions(compiled: Compiled, spec: Property, seed: int, tally: Tally, *, thorough: bool) -> IntArray:
    """Return which assignments solve the query, and compare the interpreter on a few solutions and a few others."""
    points = assignments(compiled.query)
    values = evaluate(compiled.query.program, points)
    total = next(iter(points.values())).shape[0]
    truth = np.broadcast_to(holds(compiled.query.goal, values), (total,))
    _check_bounds(compiled.query, values, seed, tally)
    rng = np.random.default_rng(seed)
    chosen = [rng.permutation(np.flatnonzero(truth == t))[: total if thorough else 2] for t in (True, False)]
    for k in np.concatenate(chosen).tolist():
        codes = {v.name: np.broadcast_to(values[compiled.variables[v.name]], (total, v.size))[k].reshape(v.shape) for v in spec.variables}
        tally.counts["interpreted points"] += 1
        if witnesses(spec, codes) is not bool(truth[k]):
            tally.wrong.append(f"seed {seed}: compiler and interpreter disagree on {codes}")
    return truth


def _check_bounds(query: Query, values: Sequence[IntArray], seed: int, tally: Tally) -> None:
    """Intervals and linear bounds contain every value of every node."""
    for name, bounds in (("interval", interval.bound(query.program)), ("linear", bound(query.program, range(len(query.program))))):
        for k, (value, b) in enumerate(zip(values, bounds, strict=True)):
            if np.any(value < b.lower) or np.any(value > b.upper):
                tally.wrong.append(f"seed {seed}: {name} bounds of node {k} exclude a value that it takes")


def _check_passes(parts: Sequence[Reduced], compiled: Compiled, satisfiable: bool, seed: int, tally: Tally) -> None:
    goals = [part.query.goal for part in parts]
    if TRUE in goals:
        tally.counts["passes decide"] += 1
        part = parts[goals.index(TRUE)]
        corner = part.lift({name: node.lower for name, node in part.query.inputs.items()})
        if not satisfiable or not satisfies(compiled.query, corner):
            tally.wrong.append(f"seed {seed}: passes found a solution that is none")
    elif all(g == FALSE for g in goals):
        tally.counts["passes decide"] += 1
        if satisfiable:
            tally.wrong.append(f"seed {seed}: passes lost every solution")


def _check_theory(
    theory: str,
    parts: Sequence[Reduced],
    bounds: Sequence[list[interval.Interval]],
    compiled: Compiled,
    satisfiable: bool,
    seed: int,
    tally: Tally,
) -> None:
    said: list[str] = []
    for part, known in zip(parts, bounds, strict=True):
        problem, answer = DECIDERS[theory](part.query, known)
        said.append(answer.status)
        if answer.model is not None and not satisfies(compiled.query, part.lift(problem.decode(answer.model))):
            tally.wrong.append(f"seed {seed}: the model in {theory} is no solution")
    verdict = "sat" if "sat" in said else "unsat" if set(said) <= {"unsat"} else "unknown"
    tally.counts[f"{theory} {verdict}"] += 1
    if verdict != "unknown" and (verdict == "sat") is not satisfiable:
        tally.wrong.append(f"seed {seed}: {theory} says {verdict}")


def _check_solver(spec: Property, solver: str, theory: str | None, satisfiable: bool, seed: int, tally: Tally) -> None:
    label = f"{solver} {theory or ''}".strip()
    try:
        verdict = verify(spec, solver=solver, theory=theory, attack=False, without=() if seed % 3 else ("fold", "share", "stairs")).verdict
    except UnsupportedError:
        tally.counts[f"{label} unsupported"] += 1
        return
    except QspecError as error:
        tally.wrong.append(f"seed {seed}: {label} raised {type(error).__name__}: {error.what}")
        return
    expected = Verdict.VIOLATED if satisfiable is (spec.kind == "forall") else Verdict.HOLDS
    tally.counts[f"{label} {verdict.name}"] += 1
    if verdict not in (expected, Verdict.UNKNOWN):
        tally.wrong.append(f"seed {seed}: {label} says {verdict.name}")


def check_seeds(
    seeds: Sequence[int],
    *,
    solver: str | None = None,
    theory: str | None = None,
    thorough: bool = False,
    theories: Sequence[str] = tuple(DECIDERS),
) -> Tally:
    """Check several random properties."""
    tally = Tally()
    for seed in seeds:
        try:
            tally.add(check_seed(seed, solver=solver, theory=theory, thorough=thorough, theories=theories))
        except Exception as error:
            error.add_note(f"on the random property of seed {seed}")
            raise
    return tally


def main(arguments: Sequence[str] | None = None) -> int:
    """Check `--count` properties from seed `--seed`, and print the figures; the exit status is 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--solver", help="ask this solver as well, by way of verify")
    parser.add_argument("--theory", help="in this theory")
    parser.add_argument("--only", action="store_true", help="ask no others than that")
    parser.add_argument("--thorough", action="store_true", help="judge every point by the interpreter too")
    options = parser.parse_args(arguments)
    began, tally = time.monotonic(), Tally()
    chunks = [range(k, min(k + 50, options.seed + options.count)) for k in range(options.seed, options.seed + options.count, 50)]
    with ProcessPoolExecutor(options.workers) as pool:
        theories = () if options.only else tuple(DECIDERS)
        check = partial(check_seeds, solver=options.solver, theory=options.theory, thorough=options.thorough, theories=theories)
        for done, part in enumerate(pool.map(check, chunks), 1):
            tally.add(part)
            for line in part.wrong:
                print(line, flush=True)
            if done % 20 == 0:
                print(
                    f"{tally.counts['properties']} properties, {len(tally.wrong)} wrong, {time.monotonic() - began:.0f} s", file=sys.stderr
                )
    for word, number in sorted(tally.counts.items()):
        print(f"{word:24} {number}")
    print(f"{'wrong':24} {len(tally.wrong)}")
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
