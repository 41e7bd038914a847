"""Quantised ONNX files in ONNX Runtime and here: random files of every operator, files of others, every tensor of codes compared.

`python -m tests.benchmarks.onnx_runtimes --files 20 --samples 64` draws files; `--data FOLDER` adds every `.onnx` file below a folder.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import qspec as qs
from tests.benchmarks._report import machine
from tests.unit.onnx_files import FAMILIES, beside


def family(name: str, *, qdq: bool, files: int, samples: int, folder: Path, seed: int) -> tuple[int, int, int, int]:
    """Return files compared, files refused, values compared, values differing."""
    compared = refused = values = differing = 0
    for k in range(files):
        random = np.random.default_rng([k, len(name), seed])
        try:
            size, wrong = beside(FAMILIES[name](random, qdq=qdq), folder, samples, random)
        except qs.UnsupportedError as error:
            refused += 1
            print(f"  refused: {error.what}: {error.given}", file=sys.stderr)
            continue
        compared, values, differing = compared + 1, values + size, differing + wrong
        if wrong:
            print(f"  file {k}: {wrong} of {size} differ", flush=True)
    return compared, refused, values, differing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--seed", type=int, default=15)
    parser.add_argument("--family", choices=FAMILIES)
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    print(machine())
    print("operator | form | files | refused | values | differ")
    with TemporaryDirectory() as folder:
        for name in [options.family] if options.family else FAMILIES:
            for qdq in (False, True):
                row = family(name, qdq=qdq, files=options.files, samples=options.samples, folder=Path(folder), seed=options.seed)
                print(name, "QDQ" if qdq else "QLinear", *row, sep=" | ", flush=True)
    for path in sorted(options.data.rglob("*.onnx")) if options.data else []:
        try:
            print(f"{path.name}: {qs.agree(path, samples=options.samples)}", flush=True)
        except qs.QspecError as error:
            print(f"{path.name}: {error.what}: {error.given}")


if __name__ == "__main__":
    main()
