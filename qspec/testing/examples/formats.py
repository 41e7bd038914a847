"""Examples over number formats: every rounding, every overflow, affine and per-channel formats, declared accumulators."""

from __future__ import annotations

from fractions import Fraction
from functools import partial

import qspec as qs
from qspec.testing.example import Example
from qspec.testing.examples.parts import HALVES, HOLDS, VIOLATED, mixed, stored, tensor, tight


def _rounded(rounding: qs.Rounding, limit: str, *, strict: bool) -> qs.Property:
    """The error of rounding quarters to whole numbers, weighed so that no two roundings have the same greatest error."""
    net = qs.Sequential(qs.Input((3,), qs.Fixed(4, 2)), qs.Requantize(qs.Fixed(3, 0, rounding=rounding)))
    x = net.input("x", lower=[0, -4, 4], upper=[3, 0, 7])
    error = qs.dot([1, -4, 16], net(x) - x)
    return qs.forall(x, then=error < limit if strict else error <= limit, name=f"rounding {rounding.value}")


def _roundings() -> list[Example]:
    """The greatest errors of values in [0, 1), [-1, 0] (downwards) and [1, 2), in quarters, with weights 1, 4 and 16."""
    errors = {
        qs.Rounding.TRN: (0, 3, 0),
        qs.Rounding.TRN_ZERO: (0, 0, 0),
        qs.Rounding.RND: (2, 1, 2),
        qs.Rounding.RND_ZERO: (1, 1, 1),
        qs.Rounding.RND_INF: (2, 2, 2),
        qs.Rounding.RND_MIN_INF: (1, 2, 1),
        qs.Rounding.RND_CONV: (1, 1, 2),
    }
    examples: list[Example] = []
    for rounding, (first, second, third) in errors.items():
        limit, name = f"{first + 4 * second + 16 * third}/4", f"rounding-{rounding.value.lower().replace('_', '-')}"
        examples.append(Example(f"{name}-at-most", partial(_rounded, rounding, limit, strict=False), HOLDS))
        examples.append(Example(f"{name}-below", partial(_rounded, rounding, limit, strict=True), VIOLATED))
    return examples


def _overflowing(overflow: qs.Overflow) -> qs.Network:
    narrow = qs.Fixed(3, 1, overflow=overflow)
    return qs.Sequential(
        qs.Input((2,), HALVES), qs.Dense(tensor(2, 2, seed=62), tensor(2, seed=63), output=narrow), qs.Dense(tensor(2, 1, seed=64))
    )


def _wrapped_unsigned() -> qs.Network:
    narrow = qs.Fixed(3, 1, signed=False, overflow=qs.Overflow.WRAP, rounding=qs.Rounding.TRN)
    return qs.Sequential(qs.Input((2,), HALVES), qs.Dense(tensor(2, 2, seed=65), output=narrow))


def _negative_frac() -> qs.Network:
    coarse = qs.Fixed(4, -2)
    kernel = stored([[3, -2], [1, 2]], qs.Fixed(3, -1))
    return qs.Sequential(qs.Input((2,), qs.Fixed(3, -1)), qs.Dense(kernel, output=coarse))


def _frac_beyond_width() -> qs.Network:
    fine = qs.Fixed(3, 6)
    return qs.Sequential(qs.Input((2,), fine), qs.Dense(tensor(2, 2, seed=66), stored([1, -3], qs.Fixed(3, 5)), output=qs.Fixed(4, 7)))


def _one_bit() -> qs.Network:
    return qs.Sequential(qs.Input((3,), qs.Fixed(1, 0)), qs.Dense(tensor(3, 3, seed=67), output=qs.Fixed(1, -1, rounding=qs.Rounding.TRN)))


def _per_channel() -> qs.Network:
    kernel = stored([[3, -7], [-2, 5]], qs.PerChannel((qs.Fixed(3, 1), qs.Fixed(4, 3))))
    bias = stored([1, -3], qs.PerChannel((qs.Fixed(3, 2), qs.Fixed(4, 1))))
    output = qs.PerChannel((qs.Fixed(3, 0), qs.Fixed(4, 2)))
    last = qs.Dense(tensor(2, 1, seed=68), output=qs.Fixed(5, 1))
    return qs.Sequential(qs.Input((2,), HALVES), qs.Dense(kernel, bias, output=output), last)


def _per_channel_wrapping() -> qs.Network:
    formats = tuple(qs.Fixed(w, f, overflow=qs.Overflow.WRAP, rounding=qs.Rounding.TRN) for w, f in ((3, 0), (2, 1)))
    return qs.Sequential(qs.Input((2,), HALVES), qs.Dense(tensor(2, 2, seed=69), output=qs.PerChannel(formats)))


def _int8() -> qs.Network:
    kernel, bias = stored([[117, -86]], qs.int8("0.01")), stored([200, -300], qs.int16("0.0005"))
    return qs.Sequential(qs.Input((1,), qs.int8("0.05", 3)), qs.Dense(kernel, bias, output=qs.int8("0.04", -5)))


