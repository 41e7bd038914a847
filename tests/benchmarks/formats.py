"""The fewest bits for each layer that keep robustness, on MNIST: a greedy descent in which every step is proved (`qs.fewest_bits`).

A real network (784-32-10, ReLU; trained by `models/train/real.py` with attacks of radius 2, kept in `--network`) is quantised after
training. Wanted are the fewest bits of weights, biases and signals, by layer, with which every chosen image is robust within the radius.
Chosen are the first test images at which the network of the greatest width is proved robust; every choice is asked about all of them.

Run `python tests/benchmarks/formats.py --help`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

import qspec as qs

sys.path.insert(0, str(Path(__file__).parent))
from _data import find, read_idx
from _report import header, table
from failure_modes import CALIBRATION, PIXEL, network

IMAGE, LABEL = qs.parameter("image", 784), qs.parameter("label")


def chosen(net: qs.Network, images: Any, labels: Any, options: argparse.Namespace) -> list[dict[str, object]]:
    """Return the first images that a network is proved robust at."""
    spec = qs.properties.local_robustness(net, IMAGE, options.radius, LABEL)
    found: list[dict[str, object]] = []
    for image, label in zip(images, labels, strict=True):
        point: dict[str, object] = {"image": image, "label": int(label)}
        if qs.verify(spec.at(image=image, label=int(label)), timeout=options.timeout).verdict is qs.Verdict.HOLDS:
            found.append(point)
        if len(found) == options.samples:
            break
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the idx files of MNIST")
    parser.add_argument("--network", type=Path, required=True, help="the real network (.qspec); trained into this file if it is not there")
    parser.add_argument("--hidden", default="32", help="widths of hidden layers, if it is trained")
    parser.add_argument("--epsilon", type=int, default=2, help="radius of the attacks in training, if it is trained")
    parser.add_argument("--samples", type=int, default=15)
    parser.add_argument("--radius", type=int, default=2, help="in pixel steps of 255")
    parser.add_argument("--bits", default="3-10", help="the fewest and the most")
    parser.add_argument("--timeout", type=float, default=5.0, help="wall-clock seconds for each query")
    parser.add_argument("--figure", type=Path, default=Path("formats.svg"), help="where to draw (.svg or .png)")
    parser.add_argument("--markdown", type=Path, help="write the page here, too")
    options = parser.parse_args()
    least, most = (int(b) for b in options.bits.split("-"))
    images, labels = (read_idx(find(options.data, f"t10k-{kind}*")).astype(np.int64) for kind in ("images", "labels"))
    images = images.reshape(-1, 784)
    train = read_idx(find(options.data, "train-images*")).reshape(-1, 784)[:CALIBRATION]
    make = network(options).calibrate(train / 256, input=PIXEL, per="tensor")
    found = qs.fewest_bits(
        make,
        lambda net: qs.properties.local_robustness(net, IMAGE, options.radius, LABEL),
        layers=make.layers,
        bits=range(least, most + 1),
        samples=chosen(make.quantized(most), images, labels, options),
        every=True,
        labelled=(images, labels),
        timeout=options.timeout,
    )
    qs.plot(found, options.figure)
    rows: list[list[object]] = [
        [
            " ".join(map(str, c.bits.values())),
            f"{c.stored / 8192:.1f}",
            c.verdict.name,
            "" if c.certified is None else f"{100 * c.certified:.0f}",
            "" if c.accuracy is None else f"{100 * c.accuracy:.2f}",
            f"{sum(r.times.total for r in c.results):.1f}",
        ]
        for c in found.table
    ]
    best = "none is proved" if found.fewest is None else f"fewest bits proved: {' '.join(map(str, found.fewest.values()))}"
    parts = [
        header("The fewest bits for each layer", "qspec", "jax", "numpy").strip(),
        (__doc__ or "").strip(),
        f"{options.samples} images, radius {options.radius} of 255, {options.timeout:g} s a query.",
        f"![certified robustness and accuracy against size]({options.figure.name})",
        table([f"bits of {', '.join(make.layers)}", "KiB", "verdict", "certified %", "accuracy %", "seconds"], rows),
        f"{best}; {'a counterexample refutes' if found.certain else 'nobody could refute'} every choice with one bit less in one layer.",
    ]
    text = "\n\n".join(parts) + "\n"
    print(text)
    if options.markdown is not None:
        options.markdown.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
