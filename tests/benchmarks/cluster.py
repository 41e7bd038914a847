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


def compared(straight: Path, killed: Path, asked: Container[object] | None = None) -> tuple[list[list[object]], bool]:
    """Return what differs between two stores, of all queries or of those asked, and whether anything is lost, twice or different."""
    expected = {r["key"]: r["verdict"] for r in store.read(straight) if asked is None or r["key"] in asked}
    lines = [json.loads(line) for line in killed.read_text().splitlines()]
    found = Counter(line["key"] for line in lines)
    verdicts = {line["key"]: line["result"]["verdict"] for line in lines}
    lost = len(expected.keys() - found.keys())
    twice = sum(n > 1 for n in found.values())
    other = sum(verdicts[k] != v for k, v in expected.items() if k in verdicts)
    said = Counter(str(v) for v in expected.values())
    return [
        ["queries", len(expected)],
        ["verdicts by processes", ", ".join(f"{n} {v}" for v, n in sorted(said.items()))],
        ["queries without a result", lost],
        ["queries with two results", twice],
        ["verdicts that differ", other],
    ], bool(lost or twice or other)


def model(central: float, alone: float, work: float, workers: int) -> tuple[float, float]:
    """Return queries a second and the share of time in which workers work, if each query costs `central` seconds of the one process
    that asks and schedules, and a worker `alone` seconds of waiting and `work` seconds of deciding."""
    rate = min(1 / central, workers / (alone + work))
    return rate, rate * work / workers


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
        rows: list[list[object]] = []
        seconds, used = run(spec, over, paths[0], workers=options.workers)
        rows.append(["processes", len(over), seconds, len(over) / seconds, 1000 * used / len(over), 0])
        work = sum(float(str(r["seconds"])) for r in store.read(paths[0])) / len(over)
        central = 0.0
        with dask_executor(workers=options.workers) as (executor, size):
            client: Any = executor._client  # pyright: ignore[reportAttributeAccessIssue]
            run(spec, over[: 4 * size], Path(folder) / "warm.jsonl", executor=executor, workers=size)
            for path, pause in zip(paths[1:], (None, options.pause), strict=True):
                killer = None if pause is None else Killer(client, pause, options.seed)
                if killer is not None:
                    killer.start()
                some = over[: options.calm] if killer is None else over
                seconds, used = run(spec, some, path, executor=executor, workers=size)
                if killer is not None:
                    killer.stop()
                central = central or used / len(some)
                name = "dask" if killer is None else "dask, workers killed"
                rows.append([name, len(some), seconds, len(some) / seconds, 1000 * used / len(some), 0 if killer is None else killer.kills])
        found, bad = compared(paths[0], paths[2])
        some_of_them = {r["key"] for r in store.read(paths[0])[: options.calm]}
        calm, differs = compared(paths[0], paths[1], some_of_them)
    alone = max(0.0, options.workers / float(str(rows[1][3])) - work)
    scaled: list[list[object]] = []
    for length in (0.01, 0.1, 1.0, 10.0, 60.0):
        for workers in (4, 100, 1000):
            rate, share = model(central, alone, length, workers)
            scaled.append([length, workers, rate, f"{share:.0%}"])
    report = "\n".join(
        [
            header("Queries on a cluster", "qspec", "distributed", "jax"),
            table(["workers", "queries", "seconds", "queries a second", "CPU ms a query here", "kills"], rows),
            "\n## What became of the queries while workers were killed\n",
            table(["what", "count"], found),
            f"\nUndisturbed: {', '.join(f'{line[1]} {line[0]}' for line in calm[2:])}.",
            "\n## A model of larger clusters\n",
            f"Measured: {1000 * central:.2f} CPU ms a query here (asking, storing, scheduling); {1000 * alone:.1f} ms a query in which a",
            f"worker does not decide; {1000 * work:.1f} ms in which it does.\n",
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
