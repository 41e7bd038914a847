"""Do two networks give one class near an image? `argmax(a(x)) == argmax(b(x))` by the native engine: verdicts, CPU seconds, proofs.

Three pairs on the digits of scikit-learn: two shipped networks of 6 and 8 bits, a network 64-24-10 trained here and stored with 8 and with
4 bits and a scale for each channel, and two shipped convolutions of 8 and 4 bits. Run it with another build's Python to compare.

Run `python tests/benchmarks/equality.py --help`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import qspec as qs
from qspec_models import samples

sys.path.insert(0, str(Path(__file__).parent))
from _report import header, table

Floats = npt.NDArray[np.float64]
UNIT = float(np.float32(16 / 255))
"""Of int8 inputs: pixels are 0 to 16."""


def trained(pixels: Floats, labels: npt.NDArray[np.int64], hidden: int = 24, steps: int = 600) -> list[tuple[Floats, Floats]]:
    """Return weights (inputs, outputs) and biases of a network with one hidden layer, trained by Adam from seed 0."""
    rng = np.random.default_rng(0)
    sizes = (pixels.shape[1], hidden, 10)
    knobs = [rng.normal(0, np.sqrt(2 / a), (a, b)) for a, b in pairwise(sizes)] + [np.zeros(hidden), np.zeros(10)]
    moments = [(np.zeros_like(k), np.zeros_like(k)) for k in knobs]
    x, wanted = pixels / 16, np.eye(10)[labels]
    for step in range(1, steps + 1):
        first, second, bias, other = knobs
        inner = np.maximum(x @ first + bias, 0)
        scores = inner @ second + other
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        error = (scores / scores.sum(axis=1, keepdims=True) - wanted) / len(x)
        back = error @ second.T * (inner > 0)
        gradient = [x.T @ back, inner.T @ error, back.sum(axis=0), error.sum(axis=0)]
        moments = [(0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g) for (m, v), g in zip(moments, gradient, strict=True)]
        scaled = [m / (1 - 0.9**step) / (np.sqrt(v / (1 - 0.99**step)) + 1e-8) for m, v in moments]
        knobs = [k - 0.01 * s for k, s in zip(knobs, scaled, strict=True)]
    return [(knobs[0] / 16, knobs[2]), (knobs[1], knobs[3])]


def stored(layers: Sequence[tuple[Floats, Floats]], pixels: Floats, bits: int) -> qs.Network:
    """Return a network of int8 activations with weights of so many bits, a float32 scale for each channel."""
    unit, values = UNIT, pixels
    stages: list[qs.Dense] = []
    for last, (weights, bias) in zip((False, True), layers, strict=True):
        most = 2 ** (bits - 1) - 1
        scales = [float(s) for s in (np.abs(weights).max(axis=0) / most).astype(np.float32)]
        values = values @ weights + bias
        values = values if last else np.maximum(values, 0)
        low, high = float(values.min()), float(values.max())
        step = float(np.float32((high - low) / 255))
        output = qs.int8(step, zero_point=-128 - round(low / step))
        kernel = qs.Tensor(
            np.clip(np.rint(weights / scales), -most, most).astype(np.int64), qs.Affine(bits, True, tuple(map(Fraction, scales)))
        )
        whole = qs.Tensor(
            np.rint(bias / (unit * np.array(scales))).astype(np.int64),
            qs.Affine(32, True, tuple(Fraction(unit) * Fraction(s) for s in scales)),
        )
        stages.append(qs.Dense(kernel, whole, output=output) if last else qs.Dense(kernel, whole, qs.ReLU(), output))
        unit = step
    return qs.Sequential(qs.Input((pixels.shape[1],), qs.int8(UNIT, zero_point=-128)), *stages, name=f"mlp-w{bits}")


Pair = tuple[qs.Network, qs.Network, npt.NDArray[np.int64]]


def shipped(first: str, second: str) -> Pair:
    """Return two shipped networks, and the codes of images."""
    return qs.load(first), qs.load(second), samples(first)[0]


def by_channel() -> Pair:
    """Return the network that is trained here with weights of 8 and of 4 bits, and the codes of images."""
    codes, labels = samples("digits-6bit")
    pixels = codes.reshape(len(codes), -1) * (16 / float(codes.max()))
    layers = trained(pixels, labels)
    return stored(layers, pixels, 8), stored(layers, pixels, 4), np.rint(pixels / UNIT).astype(np.int64) - 128


PAIRS: dict[str, tuple[Callable[[], Pair], tuple[int, ...]]] = {
    "digits 6 and 8 bits": (lambda: shipped("digits-6bit", "digits-8bit"), (0, 1, 2)),
    "64-24-10, W8 and W4": (by_channel, (1, 2)),
    "convolutions, 8 and 4 bits": (lambda: shipped("digits-conv-8bit", "digits-conv-4bit"), (1,)),
}


def asked(a: qs.Network, b: qs.Network, image: Any, radius: int, timeout: float) -> tuple[str, float, int]:
    """Return the verdict, the CPU seconds of this process, and the steps of the proof."""
    x = a.input("x")
    spec = qs.forall(x, given=qs.linf(x.code - image) <= radius, then=qs.argmax(a(x)) == qs.argmax(b(x)), name="one class")
    since = time.process_time()
    result = qs.verify(spec, timeout=timeout)
    seconds = time.process_time() - since
    return result.verdict.name, seconds, 0 if result.certificate is None else len(result.certificate.steps)


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask about `--images` images of every pair, and print a table of verdicts and CPU seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--timeout", type=float, default=30.0)
    parser.add_argument("--pairs", type=int, nargs="*", default=range(len(PAIRS)), help="numbers of the pairs, from 0")
    chosen = parser.parse_args(arguments)
    rows: list[list[object]] = []
    for name, (make, radii) in [list(PAIRS.items())[k] for k in chosen.pairs]:
        a, b, images = make()
        for radius in radii:
            found = [asked(a, b, images[k], radius, chosen.timeout) for k in range(3, 3 + chosen.images)]
            counts = [sum(v == verdict for v, _, _ in found) for verdict in ("HOLDS", "VIOLATED", "UNKNOWN")]
            seconds = sorted(s for _, s, _ in found)
            rows.append([name, radius, *counts, seconds[len(seconds) // 2], seconds[-1], max(n for _, _, n in found)])
            print(rows[-1], file=sys.stderr, flush=True)
    print(header("Equality of two networks' classes", "numpy", "jax"))
    print(table(("pair", "radius", "HOLDS", "VIOLATED", "UNKNOWN", "median CPU s", "largest CPU s", "most steps of a proof"), rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