def _uint8() -> qs.Network:
    return qs.Sequential(
        qs.Input((1,), qs.uint8("1/255")),
        qs.Dense(stored([[90, 200]], qs.uint8("0.01", 128)), None, qs.ReLU(), qs.uint8("0.003", 7)),
        qs.Dense(stored([[5], [-6]], qs.int4("0.1", 1)), output=qs.int8("0.002", 10)),
    )


def _int4() -> qs.Network:
    return qs.Sequential(
        qs.Input((2,), qs.int4("0.3", -2)), qs.Dense(stored([[7, -8], [3, 2]], qs.int4("0.2", 1)), output=qs.int4("1.1", 4))
    )


def _affine_per_channel() -> qs.Network:
    kernel = stored([[7, -6, 5]], qs.Affine(4, True, (Fraction("0.1"), Fraction(2), Fraction("1/3")), (0, 1, -2)))
    output = qs.Affine(5, False, (Fraction("0.2"), Fraction(1), Fraction("0.7")), (3, 16, 31))
    return qs.Sequential(qs.Input((1,), qs.int4("0.25", 1)), qs.Dense(kernel, output=output))


def _affine_residual() -> qs.Network:
    x = qs.apply(qs.Input((2,), qs.int4("0.5", 2)))
    y = qs.apply(qs.Dense(tensor(2, 2, seed=70), output=qs.int4("0.75", -3)), x)
    return qs.Network.of(qs.apply(qs.Add(output=qs.int4("0.9", 1)), x, y))


def _held(overflow: qs.Overflow) -> qs.Network:
    accumulator = qs.Fixed(4, 1, rounding=qs.Rounding.TRN, overflow=overflow)
    layer = qs.Dense(tensor(2, 2, seed=71), tensor(2, seed=72), qs.ReLU(), qs.Fixed(3, 0), accumulator=accumulator)
    return qs.Sequential(qs.Input((2,), HALVES), layer)


def _held_raw() -> qs.Network:
    accumulator = qs.Fixed(4, 2, overflow=qs.Overflow.WRAP)
    return qs.Sequential(qs.Input((2,), HALVES), qs.Dense(tensor(2, 2, seed=73), accumulator=accumulator))


def _held_per_channel() -> qs.Network:
    accumulator = qs.PerChannel((qs.Fixed(3, 1), qs.Fixed(4, 2)))
    return qs.Sequential(qs.Input((2,), HALVES), qs.Dense(tensor(2, 2, seed=74), accumulator=accumulator, output=qs.Fixed(3, 0)))


def _wide_accumulator() -> qs.Property:
    """Sums near 2**70: wider than any machine word."""
    kernel = stored([[2**62 - 1], [-(2**62)]], qs.Fixed(64, 0))
    net = qs.Sequential(qs.Input((2,), qs.Fixed(6, 0)), qs.Dense(kernel, output=qs.Fixed(64, -8)))
    x = net.input("x", lower=[20, -32], upper=[31, -27])
    return qs.forall(x, then=net(x) >= (20 * (2**62 - 1) + 27 * 2**62) // 256 * 256, name="wide accumulator")


def _codes_and_values() -> qs.Property:
    net = _int4()
    x = net.input("x")
    exact = (net(x).code - 4) * qs.q("1.1") - net(x)
    return qs.forall(x, then=qs.all(exact == 0), name="codes and values")


def _value_order() -> qs.Property:
    net = qs.Sequential(qs.Input((2,), qs.int4("0.3", -2)), qs.Requantize(qs.Affine(3, True, Fraction("1.7"))))
    x = net.input("x")
    return qs.forall(x, given=x[0] <= x[1], then=mixed(net(x).code) <= 4, name="value order")


FORMATS = (
    *_roundings(),
    *tight("overflow-wrap", partial(_overflowing, qs.Overflow.WRAP), "15/4"),
    *tight("overflow-sat", partial(_overflowing, qs.Overflow.SAT), "17/4"),
    *tight("overflow-sat-zero", partial(_overflowing, qs.Overflow.SAT_ZERO), "15/4"),
    *tight("overflow-sat-sym", partial(_overflowing, qs.Overflow.SAT_SYM), "15/4"),
    *tight("wrap-unsigned", _wrapped_unsigned, "5/2"),
    *tight("negative-frac", _negative_frac, 92),
    *tight("frac-beyond-width", _frac_beyond_width, "23/128"),
    *tight("one-bit", _one_bit, 0),
    *tight("per-channel", _per_channel, 4),
    *tight("per-channel-wrap", _per_channel_wrapping, 5),
    *tight("int8", _int8, "378/25"),
    *tight("uint8", _uint8, 0),
    *tight("int4", _int4, "143/10"),
    *tight("affine-per-channel", _affine_per_channel, 33),
    *tight("affine-residual", _affine_residual, "63/10"),
    *tight("accumulator-wrap", partial(_held, qs.Overflow.WRAP), 3),
    *tight("accumulator-sat", partial(_held, qs.Overflow.SAT), 3),
    *tight("accumulator-raw", _held_raw, "11/2"),
    *tight("accumulator-per-channel", _held_per_channel, 6),
    Example("wide-accumulator", _wide_accumulator, HOLDS),
    Example("codes-and-values", _codes_and_values, HOLDS),
    Example("value-order", _value_order, HOLDS),
)
