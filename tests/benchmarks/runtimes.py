"""TensorFlow Lite files in their real runtimes and here: random files of every operator, files of others, every tensor compared.

`python -m tests.benchmarks.runtimes --files 20 --samples 64` draws files; `--data FOLDER` adds every `.tflite` file below a folder, and
`--inputs STEM=FILE.npy` gives the codes that the file of this stem runs on instead of random ones.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import qspec as qs
from qspec.conformance.runtime import PACKAGES
from qspec.readers.tflite_write import write_model
from tests.benchmarks._report import machine
from tests.unit.tflite_files import FAMILIES


def family(name: str, runtime: str, files: int, samples: int, folder: Path) -> tuple[int, int, int, int]:
    """Return files compared, files refused, values compared, values differing."""
    compared = refused = values = differing = 0
    for k in range(files):
        write_model(FAMILIES[name](np.random.default_rng([k, len(name), 606])), folder / "f.tflite")
        try:
            found = qs.agree(folder / "f.tflite", runtime, samples=samples, seed=k)
        except qs.UnsupportedError as error:
            refused += 1
            print(f"  refused: {error.what}: {error.given}", file=sys.stderr)
            continue
        compared, values, differing = compared + 1, values + found.compared, differing + found.differing
        if found.differing:
            print(found)
    return compared, refused, values, differing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--inputs", metavar="STEM=FILE.npy", action="append", default=[])
    parser.add_argument("--runtimes", nargs="+", default=list(PACKAGES), choices=list(PACKAGES))
    options = parser.parse_args()
    print(machine())
    print("operator | runtime | files | refused | values | differ")
    with TemporaryDirectory() as folder:
        for name in FAMILIES if options.files else []:
            for runtime in options.runtimes:
                print(name, runtime, *family(name, runtime, options.files, options.samples, Path(folder)), sep=" | ", flush=True)
    given = {stem: np.load(file)[: options.samples] for stem, file in (own.split("=", 1) for own in options.inputs)}
    for path in sorted(options.data.rglob("*.tflite")) if options.data else []:
        for runtime in options.runtimes:
            try:
                found = qs.agree(path, runtime, inputs=given.get(path.stem), samples=options.samples)
                print(f"{path.name} ({'real' if path.stem in given else 'random'} inputs): {found}", flush=True)
            except qs.QspecError as error:
                print(f"{path.name}, {runtime}: {error.what}: {error.given}")


if __name__ == "__main__":
    main()
