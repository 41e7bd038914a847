"""The optimiser, from optax."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import jax

from qspec.support.optional import need
from qspec.training.layers import Parameters
from qspec.training.schedule import Rate


@dataclass(frozen=True, slots=True)
class Optimizer:
    """A gradient transformation of optax, and optax itself."""

    transformation: Any
    optax: Any

    def init(self, parameters: Parameters) -> object:
        """Return what the optimiser remembers before the first step."""
        return self.transformation.init(parameters)

    def move(self, parameters: Parameters, gradient: Parameters, optimizer_state: object) -> tuple[Parameters, object]:
        """Return the parameters after one step, and what to remember."""
        updates, optimizer_state = self.transformation.update(gradient, optimizer_state, parameters)
        return self.optax.apply_updates(parameters, updates), optimizer_state


def adamw(rate: Rate, steps: int, decay: float) -> Optimizer:
    """Return Adam with decoupled weight decay (Loshchilov & Hutter 2019) for a phase of so many steps.

    Raises PackageMissingError without optax.
    """
    need("optax", "train", "training")
    optax = import_module("optax")

    def at(count: jax.Array) -> jax.Array:
        return rate.at(count / steps)

    return Optimizer(optax.adamw(at, weight_decay=decay), optax)
