"""Certify whole test sets: shares, stages, samples a second; Algorithm 1's branching beside the engine's; certified samples attacked.

Run `python tests/benchmarks/certification.py --help`.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

import qspec as qs
from qspec.certification.certification import Certification
from qspec.certification.question import question
from qspec.integers import IntArray
from qspec.result import Verdict
from qspec.training import read_idx

sys.path.insert(0, str(Path(__file__).parent))
from _report import header, table

COLUMNS = ("network", "radius", "samples", "clean %", "certified %", "refuted %", "undecided %", "wall s", "CPU s", "samples/CPU s")
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


def attacked(network: qs.Network, found: Certification, images: IntArray, count: int, starts: int, steps: int) -> tuple[int, int]:
    """Attack certified samples from random points, and return how many were attacked and how many fell: none should."""
    rng = np.random.default_rng(1)
    held = [k for k, o in enumerate(found.outcomes) if o.verdict is Verdict.HOLDS]
    chosen = np.array(sorted(held, key=lambda k: (found.outcomes[k].stage == "intervals", k))[:count])
    fallen = 0
    for label in np.unique(found.labels[chosen]).tolist():
        asked = question(network, label)
        rows = chosen[found.labels[chosen] == label]
        flat = images[rows].reshape(len(rows), -1)
        low, high = np.maximum(flat - found.radius, 0), np.minimum(flat + found.radius, 255)
        aims = np.repeat(asked.aims(low, high, 9), starts, axis=1)
        low, high = (np.repeat(a, aims.shape[1], axis=0) for a in (low, high))
        hits, _ = asked.crowd(low, high, rng.integers(low, high, endpoint=True), aims.reshape(-1), steps)
        fallen += int(hits.reshape(len(rows), -1).any(axis=1).sum())
    return len(chosen), fallen


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
    parser.add_argument("--markdown", type=Path, help="write the page there")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    options = parsed()
    radii = [int(r) for r in options.radii.split(",")]
    rows: list[list[object]] = []
    stages: list[list[object]] = []
    compared: list[list[object]] = []
    lines: list[str] = []
    for text in options.networks:
        name, _, folder = text.partition("=")
        images = read_idx(Path(folder) / "t10k-images-idx3-ubyte")[: options.samples, ..., None]
        labels = read_idx(Path(folder) / "t10k-labels-idx1-ubyte")[: options.samples]
        network = qs.load(name)
        for radius in radii:
            found, wall, spent = measured(network, images, labels, radius, timeout=options.timeout)
            rows.append(shares(found, wall, spent))
            counts = [sum(o.stage == s for o in found.outcomes) for s in STAGES]
            stages.append([network.name, radius, *counts, *(f"{found.seconds.get(s, 0.0):.0f}" for s in STAGES[:4])])
            print(found, flush=True)
        if options.attack:
            asked, fallen = attacked(network, found, images, options.attack, 4, 100)
            lines.append(
                f"- {network.name}: {asked} samples certified at radius {found.radius}, those first that needed duals, were attacked"
            )
            lines.append(f"  from 36 starts each (9 classes, 4 random points), 100 gradient steps every one: {fallen} fell.")
        for branching in ("steps", "input") if options.compare else ():
            few, wall, spent = measured(
                network,
                images[: options.compare],
                labels[: options.compare],
                radii[-1],
                branching=branching,
                timeout=options.compare_timeout,
            )
            compared.append([branching, *shares(few, wall, spent)])
            print(branching, few, flush=True)
    page = [
        header("Certification of test sets", "qspec", "jax", "numpy"),
        table(COLUMNS, rows),
        "",
        "Samples by the stage that settled them, and wall seconds of the first four:",
        "",
    ]
    page.append(table(("network", "radius", *STAGES, *(f"{s} s" for s in STAGES[:4])), stages))
    if compared:
        page += ["", f"Both branchings, {options.compare_timeout:g} s for each open sample:", "", table(("branching", *COLUMNS), compared)]
    text = "\n".join([*page, *(["", *lines] if lines else [])]) + "\n"
    print(text)
    if options.markdown is not None:
        options.markdown.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
