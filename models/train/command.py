"""What the training scripts share: train recipes, check, write networks with their cards and samples, print a table."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
from data import Dataset, Integers
from export import checked_outputs, describe, network
from fit import Recipe, fit

from qspec_models import Card, LocalRobustness, Origin, StandardQuery

ORIGINS = {
    "mnist": Origin(
        "LeCun, Cortes & Burges, MNIST (1998), 70000 images from NIST's databases 1 and 3",
        "http://yann.lecun.com/exdb/mnist",
        "none stated by its authors, often given as CC BY-SA 3.0; not shipped",
    ),
    "digits": Origin(
        "Alpaydin & Kaynak, Optical Recognition of Handwritten Digits (UCI, 1998), 1797 images shipped by scikit-learn as load_digits",
        "https://archive.ics.uci.edu/dataset/80",
        "CC BY 4.0",
    ),
    "iris": Origin(
        "Fisher, Iris (1936; UCI, 1988), shipped by scikit-learn as load_iris", "https://archive.ics.uci.edu/dataset/53", "CC BY 4.0"
    ),
    "diabetes": Origin(
        "Efron, Hastie, Johnstone & Tibshirani, Least Angle Regression (2004): 442 patients, shipped by scikit-learn as load_diabetes",
        "https://www4.stat.ncsu.edu/~boos/var.select/diabetes.html",
        "no licence stated by its authors; distributed with scikit-learn (BSD 3-Clause)",
    ),
}
ROBUSTNESS_SAMPLES = 25


def main(recipes: Sequence[Recipe], *, of_files: Callable[[Path], Sequence[Recipe]] | None = None) -> None:
    """Train the recipes (or those named on the command line) into the directory `--out`.

    `of_files` returns the recipes for data that does not come with scikit-learn, from the folder `--data`.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="models to train; all if none is given")
    parser.add_argument("--out", type=Path, required=True, help="directory for networks, cards and samples")
    if of_files is not None:
        parser.add_argument("--data", type=Path, help="folder with the idx files of MNIST, which its models are trained on")
    options = parser.parse_args()
    names: list[str] = options.names
    out: Path = options.out
    if of_files is not None and options.data is not None:
        recipes = (*recipes, *of_files(options.data))
    unknown = set(names) - {r.name for r in recipes}
    if unknown:
        parser.error(f"no such model: {', '.join(sorted(unknown))}; there are {', '.join(r.name for r in recipes)}")
    out.mkdir(parents=True, exist_ok=True)
    print(f"{'model':<18} {'layers':<22} {'float':>8} {'quantised':>10} {'bytes':>7}  sha256")
    for recipe in recipes:
        if not names or recipe.name in names:
            card, size = make(recipe, out)
            scores = f"{card.float_score:>8.4f} {card.score:>10.4f}"
            print(f"{card.name:<18} {card.title:<22} {scores} {size:>7}  {card.sha256[:16]}", flush=True)


def make(recipe: Recipe, out: Path) -> tuple[Card, int]:
    """Train one model, write its files, and return its card and the size of the network's file in bytes."""
    dataset = recipe.data()
    fitted = fit(recipe, dataset)
    net = network(recipe, fitted.values, dataset)
    inputs, targets = dataset.held_out
    outputs = checked_outputs(recipe, fitted.values, net, inputs)
    path = out / f"{recipe.name}.qspec"
    net.save(str(path))
    card = Card(
        name=recipe.name,
        title=recipe.title,
        task=recipe.task,
        data=dataset.name,
        origin=ORIGINS[dataset.name.removesuffix("-tiny")],
        formats=describe(recipe, [p["kernel"].shape for p in fitted.values]),
        lowest=0,
        highest=dataset.highest,
        samples=len(targets),
        score=score(recipe, outputs, targets),
        float_score=score(recipe, fitted.float_outputs, targets),
        seed=recipe.seed,
        training=training(recipe),
        command=f"{recipe.command} {recipe.name}",
        sha256=sha256(path.read_bytes()).hexdigest(),
        samples_sha256=write_samples(dataset, out) if dataset.shipped else None,
        queries=standard_queries(recipe, dataset, outputs) if dataset.shipped else (),
    )
    (out / f"{recipe.name}.json").write_text(card.to_json())
    return card, path.stat().st_size


def write_samples(dataset: Dataset, out: Path) -> str:
    """Write the held-out samples, and return the hash of their file."""
    path, (inputs, targets) = out / f"{dataset.name}.npz", dataset.held_out
    np.savez_compressed(path, inputs=inputs.astype(np.uint16 if inputs.max() > 255 else np.uint8), targets=targets.astype(np.uint16))
    return sha256(path.read_bytes()).hexdigest()


def training(recipe: Recipe) -> str:
    """Say in one line how a model was trained."""
    steps = f"{recipe.steps} steps in floating point, then as many with the rounding of the shipped network (straight-through gradients)"
    attack = f"; half of the loss under an attack (two steps of projected gradient) within {recipe.epsilon} codes" if recipe.epsilon else ""
    return steps + attack


def score(recipe: Recipe, outputs: np.ndarray, targets: Integers) -> float:
    """Return the share of right classes (the first of equal outputs counts), or the mean absolute error."""
    if recipe.task == "classification":
        return float(np.mean(outputs.argmax(axis=1) == targets))
    return float(np.mean(np.abs(outputs[:, 0] - targets)))


def standard_queries(recipe: Recipe, dataset: Dataset, outputs: Integers) -> tuple[StandardQuery, ...]:
    """Return the recipe's queries, or else robustness of the first samples classified right, at distance one and two."""
    if recipe.queries:
        return recipe.queries
    right = np.flatnonzero(outputs.argmax(axis=1) == dataset.held_out[1])[:ROBUSTNESS_SAMPLES]
    norm = "l1" if dataset.highest <= 3 else "linf"
    return tuple(LocalRobustness(int(k), epsilon, norm) for epsilon in (1, 2) for k in right)
