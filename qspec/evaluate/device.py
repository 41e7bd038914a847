"""The few functions of JAX whose published types are incomplete, with types; the one place that knows how JAX is switched to 64 bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, ParamSpec, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import lax

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")
HostArray = npt.NDArray[Any]


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function whose first argument shapes the code (hashable) and whose others are arrays."""
    return cast("Callable[P, R]", jax.jit(function, static_argnums=0))  # pyright: ignore[reportUnknownMemberType]


def wide() -> AbstractContextManager[object]:
    """Allow 64-bit types until the context ends."""
    return jax.enable_x64(True)


def to_device(arrays: Sequence[HostArray]) -> tuple[jax.Array, ...]:
    """Copy arrays to the device."""
    return tuple(cast("Sequence[jax.Array]", jax.device_put(list(arrays))))  # pyright: ignore[reportUnknownMemberType]


def all_to_device(parameters: Sequence[Sequence[HostArray]]) -> tuple[tuple[jax.Array, ...], ...]:
    """Copy arrays to the device in one go, keeping their grouping."""
    flat = iter(to_device([a for arrays in parameters for a in arrays]))
    return tuple(tuple(next(flat) for _ in arrays) for arrays in parameters)


def array(values: object, dtype: npt.DTypeLike | None = None) -> jax.Array:
    """Return an array of JAX."""
    return jnp.asarray(values, None if dtype is None else np.dtype(dtype))  # pyright: ignore[reportUnknownMemberType]


def full(shape: tuple[int, ...], value: float, dtype: npt.DTypeLike) -> jax.Array:
    """Return an array of one value."""
    return jnp.full(shape, value, np.dtype(dtype))  # pyright: ignore[reportUnknownMemberType]


def count(size: int, dtype: npt.DTypeLike = np.int32) -> jax.Array:
    """Return 0, 1, …, size - 1."""
    return jnp.arange(size, dtype=np.dtype(dtype))  # pyright: ignore[reportUnknownMemberType]


def contract(subscripts: str, left: jax.Array, right: jax.Array) -> jax.Array:
    """Return the sum of products that the subscripts name."""
    return jnp.einsum(subscripts, left, right, precision=lax.Precision.HIGHEST)  # pyright: ignore[reportUnknownMemberType]


def multiply(left: jax.Array, right: jax.Array, accumulator: npt.DTypeLike) -> jax.Array:
    """Return the matrix product, summed up in the dtype of the accumulator; float32 is not shortened to TF32."""
    highest, summed = lax.Precision.HIGHEST, np.dtype(accumulator)
    return lax.dot(left, right, precision=highest, preferred_element_type=summed)  # pyright: ignore[reportUnknownMemberType]


def product(left: jax.Array, right: jax.Array) -> jax.Array:
    """Return the product over the last axis of the first and the first axis of the second; float32 is not shortened to TF32."""
    return jnp.dot(left, right, precision=lax.Precision.HIGHEST)


def convolve(images: jax.Array, kernel: jax.Array, stride: int, ring: int) -> jax.Array:
    """Return the cross-correlation of images (batch, height, width, channels) with a kernel (height, width, in, out)."""
    dimensions = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(images, kernel, (stride, stride), ((ring, ring), (ring, ring)), dimension_numbers=dimensions)


def pad(x: jax.Array, widths: Sequence[tuple[int, int]]) -> jax.Array:
    """Return the array with so many zeros before and after it along each axis."""
    return jnp.pad(x, widths)  # pyright: ignore[reportUnknownMemberType]


def number(value: int) -> jax.Array:
    """Return an int32 scalar."""
    return to_device([np.array(value, np.int32)])[0]


def slope(function: Callable[[jax.Array], jax.Array], x: jax.Array) -> jax.Array:
    """Return the gradient of a function to a scalar."""
    return cast("jax.Array", jax.grad(function)(x))  # pyright: ignore[reportUnknownMemberType]


def value_and_slope(function: Callable[[S], jax.Array], x: S) -> tuple[jax.Array, S]:
    """Return a scalar function of a tree of arrays, and its gradient."""
    return cast("tuple[jax.Array, S]", jax.value_and_grad(function)(x))  # pyright: ignore[reportUnknownMemberType]


def leaves(tree: object) -> list[HostArray]:
    """Return the arrays of a tree, in an order of its own."""
    return [np.asarray(a) for a in cast("list[jax.Array]", jax.tree.leaves(tree))]


def with_leaves(tree: S, arrays: Sequence[HostArray]) -> S:
    """Return the tree with other arrays in the place of its own; raises ValueError if they are not as many, or of other shapes."""
    structure = cast("Any", jax.tree.structure(tree))  # pyright: ignore[reportUnknownMemberType]
    if [np.shape(a) for a in arrays] != [a.shape for a in leaves(tree)]:
        raise ValueError("arrays of other shapes")
    rebuilt = jax.tree.unflatten(structure, [array(a) for a in arrays])  # pyright: ignore[reportUnknownMemberType]
    return cast("S", rebuilt)


def on_cpu_or_else(cpu: Callable[P, R], other: Callable[P, R], *arguments: P.args, **_: P.kwargs) -> R:
    """Apply the first function where the code is compiled for a CPU, the second elsewhere."""
    return cast("R", lax.platform_dependent(*arguments, cpu=cpu, default=other))


def repeat_while(condition: Callable[[S], jax.Array], body: Callable[[S], S], state: S) -> S:
    """Apply the body to the state on the device while the condition is true."""
    return lax.while_loop(condition, body, state)


def repeat_between(begin: jax.Array, end: jax.Array, body: Callable[[jax.Array, S], S], state: S) -> S:
    """Apply the body to each number from `begin` to `end - 1` and the state, on the device."""
    return cast("S", lax.fori_loop(begin, end, body, state))  # pyright: ignore[reportUnknownMemberType]


class DeviceLoops:
    """Loops and choices on the device."""

    def repeat(self, count: int, done: Callable[[S], jax.Array], body: Callable[[jax.Array, S], S], state: S) -> S:
        """Apply the body to each number below `count`, as a float, and the state, until it is done."""

        def going(carried: tuple[jax.Array, S]) -> jax.Array:
            return (carried[0] < count) & ~done(carried[1])

        def step(carried: tuple[jax.Array, S]) -> tuple[jax.Array, S]:
            return carried[0] + 1, body(carried[0], carried[1])

        return lax.while_loop(going, step, (jnp.float32(0), state))[1]

    def choose(self, which: jax.Array, bodies: Sequence[Callable[P, S]], *arguments: P.args, **_: P.kwargs) -> S:
        """Apply the body of this number."""
        return cast("S", lax.switch(which, bodies, *arguments))  # pyright: ignore[reportUnknownMemberType]
