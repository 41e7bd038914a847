"""What a verifier of real networks says of queries that are violated for the quantised network: AAAI 2021, MNIST, radius 2 to 4.

The native engine decides each query about the quantised network, and replays a counterexample on integers. Those that are violated are put
to the same network without rounding: the same weights, inputs anywhere between the pixels, ReLU with the end that its format has. A
VNN-LIB executable answers, through the route `vnnlib` (QSPEC_VNNLIB_COMMAND). `unsat` is its word for "proved robust", which the
counterexample beside it refutes. The nearest codes of a point that it finds are tried on the quantised network.
Run `python tests/benchmarks/float_verdicts.py --help`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

import qspec as qs
from qspec.face import RealNetwork
from qspec.network.real_layers import RealDense

sys.path.insert(0, str(Path(__file__).parent))
from _data import find
from _report import header, table
from aaai21 import Sample, build_network, load_samples, robustness

from qspec_solvers.vnnlib import COMMAND_VARIABLE


def real_network(network: qs.Network) -> RealNetwork:
    """Return the network without rounding; ReLU ends at the largest value of its format, as saturation has it."""
    first, second = (s.layer for s in network.real().stages[1:])
    assert isinstance(first, RealDense)
    return qs.real.Sequential(
        qs.real.Input((784,)), qs.real.Dense(first.kernel, first.bias, qs.ReLU(Fraction(63, 16))), second, name="real"
    )


def near(network: RealNetwork, sample: Sample) -> qs.Property:
    """Return robustness of the real network in the box around the sample's pixels, in units of 1/256."""
    low, high = np.clip(sample.image - sample.radius, 0, 255), np.clip(sample.image + sample.radius, 0, 255)
    scale = np.array([Fraction(1, 256)] * 784)
    x = network.input("x", lower=low * scale, upper=high * scale)
    return qs.forall(x, then=qs.argmax(network(x)) == sample.label, name="near")


def classes(net: qs.Network, real: RealNetwork, codes: Any) -> tuple[int, int]:
    """Return the class of the quantised and of the real network at a counterexample."""
    values = np.array([Fraction(int(v), 256) for v in codes])
    return int(np.argmax(net.evaluate(codes))), int(np.argmax([float(v) for v in real.evaluate(values)]))


def transfers(net: qs.Network, sample: Sample, result: qs.Result) -> str:
    """Return whether the pixels nearest to a point of the real network are a counterexample of the quantised one."""
    if result.point is None:
        return "-"
    nearest = np.array([round(Fraction(v) * 256) for v in result.point["x"].tolist()])
    return "yes" if int(np.argmax(net.evaluate(nearest))) != sample.label else "no"


def asked(net: qs.Network, real: RealNetwork, sample: Sample, found: qs.Result, timeout: float) -> list[object]:
    """Return the row of one query that is violated."""
    assert found.codes is not None
    quantized, unrounded = classes(net, real, found.codes["x"])
    moved = int(np.count_nonzero(found.codes["x"] != sample.image))
    result = qs.verify(near(real, sample), solver="vnnlib", timeout=timeout)
    (said,) = result.answers
    told = str(said.statistics.get("answer", said.reason.name if said.reason else said.status))
    cpu = float(said.statistics.get("cpu_seconds", 0.0)) if told in ("sat", "unsat") else "-"
    query, verdict = f"{sample.index}@{sample.radius}", result.verdict.name
    return [query, sample.label, quantized, unrounded, moved, told, verdict, transfers(net, sample, result), cpu]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder with aaai21_qnn/ and mnist/")
    parser.add_argument("--timeout", type=float, default=60.0, help="wall-clock seconds for the verifier, a query")
    parser.add_argument("--radius", default="2,3,4", help="radii")
    parser.add_argument("--ids", help="only these samples")
    parser.add_argument("--counterexamples", type=Path, help="write the refuting images here, a JSON line each")
    options = parser.parse_args()
    vars(options).update(dataset="mnist", weights=None, images=None, labels=None)
    return options


def main() -> None:
    options = arguments()
    tables = json.loads(find(Path(options.data) / "aaai21_qnn", "expected_results.json").read_text())["tables"]
    net = build_network(find(Path(options.data) / "aaai21_qnn", "mnist_mlp.npz"))
    samples, _ = load_samples(options, [t for t in tables if t["dataset"] == "mnist"], net)
    spec, real = robustness(net), real_network(net)
    rows: list[Sequence[object]] = []
    for sample in samples:
        found = qs.verify(spec.at(image=sample.image, label=sample.label, radius=sample.radius), timeout=60)
        if found.verdict is qs.Verdict.VIOLATED and found.codes is not None:
            rows.append(asked(net, real, sample, found, options.timeout))
            print(rows[-1], file=sys.stderr, flush=True)
            if options.counterexamples is not None:
                with options.counterexamples.open("a") as file:
                    file.write(json.dumps({"id": sample.index, "label": sample.label, "codes": found.codes["x"].tolist()}) + "\n")
    columns = ["query", "label", "class on integers", "without rounding", "pixels moved", "verifier", "verdict", "point transfers", "CPU s"]
    words = Counter(str(row[5]) for row in rows)
    unsat, sat = words["unsat"], words["sat"]
    print(header("Float verdicts about quantised networks", "qspec", "numpy", "onnx"))
    print(f"- verifier: `{Path(os.environ[COMMAND_VARIABLE].split()[0]).name}`, {options.timeout:g} s of wall-clock time a query\n")
    print(table(columns, rows))
    print(f"\nOf {len(rows)} violated queries: proved robust {unsat}, point found {sat}, open {len(rows) - unsat - sat}.")


if __name__ == "__main__":
    main()
