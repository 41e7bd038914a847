"""Interval propagation of the quantised network while it is trained, and the loss of quantisation-aware interval bound propagation.

A box goes through an affine layer as centre and radius, `c W + b` and `r |W|` of the *stored* weights, and its two ends through the very
staircase that the integer network has. The last layer, if it is raw, is fused with the rows `e_label - e_other`: tighter than the
difference of two intervals. These bounds are in floats and guide the training; what is certified is certified in integers afterwards.

Source: Lechner, Žikelić, Chatterjee, Henzinger, Rus, *Quantization-aware Interval Bound Propagation for Training Certifiably Robust
Quantized Neural Networks*, AAAI 2023; over the reals Gowal et al. 2018.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from qspec.errors import SpecError
from qspec.evaluate import device
from qspec.training.layers import Convolve, Layer, Parameters, accumulate, activation, at_once
from qspec.training.schedule import Ramp

EPSILON, ALPHA, BETA = Ramp(0.0, 4.1), Ramp(0.0, 0.5), Ramp(0.0, 0.001)


@dataclass(frozen=True, slots=True)
class Bounded:
    """The certified part of the loss, `α · hinge + β · width`, with its schedules over the share of the phase that is done.

    `epsilon` is the radius in input codes; a margin below `margin` (in values of the output) costs. `correct_only` leaves out samples
    that are misclassified as they are. The defaults are the paper's for MNIST. Raises SpecError on what is no Ramp.
    """

    epsilon: Ramp = EPSILON
    alpha: Ramp = ALPHA
    beta: Ramp = BETA
    margin: float = 0.2
    correct_only: bool = True

    def __post_init__(self) -> None:
        for name, ramp in (("epsilon", self.epsilon), ("alpha", self.alpha), ("beta", self.beta)):
            if not isinstance(ramp, Ramp):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise SpecError(f"no ramp for {name}", given=ramp, expected="Ramp(start, end, until)", advice=f"Ramp(0, {ramp!r})")


class IntervalBatch(NamedTuple):
    """Ends of intervals, each of shape (batch, …)."""

    lower: jax.Array
    upper: jax.Array


def margins(
    layers: tuple[Layer, ...], values: Parameters, box: IntervalBatch, labels: jax.Array, *, quantized: bool, convolve: Convolve = at_once
) -> tuple[jax.Array, jax.Array]:
    """Return lower bounds of `output[label] - output[other]`, shape (batch, classes), and the mean width of the hidden layers.

    The bound for the label itself is 0. `box` holds input values.
    """
    width, hidden = jnp.float32(0), 0
    for layer, p in zip(layers[:-1], values[:-1], strict=True):
        box = _through(layer, p, box, quantized=quantized, convolve=convolve)
        width, hidden = width + jnp.mean(box.upper - box.lower), hidden + 1
    last, p = layers[-1], values[-1]
    own = jax.nn.one_hot(labels, last.units)
    if last.output is None:
        return _fused(p, box, own), width / max(1, hidden)
    box = _through(last, p, box, quantized=quantized, convolve=convolve)
    lowest = jnp.sum(own * box.lower, axis=1, keepdims=True)
    return jnp.where(own > 0, 0.0, lowest - box.upper), width / max(1, hidden)


def _through(layer: Layer, p: dict[str, jax.Array], box: IntervalBatch, *, quantized: bool, convolve: Convolve) -> IntervalBatch:
    centre = accumulate(layer, p["kernel"], (box.upper + box.lower) / 2, convolve) + p["bias"]
    radius = accumulate(layer, jnp.abs(p["kernel"]), (box.upper - box.lower) / 2, convolve)
    return IntervalBatch(*(activation(end, layer, quantized=quantized) for end in (centre - radius, centre + radius)))


def _fused(p: dict[str, jax.Array], box: IntervalBatch, own: jax.Array) -> jax.Array:
    """Bound the margins by the rows `e_label - e_other` of the last layer, a dense one."""
    kernel, bias = p["kernel"], p["bias"]
    flat = IntervalBatch(*(end.reshape(end.shape[0], -1) for end in box))
    rows = device.product(own, kernel.T)[:, None, :] - kernel.T[None, :, :]
    outputs = device.product((flat.upper + flat.lower) / 2, kernel) + bias
    radius = device.contract("bi,bci->bc", (flat.upper - flat.lower) / 2, jnp.abs(rows))
    return jnp.sum(own * outputs, axis=1, keepdims=True) - outputs - radius


def certified_loss(found: tuple[jax.Array, jax.Array], outputs: jax.Array, labels: jax.Array, terms: Bounded, done: jax.Array) -> jax.Array:
    """Return `α · hinge + β · width` for bounds from `margins`, where `done` is the share of the phase that is over."""
    lower, width = found
    own = jax.nn.one_hot(labels, outputs.shape[1])
    short = jnp.maximum(0.0, terms.margin - lower) * (1 - own)
    counted = (outputs.argmax(axis=1) == labels) if terms.correct_only else device.full(labels.shape, True, np.bool_)
    hinge = jnp.mean(jnp.sum(short, axis=1) * counted)
    return terms.alpha.at(done) * hinge + terms.beta.at(done) * width
