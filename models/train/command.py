"""What the training scripts share: train recipes, check, write networks with their cards and samples, print a table."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
from data import Dataset, Integers
from fit import Recipe, fit

import qspec as qs
from qspec.show.figures.style import check_drawable, saved
from qspec.show.figures.training import curves
from qspec.training import Architecture
from qspec.training.checkpoint import Row
from qspec.training.export import checked, network
from qspec_models import Card, CertifiedShare, LocalRobustness, Origin, StandardQuery

ORIGINS = {
    "mnist": Origin(
        "LeCun, Cortes & Burges, MNIST (1998), 70000 images from NIST's databases 1 and 3",
        "http://yann.lecun.com/exdb/mnist",
        "none stated by its authors, often given as CC BY-SA 3.0; not shipped",
    ),
    "fashion-mnist": Origin(
        "Xiao, Rasul & Vollgraf, Fashion-MNIST (2017), 70000 images of articles of Zalando",
        "https://github.com/zalandoresearch/fashion-mnist",
        "MIT; not shipped",
    ),
    "cifar-10": Origin(
        "Krizhevsky, CIFAR-10 (2009), 60000 of the 80 million tiny images",
        "https://www.cs.toronto.edu/~kriz/cifar.html",
        "none stated by its author; not shipped",
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

    `of_files` returns the recipes for data that does not come with scikit-learn, from the folder `--data`; these have to be named.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="models to train; all if none is given")
    parser.add_argument("--out", type=Path, required=True, help="directory for networks, cards and samples")
    parser.add_argument(
        "--timeout", type=float, default=20.0, help="seconds for each sample that bounds and attacks leave open (default: 20)"
    )
    parser.add_argument("--state", type=Path, help="folder for states of trainings that go on where they were stopped")
    parser.add_argument("--curves", type=Path, help="figure of the progress of the trainings by phases, such as curves.svg")
    if of_files is not None:
        parser.add_argument("--data", type=Path, help="folder with the images that the named models are trained on, such as idx files")
    options = parser.parse_args()
    names: list[str] = options.names
    out: Path = options.out
    if of_files is not None and options.data is not None:
        every = of_files(options.data)
        recipes = (*recipes, *(r for r in every if r.name in names))
        if not names:
            parser.error(f"name what to train on these images: {', '.join(r.name for r in every)}")
    unknown = set(names) - {r.name for r in recipes}
    if unknown:
        parser.error(f"no such model: {', '.join(sorted(unknown))}; there are {', '.join(r.name for r in recipes)}")
    check_drawable(options.curves)
    out.mkdir(parents=True, exist_ok=True)
    print(f"{'model':<18} {'layers':<22} {'float':>8} {'quantised':>10} {'bytes':>7}  sha256")
    progress: dict[str, Sequence[Row]] = {}
    for recipe in recipes:
        if not names or recipe.name in names:
            card, size, history = make(recipe, out, options.state, options.timeout)
            progress |= {recipe.name: history} if history else {}
            scores = f"{'' if card.float_score is None else format(card.float_score, '.4f'):>8} {card.score:>10.4f}"
            print(f"{card.name:<18} {card.title:<22} {scores} {size:>7}  {card.sha256[:16]}", flush=True)
    if options.curves is not None:
        saved(curves(progress), options.curves)


def make(recipe: Recipe, out: Path, states: Path | None, timeout: float) -> tuple[Card, int, Sequence[Row]]:
    """Train one model, write its files, and return its card, the size of the network's file in bytes, and the progress of the training."""
    dataset = recipe.data()
    if states is not None:
        states.mkdir(parents=True, exist_ok=True)
    file = None if states is None else states / f"{recipe.name}.npz"
    whole, began = file is None or not file.exists(), time.process_time()
    fitted = fit(recipe, dataset, file)
    spent = round(time.process_time() - began) if whole and recipe.phases else None
    architecture = Architecture(dataset.train[0].shape[1:], recipe.format, recipe.layers)
    net = network(architecture, fitted.values, recipe.name, dataset.features)
    inputs, targets = dataset.held_out
    outputs = checked(architecture, fitted.values, net, inputs)
    path = out / f"{recipe.name}.qspec"
    net.save(str(path))
    card = Card(
        name=recipe.name,
        title=recipe.title,
        task=recipe.task,
        data=dataset.name,
        origin=ORIGINS[dataset.name.removesuffix("-tiny")],
        formats=describe(recipe, [p["kernel"].shape for p in fitted.values]),
        seconds=spent,
        certified=tuple(certified(net, dataset, radius, states, timeout) for radius in recipe.radii),
        lowest=0,
        highest=dataset.highest,
        samples=len(targets),
        score=score(recipe, outputs, targets),
        float_score=None if fitted.float_outputs is None else score(recipe, fitted.float_outputs, targets),
        seed=recipe.seed,
        training=training(recipe),
        command=f"{recipe.command} {recipe.name}",
        sha256=sha256(path.read_bytes()).hexdigest(),
        samples_sha256=write_samples(dataset, out) if dataset.shipped else None,
        queries=standard_queries(recipe, dataset, outputs) if dataset.shipped else (),
    )
    (out / f"{recipe.name}.json").write_text(card.to_json())
    return card, path.stat().st_size, fitted.history


def certified(net: qs.Network, dataset: Dataset, radius: int, states: Path | None, timeout: float) -> CertifiedShare:
    """Decide the robustness of every held-out sample; verdicts are kept in the folder of states."""
    store = None if states is None else states / f"{net.name}-{radius}.jsonl"
    found = qs.certify(net, *dataset.held_out, radius, timeout=timeout, store=store)
    print(found, flush=True)
    return CertifiedShare(radius, found.certified, found.refuted, found.undecided)


def describe(recipe: Recipe, shapes: Sequence[tuple[int, ...]]) -> tuple[str, ...]:
    """Return a line about the input and one about each layer, with shapes of its kernel and its formats."""
    lines = [f"input {recipe.format}"]
    for layer, shape in zip(recipe.layers, shapes, strict=True):
        size = "x".join(map(str, shape))
        kind, output = type(layer).__name__.lower(), layer.output or "raw accumulator"
        lines.append(f"{kind} {size}: kernel {layer.kernel}, bias {layer.bias}, output {output}")
    return tuple(lines)


def write_samples(dataset: Dataset, out: Path) -> str:
    """Write the held-out samples, and return the hash of their file."""
    path, (inputs, targets) = out / f"{dataset.name}.npz", dataset.held_out
    np.savez_compressed(path, inputs=inputs.astype(np.uint16 if inputs.max() > 255 else np.uint8), targets=targets.astype(np.uint16))
    return sha256(path.read_bytes()).hexdigest()


def training(recipe: Recipe) -> str:
    """Say in one line how a model was trained."""
    if recipe.phases:
        return f"batches of {recipe.batch}, {recipe.augmentation}; " + "; then ".join(map(str, recipe.phases))
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
