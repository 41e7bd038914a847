"""One function draws every kind of result."""

from __future__ import annotations

from collections import Counter
from os import PathLike
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from qspec.batch.certification import Certification
from qspec.batch.sweeps import Sweep
from qspec.errors import SpecError
from qspec.extremes.layer_bits import LayerWidths
from qspec.network.layers import Input
from qspec.show.figures.bars import shares
from qspec.show.figures.bits import against_bits
from qspec.show.figures.pareto import Offer, pareto
from qspec.show.figures.solution import solution
from qspec.show.figures.style import saved
from qspec.show.figures.training import Rows, curves
from qspec.show.solution import shown
from qspec.verify.result import Result, Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@runtime_checkable
class HasHistory(Protocol):
    """A training with its history; the class itself cannot be imported without JAX."""

    @property
    def history(self) -> Rows: ...


def plot(found: Result | Certification | Sweep | LayerWidths | HasHistory, path: str | PathLike[str] | None = None) -> Figure:
    """Return a result as a matplotlib figure, and write it to `path` (.svg, .png or .pdf) if given.

    - `Result`: the counterexample or witness. An image is drawn beside the one that it was changed from, if that is a parameter; other
      inputs are bars.
    - `Certification`: stacked bars of the shares for each class and for all.
    - `Sweep`: the verdicts of every method and the accuracy against bits; a ring marks a step at which more bits have cost something.
    - `LayerWidths`: certified robustness and accuracy against the size of all parameters. Choices at which a violation has ended the asking
      are left out; `every=True` asks all.
    - a training: clean and certified accuracy and the loss against steps.

    Raises SpecError if there is nothing to draw or the file cannot be written, and PackageMissingError without matplotlib.
    """
    match found:
        case Result():
            return saved(_solution(found), path)
        case Certification():
            return saved(_shares(found), path)
        case Sweep():
            return saved(against_bits(found.records), path)
        case LayerWidths():
            return saved(_sizes(found), path)
        case HasHistory():
            return saved(curves({"": found.history}), path)
        case _:
            raise SpecError(
                "this cannot be drawn", given=type(found).__name__, expected="a result of verify, certify, sweep, fewest_bits or train"
            )


def _solution(found: Result) -> Figure:
    if found.codes is None and found.point is None:
        raise SpecError("there is nothing to draw", given=found.verdict.name, expected="a result with a counterexample or a witness")
    inputs = [s.layer for n in found.networks for s in n.inputs]
    named = next((i.features for i in inputs if isinstance(i, Input) and i.features), ())
    columns = [f"{f.name} = {c}" if c else f.name for f in named for c in f.categories or ("",)]
    return solution(shown(found.codes, found.point, found.parameters), columns, f"{found.name}: {found.verdict.name}")


def _shares(found: Certification) -> Figure:
    classes = {str(label): found.labels == label for label in np.unique(found.labels)} | {"all": np.ones(found.samples, np.bool_)}
    kinds = {Verdict.HOLDS: "certified", Verdict.VIOLATED: "refuted", Verdict.UNKNOWN: "undecided"}
    kind = [kinds[o.verdict] if right else "misclassified" for o, right in zip(found.outcomes, found.right, strict=True)]
    counts = {n: Counter(kind[k] for k in np.flatnonzero(rows)) for n, rows in classes.items()}
    return shares(counts, f"class, samples within {found.radius} LSB")


def _sizes(found: LayerWidths) -> Figure:
    return pareto(
        [
            Offer(c.stored / 8192, c.certified, c.accuracy, c.verdict is Verdict.HOLDS, " ".join(map(str, c.bits.values())) + " bits")
            for c in found.table
            if c.certified is not None
        ]
    )
