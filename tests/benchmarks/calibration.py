"""How many decisions of a real network its quantised versions keep: one scale for each tensor, or one for each channel and input column.

The networks are published ones over tables (adult, bank, COMPAS, student performance). Their inputs are not scaled: `duration` goes to
5000 and `pdays` to 999 beside columns of 0 and 1. A decision is whether the one output is positive.

- Calibration rows are whole numbers drawn uniformly from the range of each column; the networks come without the rows that they were
  trained on. With `--ranges header` these are the ranges in the .nnet file, whose columns may have another order than Fairify's.
- Agreement is counted on other rows, drawn in the same way: a row for each line of the table and each width.
- tensor: `calibrate(rows, per="tensor")`, one binary point for all weights of a layer, one for its biases and one for what it puts out, the
  output among them; all have so many bits.
- channel: `calibrate(rows)`, binary points by output channel and input column, biases of 32 bits, the last sum not rounded.
- affine: the same with scales that are no powers of two (`scales="affine"`).
- rounded end: per channel, with the last sum rounded as per tensor: what scales and biases bring without it.
- compensated: as channel, with weights rounded one after another, each making up for what those before it lost (`weights="compensated"`).

Run `python tests/benchmarks/calibration.py --help`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from _pairs import Values, evaluator, random_rows
from _report import header, table
from fairness_nets import FOLDERS, NETWORKS, load

import qspec as qs

COLUMNS = ("tensor", "channel", "affine", "rounded end", "compensated")


def shares(real: qs.real.Network, rows: Values, other: Values, fmt: qs.Fixed | qs.Affine | qs.PerChannel, bits: int) -> list[float]:
    """Return the share of decisions on `other` rows that each way of calibrating on `rows` keeps."""
    tensor = real.calibrate(rows, input=fmt, per="tensor").quantized(bits)
    made = [real.calibrate(rows, input=fmt, scales=scales).quantized(bits) for scales in ("fixed", "affine")]
    made.append(real.calibrate(rows, input=fmt, weights="compensated").quantized(bits))
    decided = evaluator(real)(other) > 0
    outputs = [evaluator(network)(other) for network in (tensor, *made)]
    unit = float(tensor.output_types[0].grid.units[0])
    coarse = np.floor(outputs[1] / unit + 0.5) * unit
    return [float(np.mean((found > 0) == decided)) for found in (*outputs[:3], coarse, outputs[3])]


def drawn(name: str, options: argparse.Namespace, seed: int) -> tuple[Values, qs.Fixed | qs.Affine | qs.PerChannel]:
    """Return random rows for a network, and a format that holds them."""
    folder, schema = FOLDERS[name.split("-")[0]]
    if options.ranges == "table":
        return random_rows(schema(options.data), options.rows, seed), schema(options.data).format()
    path = options.data / "fairness_nets" / folder / f"{name}.nnet"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("//")]
    low, high = (np.array([int(float(v)) for v in line.strip(",").split(",")]) for line in lines[3:5])
    columns = int(lines[0].split(",")[1])
    rows = np.random.default_rng(seed).integers(low[:columns], high[:columns] + 1, (options.rows, columns))
    return rows.astype(np.float64), qs.Fixed(1 + int(max(high.max(), -low.min())).bit_length(), 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with fairness_nets/ and tabular/")
    parser.add_argument("--networks", default=NETWORKS)
    parser.add_argument("--bits", default="8,6")
    parser.add_argument("--rows", type=int, default=20_000, help="so many to calibrate on, and so many to count on")
    parser.add_argument("--ranges", choices=("table", "header"), default="table", help="whose ranges rows are drawn from")
    parser.add_argument("--markdown", type=Path, help="write the table here, too")
    options = parser.parse_args()
    lines: list[list[object]] = []
    least: dict[int, list[list[float]]] = {}
    for name in options.networks.split(","):
        real, _ = load(name, options.data)
        (rows, fmt), (other, _) = (drawn(name, options, seed) for seed in (0, 1))
        for bits in map(int, options.bits.split(",")):
            found = shares(real, rows, other, fmt, bits)
            least.setdefault(bits, []).append(found)
            lines.append([name, "-".join(str(s.size) for s in real.stages), bits, *(f"{100 * share:.1f} %" for share in found)])
            print(*lines[-1], file=sys.stderr, flush=True)
    for bits, found in least.items():
        lines.append(["fewest", "", bits, *(f"{100 * min(column):.1f} %" for column in zip(*found, strict=True))])
    columns = table(["network", "layers", "bits", *COLUMNS], lines)
    text = header("Calibration: decisions kept", "qspec", "numpy") + f"\n{__doc__}\n{columns}\n"
    print(text)
    if options.markdown is not None:
        options.markdown.write_text(text)


if __name__ == "__main__":
    main()
