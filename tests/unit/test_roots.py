"""Square roots: exactly where they are rational, else the nearest double."""

from __future__ import annotations

from fractions import Fraction
from math import nextafter

import numpy as np
import pytest

from qspec.arithmetic.roots import nearest_root, rational_root


def test_roots_of_squares_are_exact_and_others_are_none() -> None:
    for top in range(40):
        for bottom in range(1, 40):
            ratio = Fraction(top, bottom)
            assert rational_root(ratio * ratio) == ratio
            assert rational_root(ratio * ratio + Fraction(1, 10**41)) is None


def test_no_double_is_nearer() -> None:
    rng = np.random.default_rng(0)
    for exponent in rng.integers(-250, 250, 300).tolist():
        square = Fraction(float(rng.random() + 1)) * Fraction(10) ** exponent
        root = nearest_root(square)
        for other in (nextafter(float(root), 0), nextafter(float(root), float("inf"))):
            middle = (root + Fraction(other)) / 2
            assert (square < middle * middle) == (root < middle)


def test_a_root_beyond_doubles_overflows() -> None:
    assert nearest_root(Fraction(2) * 10**600) > 10**300
    with pytest.raises(OverflowError):
        nearest_root(Fraction(2) * 10**620)
