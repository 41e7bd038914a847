"""SOFTMAX of int8 in the fixed-point arithmetic of the reference kernels, as integers that existing layers compute.

A code depends on its distance `d` from the greatest one, and on the sum of exponentials: it is the number of levels that are reached. Level
k is reached while the sum is at most a bound that grows with `d`, because the reciprocal never grows with the sum. That is checked for all
sums of one number of bits up to 2**26, the most of 128 codes (`tests/unit/test_tflite_softmax.py`).

Measured against tflite-micro 0.dev20261023 and ai-edge-litert 2.3.0 (`BUILTIN_REF`) on x86-64. Source: TensorFlow Lite,
`reference/softmax.h`; gemmlowp, `fixedpoint.h`.
"""

from __future__ import annotations

from math import floor

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.errors import UnsupportedError
from qspec.runtimes.arithmetic import quantize_multiplier
from qspec.runtimes.runtime import Normalization

MOST = 128
"""How many codes are normalised together, at most."""
UNIT = 1 << 19
"""The exponential of 0, which every sum contains."""
LEVELS = 255
DISTANCES: IntArray = np.arange(-255, 1)
STEPS = ((24, 1672461947), (25, 1302514674), (26, 790015084), (27, 290630308), (28, 39332535), (29, 720401), (30, 242))
"""Bits of the integer part of a distance in 5.26 bits, and exp(-2**(bit - 26)) in 31 bits."""


def normalization(scale: float, beta: float, count: int) -> Normalization:
    """Return how `count` codes of this scale are normalised; raises UnsupportedError if they are too many."""
    if not 1 <= count <= MOST:
        raise UnsupportedError("a SOFTMAX of as many codes is not read", given=count, expected=f"1 to {MOST}")
    fine = exponentials(scale, beta)
    edges = [1 << b for b in range(20, 27) if 1 << b <= count * UNIT]  # where a sum has one bit more
    falls = all(np.all(reached(fine, np.full(256, s - 1)) >= reached(fine, np.full(256, s))) for s in edges)
    if not falls or np.any(np.diff(fine) < 0):
        raise UnsupportedError("a SOFTMAX whose levels are not ordered", given=(scale, beta), expected="falling reciprocals")
    levels = np.arange(1, LEVELS + 1)[:, None]
    below, above = np.full((LEVELS, 256), UNIT - 1), np.full((LEVELS, 256), count * UNIT + 1)  # reached at `below`, not at `above`
    while np.any(above - below > 1):
        middle = (below + above) // 2
        there = reached(fine, middle) >= levels
        below, above = np.where(there, middle, below), np.where(there, above, middle)
    return Normalization(_away(fine, 12), below)


def exponentials(scale: float, beta: float) -> IntArray:
    """Return the exponentials of all distances, lowest first, in 31 bits: 0 where the kernel takes a distance for infinite."""
    stored, shift = quantize_multiplier(min(beta * scale * 2.0**26, 2.0**31 - 1))
    if shift < 0:
        raise UnsupportedError("a SOFTMAX of so small a scale is not read", given=(scale, beta), expected="beta times scale above 2**-26")
    known: IntArray = -floor(31 * 2**26 / 2**shift) <= DISTANCES
    a = _product(np.where(known, DISTANCES, 0) << shift, np.array(stored))
    rest = (a & (2**24 - 1)) - 2**24
    u = (rest << 5) + (1 << 28)
    square = _product(u, u)
    cube, fourth = _product(square, u), _product(square, square)
    series = _away(_product(_away(fourth, 2) + cube, np.array(715827883)) + square, 1)
    base = np.array(1895147668)
    made = base + _product(base, u + series)
    for bit, factor in STEPS:
        made = np.where((rest - a) >> bit & 1, _product(made, np.array(factor)), made)
    return np.where(known, np.where(a == 0, 2**31 - 1, made), 0)


def reciprocals(sums: IntArray) -> tuple[IntArray, IntArray]:
    """Return 1 / sum in 31 bits, and how many bits the sum has: three steps of Newton's method on numbers from 1 to 2."""
    bits = np.frexp(sums.astype(np.float64))[1].astype(np.int64)
    half = sums << (32 - bits) >> 1
    r = 1515870810 + _product(half, np.array(-1010580540))
    for _ in range(3):
        r = r + (_product(r, (1 << 29) - _product(half, r)) << 2)
    return np.minimum(r << 1, 2**31 - 1), bits


def reached(fine: IntArray, sums: IntArray) -> IntArray:
    """Return how many levels an exponential of 31 bits reaches in a sum."""
    reciprocal, bits = reciprocals(sums)
    right = bits + 3
    return (_product(reciprocal, fine) + (1 << (right - 1))) >> right


def _product(a: IntArray, b: IntArray) -> IntArray:
    """Return the high 32 bits of twice a product, ties up."""
    return (a * b + (1 << 30)) >> 31


def _away(a: IntArray, bits: int) -> IntArray:
    return np.sign(a) * ((np.abs(a) + (1 << (bits - 1))) >> bits)
