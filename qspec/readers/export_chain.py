"""What writers of chains of layers ask of a network, whatever the format of the file."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from qspec.errors import UnsupportedError
from qspec.network.graph import Graph, Stage


def expect_chain(network: Graph, suffix: str) -> None:
    """Raise UnsupportedError unless every layer reads the one before it, and the last is the output."""
    stages = network.stages
    if network.outputs != (len(stages) - 1,) or any(s.arguments != (k - 1,) for k, s in enumerate(stages) if k):
        raise UnsupportedError(f"only chains of layers are written as {suffix}", given=network.name, expected="one layer after the other")


def stored_scale(stage: Stage, unit: Fraction) -> float:
    """Return a scale that a file can hold: exactly a float32; raises UnsupportedError on others."""
    value = float(np.float32(float(unit)))
    if value != unit:
        raise UnsupportedError(f"a scale of {stage.name!r} is no float32", given=str(unit), expected="a scale that a file can hold")
    return value
