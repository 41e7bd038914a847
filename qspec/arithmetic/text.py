"""Exact numbers as short text that is never silently rounded."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

DECIMALS = 12
"""Longest exact decimal written out; what needs more is written as a ratio."""


def exact(value: Fraction | int) -> str:
    """Return a rational as a decimal if that is exact and short, else as a ratio."""
    ratio = Fraction(value)
    scaled = ratio * 10**DECIMALS
    if scaled.denominator != 1:
        return str(ratio)
    whole, rest = divmod(abs(scaled.numerator), 10**DECIMALS)
    digits = f"{rest:0{DECIMALS}d}".rstrip("0")
    return ("-" if ratio < 0 else "") + str(whole) + (f".{digits}" if digits else "")


def shape_text(shape: Sequence[int]) -> str:
    """Return a shape as people write it: `8×8`, `10`, or `one number`."""
    return "×".join(map(str, shape)) if shape else "one number"


def summary(values: np.ndarray, *, longest: int = 4) -> str:
    """Return a few numbers written out, or how many there are and their range."""
    flat: list[Fraction | int] = values.reshape(-1).tolist()
    if len(set(flat)) == 1:
        return exact(flat[0])
    if len(flat) <= longest:
        return "[" + ", ".join(exact(v) for v in flat) + "]"
    return f"[{shape_text(values.shape)} numbers {exact(min(flat))}..{exact(max(flat))}]"
