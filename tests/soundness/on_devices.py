"""A program for `test_devices.py`: search, train and certify on all devices that JAX has, and print what came of it as one line of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

import qspec as qs
from qspec import training
from qspec.compile.query import compile_property
from qspec.engines.dual import dual_ascent
from qspec.engines.dual.options import EngineOptions
from qspec.evaluate import sharding
from qspec.ir.integer import Query
from qspec.training import fit
from qspec_models import samples
from tests.soundness.random_queries import random_query, solutions
from tests.soundness.test_engine import judged

BATCH = 32
"""Domains in a batch of all devices together."""


def queries() -> Iterator[tuple[str, Query, bool]]:
    """Yield queries that take many domains, and whether there is a solution; one has products and maxima."""
    network = qs.load("digits-6bit")
    images, labels = samples("digits-6bit")
    for k, radius in ((4, 3), (6, 2)):
        spec = qs.properties.local_robustness(network, images[k].flatten(), radius, int(labels[k]))
        yield f"digits {k}", compile_property(spec).query, k == 4
    query = random_query(np.random.default_rng(21), max_points=100, max_nodes=5, kinds=("affine", "product", "maximum", "table", "steps"))
    yield "random", query, bool(len(solutions(query)))


def noted(layout: set[tuple[int, ...]], part: Any) -> Any:
    """Return arrays on the host, and note on how many devices they were, and how many rows each device had of them."""
    for a in jax.tree.leaves(part):
        layout.add((len(a.sharding.device_set), *{shard.data.shape[0] for shard in a.addressable_shards}))
    return jax.tree.map(np.asarray, part)


def certified() -> list[str]:
    """Return verdicts and stages of some digits; the number is no multiple of the number of devices."""
    images, labels = samples("digits-6bit")
    found = qs.certify(qs.load("digits-6bit"), images[:37], labels[:37], 1, timeout=0)
    return [f"{o.verdict.name} {o.stage}" for o in found.outcomes]


def trained(apart: list[bool]) -> list[float]:
    """Train a little, note for every step whether its gradient was gathered from several devices, and return the last losses."""
    step: Any = fit._step
    seen: dict[str, bool] = {}

    def noted_step(*arguments: Any) -> Any:
        lowered = step.lower(*arguments)
        text = lowered.as_text()
        if text not in seen:  # the same program is compiled to the same code
            seen[text] = "all-reduce" in lowered.compile().as_text()
        apart.append(seen[text])
        return step(*arguments)

    fit._step = noted_step
    architecture = training.Architecture(
        (8, 8, 1),
        qs.Fixed(5, 4, signed=False),
        (
            training.Conv(4, qs.Fixed(6, 4), qs.Fixed(8, 5), qs.Fixed(6, 4, signed=False), size=3, stride=2),
            training.Dense(10, qs.Fixed(6, 4), qs.Fixed(8, 5), None),
        ),
    )
    images, labels = samples("digits-6bit")
    images = images.reshape(-1, 8, 8, 1)
    bounded = training.Bounded(training.Ramp(0, 1))
    phases = [training.Phase(3, training.Rate(5e-3, "constant")), training.Phase(3, training.Rate(5e-3), bounded=bounded)]
    done = training.train(architecture, images, labels, phases, batch=32, every=1)
    done.network(check=images)
    return [row.loss for row in done.history]


def main() -> None:
    devices = sharding.devices()
    layout: set[tuple[int, ...]] = set()
    dual_ascent._host = lambda part: noted(layout, part)
    options = EngineOptions(BATCH // devices, compiled=True)
    # `judged` checks solutions and certificates.
    verdicts = {name: judged(query, satisfiable, options, name) for name, query, satisfiable in queries()}
    apart: list[bool] = []
    losses = trained(apart)
    found = {"devices": devices, "layout": sorted(layout), "verdicts": verdicts, "certified": certified(), "losses": losses, "apart": apart}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
