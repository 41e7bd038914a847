"""What the real network says of the quantised one, and what not: the failure modes of real-valued analysis, after Giacobbe et al. 2020.

A real network (64-16-10, ReLU, scikit-learn's digits) is verified as it is, over real inputs, and in fixed point with 4 to 10 bits, over
the grid of pixels, on the same samples and radii. Counted are
- `false robust`: the real network is robust, the quantised one is not;
- `false vulnerable`: the real network is not robust, the quantised one is;
- `other label`: the quantised network classifies the sample itself otherwise;
- `lost`: a counterexample of the real network that, rounded to the grid within the radius, the quantised network classifies right.

Run `python tests/benchmarks/failure_modes.py --help`.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from fractions import Fraction
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

import qspec as qs

sys.path.insert(0, str(Path(__file__).parent))
from _moons import evaluate, fresh, train
from _report import header, table

PIXELS = 16


def digits() -> tuple[Any, Any]:
    """Return images (count, 64) with values 0 to 16, and labels."""
    if find_spec("sklearn") is None:
        sys.exit("the digits come with scikit-learn: pip install 'qspec[train]'")
    found = import_module("sklearn.datasets").load_digits()
    return found.data.astype(np.int64), found.target.astype(np.int64)


def trained(seed: int, hidden: int) -> tuple[qs.RealNetwork, Any, Any, float]:
    """Train on three quarters of the digits; return the network and the samples that are left, and its accuracy on these."""
    images, labels = digits()
    order = np.random.default_rng(seed).permutation(len(labels))
    fit, held = order[: 3 * len(order) // 4], order[3 * len(order) // 4 :]
    sizes = [64, hidden, 10]
    layers = train(fresh(sizes, np.random.default_rng(seed)), "relu", images[fit] / PIXELS, labels[fit].astype(np.float64), steps=1500)
    (w1, b1), (w2, b2) = layers
    network = qs.RealSequential(
        qs.RealInput((64,)), qs.RealDense(w1.T, b1, qs.ReLU()), qs.RealDense(w2.T, b2), name=f"digits-64-{hidden}-10"
    )
    right = evaluate(layers, "relu", images[held] / PIXELS).argmax(1) == labels[held]
    return network, images[held], labels[held], float(right.mean())


def quantized(network: qs.RealNetwork, bits: int) -> qs.Network:
    """Return the network in fixed point: weights and biases up to 4, hidden signals up to 16, rounded to nearest."""
    return network.quantize(
        input=qs.Fixed(5, 4, signed=False),
        weights=qs.Fixed(bits, bits - 3),
        activations=qs.Fixed(bits, bits - 4, signed=False),
        output=qs.Fixed(bits + 4, bits - 2),
    )


def ask_real(network: qs.RealNetwork, image: Any, label: int, radius: int, options: argparse.Namespace) -> qs.Result:
    """Verify the real network over all reals within the radius."""
    low, high = np.maximum(image - radius, 0), np.minimum(image + radius, PIXELS)
    x = network.input("x", lower=[Fraction(int(v), PIXELS) for v in low], upper=[Fraction(int(v), PIXELS) for v in high])
    return qs.verify(qs.forall(x, then=qs.argmax(network(x)) == label), solver=options.solver, timeout=options.timeout)


def ask_fixed(network: qs.Network, image: Any, label: int, radius: int, options: argparse.Namespace) -> qs.Result:
    """Verify the quantised network over all pixels within the radius."""
    x = network.input("x")
    near = qs.linf(x.code - image) <= radius
    inside = qs.all(x.code <= PIXELS)
    return qs.verify(qs.forall(x, given=near & inside, then=qs.argmax(network(x)) == label), timeout=options.timeout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--radius", default="1,2", help="in sixteenths")
    parser.add_argument("--bits", default="4,5,6,7,8,10")
    parser.add_argument("--hidden", type=int, default=16)
    parser.add_argument("--solver", default="delta", help="of the real network")
    parser.add_argument("--timeout", type=float, default=10.0, help="wall-clock seconds for each question")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--markdown", type=Path, help="write the page here, too")
    options = parser.parse_args()
    network, images, labels, accuracy = trained(options.seed, options.hidden)
    widths = [int(b) for b in options.bits.split(",")]
    fixed = {b: quantized(network, b) for b in widths}
    predicted = network.evaluate(images / PIXELS).argmax(1)
    chosen = [k for k in range(len(labels)) if predicted[k] == labels[k]][: options.samples]
    lines: list[list[object]] = []
    for radius in (int(r) for r in options.radius.split(",")):
        real = {
            k: ask_real(network, images[k], int(labels[k]), radius, options)
            for k in track(chosen, f"real, radius {radius}", disable=not sys.stderr.isatty())
        }
        count = Counter(r.verdict.name for r in real.values())
        print(f"radius {radius}: real {dict(count)}", file=sys.stderr, flush=True)
        for bits, net in fixed.items():
            found = {k: ask_fixed(net, images[k], int(labels[k]), radius, options) for k in chosen}
            own = Counter(r.verdict.name for r in found.values())
            pairs = Counter((real[k].verdict.name, found[k].verdict.name) for k in chosen)
            other = sum(int(net.evaluate(images[k]).argmax()) != labels[k] for k in chosen)
            lost, shown = 0, 0
            for k, r in real.items():
                if r.verdict is qs.Verdict.VIOLATED and r.point is not None:
                    x = np.clip(
                        np.rint(np.array([float(v) * PIXELS for v in np.asarray(r.point["x"]).flat])),
                        images[k] - radius,
                        images[k] + radius,
                    )
                    shown += 1
                    lost += int(net.evaluate(np.clip(x, 0, PIXELS).astype(np.int64)).argmax()) == labels[k]
            accurate = float((net.evaluate(images).argmax(1) == labels).mean())
            lines.append(
                [
                    radius,
                    bits,
                    f"{100 * accurate:.1f}",
                    *(own[v] for v in ("HOLDS", "VIOLATED", "UNKNOWN")),
                    pairs["HOLDS", "VIOLATED"],
                    pairs["VIOLATED", "HOLDS"],
                    other,
                    f"{lost} of {shown}",
                ]
            )
            print(lines[-1], file=sys.stderr, flush=True)
        lines.append([radius, "real", f"{100 * accuracy:.1f}", *(count[v] for v in ("HOLDS", "VIOLATED", "UNKNOWN")), "", "", "", ""])
    columns = ["radius", "bits", "accuracy %", "HOLDS", "VIOLATED", "UNKNOWN", "false robust", "false vulnerable", "other label", "lost"]
    text = header("Failure modes of real-valued analysis", "qspec", "jax", "numpy") + f"\n{__doc__}\n{table(columns, lines)}\n"
    print(text)
    if options.markdown is not None:
        options.markdown.write_text(text)


if __name__ == "__main__":
    main()
