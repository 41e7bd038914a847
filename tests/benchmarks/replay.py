"""What one replay costs: the independent semantics on every shipped network, and on convolutions of 10 million products.

Run `python tests/benchmarks/replay.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from time import process_time

import numpy as np

import qspec as qs
import qspec_models
from qspec.lowering.evaluate import evaluate
from qspec.semantics import fixed, reals
from qspec.semantics.series import Enclosure

sys.path.insert(0, str(Path(__file__).parent))
from _report import header, table

PRODUCTS = 32 * 32 * (27 * 16 + 144 * 32) + 16 * 16 * (288 * 64 + 64 * 10)


def large() -> qs.Network:
    """Return three convolutions and a dense layer of random weights, 10 million products together."""
    rng, byte = np.random.default_rng(0), qs.Fixed(8, 7)
    signal = qs.Fixed(8, 5, signed=False)

    def kernel(*shape: int) -> qs.Tensor:
        return qs.Tensor(rng.integers(-128, 128, shape), byte)

    convolutions = [
        qs.Conv2D(kernel(3, 3, *ends), padding="same", activation=qs.ReLU(), output=signal) for ends in [(3, 16), (16, 32), (32, 64)]
    ]
    shape = qs.Input((32, 32, 3), qs.Fixed(8, 8, signed=False))
    return qs.Sequential(shape, *convolutions[:2], qs.MaxPool2D((2, 2)), convolutions[2], qs.Flatten(), qs.Dense(kernel(16 * 16 * 64, 10)))


def milliseconds(work: Callable[[], object]) -> float:
    """Return the least CPU time of three runs, after one that does not count."""
    work()
    spent: list[float] = []
    for _ in range(3):
        since = process_time()
        work()
        spent.append(1000 * (process_time() - since))
    return min(spent)


def main() -> None:
    networks = {name: qspec_models.load(name) for name in qspec_models.names()} | {f"convolutions, {PRODUCTS} products": large()}
    rows: list[tuple[object, ...]] = []
    for name, network in networks.items():
        point = np.random.default_rng(1).integers(0, 2, network.inputs[0].type.shape)
        own = milliseconds(lambda network=network, point=point: fixed.evaluate(network, [point]))
        other = milliseconds(lambda network=network, point=point: evaluate(network, point[None]))
        rows.append((name, own, other, own / other))
    real, point = large().real(), np.random.default_rng(1).integers(0, 256, 32 * 32 * 3).tolist()
    values = [Enclosure(v, v) for v in (Fraction(c, 256) for c in point)]
    rows.append(("the same convolutions, real", milliseconds(lambda: reals.evaluate(real, [values], {}, 80)), "", ""))
    print(header("One replay", "numpy"))
    print(table(["network", "independent semantics, ms", "reference integers, ms", "ratio"], rows))


if __name__ == "__main__":
    main()
