"""Arrays of enclosures: exact where both ends are one, in whole multiples of one unit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from qspec.semantics.exact import Whole, listed, packed, plus, shared, times, whole
from qspec.semantics.series import Enclosure


@dataclass(frozen=True, slots=True, eq=False)
class Enclosures:
    """Reals between `lower * unit` and `upper * unit`, elementwise; the same array twice where they are known exactly."""

    lower: Whole
    upper: Whole
    unit: Fraction

    @property
    def exact(self) -> bool:
        return self.lower is self.upper

    def ends(self) -> tuple[Whole, ...]:
        """Return the lower and the upper ends, or the numbers themselves, once."""
        return (self.lower,) if self.exact else (self.lower, self.upper)

    def each(self, function: Callable[[Whole], Whole]) -> Enclosures:
        """Rearrange or select elements, or apply an increasing function that maps units to units."""
        ends = [function(end) for end in self.ends()]
        return Enclosures(ends[0], ends[-1], self.unit)

    def scaled(self, unit: Fraction) -> Enclosures:
        """Return the same reals in a unit that divides this."""
        factor = whole(self.unit / unit)
        ends = [times(end, [factor]) for end in self.ends()]
        return Enclosures(ends[0], ends[-1], unit)

    def listed(self) -> list[Enclosure]:
        """Return one enclosure per element, flat."""
        lower: list[int] = self.lower.reshape(-1).tolist()
        if self.exact:
            return [Enclosure(v, v) for v in (n * self.unit for n in lower)]
        upper: list[int] = self.upper.reshape(-1).tolist()
        return [Enclosure(low * self.unit, high * self.unit) for low, high in zip(lower, upper, strict=True)]


def enclosures(values: Sequence[Enclosure], shape: tuple[int, ...]) -> Enclosures:
    """Return enclosures of rationals as an array of this shape, flat in row-major order."""
    exact = all(v.lower == v.upper for v in values)
    unit = _unit([v.lower for v in values] + ([] if exact else [v.upper for v in values]))
    lower = listed([whole(v.lower / unit) for v in values]).reshape(shape)
    return Enclosures(lower, lower if exact else listed([whole(v.upper / unit) for v in values]).reshape(shape), unit)


def constants(values: Whole) -> Enclosures:
    """Return an array of doubles or Fractions, each of which means exactly itself."""
    if values.dtype != np.float64:
        return enclosures([Enclosure(v, v) for v in map(Fraction, values.reshape(-1).tolist())], values.shape)
    fractions, exponents = np.frexp(values)
    digits = np.ldexp(fractions, 53).astype(np.int64)  # exact: a double has 53 bits
    least = int(exponents[digits != 0].min(initial=2**11))
    shifts = np.where(digits != 0, exponents - least, 0)
    lower = packed(np.left_shift(digits.astype(object), shifts.astype(object)))
    return Enclosures(lower, lower, Fraction(2) ** (least - 53))


def _unit(values: Sequence[Fraction]) -> Fraction:
    distinct = {v for v in values if v}
    return shared(abs(v) for v in distinct) if distinct else Fraction(1)


def total(terms: Sequence[Enclosures]) -> Enclosures:
    """Add arrays of one shape, or one number per channel to an array."""
    unit = shared(t.unit for t in terms)
    result, *rest = (t.scaled(unit) for t in terms)
    for t in rest:
        lower = plus(result.lower, t.lower)
        result = Enclosures(lower, lower if result.exact and t.exact else plus(result.upper, t.upper), unit)
    return result


def product_sum(x: Enclosures, weights: Enclosures, contract: Callable[[Whole, Whole], Whole]) -> Enclosures:
    """Sum products of signals and weights by a bilinear function that only adds products.

    An enclosure is its middle and a deviation: with |x - m| <= r and |w - n| <= s, `|x w - m n| <= |m| s + r |n| + r s`.
    """
    unit = x.unit * weights.unit
    if x.exact and weights.exact:
        exact = contract(x.lower, weights.lower)
        return Enclosures(exact, exact, unit)
    # in halves of a unit, so that the middle is whole
    (m, r), (n, s) = ((plus(e.lower, e.upper), plus(e.upper, -e.lower)) for e in (x, weights))
    middle = contract(m, n)
    deviation = plus(plus(contract(np.abs(m), s), contract(r, np.abs(n))), contract(r, s))
    return Enclosures(plus(middle, -deviation), plus(middle, deviation), unit / 4)
