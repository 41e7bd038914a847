"""The training loop: phases of steps, each on a batch drawn by its number, so that a run which was stopped goes on exactly where it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from qspec.arithmetic.integers import IntArray, integers
from qspec.deadline import tell
from qspec.errors import ShapeError, SpecError
from qspec.evaluate import device, sharding
from qspec.face import Network
from qspec.files.atomic import writable
from qspec.support.watch import stop_if_cancelled
from qspec.training import checkpoint
from qspec.training.augment import Augmentation
from qspec.training.bounds import Bounded, IntervalBatch, certified_loss, margins
from qspec.training.checkpoint import Row, TrainingState
from qspec.training.export import checked, network
from qspec.training.layers import Architecture, Parameters, at_once, forward, initial, stored
from qspec.training.optimizer import Optimizer, adamw
from qspec.training.schedule import Rate

CHECKED = 1000
"""Held-out samples that progress is measured on, and how many are evaluated at once."""
SHOWN = 10
"""How often a phase reports, if not told."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of a training with an optimiser state of its own.

    Without `quantized` the network is one over the reals; `bounded` adds the loss of interval bounds. Raises SpecError on what is no
    number of steps, no Rate, or no Bounded.
    """

    steps: int
    rate: Rate
    quantized: bool = True
    bounded: Bounded | None = None

    def __post_init__(self) -> None:
        if isinstance(self.steps, bool) or not isinstance(self.steps, int) or self.steps < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise SpecError("no number of steps", given=self.steps, expected="a whole number, at least 1")
        if not isinstance(self.rate, Rate):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise SpecError("no learning rate", given=self.rate, expected="Rate(initial, shape)", advice=f"Rate({self.rate!r})")
        if self.bounded is not None and not isinstance(self.bounded, Bounded):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise SpecError("no bounds to train with", given=self.bounded, expected="Bounded(epsilon=Ramp(…)) or None")


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What a training ended with: real parameters, of which the network stores the nearest codes, and the progress on the way."""

    architecture: Architecture
    parameters: Parameters
    history: tuple[Row, ...]

    @property
    def values(self) -> Parameters:
        """The values that the quantised network stores."""
        return stored(self.architecture.layers, self.parameters)

    def network(self, name: str = "", *, check: object = None) -> Network:
        """Return the integer network; with codes of inputs to `check`, only after it gave the very outputs of the training graph on each.

        Raises InternalError if it did not.
        """
        made = network(self.architecture, self.values, name)
        if check is not None:
            checked(self.architecture, self.values, made, integers(check))
        return made


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """Everything that decides what a training ends with, but for its data."""

    architecture: Architecture
    phases: tuple[Phase, ...]
    batch: int
    decay: float
    seed: int
    augmentation: Augmentation

    @property
    def radius(self) -> float:
        """The radius, in codes, at which progress is certified: what the phases aim at."""
        return max((float(int(p.bounded.epsilon.end)) for p in self.phases if p.bounded is not None), default=0.0)


Report = Callable[[Row], None]


def train(
    architecture: Architecture,
    images: object,
    labels: object,
    phases: Sequence[Phase],
    *,
    held_out: tuple[object, object] | None = None,
    batch: int = 256,
    decay: float = 5e-5,
    seed: int = 0,
    augmentation: Augmentation | None = None,
    every: int | None = None,
    report: Report | None = None,
    file: str | Path | None = None,
) -> Trained:
    """Train an architecture on codes of images, shape (samples, *input shape), and classes, shape (samples,).

    Every `every` steps (and at the end of a phase) progress is measured on the first 1000 `held_out` samples and given to `report`, and
    the state is written to `file`; a run that finds its own state there continues it, to the same bits. Batches are shared out over all
    devices. Raises ShapeError or SpecError on data that do not fit, a file that cannot be written, or one of another training, and
    SpecError as soon as the loss of a step that is measured is not a finite number.
    """
    if isinstance(phases, Phase):
        raise SpecError("`phases` is a list", given="one Phase", expected="[Phase(…)]")
    plan = TrainingPlan(architecture, tuple(phases), batch, decay, seed, augmentation or Augmentation())
    if not plan.phases or batch < 1 or batch % sharding.devices():
        raise SpecError(
            "no training",
            given=f"{len(plan.phases)} phases, batches of {batch}",
            expected=f"one phase at least, and batches of a multiple of {sharding.devices()}",
        )
    data = checked_samples(architecture, images, labels)
    measured = checked_samples(architecture, *(held_out or (data[0][:CHECKED], data[1][:CHECKED])))
    path = None if file is None else _writable(Path(file))
    stamp = checkpoint.stamp(plan, data)
    optimizers = [_optimizer(plan, k) for k in range(len(plan.phases))]
    fresh = initial(architecture.layers, architecture.shape, jax.random.key(seed))
    state = checkpoint.read(path, stamp, fresh, optimizers) if path is not None and path.exists() else None
    state = state or TrainingState(0, 0, fresh, optimizers[0].init(fresh), ())
    run = _TrainingRun(plan, data, measured, path, stamp, report, every)
    while state.phase < len(plan.phases):
        state = run.finish(state)
    return Trained(architecture, state.parameters, state.history)


