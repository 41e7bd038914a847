"""Examples over every layer."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

import qspec as qs
from qspec.testing.example import Example
from qspec.testing.examples.parts import BIT, HALVES, HOLDS, mlp, tensor, tight

WIDE = qs.Fixed(6, 1)


def _dense() -> qs.Network:
    return qs.Sequential(qs.Input((2,), HALVES), qs.Dense(tensor(2, 3, seed=1), tensor(3, seed=2), output=qs.Fixed(4, 1)))


def _dense_without_bias() -> qs.Network:
    return qs.Sequential(qs.Input((2,), HALVES), qs.Dense(tensor(2, 2, seed=3), output=qs.Fixed(4, 0)))


def _raw_accumulator() -> qs.Network:
    return qs.Sequential(qs.Input((2,), HALVES), qs.Dense(tensor(2, 2, seed=4), tensor(2, seed=5, format=qs.Fixed(4, 3)), qs.ReLU()))


def _image(height: int, width: int, channels: int = 1) -> qs.Input:
    return qs.Input((height, width, channels), BIT)


def _convolution() -> qs.Network:
    return qs.Sequential(_image(2, 3), qs.Conv2D(tensor(2, 2, 1, 2, seed=6), tensor(2, seed=7), output=WIDE))


def _stride() -> qs.Network:
    return qs.Sequential(_image(3, 3), qs.Conv2D(tensor(2, 1, 1, 2, seed=8), stride=(1, 2), output=WIDE))


def _same_padding() -> qs.Network:
    return qs.Sequential(_image(2, 3), qs.Conv2D(tensor(2, 2, 1, 1, seed=9), tensor(1, seed=10), padding="same", output=WIDE))


def _padding_and_dilation() -> qs.Network:
    layer = qs.Conv2D(tensor(2, 2, 1, 1, seed=11), padding=((1, 0), (0, 2)), dilation=(1, 2), output=WIDE)
    return qs.Sequential(_image(2, 3), layer)


def _groups() -> qs.Network:
    return qs.Sequential(_image(1, 2, 4), qs.Conv2D(tensor(1, 2, 2, 4, seed=12), groups=2, output=WIDE))


def _depthwise() -> qs.Network:
    return qs.Sequential(_image(2, 2, 2), qs.Conv2D(tensor(2, 2, 1, 4, seed=13), tensor(4, seed=14), groups=2, output=WIDE))


def _average_pool() -> qs.Network:
    pool = qs.AveragePool2D((2, 2), stride=(1, 1), padding=((1, 0), (0, 1)), output=qs.Fixed(4, 2))
    return qs.Sequential(_image(2, 3), pool)


def _average_pool_with_padding() -> qs.Network:
    pool = qs.AveragePool2D((2, 2), stride=(2, 2), padding=(1, 1), count_padding=True, output=qs.Fixed(4, 3, rounding=qs.Rounding.RND_CONV))
    return qs.Sequential(_image(2, 4), pool)


def _average_pool_exact() -> qs.Network:
    return qs.Sequential(_image(2, 3), qs.AveragePool2D((1, 3), padding=((0, 0), (1, 1)), stride=(1, 1)))


def _max_pool() -> qs.Network:
    return qs.Sequential(qs.Input((2, 2, 1), qs.Fixed(2, 0)), qs.MaxPool2D((2, 2), stride=(1, 1), padding=((0, 0), (1, 0))))


def _residual() -> qs.Network:
    x = qs.apply(qs.Input((2,), HALVES))
    inner = qs.apply(qs.Dense(tensor(2, 2, seed=15), tensor(2, seed=16), qs.ReLU(), qs.Fixed(3, 0)), x)
    return qs.Network.of(qs.apply(qs.Add(output=qs.Fixed(3, 0), activation=qs.ReLU()), x, inner, x))


def _concat() -> qs.Network:
    x = qs.apply(qs.Input((2,), HALVES))
    left = qs.apply(qs.Dense(tensor(2, 1, seed=17), output=qs.Fixed(3, 0)), x)
    right = qs.apply(qs.Dense(tensor(2, 2, seed=18), output=qs.Fixed(4, 2)), x)
    return qs.Network.of(qs.apply(qs.Concat(), left, right))


def _concat_to_format() -> qs.Network:
    x = qs.apply(qs.Input((2,), HALVES))
    left = qs.apply(qs.Dense(tensor(2, 1, seed=19), output=qs.Fixed(4, 2)), x)
    return qs.Network.of(qs.apply(qs.Concat(output=qs.Fixed(3, 0)), x, left))


def _flatten() -> qs.Network:
    convolution = qs.Conv2D(tensor(1, 2, 1, 2, seed=20), activation=qs.ReLU(), output=qs.Fixed(3, 1, signed=False))
    return qs.Sequential(_image(2, 3), convolution, qs.Flatten(), qs.Dense(tensor(8, 1, seed=21), output=WIDE))


def _requantize() -> qs.Network:
    return qs.Sequential(
        qs.Input((2,), qs.Fixed(4, 2)), qs.Requantize(qs.Fixed(3, 0, rounding=qs.Rounding.RND_ZERO)), qs.Requantize(qs.Fixed(2, -1))
    )


def _batch_norm() -> qs.Network:
    kernel, bias = qs.fold_batch_norm(
        np.array([[1.0, -0.5], [0.25, 0.75]]),
        np.array([0.5, -0.5]),
        gamma=[1.5, -2.0],
        beta=[0.25, 0.0],
        mean=[0.5, 1.0],
        variance=[4.0, 0.25],
        epsilon=0.0,
    )
    stored = qs.Fixed(6, 3)
    return qs.Sequential(qs.Input((2,), HALVES), qs.Dense(qs.quantize(kernel, stored), qs.quantize(bias, stored), output=qs.Fixed(4, 1)))


def _several_inputs() -> qs.Network:
    a, b = qs.apply(qs.Input((1,), HALVES, name="a")), qs.apply(qs.Input((2,), qs.Fixed(2, 0), name="b"))
    return qs.Network.of(qs.apply(qs.Dense(tensor(3, 2, seed=22), tensor(2, seed=23), output=WIDE), qs.apply(qs.Concat(), a, b)))


def _several_outputs() -> qs.Property:
    x = qs.apply(qs.Input((2,), HALVES))
    hidden = qs.apply(qs.Dense(tensor(2, 2, seed=24), activation=qs.ReLU(), output=HALVES), x)
    net = qs.Network.of([qs.apply(qs.Dense(tensor(2, 1, seed=25), output=HALVES), hidden), hidden])
    v = net.input("v")
    score, inner = net.outputs_of(v)
    return qs.forall(v, given=qs.all(inner == 0), then=score == 0, name="several outputs")


def _inner_signal() -> qs.Property:
    net = mlp(seed=31)
    x = net.input("x")
    return qs.exists(x, then=qs.max(net.signal(x, layer="dense_1").code) == 7, name="inner signal")


ONE = Fraction(1)
CODES = qs.Affine(4, True, ONE, -3)


def _multiplier() -> qs.Network:
    kernel = qs.Tensor(np.array([[3, -2], [-1, 4]]), qs.Affine(4, True, ONE))
    dense = qs.Dense(kernel, qs.Tensor(np.array([1, -2]), qs.Affine(8, True, ONE)))
    rules = (qs.Scaling.AWAY, qs.Scaling.UP)
    return qs.Sequential(qs.Input((2,), qs.Affine(3, True, ONE, 1)), dense, qs.Multiplier(CODES, (1 << 30, 3 << 29), (-1, -2), rules))


def _thresholds() -> qs.Network:
    image = qs.Input((1, 2, 1), qs.Fixed(3, 0))
    moved = (qs.Pad((0, 1, 0), (0, 0, 0), -2), qs.Transpose((1, 0, 2)), qs.Reshape((3,)), qs.Reinterpret(qs.Affine(3, True, ONE, -1)))
    steps = np.array([[-1, 1, 4], [0, 0, 2], [1, 2, 3]])
    return qs.Sequential(image, *moved, qs.Thresholds(CODES, np.array([-4, -5, -8]), steps))


def _constant() -> qs.Network:
    x = qs.apply(qs.Input((2,), HALVES))
    return qs.Network.of(qs.apply(qs.Add(output=qs.Fixed(4, 0)), x, qs.apply(qs.Constant(tensor(2, seed=41)))))


LAYERS = (
    *tight("dense", _dense, "27/2"),
    *tight("dense-without-bias", _dense_without_bias, 8),
    *tight("raw-accumulator", _raw_accumulator, "7/2"),
    *tight("convolution", _convolution, 46),
    *tight("stride", _stride, 25),
    *tight("same-padding", _same_padding, 5),
    *tight("padding-and-dilation", _padding_and_dilation, 9),
    *tight("groups", _groups, 8),
    *tight("depthwise", _depthwise, "33/2"),
    *tight("average-pool", _average_pool, "1/2"),
    *tight("average-pool-with-padding", _average_pool_with_padding, "7/2"),
    *tight("average-pool-exact", _average_pool_exact, "13/6"),
    *tight("max-pool", _max_pool, 2),
    *tight("residual", _residual, 3),
    *tight("concat", _concat, "31/4"),
    *tight("concat-to-format", _concat_to_format, 9),
    *tight("flatten", _flatten, 1),
    *tight("requantize", _requantize, 6),
    *tight("batch-norm", _batch_norm, 7),
    *tight("several-inputs", _several_inputs, 14),
    Example("several-outputs", _several_outputs, HOLDS),
    Example("inner-signal", _inner_signal, HOLDS),
    *tight("multiplier", _multiplier, 13),
    *tight("thresholds", _thresholds, -2),
    *tight("constant", _constant, 7),
)
