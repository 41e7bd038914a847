"""Run families of generated QONNX files in qonnx's executor and here: `python -m tests.benchmarks.qonnx_families [files]`."""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

import qspec as qs
from tests.benchmarks._report import machine, versions
from tests.unit.qonnx_files import FAMILIES, beside


def main(files: int = 60) -> None:
    """Print for each family how many float32 numbers were compared, how many differ, and how many files were refused."""
    print(machine(), versions("qonnx", "onnxruntime", "onnx"))
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        for family, make in FAMILIES.items():
            total = differing = refused = 0
            start = time.process_time()
            for seed in range(files):
                try:
                    compared, wrong = beside(make(np.random.default_rng([seed, len(family)])), Path(folder), 20)
                except qs.UnsupportedError:
                    refused += 1
                    continue
                total, differing = total + compared, differing + wrong
            print(f"{family:16} {total} compared, {differing} differ, {refused} refused, {time.process_time() - start:.1f} CPU s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
