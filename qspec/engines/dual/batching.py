"""Batches of domains: stacked, scaled, and handed to the ascent in numpy or on all devices."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from qspec.bounds.breakpoints import points
from qspec.bounds.initial_slopes import node_slopes, slopes
from qspec.bounds.interval import Interval
from qspec.deadline import NEVER, Deadline, compiled
from qspec.engines.dual.batched_maps import Array
from qspec.engines.dual.domain import Domain
from qspec.engines.dual.dual_ascent import Found, Start, Units, ascend_compiled, ascend_numpy
from qspec.engines.dual.dual_bound import DomainBatch, DualVariables
from qspec.engines.dual.options import EngineOptions
from qspec.engines.dual.tensor_program import Shape, View
from qspec.ir.integer import Affine, Input, Maximum, Product, Program, Staircase, Table, Wrap, multiplications
from qspec.support.devices import one_cpu

Floats = npt.NDArray[np.float64]

LISTED = 8
"""Steps of an uneven staircase that the search looks at; the conclusion looks at all."""
PATIENCE = 1.5
"""CPU seconds of search after which the ascent is worth compiling for an accelerator."""
AT_ONCE, CELLS = 128, 1 << 19
"""Domains at once in numpy, and multipliers of all of them together."""
Target = tuple[int, int, int]
"""An element of a node of which a bound is asked for, and the sign: 1 for a lower one, -1 for an upper one."""
COMPILATION, RATE = 8.0, 4e9
"""Seconds that a compilation of the ascent takes, about, and products a second from then on, until that has been measured."""
_compiled: set[tuple[Shape, int, int]] = set()
"""What this process has compiled: shapes, steps, and sizes of batches."""
HARD, LONGER = 64, 3
"""Domains bounded from which on a query is no easy one: then an ascent takes so many times its steps, which cost less than cuts."""
FAINT = 1e-3
"""Weight of a fact that bounds make true."""
VARIABLES, VALUES = 16, 24
"""Copies of what is optimised (starts, moments, the best), and numbers of 4 bytes for each element (bounds, points, slopes, values)."""
SMALL, GROWTH = 32, 8
"""Smallest size of compiled batches, and how many times larger the next one is; the largest is as follows for each device."""
PER_CPU = 256
PER_ACCELERATOR = 512
"""An estimate: an accelerator takes about as long for few domains as for many, and the host about 0.4 ms for each of these."""


@dataclass(frozen=True, slots=True, eq=False)
class Assembly:
    """A batch: stacked intervals (batch, size) of inputs and arguments of relaxed nodes, and what the ascent reads."""

    known: dict[int, Interval]
    box: DomainBatch
    start: Start


class Runner:
    """Runs the ascent for one query, in numpy first and compiled once that is worth its time."""

    def __init__(self, view: View, program: Program, root: Domain, options: EngineOptions, deadline: Deadline = NEVER) -> None:
        self.deadline = deadline
        self.view, self.program, self.root, self.options = view, program, root, options
        self.watched = sorted({a for k, _, _ in view.shape.places for a in view.shape.ops[k].arguments} | _inputs(view))
        self.units = _units(view, program, root)
        self.readers = _readers(view, program)
        self.top = _top(view)
        self.first = {k: first for k, first, _ in view.shape.places}
        self.width = _widths(view, program, root)
        self.open = np.concatenate([np.zeros(0, dtype=np.bool_), *(root.known[n].lower < 0 for n, _, _ in view.shape.facts)])
        self.began = time.thread_time()
        self.each = 3 * sum(multiplications(program)) / RATE
        """Seconds that a step takes for each domain: the program there and back."""
        multipliers, elements = view.shape.total, sum(op.size for op in view.shape.ops)
        self.bytes = 4 * (VARIABLES * (3 * multipliers + view.shape.weights) + VALUES * elements)
        """What a domain of a batch takes, about."""
        self.placed: tuple[tuple[Array, ...], ...] | None = None
        self.compiled = options.compiled is True

    @property
    def size(self) -> int:
        """The number of domains that it likes to have at once; raises OutOfMemory if there is no room for one, or for JAX."""
        if not self.compiled:
            most = max(1, min(AT_ONCE, CELLS // max(1, self.view.shape.total)))
            return self.deadline.portion(self.bytes, min(self.options.batch or most, most))
        self.deadline.check(compiled())
        least = min(self._padded(1), self._largest())
        count = self._largest() if self.deadline.affords(self._seconds(self._largest(), self.options.steps)) else least
        while count > least and count * self.bytes > self.deadline.room():
            count = max(least, count // GROWTH)
        return count

    def _worth_compiling(self) -> bool:
        """Return whether a compilation pays by now: soon on accelerators and several devices; numpy begins at once.

        On one CPU compiled convolutions are about twice as fast, so they are compiled once numpy has taken as long as that takes.
        """
        lasted = time.thread_time() - self.began
        if lasted <= PATIENCE or ((self.view.plain or lasted <= COMPILATION) and one_cpu()):  # JAX is dear to load
            return False
        from qspec.evaluate import sharding

        return sharding.accelerated() or sharding.devices() > 1 or (not self.view.plain and lasted > COMPILATION)

    def _compiles(self, count: int) -> bool:
        """Return whether so many domains go to compiled code: few do not, which saves a compilation for their number."""
        return self.compiled and (count > SMALL or self.options.compiled is True)

    def _largest(self) -> int:
        from qspec.evaluate import sharding

        return sharding.devices() * (self.options.batch or (PER_ACCELERATOR if sharding.accelerated() else PER_CPU))

    def _padded(self, count: int) -> int:
        """Return the smallest size of compiled batches for so many domains, a multiple of the number of devices."""
        from qspec.evaluate import sharding

        size, devices = SMALL, sharding.devices()
        while size < count:
            size *= GROWTH
        return min(-(-size // devices) * devices, self._largest())

    def assemble(self, batch: list[Domain], targets: list[Target] | None = None) -> Assembly:
        """Stack domains, each perhaps with a bound that is asked for; compiled code takes batches of few sizes, so some are there twice.

        Raises OutOfMemory if there is no room for them.
        """
        if not self.compiled and self.options.compiled is None and compiled() <= self.deadline.room():  # counting devices loads JAX
            self.compiled = self._worth_compiling()
        rows = batch
        if self._compiles(len(batch)):
            more = self._padded(len(batch)) - len(batch)
            rows = batch + [batch[0]] * more
            targets = None if targets is None else targets + [targets[0]] * more
        self.deadline.check(len(rows) * self.bytes)
        known = {k: Interval(np.stack([d.known[k].lower for d in rows]), np.stack([d.known[k].upper for d in rows])) for k in self.watched}
        active = np.stack([d.facts & self.open for d in rows]).astype(np.float32)
        main = np.stack([d.main for d in rows]).astype(np.float32)
        low, high = (s.astype(np.float32) for s in self._slopes(known, len(rows)))
        share = main / np.maximum(1, main.sum(axis=1, keepdims=True))
        cold = DualVariables(low / self.units.slope, high / self.units.slope, np.zeros_like(low), share)
        box = DomainBatch(tuple(self._part(k, known) for k in range(len(self.program))))
        anchor = self._anchor(rows)
        choices = self._choices(rows, cold, anchor)
        flat = cold._replace(low=np.where(self.top, 0, cold.low), high=np.where(self.top, 0, cold.high))
        return Assembly(known, box, Start(choices, flat, active, main, anchor, *self._targets(rows, targets)))

    def _targets(self, rows: list[Domain], targets: list[Target] | None) -> tuple[Array, Array]:
        """Return weights that ask for bounds, in units of the width that an element has at the root, and what those bounds are at most."""
        weights, most = np.zeros((len(rows), self.view.shape.weights), dtype=np.float32), np.zeros(len(rows), dtype=np.float32)
        place = {n: first for n, first, _ in self.view.shape.facts}
        for k, (d, (node, element, sign)) in enumerate(zip(rows, targets or [], strict=targets is not None)):
            width = max(1, int(self.root.known[node].upper[element] - self.root.known[node].lower[element]))
            weights[k, place[node] + element] = -sign / width
            most[k] = (d.known[node].upper[element] if sign > 0 else -d.known[node].lower[element]) / width
        return weights, most

    def _anchor(self, rows: list[Domain]) -> Array:
        """Return what a unit of the shift of each bound to refute is: of those of one domain, units have one sum."""
        anchor = np.zeros((len(rows), self.view.shape.total), dtype=np.float32)
        for k, d in enumerate(rows):
            for node, element, sign in d.anchors:
                place = self.first[node] + element
                anchor[k, place] = sign / self.width[place]
        return anchor

    def _choices(self, rows: list[Domain], cold: DualVariables, anchor: Array) -> DualVariables:
        """Return fresh slopes, with one bound to refute and with all of them; those of the parent; and those but for what was cut."""
        anchored = anchor != 0
        shared = anchored / np.maximum(1, anchored.sum(axis=1, keepdims=True))
        one = np.zeros_like(cold.shift)
        for k, d in enumerate(rows):
            if d.anchors:
                node, element, _ = d.anchors[-1]
                one[k, self.first[node] + element] = 1
        faint = np.where(anchored.any(axis=1, keepdims=True), FAINT, 1).astype(np.float32)
        cold = cold._replace(shift=one, weight=cold.weight * faint)
        parents = [d.variables for d in rows]
        warm = DualVariables(*(np.stack([c[k] if v is None else v[i] for k, v in enumerate(parents)]) for i, c in enumerate(cold)))
        changed = np.zeros(cold.low.shape, dtype=np.bool_)
        for k, d in enumerate(rows):
            if d.cut is not None:
                changed[k, self.readers.get(d.cut, [])] = True
        changed &= ~anchored
        mixed = DualVariables(*(np.where(changed, c, w) for c, w in zip(cold[:3], warm[:3], strict=True)), weight=warm.weight)
        starts = (cold, cold._replace(shift=shared.astype(np.float32)), warm, mixed)
        return DualVariables(*(np.stack(parts) for parts in zip(*starts, strict=True)))

    def _slopes(self, known: dict[int, Interval], batch: int) -> tuple[Floats, Floats]:
        """Return slopes in the order of the places of the view."""
        found = [_node_slopes(self.program, k, known) for k, _, _ in self.view.shape.places]
        empty = np.zeros((batch, 0))
        return np.concatenate([empty, *(low for low, _ in found)], axis=1), np.concatenate([empty, *(high for _, high in found)], axis=1)

    def _part(self, k: int, known: dict[int, Interval]) -> tuple[Array, ...]:
        """Return what the dual reads of one node of the batch, as `DomainBatch` has it."""
        node, op = self.program[k], self.view.shape.ops[k]
        if op.kind == "unused":
            return ()
        match node:
            case Affine():
                return ()
            case Input():
                return _floats(known[k].lower, known[k].upper)
            case Staircase(a) | Table(a) | Wrap(a):
                listed = points(node, known[a].lower, known[a].upper, LISTED)
                return _floats(listed.arguments, listed.values)
            case Product(left, right):
                return _floats(known[left].lower, known[left].upper, known[right].lower, known[right].upper)
            case Maximum(a):
                return _floats(known[a].lower, known[a].upper)

    def steps(self, visited: int) -> int:
        """Return how many steps an ascent takes after so many domains; compiled code takes as many as ever, or it were compiled again."""
        return self.options.steps * (LONGER if visited >= HARD and not self.compiled else 1)

    def maximize_dual(self, assembly: Assembly, steps: int | None = None) -> Found:
        """Return the best dual bounds of a batch, after so many steps (if not told, those of the options).

        What is left of the time may not pay for a compilation; then numpy computes them. Raises OutOfTime.
        """
        steps = steps or self.options.steps
        rows = len(assembly.start.main)
        if not self._compiles(rows) or not self.deadline.affords(self._seconds(rows, steps)):
            return ascend_numpy(self.view, self.units, assembly.box, assembly.start, steps, self.deadline)
        if self.placed is None:
            from qspec.evaluate import sharding

            self.placed = sharding.place(self.view.arrays, sharding.WHOLE)
        key, began = (self.view.shape, steps, rows), time.monotonic()
        found = ascend_compiled(self.view, self.placed, self.units, assembly.box, assembly.start, steps)
        if key in _compiled:
            self.each = (time.monotonic() - began) / (rows * steps)
        _compiled.add(key)
        return found

    def _seconds(self, rows: int, steps: int) -> float:
        """Return how long so many steps of a batch take on the device, about, its compilation included."""
        return rows * steps * self.each + (0.0 if (self.view.shape, steps, rows) in _compiled else COMPILATION)


def _node_slopes(program: Program, k: int, known: dict[int, Interval]) -> tuple[Floats, Floats]:
    node = program[k]
    assert not isinstance(node, Input | Affine)
    # Only the arguments of the node are looked up, by position.
    return node_slopes(node, cast("list[Interval]", known))


def _top(view: View) -> npt.NDArray[np.bool_]:
    """Return which multipliers belong to relaxed nodes that no other relaxed node depends on, shape (1, multipliers)."""
    inner = [False] * len(view.shape.ops)
    for k in range(len(view.shape.ops) - 1, -1, -1):
        op = view.shape.ops[k]
        for a in op.arguments:
            inner[a] |= inner[k] or op.kind not in ("affine", "input", "unused")
    top = np.zeros((1, view.shape.total), dtype=np.bool_)
    for k, first, end in view.shape.places:
        top[:, first:end] = not inner[k]
    return top


def _readers(view: View, program: Program) -> dict[tuple[int, int], list[int]]:
    """Return the multipliers that belong to each element of an argument."""
    found: dict[tuple[int, int], list[int]] = {}
    for k, first, _ in view.shape.places:
        node = program[k]
        if isinstance(node, Maximum):
            owners = [(node.argument, int(e)) for e in node.groups.reshape(-1)]
        else:
            owners = [(a, e) for a in view.shape.ops[k].arguments for e in range(view.shape.ops[k].size)]
        for place, owner in enumerate(owners):
            found.setdefault(owner, []).append(first + place)
    return found


def _inputs(view: View) -> set[int]:
    return {k for k, op in enumerate(view.shape.ops) if op.kind == "input"}


def _floats(*arrays: npt.NDArray[Any]) -> tuple[Array, ...]:
    return tuple(a.astype(np.float32) for a in arrays)


def _units(view: View, program: Program, root: Domain) -> Units:
    """Return what one unit of a slope and of a weight is: slopes by rise over run at the root, weights by the width of the fact."""
    low, high = slopes(program, view.layout, list(root.known))
    steep = np.maximum(np.abs(low), np.abs(high))
    parts = [np.zeros(0)]
    for k, _, _ in view.shape.places:
        start, stop = view.layout.places[k]
        own = steep[start:stop]
        node = program[k]
        if isinstance(node, Staircase | Table | Wrap):
            own = _rates(node, root.known[node.argument])
        elif isinstance(node, Product):
            x, y = (root.known[a] for a in (node.left, node.right))
            own = np.concatenate([y.upper - y.lower, x.upper - x.lower]).astype(np.float64)
        positive = own[own > 0]
        own = np.where(own > 0, own, positive.mean() if positive.size else 1.0)
        parts.append(np.maximum(own, 1e-12))
    facts = [root.known[n] for n, _, _ in view.shape.facts]
    wide = np.concatenate([np.zeros(0), *((x.upper - x.lower).astype(np.float64) for x in facts)])
    slope = np.concatenate(parts)[None, :].astype(np.float32)
    return Units(slope, (1 / np.maximum(1, wide))[None, :].astype(np.float32))


def _widths(view: View, program: Program, root: Domain) -> Floats:
    """Return how wide the arguments of staircases are at the root, in the order of the multipliers."""
    width = np.ones(view.shape.total)
    for k, first, end in view.shape.places:
        node = program[k]
        if isinstance(node, Staircase):
            x = root.known[node.argument]
            width[first:end] = np.maximum(1, x.upper - x.lower)
    return width


def _rates(node: Staircase | Table | Wrap, x: Interval) -> Floats:
    """Return the rise of a step function over the run on which it rises, or a quarter of the interval if that is longer."""
    listed = points(node, x.lower, x.upper, 1)
    rise = np.abs(listed.values[1] - listed.values[0]).astype(np.float64)
    run = (listed.arguments[-1] - listed.arguments[2] if len(listed.arguments) > 2 else x.upper - x.lower).astype(np.float64)
    return rise / np.maximum(1, np.maximum(run, (x.upper - x.lower) / 4))
