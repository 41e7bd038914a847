"""A certification as a picture: of each class the shares certified, undecided, refuted and misclassified; needs matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from qspec.errors import SolverMissingError
from qspec.result import Verdict
from qspec.show.png import available

if TYPE_CHECKING:
    from qspec.certification.certification import Certification

COLOURS = {"certified": "#2a7f62", "undecided": "#d9b44a", "refuted": "#c0504d", "misclassified": "#8c8c8c"}
"""Apart in lightness as well, so that they can be told apart without colour."""


def save_shares(path: str | Path, found: Certification) -> None:
    """Write one bar for each class and one for all samples; raises SolverMissingError without matplotlib."""
    if not available():
        raise SolverMissingError("a picture needs matplotlib", expected="an installed package", advice='pip install "qspec[plot]"')
    from matplotlib.figure import Figure

    classes = [*np.unique(found.labels).tolist(), None]
    figure = Figure(figsize=(1.8 + 0.55 * len(classes), 3.4), layout="constrained")
    axis = figure.subplots()
    base = np.zeros(len(classes))
    for kind, colour in COLOURS.items():
        share = np.array([_share(found, kind, label) for label in classes])
        axis.bar([str("all" if c is None else c) for c in classes], share, bottom=base, color=colour, label=kind)  # pyright: ignore[reportUnknownMemberType]
        base += share
    axis.set_ylabel("share of samples")  # pyright: ignore[reportUnknownMemberType]
    axis.set_xlabel("class")  # pyright: ignore[reportUnknownMemberType]
    axis.set_title(f"{found.network}: within {found.radius} LSB", fontsize=10)  # pyright: ignore[reportUnknownMemberType]
    figure.legend(loc="outside right upper", frameon=False, fontsize=9)  # pyright: ignore[reportUnknownMemberType]
    figure.savefig(path, dpi=150)  # pyright: ignore[reportUnknownMemberType]


def _share(found: Certification, kind: str, label: int | None) -> float:
    rows = [(bool(r), o.verdict) for r, o, own in zip(found.right, found.outcomes, found.labels, strict=True) if label in (None, int(own))]
    verdicts = {"certified": Verdict.HOLDS, "undecided": Verdict.UNKNOWN, "refuted": Verdict.VIOLATED}
    if kind == "misclassified":
        return sum(not right for right, _ in rows) / len(rows)
    return sum(right and verdict is verdicts[kind] for right, verdict in rows) / len(rows)
