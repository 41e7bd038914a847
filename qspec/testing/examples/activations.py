"""Examples over every activation."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial

import qspec as qs
from qspec.network.activations import Activation
from qspec.testing.examples.parts import HALVES, codes, tensor, tight


def _activated(activation: Activation, *, output: qs.Fixed, seed: int) -> qs.Network:
    return qs.Sequential(qs.Input((2,), HALVES), qs.Dense(tensor(2, 2, seed=seed), tensor(2, seed=seed + 1), activation, output))


def _relu_n() -> qs.Network:
    return _activated(qs.ReLU(Fraction("7/4")), output=qs.Fixed(4, 1), seed=3)


def _leaky() -> qs.Network:
    return _activated(qs.LeakyReLU(Fraction("1/3")), output=qs.Fixed(4, 1), seed=5)


def _hard_sigmoid() -> qs.Network:
    steep = qs.HardSigmoid(slope=Fraction("2/5"), offset=Fraction("1/4"))
    return qs.Sequential(
        qs.Input((2,), HALVES),
        qs.Dense(tensor(2, 2, seed=9), None, qs.HardSigmoid(), qs.Fixed(5, 4)),
        qs.Requantize(qs.Fixed(4, 3), steep),
    )


def _lookup() -> qs.Network:
    table = qs.Lookup(qs.Fixed(3, 0), qs.Tensor(codes(8, seed=41, low=-8, high=7), qs.Fixed(4, 1)))
    return _activated(table, output=qs.Fixed(4, 1), seed=21)


def _with(activation: Activation, seed: int, frac: int = 2) -> Callable[[], qs.Network]:
    return partial(_activated, activation, seed=seed, output=qs.Fixed(4, frac))


ACTIVATIONS = (
    *tight("relu", _with(qs.ReLU(), 1), "7/4"),
    *tight("relu-n", _relu_n, 2),
    *tight("leaky-relu", _leaky, "15/2"),
    *tight("sign", _with(qs.Sign(), 7), 3),
    *tight("hard-tanh", _with(qs.HardTanh(), 8), "11/4"),
    *tight("hard-sigmoid", _hard_sigmoid, "1/8"),
    *tight("sigmoid", _with(qs.Sigmoid(), 11, 3), "1/4"),
    *tight("sigmoid-table", _with(qs.Sigmoid(qs.Fixed(4, 1)), 13, 3), "1/2"),
    *tight("tanh", _with(qs.Tanh(), 15, 3), "5/4"),
    *tight("tanh-table", _with(qs.Tanh(qs.Fixed(4, 1)), 17, 3), "1/2"),
    *tight("lookup", _lookup, 7),
)
