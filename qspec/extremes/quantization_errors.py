"""How far a quantised network can be from the real one that it stands for: bounds of every output, the largest error as an interval."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Unpack

from qspec.arithmetic.integers import rational
from qspec.deadline import NEVER, Deadline
from qspec.errors import SoundnessError, SpecError
from qspec.support import checks
from qspec.support.threads import single_threaded
from qspec.verify.options import LimitOptions, limits_of

if TYPE_CHECKING:
    from qspec.engines.difference.largest import ErrorBounds, LargestError
    from qspec.face import Network, RealNetwork


@single_threaded
def error_bounds(
    fixed: Network, real: RealNetwork, *, lower: object = None, upper: object = None, outputs: Sequence[int] | None = None
) -> ErrorBounds:
    """Bound the error of some outputs (of all, if not given) for all input codes from `lower` to `upper`, by one ascent without branching.

    Codes are scalars or arrays in the shape of the input; without them all codes of its format count. Raises UnsupportedError unless both
    networks have the same dense and convolution layers, with ReLU or nothing; SpecError on an empty box.
    """
    from qspec.engines.difference.largest import ErrorQuestion, first_bounds  # here and below, because `import qspec` is to be quick

    return first_bounds(ErrorQuestion.of(fixed, real, lower, upper, outputs))


@single_threaded
def largest_error(
    fixed: Network,
    real: RealNetwork,
    *,
    lower: object = None,
    upper: object = None,
    outputs: Sequence[int] | None = None,
    gap: object = 0,
    **options: Unpack[LimitOptions],
) -> LargestError:
    """Close the interval around the largest error of some outputs to at most `gap`, as far as `timeout` seconds allow; see `error_bounds`.

    The lower end is attained at the codes returned, in exact arithmetic; the upper end is proved by branch and bound. `options` are
    `timeout`, `memory` and `seed`, or `limits`, which is all three. Raises SpecError on a gap below 0, SoundnessError if the reference
    does not confirm the lower end, OutOfMemory (a MemoryError) if `memory` has no room for first bounds.
    """
    from qspec.engines.difference.largest import exact_errors

    timeout, memory, seed = limits_of(options)
    allowed = rational(gap)
    if allowed < 0:
        raise SpecError("no gap", given=gap, expected="a number of at least 0")
    deadline = Deadline.after(checks.seconds(timeout, zero=True), checks.memory(memory))
    found = None
    for found in narrowing_error(fixed, real, lower=lower, upper=upper, outputs=outputs, seed=seed, deadline=deadline):
        if deadline.passed() or found.upper - found.lower <= allowed:
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
    deadline: Deadline = NEVER,
) -> Iterator[LargestError]:
    """Yield the interval of `largest_error` after the attack and the first bounds, and after each round of cuts, until it is closed."""
    from qspec.engines.difference.largest import ErrorQuestion, narrow

    return narrow(ErrorQuestion.of(fixed, real, lower, upper, outputs, deadline), checks.seed(seed), deadline)
