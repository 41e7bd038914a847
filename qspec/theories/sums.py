"""Write weighted sums of unsigned words as bit-vector terms.

Each option is one known way to make sums easier to bit-blast or to solve, so that each can be measured by itself. Balanced trees are from
Giacobbe, Henzinger and Lechner, How many bits does it take to quantize your neural network, TACAS 2020; minimal widths from Henzinger,
Lechner and Zikelic, Scalable verification of quantized neural networks, AAAI 2021.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

from qspec.theories.smtlib_text import Script, bit_vector, bits
from qspec.theories.words import Word, resize, trimmed, width_of


@dataclass(frozen=True, slots=True)
class SumOptions:
    """How sums are written."""

    balanced: bool = True
    """A balanced tree of additions; False is a chain."""
    widths: Literal["partial", "accumulator", "fixed"] = "partial"
    """Each partial sum, each accumulator, or every sum alike (a multiple of 32 bits) has its own width."""
    products: Literal["shared", "inline", "grouped"] = "shared"
    """Each product of a word and a weight is defined once, or written each time; or words of equal weight are added, then multiplied."""
    complement: bool = True
    """A negative weight is a positive one of the complement `2**width - 1 - x`; False subtracts the sum of the negative terms."""


class Sums:
    """Sums over the same words; offsets of the words are left out."""

    def __init__(self, script: Script, name: str, words: list[Word], options: SumOptions) -> None:
        self._script = script
        self._name = name
        self._words = [trimmed(w) for w in words]
        self._options = options
        self._products: dict[tuple[int, int, int], Word] = {}

    def weighted(self, columns: list[int], weights: list[int], constant: int, low: int, high: int) -> Word:
        """Return `constant` plus the weighted words, an integer from `low` to `high`."""
        if self._options.complement:
            offset = constant + sum(w * ((1 << self._words[c].width) - 1) for c, w in zip(columns, weights, strict=True) if w < 0)
            width = self._width(high - offset)
            total = self._total(columns, weights, width)
            return Word(resize(total.text, total.width, width), width, high - offset, offset)
        width = self._width(high - low)
        text = bits(constant - low, width)
        for sign, operator in ((1, "bvadd"), (-1, "bvsub")):
            kept = [k for k, w in enumerate(weights) if w * sign > 0]
            if kept:
                total = self._total([columns[k] for k in kept], [abs(weights[k]) for k in kept], width)
                text = f"({operator} {text} {resize(total.text, total.width, width)})"
        return Word(text, width, high - low, low)

    def _width(self, high: int) -> int:
        return -(-width_of(high) // 32) * 32 if self._options.widths == "fixed" else width_of(high)

    def _total(self, columns: list[int], weights: list[int], width: int) -> Word:
        """Return the sum of |weight| * word, where a word of negative weight is complemented."""
        match self._options.products:
            case "inline" | "shared":
                return self._sum([self._product(c, w, width) for c, w in zip(columns, weights, strict=True)], width)
            case "grouped":
                groups = self._groups(columns, weights, width)
                return self._sum([_times(g, w, width, self._own) for w, g in groups.items()], width)

    @property
    def _own(self) -> bool:
        return self._options.widths == "partial"

    def _leaf(self, column: int, weight: int, width: int) -> Word:
        word = self._words[column]
        if weight < 0:
            word = Word(f"(bvnot {word.text})", word.width, (1 << word.width) - 1)
        return word if self._own else Word(resize(word.text, word.width, width), width, word.high)

    def _product(self, column: int, weight: int, width: int) -> Word:
        product = _times(self._leaf(column, weight, width), abs(weight), width, self._own)
        if abs(weight) == 1 or self._options.products == "inline":
            return product
        key = column, weight, product.width
        if key not in self._products:
            name = self._script.define(f"p{self._name}.{column}.{weight}.{product.width}", bit_vector(product.width), product.text)
            self._products[key] = Word(name, product.width, product.high)
        return self._products[key]

    def _groups(self, columns: list[int], weights: list[int], width: int) -> dict[int, Word]:
        """Return the sum of the words of each magnitude of weight, smallest magnitude first."""
        members: dict[int, list[Word]] = defaultdict(list)
        for c, w in zip(columns, weights, strict=True):
            members[abs(w)].append(self._leaf(c, w, width))
        return {m: self._sum(members[m], width) for m in sorted(members)}

    def _sum(self, words: list[Word], width: int) -> Word:
        if self._options.balanced:
            while len(words) > 1:
                pairs = [_add(a, b, width, self._own) for a, b in zip(words[::2], words[1::2], strict=False)]
                words = [*pairs, words[-1]] if len(words) % 2 else pairs
            return words[0]
        total = words[0]
        for word in words[1:]:
            total = _add(total, word, width, self._own)
        return total


def _add(a: Word, b: Word, limit: int, own: bool) -> Word:
    high = a.high + b.high
    width = min(limit, width_of(high)) if own else limit
    return Word(f"(bvadd {resize(a.text, a.width, width)} {resize(b.text, b.width, width)})", width, high)


def _times(x: Word, factor: int, limit: int, own: bool) -> Word:
    if factor == 1:
        return x
    high = x.high * factor
    width = min(limit, width_of(high)) if own else limit
    shift = factor.bit_length() - 1
    if factor == 1 << shift and x.width + shift <= width:
        return Word(resize(f"(concat {x.text} {bits(0, shift)})", x.width + shift, width), width, high)
    return Word(f"(bvmul {resize(x.text, x.width, width)} {bits(factor, width)})", width, high)
