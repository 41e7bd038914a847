"""Quantisation errors on QEBVerif's networks (Zhang, Song, Sun, CAV 2023): MNIST, 4 to 10 bits, one to three hidden layers, radius 3.

For all images within 3 grey levels of one of 30 test images: how far can the score of its class in the quantised network be from that in
the float network, which reads x / 255? Input 8 bits; weights Q bits, Q-1 of them fractional; biases and unsigned hidden codes Q bits, Q-2
fractional; parameters are rounded half away from zero, signals half up; outputs are sums, not rounded. The task e is refuted by an error of
e or more, and proved if every error is smaller. One run decides the tasks of all e. Run `python tests/benchmarks/qebverif.py --help`.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
from collections import defaultdict
from fractions import Fraction
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

import qspec as qs
from qspec.engines.difference.aligned_layers import pair
from qspec.engines.difference.largest import exact_errors
from qspec.engines.difference.root import root
from qspec.extremes.quantization_errors import narrowing_error
from qspec.ir.staircase import climb

sys.path.insert(0, str(Path(__file__).parent))
from _data import find, read_dense, read_idx
from _report import header, table

NETWORKS = {"1blk_100": "784_100_10", "2blk_100_100": "784_100_100_10", "3blk_100_100_100": "784_100_100_100_10"}
ERRORS = (1, 2, 4, 6, 8)
WIDTHS = ("Baseline", "QEBVerif(Con)", "QEBVerif(sym)")
METHODS = ("DRA", "DRA+MILP", "DRA+MILP+Diff(sym)")
RADIUS = 3
WITHIN = 60
NOTES = """
Seconds are processor seconds of one process and one thread. One run of an image decides all five tasks; *longest* is the image that took
longest, and so says for how long was branched at most. Published figures are of the same images: widths by one thread, tasks by Gurobi with
24 threads on 96 cores and 1 h a task, and for the last method also those that took at most 60 s; a dash means that nothing was
published. *Naive* is QEBVerif's baseline: intervals of the quantised network less lines of the float one. Widths are those of the first
bounds, before anything is cut.
"""
Record = dict[str, Any]


def build(path: Path, bits: int) -> tuple[qs.Network, qs.real.Network]:
    """Return the quantised and the float network of the benchmark, both on the input of the quantised one."""
    last, *hidden = read_dense(path)  # the last layer is called "dense", those before it "Dense_0", …
    weight = qs.Fixed(bits, bits - 1, rounding=qs.Rounding.RND_INF)
    bias = qs.Fixed(bits, bits - 2, rounding=qs.Rounding.RND_INF)
    code = qs.Fixed(bits, bits - 2, signed=False)
    fixed: list[Any] = [qs.Dense(qs.quantize(k, weight), qs.quantize(b, bias), qs.ReLU(), code) for k, b in hidden]
    fixed.append(qs.Dense(qs.quantize(last[0], weight), qs.quantize(last[1], bias)))
    share = Fraction(256, 255)  # a code c means c / 256 here and c / 255 there
    kernels = [np.array([[Fraction(v) * share for v in row] for row in hidden[0][0].tolist()], dtype=object)]
    kernels += [k for k, _ in (*hidden[1:], last)]
    activations: list[Any] = [*(qs.ReLU() for _ in hidden), qs.Linear()]
    real = [qs.real.Dense(k, b, a) for k, (_, b), a in zip(kernels, (*hidden, last), activations, strict=True)]
    inputs = hidden[0][0].shape[0]
    return (
        qs.Sequential(qs.Input((inputs,), qs.Fixed(8, 8, signed=False)), *fixed, name=path.stem),
        qs.real.Sequential(qs.real.Input((inputs,)), *real, name=path.stem),
    )


def naive(networks: tuple[qs.Network, qs.real.Network], low: Any, high: Any, output: int, bits: int) -> float:
    """Return the width of QEBVerif's baseline: intervals of the quantised network, rounded to codes, less lines of the float one."""
    both = pair(*networks)
    assert both is not None
    ends = [low.astype(np.float64), high.astype(np.float64)]
    known = root(both, *ends)
    for layer in both.layers:
        middle, radius = (ends[1] + ends[0]) / 2, (ends[1] - ends[0]) / 2
        a, r = layer.fixed.value @ middle + layer.fixed_bias, layer.fixed.magnitude @ radius
        ends = [climb(layer.steps, np.rint(v).astype(np.int64)).astype(np.float64) for v in (a - r, a + r)]
    step = 2.0 ** (2 - bits)
    low_code, high_code = (np.floor(e[output] * float(both.unit[output]) / step + 0.5) for e in ends)
    region = known[-1].region
    return float((high_code - low_code) * step + region.real_high[0, output] - region.real_low[0, output])


