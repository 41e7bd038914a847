"""Train the digit models again: `python models/train/digits.py --out models/qspec_models/data`."""

from __future__ import annotations

from command import main
from data import digits, digits_tiny
from fit import Recipe

from qspec import Fixed
from qspec.training import Conv, Dense
from qspec.training.layers import Layer

PIXEL = Fixed(5, 4, signed=False)
"""0..16 sixteenths of ink."""
BIAS = Fixed(8, 5)
HIDDEN = {4: Fixed(4, 2, signed=False), 6: Fixed(6, 4, signed=False), 8: Fixed(8, 5, signed=False)}
OUTPUT = {4: None, 6: Fixed(8, 3), 8: None}
"""One width shows a last layer that is rounded and saturated, the others the raw accumulator."""


def weights(bits: int) -> Fixed:
    """Return the format of weights in -1 ≤ w < 1."""
    return Fixed(bits, bits - 1)


def dense(bits: int) -> Recipe:
    """Return 64-32-10 with weights and hidden codes of so many bits."""
    layers: tuple[Layer, ...] = (Dense(32, weights(bits), BIAS, HIDDEN[bits]), Dense(10, weights(bits), BIAS, OUTPUT[bits]))
    return Recipe(f"digits-{bits}bit", "64-32-10 dense", digits, "classification", PIXEL, layers, epsilon=2, steps=3000)


def convolutional(bits: int) -> Recipe:
    """Return two 3x3 convolutions of stride 2 (8, then 16 channels) and a dense layer, with weights and hidden codes of so many bits."""
    layers = (
        Conv(8, weights(bits), BIAS, HIDDEN[bits], size=3, stride=2, ring=1),
        Conv(16, weights(bits), BIAS, HIDDEN[bits], size=3, stride=2, ring=1),
        Dense(10, weights(bits), BIAS, OUTPUT[bits]),
    )
    return Recipe(f"digits-conv-{bits}bit", "8x8-conv8-conv16-10", digits, "classification", PIXEL, layers, epsilon=2, steps=3000)


def tiny() -> Recipe:
    """Return 8-12-10 on images of 4x2 places and four grey levels: 65536 inputs, so that every one can be tried."""
    layers: tuple[Layer, ...] = (Dense(12, weights(4), BIAS, HIDDEN[4]), Dense(10, weights(4), BIAS, None))
    return Recipe("digits-tiny", "8-12-10 dense", digits_tiny, "classification", Fixed(2, 2, signed=False), layers, steps=3000)


RECIPES = (*(dense(b) for b in (4, 6, 8)), *(convolutional(b) for b in (4, 6, 8)), tiny())

if __name__ == "__main__":
    main(RECIPES)