def _writable(path: Path) -> Path:
    """Return the path; raises SpecError, before anything is trained, if no state can be written there."""
    if not writable(path):
        raise SpecError("cannot write the state there", given=str(path), expected="a file in a folder that exists")
    return path


def checked_samples(architecture: Architecture, images: object, labels: object) -> tuple[IntArray, IntArray]:
    """Return images and labels as integers; raises ShapeError or SpecError where they do not fit the architecture."""
    codes, classes = integers(images), integers(labels)
    if codes.shape[1:] != architecture.shape or classes.shape != codes.shape[:1] or not len(codes):
        expected = f"(n, {', '.join(map(str, architecture.shape))}) and (n,), n at least 1"
        raise ShapeError("samples do not fit the network", given=f"{codes.shape} and {classes.shape}", expected=expected)
    fmt = architecture.input
    for what, values, low, high in (("code", codes, fmt.lower, fmt.upper), ("class", classes, 0, architecture.classes - 1)):
        if values.min() < low or values.max() > high:
            raise SpecError(f"a {what} out of range", given=f"{values.min()}..{values.max()}", expected=f"{low}..{high}")
    return codes, classes


def _optimizer(plan: TrainingPlan, number: int) -> Optimizer:
    return adamw(plan.phases[number].rate, plan.phases[number].steps, plan.decay)


def loss(plan: TrainingPlan, phase: Phase, parameters: Parameters, codes: jax.Array, labels: jax.Array, done: jax.Array) -> jax.Array:
    """Return cross-entropy, and the certified part where the phase has one, of a batch when the share `done` of the phase is over."""
    layers, unit, fmt = plan.architecture.layers, 2.0**-plan.architecture.input.frac, plan.architecture.input
    values = stored(layers, parameters, quantized=phase.quantized)
    outputs = forward(layers, values, codes * unit, quantized=phase.quantized, convolve=at_once)
    picked = jnp.take_along_axis(outputs, labels[:, None], axis=1)[:, 0]
    total = jnp.mean(jax.nn.logsumexp(outputs, axis=1) - picked)
    if phase.bounded is None:
        return total
    epsilon = phase.bounded.epsilon.at(done)
    box = IntervalBatch(jnp.maximum(codes - epsilon, fmt.lower) * unit, jnp.minimum(codes + epsilon, fmt.upper) * unit)
    found = margins(layers, values, box, labels, quantized=phase.quantized)
    return total + certified_loss(found, outputs, labels, phase.bounded, done)


def accuracy(
    architecture: Architecture, values: Parameters, images: IntArray, labels: IntArray, radius: float, *, quantized: bool = True
) -> tuple[float, float]:
    """Return the share of samples that are classified right, and of those that interval bounds in floats say stay so within `radius`."""
    judged = np.zeros(2)
    for first in range(0, len(images), CHECKED):
        codes, classes = (device.array(a[first : first + CHECKED], np.int32) for a in (images, labels))
        judged += np.asarray(_judged((architecture, quantized), values, codes, classes, jnp.float32(radius)))
    return float(judged[0]) / len(images), float(judged[1]) / len(images)