def measure(networks: tuple[qs.Network, qs.real.Network], image: Any, bits: int, seconds: float) -> Record:
    """Return the bounds of one image, what its tasks are decided to be, and after how many seconds of this process."""
    low, high = np.maximum(image - RADIUS, 0), np.minimum(image + RADIUS, 255)
    output = int(networks[0].evaluate(image).argmax())
    began, since = process_time(), perf_counter()
    verdicts: dict[str, tuple[str, float]] = {}
    record, found = Record(output=output), None
    for found in narrowing_error(*networks, lower=low, upper=high, outputs=[output]):
        spent = process_time() - began
        record.setdefault("bounds", [float(found.bounds.lower[0]), float(found.bounds.upper[0]), spent])
        for e in ERRORS:
            verdict = "False" if found.lower >= e else "True" if found.upper < e else ""
            if verdict and str(e) not in verdicts:
                verdicts[str(e)] = verdict, spent
        if len(verdicts) == len(ERRORS) or spent > seconds:
            break
    assert found is not None
    refuted = any(v == "False" for v, _ in verdicts.values())
    assert not refuted or abs(exact_errors(*networks, found.codes)[output]) == found.lower
    record |= {"verdicts": verdicts, "interval": [float(found.lower), float(found.upper)], "parts": found.parts}
    record |= {"seconds": process_time() - began, "wall": perf_counter() - since}
    return record | {"naive": naive(networks, low, high, output, bits)}


def run(options: argparse.Namespace, ids: list[int]) -> list[Record]:
    """Return a record for each network, number of bits and image; what the store has is not measured again."""
    store = Path(options.store)
    lines = store.read_text().splitlines() if store.exists() else []
    records: dict[tuple[str, int, int], Record] = {(r["network"], r["bits"], r["image"]): r for r in map(json.loads, lines)}
    images = read_idx(find(Path(options.data) / "mnist", "t10k-images*")).reshape(-1, 784).astype(np.int64)
    for name in options.networks.split(","):
        for bits in (int(b) for b in options.bits.split(",")):
            missing = [i for i in ids if is_open(records.get((name, bits, i)), options.seconds)]
            networks = build(find(Path(options.data) / "qebverif", f"PTQ_mnist_{name}_in*.h5"), bits) if missing else None
            for i in missing:
                assert networks is not None
                record = {"network": name, "bits": bits, "image": i, **measure(networks, images[i], bits, options.seconds)}
                records[name, bits, i] = record
                with store.open("a") as file:
                    file.write(json.dumps(record) + "\n")
    return sorted(records.values(), key=lambda r: (r["network"], r["bits"]))


def is_open(record: Record | None, seconds: float) -> bool:
    """Return whether an image is to be measured: it was not, or in less time than there is now, and left tasks open."""
    return record is None or (len(record["verdicts"]) < len(ERRORS) and record["seconds"] < seconds)


def read_published(folder: Path) -> tuple[dict[Any, float], dict[Any, str], dict[Any, float]]:
    """Return the published widths by (network, bits, method, image); verdicts and seconds by (network, bits, e, method, image)."""
    widths: dict[Any, float] = {}
    verdicts: dict[Any, str] = {}
    times: dict[Any, float] = {}
    network = bits = ""
    ids: list[int] = []
    for row in csv.reader((folder / "results_RQ_1.csv").open()):
        if len(row) > 1 and ": " in row[1]:
            network = row[1].split(": ")[1]
        if len(row) > 1 and row[1] == "Sample ID":
            ids = [int(v) for v in row if v.strip().isdigit()]
        bits = row[0][2:] if row[0].startswith("Q=") else bits
        if len(row) > 3 and row[1] in WIDTHS:
            widths |= {(network, int(bits), row[1], i): float(row[3 + 3 * k]) for k, i in enumerate(ids)}
    e = 0
    for row in csv.reader((folder / "results_RQ_2.csv").open()):
        if len(row) > 2 and ": " in row[1]:
            network, bits = row[1].split(": ")[1], row[2].split(": ")[1]
        elif len(row) > 2 and row[1] == "Sample ID":
            ids = [int(v) for v in row if v.strip().isdigit()]
        elif len(row) > 2 and row[1] in METHODS:
            e = int(row[0][6:]) if row[0].startswith("Error=") else e
            said = {"Proved": "True", "True": "True", "False": "False"}
            for k, i in enumerate(ids):
                verdict, seconds = (v.strip() for v in row[3 + 3 * k : 5 + 3 * k])
                verdicts[network, int(bits), e, row[1], i] = said.get(verdict, "")
                times[network, int(bits), e, row[1], i] = float(seconds) if seconds[:1].isdigit() else math.inf
    return widths, verdicts, times


def grouped(records: list[Record]) -> dict[tuple[str, int], list[Record]]:
    """Return the records by network and number of bits."""
    found: dict[tuple[str, int], list[Record]] = defaultdict(list)
    for r in records:
        found[r["network"], r["bits"]].append(r)
    return found


