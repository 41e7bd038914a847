"""Train a network on a data set: by the phases of its recipe, or first in floating point, then as the fixed-point network rounds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from data import Dataset

from qspec import Fixed
from qspec.training import Architecture, Augmentation, Phase, train
from qspec.training.checkpoint import Row
from qspec.training.layers import DataScaling, Layer, Parameters, forward, initial, stored
from qspec_models import StandardQuery

Task = Literal["classification", "regression"]
Loss = Callable[[Parameters, jax.Array, jax.Array], jax.Array]
BATCH = 128


@dataclass(frozen=True, slots=True)
class Recipe:
    """What it takes to make one model again."""

    name: str
    title: str
    data: Callable[[], Dataset]
    task: Task
    format: Fixed
    """Of the input."""
    layers: tuple[Layer, ...]
    seed: int = 0
    epsilon: int = 0
    """Radius, in input codes, of the attack that half of the training loss is taken under; 0 for none."""
    steps: int = 1500
    """Of each of the two phases."""
    rate: float = 4e-3
    decay: float = 1e-3
    standardize: bool = False
    command: str = "python models/train --out models/qspec_models/data"
    """Trains this model if its name follows."""
    queries: tuple[StandardQuery, ...] = ()
    """Where they are not those of a classifier."""
    phases: tuple[Phase, ...] = ()
    """How it is trained, if not in the usual two phases."""
    batch: int = BATCH
    augmentation: Augmentation = field(default_factory=Augmentation)
    radii: tuple[int, ...] = ()
    """Radii, in input codes, at which all held-out samples are certified."""

    def named(
        self,
        name: str,
        title: str,
        layers: tuple[Layer, ...],
        phases: tuple[Phase, ...],
        augmentation: Augmentation,
        data: Callable[[], Dataset] | None = None,
        batch: int | None = None,
    ) -> Recipe:
        """Return a recipe that differs from this one in what is given."""
        changed = {"data": data or self.data, "batch": batch or self.batch}
        return replace(self, name=name, title=title, layers=layers, phases=phases, augmentation=augmentation, **changed)


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A trained network: the values it stores, and what the floating-point network that it grew from said on the held-out samples."""

    values: Parameters
    float_outputs: np.ndarray | None
    """None if there was no such network."""
    history: tuple[Row, ...] = ()
    """Progress of a training by phases."""


def fit(recipe: Recipe, dataset: Dataset, file: Path | None = None) -> Fitted:
    """Train by the recipe; the same recipe on the same machine gives the same network, bit for bit.

    A training by phases keeps its state in `file`, from where it goes on.
    """
    if recipe.phases:
        return _by_phases(recipe, dataset, file)
    scaling = standardization(recipe, dataset) if recipe.standardize else None
    start, first, second = jax.random.split(jax.random.key(recipe.seed), 3)
    parameters = _real(recipe, dataset, scaling, start, first)
    x = jnp.asarray(dataset.held_out[0] * 2.0**-recipe.format.frac, jnp.float32)
    float_outputs = forward(recipe.layers, stored(recipe.layers, parameters, scaling, quantized=False), x, quantized=False)
    parameters = _phase(recipe, dataset, scaling, parameters, second, quantized=True)
    return Fitted(stored(recipe.layers, parameters, scaling), np.asarray(float_outputs))


def real_parameters(recipe: Recipe, dataset: Dataset, key: jax.Array) -> Parameters:
    """Train the first phase only, and return real numbers that nothing has rounded."""
    start, first = jax.random.split(key)
    scaling = standardization(recipe, dataset) if recipe.standardize else None
    return stored(recipe.layers, _real(recipe, dataset, scaling, start, first), scaling, quantized=False)


def _real(recipe: Recipe, dataset: Dataset, scaling: DataScaling | None, start: jax.Array, draws: jax.Array) -> Parameters:
    return _phase(recipe, dataset, scaling, initial(recipe.layers, dataset.train[0].shape[1:], start), draws, quantized=False)


