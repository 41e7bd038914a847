"""Train the family of digit networks that `tests/benchmarks/growth.py` asks about: `python models/train/growth.py --out DIR`."""

from __future__ import annotations

from command import main
from data import digits
from digits import BIAS, HIDDEN, PIXEL, weights
from fit import Recipe

from qspec import Fixed
from qspec.training import Dense

CODES = {**HIDDEN, 10: Fixed(10, 7, signed=False)}


def family(width: int, layers: int, bits: int) -> Recipe:
    """Return so many hidden layers of one width, with weights and hidden codes of so many bits, and a raw accumulator as output."""
    hidden = (Dense(width, weights(bits), BIAS, CODES[bits]),) * layers
    return Recipe(
        f"growth-{width}x{layers}-{bits}bit",
        f"64-{layers}x{width}-10 dense",
        digits,
        "classification",
        PIXEL,
        (*hidden, Dense(10, weights(bits), BIAS, None)),
        epsilon=2,
        steps=1000,
        command="python models/train/growth.py --out DIR",
    )


RECIPES = (
    *(family(width, 2, 6) for width in (32, 64, 128, 256, 512)),
    *(family(32, layers, 6) for layers in (1, 3, 4, 5, 6)),
    *(family(32, 2, bits) for bits in (4, 8, 10)),
)

if __name__ == "__main__":
    main(RECIPES)
