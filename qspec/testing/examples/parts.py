"""Parts that examples are made of: literal-looking codes, small layers, and pairs of properties that pin a network's extreme value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

import qspec as qs
from qspec.arithmetic.formats import Format
from qspec.arithmetic.integers import integers
from qspec.language.expressions import Expression
from qspec.language.variables import Variable
from qspec.testing.example import Example, Mark
from qspec.verify.result import Verdict

HOLDS, VIOLATED = Verdict.HOLDS, Verdict.VIOLATED

HALVES = qs.Fixed(3, 1)
"""-2 to 1.5 by halves."""
BIT = qs.Fixed(1, 0, signed=False)
"""0 and 1."""


def codes(*shape: int, seed: int, low: int = -4, high: int = 3) -> np.ndarray:
    """Return integers from `low` to `high` that look random, the same ones everywhere (Lehmer generator, Park and Miller 1988)."""
    state, found = 7919 * (seed + 1), list[int]()
    for _ in range(prod(shape) + 3):
        state = state * 48271 % 0x7FFFFFFF
        found.append(low + state % (high - low + 1))
    return np.array(found[3:], dtype=np.int64).reshape(shape)


def tensor(*shape: int, seed: int, format: qs.Fixed = HALVES) -> qs.Tensor:
    """Return a tensor of codes that use the whole of a format of at most 4 bits, or its middle."""
    return qs.Tensor(codes(*shape, seed=seed, low=max(format.lower, -7), high=min(format.upper, 7)), format)


def stored(values: Sequence[object], format: Format) -> qs.Tensor:
    """Return codes written as nested lists as a tensor."""
    return qs.Tensor(integers(values), format)


def mlp(inputs: int = 2, outputs: int = 2, *, seed: int = 1, hidden: int = 3, output: qs.Fixed | None = HALVES) -> qs.Network:
    """Return a network with one hidden ReLU layer; inputs, weights and outputs are `HALVES`."""
    return qs.Sequential(
        qs.Input((inputs,), HALVES),
        qs.Dense(tensor(inputs, hidden, seed=seed), tensor(hidden, seed=seed + 50), qs.ReLU(), qs.Fixed(3, 1, signed=False)),
        qs.Dense(tensor(hidden, outputs, seed=seed + 100), tensor(outputs, seed=seed + 150), output=output),
    )


def variables(network: qs.Network) -> list[Variable]:
    """Return one variable for each input of a network."""
    return [network.input(s.name, of=s.name) for s in network.inputs]


def mixed(values: Expression) -> Expression:
    """Return `v[0] - 2 v[1] + 3 v[2] - …`, which every element moves in its own way."""
    return qs.dot([(k + 1) * (-1) ** k for k in range(values.size)], values.flatten())


def tight(name: str, network: Callable[[], qs.Network], greatest: int | str) -> tuple[Example, Example]:
    """Return two examples: `mixed` of the output is at most `greatest`, which holds, and is below it, which the greatest value violates."""
    return (
        Example(f"{name}-at-most", lambda: _limited(network(), greatest, strict=False), HOLDS),
        Example(f"{name}-below", lambda: _limited(network(), greatest, strict=True), VIOLATED),
    )


def _limited(network: qs.Network, greatest: int | str, *, strict: bool) -> qs.Property:
    inputs = variables(network)
    value = mixed(network(*inputs))
    return qs.forall(*inputs, then=value < qs.q(greatest) if strict else value <= qs.q(greatest), name="limited")


def marked(*marks: Mark) -> frozenset[Mark]:
    return frozenset(marks)
