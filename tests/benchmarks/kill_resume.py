"""Kill a batch of queries again and again, and see whether its store loses or falsifies anything.

An uninterrupted run first says what the verdicts are. Of the robustness queries that it decides well within its limit, 200 then run in a
process of their own, on every core, with a store. At a random moment (seeded), before any or after some more results are there, the process
group gets SIGKILL, and the batch is started again on the same store. After every fifth kill a piece of a line is put at the end of the
store, as a crash in the middle of a write would leave it. In the end the batch runs to its end, and every verdict must be the same.
Run `python tests/benchmarks/kill_resume.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import qspec as qs
from qspec.batch import store
from qspec.batch.store import HEAD
from qspec_models import samples

sys.path.insert(0, str(Path(__file__).parent))
from _report import header, table

MODEL = "digits-4bit"
KILLS = "kills"
ENDED = "runs that ended before they were killed"
GREW = "runs after which the store had more results than before"
TORE = "kills that left a piece of a line"
TORN = "pieces of lines put there"
LIVED = "runs of which a process lived on for 10 s"
GONE = "runs after which a finished line was gone or changed"
TWICE = "queries asked again although they were finished"
HAPPENED, NEVER = (KILLS, ENDED, GREW, TORE, TORN), (LIVED, GONE, TWICE)

PLENTY = 60.0
"""Seconds for each query of the batch that is killed, so that no verdict depends on how busy the machine is."""

Rows = dict[str, dict[str, object]]

MARK = "QSPEC_KILL_RESUME"
"""Environment variable that every process of a batch inherits, so that survivors can be found."""


def batch(where: Path, only: Path, timeout: float, options: argparse.Namespace) -> None:
    """Run the batch on a store, to its end; only the queries listed in a file, if there is one."""
    network = qs.load(MODEL)
    images, labels = samples(MODEL)
    x = network.input("x")
    robust = qs.forall(
        x,
        given=qs.linf(x.code.flatten() - qs.parameter("image", 64)) <= qs.parameter("radius"),
        then=qs.argmax(network(x)) == qs.parameter("label"),
        name="robust",
    )
    count = options.samples
    over = qs.grid(qs.together(image=images[:count].reshape(count, -1), label=labels[:count]), radius=[1, 2, 3, 4, 5])
    chosen = json.loads(only.read_text()) if only.exists() else range(len(over))
    for _ in qs.verify_many(robust, [over[k] for k in chosen], solver=options.solver, store=where, timeout=timeout):
        pass


def start(where: Path, only: Path, timeout: float, options: argparse.Namespace) -> subprocess.Popen[bytes]:
    """Start the batch as the leader of a process group."""
    chosen = ["--samples", str(options.samples), "--timeout", str(timeout), "--solver", options.solver]
    return subprocess.Popen(
        [sys.executable, __file__, "--batch", str(where), str(only), *chosen], start_new_session=True, env={**os.environ, MARK: str(where)}
    )


def finish(where: Path, only: Path, timeout: float, options: argparse.Namespace) -> float:
    """Run the batch to its end and return the seconds that it took."""
    begun = time.perf_counter()
    if start(where, only, timeout, options).wait():
        raise SystemExit("a run that nobody killed failed")
    return time.perf_counter() - begun


def wait_for(process: subprocess.Popen[bytes], where: Path, lines: int, seconds: float) -> bool:
    """Wait until a store has grown by some lines, then for some seconds; return whether the batch still runs."""
    wanted = whole(where).count(b"\n") + lines
    while lines and process.poll() is None and whole(where).count(b"\n") < wanted:
        time.sleep(0.002)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


def survivors(where: Path) -> int:
    """Return how many processes of a batch there are; Linux only."""
    wanted = f"{MARK}={where}".encode()
    found = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
            found += stat[0] != "Z" and wanted in (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
    return found


def all_gone(where: Path, seconds: float) -> bool:
    """Return whether every process of a batch ends within some seconds."""
    end = time.monotonic() + seconds
    while survivors(where):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def whole(where: Path) -> bytes:
    """Return the lines of a store that are complete."""
    content = where.read_bytes() if where.exists() else b""
    return content[: content.rfind(b"\n") + 1]


def kill_often(where: Path, only: Path, options: argparse.Namespace) -> Counter[str]:
    """Start and kill the batch; return what happened, and how many lines of the store were lost or changed."""
    chance = random.Random(options.seed)
    seen: Counter[str] = Counter()
    kept = b""
    for k in range(options.kills):
        process = start(where, only, PLENTY, options)
        more = chance.randrange(0, 8)
        if wait_for(process, where, more, chance.uniform(0.0, 0.2 if more else 2.5)):
            os.killpg(process.pid, signal.SIGKILL)
            seen[KILLS] += 1
        else:
            seen[ENDED] += 1
        if process.wait() not in (0, -signal.SIGKILL):
            raise SystemExit(f"run {k} failed with status {process.returncode}")
        if not all_gone(where, 10):
            seen[LIVED] += 1
        now = whole(where)
        if not now.startswith(kept):
            seen[GONE] += 1
        seen[GREW] += len(now) > len(kept)
        seen[TORE] += where.exists() and where.stat().st_size > len(now)
        kept = now
        if k % 5 == 4 and where.exists():
            torn = HEAD + b'"' + b"0" * chance.randrange(1, 200)
            with where.open("ab") as file:
                file.write(torn[: chance.randrange(1, len(torn))])
            seen[TORN] += 1
    finish(where, only, PLENTY, options)
    if not whole(where).startswith(kept):
        seen[GONE] += 1
    return seen


def compared(rows: Rows, expected: Rows, seen: Counter[str]) -> tuple[list[list[object]], bool]:
    """Return the lines of the report, and whether anything was lost, wrong or left running."""
    lost, strange = len(expected.keys() - rows.keys()), len(rows.keys() - expected.keys())
    wrong = sum(rows[k]["verdict"] != expected[k]["verdict"] for k in rows.keys() & expected.keys())
    verdicts = Counter(str(r["verdict"]) for r in expected.values())
    lines: list[list[object]] = [
        ["queries", len(expected)],
        ["verdicts of the uninterrupted run", ", ".join(f"{n} {v}" for v, n in sorted(verdicts.items()))],
        *([what, seen[what]] for what in HAPPENED),
        *([what, seen[what]] for what in NEVER),
        ["queries without a result at the end", lost],
        ["results of queries that were not asked", strange],
        ["verdicts that are not those of the uninterrupted run", wrong],
    ]
    return lines, bool(lost or wrong or strange or any(seen[what] for what in NEVER))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--samples", type=int, default=60, help="samples, each with five radii, among which the queries are chosen")
    parser.add_argument("--solver", default="bitwuzla")
    parser.add_argument("--timeout", type=float, default=1.0, help="seconds for each query of the uninterrupted run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--markdown", type=Path, help="write the table here, too")
    parser.add_argument("--batch", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.batch is not None:
        batch(options.batch[0], options.batch[1], options.timeout, options)
        return
    with tempfile.TemporaryDirectory() as folder:
        killed, straight, only = (Path(folder) / name for name in ("killed.jsonl", "straight.jsonl", "only.json"))
        finish(straight, only, options.timeout, options)
        decided = [r for r in store.read(straight) if r["verdict"] != "UNKNOWN" and float(str(r["seconds"])) < options.timeout / 2]
        expected = {str(r["key"]): r for r in decided[: options.queries]}
        only.write_text(json.dumps([r["index"] for r in expected.values()]))
        seen = kill_often(killed, only, options)
        rows = {str(r["key"]): r for r in store.read(killed)}
        seen[TWICE] = killed.read_bytes().count(b"\n") - len(rows)
    lines, bad = compared(rows, expected, seen)
    report = header("Killing a batch and going on", "qspec", "bitwuzla", "jax") + "\n" + table(["what", "count"], lines) + "\n"
    print(report)
    if options.markdown is not None:
        options.markdown.write_text(report)
    if bad:
        raise SystemExit("the store lost or falsified something, or a process was left")


if __name__ == "__main__":
    main()
