"""The table of a network says what each layer is, and how wide an accumulator has to be."""

from __future__ import annotations

import numpy as np
import pytest

import qspec as qs
from qspec.bounds.interval import Interval
from qspec.lowering.evaluate import program, trace
from qspec.lowering.summary import signed_width
from tests.unit.random_networks import random_codes, random_network

EXPECTED = """\
classifier

layer      kind       reads      shape  format                     parameters  accumulator
image      Input                 4x4x1  ufixed<4,4,RND,SAT>
conv2d_1   Conv2D     image      4x4x2  ufixed<8,4,RND,SAT>        20          10 bits
pool       MaxPool2D  conv2d_1   2x2x2  as read
flatten_1  Flatten    pool       8      as read
dense_1    Dense      flatten_1  3      exact, unit 1/16           24          13 bits
dense_2    Dense      dense_1    1      int8(scale 0.25, zero -3)  3           18 bits, declared fixed<16,12,TRN,WRAP>

parameters: 47 in 24 bytes
outputs: dense_2"""


def classifier() -> qs.Network:
    four = qs.Fixed(4, 0)
    ones = qs.Tensor(np.array([1, 1]), four)
    held = qs.Fixed.parse("ap_fixed<16,12>")
    return qs.Sequential(
        qs.Input((4, 4, 1), qs.Fixed(4, 0, False), "image"),
        qs.Conv2D(qs.Tensor(np.full((3, 3, 1, 2), 3), four), ones, padding="same", output=qs.Fixed(8, 4, False)),
        qs.MaxPool2D((2, 2), name="pool"),
        qs.Flatten(),
        qs.Dense(qs.Tensor(np.full((8, 3), -2), four)),
        qs.Dense(qs.Tensor(np.full((3, 1), 7), four), accumulator=held, output=qs.int8("0.25", -3)),
        name="classifier",
    )


def test_the_table() -> None:
    assert classifier().summary() == EXPECTED


def test_features_are_listed() -> None:
    features = (qs.Feature("age", 18, 90), qs.Feature("sex", categories=("f", "m")))
    text = qs.Sequential(qs.Input((3,), qs.Fixed(8, 0), "person", features)).summary()
    assert text.endswith("features of person\nage  18..90\nsex  one of f, m")


def test_tables_and_channels_count_at_their_width() -> None:
    by_channel = qs.PerChannel((qs.Fixed(3, 0), qs.Fixed(5, 0)))
    table = qs.Lookup(qs.Fixed(2, 0), qs.Tensor(np.array([0, 1, 2, 3]), qs.Fixed(6, 0)))
    dense = qs.Dense(qs.Tensor(np.array([[1, 2], [3, 4], [1, 1]]), by_channel), activation=table, output=qs.Fixed(6, 0))
    assert f"parameters: 10 in {(3 * 8 + 4 * 6) // 8} bytes" in qs.Sequential(qs.Input((3,), qs.Fixed(8, 0)), dense).summary()


@pytest.mark.parametrize(
    ("least", "most", "bits"), [(0, 0, 1), (-1, 0, 1), (0, 1, 2), (-2, 1, 2), (-3, 1, 3), (-8, 7, 4), (0, 255, 9), (-1, 2**70, 72)]
)
def test_the_width_in_twos_complement(least: int, most: int, bits: int) -> None:
    values = Interval(np.array([least], dtype=object), np.array([most], dtype=object))
    assert signed_width(values) == bits
    assert -(2 ** (bits - 1)) <= least <= most < 2 ** (bits - 1)
    assert bits == 1 or not -(2 ** (bits - 2)) <= least <= most < 2 ** (bits - 2)


@pytest.mark.parametrize("seed", range(25))
def test_any_network_has_a_table_and_its_accumulators_suffice(seed: int) -> None:
    network = random_network(seed)
    lines = network.summary().splitlines()
    codes = random_codes(network, seed, most=64)
    found = trace(network, dict(codes))
    _, taps = program(network)
    for stage in network.stages:
        line = next(text for text in lines if text.startswith(f"{stage.name} "))
        assert "x".join(map(str, stage.type.shape)) in line
        assert (" bits" in line) == (taps[stage.name].accumulator is not None)
        if "exact, unit" in line and taps[stage.name].held is None:
            bits = int(line.split(" bits")[0].split()[-1])
            assert all(-(2 ** (bits - 1)) <= int(c) < 2 ** (bits - 1) for c in found[stage.name].reshape(-1))
