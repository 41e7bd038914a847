"""Lower a query to bit-vectors (SMT-LIB logic QF_BV), exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, assert_never

from qspec.bounds.interval import Interval
from qspec.deadline import NEVER, Deadline
from qspec.ir.integer import Affine, Input, Maximum, Node, Product, Query, Staircase, Table, Wrap
from qspec.problem import SmtProblem, Symbol
from qspec.theories import pieces
from qspec.theories.pieces import FloorDivision, Piece
from qspec.theories.rows import gather
from qspec.theories.smtlib_text import Script, bit_vector, bits, conjuncts, select, symbol_name
from qspec.theories.sums import SumOptions, Sums
from qspec.theories.words import Word, at_least, modulo, plus, resize, shifted, times, width_of

Element = Word | int
"""One element of a node: a term, or its value where that is fixed."""


@dataclass(frozen=True, slots=True)
class BitVectorEncoding:
    """How a query is written as bit-vectors."""

    sums: SumOptions = field(default_factory=SumOptions)
    rounding: Literal["extract", "quotient"] = "extract"
    """Rounding keeps the high bits of a sum; or declares a fresh quotient and asserts the range of its remainder (AAAI 2021)."""
    assert_bounds: bool = False
    """Assert the upper ends of staircases, which follow from the rest, as well (AAAI 2021)."""


DEFAULT = BitVectorEncoding()


def lower(query: Query, bounds: Sequence[Interval], options: BitVectorEncoding = DEFAULT, deadline: Deadline = NEVER) -> SmtProblem:
    """Return the query as a QF_BV problem; `bounds` has a valid interval for every node, and no term is wider than those need."""
    lowering = _BitVectorLowering(bounds, options, deadline)
    for position, node in enumerate(query.program):
        lowering.add(position, node)
    for formula in conjuncts(query.goal, bounds, lowering.atom):
        lowering.script.require(formula)
    inputs = {name: node.lower for name, node in query.inputs.items()}
    return SmtProblem("QF_BV", lowering.script.text(), tuple(lowering.symbols), inputs)


class _BitVectorLowering:
    """The script, and the elements of the nodes written so far."""

    def __init__(self, bounds: Sequence[Interval], options: BitVectorEncoding, deadline: Deadline) -> None:
        self._deadline = deadline
        self.script = Script("QF_BV")
        self.symbols: list[Symbol] = []
        self._ends = [list(zip(x.lower.tolist(), x.upper.tolist(), strict=True)) for x in bounds]
        self._options = options
        self._nodes: list[list[Element]] = []

    def atom(self, node: int, k: int) -> str:
        """Return the formula that an element is at least zero."""
        element = self._nodes[node][k]
        return at_least(element, 0) if isinstance(element, Word) else str(element >= 0).lower()

    def add(self, position: int, node: Node) -> None:
        """Write the terms of one node; an element that its bounds fix needs none. Raises OutOfTime and OutOfMemory."""
        self._deadline.check()
        if isinstance(node, Affine):
            self._nodes.append(self._affine(position, node))
            return
        elements: list[Element] = []
        for k, (low, high) in enumerate(self._ends[position]):
            elements.append(low if low == high else self._element(node, f"{position}.{k}", k, low, high))
        self._nodes.append(elements)

    def _element(self, node: Input | Staircase | Table | Product | Maximum | Wrap, name: str, k: int, low: int, high: int) -> Element:
        match node:
            case Input(label):
                return self._input(label, k, low, high)
            case Staircase(a, steps):
                parts = pieces.staircase(steps, k, *self._range(a, k))
                return self._function(name, self._nodes[a][k], parts, self._range(a, k), low, high)
            case Table(a, first, values):
                parts = pieces.table(int(first[k]), values[k], *self._range(a, k))
                return self._function(name, self._nodes[a][k], parts, self._range(a, k), low, high)
            case Product(left, right):
                return self._product(name, self._nodes[left][k], self._nodes[right][k], low, high)
            case Maximum(a, groups):
                members = [int(g) for g in groups[k] if g >= 0]
                return self._maximum(name, [self._nodes[a][g] for g in members], [self._range(a, g) for g in members])
            case Wrap(a, width, signed):
                return self._wrap(name, self._nodes[a][k], self._range(a, k), int(width[k]), signed)
            case _:
                assert_never(node)

    def _range(self, node: int, k: int) -> tuple[int, int]:
        """Return the ends of an element, where its bounds and its word agree."""
        element, (low, high) = self._nodes[node][k], self._ends[node][k]
        if isinstance(element, int):
            return element, element
        return max(low, element.offset), min(high, element.offset + element.high)

    def _define(self, name: str, word: Word) -> Word:
        return Word(self.script.define(f"n{name}", bit_vector(word.width), word.text), word.width, word.high, word.offset)

    def _input(self, label: str, k: int, low: int, high: int) -> Word:
        width = width_of(high - low)
        word = Word(symbol_name(label, k), width, high - low, low)
        self.script.declare(word.text, bit_vector(width))
        if high - low + 1 < 1 << width:
            self.script.require(f"(bvule {word.text} {bits(high - low, width)})")
        self.symbols.append(Symbol(word.text, "BitVec", label, k, low))
        return word

    def _affine(self, position: int, node: Affine) -> list[Element]:
        rows = gather(node, self._nodes, lambda word: word.offset, self._deadline)
        sums = Sums(self.script, f"{position}", rows.variables, self._options.sums)
        elements: list[Element] = []
        for k, ((low, high), (constant, columns, weights)) in enumerate(zip(self._ends[position], rows, strict=True)):
            if low == high or not columns:
                elements.append(low if low == high else constant)
            elif weights == [1]:
                elements.append(shifted(rows.variables[columns[0]], constant))
            else:
                elements.append(self._define(f"{position}.{k}", sums.weighted(columns, weights, constant, low, high)))
        return elements

    def _function(self, name: str, x: Element, parts: list[Piece], domain: tuple[int, int], low: int, high: int) -> Element:
        """Return a function of one element, given piece by piece."""
        if isinstance(x, int):
            return next(p for p in reversed(parts) if p.start <= x)(x)
        if len(parts) == 1 and not parts[0].floors:
            return parts[0].constant
        if len(parts) == 1 and parts[0].is_shifted_identity:
            return shifted(x, parts[0](x.offset))
        width = width_of(high - low)
        texts = [self._piece(f"{name}.{j}", x, p, domain, low, width) for j, p in enumerate(parts)]
        text = select([p.start for p in parts], texts, lambda start: at_least(x, start))
        word = self._define(name, Word(text, width, high - low, low))
        if self._options.assert_bounds and word.high + 1 < 1 << width:
            self.script.require(f"(bvule {word.text} {bits(word.high, width)})")
        return word

    def _piece(self, name: str, x: Word, piece: Piece, domain: tuple[int, int], low: int, width: int) -> str:
        """Return the value of a piece minus `low`, modulo `2**width`."""
        if not piece.floors:
            return bits(piece.constant - low, width)
        text, constant = "", piece.constant - low
        for j, floor in enumerate(piece.floors):
            if self._options.rounding == "quotient" and floor.denominator > 1:
                term, offset = self._quotient(f"{name}.{j}", x, floor, domain, width)
                constant += offset
            else:
                term, constant = _high_bits(x, floor, constant, width), 0
            text = f"(bvadd {text} {term})" if text else term
        return plus(text, constant, width)

    def _quotient(self, name: str, x: Word, floor: FloorDivision, domain: tuple[int, int], width: int) -> tuple[str, int]:
        """Return a fresh q, cut or extended to `width`, and the integer to add to it.

        The numerator less `d * first` is an integer V from 0 to `2**wide - 1`, and q the only one of `wide - log2(d)` bits with
        `V - d * q < d` modulo `2**wide`, as d is a power of two.
        """
        d, first, last = floor.denominator, floor(domain[0]), floor(domain[1])
        if first == last:
            return bits(0, width), first
        bits_of_q = width_of(last - first)
        wide = bits_of_q + d.bit_length() - 1
        quotient = self.script.declare(f"q{name}", bit_vector(bits_of_q))
        offset = floor.numerator * x.offset + floor.offset - d * first
        value = plus(times(resize(x.text, x.width, wide), floor.numerator, wide), offset, wide)
        self.script.require(f"(bvult (bvsub {value} {times(resize(quotient, bits_of_q, wide), d, wide)}) {bits(d, wide)})")
        return resize(quotient, bits_of_q, width), first

    def _product(self, name: str, x: Element, y: Element, low: int, high: int) -> Element:
        if isinstance(x, int) and isinstance(y, int):
            return x * y
        width = width_of(high - low)
        factors = [bits(e, width) if isinstance(e, int) else modulo(e, width) for e in (x, y)]
        return self._define(name, Word(plus(f"(bvmul {factors[0]} {factors[1]})", -low, width), width, high - low, low))

    def _maximum(self, name: str, members: list[Element], ends: list[tuple[int, int]]) -> Element:
        """Return the maximum; members that are never above the greatest lower end are that end."""
        least = max(low for low, _ in ends)
        kept = [(e, low) for e, (low, high) in zip(members, ends, strict=True) if isinstance(e, Word) and high > least]
        if not kept:
            return least
        offset = min(e.offset for e, _ in kept)
        high = max(e.offset + e.high for e, _ in kept) - offset
        width = width_of(high)
        texts = [plus(resize(e.text, e.width, width), e.offset - offset, width) for e, _ in kept]
        if all(low < least for _, low in kept):
            texts.append(bits(least - offset, width))
        best = Word(texts[0], width, high, offset)
        for j, text in enumerate(texts[1:]):
            best = self._define(f"{name}.{j}", Word(f"(ite (bvuge {best.text} {text}) {best.text} {text})", width, high, offset))
        return best

    def _wrap(self, name: str, x: Element, domain: tuple[int, int], width: int, signed: bool) -> Element:
        """Return the low bits; no gates where the whole range of the argument lies in one turn."""
        modulus = 1 << width
        least = -(modulus >> 1) if signed else 0
        if isinstance(x, int):
            return (x - least) % modulus + least
        turns = [(end - least) // modulus for end in domain]
        if turns[0] == turns[1]:
            return shifted(x, x.offset - turns[0] * modulus)
        return self._define(name, Word(plus(resize(x.text, x.width, width), x.offset - least, width), width, modulus - 1, least))


def _high_bits(x: Word, floor: FloorDivision, constant: int, width: int) -> str:
    """Return `floor(...) + constant` modulo `2**width`: the bits of the numerator above those of a power of two as denominator."""
    shift = floor.denominator.bit_length() - 1
    wide = width + shift
    offset = floor.numerator * x.offset + floor.offset + (constant << shift)
    text = plus(times(resize(x.text, x.width, wide), floor.numerator, wide), offset, wide)
    return text if shift == 0 else f"((_ extract {wide - 1} {shift}) {text})"