@device.compiled
def _judged(how: tuple[Architecture, bool], values: Parameters, codes: jax.Array, labels: jax.Array, radius: jax.Array) -> jax.Array:
    architecture, quantized = how
    layers, fmt, unit = architecture.layers, architecture.input, 2.0**-architecture.input.frac
    x = codes.astype(jnp.float32)
    box = IntervalBatch(jnp.maximum(x - radius, fmt.lower) * unit, jnp.minimum(x + radius, fmt.upper) * unit)
    right = forward(layers, values, x * unit, quantized=quantized, convolve=at_once).argmax(axis=1) == labels
    lower, _ = margins(layers, values, box, labels, quantized=quantized)
    others = jax.nn.one_hot(labels, lower.shape[1]) == 0
    return jnp.stack([right.sum(), (right & jnp.all((lower > 0) | ~others, axis=1)).sum()])


class _TrainingRun:
    """A training under way."""

    def __init__(
        self,
        plan: TrainingPlan,
        data: tuple[IntArray, IntArray],
        held_out: tuple[IntArray, IntArray],
        path: Path | None,
        stamp: str,
        report: Report | None,
        every: int | None,
    ) -> None:
        small = np.uint8 if plan.architecture.input.lower >= 0 and plan.architecture.input.upper < 256 else np.int32
        self.plan, self.path, self.stamp, self.report, self.every = plan, path, stamp, report, every
        self.data = sharding.copies(data[0].astype(small), data[1].astype(np.int32))
        self.held_out = held_out[0][:CHECKED], held_out[1][:CHECKED]

    def finish(self, state: TrainingState) -> TrainingState:
        """Run what is left of a phase, and return the state in which the next one begins."""
        phase = self.plan.phases[state.phase]
        key = jax.random.fold_in(jax.random.key(self.plan.seed + 1), state.phase)
        every = self.every or max(1, phase.steps // SHOWN)
        parameters, optimizer_state = sharding.place((state.parameters, state.optimizer_state), sharding.WHOLE)
        (images, labels), how, value = self.data, (self.plan, state.phase), jnp.float32(jnp.nan)
        for number in range(state.step, phase.steps):
            draw = jax.random.fold_in(key, number)
            tell(f"steps of phase {state.phase}", number, phase.steps)
            stop_if_cancelled()
            parameters, optimizer_state, value = _step(how, parameters, optimizer_state, images, labels, draw, jnp.float32(number))
            if (number + 1) % every == 0 or number + 1 == phase.steps:
                row = self._row(state.phase, number + 1, float(value), parameters)
                if not isfinite(row.loss):
                    raise SpecError(
                        f"the loss is not a finite number in phase {row.phase}, up to step {row.step}",
                        given=row.loss,
                        expected="a training that converges",
                        advice="a smaller Rate, a smaller epsilon, or wider formats",
                    )
                state = TrainingState(state.phase, number + 1, parameters, optimizer_state, (*state.history, row))
                self._keep(state, row)
        later = state.phase + 1
        if later == len(self.plan.phases):
            return TrainingState(later, 0, parameters, optimizer_state, state.history)
        return TrainingState(later, 0, parameters, _optimizer(self.plan, later).init(parameters), state.history)

    def _row(self, phase: int, step: int, value: float, parameters: Parameters) -> Row:
        quantized = self.plan.phases[phase].quantized
        values = stored(self.plan.architecture.layers, parameters, quantized=quantized)
        clean, certified = accuracy(self.plan.architecture, values, *self.held_out, self.plan.radius, quantized=quantized)
        return Row(phase, step, value, clean, certified)

    def _keep(self, state: TrainingState, row: Row) -> None:
        if self.path is not None:
            checkpoint.write(self.path, self.stamp, state)
        if self.report is not None:
            self.report(row)


@device.compiled
def _step(
    how: tuple[TrainingPlan, int],
    parameters: Parameters,
    optimizer_state: object,
    images: jax.Array,
    labels: jax.Array,
    key: jax.Array,
    number: jax.Array,
) -> tuple[Parameters, object, jax.Array]:
    """Draw a batch, and move the parameters once; `how` is the plan and the number of the phase."""
    plan, phase = how[0], how[0].phases[how[1]]
    choose, change = jax.random.split(key)
    index = sharding.shared(jax.random.randint(choose, (plan.batch,), 0, images.shape[0]))
    codes = plan.augmentation.apply(images[index], change).astype(jnp.float32)
    classes, done = labels[index], number / phase.steps
    value, gradient = device.value_and_slope(lambda p: loss(plan, phase, p, codes, classes, done), parameters)
    parameters, optimizer_state = _optimizer(*how).move(parameters, gradient, optimizer_state)
    return parameters, optimizer_state, value
