"""What a step of training costs: in floats, with the rounding of the network, and with its bounds.

The network and the batches are those of a certified recipe, the images random. Run `python tests/benchmarks/training_cost.py --help`.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

import qspec as qs
from qspec import training

sys.path.insert(0, str(Path(__file__).parent))
from _report import header, table

WEIGHT, BIAS, HIDDEN = qs.Fixed(8, 7), qs.Fixed(8, 5), qs.Fixed(8, 6, signed=False)


def kinds(steps: int) -> dict[str, training.Phase]:
    """Return a phase of each kind."""
    rate = training.Rate(1e-3)
    return {
        "float": training.Phase(steps, rate, quantized=False),
        "quantised": training.Phase(steps, rate),
        "float with bounds": training.Phase(steps, rate, quantized=False, bounded=training.Bounded()),
        "quantised with bounds": training.Phase(steps, rate, bounded=training.Bounded()),
    }


def seconds(architecture: training.Architecture, phase: training.Phase, batch: int, warm: int) -> tuple[float, float]:
    """Return seconds of the processor and on the wall for each step after the first `warm` ones."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (2 * batch, *architecture.shape)), rng.integers(0, 10, 2 * batch)
    marks: list[tuple[float, float]] = []

    def report(_: object) -> None:
        marks.append((time.process_time(), time.perf_counter()))

    held = (images[:1], labels[:1])
    training.train(architecture, images, labels, [phase], batch=batch, every=warm, report=report, held_out=held)
    (spent, wall), (spent_last, wall_last) = marks[0], marks[-1]
    return (spent_last - spent) / (phase.steps - warm), (wall_last - wall) / (phase.steps - warm)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--markdown", type=Path, help="write the page there")
    options = parser.parse_args()
    layers = (
        training.Conv(16, WEIGHT, BIAS, HIDDEN, size=5, stride=2),
        training.Conv(32, WEIGHT, BIAS, HIDDEN, size=3, stride=2),
        training.Dense(100, WEIGHT, BIAS, HIDDEN),
        training.Dense(10, WEIGHT, BIAS, None),
    )
    architecture = training.Architecture((28, 28, 1), qs.Fixed(8, 8, signed=False), layers)
    rows: list[tuple[str, float, float]] = []
    for name, phase in kinds(options.steps).items():
        rows.append((name, *seconds(architecture, phase, options.batch, options.steps // 3)))
        print(*rows[-1], flush=True)
    plain = next(spent for name, spent, _ in rows if name == "quantised")
    shown = [(name, f"{1e3 * spent:.1f}", f"{1e3 * wall:.1f}", f"{spent / plain:.2f}") for name, spent, wall in rows]
    page = header("Cost of a training step", "qspec", "jax", "optax", "numpy")
    page += f"- network: 28x28-conv16-conv32-100-10, batches of {options.batch}, {options.steps} steps\n\n"
    page += table(("step", "CPU ms", "wall ms", "CPU, quantised = 1"), shown) + "\n"
    print(page)
    if options.markdown is not None:
        options.markdown.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
