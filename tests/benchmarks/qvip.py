"""Robustness of QVIP's networks (Zhang et al., ASE 2022): MNIST, 4 to 10 bits, one or two hidden layers, radii up to 30.

Input 8 bits; weights Q bits, Q-1 of them fractional; biases, hidden codes (unsigned) and outputs Q bits, Q-2 fractional; parameters are
rounded half away from zero, signals half up; the smallest index wins ties. Run `python tests/benchmarks/qvip.py --help`.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from rich.progress import track

import qspec as qs
from qspec.certificate.claim import check_property

sys.path.insert(0, str(Path(__file__).parent))
from _data import find, read_dense, read_idx
from _report import header, table

PUBLISHED = {
    ("1blk_100", 6): {4: 87, 6: 61, 10: 26},
    ("2blk_64_32", 4): {4: 22, 6: 13, 10: 16},
}
"""Queries that QVIP decided, of 100 and of 50, with a commercial solver on 28 threads and 2 h a query (its Table 3)."""


def build_network(path: Path, bits: int) -> qs.Network:
    """Return a network of the benchmark."""
    weight = qs.Fixed(bits, bits - 1, rounding=qs.Rounding.RND_INF)
    bias = qs.Fixed(bits, bits - 2, rounding=qs.Rounding.RND_INF)
    *hidden, last = [(qs.quantize(k, weight), qs.quantize(b, bias)) for k, b in read_dense(path)]
    code = qs.Fixed(bits, bits - 2, signed=False)
    layers: list[Any] = [qs.Dense(k, b, qs.ReLU(), code) for k, b in hidden]
    return qs.Sequential(
        qs.Input((hidden[0][0].shape[0],), qs.Fixed(8, 8, signed=False)),
        *layers,
        qs.Dense(*last, output=qs.Fixed(bits, bits - 2)),
        name=path.stem,
    )


def ask(network: qs.Network, image: Any, label: int, radius: int, options: argparse.Namespace) -> tuple[str, float, float]:
    """Return verdict, seconds, and seconds that checking the certificate took."""
    spec = qs.properties.local_robustness(network, image, radius, label)
    result = qs.verify(spec, solver=options.solver, timeout=options.timeout)
    since = perf_counter()
    if result.certificate is not None:
        check_property(result.certificate, spec)
    return result.verdict.name, result.times.total, perf_counter() - since


def rows(options: argparse.Namespace) -> list[list[object]]:
    """Return one row for each network and radius."""
    folder = Path(options.data)
    images = read_idx(find(folder / "mnist", "t10k-images*")).reshape(-1, 784).astype(np.int64)
    labels = read_idx(find(folder / "mnist", "t10k-labels*")).astype(np.int64)
    found: list[list[object]] = []
    for name in options.networks.split(","):
        path = find(folder / "qvip", f"*{name}*.h5")
        match = re.search(r"(\dblk_.*)_in_8_qu_(\d+)", path.stem)
        assert match is not None
        network = build_network(path, int(match[2]))
        right = network.evaluate(images).argmax(axis=1) == labels
        for radius in (int(r) for r in options.radius.split(",")):
            ids = [i for i in range(options.samples) if right[i]]
            answers = [
                ask(network, images[i], int(labels[i]), radius, options)
                for i in track(ids, f"{name} r={radius}", disable=not sys.stderr.isatty())
            ]
            seconds = [s for _, s, _ in answers]
            counts = [sum(v == w for v, _, _ in answers) for w in ("HOLDS", "VIOLATED", "UNKNOWN")]
            published = PUBLISHED.get((match[1], int(match[2])), {}).get(radius, "")
            checking = sum(c for _, _, c in answers)
            row = [match[1], int(match[2]), f"{100 * float(np.mean(right)):.2f}", radius, len(ids), *counts, published]
            found.append([*row, float(np.sum(seconds)), float(np.median(seconds)), float(np.max(seconds)), checking])
            print(found[-1], file=sys.stderr, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder with qvip/ and mnist/")
    parser.add_argument("--networks", default="1blk_100_in_8_qu_6,2blk_64_32_in_8_qu_4", help="parts of file names, separated by commas")
    parser.add_argument("--radius", default="4,6,10", help="radii in pixel steps")
    parser.add_argument("--samples", type=int, default=24, help="so many of the first test images")
    parser.add_argument("--solver", default="bounds")
    parser.add_argument("--timeout", type=float, default=60.0, help="wall-clock seconds for each query")
    parser.add_argument("--markdown", type=Path, help="write the table here, too")
    options = parser.parse_args()
    columns = ["network", "bits", "accuracy %", "radius", "asked", "HOLDS", "VIOLATED", "UNKNOWN", "QVIP decided (of 100 or 50)"]
    columns += ["sum s", "median s", "max s", "checking s"]
    report = header("QVIP's networks", "qspec", "jax", "numpy") + f"\n{table(columns, rows(options))}\n"
    print(report)
    if options.markdown is not None:
        options.markdown.write_text(report)


if __name__ == "__main__":
    main()
