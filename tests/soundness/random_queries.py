"""Random small well-formed queries over every operation, and their solutions by exhaustion.

`random_query(rng)` makes a query; `solutions(query)` lists all its satisfying assignments with the reference evaluator. About half of the
queries are satisfiable, many of them by a few points only; intervals decide few of them. The same generator state gives the same query.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np

from qspec.arithmetic.integers import IntArray, magnitude
from qspec.arithmetic.rounding import Rounding
from qspec.bounds.interval import Interval, bound, bound_node, decide
from qspec.ir import linear
from qspec.ir.integer import FALSE, TRUE, All, And, Any, Formula, Input, Or, Query, check
from qspec.ir.integer_builder import Builder
from qspec.ir.linear import LinearMap
from qspec.ir.reference import evaluate, holds

Kind = Literal["affine", "rescale", "steps", "table", "product", "maximum", "wrap"]
KINDS: tuple[Kind, ...] = ("affine", "rescale", "steps", "table", "product", "maximum", "wrap")
ROUNDINGS = tuple(Rounding)
MAX_MAGNITUDE = 20_000
"""No node of a random query leaves -MAX_MAGNITUDE..MAX_MAGNITUDE."""
MAX_ENTRIES = 80
"""Widest table."""
MAX_SIZE = 5


def random_query(
    rng: np.random.Generator, *, max_points: int = 1500, max_nodes: int = 7, kinds: Sequence[Kind] = KINDS, nested: tuple[int, int] = (0, 2)
) -> Query:
    """Return a random query with at most `max_points` assignments, and `max_nodes` nodes of these kinds between inputs and goal.

    Formulas are `nested` so deep, at least and at most; beyond 3, multiplied out, they are thousands of disjuncts.
    """
    grower = _Grower(rng, kinds)
    for k, (lower, upper) in enumerate(_random_boxes(rng, max_points)):
        grower.keep(grower.builder.input(f"x{k}", lower, upper))
    for _ in range(int(rng.integers(1, max_nodes + 1))):
        grower.grow()
    points = assignments(Query(grower.builder.program, TRUE))
    values = evaluate(grower.builder.program, points)
    wanted = bool(rng.random() < 0.5)
    query = Query((), TRUE)
    for _ in range(12):
        builder = grower.restart()
        goal = _random_formula(rng, builder, values, int(rng.integers(nested[0], nested[1] + 1)), hard=not wanted)
        if rng.random() < 0.3:
            goal = And((goal, *_random_box_literals(rng, builder)))
        query = check(Query(builder.program, goal))
        truth = _truth(query, points)
        if bool(truth.any()) == wanted and not truth.all() and decide(goal, bound(query.program)) is None:
            break
    return query


def assignments(query: Query) -> dict[str, IntArray]:
    """Return every assignment within the bounds, as a batch: shape (points, size) for each input."""
    columns = [
        (name, k, int(lo), int(up))
        for name, node in query.inputs.items()
        for k, (lo, up) in enumerate(zip(node.lower, node.upper, strict=True))
        if lo != up
    ]
    counts = [up - lo + 1 for _, _, lo, up in columns]
    total = int(np.prod([max(c, 0) for c in counts], dtype=object))
    index = np.unravel_index(np.arange(total), counts) if counts else ()
    result = {name: np.repeat(node.lower[None], total, axis=0) for name, node in query.inputs.items()}
    for (name, k, low, _), offset in zip(columns, index, strict=True):
        result[name][:, k] = offset.astype(result[name].dtype) + low
    return result


def solutions(query: Query) -> IntArray:
    """Return all satisfying assignments, one per row: the elements of all inputs side by side, in the order of the program."""
    points = assignments(query)
    found = np.flatnonzero(_truth(query, points))
    if not points:
        return np.zeros((found.size, 0), dtype=np.int64)
    return np.concatenate([array[found] for array in points.values()], axis=1)


def assignment(query: Query, row: IntArray) -> dict[str, IntArray]:
    """Return one row of `solutions`, or several as a batch, as an assignment."""
    ends = np.cumsum([node.lower.size for node in query.inputs.values()], dtype=np.int64)
    return dict(zip(query.inputs, np.split(row, ends[:-1], axis=-1), strict=True)) if ends.size else {}


def _truth(query: Query, points: Mapping[str, IntArray]) -> IntArray:
    total = next(iter(points.values())).shape[0] if points else 1
    return np.broadcast_to(holds(query.goal, evaluate(query.program, points)), (total,))


def _random_boxes(rng: np.random.Generator, max_points: int) -> list[tuple[IntArray, IntArray]]:
    boxes: list[tuple[IntArray, IntArray]] = []
    budget = max_points
    for _ in range(int(rng.integers(1, 4))):
        size = int(rng.integers(1, 4))
        widths = np.zeros(size, dtype=np.int64)
        for k in range(size):
            least = 1 if k == 0 and budget > 1 else 0
            widths[k] = int(rng.integers(least, min(budget, int(rng.choice([1, 3, 8, 40])) + 1)))
            budget //= int(widths[k]) + 1
        lower = rng.integers(-9, 9, size) + int(rng.choice([0, 0, 0, 100]))
        boxes.append((lower, lower + widths))
    return boxes


class _Grower:
    """Adds random nodes while it knows the interval of each node, so that tables cover their arguments and nothing grows large."""

    def __init__(self, rng: np.random.Generator, kinds: Sequence[Kind]) -> None:
        self.rng = rng
        self.builder = Builder()
        self.intervals: list[Interval] = []
        recipes: dict[Kind, Callable[[int], int]] = {
            "affine": self._affine,
            "rescale": self._rescale,
            "steps": self._steps,
            "table": self._table,
            "product": self._product,
            "maximum": self._maximum,
            "wrap": self._wrap,
        }
        self.recipes = [recipes[k] for k in kinds]

    def keep(self, node: int) -> None:
        """Record the intervals of all nodes up to this one."""
        for n in self.builder.program[len(self.intervals) : node + 1]:
            self.intervals.append(bound_node(n, self.intervals))

    def restart(self, count: int | None = None) -> Builder:
        """Return a new builder that holds the first `count` nodes (all of those kept, by default)."""
        builder = Builder()
        for n, interval in zip(self.builder.program[:count], self.intervals[:count], strict=True):
            builder.add(n, interval.lower.size)
        return builder

    def grow(self) -> None:
        """Add a node, unless it exceeds the limits."""
        before = len(self.intervals)
        argument = int(self.rng.integers(0, before) if self.rng.random() < 0.5 else before - 1)
        self.keep(self.recipes[int(self.rng.integers(0, len(self.recipes)))](argument))
        if any(i.magnitude > MAX_MAGNITUDE for i in self.intervals[before:]):
            self.intervals = self.intervals[:before]
            self.builder = self.restart(before)

    def _affine(self, argument: int) -> int:
        outputs = int(self.rng.integers(1, MAX_SIZE + 1))
        first = _random_map(self.rng, self.builder.size(argument), outputs)
        terms: list[tuple[LinearMap, int]] = [(first, argument)]
        for _ in range(int(self.rng.choice([0, 0, 1, 2]))):
            other = int(self.rng.integers(0, len(self.intervals)))
            terms.append((_random_matrix(self.rng, self.builder.size(other), first.outputs), other))
        return self.builder.affine(terms, self.rng.integers(-9, 10, first.outputs))

    def _rescale(self, argument: int) -> int:
        n = self.builder.size(argument)
        high = 1 if self.rng.random() < 0.3 else 9
        numerator, denominator = (self.rng.integers(1, high + 1, n) for _ in range(2))
        if self.rng.random() < 0.5:
            numerator, denominator = np.ones(n, dtype=np.int64), 2 ** self.rng.integers(0, 5, n)
        ends: list[IntArray | None] = [None, None]
        x = self.intervals[argument]
        for k in (0, 1):
            if self.rng.random() < 0.6:
                ends[k] = self.rng.integers(x.lower - 2, x.upper + 3) // denominator
        low, high_end = ends
        if low is not None and high_end is not None:
            low, high_end = np.minimum(low, high_end), np.maximum(low, high_end)
        rounding = ROUNDINGS[int(self.rng.integers(0, len(ROUNDINGS)))]
        return self.builder.rescale(
            argument, numerator, denominator, rounding, offset=self.rng.integers(-9, 10, n), lower=low, upper=high_end
        )

    def _steps(self, argument: int) -> int:
        x = self.intervals[argument]
        count = int(self.rng.integers(0, 7))
        thresholds = np.sort(self.rng.integers(x.lower[:, None] - 2, x.upper[:, None] + 3, (x.lower.size, count)), axis=1)
        return self.builder.steps(argument, self.rng.integers(-5, 6, x.lower.size), thresholds)

    def _table(self, argument: int) -> int:
        x = self.intervals[argument]
        first = x.lower - self.rng.integers(0, 3, x.lower.size)
        entries = int((x.upper - first).max(initial=0)) + 1 + int(self.rng.integers(0, 3))
        if entries > MAX_ENTRIES:
            return self._wrap(argument)
        return self.builder.table(argument, first, self.rng.integers(-9, 10, (x.lower.size, entries)))

    def _product(self, argument: int) -> int:
        other = int(self.rng.integers(0, len(self.intervals)))
        index = self.rng.integers(0, self.builder.size(other), self.builder.size(argument))
        right = argument if self.rng.random() < 0.2 else self.builder.select(other, index)
        return self.builder.product(argument, right)

    def _maximum(self, argument: int) -> int:
        shape = (int(self.rng.integers(1, MAX_SIZE)), int(self.rng.integers(1, 4)))
        groups = self.rng.integers(-1, self.builder.size(argument), shape)
        return self.builder.maximum(argument, np.where(groups.max(axis=1, keepdims=True) < 0, 0, groups))

    def _wrap(self, argument: int) -> int:
        width = int(magnitude(self.intervals[argument].upper)).bit_length() + int(self.rng.integers(-3, 3))
        widths = np.maximum(1, width + self.rng.integers(-1, 2, self.builder.size(argument)))
        return self.builder.wrap(argument, widths, bool(self.rng.random() < 0.5))


def _random_map(rng: np.random.Generator, inputs: int, outputs: int) -> LinearMap:
    choice = rng.random()
    if choice < 0.25:
        return _random_convolution(rng, inputs)
    if choice < 0.4:
        return linear.diagonal(rng.integers(-4, 5, inputs))
    if choice < 0.55:
        return linear.selection(rng.integers(-1, inputs, outputs), inputs)
    return _random_matrix(rng, inputs, outputs)


def _random_matrix(rng: np.random.Generator, inputs: int, outputs: int) -> LinearMap:
    matrix = rng.integers(-4, 5, (outputs, inputs))
    if rng.random() < 0.5:
        return linear.Dense(matrix)
    rows, columns = np.nonzero(rng.random((outputs, inputs)) < 0.6)
    return linear.sparse(outputs, inputs, rows, columns, matrix[rows, columns])


def _random_convolution(rng: np.random.Generator, inputs: int) -> LinearMap:
    images = [(h, w, inputs // (h * w)) for h in range(1, inputs + 1) for w in range(1, inputs + 1) if inputs % (h * w) == 0]
    image = images[int(rng.integers(0, len(images)))]
    groups = image[2] if rng.random() < 0.4 else 1
    height, width = (int(rng.integers(1, image[a] + 1)) for a in (0, 1))
    stride, dilation = ((int(rng.integers(1, 3)), int(rng.integers(1, 3))) for _ in range(2))
    padding = tuple(
        (int(rng.integers(0, 2)), (size - 1) * (d - 1) + int(rng.integers(0, 2))) for size, d in zip((height, width), dilation, strict=True)
    )
    kernel = rng.integers(-3, 4, (height, width, image[2] // groups, groups * int(rng.integers(1, 3))))
    return linear.Convolution(kernel, image, stride, (padding[0], padding[1]), dilation, groups)


def _random_formula(rng: np.random.Generator, builder: Builder, values: list[IntArray], depth: int, *, hard: bool) -> Formula:
    if depth == 0:
        return _random_literal(rng, builder, values, hard=hard)
    if rng.random() < 0.03:
        return TRUE if rng.random() < 0.5 else FALSE
    children = tuple(_random_formula(rng, builder, values, depth - 1, hard=hard) for _ in range(int(rng.integers(1, 4))))
    return And(children) if rng.random() < 0.5 else Or(children)


def _random_literal(rng: np.random.Generator, builder: Builder, values: list[IntArray], *, hard: bool) -> Formula:
    """A node compared with values that it takes, often its extremes; if `hard`, more often beyond them."""
    node = int(rng.integers(0, len(values), 3).max() if rng.random() < 0.5 else len(values) - 1)
    sign = int(rng.choice([-1, 1]))
    x = sign * values[node]
    quantile = float(rng.choice([0.9, 0.98, 1.0] if hard else [0.0, 0.3, 0.7, 0.9, 0.98, 1.0]))
    threshold = np.quantile(x, quantile, axis=0, method="lower").astype(np.int64) + int(rng.choice([0, 1, 1, 2] if hard else [0, 0, 0, 1]))
    compared = builder.scale(node, sign, -threshold)
    if builder.size(node) > 1 and rng.random() < 0.5:
        compared = builder.select(compared, rng.integers(0, builder.size(node), int(rng.integers(1, 4))))
    return All(compared) if rng.random() < 0.5 else Any(compared)


def _random_box_literals(rng: np.random.Generator, builder: Builder) -> list[Formula]:
    """Conjuncts that bound some elements of one input, as `x - image <= eps` does."""
    positions = [(k, n) for k, n in enumerate(builder.program) if isinstance(n, Input)]
    node, source = positions[int(rng.integers(0, len(positions)))]
    size = source.lower.size
    centre = rng.integers(source.lower, source.upper + 1)
    distance = builder.difference(node, builder.constant(centre))
    factor = int(rng.integers(1, 4))
    radius = rng.integers(0, 4, size) * factor
    return [All(builder.scale(distance, -factor, radius)), All(builder.scale(distance, factor, radius + int(rng.integers(0, 2))))]
