"""Lowering by channel: nothing is left in a program that nothing reads, and what is observed of a layer is added when it is asked for."""

from __future__ import annotations

import numpy as np
import pytest

import qspec as qs
from qspec.arithmetic.rounding import Overflow
from qspec.ir.integer import arguments
from qspec.lowering.evaluate import program
from tests.unit.random_networks import random_network


@pytest.mark.parametrize("seed", range(60))
def test_every_node_of_a_program_is_read(seed: int) -> None:
    nodes, taps = program(random_network(seed))
    used = {a for node in nodes for a in arguments(node)} | {t.output for t in taps.values()}
    used |= {t.accumulator for t in taps.values() if t.accumulator is not None}
    assert used.issuperset(range(len(nodes)))


@pytest.mark.parametrize("overflow", [Overflow.SAT, Overflow.WRAP])
def test_what_overflows_is_added_when_it_is_asked_for(overflow: Overflow) -> None:
    word = qs.Fixed(4, 0)
    kernel = qs.Tensor(np.array([[3], [1]]), word)
    network = qs.Sequential(qs.Input((2,), word), qs.Dense(kernel, output=qs.Fixed(4, 0, overflow=overflow), name="d"))
    x = network.input("x", lower=-8, upper=7)
    rounded = network.signal(x, layer="d", tap="rounded")
    assert [qs.verify(qs.forall(x, then=rounded.code <= limit)).verdict.name for limit in (28, 27)] == ["HOLDS", "VIOLATED"]