def width_rows(records: list[Record], widths: dict[Any, float]) -> list[list[object]]:
    """Return mean widths and seconds against those published."""
    rows: list[list[object]] = []
    for (name, bits), group in grouped(records).items():
        theirs = [float(np.mean([widths[NETWORKS[name], bits, m, r["image"]] for r in group])) for m in WIDTHS]
        ours = [float(np.mean([r["bounds"][1] - r["bounds"][0] for r in group])), float(np.mean([r["bounds"][2] for r in group]))]
        wide = sum(r["bounds"][1] - r["bounds"][0] > r["naive"] for r in group)
        rows.append([NETWORKS[name], bits, len(group), theirs[0], float(np.mean([r["naive"] for r in group])), *theirs[1:], *ours, wide])
    return rows


def task_rows(records: list[Record], published: dict[Any, str], times: dict[Any, float]) -> list[list[object]]:
    """Return how many tasks are decided against those published, proved + refuted; of the last method also within `WITHIN` seconds."""
    rows: list[list[object]] = []
    for (name, bits), group in grouped(records).items():
        for e in ERRORS:
            ours = [r["verdicts"].get(str(e), ["", 0.0]) for r in group]
            cells: list[object] = [NETWORKS[name], bits, e, *(sum(v == w for v, _ in ours) for w in ("True", "False"))]
            cells.append(sum(v != "" for v, _ in ours))
            for method in METHODS:
                theirs = [published.get((NETWORKS[name], bits, e, method, r["image"])) for r in group]
                cells.append("-" if None in theirs else sum(bool(v) for v in theirs))
            tasks = [(NETWORKS[name], bits, e, METHODS[-1], r["image"]) for r in group]
            quick = sum(bool(published[t]) and times[t] <= WITHIN for t in tasks if t in published)
            cells.append(quick if all(t in published for t in tasks) else "-")
            rows.append([*cells, float(np.max([s for v, s in ours if v], initial=0.0)), float(np.max([r["seconds"] for r in group]))])
    return rows


def total_rows(tasks: list[list[object]]) -> list[list[object]]:
    """Return the tasks of all errors together, for what was published."""
    found: dict[tuple[object, object], list[int]] = {}
    for name, bits, _, _, _, ours, *theirs in (r[:10] for r in tasks if "-" not in r[6:10]):
        sums = found.setdefault((name, bits), [0] * 5)
        found[name, bits] = [a + int(str(b)) for a, b in zip(sums, (ours, *theirs), strict=True)]
    rows: list[list[object]] = [[*key, *sums] for key, sums in found.items()]
    return [*rows, ["all", "", *(sum(s[k] for s in found.values()) for k in range(5))]]


def contradictions(records: list[Record], published: dict[Any, str]) -> list[list[object]]:
    """Return the tasks that ours and theirs decide differently."""
    rows: list[list[object]] = []
    for r in records:
        for e, (verdict, _) in r["verdicts"].items():
            for method in METHODS:
                theirs = published.get((NETWORKS[r["network"]], r["bits"], int(e), method, r["image"]), "")
                if theirs and theirs != verdict:
                    rows.append([NETWORKS[r["network"]], r["bits"], r["image"], int(e), method, theirs, verdict, str(r["interval"])])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder with qebverif/ and mnist/")
    parser.add_argument("--networks", default=",".join(NETWORKS), help="parts of file names, separated by commas")
    parser.add_argument("--bits", default="4,6,8,10")
    parser.add_argument("--samples", type=int, default=30, help="so many of the images")
    parser.add_argument("--seconds", type=float, default=60.0, help="processor seconds for one image, all tasks together")
    parser.add_argument("--store", default="qebverif.jsonl", help="what was measured, one line an image; goes on where it was")
    parser.add_argument("--markdown", type=Path, help="write the tables here, too")
    options = parser.parse_args()
    folder = Path(options.data) / "qebverif"
    ids = json.loads((folder / "samples.json").read_text())["mnist_test_ids"][: options.samples]
    records = run(options, ids)
    widths, published, times = read_published(folder)
    columns = ["network", "bits", "images", "naive, published", "naive, ours", "Con", "Sym", "ours", "ours, s", "wider than naive"]
    report = header("QEBVerif's networks", "qspec", "numpy") + NOTES + "\n## Mean width of the interval of the error\n\n"
    report += table(columns, width_rows(records, widths)) + "\n\n## Tasks decided\n\n"
    tasks = task_rows(records, published, times)
    columns = [
        "network",
        "bits",
        "e",
        "proved",
        "refuted",
        "decided",
        *METHODS,
        f"the last in {WITHIN} s",
        "slowest decided, s",
        "longest, s",
    ]
    report += table(columns, tasks) + "\n\n## All errors together\n\n"
    columns = ["network", "bits", "decided", *METHODS, f"the last in {WITHIN} s"]
    report += table(columns, total_rows(tasks)) + "\n\n## Tasks decided otherwise than published\n\n"
    columns = ["network", "bits", "image", "e", "method", "published", "ours", "largest error in"]
    rows = contradictions(records, published)
    report += (table(columns, rows) if rows else "None.") + "\n"
    print(report)
    if options.markdown is not None:
        options.markdown.write_text(report)


if __name__ == "__main__":
    main()
