"""Branch and bound on pairs of activations: parts of the input space are bounded in batches, closed, and cut where relaxing costs most.

A part is cut where the real sum of a pair is zero, else where a quantised sum rounds to the next code, else, when no pair is left to cut
or few inputs vary, in the middle of an input; a single input is judged exactly. The halves go on from the multipliers of their parent. A
part is closed by a bound that holds whatever rounding did.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from qspec.deadline import NEVER, Deadline
from qspec.engines.difference.aligned_layers import Pair
from qspec.engines.difference.ascent import maximize_dual, start
from qspec.engines.difference.dual import OWN, Both, Goal, LayerFacts, LayerTrace, PartBatch, row_bytes, tables
from qspec.engines.difference.joint_bounds import Region, consistent
from qspec.engines.difference.root import free_regions, root
from qspec.engines.difference.vertices import FEW
from qspec.engines.outward import Floats
from qspec.ir.staircase import climb, reach, restricted

FEW_INPUTS = 8
"""With at most so many inputs that vary, inputs are cut and no pairs."""
BATCH = 32
"""Parts that are bounded together."""
AGAIN = frozenset(2**k for k in range(3, 24))
"""After so many rounds of cuts the attack is tried again, from other points."""
FIRST, THEN = 300, 40
RATE = 0.15
"""Steps of ascent at the root, and of its parts; the size of the first of the latter."""


class RegionPart(NamedTuple):
    """A part of the input space: which goal, box (inputs,), regions of free pairs (1, free), and multipliers (1, free) to start from.

    `sums` (1, free) are those of a solution of its relaxation, nearly.
    """

    row: int
    low: Floats
    high: Floats
    regions: tuple[Region, ...]
    multipliers: tuple[Both, ...]
    sums: tuple[Both, ...]


@dataclass(slots=True)
class RowSearch:
    """One search about rows of a goal, each to be proved to be at least `target` everywhere in a box."""

    pair: Pair
    known: tuple[LayerFacts, ...]
    goal: Goal
    low: Floats
    high: Floats
    visit: Callable[[Floats, int], None] | None = None
    """Is shown inputs (1, inputs) at which the relaxation of a row is least."""
    settle: Callable[[Floats, int], bool] | None = None
    """Decides a row at one input, (1, inputs), exactly, when the box is down to it; returns whether it could."""
    deadline: Deadline = NEVER
    climb: int = FIRST
    """Steps of ascent at the root, during which the deadline is looked at."""
    heap: list[tuple[float, int, RegionPart]] = field(default_factory=list[tuple[float, int, RegionPart]])
    bounded: int = 0
    stuck: dict[int, float] = field(default_factory=dict[int, float])
    """Bounds of single inputs that doubles are too coarse to decide, the least of each row."""

    def __post_init__(self) -> None:
        regions = free_regions(self.known)
        rows = self.goal.constant.size
        self.deadline.check(rows * row_bytes(self.known, self.low.size))
        box = PartBatch(self.low[None], self.high[None], tables(self.known, regions))
        climbed = maximize_dual(self.known, box, self.goal, start(self.known, regions, self.goal), self.climb, deadline=self.deadline)
        for row in range(rows):
            own, sums = _row(climbed.multipliers, row), _row(climbed.sums, row)
            self._push(RegionPart(row, self.low, self.high, regions, own, sums), float(climbed.bound.certain(self.pair.terms)[row]))

    def _push(self, piece: RegionPart, bound: float) -> None:
        self.bounded += 1
        heapq.heappush(self.heap, (bound, self.bounded, piece))

    @property
    def least(self) -> float:
        """What no row falls below; infinite if nothing is left."""
        return min([np.inf, *self.stuck.values(), *(bound for bound, _, _ in self.heap[:1])])

    def lower(self, rows: int) -> Floats:
        """Return what each row does not fall below."""
        found = np.array([self.stuck.get(row, np.inf) for row in range(rows)])
        for bound, _, piece in self.heap:
            found[piece.row] = min(found[piece.row], bound)
        return found

    def step(self, target: float) -> bool:
        """Cut the worst parts below `target` and bound the halves; return whether any were left to cut.

        Raises OutOfMemory if there is no room for the halves of one.
        """
        worst: list[tuple[float, RegionPart]] = []
        count = self.deadline.portion(2 * row_bytes(self.known, self.low.size, OWN), BATCH // 2)
        while self.heap and len(worst) < count and self.heap[0][0] < target:
            bound, _, piece = heapq.heappop(self.heap)
            worst.append((bound, piece))
        if not worst:
            return False
        halves = self._cut([p for _, p in worst], [b for b, _ in worst])
        if halves:
            self._bound([p for p, _ in halves], [b for _, b in halves])
        return True

    def _part(self, pieces: list[RegionPart]) -> tuple[PartBatch, Goal, tuple[Both, ...], tuple[Region, ...]]:
        regions = tuple(Region(*(np.concatenate(v) for v in zip(*r, strict=True))) for r in zip(*(p.regions for p in pieces), strict=True))
        goal = self.goal.take(np.array([p.row for p in pieces]))
        multipliers = _together([p.multipliers for p in pieces])
        box = PartBatch(np.stack([p.low for p in pieces]), np.stack([p.high for p in pieces]), tables(self.known, regions))
        return box, goal, multipliers, regions

    def _bound(self, pieces: list[RegionPart], parents: list[float]) -> None:
        box, goal, multipliers, _ = self._part(pieces)
        climbed = maximize_dual(self.known, box, goal, multipliers, THEN, RATE)
        certain = np.maximum(climbed.bound.certain(self.pair.terms), parents)
        for k, piece in enumerate(pieces):
            self._push(piece._replace(multipliers=_row(climbed.multipliers, k), sums=_row(climbed.sums, k)), float(certain[k]))

    def _cut(self, pieces: list[RegionPart], bounds: list[float]) -> list[tuple[RegionPart, float]]:
        box, goal, multipliers, regions = self._part(pieces)
        climbed = maximize_dual(self.known, box, goal, multipliers, 0)
        sums = _together([p.sums for p in pieces])
        costs = [_costs(k, r, t, s) for k, r, t, s in zip(self.known, regions, climbed.bound.traces, sums, strict=True)]
        found: list[tuple[RegionPart, float]] = []
        for n, (piece, bound) in enumerate(zip(pieces, bounds, strict=True)):
            if self.visit is not None:
                self.visit(np.where(climbed.bound.slope[n : n + 1] > 0, piece.low, piece.high), piece.row)
            wide = int((piece.low < piece.high).sum())
            if wide == 0:
                self._settle(piece, bound)
                continue
            layer = max(range(len(costs)), key=lambda j: costs[j][n].max(initial=0.0))
            if wide <= FEW_INPUTS or costs[layer][n].max(initial=0.0) <= 0:
                parts = self._cut_input(piece, climbed.bound.slope[n])
            else:
                element = int(costs[layer][n].argmax())
                parts = self._cut_pair(piece, layer, element, float(sums[layer][0][n, element]))
            found += [(p, bound) for p in parts if not any(r.empty for r in p.regions)]
        return found

    def _settle(self, piece: RegionPart, bound: float) -> None:
        """Have a single input judged exactly, or keep its bound."""
        if self.settle is None or not self.settle(piece.low[None], piece.row):
            self.stuck[piece.row] = min(bound, self.stuck.get(piece.row, np.inf))

    def _cut_pair(self, piece: RegionPart, layer: int, element: int, at: float) -> list[RegionPart]:
        """Return the two sides of the pair's kink, or of the end of a step that is nearest to its quantised sum."""
        known, region = self.known[layer], piece.regions[layer]
        index = np.array([element])
        own = region.take(index)
        if known.layer.relu and own.real_low[0, 0] < 0 < own.real_high[0, 0]:
            sides = own._replace(real_high=np.zeros((1, 1))), own._replace(real_low=np.zeros((1, 1)))
        else:
            threshold = _threshold(known, element, own, at)
            sides = own._replace(fixed_high=np.full((1, 1), threshold - 1)), own._replace(fixed_low=np.full((1, 1), threshold))
        scale = known.layer.scale[known.free[element]]
        return [self._with(piece, layer, region.put(index, consistent(side, scale))) for side in sides]

    def _with(self, piece: RegionPart, layer: int, region: Region) -> RegionPart:
        return piece._replace(regions=(*piece.regions[:layer], region, *piece.regions[layer + 1 :]))

    def _cut_input(self, piece: RegionPart, slope: Floats) -> list[RegionPart]:
        """Return the halves along the input that the bound depends on most."""
        k = int(((piece.high - piece.low) * (np.abs(slope) + 1e-300)).argmax())
        middle = np.floor((piece.low[k] + piece.high[k]) / 2)
        below, above = piece.high.copy(), piece.low.copy()
        below[k], above[k] = middle, middle + 1
        return [self._inside(piece, piece.low, below), self._inside(piece, above, piece.high)]

    def _inside(self, piece: RegionPart, low: Floats, high: Floats) -> RegionPart:
        """Return a piece with a smaller box, and what that says of its pairs."""
        regions: list[Region] = []
        for old, own, now in zip(piece.regions, self.known, root(self.pair, low, high, deadline=self.deadline.timeless()), strict=True):
            new = now.region.take(own.free)
            regions.append(Region(*((np.maximum, np.minimum)[k % 2](a, b) for k, (a, b) in enumerate(zip(old, new, strict=True)))))
        return piece._replace(low=low, high=high, regions=tuple(regions))


