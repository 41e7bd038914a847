"""Which single bit of which stored integer changes a decision: every flip on every sample, by the reference integers.

Nothing is searched or proved: each flipped network is evaluated, so what is listed is all there is. The cost is that of one evaluation for
each stored bit and sample. Source of the question: bit-flip attacks, Rakin, He, Fan 2019.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qspec.arithmetic.formats import code_range
from qspec.arithmetic.integers import IntArray, integers
from qspec.arithmetic.shapes import batch_axes
from qspec.arithmetic.tensor import Tensor
from qspec.batch.classes import winners
from qspec.deadline import tell
from qspec.errors import NetworkError, ShapeError, SpecError
from qspec.face import Network
from qspec.ir.integer import Program, sizes
from qspec.ir.integer_builder import Builder
from qspec.ir.reference import evaluate
from qspec.language.perturbation import flip_effects, stored_parameters
from qspec.lowering.evaluate import evaluate as outputs_of
from qspec.lowering.layers import ParameterName, lower
from qspec.network.layers import Input
from qspec.support import checks
from qspec.support.tables import Tabular
from qspec.support.watch import stop_if_cancelled

SCHEMA = "qspec.bit-flips/1"
HELD = 1 << 22
"""Numbers of the widest node that are computed at a time."""
SHOWN = 12
"""Flips that the text lists."""


@dataclass(frozen=True, slots=True, eq=False)
class BitFlip:
    """One stored bit: the layer, "kernel" or "bias", the index of the integer, the bit (0 is the lowest), and the code before and after.

    `number` is its place among all stored bits, as `flips` of `Network.flip_bits` counts them. `changed` are the samples whose decision it
    changes, `classes` the decision of each of them after the flip.
    """

    number: int
    layer: str
    tensor: str
    index: tuple[int, ...]
    bit: int
    before: int
    after: int
    changed: tuple[int, ...] = ()
    classes: tuple[int, ...] = ()

    def __str__(self) -> str:
        where = f"{self.layer}.{self.tensor}[{', '.join(map(str, self.index))}]"
        return f"{where} bit {self.bit}: {self.before} -> {self.after}"


@dataclass(frozen=True, slots=True, eq=False)
class BitFlips(Tabular):
    """Every stored bit whose flip changes the decision on some sample, those that change most first.

    `bits` are all that were tried, `samples` how many samples, `decisions` the classes without a flip.
    """

    network: str
    bits: int
    decisions: IntArray
    flips: tuple[BitFlip, ...]

    @property
    def samples(self) -> int:
        return len(self.decisions)

    def by_bit(self) -> dict[tuple[str, str, int], int]:
        """Return how many integers of each tensor change a decision by their bit of each place: (layer, tensor, bit) to number."""
        return dict(sorted(Counter((f.layer, f.tensor, f.bit) for f in self.flips).items()))

    def rows(self) -> list[dict[str, object]]:
        """Return a plain row for each flip: number, layer, tensor, index, bit, before, after, changed samples, their classes."""
        return [
            {
                **{n: getattr(f, n) for n in ("number", "layer", "tensor", "bit", "before", "after")},
                "index": list(f.index),
                "changed": list(f.changed),
                "classes": list(f.classes),
            }
            for f in self.flips
        ]

    def to_dict(self) -> dict[str, object]:
        """Return the flips as JSON values, schema `qspec.bit-flips/1`."""
        return {"schema": SCHEMA, "network": self.network, "bits": self.bits, "decisions": self.decisions.tolist(), "flips": self.rows()}

    def __str__(self) -> str:
        lines = [f"{self.network}: {len(self.flips)} of {self.bits} stored bits change a decision on {self.samples} samples"]
        for f in self.flips[:SHOWN]:
            k, after = f.changed[0], f.classes[0]
            lines.append(f"  {f}, {len(f.changed)} changed; sample {k}: class {int(self.decisions[k])} -> {after}")
        return "\n".join([*lines, *([f"  {len(self.flips) - SHOWN} more"] if len(self.flips) > SHOWN else [])])

    __repr__ = __str__


def flip_names(network: Network, *, layers: Sequence[str] | None = None) -> list[BitFlip]:
    """Return every stored bit in the order in which `flips` of `Network.flip_bits` counts them."""
    found: list[BitFlip] = []
    for (layer, kind), tensor in stored_parameters(network, layers).items():
        for (place, bit), change in np.ndenumerate(flip_effects(tensor)):
            index = tuple(int(k) for k in np.unravel_index(int(place), tensor.shape))
            before = int(tensor.codes[index])
            found.append(BitFlip(len(found), layer, kind, index, bit, before, before + int(change)))
    return found


def bit_flips(network: Network, samples: object, *, layers: Sequence[str] | None = None) -> BitFlips:
    """Return which stored bits change the decision on which samples when they alone flip, of the named layers or of all.

    `samples` are codes of shape (samples, *input shape). Decisions are the first class with the greatest value. Raises SpecError on a
    network with several inputs or without classes, NetworkError on one that stores nothing, ShapeError on samples that do not fit.
    """
    checks.kind(network, Network, "a network", "qs.load(…)")
    size = network.output_types[0].size
    if len(network.inputs) != 1 or size < 2:
        given = f"{len(network.inputs)} inputs, {size} outputs"
        raise SpecError("flips are judged by the decisions of a classifier", given=given, expected="one input, two classes or more")
    codes = _flat(network, samples)
    names = flip_names(network, layers=layers)
    if not names:
        raise NetworkError("the network stores no parameters", given=network.name, expected="a Dense or Conv2D layer")
    before = winners(network, outputs_of(network, codes.reshape(-1, *network.inputs[0].type.shape)).reshape(len(codes), size))
    after = np.concatenate([_decided(network, key, tensor, codes) for key, tensor in stored_parameters(network, layers).items()])
    found: list[BitFlip] = []
    for flip, classes in zip(names, after, strict=True):
        changed = np.flatnonzero(classes != before)
        if changed.size:
            told = tuple(changed.tolist()), tuple(classes[changed].tolist())
            found.append(BitFlip(flip.number, flip.layer, flip.tensor, flip.index, flip.bit, flip.before, flip.after, *told))
    return BitFlips(network.name, len(names), before, tuple(sorted(found, key=lambda f: (-len(f.changed), f.number))))


def _flat(network: Network, samples: object) -> IntArray:
    shape = network.inputs[0].type.shape
    codes = integers(samples)
    if batch_axes(codes.shape, shape, "the samples") != codes.shape[:1] or not len(codes):
        raise ShapeError("samples have the wrong shape", given=codes.shape, expected=f"(samples, {', '.join(map(str, shape))})")
    return codes.reshape(len(codes), -1)


def _decided(network: Network, key: ParameterName, tensor: Tensor, codes: IntArray) -> IntArray:
    """Return the decision on every sample under every flip of one tensor, shape (flips, samples)."""
    effects = flip_effects(tensor)
    nodes, output = _free(network, key, tensor)
    at_a_time = max(1, HELD // (max(sizes(nodes)) * len(codes)))
    parts: list[IntArray] = []
    for start in range(0, effects.size, at_a_time):
        places, bits = np.unravel_index(np.arange(start, min(start + at_a_time, effects.size)), effects.shape)
        flipped = np.tile(tensor.codes.reshape(-1), (len(places), 1))
        flipped[np.arange(len(places)), places] += effects[places, bits]
        stop_if_cancelled()
        tell("flips of a tensor", start, effects.size)
        values = evaluate(nodes, {network.inputs[0].name: codes[None], "parameters": flipped[:, None]})[output]
        parts.append(winners(network, values.reshape(-1, values.shape[-1])).reshape(len(places), len(codes)))
    return np.concatenate(parts)


def _free(network: Network, key: ParameterName, tensor: Tensor) -> tuple[Program, int]:
    """Return the network as a program in which one stored tensor is an input called `parameters`, and its output node."""
    builder = Builder()
    layer = network.inputs[0].layer
    assert isinstance(layer, Input)
    x = builder.input(network.inputs[0].name, *code_range(layer.format, layer.shape))
    low, high = (integers(v) for v in code_range(tensor.format, tensor.shape))
    free = builder.input("parameters", np.minimum(low, -high - 1), high)  # what a flipped bit can make of a symmetric code, too
    taps = lower(builder, network, [x], {key: free})
    return builder.program, taps[network.stages[network.outputs[0]].name].output
