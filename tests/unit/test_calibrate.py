"""Post-training quantisation: binary points by magnitude, widths for all layers or for each."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import qspec as qs
from qspec.errors import ShapeError, SpecError
from qspec.quantization.scales import exponent

PIXEL = qs.Fixed(4, 4, signed=False)
KERNEL = np.array([[1.25, -2.0, 0.5], [0.75, 0.25, -1.5]])
BIAS = np.array([0.125, -0.5, 0.25])
LAST = np.array([[1.5], [-1.0], [0.75]])
DENSE = qs.real.Sequential(qs.real.Input((2,)), qs.real.Dense(KERNEL, BIAS, qs.ReLU()), qs.real.Dense(LAST), name="dense")
VALUES = np.array([[0.5, 0.25], [0.9375, 0.0], [0.0, 0.9375]])


def dense(network: qs.Network, name: str) -> qs.Dense:
    layer = network.stage(name).layer
    assert isinstance(layer, qs.Dense)
    return layer


def test_binary_points_leave_room_for_the_greatest_magnitude() -> None:
    made = DENSE.calibrate(VALUES, input=PIXEL, per="tensor").quantized(8)
    hidden = np.maximum(VALUES @ KERNEL + BIAS, 0).max()
    assert 1 < hidden <= 2
    first, last = (dense(made, name) for name in ("dense_1", "dense_2"))
    assert first.bias is not None
    assert first.kernel.format == qs.Fixed(8, 6)  # |-2.0| <= 2^1
    assert first.bias.format == qs.Fixed(8, 8)  # 0.5 <= 2^-1
    assert first.output == qs.Fixed(8, 7, signed=False)  # ReLU: no sign; up to 2^1
    assert last.kernel.format == qs.Fixed(8, 6)
    assert isinstance(last.output, qs.Fixed)
    assert last.output.signed


@pytest.mark.parametrize("peak", ["1", "1/2", "3/8", "2", "5/2", "1023/1024", "1025/1024", "1/1024", "7"])
def test_the_exponent_is_the_least_that_holds_the_peak(peak: str) -> None:
    e = exponent(Fraction(peak))
    assert Fraction(2) ** (e - 1) < Fraction(peak) <= Fraction(2) ** e


@pytest.mark.parametrize("per", ["channel", "tensor"])
@pytest.mark.parametrize("scales", ["fixed", "affine"])
def test_wide_enough_networks_compute_what_the_real_one_does(per: Any, scales: Any) -> None:
    codes = np.stack(np.meshgrid(range(16), range(16)), axis=-1).reshape(-1, 2)
    network = DENSE.calibrate(codes / 16, input=PIXEL, per=per, scales=scales)(24)
    unit = float(network.output_types[0].grid.units[0])
    assert np.abs(network.evaluate(codes) * unit - DENSE.evaluate(codes / 16)).max() < 2**-18


def test_layers_may_have_widths_of_their_own() -> None:
    made = DENSE.calibrate(VALUES, input=PIXEL, per="tensor")
    first, last = made.layers
    network = made.quantized({first: 4, last: 9})
    assert dense(network, first).kernel.format == dense(made.quantized(4), first).kernel.format
    assert dense(network, last).output == dense(made.quantized(9), last).output
    with pytest.raises(SpecError, match="not the bits of these layers"):
        made({first: 4})
    with pytest.raises(SpecError, match=f"no number of bits for {first}"):
        made({first: 1, last: 4})


def test_every_layer_that_rounds_has_a_format() -> None:
    image = qs.real.Input((4, 4, 1))
    convolution = qs.real.Conv2D(np.full((3, 3, 1, 2), 0.5), activation=qs.ReLU())
    layers = (convolution, qs.AveragePool2D((2, 2)), qs.Flatten(), qs.real.Dense(np.full((2, 2), -0.25)), qs.real.Activate(qs.Tanh()))
    network = qs.real.Sequential(image, *layers, name="convolution")
    made = network.calibrate(np.full((1, 4, 4, 1), 0.5), input=PIXEL)
    signs = {name: peak.signed for name, peak in made.peaks.items()}
    assert list(signs.values()) == [False, False, True, True]
    assert made.quantized(6).evaluate(np.full((4, 4, 1), 8)).shape == (2,)


@pytest.mark.parametrize(("values", "error"), [([[np.nan, 0]], SpecError), (np.zeros((0, 2)), SpecError), ([[1, 2, 3]], ShapeError)])
def test_what_cannot_calibrate_is_refused(values, error: type[Exception]) -> None:
    with pytest.raises(error):
        DENSE.calibrate(values, input=PIXEL)
