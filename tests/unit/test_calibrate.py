"""Post-training quantisation: binary points by magnitude, widths for all layers or for each."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import qspec as qs
from qspec.errors import ShapeError, SpecError
from qspec.quantization.calibrate import _exponent

PIXEL = qs.Fixed(4, 4, signed=False)
KERNEL = np.array([[1.25, -2.0, 0.5], [0.75, 0.25, -1.5]])
BIAS = np.array([0.125, -0.5, 0.25])
LAST = np.array([[1.5], [-1.0], [0.75]])
DENSE = qs.RealSequential(qs.RealInput((2,)), qs.RealDense(KERNEL, BIAS, qs.ReLU()), qs.RealDense(LAST), name="dense")
VALUES = np.array([[0.5, 0.25], [0.9375, 0.0], [0.0, 0.9375]])


def dense(network: qs.Network, name: str) -> qs.Dense:
    layer = network.stage(name).layer
    assert isinstance(layer, qs.Dense)
    return layer


def test_binary_points_leave_room_for_the_greatest_magnitude() -> None:
    made = DENSE.calibrate(VALUES, input=PIXEL)
    hidden = np.maximum(VALUES @ KERNEL + BIAS, 0).max()
    assert 1 < hidden <= 2
    first, last = (made.formats(name, 8) for name in made.layers)
    assert first.weights == qs.Fixed(8, 6)  # |-2.0| <= 2^1
    assert first.biases == qs.Fixed(8, 8)  # 0.5 <= 2^-1
    assert first.output == qs.Fixed(8, 7, signed=False)  # ReLU: no sign; up to 2^1
    assert last.weights == qs.Fixed(8, 6)
    assert isinstance(last.output, qs.Fixed)
    assert last.output.signed


@pytest.mark.parametrize("peak", ["1", "1/2", "3/8", "2", "5/2", "1023/1024", "1025/1024", "1/1024", "7"])
def test_the_exponent_is_the_least_that_holds_the_peak(peak: str) -> None:
    e = _exponent(Fraction(peak))
    assert Fraction(2) ** (e - 1) < Fraction(peak) <= Fraction(2) ** e


@pytest.mark.parametrize("bits", [3, 6, 10])
def test_parameters_are_rounded_once_into_these_formats(bits: int) -> None:
    made = DENSE.calibrate(VALUES, input=PIXEL)
    network = made(bits)
    for name in made.layers:
        stored, real = dense(network, name), DENSE.stage(name).layer
        assert isinstance(real, qs.RealDense)
        formats = made.formats(name, bits)
        assert np.array_equal(stored.kernel.codes, qs.quantize(real.kernel, formats.weights).codes)
        assert stored.output == formats.output
    assert network.inputs[0].type.grid == PIXEL.grid()


def test_wide_enough_networks_compute_what_the_real_one_does() -> None:
    codes = np.stack(np.meshgrid(range(16), range(16)), axis=-1).reshape(-1, 2)
    network = DENSE.calibrate(codes / 16, input=PIXEL)(24)
    unit = float(network.output_types[0].grid.units[0])
    assert np.abs(network.evaluate(codes) * unit - DENSE.evaluate(codes / 16)).max() < 2**-18


def test_layers_may_have_widths_of_their_own() -> None:
    made = DENSE.calibrate(VALUES, input=PIXEL)
    first, last = made.layers
    network = made({first: 4, last: 9})
    assert dense(network, first).kernel.format == made.formats(first, 4).weights
    assert dense(network, last).output == made.formats(last, 9).output
    with pytest.raises(SpecError, match="not the bits of these layers"):
        made({first: 4})
    with pytest.raises(SpecError, match=f"no number of bits for {first}"):
        made({first: 1, last: 4})


def test_every_layer_that_rounds_has_a_format() -> None:
    image = qs.RealInput((4, 4, 1))
    convolution = qs.RealConv2D(np.full((3, 3, 1, 2), 0.5), activation=qs.ReLU())
    layers = (convolution, qs.AveragePool2D((2, 2)), qs.Flatten(), qs.RealDense(np.full((2, 2), -0.25)), qs.Activate(qs.Tanh()))
    network = qs.RealSequential(image, *layers, name="convolution")
    made = network.calibrate(np.full((1, 4, 4, 1), 0.5), input=PIXEL)
    signs = {name: peak.signed for name, peak in made.peaks.items()}
    assert list(signs.values()) == [False, False, True, True]
    assert made(6).evaluate(np.full((4, 4, 1), 8)).shape == (2,)


@pytest.mark.parametrize(("values", "error"), [([[np.nan, 0]], SpecError), (np.zeros((0, 2)), SpecError), ([[1, 2, 3]], ShapeError)])
def test_what_cannot_calibrate_is_refused(values, error: type[Exception]) -> None:
    with pytest.raises(error):
        DENSE.calibrate(values, input=PIXEL)
