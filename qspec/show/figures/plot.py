"""One function draws every kind of result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Literal, Protocol, get_args, runtime_checkable

import numpy as np

from qspec.batch.certification import Certification
from qspec.batch.comparison import SolverComparison
from qspec.batch.curves import methods
from qspec.batch.outcomes import Outcomes
from qspec.batch.records import Record
from qspec.batch.sweeps import Sweep
from qspec.errors import SpecError
from qspec.extremes.layer_bits import LayerWidths
from qspec.network.layers import Input
from qspec.show.figures.bars import shares
from qspec.show.figures.bits import against_bits
from qspec.show.figures.cactus import cactus
from qspec.show.figures.pareto import Offer, pareto
from qspec.show.figures.scatter import scatter
from qspec.show.figures.solution import solution
from qspec.show.figures.style import saved
from qspec.show.figures.training import Rows, curves
from qspec.show.figures.verdicts import verdicts
from qspec.show.solution import shown
from qspec.support import checks
from qspec.verify.result import Result, Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure


Kind = Literal["verdicts", "cactus", "scatter"]


@runtime_checkable
class HasHistory(Protocol):
    """A training with its history; the class itself cannot be imported without JAX."""

    @property
    def history(self) -> Rows: ...


def plot(
    found: Result | Certification | Sweep | SolverComparison | Outcomes | LayerWidths | HasHistory,
    path: str | PathLike[str] | None = None,
    *,
    kind: Kind | None = None,
    solvers: tuple[str, str] | None = None,
) -> Figure:
    """Return a result as a matplotlib figure, and write it to `path` (.svg, .png or .pdf) if given.

    - `Result`: the counterexample or witness. An image is drawn beside the one that it was changed from, if that is a parameter; other
      inputs are bars.
    - `Certification`: stacked bars of the shares for each class and for all.
    - `Sweep`: the verdicts of every method and the accuracy against bits; a ring marks a step at which more bits have cost something.
    - `SolverComparison`, `Outcomes`, and a `Sweep` with a `kind`: "verdicts" (the default) is a heat map of questions by solvers, "cactus"
      how many questions each solver decides in what time, "scatter" the times of two `solvers` (the first two, unless named).
    - `LayerWidths`: certified robustness and accuracy against the size of all parameters. Choices at which a violation has ended the asking
      are left out; `every=True` asks all.
    - a training: clean and certified accuracy and the loss against steps.

    Raises SpecError if there is nothing to draw or the file cannot be written, and PackageMissingError without matplotlib.
    """
    if kind is not None or solvers is not None or isinstance(found, SolverComparison | Outcomes):
        return saved(_many(found, kind or ("verdicts" if solvers is None else "scatter"), solvers), path)
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
                "this cannot be drawn",
                given=type(found).__name__,
                expected="a result of verify, compare, certify, sweep, fewest_bits or train",
            )


def _many(found: object, kind: Kind, solvers: tuple[str, str] | None) -> Figure:
    """Return many results as a figure of a kind."""
    checks.choice(kind, "kind of figure", get_args(Kind))
    records = _records(found)
    names = methods(records)
    if not records:
        raise SpecError("there is nothing to draw", given="no results", expected="one at least")
    if kind == "verdicts":
        return verdicts(records)
    if kind == "cactus":
        decided = {m: [r.seconds for r in records if r.method == m and r.verdict is not Verdict.UNKNOWN] for m in names}
        return cactus(decided)
    pair = tuple(names[:2]) if solvers is None else tuple(solvers)
    if len(pair) != 2 or not set(pair) <= set(names):
        raise SpecError(
            "no two solvers to compare", given=solvers or ", ".join(names), expected=f"solvers=(…, …), two of {', '.join(names)}"
        )
    return scatter(records, (pair[0], pair[1]))


def _records(found: object) -> Sequence[Record]:
    match found:
        case SolverComparison() | Outcomes():
            return found.records()
        case Sweep():
            return found.records
        case _:
            raise SpecError(
                "this has no kinds of figure", given=type(found).__name__, expected="a comparison, a sweep, or qs.Outcomes of a batch"
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
