"""Queries on a Dask cluster whose workers are killed at random: is one lost, written twice, or decided otherwise?

Small robustness queries run three times: on worker processes, on a cluster with as many workers that nobody disturbs, and on one of whose
workers one gets SIGKILL every few seconds (seeded). The three stores are compared. What a query costs, apart from deciding it, is measured
on the process that asks and on the scheduler, and a model says from these figures how many queries a second larger clusters decide.
Run `python tests/benchmarks/cluster.py` (extra `cluster`).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Container
from pathlib import Path
from typing import Any

import qspec as qs
from qspec.batch import store
from qspec.batch.cluster import dask_executor
from qspec_models import samples

sys.path.insert(0, str(Path(__file__).parent))
from _report import header, table

MODEL = "iris-4bit"


def queries(count: int) -> tuple[qs.Property, list[dict[str, object]]]:
    """Return robustness of a small network, and so many centres and radii."""
    network = qs.load(MODEL)
    inputs, labels = samples(MODEL)
    robust = qs.properties.local_robustness(network, qs.parameter("centre", inputs.shape[1]), qs.parameter("radius"), qs.parameter("label"))
    radii = range(1, 2 + (count - 1) // len(inputs))
    return robust, qs.grid(qs.together(centre=inputs, label=labels), radius=radii)[:count]


def run(spec: qs.Property, over: list[dict[str, object]], where: Path, **how: Any) -> tuple[float, float]:
    """Ask everything; returns seconds on the clock and CPU seconds of this process."""
    begun, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    for _ in qs.verify_many(spec, over, store=where, timeout=None, **how):
        pass
    now = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter() - begun, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime


class Killer(threading.Thread):
    """Sends SIGKILL to a worker of a cluster, at random, every few seconds, until it is stopped."""

    def __init__(self, client: Any, pause: float, seed: int) -> None:
        super().__init__(daemon=True)
        self._client, self._pause, self._chance = client, pause, random.Random(seed)
        self._over = threading.Event()
        self.kills = 0

    def run(self) -> None:
        while not self._over.wait(self._chance.uniform(0.5, 1.5) * self._pause):
            pids = list(self._client.run(os.getpid, on_error="ignore").values())
            if pids:
                os.kill(self._chance.choice(pids), signal.SIGKILL)
                self.kills += 1

    def stop(self) -> None:
        self._over.set()
        self.join()


def compared(straight: Path, killed: Path, some: Container[object] | None = None) -> tuple[list[list[object]], bool]:
    """Return what differs between two stores, of all queries or of some, and whether anything is lost, twice or different.

    A query whose worker was killed twice may have a line that says so, and another once it was asked again.
    """
    expected = {r["key"]: r["verdict"] for r in store.read(straight) if some is None or r["key"] in some}
    lines = [json.loads(line) for line in killed.read_text().splitlines()]
    decided = [line for line in lines if line["result"]["reason"] != "CRASH"]
    found = Counter(line["key"] for line in decided)
    verdicts = {line["key"]: line["result"]["verdict"] for line in decided}
    lost = len(expected.keys() - found.keys())
    twice = sum(n > 1 for n in found.values())
    other = sum(verdicts[k] != v for k, v in expected.items() if k in verdicts)
    said = Counter(str(v) for v in expected.values())
    return [
        ["queries", len(expected)],
        ["verdicts by processes", ", ".join(f"{n} {v}" for v, n in sorted(said.items()))],
        ["queries whose worker was killed twice: UNKNOWN (CRASH), decided by the same call again", len(lines) - len(decided)],
        ["queries without a verdict at the end", lost],
        ["queries decided twice", twice],
        ["verdicts that differ", other],
    ], bool(lost or twice or other)


def children() -> float:
    """Return the CPU seconds of processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def used_by(client: Any) -> float:
    """Return the CPU seconds of all workers so far."""
    return sum(client.run(_own_seconds).values())


def _own_seconds() -> float:
    return sum(os.times()[:2])


def model(central: float, alone: float, work: float, workers: int) -> tuple[float, float]:
    """Return queries a second and the share of time in which workers work, if each query costs `central` seconds of the one process
    that asks and schedules, and a worker `alone` seconds of overhead and `work` seconds of deciding."""
    rate = min(1 / central, workers / (alone + work))
    return rate, rate * work / workers


def row(name: str, over: list[dict[str, object]], seconds: float, used: float, there: float | str, kills: int) -> list[object]:
    """Return a line of the first table."""
    each = there if isinstance(there, str) else 1000 * there
    return [name, len(over), seconds, len(over) / seconds, 1000 * used / len(over), each, kills]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--calm", type=int, default=500, help="queries on the cluster that nobody disturbs")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--pause", type=float, default=15.0, help="seconds between kills, on average")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--markdown", type=Path, help="write the tables here, too")
    options = parser.parse_args()
    spec, over = queries(options.queries)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{name}.jsonl" for name in ("processes", "dask", "killed")]
        calm, before = over[: options.calm], children()
        seconds, central = run(spec, over, paths[0], workers=options.workers)
        work = (children() - before) / len(over)
        rows: list[list[object]] = [row("processes", over, seconds, central, work, 0)]
        with dask_executor(workers=options.workers) as (executor, size):
            client: Any = executor._client  # pyright: ignore[reportAttributeAccessIssue]
            chosen: dict[str, Any] = {"executor": executor, "workers": size}
            run(spec, over[: 4 * size], Path(folder) / "warm.jsonl", **chosen)
            before = used_by(client)
            seconds, central = run(spec, calm, paths[1], **chosen)
            both = (used_by(client) - before) / len(calm)
            rows.append(row("dask", calm, seconds, central, both, 0))
            killer = Killer(client, options.pause, options.seed)
            killer.start()
            seconds, killed = run(spec, over, paths[2], **chosen)
            killer.stop()
            rows.append(row("dask, workers killed", over, seconds, killed, "", killer.kills))
            run(spec, over, paths[2], **chosen)
        found, bad = compared(paths[0], paths[2])
        undisturbed, differs = compared(paths[0], paths[1], {r["key"] for r in store.read(paths[0]) if int(str(r["index"])) < options.calm})
    central, alone = central / len(calm), max(0.0, both - work)
    scaled: list[list[object]] = []
    for length in (0.01, 0.1, 1.0, 10.0, 60.0):
        for workers in (4, 100, 1000):
            rate, share = model(central, alone, length, workers)
            scaled.append([length, workers, rate, f"{share:.0%}"])
    report = "\n".join(
        [
            header("Queries on a cluster", "qspec", "distributed", "jax"),
            table(["workers", "queries", "seconds", "queries a second", "CPU ms a query here", "CPU ms a query there", "kills"], rows),
            "\n## What became of the queries while workers were killed\n",
            table(["what", "count"], found),
            f"\nUndisturbed: {', '.join(f'{line[1]} {line[0]}' for line in undisturbed[3:])}.",
            "\n## A model of larger clusters\n",
            f"Measured: {1000 * central:.1f} CPU ms a query here (asking, storing, scheduling), and {1000 * alone:.1f} CPU ms by which",
            "a worker of the cluster needs more for a query than a worker process. Delays of networks are left out.\n",
            table(["seconds of a query", "workers", "queries a second", "time that workers work"], scaled),
            "",
        ]
    )
    print(report)
    if options.markdown is not None:
        options.markdown.write_text(report)
    if bad or differs:
        raise SystemExit("the cluster lost, doubled or changed something")


if __name__ == "__main__":
    main()
