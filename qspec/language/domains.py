"""What values a quantified array may take, before any assumption: boxes, integer ranges, one-hot groups, bit flips.

A domain says how its codes are made from free integers, so that a group of k one-hot columns is one integer and not k bits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray, integers
from qspec.errors import SpecError
from qspec.ir import linear
from qspec.ir.integer_builder import Builder


@dataclass(frozen=True, slots=True, eq=False)
class Range:
    """Codes at `positions` are `start + stride * d` with `0 <= d <= count`, elementwise."""

    positions: IntArray
    start: IntArray
    stride: IntArray
    count: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class OneHot:
    """Exactly one of the codes at `positions` is `on`, the others are `off` (per position)."""

    label: str
    positions: IntArray
    off: IntArray
    on: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class AtMost:
    """At most `count` of the codes at `positions` are one, the others zero."""

    label: str
    positions: IntArray
    count: int


Piece = Range | OneHot | AtMost


@dataclass(frozen=True, slots=True, eq=False)
class VariableDomain:
    """Pieces that together cover each of `size` positions once."""

    size: int
    pieces: tuple[Piece, ...]

    @property
    def one_to_one(self) -> bool:
        """Whether different free integers always make different codes."""
        return not any(isinstance(p, AtMost) and p.count > 1 for p in self.pieces)

    def __post_init__(self) -> None:
        covered = np.sort(np.concatenate([p.positions for p in self.pieces]))
        if not np.array_equal(covered, np.arange(self.size)):
            raise SpecError("a domain must cover each element once", given=covered.tolist(), expected=f"0..{self.size - 1}")


def extremes(domain: VariableDomain) -> tuple[IntArray, IntArray]:
    """Return the least and the greatest code of each element."""
    least: IntArray = np.zeros(domain.size, dtype=object)
    greatest: IntArray = np.zeros(domain.size, dtype=object)
    for piece in domain.pieces:
        match piece:
            case Range(where, start, stride, count):
                least[where], greatest[where] = start, start.astype(object) + stride.astype(object) * count.astype(object)
            case OneHot(_, where, off, on):
                least[where], greatest[where] = np.minimum(off, on), np.maximum(off, on)
            case AtMost(_, where, _):
                greatest[where] = 1
            case _:
                assert_never(piece)
    return least, greatest


def reach(domain: VariableDomain, codes: IntArray, radius: int) -> tuple[IntArray, IntArray]:
    """Return the least and the greatest code of each element among the points of a domain within `radius` of some, shape (n, size)."""
    lower, upper = codes - radius, codes + radius
    for piece in domain.pieces:
        match piece:
            case Range(where, start, stride, count):
                step = np.maximum(stride, 1)
                lower[:, where] = start + step * np.maximum(0, -(-(lower[:, where] - start) // step))
                upper[:, where] = start + step * np.minimum(count, (upper[:, where] - start) // step)
            case OneHot(_, where, off, on):
                near = np.abs(on - off) <= radius  # an element that is farther from its other code stays
                lower[:, where] = np.where(near, np.minimum(off, on), codes[:, where])
                upper[:, where] = np.where(near, np.maximum(off, on), codes[:, where])
            case AtMost(_, where, _):
                lower[:, where], upper[:, where] = np.maximum(lower[:, where], 0), np.minimum(upper[:, where], 1)
            case _:
                assert_never(piece)
    return lower, upper


def box(lower: object, upper: object) -> VariableDomain:
    """Return the domain of all codes between two arrays; raises SpecError if it is empty."""
    low, high = integers(lower).reshape(-1), integers(upper).reshape(-1)
    if low.shape != high.shape or np.any(low > high):
        where = int(np.argmax(low > high)) if low.shape == high.shape else 0
        raise SpecError("empty domain", given=f"{low[where]}..{high[where]} at flat index {where}", expected="lower <= upper everywhere")
    return VariableDomain(low.size, (Range(np.arange(low.size), low, np.ones_like(low), high - low),))


def part(domain: VariableDomain, kept: IntArray) -> VariableDomain:
    """Return the domain of the elements at these positions, in this order; groups must be kept or left out as a whole."""
    place = {position: k for k, position in enumerate(kept.tolist())}
    pieces: list[Piece] = []
    for piece in domain.pieces:
        inside = np.isin(piece.positions, kept)
        where = integers([place[p] for p in piece.positions[inside].tolist()])
        if isinstance(piece, Range) and where.size:
            pieces.append(Range(where, piece.start[inside], piece.stride[inside], piece.count[inside]))
        elif where.size:
            assert not isinstance(piece, Range)
            assert inside.all(), f"a part of group {piece.label!r}"
            pieces.append(replace(piece, positions=where))
    return VariableDomain(kept.size, tuple(pieces))


def lower_domain(builder: Builder, name: str, domain: VariableDomain) -> int:
    """Add free integers for a domain and return the node of its codes; the inputs are called `name` and `name.label`."""
    nodes = [_lower_piece(builder, name, p) for p in domain.pieces]
    if len(nodes) == 1 and np.array_equal(domain.pieces[0].positions, np.arange(domain.size)):
        return nodes[0]
    terms = [(linear.placement(p.positions, domain.size), n) for p, n in zip(domain.pieces, nodes, strict=True)]
    return builder.affine(terms)


def _lower_piece(builder: Builder, name: str, piece: Piece) -> int:
    match piece:
        case Range(_, start, stride, count):
            if np.all(stride == 1):
                return builder.input(name, start, start + count)
            return builder.scale(builder.input(name, np.zeros_like(count), count), stride, start)
        case OneHot(label, positions, off, on):
            n = positions.size
            chosen = builder.select(builder.input(f"{name}.{label}", [0], [n - 1]), np.zeros(n, dtype=np.int64))
            return builder.scale(_equals_position(builder, chosen, n), on - off, off)
        case AtMost(label, positions, count):
            n = positions.size
            picks = [builder.input(f"{name}.{label}.{k}", [0], [n]) for k in range(count)]
            marks = [_equals_position(builder, builder.select(p, np.zeros(n, dtype=np.int64)), n) for p in picks]
            return builder.clamp(builder.affine([(linear.identity(n), m) for m in marks]), 0, 1)
        case _:
            assert_never(piece)


def free_of(name: str, domain: VariableDomain, codes: IntArray) -> dict[str, IntArray]:
    """Return the free integers that make flat codes of a domain, by the names of inputs: the way back from `lower_domain`."""
    found: dict[str, IntArray] = {}
    for piece in domain.pieces:
        own = codes[piece.positions]
        match piece:
            case Range(_, start, stride, _):
                found[name] = own if np.all(stride == 1) else (own - start) // np.maximum(stride, 1)
            case OneHot(label, _, _, on):
                found[f"{name}.{label}"] = np.flatnonzero(own == on)[:1]
            case AtMost(label, positions, count):
                chosen = np.flatnonzero(own)
                for k in range(count):
                    found[f"{name}.{label}.{k}"] = chosen[k : k + 1] if k < chosen.size else np.array([positions.size])
            case _:
                assert_never(piece)
    return found


def _equals_position(builder: Builder, node: int, size: int) -> int:
    """Add the indicator of `node[k] == k` for each position k."""
    reached = builder.steps(node, 0, np.arange(size)[:, None])
    passed = builder.steps(node, 0, np.arange(size)[:, None] + 1)
    return builder.difference(reached, passed)


def shareable(first: VariableDomain, second: VariableDomain, positions: IntArray) -> IntArray:
    """Return the positions among these at which both domains have the same free integers."""
    wanted = set(positions.tolist())
    shared: set[int] = set()
    for a in first.pieces:
        for b in second.pieces:
            if isinstance(a, Range) and isinstance(b, Range):
                ours = {int(p): k for k, p in enumerate(a.positions)}
                for k, p in enumerate(b.positions.tolist()):
                    j = ours.get(p)
                    if j is not None and (a.start[j], a.stride[j], a.count[j]) == (b.start[k], b.stride[k], b.count[k]):
                        shared.add(p)
            elif isinstance(a, OneHot) and isinstance(b, OneHot) and np.array_equal(a.positions, b.positions):
                alike = np.array_equal(a.on, b.on) and np.array_equal(a.off, b.off) and wanted.issuperset(a.positions.tolist())
                shared.update(a.positions.tolist() if alike else ())
    return np.array(sorted(shared & wanted), dtype=np.int64)
