"""Certify the shipped int8 file on the test set of MNIST, and compare it with two real runtimes on the same images.

Run `python tests/benchmarks/certified_int8.py --data FOLDER --markdown certified_int8.md`; FOLDER has the t10k idx files.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

import qspec as qs
import qspec_models
from qspec.ir.digest import digest
from qspec.ir.integer import Query, Truth
from qspec.lowering.evaluate import evaluate, program
from qspec.training import read_idx

sys.path.insert(0, str(Path(__file__).parent))
from _report import header, table
from certification import COLUMNS, measured, shares

RUNTIMES = ("tflm", "litert-reference", "litert-optimized", "xnnpack")
REFERENCES = RUNTIMES[:2]
"""The runtimes of which the file is read with the same meaning; the others are compared for information."""


def main() -> None:
    """Measure, and write the page anew after each part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--radii", default="1,2,4")
    parser.add_argument("--runtimes", default=",".join(RUNTIMES), help="which are run and compared; none is an empty text")
    parser.add_argument("--samples", type=int, default=10000)
    parser.add_argument("--store", type=Path, help="folder for verdicts; a run that finds some there goes on")
    parser.add_argument("--markdown", type=Path, help="write the page there")
    options = parser.parse_args()
    images = read_idx(options.data / "t10k-images-idx3-ubyte")[: options.samples, ..., None] - 128
    labels = read_idx(options.data / "t10k-labels-idx1-ubyte")[: options.samples]
    path = qspec_models.CERTIFIED_INT8
    networks = {s: qs.load(path, kind=qs.Network, semantics=s) for s in RUNTIMES}
    codes = {s: digest(Query(program(net)[0], Truth(True))) for s, net in networks.items()}
    parts = [header("A certified int8 file", "qspec", "tflite_micro", "ai-edge-litert", "jax", "numpy")]
    same = ", ".join(s for s in RUNTIMES if codes[s] == codes["tflm"])
    parts += [f"`{path.name}`, {path.stat().st_size:,} bytes. Semantics with the same compiled program as `tflm`: {same}.", ""]
    rows: list[list[object]] = []
    outputs = {s: evaluate(net, images).reshape(len(images), -1) for s, net in networks.items()}
    for s in filter(None, options.runtimes.split(",")):
        wall, found = time.perf_counter(), qs.agree(path, s, s, inputs=images)
        other = int((outputs[s].argmax(axis=1) != outputs["tflm"].argmax(axis=1)).sum())
        right = f"{100 * float(np.mean(outputs[s].argmax(axis=1) == labels)):.2f}"
        rows.append([s, found.samples, found.compared, found.differing, f"{found.outputs_differing} of {found.outputs}", right, other])
        print(found, f"{time.perf_counter() - wall:.0f} s", flush=True)
    head = (
        "semantics and runtime",
        "images",
        "codes of all tensors",
        "differ",
        "outputs that differ",
        "right %",
        "class other than tflm's",
    )
    parts += [table(head, rows), ""]
    certified: list[list[object]] = []
    for radius in map(int, options.radii.split(",")):
        store = None if options.store is None else options.store / f"int8-{radius}.jsonl"
        found = measured(networks["tflm"], images, labels, radius, timeout=0, store=store)
        certified.append(shares(*found))
        print(found[0], f"{found[2]:.0f} CPU s", flush=True)
        if options.markdown is not None:
            options.markdown.write_text("\n".join([*parts, table(COLUMNS, certified), ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
