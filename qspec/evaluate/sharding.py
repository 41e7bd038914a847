"""Batches laid out over all devices of this process: each computes its rows by itself, with its own copy of what all rows share.

Nothing is sent from device to device. Which devices there are is JAX's own choice (`JAX_PLATFORMS`, `CUDA_VISIBLE_DEVICES`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any, ParamSpec, TypeVar, cast

import jax
import numpy as np
import numpy.typing as npt
from jax.sharding import Mesh, NamedSharding, PartitionSpec

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
HostArray = npt.NDArray[Any]
Layout = Any
"""A `PartitionSpec` for each array of a tree, or for all arrays of a part of it."""

WHOLE = PartitionSpec()
"""Every device has all of it."""
FIRST = PartitionSpec("batch")
"""Devices share out the first axis."""
SECOND = PartitionSpec(None, "batch")
"""Devices share out the second axis."""


@cache
def _mesh() -> Mesh:
    devices = cast("list[object]", jax.local_devices())  # pyright: ignore[reportUnknownMemberType]
    return Mesh(np.array(devices), ("batch",))


def devices() -> int:
    """Return the number of devices."""
    return _mesh().size


def accelerated() -> bool:
    """Return whether the devices are other than CPUs."""
    return jax.default_backend() != "cpu"


def place(tree: T, layout: Layout) -> T:
    """Copy arrays in nested tuples to the devices; what is shared out must have a multiple of `devices()` along that axis."""
    placed: Layout = jax.tree.map(partial(NamedSharding, _mesh()), layout)
    return cast("T", jax.device_put(tree, placed))  # pyright: ignore[reportUnknownMemberType]


def shared(batch: jax.Array) -> jax.Array:
    """Return an array whose first axis the devices share out, for compiled code in which rows meet (in the mean of a gradient)."""
    layout = NamedSharding(_mesh(), FIRST)
    return cast("jax.Array", jax.lax.with_sharding_constraint(batch, layout))  # pyright: ignore[reportUnknownMemberType]


def rows(*arrays: HostArray) -> tuple[jax.Array, ...]:
    """Copy arrays to the devices, which share out their rows."""
    return cast("tuple[jax.Array, ...]", place(arrays, (FIRST,) * len(arrays)))


def copies(*arrays: HostArray) -> tuple[jax.Array, ...]:
    """Copy arrays to the devices, all of them to each."""
    return cast("tuple[jax.Array, ...]", place(arrays, (WHOLE,) * len(arrays)))


def apart(function: Callable[P, R], given: Layout, returned: Layout) -> Callable[P, R]:
    """Return the function computed by every device on its own rows, for compiled code; rows must not depend on each other."""
    return jax.shard_map(function, mesh=_mesh(), in_specs=given, out_specs=returned, check_vma=False)
