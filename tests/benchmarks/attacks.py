"""How soon counterexamples are found: the search of qspec beside three plain ones, by CPU time, on every family of networks.

For each query that somebody finds a counterexample of, the CPU seconds until then: of the search behind `falsify` and `verify`, from the
compiled query on, and of three searches in plain numpy, from the arrays of the network on:

- steps: projected gradient on the sums before the last clip, straight through roundings, from 10 random places; each of 20 steps is a
  quarter of the radius (tables: of the range);
- rows: random points of the box; corners: random corners of it.

Every counterexample is confirmed by the reference integers. Queries that nobody violates within the limit are left out.
`--beside` names the Python of another build of qspec, which is then measured by this same program.
Run `python tests/benchmarks/attacks.py --help`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import process_time

import numpy as np

from qspec.attack.falsify import falsify
from qspec.deadline import Deadline
from qspec.ir.integer import Query
from qspec.passes import Pipeline
from qspec.support.threads import single_threaded
from qspec.verify.decide import query as compiled

sys.path.insert(0, str(Path(__file__).parent))
from _attacked import FAMILIES, Case, cases
from _plain import Plain, Values
from _report import header, table

BUDGETS = (0.05, 0.2, 1.0, 5.0)
RESTARTS, STEPS, BATCH = 10, 20, 500
Points = Iterator[Values]


def uniform(case: Case, rng: np.random.Generator, count: int) -> Values:
    """Return random points of a box."""
    return np.floor(case.lower + rng.random((count, case.lower.size)) * (case.upper - case.lower + 1))


def steps(plain: Plain, case: Case, rng: np.random.Generator) -> Points:
    """Yield the points of projected gradient steps."""
    low, high = case.lower, case.upper
    length = np.maximum(1, np.rint((high - low) / 8))  # a quarter of the radius
    while True:
        x = uniform(case, rng, RESTARTS)
        for _ in range(STEPS):
            yield x
            x = np.clip(x + length * np.sign(case.slope(plain, x)), low, high)


def rows(_plain: Plain, case: Case, rng: np.random.Generator) -> Points:
    """Yield random points."""
    while True:
        yield uniform(case, rng, BATCH)


def corners(_plain: Plain, case: Case, rng: np.random.Generator) -> Points:
    """Yield random corners."""
    while True:
        yield np.where(rng.random((BATCH, case.lower.size)) < 0.5, case.lower, case.upper)


PLAIN: dict[str, Callable[[Plain, Case, np.random.Generator], Points]] = {"steps": steps, "rows": rows, "corners": corners}


@single_threaded
def plainly(method: str, case: Case, limit: float, seed: int) -> float | None:
    """Return the CPU seconds until a plain search finds a counterexample, or None."""
    plain = Plain(case.network)
    rng = np.random.default_rng(seed)
    began = process_time()
    for x in PLAIN[method](plain, case, rng):
        solved = case.violated(plain, x)
        if np.any(solved):
            spent = process_time() - began
            case.confirm(x[np.argmax(solved)])
            return spent
        if process_time() - began > limit:
            return None
    return None


def deadline(limit: float) -> Deadline:
    """Return a limit in CPU seconds, so that on a busy machine it is the same for all."""
    return Deadline(process_time() + limit, process_time)


@single_threaded
def falsified(query: Query, limit: float, seed: int) -> float | None:
    """Return the CPU seconds that the search of qspec takes to find a counterexample, which it replays, or None."""
    began = process_time()
    found = falsify(query, deadline(limit), seed=seed)
    return None if found is None else process_time() - began


def work(options: argparse.Namespace) -> None:
    """Measure the build of qspec that this process runs, and print a line of JSON."""
    queries = [
        next(iter(Pipeline().only("box").apply(compiled(c.spec)))).query for c in cases(options.family, options.data, options.samples)
    ]
    print(json.dumps([falsified(q, options.limit, options.seed) for q in queries]))


def measured(python: str, family: str, options: argparse.Namespace) -> list[float | None]:
    """Return what a build of qspec takes for each case of a family, in a process of its own."""
    command = [python, __file__, "--worker", "--family", family, "--data", str(options.data), "--limit", str(options.limit)]
    command += ["--samples", str(options.samples)]
    command += ["--seed", str(options.seed)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20 * 3600)
    return json.loads(told.stdout.splitlines()[-1])


def family_rows(family: str, options: argparse.Namespace) -> list[list[object]]:
    """Return the lines of a family: one for each method, with the share that it finds within each budget."""
    asked = list(cases(family, options.data, options.samples))
    found: dict[str, list[float | None]] = {"qspec": measured(sys.executable, family, options)}
    if options.beside:
        found["qspec, other build"] = measured(options.beside, family, options)
    for method in PLAIN:
        found[method] = [plainly(method, case, options.limit, options.seed) for case in asked]
    violable = [k for k in range(len(asked)) if any(f[k] is not None for f in found.values())]
    if options.out is not None:
        with options.out.open("a") as file:
            file.write(json.dumps({"family": family, "cases": [c.name for c in asked], "seconds": found}) + "\n")
    lines: list[list[object]] = []
    for method, seconds in found.items():
        own = [seconds[k] for k in violable]
        shares = [f"{sum(s is not None and s <= b for s in own)}" for b in BUDGETS if b <= options.limit]
        spent = sum(options.limit if s is None else s for s in own)
        lines.append([family, method, len(asked), len(violable), *shares, float(spent)])
        print(*lines[-1], file=sys.stderr, flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with qvip/, aaai21_qnn/, mnist/, fairness_nets/, tabular/")
    parser.add_argument("--family", default=",".join(FAMILIES), help="families, separated by commas")
    parser.add_argument("--samples", type=int, default=12, help="queries for each network and radius of a family")
    parser.add_argument("--limit", type=float, default=5.0, help="seconds for each query and method")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--beside", help="the Python of another build of qspec")
    parser.add_argument("--worker", action="store_true", help="only measure this build on one family, and print JSON")
    parser.add_argument("--out", type=Path, help="append what was measured here, JSON")
    parser.add_argument("--markdown", type=Path, help="write the table here, too")
    options = parser.parse_args()
    if options.worker:
        work(options)
        return
    columns = ["family", "search", "queries", "violable", *(f"within {b:g} s" for b in BUDGETS if b <= options.limit), "CPU s in all"]
    lines = [line for family in options.family.split(",") for line in family_rows(family, options)]
    report = f"{header('Searches for counterexamples', 'qspec', 'numpy', 'jax')}\n{table(columns, lines)}\n"
    print(report)
    if options.markdown is not None:
        options.markdown.write_text(report)


if __name__ == "__main__":
    main()
