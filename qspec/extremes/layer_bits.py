"""The fewest bits for each layer: from the fewest for all, one layer after the other loses bits as long as everything is proved to hold.

A greedy descent, biggest layer first, until no layer can lose one bit more. What it ends at is proved; that nothing smaller would do is
not, because robustness is not monotone in bits. Source of the task: Quadapter, Zhang et al., FM 2024, which goes by preimages instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from qspec.arithmetic.formats import code_range
from qspec.errors import SpecError
from qspec.face import Network
from qspec.network.layers import Conv2D, Dense
from qspec.quantization.accuracy import Labelled, accuracy
from qspec.quantization.calibrate import kept, quietly
from qspec.solver import Reason
from qspec.support.plain import document
from qspec.verify.result import Result, Verdict, all_hold, some_hold

Bits = Mapping[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What is known of one choice of bits: results in the order of asking, up to the first violation unless all were wanted."""

    bits: Bits
    network: Network = field(repr=False)
    results: tuple[Result, ...] = field(repr=False)
    asked: int
    """How many results it takes to know all."""
    stored: int
    """Bits of all parameters together."""
    accuracy: float | None = None
    agreement: float | None = None
    """The share of the real network's decisions that is kept on the samples of a calibration, if the network comes from one."""

    @property
    def verdict(self) -> Verdict:
        """VIOLATED if a property is, HOLDS if all hold, else UNKNOWN; what stands on floating point alone is unknown."""
        return all_hold(r.verdict for r in self.results)

    @property
    def certified(self) -> float | None:
        """The share that is proved to hold; None where a violation has ended the asking."""
        if len(self.results) < self.asked:
            return None
        return sum(r.verdict is Verdict.HOLDS for r in self.results) / self.asked

    def __str__(self) -> str:
        widths = " ".join(f"{name}:{bits}" for name, bits in self.bits.items())
        share = "" if self.certified is None else f"  certified {self.certified:.1%}"
        right = "" if self.accuracy is None else f"  accuracy {self.accuracy:.2%}"
        same = "" if self.agreement is None else f"  agreement {self.agreement:.2%}"
        return f"{widths}  {self.stored} bits  {self.verdict.name:<8}{share}{right}{same}"


@dataclass(frozen=True, slots=True, eq=False)
class LayerWidths:
    """The choices that were tried, in order: first the same bits for all layers, from the fewest on, then the descent."""

    table: tuple[Choice, ...]

    @property
    def best(self) -> Choice | None:
        """The choice with the fewest bits for which everything was proved, or None."""
        return min((c for c in self.table if c.verdict is Verdict.HOLDS), key=lambda c: c.stored, default=None)

    @property
    def fewest(self) -> Bits | None:
        """The bits of each layer of the best choice, or None."""
        return None if self.best is None else self.best.bits

    @property
    def certain(self) -> bool:
        """Whether no layer of the best choice can lose one bit: each time a counterexample was found, or there is no smaller width."""
        best = self.best
        if best is None:
            return all(c.verdict is Verdict.VIOLATED for c in self.table)
        tried = {tuple(c.bits.values()): c.verdict for c in self.table}
        least = min(min(c.bits.values()) for c in self.table)
        below = [_lowered(best.bits, name) for name, bits in best.bits.items() if bits > least]
        return all(tried.get(tuple(b.values())) is Verdict.VIOLATED for b in below)

    @property
    def verdict(self) -> Verdict:
        """HOLDS if everything was proved for some of those that were tried, VIOLATED if all are refuted, else UNKNOWN."""
        return some_hold(w.verdict for w in self.table)

    @property
    def reason(self) -> Reason | None:
        """Why the first result that is unknown is so, if the verdict is."""
        return why_unknown(r for w in self.table for r in w.results) if self.verdict is Verdict.UNKNOWN else None

    def to_dict(self) -> dict[str, object]:
        """Return everything as JSON values, schema `qspec.layer-widths/1`; exact numbers stay exact."""
        return document(self, "qspec.layer-widths/1")

    def __str__(self) -> str:
        end = "none of these is proved" if self.best is None else f"fewest bits proved: {self.best}"
        doubt = "" if self.certain else "\nsome that might do with less are unknown"
        return "\n".join([*map(str, self.table), end + doubt])


def why_unknown(results: Iterable[Result]) -> Reason | None:
    """Return why the first of some results that is unknown is so; None if none is."""
    return next((r.reason for r in results if r.verdict is Verdict.UNKNOWN), None)


Ask = Callable[[Network], tuple[tuple[Result, ...], int]]
"""Returns the results of everything that is asked about a network, and how many there would be."""


def descend(
    make: Callable[[Bits], Network], layers: Sequence[str], widths: Sequence[int], ask: Ask, labelled: Labelled | None
) -> LayerWidths:
    """Find the fewest bits for each of `layers`; see `qspec.extremes.bits.fewest_bits`."""
    if not layers or len(set(layers)) < len(layers):
        raise SpecError("no layers to choose bits for", given=list(layers), expected="names that differ", advice="calibration.layers")
    tried: dict[tuple[int, ...], Choice] = {}
    quiet = quietly(make)

    def choose(bits: Bits) -> Choice:
        key = tuple(bits.values())
        if key not in tried:
            network = quiet(bits)
            if not isinstance(network, Network):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise SpecError("`make` returned no network", given=network, expected="a Network for bits by layer")
            results, wanted = ask(network)
            right = None if labelled is None else accuracy(network, labelled)
            same = kept(make, network)
            share = None if same is None else same.share
            tried[key] = Choice(bits, network, results, wanted, parameter_bits(network), right, share)
        return tried[key]

    start = next((c for w in widths if (c := choose(dict.fromkeys(layers, w))).verdict is Verdict.HOLDS), None)
    while start is not None:
        start = next((c for bits in _smaller(start, widths[0]) if (c := choose(bits)).verdict is Verdict.HOLDS), None)
    return LayerWidths(tuple(tried.values()))


def parameter_bits(network: Network) -> int:
    """Return how many bits all stored weights and biases take."""
    total = 0
    for stage in network.stages:
        if isinstance(stage.layer, Dense | Conv2D):
            for tensor in (stage.layer.kernel, stage.layer.bias):
                if tensor is not None:
                    lower, upper = code_range(tensor.format, tensor.shape)
                    spans: list[int] = np.unique(np.asarray(upper - lower)).tolist()
                    total += sum(span.bit_length() * int(np.count_nonzero(upper - lower == span)) for span in spans)
    return total


def _smaller(choice: Choice, least: int) -> Iterator[Bits]:
    """Yield what is one bit smaller in one layer, the layer with most parameters first."""
    weight = {s.name: s.layer.kernel.codes.size for s in choice.network.stages if isinstance(s.layer, Dense | Conv2D)}
    for name in sorted(choice.bits, key=lambda n: -weight.get(n, 0)):
        if choice.bits[name] > least:
            yield _lowered(choice.bits, name)


def _lowered(bits: Bits, name: str) -> dict[str, int]:
    return {n: b - (n == name) for n, b in bits.items()}