def _row(layers: tuple[Both, ...], row: int) -> tuple[Both, ...]:
    """Return one row of every layer, (1, free)."""
    return tuple((a[row : row + 1], b[row : row + 1]) for a, b in layers)


def _together(pieces: list[tuple[Both, ...]]) -> tuple[Both, ...]:
    """Return the rows of pieces one below the other, layer by layer."""
    return tuple((np.concatenate([a for a, _ in layer]), np.concatenate([b for _, b in layer])) for layer in zip(*pieces, strict=True))


def _costs(known: LayerFacts, region: Region, trace: LayerTrace, sums: Both) -> Floats:
    """Return by how much the functions of free pairs lie above their relaxations at these sums; nothing where nothing can be cut."""
    layer, free = known.layer, known.free
    steps = restricted(layer.steps, free)
    a = np.clip(np.rint(sums[0]), region.fixed_low, region.fixed_high)
    b = np.clip(sums[1], region.real_low, region.real_high)
    codes, signal = climb(steps, a.astype(np.int64)), np.maximum(b, 0.0) if layer.relu else b
    c, p = trace.coefficients, trace.multipliers
    cost = c[0][:, free] * codes + c[1][:, free] * signal - p[0][:, free] * a - p[1][:, free] * b - trace.least
    ends = [climb(steps, v.astype(np.int64)) for v in (region.fixed_low, region.fixed_high)]
    divisible = (ends[0] != ends[1]) | ((region.real_low < 0) & (region.real_high > 0) & layer.relu)
    return np.where(divisible, cost, 0.0)


def _threshold(known: LayerFacts, element: int, region: Region, at: float) -> int:
    """Return where a quantised sum is cut: at the end of saturation, else at the end of a step that is nearest."""
    steps = restricted(known.layer.steps, known.free[[element]])
    low, high = int(region.fixed_low[0, 0]), int(region.fixed_high[0, 0])
    first, last = (int(climb(steps, np.array([v]))[0]) for v in (low, high))
    near = int(climb(steps, np.array([min(max(round(at), low), high)]))[0])
    codes = {max(near, first + 1), min(near + 1, last)}
    if last - first > FEW and steps.lower is not None and first == steps.lower[0]:
        codes = {first + 1}
    elif last - first > FEW and steps.upper is not None and last == steps.upper[0]:
        codes = {last}
    starts = reach(steps, np.array([sorted(codes)]))[0]
    return min((int(s) for s in starts), key=lambda s: abs(s - 0.5 - at))
