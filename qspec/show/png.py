"""Images as a PNG file; needs matplotlib (`pip install "qspec-verify[plot]"`)."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from qspec.arithmetic.integers import IntArray


def available() -> bool:
    """Return whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def save_comparison(path: str | Path, images: Mapping[str, tuple[IntArray, tuple[int, int]]], change: tuple[str, IntArray]) -> None:
    """Write grey images side by side, each with its codes of white and black, and last the `change` in LSB, from blue (less) to red."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.6 * (len(images) + 1), 2.8), layout="constrained")
    axes = figure.subplots(1, len(images) + 1, squeeze=False)[0]
    for axis, (title, (codes, (low, high))) in zip(axes, images.items(), strict=False):
        axis.imshow(codes.reshape(codes.shape[:2]).astype(np.float64), cmap="gray_r", vmin=low, vmax=high, interpolation="nearest")
        axis.set_title(title, fontsize=10)
    title, difference = change
    most = max(1, int(np.abs(difference).max()))
    plane = difference.reshape(difference.shape[:2]).astype(np.float64)
    shown = axes[-1].imshow(plane, cmap="RdBu_r", vmin=-most, vmax=most, interpolation="nearest")
    axes[-1].set_title(title, fontsize=10)
    figure.colorbar(shown, ax=axes[-1], shrink=0.75, ticks=[-most, 0, most])  # pyright: ignore[reportUnknownMemberType]
    for axis in axes:
        axis.set_xticks([])
        axis.set_yticks([])
    figure.savefig(path, dpi=150, metadata={"Software": None})  # pyright: ignore[reportUnknownMemberType]
