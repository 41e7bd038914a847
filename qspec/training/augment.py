"""Random changes of training images that keep their class, on the device: crops, flips, and squares cut out.

Source: as in the paper (crop; crop and flip on Fashion-MNIST; crop, flip and cutout on CIFAR-10); cutout: DeVries and Taylor 2017.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from qspec.evaluate import device


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Shift by up to `crop` pixels each way (zeros come in), mirror half of the images, blacken a square of `cutout` pixels."""

    crop: int = 0
    flip: bool = False
    cutout: int = 0

    def apply(self, images: jax.Array, key: jax.Array) -> jax.Array:
        """Return changed images, shape (batch, height, width, channels)."""
        shifts, flips, squares = jax.random.split(key, 3)
        if self.crop:
            images = _cropped(images, shifts, self.crop)
        if self.flip:
            mirrored = jax.random.bernoulli(flips, 0.5, (images.shape[0], 1, 1, 1))
            images = jnp.where(mirrored, images[:, :, ::-1], images)
        return _cut_out(images, squares, self.cutout) if self.cutout else images


def _cropped(images: jax.Array, key: jax.Array, most: int) -> jax.Array:
    count, height, width, _ = images.shape
    padded = device.pad(images, ((0, 0), (most, most), (most, most), (0, 0)))
    corner = jax.random.randint(key, (2, count, 1), 0, 2 * most + 1)
    rows, columns = corner[0] + device.count(height), corner[1] + device.count(width)
    return padded[device.count(count)[:, None, None], rows[:, :, None], columns[:, None, :]]


def _cut_out(images: jax.Array, key: jax.Array, side: int) -> jax.Array:
    count, height, width, _ = images.shape
    draws = jax.random.uniform(key, (2, count, 1))
    top, left = jnp.floor(draws[0] * height) - side // 2, jnp.floor(draws[1] * width) - side // 2
    rows, columns = device.count(height), device.count(width)
    hidden = ((rows >= top) & (rows < top + side))[:, :, None] & ((columns >= left) & (columns < left + side))[:, None, :]
    return images * ~hidden[..., None]
