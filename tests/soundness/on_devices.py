"""A program for `test_devices.py`: search on all devices that JAX has, and print verdicts and layouts as one line of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

import qspec as qs
from qspec.engine import ascent
from qspec.engine.options import Options
from qspec.evaluate import shards
from qspec.ir import Query
from qspec.language.compile import compile_property
from qspec_models import samples
from tests.soundness.random_queries import random_query, solutions
from tests.soundness.test_engine import judged

BATCH = 32
"""Domains in a batch of all devices together."""


def queries() -> Iterator[tuple[str, Query, bool]]:
    """Yield queries that take many domains, and whether there is a solution; one has products and maxima."""
    network = qs.load("digits-6bit")
    images, labels = samples("digits-6bit")
    for k in (4, 6):
        spec = qs.properties.local_robustness(network, images[k].flatten(), 3, int(labels[k]))
        yield f"digits {k}", compile_property(spec, {}).query, k == 4
    query = random_query(np.random.default_rng(21), max_points=100, max_nodes=5, kinds=("affine", "product", "maximum", "table", "steps"))
    yield "random", query, bool(len(solutions(query)))


def noted(layout: set[tuple[int, ...]], part: Any) -> Any:
    """Return arrays on the host, and note on how many devices they were, and how many rows each device had of them."""
    for a in jax.tree.leaves(part):
        layout.add((len(a.sharding.device_set), *{shard.data.shape[0] for shard in a.addressable_shards}))
    return jax.tree.map(np.asarray, part)


def main() -> None:
    devices = shards.devices()
    layout: set[tuple[int, ...]] = set()
    ascent._host = lambda part: noted(layout, part)
    options = Options(BATCH // devices, compiled=True)
    # `judged` checks solutions and certificates.
    verdicts = {name: judged(query, satisfiable, options, name) for name, query, satisfiable in queries()}
    print(json.dumps({"devices": devices, "layout": sorted(layout), "verdicts": verdicts}))


if __name__ == "__main__":
    main()
