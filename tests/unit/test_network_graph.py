"""How layers become a network: names, order, shared inputs, several inputs and outputs."""

from __future__ import annotations

import numpy as np
import pytest

import qspec as qs
from qspec.errors import NetworkError, ShapeError
from qspec.lowering.evaluate import trace

FOUR = qs.Fixed(4, 0)


def test_an_input_may_stand_for_its_signal_more_than_once() -> None:
    x = qs.Input((2,), FOUR)
    network = qs.Network.of(qs.apply(qs.Add(), x, qs.apply(qs.Requantize(FOUR, qs.ReLU()), x), x))
    assert [s.name for s in network.stages] == ["x", "requantize_1", "add_1"]
    assert network.evaluate([-3, 2]).tolist() == [-6, 6]


def test_signals_that_are_shared_are_computed_once() -> None:
    hidden = qs.apply(qs.Requantize(FOUR), qs.Input((1,), FOUR))
    network = qs.Network.of([qs.apply(qs.Add(), hidden, hidden), hidden])
    assert [s.name for s in network.stages] == ["x", "requantize_1", "add_1"]
    assert network.outputs == (2, 1)


def test_layers_are_named_by_kind_and_number_around_the_names_given() -> None:
    network = qs.Sequential(qs.Input((1,), FOUR), qs.Flatten(), qs.Flatten("flatten_2"), qs.Flatten(), qs.Requantize(FOUR, name="last"))
    assert [s.name for s in network.stages] == ["x", "flatten_1", "flatten_2", "flatten_3", "last"]
    assert network.stage("last").arguments == (3,)


def test_deep_networks_need_no_recursion() -> None:
    network = qs.Sequential(qs.Input((1,), FOUR), *[qs.Flatten()] * 5000)
    assert len(network.stages) == 5001


def test_batches_of_several_inputs_broadcast() -> None:
    x, y = qs.Input((2,), FOUR, "x"), qs.Input((2,), FOUR, "y")
    total = qs.apply(qs.Add(name="total"), x, y)
    network = qs.Network.of([total, qs.apply(qs.Requantize(FOUR, name="alone"), x)])
    found = trace(network, {"x": [1, 2], "y": [[0, 1], [2, 3], [4, 5]]})
    assert found["total"].tolist() == [[1, 3], [3, 5], [5, 7]]
    assert found["alone"].tolist() == [[1, 2]] * 3
    with pytest.raises(ShapeError, match="batches do not fit together"):
        trace(network, {"x": [[1, 2]] * 2, "y": [[0, 1]] * 3})


def test_codes_come_in_the_shape_of_the_input_or_flat() -> None:
    network = qs.Sequential(qs.Input((2, 1, 2), FOUR), qs.Flatten())
    codes = np.arange(-4, 4).reshape(2, 2, 1, 2)
    assert network.evaluate(codes).tolist() == codes.reshape(2, 4).tolist()
    assert network.evaluate(codes.reshape(2, 4)).tolist() == codes.reshape(2, 4).tolist()
    assert network.evaluate(np.zeros((0, 4))).shape == (0, 4)


def test_results_can_be_written_to() -> None:
    network = qs.Sequential(qs.Input((1,), FOUR), qs.Flatten())
    network.evaluate([1])[0] = 2
    assert network.evaluate([1]).tolist() == [1]


def test_a_stride_of_zero_is_no_default() -> None:
    with pytest.raises(NetworkError, match=r"stride is malformed(.|\n)*given: +0"):
        qs.MaxPool2D(2, stride=0)  # pyright: ignore[reportArgumentType]
