"""How far a quantised network can be from the real one that it stands for: bounds of every output, the largest error as an interval."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from qspec.difference.replay import outputs as replayed
from qspec.difference.root import root
from qspec.difference.search import Search
from qspec.errors import SoundnessError, SpecError, UnsupportedError
from qspec.integers import IntArray, integers
from qspec.language.domains import extremes
from qspec.network.graph import Network
from qspec.network.layers import Input
from qspec.network.real import RealNetwork
from qspec.reals.ir import ExactArray, exact, fractions


@dataclass(frozen=True, slots=True, eq=False)
class ErrorBounds:
    """`lower <= quantised - real <= upper` of every output that was asked about, all over a box of codes; doubles, rounded outward."""

    lower: Floats
    upper: Floats


@dataclass(frozen=True, slots=True, eq=False)
class LargestError:
    """`lower <= the largest |quantised - real| <= upper`, exactly; `lower` is the error of output `output` at the input `codes`."""

    lower: Fraction
    upper: Fraction
    codes: IntArray
    output: int
    bounds: ErrorBounds
    """What is known of every output before anything was cut."""
    parts: int
    """Parts of the box that were bounded."""
    seconds: float

    @property
    def closed(self) -> bool:
        """Whether the largest error is known exactly."""
        return self.lower == self.upper

    def __str__(self) -> str:
        where = f"= {float(self.lower):.6g}" if self.closed else f"in [{float(self.lower):.6g}, {float(self.upper):.6g}]"
        return f"largest error {where}, {self.parts} parts, {self.seconds:.2f} s"


def error_bounds(
    fixed: Network, real: RealNetwork, *, lower: object = None, upper: object = None, outputs: Sequence[int] | None = None
) -> ErrorBounds:
    """Bound the error of some outputs (of all, if not given) for all input codes from `lower` to `upper`, by one ascent without branching.

    Codes are scalars or arrays in the shape of the input; without them all codes of its format count. Raises UnsupportedError unless both
    networks have the same dense and convolution layers, with ReLU or nothing; SpecError on an empty box.
    """
    both, low, high = _question(fixed, real, lower, upper)
    chosen = _outputs(both, outputs)
    goal = errors(both, chosen).goal()
    return _bounds(_search(both, goal, low, high, None), len(chosen))


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

    The lower end is attained at the codes returned, in exact arithmetic; the upper end is proved by branch and bound. Raises SoundnessError
    if the reference does not confirm the lower end.
    """
    began = perf_counter()
    allowed = Fraction(exact(gap).item())
    found = None
    for found in narrowing_error(fixed, real, lower=lower, upper=upper, outputs=outputs, seed=seed):
        late = timeout is not None and perf_counter() - began >= timeout
        if late or found.upper - found.lower <= allowed:
            break
    assert found is not None
    confirmed = exact_errors(fixed, real, found.codes)[found.output]
    if abs(confirmed) != found.lower:
        raise SoundnessError("the reference computes another error", given=found.lower, expected=abs(confirmed), advice="report it")
    return found


def narrowing_error(
    fixed: Network,
    real: RealNetwork,
    *,
    lower: object = None,
    upper: object = None,
    outputs: Sequence[int] | None = None,
    seed: int = 0,
) -> Iterator[LargestError]:
    """Yield the interval of `largest_error` after the attack and the first bounds, and after each round of cuts, until it is closed."""
    began = perf_counter()
    both, low, high = _question(fixed, real, lower, upper)
    chosen = _outputs(both, outputs)
    run = _Largest(both, errors(both, chosen).goal(), chosen)
    run.attack(low, high, seed)
    search = _search(both, run.goal, low, high, run)
    bounds = _bounds(search, len(chosen))
    while True:
        target = float(np.nextafter(-float(run.best), np.inf))
        top = max(run.best, Fraction(-search.least)) if search.least < target else run.best
        codes = run.codes.reshape(fixed.inputs[0].type.shape)
        yield LargestError(run.best, top, codes, run.output, bounds, search.bounded, perf_counter() - began)
        if not search.step(target):
            return


def exact_errors(fixed: Network, real: RealNetwork, codes: object) -> ExactArray:
    """Return the error of every output at one input of codes, as Fractions, (outputs,), by the references of both networks."""
    source, last = fixed.inputs[0].type, fixed.output_types[0]
    given = integers(codes).reshape(source.shape)
    units, zeros = source.grid.per_element(source.shape)
    signals, _ = real.enclose(exact(units * (given.reshape(-1).astype(object) - zeros)))
    units, zeros = last.grid.per_element(last.shape)
    return fractions(units * (fixed.evaluate(given).reshape(-1).astype(object) - zeros)) - fractions(signals.reshape(-1))


class _Largest:
    """The largest error that was found, exactly, and where."""

    def __init__(self, both: Pair, goal: Goal, outputs: Sequence[int]) -> None:
        self.both, self.goal, self.outputs = both, goal, outputs
        self.best, self.output = Fraction(-1), outputs[0]
        self.codes: IntArray = np.zeros(0, dtype=np.int64)

    def attack(self, low: IntArray, high: IntArray, seed: int) -> None:
        """Search the box for a large error."""
        box, c = (low.astype(np.float64), high.astype(np.float64)), self.goal.coefficients
        middle = np.rint((box[0] + box[1]) / 2)[None]
        found = polish(self.both, *box, c, attack(self.both, *box, c, middle, seed))
        self.look(found.point[int((found.value + self.goal.constant).argmin())])

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
        ours, theirs = replayed(self.both, codes)
        worst = max(self.outputs, key=lambda k: abs(ours[k] - theirs[k]))
        error = abs(ours[worst] - theirs[worst])
        if error > self.best:
            self.best, self.output, self.codes = error, worst, codes


def _search(both: Pair, goal: Goal, low: IntArray, high: IntArray, run: _Largest | None) -> Search:
    box = low.astype(np.float64), high.astype(np.float64)
    known = root(both, *box, BETTER)
    return Search(both, known, goal, *box) if run is None else Search(both, known, goal, *box, run.visit, run.settle)


def _bounds(search: Search, outputs: int) -> ErrorBounds:
    found = search.lower(2 * outputs)
    return ErrorBounds(found[:outputs], -found[outputs:])


def _question(fixed: Network, real: RealNetwork, lower: object, upper: object) -> tuple[Pair, IntArray, IntArray]:
    """Return the pair and the box of codes, (inputs,); raises UnsupportedError if the networks are no pair."""
    both, first = pair(fixed, real), fixed.stages[0].layer
    if both is None or not isinstance(first, Input) or first.features:
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
