"""Robustness against bits on MNIST, and where a search or the real network misleads: the experiment of Giacobbe et al. 2020.

A real network (784-32-10, ReLU; `models/train/real.py`, kept in `--network`) is quantised after training to 6 to 10 bits: weights,
biases and signals, binary points by magnitude (`RealNetwork.calibrate`). Asked is local robustness of the first test images that the real
network classifies right: of each quantised network by the native engine (exact) and by a search alone, and of the real network over all
reals within the same radius. Counted are, for each method and width, against the exact verdicts:
- `true robust`, `false robust`: the method says robust (a search: it found nothing), and that is true, or false;
- `true vulnerable`, `false vulnerable`: it says vulnerable;
- `undecided`: the truth is not known in time, or the method says nothing;
- `lost`: counterexamples of the real network that, rounded to codes, are none of the quantised one.

`--store` keeps every result, resumes, and is what `qspec report` reads. Run `python tests/benchmarks/failure_modes.py --help`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import qspec as qs

sys.path.insert(0, str(Path(__file__).parent))
from _data import find, read_idx
from _report import header, table

ROOT = Path(__file__).parents[2]
PIXEL = qs.Fixed(8, 8, signed=False)
LSB = Fraction(1, 256)
CALIBRATION = 1000
"""Training images by which binary points are chosen."""
COUNTED = ("true_robust", "false_robust", "true_vulnerable", "false_vulnerable", "undecided")


def network(options: argparse.Namespace) -> qs.real.Network:
    """Return the real network, trained if it is not there."""
    if not options.network.exists():
        if find_spec("optax") is None:
            sys.exit(f"there is no {options.network}, and training needs more packages: pip install 'qspec-verify[train]'")
        script = ROOT / "models" / "train" / "real.py"
        command = [sys.executable, str(script), "--data", str(options.data), "--out", str(options.network), "--hidden", options.hidden]
        command += ["--epsilon", str(options.epsilon)]
        subprocess.run(command, check=True)
    return qs.load(options.network)


def robust(real: qs.real.Network, radius: int) -> qs.Property:
    """Return local robustness of the real network, about images and labels that are given as for the quantised one."""
    x = real.input("x", lower=0, upper=PIXEL.upper * LSB)
    image, label = qs.parameter("image", 784), qs.parameter("label")
    return qs.forall(x, given=qs.linf(x - image * LSB) <= radius * LSB, then=qs.argmax(real(x)) == label, name="real")


def asked(real: qs.real.Network, options: argparse.Namespace) -> qs.Sweep:
    """Ask everything."""
    images, labels = (read_idx(find(options.data, f"t10k-{kind}*")).astype(np.int64) for kind in ("images", "labels"))
    images = images.reshape(-1, 784)
    train = read_idx(find(options.data, "train-images*")).reshape(-1, 784)[:CALIBRATION]
    calibrated = real.calibrate(train / 256, input=PIXEL, per="tensor")
    right = np.flatnonzero(real.evaluate(images / 256).argmax(axis=1) == labels)[: options.samples]
    image, label = qs.parameter("image", 784), qs.parameter("label")
    return qs.sweep(
        calibrated,
        lambda net: qs.properties.local_robustness(net, image, options.radius, label),
        bits=[int(b) for b in options.bits.split(",")],
        samples=qs.together(image=images[right], label=labels[right]),
        solvers=options.solvers.split(","),
        real=robust(real, options.radius),
        labelled=(images, labels),
        workers=options.workers,
        timeout=options.timeout,
        store=options.store,
        progress=sys.stderr.isatty(),
    )


def shares(found: qs.Sweep) -> str:
    """Return a row for each method and width: verdicts, accuracy, time."""
    rows: list[list[object]] = []
    for s in found.shares:
        accuracy = "" if s.accuracy is None else f"{100 * s.accuracy:.2f}"
        counts = [len(s.of(v)) for v in qs.Verdict]
        seconds = [r.seconds for r in s.records]
        rows.append([s.method, "real" if s.bits is None else s.bits, accuracy, *counts, float(np.median(seconds)), max(seconds)])
    return table(["method", "bits", "accuracy %", *(v.name for v in qs.Verdict), "median s", "max s"], rows)


def modes(found: qs.Sweep) -> str:
    """Return a row for each method and width: how often it is right."""
    rows: list[list[object]] = []
    for j in found.judged:
        lost = f"{len(j.lost)} of {len(j.lost + j.kept)}" if j.lost or j.kept else ""
        rows.append([j.method, j.bits, *(len(getattr(j, c)) for c in COUNTED), lost])
    return table(["method", "bits", *(c.replace("_", " ") for c in COUNTED), "lost"], rows)


def changes(found: qs.Sweep) -> str:
    """Return a row for each step to more bits: what was lost, what was gained."""
    rows: list[list[object]] = []
    for s in found.steps:
        accuracy = "" if s.accuracy is None else f"{100 * s.accuracy:+.2f}"
        rows.append([f"{s.before} to {s.after}", len(s.gained), len(s.lost), accuracy, "yes" if s.monotone else "no"])
    return table(["bits", "vulnerable, then robust", "robust, then vulnerable", "accuracy, points", "monotone"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the idx files of MNIST")
    parser.add_argument("--network", type=Path, required=True, help="the real network (.qspec); trained into this file if it is not there")
    parser.add_argument("--hidden", default="32", help="widths of hidden layers, if it is trained")
    parser.add_argument("--epsilon", type=int, default=0, help="radius of the attacks in training, if it is trained")
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--radius", type=int, default=6, help="in pixel steps of 255")
    parser.add_argument("--bits", default="6,7,8,9,10")
    parser.add_argument("--solvers", default="bounds,falsify", help="who is asked about the quantised networks; falsify only searches")
    parser.add_argument("--timeout", type=float, default=10.0, help="wall-clock seconds for each query")
    parser.add_argument("--workers", type=int, help="processes (default: one for each core)")
    parser.add_argument("--store", type=Path, help="keep every result here, and do not ask again what it settles")
    parser.add_argument("--figure", type=Path, default=Path("failure_modes.svg"), help="where to draw (.svg or .png)")
    parser.add_argument("--markdown", type=Path, help="write the page here, too")
    options = parser.parse_args()
    found = asked(network(options), options)
    qs.plot(found, options.figure)
    parts = [
        header("Robustness against bits, and failure modes", "qspec", "jax", "numpy").strip(),
        (__doc__ or "").strip(),
        f"{options.samples} images, radius {options.radius} of 255, {options.timeout:g} s a query.",
        f"![verdicts and accuracy against bits]({options.figure.name})",
        shares(found),
        "Who is right:",
        modes(found),
        "From one width to the next, by exact verdicts:",
        changes(found),
    ]
    text = "\n\n".join(parts) + "\n"
    print(text)
    if options.markdown is not None:
        options.markdown.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
