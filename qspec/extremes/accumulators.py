"""How wide accumulators must be: what sums reach on a domain, in any order, and the narrowest widths that are proved to do.

Ranges are exact interval bounds, so they contain all that is reached. A narrower width is claimed only by a proof, and that no narrower one
does only by an input whose sum leaves it, evaluated on the reference integers. Partial sums are bounded for every order of the terms: by
the sum of all positive parts, and of all negative ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Unpack, cast

import numpy as np

from qspec.arithmetic.integers import IntArray, widen
from qspec.bounds.interval import Interval, bound
from qspec.errors import SpecError
from qspec.face import Network
from qspec.ir import linear
from qspec.ir.integer import Input as Free
from qspec.language.domains import extremes
from qspec.language.functions import between
from qspec.language.property import forall
from qspec.lowering.evaluate import program
from qspec.lowering.layers import constant_sum
from qspec.lowering.summary import aligned, signed_width
from qspec.network.graph import Stage
from qspec.network.layers import Conv2D, Dense
from qspec.solver import Limits
from qspec.support import checks
from qspec.support.tables import Tabular
from qspec.verify.decide import verify
from qspec.verify.options import LimitOptions, Settings
from qspec.verify.result import Verdict

SCHEMA = "qspec.accumulators/1"


@dataclass(frozen=True, slots=True, eq=False)
class Accumulator:
    """What the sums of one layer need, in the accumulator's unit.

    `lower` and `upper` bound every complete sum, `partial_lower` and `partial_upper` every partial sum in any order. `width` is a number
    of bits in two's complement that complete sums are proved to fit in, `partial_width` one for partial sums. `neuron` is the index of the
    element with the widest range. `narrowest` says that one bit less is too little, as `witness`, codes of the input, shows; None if nobody
    asked or could tell.
    """

    layer: str
    neuron: tuple[int, ...]
    lower: int
    upper: int
    width: int
    partial_lower: int
    partial_upper: int
    partial_width: int
    declared: str
    narrowest: bool | None = None
    witness: IntArray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Accumulators(Tabular):
    """The accumulators of a network, layer by layer."""

    network: str
    layers: tuple[Accumulator, ...]

    def rows(self) -> list[dict[str, object]]:
        """Return a plain row for each layer."""
        names = ("layer", "neuron", "lower", "upper", "width", "partial_width", "declared", "narrowest")
        return [{n: list(a.neuron) if n == "neuron" else getattr(a, n) for n in names} for a in self.layers]

    def to_dict(self) -> dict[str, object]:
        """Return the accumulators as JSON values, schema `qspec.accumulators/1`; witnesses are codes of the input."""
        witnesses = {a.layer: a.witness.tolist() for a in self.layers if a.witness is not None}
        return {"schema": SCHEMA, "network": self.network, "layers": self.rows(), "witnesses": witnesses}

    def __getitem__(self, layer: str) -> Accumulator:
        for a in self.layers:
            if a.layer == layer:
                return a
        raise SpecError("no sums in this layer", given=layer, expected=", ".join(a.layer for a in self.layers))

    def __str__(self) -> str:
        head = ("layer", "neuron", "range", "bits", "in any order", "declared")
        return "\n".join([self.network, *aligned([head, *(_row(a) for a in self.layers)])])

    __repr__ = __str__


def accumulators(network: Network, *, lower: object = None, upper: object = None) -> Accumulators:
    """Return what the sums of every Dense and Conv2D layer reach at most on the input codes lower..upper (all, unless given).

    Raises SpecError on an empty domain, and on bounds for a network of several inputs.
    """
    checks.kind(network, Network, "a network", "qs.load(…)")
    nodes, taps = program(network)
    if lower is not None or upper is not None:
        box = Interval(*extremes(network.input("x", lower=lower, upper=upper).domain))
        nodes = tuple(replace(n, lower=box.lower, upper=box.upper) if isinstance(n, Free) else n for n in nodes)
    known = bound(nodes)
    found: list[Accumulator] = []
    for stage in _summing(network):
        sums = taps[stage.name].accumulator
        assert sums is not None
        argument = network.stages[stage.arguments[0]]
        found.append(_accumulator(network, stage, known[sums], known[taps[argument.name].output]))
    return Accumulators(network.name, tuple(found))


def least_accumulators(network: Network, *, lower: object = None, upper: object = None, **options: Unpack[LimitOptions]) -> Accumulators:
    """Return the narrowest width of each layer's complete sums: each is proved to do, and one bit less is refuted by an input.

    A layer whose narrower widths nobody could decide within limits, which are those of `qs.verify` and for each width, has the last
    width that was proved, and `narrowest` is None. Raises SpecError on an empty domain or malformed limits.
    """
    limits = Settings.of(options, LimitOptions).limits
    bounded = accumulators(network, lower=lower, upper=upper)
    return replace(bounded, layers=tuple(_narrowed(network, a, lower, upper, limits) for a in bounded.layers))


def _narrowed(network: Network, a: Accumulator, lower: object, upper: object, limits: Limits) -> Accumulator:
    x = network.input("x", lower=lower, upper=upper)
    code = network.signal(x, layer=a.layer, tap="accumulator").code.flatten()
    while a.width > 1:
        reach = 1 << (a.width - 2)
        spec = forall(x, then=between(code, -reach, reach - 1), name=f"{a.layer} in {a.width - 1} bits")
        result = verify(spec, limits=limits)
        if result.verdict is Verdict.UNKNOWN:
            return a
        if result.verdict is Verdict.VIOLATED:
            return replace(a, narrowest=True, witness=cast("dict[str, IntArray]", result.counterexample)["x"])
        a = replace(a, width=a.width - 1, lower=max(a.lower, -reach), upper=min(a.upper, reach - 1))
    return replace(a, narrowest=True)


def _summing(network: Network) -> Sequence[Stage]:
    return [s for s in network.stages if isinstance(s.layer, Dense | Conv2D)]


def _accumulator(network: Network, stage: Stage, sums: Interval, x: Interval) -> Accumulator:
    layer = stage.layer
    assert isinstance(layer, Dense | Conv2D)
    least, most = _partial(network, stage, x)
    size = np.maximum(-sums.lower.astype(object) - 1, sums.upper.astype(object))
    neuron = np.unravel_index(int(np.argmax(size)), stage.type.shape)
    partial = Interval(least, most)
    return Accumulator(
        stage.name,
        tuple(int(k) for k in neuron),
        int(sums.lower.min()),
        int(sums.upper.max()),
        signed_width(sums),
        int(least.min()),
        int(most.max()),
        signed_width(partial),
        "" if layer.accumulator is None else str(layer.accumulator),
    )


def _partial(network: Network, stage: Stage, x: Interval) -> tuple[IntArray, IntArray]:
    """Return the sum of the negative parts, and of the positive ones, of the terms of each sum: the bias, and centred products."""
    layer = stage.layer
    assert isinstance(layer, Dense | Conv2D)
    argument = network.stages[stage.arguments[0]].type
    weights, folded = constant_sum(layer, argument)
    zeros = argument.grid.per_element(argument.shape)[1].astype(object)
    low, high = (np.asarray(widen(v, 2**63), dtype=object) - zeros for v in (x.lower, x.upper))
    above, below = np.maximum(high, 0), np.minimum(low, 0)
    centre, spread = linear.apply(weights, above + below), linear.apply(linear.absolute(weights), above - below)
    bias = folded.astype(object) + linear.apply(weights, zeros)
    return (centre - spread) // 2 + np.minimum(bias, 0), (centre + spread) // 2 + np.maximum(bias, 0)


def _row(a: Accumulator) -> tuple[str, ...]:
    neuron = ", ".join(map(str, a.neuron))
    bits = f"{a.width}" + (" (narrowest)" if a.narrowest else "")
    return a.layer, f"[{neuron}]", f"{a.lower:,} .. {a.upper:,}", bits, f"{a.partial_width}", a.declared
