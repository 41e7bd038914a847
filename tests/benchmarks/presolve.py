"""What presolving saves an SMT solver: the MNIST queries of AAAI 2021 (see aaai21.py), each solver by three routes, under one limit.

- `paper`: only the passes that do what the published encoding did: intervals, stable neurons and clips, zero and fixed terms dropped; no
  attack.
- `passes`: all passes, and the attack; what `verify` does by default.
- `branch`: the native engine first, the solver for what it leaves open: `presolve="branch"`.

Run `python tests/benchmarks/presolve.py --help`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from math import exp, log
from pathlib import Path
from time import perf_counter
from typing import Any

from rich.progress import track

import qspec as qs
from qspec.passes import Pipeline

sys.path.insert(0, str(Path(__file__).parent))
from _data import find
from _report import header, table
from aaai21 import Sample, build_network, load_samples, robustness

PAPER = ("box", "fold", "fuse", "stairs", "decide", "cone")
ROUTES: dict[str, dict[str, Any]] = {
    "paper": {"without": [p.name for p in Pipeline().passes if p.name not in PAPER], "attack": False},
    "passes": {},
    "branch": {"presolve": "branch"},
}
Row = dict[str, Any]


def ask(spec: qs.Property, sample: Sample, solver: str, route: str, timeout: float) -> Row:
    """Verify one sample and return its row; `cubes` is how many domains the engine left open, `asked` how often the solver was."""
    since = perf_counter()
    result = qs.verify(
        spec.at(image=sample.image, label=sample.label, radius=sample.radius), solver=solver, timeout=timeout, **ROUTES[route]
    )
    seconds = perf_counter() - since
    engine = [s for s in result.answers if s.theory == "query"]
    return {
        "id": sample.index,
        "radius": sample.radius,
        "solver": solver,
        "version": result.solver_version,
        "route": route,
        "timeout": timeout,
        "verdict": result.verdict.name,
        "evidence": result.evidence.name,
        "reason": result.reason.name if result.reason else None,
        "seconds": seconds,
        "asked": len(result.answers) - len(engine),
        "cubes": int(engine[0].statistics["open"]) if engine and engine[0].status == "unknown" else 0,
    }


def key(row: Row) -> tuple[object, ...]:
    return row["id"], row["solver"], row["route"], row["timeout"]


def finished(path: Path | None) -> dict[tuple[object, ...], Row]:
    """Return the rows of an earlier run."""
    if path is None or not path.exists():
        return {}
    stored = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
    return {key(row): row for row in stored}


def rows(spec: qs.Property, samples: list[Sample], options: argparse.Namespace) -> Iterator[Row]:
    """Yield the row of every sample, solver and route; those of an earlier run first, which are not asked again."""
    done = finished(options.out)
    tasks = [(s, solver, route) for solver in options.solver.split(",") for s in samples for route in options.routes.split(",")]
    waiting = [t for t in tasks if (t[0].index, t[1], t[2], options.timeout) not in done]
    yield from (done[k] for t in tasks if (k := (t[0].index, t[1], t[2], options.timeout)) in done)
    with ThreadPoolExecutor(options.workers) as pool:
        for row in pool.map(lambda t: ask(spec, t[0], t[1], t[2], options.timeout), waiting):
            if options.out is not None:
                with options.out.open("a") as file:
                    file.write(json.dumps(row) + "\n")
            yield row


def decided(found: list[Row], route: str) -> dict[int, Row]:
    return {r["id"]: r for r in found if r["route"] == route and r["verdict"] != "UNKNOWN"}


def summary(found: list[Row], routes: list[str]) -> str:
    """Return the table of one solver: what each route decides, and by how much it is faster than the first where both decide."""
    lines: list[list[object]] = []
    first = decided(found, routes[0])
    for route in routes:
        own, every = decided(found, route), [r for r in found if r["route"] == route]
        both = sorted(set(first) & set(own))
        before, after = (sum(d[i]["seconds"] for i in both) for d in (first, own))
        logs = [log(first[i]["seconds"] / own[i]["seconds"]) for i in both]
        verdicts = [sum(r["verdict"] == v for r in own.values()) for v in ("HOLDS", "VIOLATED")]
        ratios = [float(before / after), exp(sum(logs) / len(logs))] if both else ["", ""]
        needed = sum(r["asked"] > 0 for r in every)
        lines.append([route, len(every), len(own), *verdicts, needed, sum(r["seconds"] for r in every), len(both), before, after, *ratios])
    columns = ["route", "queries", "decided", "HOLDS", "VIOLATED", "solver asked", "sum s", "both"]
    return table([*columns, f"{routes[0]} s", "route s", "ratio of sums", "mean ratio (geometric)"], lines)


def deviations(found: list[Row], published: list[dict[str, Any]]) -> str:
    """Return which verdicts are not the published ones, and which routes contradict each other."""
    truth = {i: v for t in published for v, name in (("HOLDS", "robust"), ("VIOLATED", "vulnerable")) for i in t[name]}
    verdicts: dict[int, set[str]] = {}
    for r in found:
        if r["verdict"] != "UNKNOWN":
            verdicts.setdefault(r["id"], set()).add(r["verdict"])
    wrong = sorted(i for i, v in verdicts.items() if i in truth and v != {truth[i]})
    torn = sorted(i for i, v in verdicts.items() if len(v) > 1)
    return f"deviations from published verdicts: {wrong or 'none'}; contradictions: {torn or 'none'}\n"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder with aaai21_qnn/ and mnist/")
    parser.add_argument("--solver", default="bitwuzla", help="one, or several separated by commas")
    parser.add_argument("--routes", default=",".join(ROUTES), help="some of them; the first is what the others are compared with")
    parser.add_argument("--timeout", type=float, default=60.0, help="wall-clock seconds for each query")
    parser.add_argument("--radius", help="only these radii")
    parser.add_argument("--ids", help="only these samples")
    parser.add_argument("--stride", type=int, default=1, help="only every so many of them")
    parser.add_argument("--workers", type=int, default=1, help="queries at a time")
    parser.add_argument("--out", type=Path, help="append one JSON line for each finished query; queries found there are not asked again")
    parser.add_argument("--markdown", type=Path, help="write the tables here, too")
    parser.set_defaults(dataset="mnist", images=None, labels=None)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    published = json.loads(find(Path(options.data) / "aaai21_qnn", "expected_results.json").read_text())["tables"]
    tables = [t for t in published if t["dataset"] == "mnist"]
    network = build_network(find(Path(options.data) / "aaai21_qnn", "mnist_mlp.npz"))
    samples, note = load_samples(options, tables, network)
    samples = samples[:: options.stride]
    spec = robustness(network)
    routes, solvers = options.routes.split(","), options.solver.split(",")
    total = len(samples) * len(routes) * len(solvers)
    found = list(track(rows(spec, samples, options), "queries", total, disable=not sys.stderr.isatty()))
    report = header("Presolving for SMT solvers", "qspec", "jax", "numpy", "bitwuzla", "z3-solver", "cvc5") + f"\n{note}"
    for solver in solvers:
        own = [r for r in found if r["solver"] == solver]
        report += f"\n## {solver}, {options.timeout:g} s a query\n\n{summary(own, routes)}\n\n{deviations(own, tables)}"
    print(report)
    if options.markdown is not None:
        options.markdown.write_text(report)


if __name__ == "__main__":
    main()
