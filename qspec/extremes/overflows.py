"""What overflows at an input: layer, neuron, code and range, beside what the neuron can reach at all and the width that this needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from qspec.arithmetic.formats import Format, code_range
from qspec.arithmetic.integers import integers
from qspec.bounds.interval import Interval, bound
from qspec.errors import SpecError
from qspec.face import Network
from qspec.ir import reference
from qspec.ir.integer_builder import Builder
from qspec.language.variables import Tap
from qspec.lowering.layers import lower
from qspec.lowering.summary import signed_width
from qspec.named.properties import inputs_of, overflowing
from qspec.network.graph import Stage
from qspec.network.layers import Input
from qspec.support import checks


@dataclass(frozen=True, slots=True)
class OverflowAt:
    """A code that leaves its format: `value` is not within `low` to `high`.

    `place` is "accumulator" or "output". `reach_low` and `reach_high` bound what this neuron's code is at any input, before it overflows;
    `width` is the number of bits in two's complement that holds them.
    """

    layer: str
    place: str
    neuron: tuple[int, ...]
    value: int
    low: int
    high: int
    reach_low: int
    reach_high: int
    width: int

    def __str__(self) -> str:
        neuron = ", ".join(map(str, self.neuron))
        reach = f"reaches {self.reach_low} to {self.reach_high}, which needs {self.width} bits"
        return f"{self.place} of {self.layer}[{neuron}]: {self.value} is not within {self.low} to {self.high}; it {reach}"


def overflows(network: Network, codes: object, *, saturation: bool = False) -> tuple[OverflowAt, ...]:
    """Return what overflows at an input of these codes, as `no_overflow` means it: what a counterexample of that property shows.

    With `saturation`, outputs that saturate are among them. Raises SpecError on codes that are none of the input's.
    """
    checks.kind(network, Network, "a network", "qs.load(…)")
    checks.flag(saturation, "saturation")
    inputs_of(network, "x")
    builder, (source,) = Builder(), network.inputs
    assert isinstance(source.layer, Input)
    low, high = code_range(source.layer.format, source.layer.shape)
    given = integers(codes).reshape(-1)
    if given.size != low.size or np.any(given < low) or np.any(given > high):
        raise SpecError("not codes of the input", given=codes, expected=f"{low.size} codes of {source.layer.format}")
    taps = lower(builder, network, [builder.input(source.name, low, high)])
    places: list[tuple[Stage, str, Format, int]] = []
    for stage in network.stages:
        for tap, fmt in overflowing(stage.layer, saturation=saturation):
            before: Callable[[], int] | None = getattr(taps[stage.name], tap)
            if before is not None:
                places.append((stage, PLACES[tap], fmt, before()))
    values, known = reference.evaluate(builder.program, {source.name: given}), bound(builder.program)
    return tuple(o for stage, place, fmt, node in places for o in _beyond(stage, place, fmt, np.asarray(values[node]), known[node]))


PLACES: dict[Tap, str] = {"held": "accumulator", "rounded": "output"}


def _beyond(stage: Stage, place: str, fmt: Format, values: np.ndarray, known: Interval) -> list[OverflowAt]:
    low, high = code_range(fmt, stage.type.shape)
    found: list[OverflowAt] = []
    for k in np.flatnonzero((values < low) | (values > high)).tolist():
        neuron = tuple(int(i) for i in np.unravel_index(k, stage.type.shape))
        own = Interval(known.lower[k : k + 1], known.upper[k : k + 1])
        ends = (int(low[k]), int(high[k]), int(own.lower[0]), int(own.upper[0]))
        found.append(OverflowAt(stage.name, place, neuron, int(values[k]), *ends, signed_width(own)))
    return found
