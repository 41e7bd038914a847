"""How far a quantised network can be from the real one that it stands for: bounds for every output, and the largest error as an interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from time import perf_counter

import numpy as np

from qspec.delta.interval import Floats
from qspec.difference.attack import attack, polish, values
from qspec.difference.claim import errors
from qspec.difference.decide import BETTER
from qspec.difference.dual import Goal
from qspec.difference.pair import Pair, pair
from qspec.difference.root import root
from qspec.difference.search import Search
from qspec.errors import SpecError, UnsupportedError
from qspec.integers import IntArray, integers
from qspec.language.domains import extremes
from qspec.network.graph import Network
from qspec.network.real import RealNetwork
from qspec.reals.ir import ExactArray, exact, fractions


@dataclass(frozen=True, slots=True, eq=False)
class ErrorBounds:
    """`lower <= quantised - real <= upper` for every output, all over a box of codes; doubles that bounds with outward rounding gave."""

    lower: ExactArray
    upper: ExactArray


@dataclass(frozen=True, slots=True, eq=False)
class LargestError:
    """`lower <= the largest |quantised - real| <= upper`, exactly; `lower` is the error of output `output` at `codes`."""

    lower: Fraction
    upper: Fraction
    codes: IntArray
    output: int
    parts: int
    """Parts of the box that were bounded."""
    seconds: float

    def __str__(self) -> str:
        return f"largest error in [{float(self.lower):.6g}, {float(self.upper):.6g}], {self.parts} parts, {self.seconds:.2f} s"


def error_bounds(
    fixed: Network, real: RealNetwork, *, lower: object = None, upper: object = None, outputs: Sequence[int] | None = None
) -> ErrorBounds:
    """Bound the error of each of some outputs (of all, if not given) for all input codes from `lower` to `upper`.

    Codes are scalars or arrays in the shape of the input; without them all codes of its format count. The bounds come from one ascent and no
    branching. Raises UnsupportedError unless both networks have the same dense and convolution layers, with ReLU or nothing.
    """
    both, low, high = _question(fixed, real, lower, upper)
    chosen = _outputs(both, outputs)
    rows = errors(both, chosen)
    found = _search(both, rows.goal(), low, high).lower(2 * len(chosen))
    return ErrorBounds(found[: len(chosen)], -found[len(chosen) :])


def largest_error(
    fixed: Network,
    real: RealNetwork,
    *,
    lower: object = None,
    upper: object = None,
    outputs: Sequence[int] | None = None,
    gap: object = 0,
    timeout: float | None = 60.0,
    seed: int = 0,
) -> LargestError:
    """Close the interval around the largest error of some outputs to at most `gap`, as far as `timeout` seconds allow; see `error_bounds`.

    The lower end is attained at the codes returned, in exact arithmetic; the upper end is proved by branch and bound.
    """
    began = perf_counter()
    both, low, high = _question(fixed, real, lower, upper)
    chosen, allowed = _outputs(both, outputs), Fraction(exact(gap).item())
    run = _Largest(fixed, real, both, errors(both, chosen).goal(), chosen)
    box = low.astype(np.float64), high.astype(np.float64)
    middle = np.rint((box[0] + box[1]) / 2)[None]
    found = polish(both, *box, run.goal.coefficients, attack(both, *box, run.goal.coefficients, middle, seed))
    run.look(found.point[int((found.value + run.goal.constant).argmin())])
    search = _search(both, run.goal, low, high, run.visit, run.settle)
    while timeout is None or perf_counter() - began < timeout:
        target = float(np.nextafter(-float(run.best), np.inf))
        if -search.least <= run.best + allowed or not search.step(target):
            break
    top = max(run.best, Fraction(-search.least)) if np.isfinite(search.least) else run.best
    return LargestError(run.best, top, run.codes.reshape(fixed.inputs[0].type.shape), run.output, search.bounded, perf_counter() - began)


class _Largest:
    """The largest error that was found, exactly, and where."""

    def __init__(self, fixed: Network, real: RealNetwork, both: Pair, goal: Goal, outputs: Sequence[int]) -> None:
        self.fixed, self.real, self.both, self.goal, self.outputs = fixed, real, both, goal, outputs
        self.best, self.output = Fraction(-1), outputs[0]
        self.codes: IntArray = np.zeros(0, dtype=np.int64)

    def visit(self, point: Floats, row: int) -> None:
        """Look at an input, (1, inputs), exactly, if doubles say that it is worse than the worst so far."""
        c = self.goal.coefficients[0][row : row + 1], self.goal.coefficients[1][row : row + 1]
        if -(values(self.both, point, c)[0] + self.goal.constant[row]) > float(self.best):
            self.look(point[0])

    def settle(self, point: Floats, row: int) -> bool:
        """Look at an input, (1, inputs), exactly: after that no error there is larger than the worst so far."""
        del row
        self.look(point[0])
        return True

    def look(self, point: Floats) -> None:
        """Compute the errors at an input in exact arithmetic, and keep the largest."""
        codes = point.astype(np.int64)
        found = exact_errors(self.fixed, self.real, codes)
        worst = max(self.outputs, key=lambda k: abs(found[k]))
        if abs(found[worst]) > self.best:
            self.best, self.output, self.codes = abs(found[worst]), worst, codes


def exact_errors(fixed: Network, real: RealNetwork, codes: object) -> ExactArray:
    """Return the error of every output at one input of codes, as Fractions, (outputs,)."""
    source, last = fixed.inputs[0].type, fixed.output_types[0]
    given = integers(codes).reshape(source.shape)
    units, zeros = source.grid.per_element(source.shape)
    below, _ = real.enclose(exact(units * (given.reshape(-1).astype(object) - zeros)))
    units, zeros = last.grid.per_element(last.shape)
    return fractions(units * (fixed.evaluate(given).reshape(-1).astype(object) - zeros)) - fractions(below.reshape(-1))


def _search(
    both: Pair,
    goal: Goal,
    low: IntArray,
    high: IntArray,
    visit: Callable[[Floats, int], None] | None = None,
    settle: Callable[[Floats, int], bool] | None = None,
) -> Search:
    box = low.astype(np.float64), high.astype(np.float64)
    return Search(both, root(both, *box, BETTER), goal, *box, visit, settle)


def _question(fixed: Network, real: RealNetwork, lower: object, upper: object) -> tuple[Pair, IntArray, IntArray]:
    """Return the pair and the box of codes, (inputs,); raises UnsupportedError if the networks are no pair."""
    both = pair(fixed, real)
    if both is None or fixed.inputs[0].layer.features:
        raise UnsupportedError(
            "these networks are not compared layer by layer",
            given=f"{fixed.name} and {real.name}",
            expected="the same dense and convolution layers in both, with ReLU or nothing, on an input without features",
            advice="qs.verify decides properties of any two networks, by its solver 'delta'",
        )
    low, high = extremes(fixed.input("x", lower=lower, upper=upper).domain)
    return both, integers(low), integers(high)


def _outputs(both: Pair, outputs: Sequence[int] | None) -> list[int]:
    n = both.layers[-1].size
    chosen = list(range(n)) if outputs is None else [int(k) for k in outputs]
    if not chosen or any(not 0 <= k < n for k in chosen):
        raise SpecError("no such output", given=chosen, expected=f"positions from 0 to {n - 1}")
    return chosen
