"""Accumulators of shipped and of deployed networks: what complete sums reach, and what partial sums may in any order, over all inputs.

Ranges are exact interval bounds over every code of the input, so that no input needs more. Files are read with QSPEC_DATA set to the folder
that holds them; what is not read is listed with the reason.
"""

from __future__ import annotations

import argparse
import os
from importlib.metadata import entry_points
from pathlib import Path
from time import process_time

from _report import header, table

import qspec as qs

FILES = ("mlperf_tiny", "tflite")
LARGEST = 2_000_000
"""Files with more bytes are left out."""
COLUMNS = ["network", "layer with the widest sums", "range", "bits", "bits in any order", "layers", "CPU s"]


def row(name: str, network: qs.Network) -> list[str]:
    """Return the widest layer of a network."""
    since = process_time()
    found = qs.accumulators(network).layers
    if not found:
        return [name, "no sums", "", "", "", "0", ""]
    widest = max(found, key=lambda a: (a.partial_width, a.width))
    span = f"{widest.lower:,} .. {widest.upper:,}"
    return [name, widest.layer, span, str(widest.width), str(widest.partial_width), str(len(found)), f"{process_time() - since:.1f}"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, help="so many files of each folder at most")
    options = parser.parse_args()
    rows = [row(p.name, qs.load(p.name, kind=qs.Network)) for p in sorted(entry_points(group="qspec.models"), key=lambda p: p.name)]
    refused: list[str] = []
    data = os.environ.get("QSPEC_DATA")
    for folder in FILES if data else ():
        files = [p for p in sorted((Path(str(data)) / folder).rglob("*.tflite")) if p.stat().st_size <= LARGEST]
        for path in files[: options.first]:
            try:
                rows.append(row(path.name, qs.load(path, kind=qs.Network)))
            except qs.QspecError as error:
                refused.append(f"- {path.name}: {error.what}")
    print(header("Accumulators", "qspec", "numpy") + f"\n{table(COLUMNS, rows)}\n")
    print("\n".join(["Not read:", "", *refused] if refused else []))


if __name__ == "__main__":
    main()
