"""What runs on the device, described: the steps that a program is lowered to.

A kernel holds nothing but what shapes the compiled code; weights, thresholds and bounds are arguments, so that programs which differ only
in those share one compilation. Vectors have shape (batch, size); a constant has batch 1. `choose_kernels.py` chooses the kernels and
proves that none of their arithmetic rounds or overflows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Whole = Literal["int8", "uint8", "int16", "int32", "int64"]
Dtype = Whole | Literal["float32", "float64"]
Arithmetic = Literal["shift32", "shift64", "float32", "float64", "int64"]


@dataclass(frozen=True, slots=True)
class InputKernel:
    """An input, by its place among the inputs; `x - shift` in int8 if `shifted`; parameters: then shift ()."""

    slot: int
    shifted: bool


@dataclass(frozen=True, slots=True)
class AddKernel:
    """`bias + sum of arguments` in the dtype of the bias; parameters: bias (size,)."""


@dataclass(frozen=True, slots=True)
class Multiply:
    """`left * right`."""

    result: Dtype


@dataclass(frozen=True, slots=True)
class MatMul:
    """`(x - shift) @ weights` in the dtype of the weights (int8 accumulates in int32); parameters: weights (inputs, outputs) and, if
    `shifted`, shift ()."""

    shifted: bool


@dataclass(frozen=True, slots=True)
class Convolve:
    """2-D convolution of a channels-last image in the dtype of the kernel; parameters: kernel (height, width, depth, channels)."""

    image: tuple[int, int, int]
    stride: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]
    dilation: tuple[int, int]
    groups: int


@dataclass(frozen=True, slots=True)
class Scale:
    """`factors * x` in the dtype of the factors; parameters: factors (size,)."""


@dataclass(frozen=True, slots=True)
class GatherKernel:
    """`sum of coefficients * x[columns]` along the second axis, in the dtype of the coefficients; parameters: both (outputs, fan)."""


@dataclass(frozen=True, slots=True)
class Scatter:
    """`y[rows] += coefficients * x[columns]`; parameters: rows, columns and coefficients (entries,), rows ascending."""

    outputs: int


@dataclass(frozen=True, slots=True)
class Rescaled:
    """`clamp(floor((numerator * x + offset + slack) / denominator))`; the slack is what makes each rounding a floor.

    Parameters, each (size,): numerator, offset, divisor, then two slacks unless `slack` is "first" (it is in the offset), then the ends
    that there are. The divisor is a shift count, a reciprocal or the denominator, by `arithmetic`. "sign" adds the first slack where
    `numerator * x + offset` is not negative and the second where it is; "even" adds the first unless that gives an odd quotient.
    """

    arithmetic: Arithmetic
    slack: Literal["first", "sign", "even"]
    below: bool
    above: bool
    result: Whole


@dataclass(frozen=True, slots=True)
class Counted:
    """`base + number of thresholds <= x`; parameters: base (size,), thresholds (size or 1, 2**depth - 1), sorted."""

    depth: int
    compared: Whole
    result: Whole


@dataclass(frozen=True, slots=True)
class LookupKernel:
    """`values[element, x - first]`; parameters: first (size,), values (size or 1, entries)."""

    indexed: Whole


@dataclass(frozen=True, slots=True)
class MaximumKernel:
    """`max of x[groups]` along the second axis; parameters: groups (outputs, members)."""


@dataclass(frozen=True, slots=True)
class LowBits:
    """The low bits, two's complement where `signed`; parameters: mask and sign bit (size,)."""

    signed: bool
    computed: Whole
    result: Whole


@dataclass(frozen=True, slots=True)
class ClampKernel:
    """`clamp(slope * x + offset, lower, upper)`, and a leak of that slope outside; parameters: these four (size,) and the leak ().

    Where `rounded` the value is a code and only the gradient is that of the ramp.
    """

    rounded: bool


@dataclass(frozen=True, slots=True)
class Polyline:
    """Interpolation between evenly spaced knots; parameters: first, knots per unit, mean slope (size,), knots (size, count), leak ()."""


@dataclass(frozen=True, slots=True)
class WrapKernel:
    """Wrap-around whose slope is one everywhere; parameters: least, modulus (size,)."""


MapKernel = MatMul | Convolve | Scale | GatherKernel | Scatter
RelaxedKernel = ClampKernel | Polyline | WrapKernel
Kernel = InputKernel | AddKernel | Multiply | MapKernel | Rescaled | Counted | LookupKernel | MaximumKernel | LowBits | RelaxedKernel


@dataclass(frozen=True, slots=True)
class KernelStep:
    """One kernel and the earlier steps that it reads."""

    kernel: Kernel
    arguments: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KernelPlan:
    """Everything that shapes compiled code: equal plans share one compilation."""

    steps: tuple[KernelStep, ...]
    outputs: tuple[int, ...]

    def loaded(self) -> KernelPlan:
        """Return the plan for inputs that have been shifted before (its parameters are the same)."""
        reads = (KernelStep(InputKernel(s.kernel.slot, False), ()) if isinstance(s.kernel, InputKernel) else s for s in self.steps)
        return KernelPlan(tuple(reads), self.outputs)
