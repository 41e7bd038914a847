"""Two runtimes of deployed int8 files: on how many inputs can they give different classes, at which radius, and what is proved?

Each `--file PATH=INPUTS.npy` is a `.tflite` file with codes of its input. Without `=INPUTS.npy` inputs are random: one level each, and
codes up to 20 around it. Every flip is run in both real runtimes. Run `python tests/benchmarks/flips.py --help`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

import qspec as qs

sys.path.insert(0, str(Path(__file__).parent))
from _report import header, table


def drawn(path: str, count: int) -> np.ndarray:
    """Return random codes of the input, as images have them: around a level."""
    shape = qs.load(path, kind=qs.Network).inputs[0].type.shape
    random = np.random.default_rng(0)
    return np.clip(random.integers(-128, 128, (count, *(1 for _ in shape))) + random.integers(-20, 21, (count, *shape)), -128, 127)


def rows(file: str, options: argparse.Namespace) -> list[list[object]]:
    """Return one row for each radius, and print the flips with the largest difference."""
    path, _, inputs = file.partition("=")
    given = np.load(inputs)[options.first : options.first + options.count] if inputs else drawn(path, options.count)
    found: list[list[object]] = []
    for radius in options.radius:
        began = time.process_time()
        flips = qs.flips(path, *options.between, inputs=given, radius=radius, timeout=options.timeout)
        spent = time.process_time() - began
        counts = [flips.count(v) for v in (qs.Verdict.HOLDS, qs.Verdict.VIOLATED, qs.Verdict.UNKNOWN)]
        how = Counter(o.how for o in flips.outcomes if o.verdict is qs.Verdict.HOLDS)
        by = ", ".join(f"{n} {what}" for what, n in how.most_common())
        found.append(
            [Path(path).stem, "real" if inputs else "random", len(given), radius, *counts, flips.shown, by, f"{spent / len(given):.2f}"]
        )
        print(flips, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", metavar="PATH[=INPUTS.npy]", action="append", required=True)
    parser.add_argument("--between", nargs=2, default=("tflm", "xnnpack"))
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--radius", type=int, nargs="+", default=(0, 1))
    parser.add_argument("--timeout", type=float, default=5)
    options = parser.parse_args()
    print(header("Two runtimes of one file", "numpy", "tflite-micro", "ai-edge-litert"))
    head = ["file", "inputs", "number", "radius", "cannot flip", "flip", "open", "shown in both runtimes", "cannot flip by", "CPU s each"]
    print(table(head, [row for file in options.file for row in rows(file, options)]))


if __name__ == "__main__":
    main()
