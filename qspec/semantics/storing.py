"""How an exact number becomes a code: one rounding and one overflow, by the definitions of the modes (AMD UG1399)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import assert_never

import numpy as np

from qspec.arithmetic.formats import Affine, Fixed, Format, PerChannel
from qspec.arithmetic.rounding import Overflow, Rounding
from qspec.semantics.exact import Numbers, Whole, listed, packed, plus, spread, times


@dataclass(frozen=True, slots=True)
class Channel:
    """What the codes of one channel are: `unit * (code - zero)`, of this many bits."""

    unit: Fraction
    zero: int
    width: int
    signed: bool


@dataclass(frozen=True, slots=True, eq=False)
class StoredCodes:
    """Codes, with what they mean: one channel for all, or one for each entry of the last axis."""

    codes: Whole
    channels: Sequence[Channel]

    @property
    def exact(self) -> Numbers:
        return Numbers(plus(self.codes, listed([-c.zero for c in self.channels])), [c.unit for c in self.channels])


def channels_of(fmt: Format) -> list[Channel]:
    """Return the channels of a format, one if all are alike."""
    match fmt:
        case Fixed(width, frac, signed):
            return [Channel(Fraction(2**-frac) if frac < 0 else Fraction(1, 2**frac), 0, width, signed)]
        case Affine(width, signed, scale, zero):
            count = max(len(v) if isinstance(v, tuple) else 1 for v in (scale, zero))
            scales, zeros = (spread(v if isinstance(v, tuple) else (v,), count) for v in (scale, zero))
            return [Channel(s, z, width, signed) for s, z in zip(scales, zeros, strict=True)]
        case PerChannel(formats):
            return [c for f in formats for c in channels_of(f)]
        case _:
            assert_never(fmt)


def modes_of(fmt: Format) -> tuple[Rounding, Overflow]:
    """Return how a format rounds and overflows; its channels do it alike."""
    own = fmt.formats[0] if isinstance(fmt, PerChannel) else fmt
    return own.rounding, own.overflow


def rounded(numbers: Numbers, fmt: Format) -> Whole:
    """Return the codes before overflow: rounding first, and the zero point after it."""
    channels = channels_of(fmt)
    count = max(len(channels), len(numbers.units))
    pairs = zip(spread(numbers.units, count), spread(channels, count), strict=True)
    ratios: list[Fraction] = [u / c.unit for u, c in pairs]
    codes = nearest(numbers.whole, ratios, modes_of(fmt)[0])
    return plus(codes, listed([c.zero for c in channels]))


def nearest(whole: Whole, ratios: Sequence[Fraction], rounding: Rounding) -> Whole:
    """Round `whole * ratio`, with a positive ratio for all or for each channel."""
    numerator, denominator = times(whole, [r.numerator for r in ratios]), listed([r.denominator for r in ratios])
    below, rest = numerator // denominator, numerator % denominator
    return packed(np.where(rest == 0, below, below + _up(rounding, below, rest, denominator)))


def _up(rounding: Rounding, below: Whole, rest: Whole, denominator: Whole) -> Whole:
    """Return 1 where a number between two codes becomes the one above it, else 0."""
    left = denominator - rest
    past, tie, negative = rest > left, rest == left, below < 0
    match rounding:
        case Rounding.TRN:
            up = np.zeros_like(past)
        case Rounding.TRN_ZERO:
            up = negative
        case Rounding.RND:
            up = past | tie
        case Rounding.RND_MIN_INF:
            up = past
        case Rounding.RND_ZERO:
            up = past | (tie & negative)
        case Rounding.RND_INF:
            up = past | (tie & ~negative)
        case Rounding.RND_CONV:
            up = past | (tie & (below % 2 == 1))
        case _:
            assert_never(rounding)
    return np.where(up, 1, 0)


def overflowed(codes: Whole, fmt: Format) -> StoredCodes:
    """Bring codes into the range of a format."""
    channels = channels_of(fmt)
    least, most = (listed(list(ends)) for ends in zip(*map(range_of, channels), strict=True))
    _, overflow = modes_of(fmt)
    match overflow:
        case Overflow.SAT:
            kept = np.where(codes < least, least, np.where(codes > most, most, codes))
        case Overflow.SAT_SYM:
            least = np.where([c.signed for c in channels], -most, least)
            kept = np.where(codes < least, least, np.where(codes > most, most, codes))
        case Overflow.SAT_ZERO:
            kept = np.where((codes < least) | (codes > most), 0, codes)
        case Overflow.WRAP:
            turn = listed([2**c.width for c in channels])
            low = codes % turn
            kept = np.where(low > most, low - turn, low)
        case _:
            assert_never(overflow)
    return StoredCodes(packed(kept), channels)


def range_of(channel: Channel) -> tuple[int, int]:
    """Return the lowest and the highest code of two's complement, or of unsigned words."""
    return (-(2 ** (channel.width - 1)), 2 ** (channel.width - 1) - 1) if channel.signed else (0, 2**channel.width - 1)


def stored(numbers: Numbers, fmt: Format) -> StoredCodes:
    """Round once, and overflow once."""
    return overflowed(rounded(numbers, fmt), fmt)


def between(low: Fraction, high: Fraction, rounding: Rounding) -> int | None:
    """Return what every number strictly between two becomes, or None if that is not one code.

    Codes change at whole numbers and at halves, and nowhere else, so the middle of two such places decides.
    """
    place = floor(2 * low)
    if 2 * high > place + 1:
        return None
    return int(nearest(listed([2 * place + 1]), [Fraction(1, 4)], rounding)[0])
