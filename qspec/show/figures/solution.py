"""A counterexample, or a witness, as a figure: images beside what they were changed from, other inputs as bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from qspec.show.figures.style import PALETTE, canvas, style
from qspec.show.solution import Shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 40
"""Elements that are drawn as bars; of more, those that were changed most."""


def solution(variables: Sequence[Shown], features: Sequence[str], title: str) -> Figure:
    """Return a figure of the variables of a solution; `features` name the elements of those that are no images.

    Raises PackageMissingError without matplotlib.
    """
    with style():
        pictures = [v for v in variables if v.picture is not None]
        figure = _images(pictures) if len(pictures) == len(variables) else _bars(variables, features)
        figure.suptitle(title, fontsize="medium")
    return figure


def _images(variables: Sequence[Shown]) -> Figure:
    columns = 3 if any(v.before is not None for v in variables) else 1
    figure, axes = canvas(2.1 * columns, 2.5 * len(variables), len(variables), columns)
    for k, v in enumerate(variables):
        row = axes[k * columns : (k + 1) * columns]
        shape = v.picture or v.values.shape
        low, high = float(min(0.0, v.values.min())), float(v.values.max())
        planes = [] if v.before is None else [(v.before_name, v.before)]
        for axis, (name, values) in zip(row, [*planes, (v.name, v.values)], strict=False):
            axis.imshow(values.reshape(shape), cmap="gray_r", vmin=low, vmax=max(high, low + 1), interpolation="nearest")
            axis.set_title(name, fontsize="medium")
        if v.before is not None:
            difference = (v.values - v.before).reshape(shape)
            most = max(1.0, float(np.abs(difference).max()))
            drawn = row[-1].imshow(difference, cmap="PuOr_r", vmin=-most, vmax=most, interpolation="nearest")
            row[-1].set_title(f"change, {v.changed} pixels" if v.changed != 1 else "change, 1 pixel", fontsize="medium")
            figure.colorbar(drawn, ax=row[-1], shrink=0.6, ticks=[-most, 0, most], format="%g")
    for axis in axes:
        axis.set(xticks=[], yticks=[])
        axis.grid(visible=False)
        axis.spines[:].set(visible=True, color="#cccccc", linewidth=0.6)  # where an image ends, if its border is white
    return figure


def _bars(variables: Sequence[Shown], features: Sequence[str]) -> Figure:
    """Draw a row for each element, with a bar for each variable; what it was before is a line across the bar."""
    from matplotlib.ticker import MaxNLocator

    size = max(v.values.size for v in variables)
    names = list(features) if len(features) == size else [str(k) for k in range(size)]
    chosen = _chosen(variables, size)
    figure, (axis,) = canvas(5.2, 0.9 + 0.24 * len(chosen) * max(1, len(variables)))
    height = 0.8 / len(variables)
    for j, v in enumerate(variables):
        own = [k for k in chosen if k < v.values.size]
        places = np.array([chosen.index(k) for k in own]) + (j - (len(variables) - 1) / 2) * height
        axis.barh(places, v.values.reshape(-1)[own], height * 0.9, color=PALETTE[j % len(PALETTE)], label=v.name)
        if v.before is not None:
            line: dict[str, Any] = {"marker": "|", "markersize": 11, "markeredgewidth": 2, "linestyle": "", "color": "#333333"}
            axis.plot(v.before.reshape(-1)[own], places, **line, label=v.before_name)
    if all(float(n).is_integer() for v in variables for n in v.values.flat):
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_yticks(range(len(chosen)), [names[k] for k in chosen])
    axis.invert_yaxis()
    axis.set_xlabel("code" if len(chosen) == size else f"code; {len(chosen)} of {size} elements, those changed most")
    axis.grid(visible=False, axis="y")
    figure.legend(loc="outside lower center", ncols=4, fontsize="small")
    return figure


def _chosen(variables: Sequence[Shown], size: int) -> list[int]:
    """Return which elements to draw: all, or those that were changed most."""
    if size <= MOST:
        return list(range(size))
    change = np.zeros(size)
    for v in variables:
        if v.before is not None:
            change[: v.values.size] += np.abs(v.values - v.before).reshape(-1)
    return sorted(np.argsort(-change, kind="stable")[:MOST].tolist())
