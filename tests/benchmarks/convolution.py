"""Robustness of convolutional networks: the shipped ones of digits and of MNIST, by `bounds`.

The first test images that a network classifies right, each within 1, 2, 3 and 4 codes (MNIST: of 255; digits: of 16); the smallest
index wins ties. Digits come with the models; without `--data` MNIST is left out. Run `python tests/benchmarks/convolution.py --help`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from rich.progress import track

import qspec as qs
import qspec_models
from qspec.arithmetic.integers import IntArray, integers

sys.path.insert(0, str(Path(__file__).parent))
from _data import find, read_idx
from _report import header, table

DIGITS = tuple(f"digits-conv-{bits}bit" for bits in (4, 6, 8))
MNIST = "mnist-conv-8bit"
COLUMNS = ("network", "accuracy %", "radius", "asked", "HOLDS", "VIOLATED", "UNKNOWN", "certified", "sum s", "median s", "max s")


def samples(name: str, data: Path | None) -> tuple[IntArray, IntArray]:
    """Return the test images and labels of a model: those shipped, or MNIST's from idx files."""
    if name != MNIST:
        return qspec_models.samples(name)
    folder = (data or Path()) / "mnist"
    images, labels = read_idx(find(folder, "t10k-images*")), read_idx(find(folder, "t10k-labels*"))
    return integers(images[..., None]), integers(labels)


def robustness(name: str, network: qs.Network) -> qs.Property:
    """Return local robustness within the codes that mean anything, with image, label and radius as parameters."""
    card = qspec_models.card(name)
    image, label, radius = qs.parameter("image", network.inputs[0].type.shape), qs.parameter("label"), qs.parameter("radius")
    x = network.input("x", lower=card.lowest, upper=card.highest)
    return qs.forall(x, given=qs.linf(x.code - image) <= radius, then=qs.argmax(network(x)) == label, name="local_robustness")


def rows(name: str, options: argparse.Namespace) -> list[list[object]]:
    """Return one row for each radius."""
    network = qs.load(qspec_models.card(name).path)
    images, labels = samples(name, options.data)
    right = np.flatnonzero(network.evaluate(images).argmax(axis=1) == labels)
    accuracy = 100 * len(right) / len(labels)
    spec = robustness(name, network)
    found: list[list[object]] = []
    for radius in (int(r) for r in options.radius.split(",")):
        verdicts: list[str] = []
        seconds: list[float] = []
        certified = 0
        for k in track(right[: options.samples], f"{name} r={radius}", disable=not sys.stderr.isatty()):
            result = qs.verify(spec.at(image=images[k], label=int(labels[k]), radius=radius), timeout=options.timeout)
            verdicts.append(result.verdict.name)
            seconds.append(result.times.total)
            certified += result.certificate is not None
            print(name, radius, int(k), verdicts[-1], f"{seconds[-1]:.2f}", result.reason or "", file=sys.stderr, flush=True)
        counts = [verdicts.count(v) for v in ("HOLDS", "VIOLATED", "UNKNOWN")]
        spent = [float(f(seconds)) for f in (np.sum, np.median, np.max)]
        found.append([name, f"{accuracy:.2f}", radius, len(verdicts), *counts, certified, *spent])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with mnist/ (idx files)")
    parser.add_argument("--radius", default="1,2,3,4", help="radii in codes")
    parser.add_argument("--samples", type=int, default=50, help="so many of the first images that are classified right")
    parser.add_argument("--timeout", type=float, default=20.0, help="wall-clock seconds for each query")
    parser.add_argument("--markdown", type=Path, help="write the table here, too")
    options = parser.parse_args()
    names = (*DIGITS, MNIST) if options.data is not None else DIGITS
    found = [row for name in names for row in rows(name, options)]
    described = "\n".join(f"- {n}: {card.title}; {card.training}" for n in names for card in [qspec_models.card(n)])
    report = f"{header('Convolutional networks', 'qspec', 'jax', 'numpy')}- limit: {options.timeout:g} s a query\n{described}\n"
    report += f"\n{table(COLUMNS, found)}\n"
    print(report)
    if options.markdown is not None:
        options.markdown.write_text(report)


if __name__ == "__main__":
    main()
