"""Small random networks over every layer, format and activation; the same seed gives the same network."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import prod
from random import Random

import numpy as np

from qspec.arithmetic.formats import Affine, Fixed, Format, PerChannel
from qspec.arithmetic.rounding import Overflow, Rounding
from qspec.arithmetic.tensor import Tensor
from qspec.face import Network
from qspec.network.activations import Activation, HardSigmoid, HardTanh, LeakyReLU, Linear, Lookup, ReLU, Sigmoid, Sign, Tanh
from qspec.network.graph import Signal, apply
from qspec.network.layers import Add, AveragePool2D, Concat, Conv2D, Dense, Flatten, Input, MaxPool2D, Requantize

ROUNDINGS, OVERFLOWS = list(Rounding), list(Overflow)
SCALES = [Fraction(1, 3), Fraction(1, 10), Fraction(7, 100), Fraction(1, 8), Fraction(5, 2), Fraction(0.1)]


class Dice(Random):
    """A source of random numbers, and whether formats are taken from the far ends of what is accepted."""

    def __init__(self, seed: int, *, extreme: bool = False) -> None:
        super().__init__(seed)
        self.extreme = extreme


def random_fixed(r: Dice, *, most: int = 16, least_unit: int | None = None) -> Fixed:
    """Return a fixed-point format of at most `most` bits and, if stated, of at most so many fraction bits."""
    if r.extreme:
        width = r.choice([1, 8, 31, 33, 61, 62, 63, 64]) if most >= 16 else r.randint(1, most)
        frac = r.choice([0, width, r.randint(-70, 70), -300, 300, -1000, 1000])
    else:
        width = min(most, r.choice([1, 2, 3, 4, 5, 8, r.randint(1, 16)]))
        frac = r.choice([0, width // 2, width, r.randint(-4, width + 4)])
    frac = frac if least_unit is None else min(frac, least_unit)
    return Fixed(width, frac, r.random() < 0.6, r.choice(ROUNDINGS), r.choice(OVERFLOWS))


def random_format(r: Dice, channels: int, *, most: int = 16, fine: bool = True) -> Format:
    """Return any kind of format for a tensor whose last axis has so many channels; `fine=False` keeps transcendental functions cheap."""
    least_unit = None if fine else 6
    kind = r.random()
    if kind < 0.55:
        return random_fixed(r, most=most, least_unit=least_unit)
    rounding, overflow, signed = r.choice(ROUNDINGS), r.choice(OVERFLOWS), r.random() < 0.5
    if kind < 0.7:
        parts = [random_fixed(r, most=most, least_unit=least_unit) for _ in range(channels)]
        return PerChannel(tuple(Fixed(p.width, p.frac, p.signed, rounding, overflow) for p in parts))
    width = min(most, r.choice([2, 4, 8]))
    count = 1 if kind < 0.85 else channels
    lowest = -(2 ** (width - 1)) if signed else 0
    zeros = tuple(r.randint(lowest, lowest + 2**width - 1) for _ in range(count))
    scales = tuple(r.choice(SCALES) for _ in range(count))
    zero: int | tuple[int, ...] = zeros if r.random() < 0.5 else zeros[0]
    return Affine(width, signed, scales, zero, rounding, overflow)


def code_ends(fmt: Format, channel: int) -> tuple[int, int]:
    """Return the least and the greatest code that a stored tensor may hold."""
    f = fmt.formats[channel] if isinstance(fmt, PerChannel) else fmt
    low = -(2 ** (f.width - 1)) if f.signed else 0
    high = low + 2**f.width - 1
    return (-high if f.signed and f.overflow is Overflow.SAT_SYM else low), high


def random_tensor(r: Dice, shape: tuple[int, ...], fmt: Format) -> Tensor:
    """Return random codes, often at the ends of the format."""
    codes: list[int] = []
    for k in range(prod(shape)):
        low, high = code_ends(fmt, k % shape[-1])
        codes.append(r.choice([low, high, r.randint(low, high), r.randint(low, high)]))
    return Tensor(np.array(codes, dtype=object).reshape(shape), fmt)


def random_activation(r: Dice, output: Format | None) -> Activation:
    """Return any activation that the output format allows."""
    if output is None:
        return r.choice([Linear(), ReLU()])
    table = random_fixed(r, most=6) if r.random() < 0.3 else None
    choices: list[Activation] = [
        Linear(),
        ReLU(),
        ReLU(r.choice([Fraction(0), Fraction(6), Fraction(7, 3), Fraction(1, 5)])),
        LeakyReLU(r.choice([Fraction(0), Fraction(1, 4), Fraction(1, 10), Fraction(1)])),
        Sign(),
        HardTanh(),
        HardSigmoid(),
        HardSigmoid(Fraction(1, 4), Fraction(-1, 3)),
        Sigmoid(table),
        Tanh(table),
    ]
    if not isinstance(output, PerChannel) and not (isinstance(output, Affine) and isinstance(output.scale, tuple)):
        index = random_fixed(r, most=4)
        choices.append(Lookup(index, random_tensor(r, (2**index.width,), output)))
    return r.choice(choices)


def random_input(r: Dice, name: str, shape: tuple[int, ...]) -> Signal:
    """Return an input of few bits."""
    return apply(Input(shape, random_format(r, shape[-1], most=r.choice([2, 4, 8])), name))


def random_network(seed: int, *, extreme: bool = False) -> Network:
    """Return a network of one or two inputs and up to five layers; every signal that nothing reads is an output."""
    r = Dice(seed, extreme=extreme)
    image = r.random() < 0.5
    shape = (r.randint(2, 4), r.randint(2, 4), r.randint(1, 2)) if image else (r.randint(1, 3),)
    signals = [random_input(r, "x", shape)]
    if r.random() < 0.3:
        signals.append(random_input(r, "y", shape))
    for _ in range(r.randint(1, 5)):
        signals.append(random_layer(r, signals))
    used = {id(a) for s in signals for a in s.arguments}
    return Network.of([s for s in signals if id(s) not in used], name=f"seed {seed}")


def random_layer(r: Dice, signals: list[Signal]) -> Signal:
    """Put a random layer on random signals."""
    x = r.choice(signals[-2:])
    alike = [s for s in signals if s.shape == x.shape]
    joinable = [s for s in signals if s.shape[:-1] == x.shape[:-1] and sum(s.shape) < 12]
    options = ["add", "concat", "requantize", *(["conv", "conv", "pool", "flatten"] if len(x.shape) == 3 else ["dense", "dense", "dense"])]
    match r.choice(options):
        case "add":
            output = random_format(r, x.shape[-1], fine=False) if r.random() < 0.8 else None
            return apply(Add(random_activation(r, output), output), *r.choices(alike, k=r.randint(1, 3)))
        case "concat":
            parts = r.choices(joinable or [x], k=2)
            output = random_format(r, sum(p.shape[-1] for p in parts)) if r.random() < 0.5 else None
            return apply(Concat(output), *parts)
        case "requantize":
            output = random_format(r, x.shape[-1], fine=False)
            return apply(Requantize(output, random_activation(r, output)), x)
        case "conv":
            return apply(random_convolution(r, x.shape), x)
        case "pool":
            return apply(random_pool(r, x.shape), x)
        case "flatten":
            return apply(Flatten(), x)
        case _:
            return apply(random_dense(r, x.shape[0]), x)


Parts = tuple[Tensor, Tensor | None, Activation, Format | None, Fixed | PerChannel | None]
"""Kernel, bias, activation, output and accumulator."""


def random_parts(r: Dice, shape: tuple[int, ...]) -> Parts:
    """Return what dense and convolution layers share, for a kernel of this shape."""
    channels = shape[-1]
    output = random_format(r, channels, fine=False) if r.random() < 0.8 else None
    accumulator: Fixed | PerChannel | None = None
    if r.random() < 0.3:
        formats = [random_fixed(r) for _ in range(channels)]
        alike = tuple(Fixed(f.width, f.frac, f.signed, formats[0].rounding, formats[0].overflow) for f in formats)
        accumulator = r.choice([formats[0], PerChannel(alike)])
    kernel = random_tensor(r, shape, random_format(r, channels, most=8))
    bias = random_tensor(r, (channels,), random_format(r, channels)) if r.random() < 0.7 else None
    return kernel, bias, random_activation(r, output), output, accumulator


def random_dense(r: Dice, inputs: int) -> Dense:
    return Dense(*random_parts(r, (inputs, r.randint(1, 3))))


def random_padding(r: Dice) -> str | tuple[object, object]:
    pads = [(r.randint(0, 1), r.randint(0, 1)) for _ in range(2)]
    return r.choice(["valid", "same", (r.randint(0, 1), r.randint(0, 1)), (pads[0], pads[1])])


def random_convolution(r: Dice, image: tuple[int, ...]) -> Conv2D:
    """Return a convolution that fits an image, grouped or not."""
    groups = r.choice([1, image[2]])
    window = (r.randint(1, min(3, image[0])), r.randint(1, min(3, image[1])))
    dilation = [r.randint(1, 2) if image[a] > 2 * (window[a] - 1) else 1 for a in (0, 1)]
    kernel, bias, activation, output, accumulator = random_parts(r, (*window, image[2] // groups, groups * r.randint(1, 2)))
    stride = (r.randint(1, 2), r.randint(1, 3))
    placed = (stride, random_padding(r), (dilation[0], dilation[1]), groups)
    return Conv2D(kernel, bias, *placed, activation, output, accumulator)


def random_pool(r: Dice, image: tuple[int, ...]) -> AveragePool2D | MaxPool2D:
    """Return a pooling layer that fits an image and leaves no window in the padding altogether."""
    window = (r.randint(1, min(3, image[0])), r.randint(1, min(3, image[1])))
    padding = random_padding(r) if min(window) > 1 else "valid"
    stride = r.choice([None, (1, 1), (2, 1)])
    if r.random() < 0.5:
        return MaxPool2D(window, stride, padding)
    output = random_format(r, image[2]) if r.random() < 0.7 else None
    return AveragePool2D(window, stride, padding, r.random() < 0.5, output)


def random_codes(network: Network, seed: int, *, most: int) -> dict[str, np.ndarray]:
    """Return codes of every input, shape (cases, size): all there are if they are at most `most`, else corners and random ones."""
    r = Random(seed)
    ends: list[tuple[int, int]] = []
    for stage in network.inputs:
        assert isinstance(stage.layer, Input)
        ends += [code_ends(stage.layer.format, k % stage.layer.shape[-1]) for k in range(stage.type.size)]
    if prod(high - low + 1 for low, high in ends) <= most:
        cases = [list(case) for case in product(*(range(low, high + 1) for low, high in ends))]
    else:
        cases = [[low for low, _ in ends], [high for _, high in ends]]
        cases += [[r.choice([low, high, r.randint(low, high)]) for low, high in ends] for _ in range(most // 8)]
    codes = np.array(cases, dtype=np.int64)
    starts = np.cumsum([0, *(s.type.size for s in network.inputs)])
    return {s.name: codes[:, starts[k] : starts[k + 1]] for k, s in enumerate(network.inputs)}
