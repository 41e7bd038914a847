"""Certify whole test sets: shares, stages, samples a second; Algorithm 1's branching beside the engine's; certified samples attacked.

Run `python tests/benchmarks/certification.py --help`.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

import qspec as qs
from qspec.arithmetic.integers import IntArray
from qspec.attack.falsify import falsify
from qspec.batch.certification import Certification
from qspec.engines.boxes.class_query import question
from qspec.ir.integer import Input
from qspec.training import read_idx
from qspec.verify.result import Verdict

sys.path.insert(0, str(Path(__file__).parent))
from _report import header, table

COLUMNS = ("network", "radius", "samples", "clean %", "certified %", "refuted %", "undecided %", "wall s", "CPU s", "samples/CPU s")
STARTS, STEPS, ROUNDS = 16, 200, 4
"""Of the attack on what is certified: random points for each class, gradient steps, and rounds of greedy moves."""
STAGES = ("intervals", "duals", "attack", "engine", "boxes", "misclassified", "open")


def measured(network: qs.Network, images: IntArray, labels: IntArray, radius: int, **options: object) -> tuple[Certification, float, float]:
    """Certify, and return what came of it with seconds on the wall and of the processor."""
    wall, spent = time.perf_counter(), time.process_time()
    found = qs.certify(network, images, labels, radius, **options)  # pyright: ignore[reportArgumentType]
    return found, time.perf_counter() - wall, time.process_time() - spent


def shares(found: Certification, wall: float, spent: float) -> list[object]:
    """Return one row of the table of shares."""
    percent = (f"{100 * s:.2f}" for s in (found.clean, found.certified, found.refuted, found.undecided))
    return [found.network, found.radius, found.samples, *percent, f"{wall:.0f}", f"{spent:.0f}", f"{found.samples / spent:.1f}"]


def attacked(
    network: qs.Network, found: Certification, images: IntArray, count: int, starts: int, steps: int, rounds: int
) -> tuple[int, int, int]:
    """Attack certified samples, and return how many were attacked, and fell to gradients or to greedy moves: none should.

    Gradients start at random points, `starts` for each class; greedy moves (`rounds` rounds of `qspec.attack.falsify`, each from 256
    points that gradients have improved) change single pixels.
    """
    rng = np.random.default_rng(1)
    held = [k for k, o in enumerate(found.outcomes) if o.verdict is Verdict.HOLDS]
    chosen = np.array(sorted(held, key=lambda k: (found.outcomes[k].stage == "intervals", k))[:count])
    fallen = greedy = 0
    for label in np.unique(found.labels[chosen]).tolist():
        asked = question(network, label)
        rows = chosen[found.labels[chosen] == label]
        flat = images[rows].reshape(len(rows), -1)
        low, high = np.maximum(flat - found.radius, 0), np.minimum(flat + found.radius, 255)
        for lower, upper in zip(low, high, strict=True):
            program = tuple(Input(n.name, lower, upper) if isinstance(n, Input) else n for n in asked.query.program)
            point = falsify(replace(asked.query, program=program), seed=label, restarts=256, rounds=rounds)
            greedy += point is not None
        aims = np.repeat(asked.aims(low, high, 9), starts, axis=1)
        low, high = (np.repeat(a, aims.shape[1], axis=0) for a in (low, high))
        hits, _ = asked.attack(low, high, rng.integers(low, high, endpoint=True), aims.reshape(-1), steps)
        fallen += int(hits.reshape(len(rows), -1).any(axis=1).sum())
    return len(chosen), fallen, greedy


def parsed() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "networks", nargs="+", help="installed models or .qspec files, each with its images: NETWORK=FOLDER of t10k idx files"
    )
    parser.add_argument("--radii", default="1,2,4")
    parser.add_argument("--samples", type=int, default=10000)
    parser.add_argument(
        "--timeout", type=float, default=0.0, help="seconds for each sample that bounds and attacks leave open (default: 0)"
    )
    parser.add_argument("--compare", type=int, default=0, help="samples on which both branchings are compared, at the largest radius")
    parser.add_argument("--compare-timeout", type=float, default=5.0)
    parser.add_argument("--attack", type=int, default=0, help="certified samples that are attacked for long, at the largest radius")
    parser.add_argument("--store", type=Path, help="folder for verdicts; a run that finds some there measures what is left")
    parser.add_argument("--markdown", type=Path, help="write the page there")
    return parser.parse_args()


@dataclass
class Page:
    """What was measured so far."""

    timeout: float
    rows: list[list[object]] = field(default_factory=list)
    stages: list[list[object]] = field(default_factory=list)
    compared: list[list[object]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Return the page."""
        first = [header("Certification of test sets", "qspec", "jax", "numpy"), table(COLUMNS, self.rows), ""]
        columns = ("network", "radius", *STAGES, *(f"{s} s" for s in STAGES[:4]))
        parts = [*first, "Samples by the stage that settled them, and wall seconds of the first four:", "", table(columns, self.stages)]
        if self.compared:
            shown = table(("branching", *COLUMNS), self.compared)
            parts += ["", f"Both branchings, {self.timeout:g} s for each open sample:", "", shown]
        return "\n".join([*parts, *(["", *self.lines] if self.lines else [])]) + "\n"


def one(page: Page, network: qs.Network, folder: Path, options: argparse.Namespace) -> None:
    """Measure one network at every radius, and write the page anew after each."""
    images = read_idx(folder / "t10k-images-idx3-ubyte")[: options.samples, ..., None]
    labels = read_idx(folder / "t10k-labels-idx1-ubyte")[: options.samples]
    radii = [int(r) for r in options.radii.split(",")]
    for radius in radii:
        store = None if options.store is None else options.store / f"{network.name}-{radius}.jsonl"
        found, wall, spent = measured(network, images, labels, radius, timeout=options.timeout, store=store)
        page.rows.append(shares(found, wall, spent))
        counts = [sum(o.stage == s for o in found.outcomes) for s in STAGES]
        page.stages.append([network.name, radius, *counts, *(f"{found.seconds.get(s, 0.0):.0f}" for s in STAGES[:4])])
        print(found, flush=True)
        write(page, options.markdown)
        if options.attack and radius == max(radii):
            asked, fallen, greedy = attacked(network, found, images, options.attack, STARTS, STEPS, ROUNDS)
            page.lines.append(
                f"- {network.name}: {asked} samples certified at radius {radius}, those first that needed duals, were attacked: {fallen} "
                f"fell to gradients ({9 * STARTS} starts: 9 classes, {STARTS} random points; {STEPS} steps from every one), {greedy} to "
                f"greedy moves ({ROUNDS} rounds from 256 points)."
            )
            write(page, options.markdown)
    for branching in ("steps", "input") if options.compare else ():
        few, limit = slice(options.compare), options.compare_timeout
        found, wall, spent = measured(network, images[few], labels[few], max(radii), branching=branching, timeout=limit)
        page.compared.append([branching, *shares(found, wall, spent)])
        print(branching, found, flush=True)
        write(page, options.markdown)


def write(page: Page, path: Path | None) -> None:
    """Write the page as it is."""
    if path is not None:
        path.write_text(page.text(), encoding="utf-8")


def main() -> None:
    """Measure and print."""
    options = parsed()
    page = Page(options.compare_timeout)
    for text in options.networks:
        name, _, folder = text.partition("=")
        one(page, qs.load(name), Path(folder), options)
    print(page.text())


if __name__ == "__main__":
    main()