def _by_phases(recipe: Recipe, dataset: Dataset, file: Path | None) -> Fitted:
    architecture = Architecture(dataset.train[0].shape[1:], recipe.format, recipe.layers)

    def report(row: Row) -> None:
        print(f"phase {row.phase} step {row.step:>6}: loss {row.loss:.4f} clean {row.clean:.4f} certified {row.certified:.4f}", flush=True)

    done = train(
        architecture,
        *dataset.train,
        recipe.phases,
        held_out=dataset.held_out,
        batch=recipe.batch,
        seed=recipe.seed,
        augmentation=recipe.augmentation,
        report=report,
        file=file,
    )
    return Fitted(done.values, None, done.history)


def standardization(recipe: Recipe, dataset: Dataset) -> DataScaling:
    """Return the mean and deviation of flat training inputs, and the deviation of what is regressed."""
    inputs = dataset.train[0] * 2.0**-recipe.format.frac
    unit = float(dataset.train[1].std()) if recipe.task == "regression" else 1.0
    return DataScaling(inputs.mean(axis=0).astype(np.float32), inputs.std(axis=0).astype(np.float32), unit)


def _phase(
    recipe: Recipe, dataset: Dataset, scaling: DataScaling | None, parameters: Parameters, key: jax.Array, *, quantized: bool
) -> Parameters:
    """Run one phase: Adam with decoupled weight decay (Loshchilov & Hutter 2019) and a cosine schedule down to zero."""
    inputs, targets = jnp.asarray(dataset.train[0], jnp.float32), jnp.asarray(dataset.train[1])
    optimizer = optax.adamw(optax.cosine_decay_schedule(recipe.rate / (1 + quantized), recipe.steps), weight_decay=recipe.decay)
    unit = 1.0 if scaling is None else scaling.unit

    def loss(p: Parameters, codes: jax.Array, y: jax.Array) -> jax.Array:
        values = stored(recipe.layers, p, scaling, quantized=quantized)
        outputs = forward(recipe.layers, values, codes * 2.0**-recipe.format.frac, quantized=quantized)
        if recipe.task == "classification":
            return optax.softmax_cross_entropy_with_integer_labels(outputs, y).mean()
        return jnp.mean(((outputs[:, 0] - y) / unit) ** 2)

    def step(carry: tuple[Parameters, optax.OptState], draw: jax.Array) -> tuple[tuple[Parameters, optax.OptState], None]:
        p, state = carry
        choose, shake = jax.random.split(draw)
        index = jax.random.randint(choose, (BATCH,), 0, inputs.shape[0])
        x, y = inputs[index], targets[index]
        near = attacked(loss, p, x, y, shake, recipe.epsilon, dataset.highest) if recipe.epsilon else x
        gradient = jax.grad(lambda q: (loss(q, x, y) + loss(q, near, y)) / 2)(p)
        updates, state = optimizer.update(gradient, state, p)
        return (cast(Parameters, optax.apply_updates(p, updates)), state), None

    draws = jax.random.split(key, recipe.steps)
    (trained, _), _ = jax.jit(lambda p: jax.lax.scan(step, (p, optimizer.init(p)), draws))(parameters)
    return trained


def attacked(loss: Loss, p: Parameters, x: jax.Array, y: jax.Array, key: jax.Array, epsilon: int, highest: int) -> jax.Array:
    """Return codes within `epsilon` of `x` that the network finds hard: two steps of projected gradient on the grid (Madry et al. 2018)."""
    low, high = jnp.maximum(x - epsilon, 0), jnp.minimum(x + epsilon, highest)
    near = jnp.clip(x + jax.random.randint(key, x.shape, -epsilon, epsilon + 1), low, high)
    for _ in range(2):
        near = jnp.clip(near + epsilon * jnp.sign(jax.grad(loss, 1)(p, near, y)), low, high)
    return near
