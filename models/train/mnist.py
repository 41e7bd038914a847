"""Train the MNIST model again, from idx files: `python models/train/mnist.py --data DIR --out models/qspec_models/data mnist-conv-8bit`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from command import main
from files import images
from fit import Recipe

from qspec import Fixed
from qspec.training import Conv, Dense

WEIGHT, BIAS = Fixed(8, 7), Fixed(8, 5)
HIDDEN = Fixed(8, 5, signed=False)


def recipes(folder: Path) -> tuple[Recipe, ...]:
    """Return two 3x3 convolutions of stride 2 (8, then 16 channels) and a dense layer, on the MNIST files in a folder."""
    layers = (
        Conv(8, WEIGHT, BIAS, HIDDEN, size=3, stride=2, ring=1),
        Conv(16, WEIGHT, BIAS, HIDDEN, size=3, stride=2, ring=1),
        Dense(10, WEIGHT, BIAS, None),
    )
    return (
        Recipe(
            "mnist-conv-8bit",
            "28x28-conv8-conv16-10",
            partial(images, folder, "mnist"),
            "classification",
            Fixed(8, 8, signed=False),
            layers,
            epsilon=8,
            steps=3000,
            command="python models/train --data DIR --out models/qspec_models/data",
        ),
    )


if __name__ == "__main__":
    main((), of_files=recipes)
