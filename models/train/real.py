"""Train a real network on MNIST, for sweeps over formats: `python models/train/real.py --data DIR --out NETWORK.qspec`.

What it writes is the first phase of `fit.py`, before any rounding: layers of reals, which `RealNetwork.calibrate` quantises at any width.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import jax
import numpy as np
from data import Dataset
from files import images
from fit import Recipe, real_parameters

import qspec as qs
from qspec.training import Dense
from qspec.training.layers import Parameters

PIXEL = qs.Fixed(8, 8, signed=False)
WIDE, SIGNAL = qs.Fixed(32, 24), qs.Fixed(32, 16, signed=False)
"""Formats that the first phase does not look at, but for the sign, which makes a ReLU."""


def recipe(data: Path, hidden: tuple[int, ...], *, epsilon: int, steps: int, seed: int) -> Recipe:
    """Return a dense network over 784 pixels with hidden layers of these widths."""
    layers = (*(Dense(n, WIDE, WIDE, SIGNAL) for n in hidden), Dense(10, WIDE, WIDE, None))
    name = "-".join(["mnist", "784", *map(str, hidden), "10"])
    return Recipe(name, name, partial(flat, data), "classification", PIXEL, layers, seed=seed, epsilon=epsilon, steps=steps)


def flat(folder: Path) -> Dataset:
    """Return MNIST with an image as a row of 784 codes."""
    found = images(folder, "mnist")
    train, held_out = ((x.reshape(-1, 784), y) for x, y in (found.train, found.held_out))
    return Dataset("mnist", train, held_out, highest=255, shipped=False)


def real_network(recipe: Recipe, values: Parameters) -> qs.real.Network:
    """Return the layers with these parameters; a float32 means exactly itself."""
    dense: list[qs.real.Dense] = []
    for layer, p in zip(recipe.layers, values, strict=True):
        activation = qs.Linear() if layer.output is None else qs.ReLU()
        dense.append(qs.real.Dense(np.asarray(p["kernel"], dtype=np.float64), np.asarray(p["bias"], dtype=np.float64), activation))
    return qs.real.Sequential(qs.real.Input((dense[0].kernel.shape[0],)), *dense, name=recipe.name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the idx files of MNIST")
    parser.add_argument("--out", type=Path, required=True, help="where the network goes (.qspec)")
    parser.add_argument("--hidden", default="32", help="widths of the hidden layers, separated by commas (default: 32)")
    parser.add_argument("--epsilon", type=int, default=0, help="radius, in pixel steps, of the attack in training; 0 for none (default)")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    hidden = tuple(int(n) for n in options.hidden.split(","))
    made = recipe(options.data, hidden, epsilon=options.epsilon, steps=options.steps, seed=options.seed)
    dataset = made.data()
    network = real_network(made, real_parameters(made, dataset, jax.random.key(made.seed)))
    network.save(options.out)
    inputs, labels = dataset.held_out
    right = network.evaluate(inputs / 256).argmax(axis=1) == labels
    print(f"{network.name}: {100 * float(np.mean(right)):.2f} % of {labels.size} held-out images")


if __name__ == "__main__":
    main()
