"""What a runtime is: a name, a version, and the rule by which each of its kernels turns integers into codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from qspec.arithmetic.formats import Affine
from qspec.arithmetic.integers import IntArray
from qspec.network.kernel_layers import Multiplier, Thresholds
from qspec.runtimes.arithmetic import Quantized

Stage = Multiplier | Thresholds


@dataclass(frozen=True, slots=True)
class Addition:
    """How two signals are added: centred codes through `operands`, or times `factors`, and the sum through `total`.

    The formats of `operands` have unit 1, so that their results add as integers. With factors the sum counts in their greatest common
    divisor, and `total` takes that into account.
    """

    operands: tuple[Multiplier, Multiplier] | None
    factors: tuple[int, int] | None
    total: Stage


@dataclass(frozen=True, slots=True)
class Averaging:
    """How a mean is taken: `centred` says whether the sum is of centred codes or of codes; `result` makes the codes of the sum.

    With `relabel` the codes that `result` puts out are read in that quantisation.
    """

    centred: bool
    result: Stage
    relabel: Quantized | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Interpolation:
    """How an image is resized: exact sums of codes with whole weights along height and width, each of shape (places, new places), and
    `total`, which makes codes of the sums."""

    rows: IntArray
    columns: IntArray
    total: Stage


@dataclass(frozen=True, slots=True)
class Recurrence:
    """How a step of SVDF works: `new` makes the newest activations of the sums over features, cut to the bits of the state but without its
    zero point; `total` makes the codes of the sums over time."""

    new: Stage
    total: Stage


@dataclass(frozen=True, slots=True, eq=False)
class Normalization:
    """How SOFTMAX works on codes at distances -255 to 0 from the greatest one.

    `exponentials` are what each distance adds to the sum, shape (256,). `most[k - 1]` says for each distance up to which sum it reaches
    level k, shape (255, 256); it never falls along a row. A code is the number of levels that are reached, less 128.
    """

    exponentials: IntArray
    most: IntArray


class Runtime(Protocol):
    """The kernels of a runtime; scales are float32 numbers, fused activations are named as in the TensorFlow Lite schema.

    Every method raises UnsupportedError where the runtime refuses, or where its rule is not known.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str:
        """The releases for which the rules were measured."""
        ...

    def ends(self, activation: str, out: Quantized) -> tuple[int, int]:
        """Return the lowest and the highest code that a fused activation lets through."""
        ...

    def sums(
        self, kind: str, scale: float, kernel: Sequence[float], out: Quantized, ends: tuple[int, int], bias: int = 32, groups: int = 1
    ) -> Stage:
        """Return the output stage of CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED: input scale, kernel scales per channel.

        `bias` are the bits of the bias: 32, or with signals of 16 bits also 64, or 0 where there is none; `groups` are those of a CONV_2D.
        """
        ...

    def addition(
        self, kind: str, a: Quantized, b: Quantized, out: Quantized, ends: tuple[int, int], shapes: tuple[Sequence[int], Sequence[int]]
    ) -> Addition:
        """Return how ADD or SUB works for operands of these shapes; of SUB the second one is negated before the sum."""
        ...

    def product(self, a: Quantized, b: Quantized, out: Quantized, ends: tuple[int, int]) -> Stage:
        """Return the output stage of MUL, for the product of centred codes."""
        ...

    def slopes(self, x: Quantized, alpha: Quantized, out: Quantized) -> tuple[float, float]:
        """Return the multipliers of PRELU from zero up and below, both rounded twice with the last tie away from zero."""
        ...

    def average(self, count: int, x: Quantized, out: Quantized, *, image: bool, keep: bool, channels: int) -> Averaging:
        """Return how MEAN over `count` places works; `image` means over height and width of a batch of images."""
        ...

    def bilinear(self, given: Sequence[int], made: Sequence[int], fmt: Affine, *, align: bool, half: bool) -> Interpolation:
        """Return how RESIZE_BILINEAR works from one height and width to others, on codes of `fmt`, whose zero point is 0."""
        ...

    def recurrence(self, x: Quantized, feature: float, state: Quantized, time: float, out: Quantized) -> Recurrence:
        """Return how SVDF works, with the scales of the weights of features and of time."""
        ...

    def softmax(self, x: Quantized, beta: float, count: int) -> Normalization:
        """Return how SOFTMAX normalises `count` int8 codes to int8."""
        ...

    def requantize(self, x: Quantized, out: Quantized, size: int) -> Stage:
        """Return how QUANTIZE from codes to codes works for a tensor of `size` elements."""
        ...

    def table(self, kind: str, x: Quantized, out: Quantized, options: Mapping[str, float]) -> list[int]:
        """Return the code that an operator on single elements puts out for each input code, lowest first."""
        ...
