"""Accumulators of shipped and of deployed networks: what complete sums reach, and what partial sums may in any order, over all inputs.

Ranges are exact interval bounds over every code of the input, so that no input needs more. Of pairs of products a layer says whether none
leaves int16, whether an input shows one that does, or that it is open. Files are read with QSPEC_DATA set to the folder that holds them;
what is not read is listed with the reason. `--cost` compares properties with what they are as deployed, in CPU seconds.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from time import process_time

from _report import header, table

import qspec as qs
from qspec_models import samples

FILES = ("mlperf_tiny", "tflite", "onnx_int8")
LARGEST = 2_000_000
"""Files with more bytes are left out."""
EACH = ["network", "layer", "range", "bits", "in any order", "two products", "fit in int16", "shown"]
COSTS = ["network", "queries", "plain, CPU s", "as deployed, CPU s", "ratio", "verdicts", "as deployed"]
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


def layers(name: str, network: qs.Network, timeout: float) -> list[list[str]]:
    """Return a row for each layer that sums."""
    pairs = {p.layer: p for p in qs.pair_sums(network, timeout=timeout)}
    rows: list[list[str]] = []
    for a in qs.accumulators(network).layers:
        own = [name, a.layer, f"{a.lower:,} .. {a.upper:,}", str(a.width), str(a.partial_width)]
        pair = pairs.get(a.layer)
        said = ["", "not 8 bits", ""]
        if pair is not None:
            word = {"HOLDS": "proved", "VIOLATED": "refuted", "UNKNOWN": "open"}[pair.verdict.name]
            said = [f"{pair.lower:,} .. {pair.upper:,}", word, "" if pair.value is None else f"{pair.value:,}"]
        rows.append([*own, *said])
    return rows


def cost(name: str, count: int) -> list[str]:
    """Return what robustness near the first samples costs, plain and as deployed, after one query that is not counted."""
    network = qs.load(name, kind=qs.Network)
    images, labels = samples(name)
    specs = [qs.properties.local_robustness(network, images[k], 1, int(labels[k])) for k in range(count)]
    spent, verdicts = [0.0, 0.0], ["", ""]
    for way, make in enumerate((lambda s: s, qs.deployed)):
        qs.verify(make(specs[0]), timeout=20)
        since = process_time()
        found = [qs.verify(make(s), timeout=20).verdict.name for s in specs]
        spent[way] = process_time() - since
        verdicts[way] = ", ".join(f"{v} {found.count(v)}" for v in sorted(set(found)))
    return [name, str(count), f"{spent[0]:.2f}", f"{spent[1]:.2f}", f"{spent[1] / spent[0]:.2f}", *verdicts]


def files(first: int | None) -> Iterator[tuple[str, Path]]:
    """Yield the names and the files of deployed networks."""
    data = os.environ.get("QSPEC_DATA")
    for folder in FILES if data else ():
        every = [p for p in sorted((Path(str(data)) / folder).rglob("*")) if p.suffix in (".tflite", ".onnx")]
        yield from [(p.name, p) for p in every if p.stat().st_size <= LARGEST][:first]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, help="so many files of each folder at most")
    parser.add_argument("--each", action="store_true", help="a row for each layer, with pairs of products")
    parser.add_argument("--timeout", type=float, default=2.0, help="wall-clock seconds for each question about pairs")
    parser.add_argument("--cost", type=int, metavar="N", default=0, help="compare so many robustness queries of each shipped model")
    options = parser.parse_args()
    if options.cost:
        rows = [cost(name, options.cost) for name in ("digits-6bit", "digits-8bit", "digits-conv-6bit")]
        print(header("Cost of deployment", "qspec", "numpy") + f"\n{table(COSTS, rows)}\n")
        return
    shipped = [(p.name, Path(p.name)) for p in sorted(entry_points(group="qspec.models"), key=lambda p: p.name)]
    rows: list[list[str]] = []
    refused: list[str] = []
    for name, where in [*shipped, *files(options.first)]:
        try:
            network = qs.load(str(where), kind=qs.Network)
            rows += layers(name, network, options.timeout) if options.each else [row(name, network)]
        except qs.QspecError as error:
            refused.append(f"- {name}: {error.what}")
    print(header("Accumulators", "qspec", "numpy") + f"\n{table(EACH if options.each else COLUMNS, rows)}\n")
    print("\n".join(["Not read:", "", *refused] if refused else []))


if __name__ == "__main__":
    main()
