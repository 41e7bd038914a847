"""Bit-vector terms that stand for integers: `offset + unsigned(text)`.

All words are unsigned. A sign, a bias or the lower end of a range lives in `offset`, where it costs no gates: it moves on into the next
constant that the term is compared with or added to.
"""

from __future__ import annotations

from typing import NamedTuple

from qspec.theories.smtlib_text import bits


class Word(NamedTuple):
    """The integer `offset + unsigned(text)`, with `0 <= unsigned(text) <= high < 2**width`."""

    text: str
    width: int
    high: int
    offset: int = 0


def width_of(high: int) -> int:
    """Return the number of bits of the integers from 0 to `high`."""
    return max(1, high.bit_length())


def trimmed(x: Word) -> Word:
    """Return a word without the high bits that are always zero, and without its offset."""
    width = width_of(x.high)
    return Word(resize(x.text, x.width, width), width, x.high)


def shifted(x: Word, offset: int) -> Word:
    """Return the same term with another offset."""
    return Word(x.text, x.width, x.high, offset)


def resize(text: str, width: int, to: int) -> str:
    """Return a term of width `to`, zero-extended or cut to its low bits."""
    if to == width:
        return text
    return f"((_ zero_extend {to - width}) {text})" if to > width else f"((_ extract {to - 1} 0) {text})"


def plus(text: str, constant: int, width: int) -> str:
    """Return a term plus a constant, modulo `2**width`."""
    return text if constant % (1 << width) == 0 else f"(bvadd {text} {bits(constant, width)})"


def times(text: str, factor: int, width: int) -> str:
    """Return a term times a constant, modulo `2**width`."""
    return text if factor == 1 else f"(bvmul {text} {bits(factor, width)})"


def modulo(x: Word, width: int) -> str:
    """Return the integer that a word stands for modulo `2**width`, as a term of that width."""
    return plus(resize(x.text, x.width, width), x.offset, width)


def at_least(x: Word, bound: int) -> str:
    """Return the formula that a word is at least `bound`."""
    limit = bound - x.offset
    if limit <= 0:
        return "true"
    return f"(bvuge {x.text} {bits(limit, x.width)})" if limit <= x.high else "false"
