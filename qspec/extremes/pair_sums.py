"""Whether two products of one sum can leave 16 bits, as in kernels that add pairs of products of 8-bit numbers at int16 and saturate.

x86 kernels without VNNI multiply unsigned activations by signed weights and add neighbours, with saturation (`vpmaddubsw`); signed
activations are moved up by 128 for them. Which products are neighbours depends on how a kernel packs its weights. So all pairs of one sum
are bounded: none saturates means that no packing does. A pair that does is shown by an input, evaluated on the reference integers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from typing import cast

import numpy as np

from qspec.arithmetic.formats import Format, code_range
from qspec.arithmetic.integers import IntArray
from qspec.bounds.interval import bound
from qspec.face import Network
from qspec.language.connectives import Conjunction
from qspec.language.expressions import Expression
from qspec.language.functions import between
from qspec.language.inputs import Variable
from qspec.language.property import forall
from qspec.lowering.evaluate import program, trace
from qspec.network.graph import Stage
from qspec.network.kernel_layers import Pad, Reshape, Transpose
from qspec.network.layers import Concat, Conv2D, Dense, Flatten, Input, MaxPool2D
from qspec.network.shapes import padding_pairs
from qspec.network.types import Type
from qspec.support import checks
from qspec.verify.decide import verify
from qspec.verify.result import Result, Verdict

LOW, HIGH = -(1 << 15), (1 << 15) - 1
Pair = tuple[int, tuple[int, int]]
"""An output channel, and two terms of its sums."""
MOST = 256
"""Pairs that are asked about at once."""
KEEPS = MaxPool2D | Flatten | Concat | Reshape | Transpose | Pad
"""Layers whose codes are those that they are given; sums that nothing brings to a format are wider."""
SHIFT = 128
"""By which signed activations are moved up."""


@dataclass(frozen=True, slots=True, eq=False)
class PairSums:
    """What two products of one sum of a layer reach: every pair lies within `lower` to `upper`.

    HOLDS: no pair leaves int16, so that no packing saturates. VIOLATED: at `witness`, codes of the input, the products of two elements of
    the layer's input (`pair`, in its flat order) in the sum of the output channel `channel` add up to `value`, which int16 does not hold.
    UNKNOWN: nobody could tell whether the pair with the widest range does.
    """

    layer: str
    lower: int
    upper: int
    channel: int
    pair: tuple[int, int]
    verdict: Verdict
    value: int | None = None
    witness: IntArray | None = None

    def to_dict(self) -> dict[str, object]:
        """Return it as JSON values."""
        plain = {name: getattr(self, name) for name in ("layer", "lower", "upper", "channel", "value")}
        witness = None if self.witness is None else self.witness.tolist()
        return {**plain, "pair": list(self.pair), "verdict": self.verdict.name, "witness": witness}


@dataclass(frozen=True, slots=True)
class _Terms:
    """The least and greatest product of each weight of an output channel, shape (terms, channels); weights, and elements of the input."""

    low: IntArray
    high: IntArray
    weights: IntArray
    elements: IntArray


def pair_sums(network: Network, *, timeout: float | None = 10.0) -> tuple[PairSums, ...]:
    """Return what pairs of products reach in every Dense and Conv2D layer of 8-bit activations and weights, over all inputs.

    A layer whose bounds leave int16 takes a verdict of its own, of at most `timeout` seconds. Layers of other widths are left out: no such
    kernel computes them. Raises SpecError on a network with several inputs.
    """
    checks.kind(network, Network, "a network", "qs.load(…)")
    checks.seconds(timeout)
    x = network.input("x")
    nodes, taps = program(network)
    known = bound(nodes)
    found: list[PairSums] = []
    for stage in network.stages:
        if isinstance(stage.layer, Dense | Conv2D) and stage.layer.kernel.codes.size:
            before = network.stages[stage.arguments[0]]
            own = known[taps[before.name].output]
            if (shift := _shift(network, before)) is not None and _eight_bits(stage.layer):
                terms = _terms(stage, before.type, own.lower, own.upper, shift)
                found.append(_decided(_Question(network, x, stage, before, terms, shift), timeout))
    return tuple(found)


def _shift(network: Network, stage: Stage) -> int | None:
    """Return what makes the codes of activations unsigned bytes; None if nothing does."""
    layer = stage.layer
    fmt: Format | None = getattr(layer, "output", None) or getattr(layer, "format", None)
    if fmt is None:
        shifts = {_shift(network, network.stages[a]) for a in stage.arguments} if isinstance(layer, KEEPS) else set[int | None]()
        return shifts.pop() if len(shifts) == 1 else None
    low, high = code_range(fmt, stage.type.shape)
    return next((s for s in (0, SHIFT) if low.min() + s >= 0 and high.max() + s <= 255), None)


def _eight_bits(layer: Dense | Conv2D) -> bool:
    codes = layer.kernel.codes
    return bool(codes.min() >= -128 and codes.max() <= 127)


def _terms(stage: Stage, before: Type, lower: IntArray, upper: IntArray, shift: int) -> _Terms:
    layer = stage.layer
    if isinstance(layer, Dense):
        weights, elements = layer.kernel.codes, np.arange(before.size)
        ends = lower[:, None] + shift, upper[:, None] + shift
    else:
        assert isinstance(layer, Conv2D)
        *_, depth, outputs = layer.kernel.shape
        weights = layer.kernel.codes.reshape(-1, outputs)
        elements = _window(layer, before, depth).reshape(-1)
        zeros = before.grid.per_element(before.shape)[1]  # what padding holds
        ends = min(lower.min(), zeros.min()) + shift, max(upper.max(), zeros.max()) + shift
    products = weights * ends[0], weights * ends[1]
    return _Terms(np.minimum(*products), np.maximum(*products), weights, elements)


def _window(layer: Conv2D, before: Type, depth: int) -> IntArray:
    """Return the flat index of each input element in the window in the middle, for the first group; -1 where it is padding."""
    kh, kw = layer.kernel.shape[:2]
    height, width, channels = before.shape
    pads = padding_pairs(layer.padding, (height, width), (kh, kw), layer.stride, layer.dilation)
    sides: list[IntArray] = []
    for size, taps, pad, stride, step in zip((height, width), (kh, kw), pads, layer.stride, layer.dilation, strict=True):
        count = (size + sum(pad) - (taps - 1) * step - 1) // stride + 1
        place = (count // 2) * stride - pad[0] + np.arange(taps) * step
        sides.append(np.where((place >= 0) & (place < size), place, -1))
    rows, columns = sides[0][:, None, None], sides[1][None, :, None]
    return np.where((rows < 0) | (columns < 0), -1, (rows * width + columns) * channels + np.arange(depth)[None, None, :])


@dataclass(frozen=True, slots=True)
class _Question:
    """Whether a sum of two products of a layer leaves int16 at some input."""

    network: Network
    x: Variable
    stage: Stage
    before: Stage
    terms: _Terms
    shift: int

    def total(self, channel: int, pair: tuple[int, int]) -> Expression:
        """Return the sum of two products as an expression."""
        read = self.x if isinstance(self.before.layer, Input) else self.network.signal(self.x, layer=self.before.name)
        i, j = (int(self.terms.elements[k]) for k in pair)
        v, w = (int(self.terms.weights[k, channel]) for k in pair)
        codes = read.code.flatten()
        return v * (codes[i] + self.shift) + w * (codes[j] + self.shift)

    def asked(self, pairs: Sequence[Pair], timeout: float | None) -> Result:
        """Ask whether all of some pairs fit."""
        fit = Conjunction(tuple(between(self.total(channel, pair), LOW, HIGH) for channel, pair in pairs))
        return verify(forall(self.x, then=fit, name=f"pairs of {self.stage.name}"), timeout=timeout)


def _decided(asked: _Question, timeout: float | None) -> PairSums:
    terms, layer = asked.terms, asked.stage.layer
    lower, upper = (int(ends) for ends in (_two(terms.low).min(), -_two(-terms.high).min()))
    widest = list(_widest(terms, lower, upper))

    def found(at: Pair, verdict: Verdict, value: int | None = None, witness: IntArray | None = None) -> PairSums:
        elements = int(terms.elements[at[1][0]]), int(terms.elements[at[1][1]])
        return PairSums(asked.stage.name, lower, upper, at[0], elements, verdict, value, witness)

    if lower >= LOW and upper <= HIGH:
        return found(widest[0], Verdict.HOLDS)
    plain = isinstance(layer, Dense)
    groups = layer.groups if isinstance(layer, Conv2D) else 1
    for at in widest:
        if any(terms.elements[k] < 0 for k in at[1]) or groups > 1:
            continue
        result = asked.asked([at], timeout)
        if result.verdict is Verdict.VIOLATED:
            witness = cast("dict[str, IntArray]", result.counterexample)["x"]
            value = _value(asked, at, witness)
            assert not LOW <= value <= HIGH
            return found(at, Verdict.VIOLATED, value, witness)
    every = list(islice(_leaving(terms), MOST + 1)) if plain else []
    proved = 0 < len(every) <= MOST and asked.asked(every, timeout).verdict is Verdict.HOLDS
    return found(widest[0], Verdict.HOLDS if proved else Verdict.UNKNOWN)


def _leaving(terms: _Terms) -> Iterator[Pair]:
    """Yield every pair that bounds do not keep within int16."""
    for channel in range(terms.weights.shape[1]):
        low, high = terms.low[:, channel], terms.high[:, channel]
        near = np.flatnonzero((high + high.max() > HIGH) | (low + low.min() < LOW)).tolist()
        for i, j in combinations(near, 2):
            if high[i] + high[j] > HIGH or low[i] + low[j] < LOW:
                yield channel, (i, j)


def _two(values: IntArray) -> IntArray:
    """Return the sum of the two least of each column; of the one there is."""
    return np.partition(values, 1, axis=0)[:2].sum(axis=0) if values.shape[0] > 1 else values[0]


def _widest(terms: _Terms, lower: int, upper: int) -> Iterator[Pair]:
    """Yield the pair with the greatest sum, and that with the least; the one that is farther out first."""
    ends = [(upper - HIGH, -terms.high), (LOW - lower, terms.low)]
    for _, values in sorted(ends, key=lambda e: -e[0]):
        channel = int(np.argmin(_two(values)))
        first, *rest = np.argsort(values[:, channel], kind="stable")[:2].tolist()
        yield channel, (first, rest[0] if rest else first)


def _value(asked: _Question, at: Pair, witness: IntArray) -> int:
    """Return the sum of the two products at an input, by the reference integers."""
    before, network, (channel, pair) = asked.before, asked.network, at
    read = witness if isinstance(before.layer, Input) else trace(network, {network.inputs[0].name: witness})[before.name]
    codes = np.asarray(read).reshape(-1)
    return sum(int(asked.terms.weights[k, channel]) * (int(codes[asked.terms.elements[k]]) + asked.shift) for k in pair)
