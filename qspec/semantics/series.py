"""Enclosures of exp, ln and what is made of them, by series in whole numbers with bounds of every error.

Nothing of `decimal` or of another library of functions is used, so these are independent of the rest of qspec. Sources: Taylor's series of
exp after a reduction by multiples of ln 2, and `ln y = 2 artanh((y - 1) / (y + 1))`; see Brent and Zimmermann, "Modern Computer
Arithmetic", chapter 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil, floor

from qspec.errors import UnsupportedError

LARGEST = 10**6
"""Largest magnitude of which exp is taken: its value has half a million digits."""


@dataclass(frozen=True, slots=True)
class Enclosure:
    """A real number between two rationals, or equal to both."""

    lower: Fraction
    upper: Fraction


def exp(x: Fraction, bits: int) -> Enclosure:
    """Enclose exp(x), to about so many significant bits; raises UnsupportedError beyond ±`LARGEST`."""
    if abs(x) > LARGEST:
        raise UnsupportedError("exp of a huge number", given=f"about 2^{floor(abs(x)).bit_length()}", expected=f"within ±{LARGEST}")
    if x == 0:
        return Enclosure(Fraction(1), Fraction(1))
    place = bits + 40  # |n| < 2^21 multiplies the error of ln 2
    below, above = _ln2(place)
    n = round(x / Fraction(below, 2**place))
    exact = x * 2**place
    low, high = floor(exact) - max(n * below, n * above), ceil(exact) - min(n * below, n * above)
    return Enclosure(_scaled(_taylor(low, place)[0], n - place), _scaled(_taylor(high, place)[1], n - place))


def _scaled(whole: int, power: int) -> Fraction:
    return Fraction(whole << power) if power >= 0 else Fraction(whole, 1 << -power)


def _taylor(t: int, place: int) -> tuple[int, int]:
    """Return integers below and above `2^place exp(t / 2^place)` for |t| at most 0.4 * 2^place.

    A term is off by less than 2 (each division drops less than 1, and what was off before shrinks to less than a half of it), and the terms
    left out are less than 3 together.
    """
    term = total = 1 << place
    k = 0
    while abs(term) > 1:
        k += 1
        term = term * t // (k << place)
        total += term
    return total - 2 * k - 4, total + 2 * k + 4


@lru_cache(maxsize=32)
def _ln2(place: int) -> tuple[int, int]:
    """Return integers below and above `2^place ln 2`, which is `2 artanh(1/3)`."""
    low, high = _artanh(Fraction(1, 3), place)
    return 2 * low, 2 * high


def _artanh(t: Fraction, place: int) -> tuple[int, int]:
    """Return integers below and above `2^place artanh(t)` for t from 0 to 1/3: `t + t^3/3 + t^5/5 + …`, all rounded down, and all up."""
    low_power = low = floor(t * 2**place)
    high_power = high = ceil(t * 2**place)
    low_square, high_square = low_power * low_power, high_power * high_power
    k, one = 1, 1 << (2 * place)
    while low_power > 0:
        k += 2
        low_power = low_power * low_square // one
        high_power = -(-high_power * high_square // one)
        low += low_power // k
        high += -(-high_power // k)
    # what is left out is a geometric series of ratio 1/9 at most, and begins below the last term
    return low, high + high_power + 1


def log_plus_one(y: Fraction, bits: int) -> Enclosure:
    """Enclose ln(1 + y) for y from 0 to 1, to about so many significant bits."""
    if y == 0:
        return Enclosure(Fraction(0), Fraction(0))
    t = y / (2 + y)
    place = bits + 20 + (t.denominator // t.numerator).bit_length()
    low, high = _artanh(t, place)
    return Enclosure(Fraction(2 * low, 2**place), Fraction(2 * high, 2**place))


def sigmoid(x: Fraction, bits: int) -> Enclosure:
    """Enclose `1 / (1 + exp(-x))`, to about so many significant bits."""
    e = exp(-abs(x), bits)
    if x >= 0:
        return Enclosure(1 / (1 + e.upper), 1 / (1 + e.lower))
    return Enclosure(e.lower / (1 + e.lower), e.upper / (1 + e.upper))


def tanh(x: Fraction, bits: int) -> Enclosure:
    """Enclose `(1 - exp(-2x)) / (1 + exp(-2x))`, to about so many significant bits."""
    if x == 0:
        return Enclosure(Fraction(0), Fraction(0))
    if x < 0:
        mirrored = tanh(-x, bits)
        return Enclosure(-mirrored.upper, -mirrored.lower)
    lost = (x.denominator // x.numerator).bit_length()  # the difference is about 2x where x is small
    e = exp(-2 * x, bits + lost)
    return Enclosure((1 - e.upper) / (1 + e.upper), (1 - e.lower) / (1 + e.lower))


def softplus(x: Fraction, bits: int) -> Enclosure:
    """Enclose `ln(1 + exp(x))`, which is `max(x, 0) + ln(1 + exp(-|x|))`."""
    e, above = exp(-abs(x), bits), max(x, Fraction(0))
    return Enclosure(above + log_plus_one(e.lower, bits).lower, above + log_plus_one(min(e.upper, Fraction(1)), bits).upper)


def outward(x: Enclosure, bits: int) -> Enclosure:
    """Return an enclosure with ends of about so many significant bits, as multiples of powers of two."""
    return Enclosure(_below(x.lower, bits), -_below(-x.upper, bits))


def _below(x: Fraction, bits: int) -> Fraction:
    """Return the next smaller number of so many significant bits."""
    if x == 0 or x.denominator & (x.denominator - 1) == 0:
        return x
    power = bits - x.numerator.bit_length() + x.denominator.bit_length()
    return _scaled(floor(x * Fraction(2) ** power), -power)
