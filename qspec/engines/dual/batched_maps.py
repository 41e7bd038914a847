"""Linear maps of a program applied to batches, forwards and transposed: by numpy, which begins at once, or by JAX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

import numpy as np

from qspec.arithmetic import convolve
from qspec.arithmetic.windows import window_count
from qspec.evaluate.kernels import Convolve, GatherKernel, MapKernel, MatMul, Scale, Scatter

Array = Any
"""An array of numpy or of JAX."""


class Maps(Protocol):
    """Applies one map, given its kernel and the arrays of it."""

    def forward(self, kernel: MapKernel, arrays: Sequence[Array], x: Array) -> Array:
        """Return the map of vectors (batch, inputs)."""
        ...

    def backward(self, kernel: MapKernel, arrays: Sequence[Array], size: int, c: Array) -> Array:
        """Return the transposed map of rows (batch, outputs); `size` is the number of inputs."""
        ...


class NumpyMaps:
    """Maps in numpy."""

    def forward(self, kernel: MapKernel, arrays: Sequence[Array], x: Array) -> Array:
        """Return the map of vectors (batch, inputs)."""
        match kernel:
            case MatMul():
                return x @ arrays[0]
            case Scale():
                return x * arrays[0]
            case GatherKernel():
                return (x[:, arrays[0]] * arrays[1]).sum(-1)
            case Scatter(outputs):
                rows, columns, coefficients = arrays
                return _added(x[:, columns] * coefficients, rows, outputs)
            case Convolve(image, stride, padding, dilation):
                images = x.reshape(-1, *image)
                return convolve.forward(images, arrays[0], _shape(kernel, arrays[0]), stride, padding, dilation).reshape(len(x), -1)

    def backward(self, kernel: MapKernel, arrays: Sequence[Array], size: int, c: Array) -> Array:
        """Return the transposed map of rows (batch, outputs)."""
        match kernel:
            case MatMul():
                return c @ arrays[0].T
            case Scale():
                return c * arrays[0]
            case GatherKernel():
                return _added((c[:, :, None] * arrays[1]).reshape(len(c), -1), arrays[0].reshape(-1), size)
            case Scatter():
                rows, columns, coefficients = arrays
                return _added(c[:, rows] * coefficients, columns, size)
            case Convolve(image, stride, padding, dilation):
                rows = c.reshape(-1, *_shape(kernel, arrays[0]))
                return convolve.transposed(rows, arrays[0], image, stride, padding, dilation).reshape(len(c), -1)


def _shape(kernel: Convolve, weights: Array) -> tuple[int, int, int]:
    """Return height, width and channels of the result of a convolution."""
    image, stride, padding, dilation = kernel.image, kernel.stride, kernel.padding, kernel.dilation
    height, width = (window_count(image[a], weights.shape[a], stride[a], padding[a], dilation[a]) for a in (0, 1))
    return height, width, weights.shape[3]


class DeviceMaps:
    """Maps on the device; the transposed ones are derived by JAX."""

    def forward(self, kernel: MapKernel, arrays: Sequence[Array], x: Array) -> Array:
        """Return the map of vectors (batch, inputs)."""
        # Imported here and below, because importing the engine must not load JAX.
        from qspec.evaluate.jax_kernels import apply_map

        return apply_map(kernel, arrays, x)

    def backward(self, kernel: MapKernel, arrays: Sequence[Array], size: int, c: Array) -> Array:
        """Return the transposed map of rows (batch, outputs)."""
        if isinstance(kernel, MatMul):
            return c @ arrays[0].T
        import jax
        import jax.numpy as jnp

        def forward(x: jax.Array) -> jax.Array:
            return self.forward(kernel, arrays, x)

        like = jax.ShapeDtypeStruct((c.shape[0], size), jnp.float32)
        transpose = cast("Any", jax.linear_transpose)  # pyright: ignore[reportUnknownMemberType]
        return transpose(forward, like)(c)[0]


def grouped(kernels: Sequence[MapKernel], arrays: Sequence[Array]) -> list[tuple[MapKernel, Sequence[Array]]]:
    """Deal the arrays of an affine node out to its maps."""
    parts: list[tuple[MapKernel, Sequence[Array]]] = []
    start = 0
    for kernel in kernels:
        count = _count(kernel)
        parts.append((kernel, arrays[start : start + count]))
        start += count
    return parts


def _count(kernel: MapKernel) -> int:
    """Return how many arrays a map consists of."""
    match kernel:
        case MatMul() | Convolve() | Scale():
            return 1
        case GatherKernel():
            return 2
        case Scatter():
            return 3


def _added(parts: Array, place: Array, size: int) -> Array:
    """Add up columns by their places, (batch, parts) to (batch, size)."""
    total = np.zeros((size, len(parts)), dtype=np.float32)
    np.add.at(total, place, parts.T)
    return total.T
