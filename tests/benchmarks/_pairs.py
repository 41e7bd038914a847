"""Look for rows of a table for which a protected feature matters most, in doubles: random rows, then one feature at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import product

import numpy as np
import numpy.typing as npt

import qspec as qs
from qspec.named.schema import Schema, Word

Places = npt.NDArray[np.int64]
"""Rows as positions of values, shape (count, features)."""
Values = npt.NDArray[np.float64]
Evaluate = Callable[[Values], Values]
Pair = tuple[Mapping[str, Word], Mapping[str, Word]]
RANDOM, KEPT, SWEEPS, TRIED = 20_000, 32, 3, 16


def every_row(schema: Schema) -> Iterator[Pair]:
    """Yield every pair of rows that differ in the one protected feature alone, each once."""
    (protected,) = schema.protected
    words = schema.feature(protected).values
    for combination in product(*(f.values for f in schema.features if f.name != protected)):
        rest = dict(zip((f.name for f in schema.features if f.name != protected), combination, strict=True))
        for k, first in enumerate(words):
            for second in words[k + 1 :]:
                yield {**rest, protected: first}, {**rest, protected: second}


def random_rows(schema: Schema, count: int, seed: int) -> Values:
    """Return the numbers that the network reads for random rows, shape (count, columns)."""
    return numbers(schema, _random(schema, count, np.random.default_rng(seed)))


def evaluator(network: qs.Network | qs.real.Network) -> Evaluate:
    """Return what gives the one output of a network, in doubles, for numbers of shape (count, columns)."""
    if isinstance(network, qs.real.Network):
        return lambda values: np.asarray(network.evaluate(values)[:, 0], dtype=np.float64)
    (units, zeros), unit = (
        network.inputs[0].type.grid.per_element(network.inputs[0].type.shape),
        float(network.output_types[0].grid.units[0]),
    )

    def evaluate(values: Values) -> Values:
        codes = np.rint(values / units.astype(np.float64) + zeros.astype(np.float64)).astype(np.int64)
        return np.asarray(network.evaluate(codes)[:, 0], dtype=np.float64) * unit

    return evaluate


def best_pairs(evaluate: Evaluate, schema: Schema, seed: int) -> tuple[Pair, Pair]:
    """Return the pair nearest to opposite signs, or furthest into them, and the pair with the widest gap of the one output."""
    return (
        _climb(evaluate, schema, seed, lambda f, g: np.maximum(np.minimum(-f, g), np.minimum(f, -g))),
        _climb(evaluate, schema, seed, lambda f, g: np.abs(f - g)),
    )


def numbers(schema: Schema, places: Places) -> Values:
    """Return the numbers that the network reads, shape (count, columns); features have one column each."""
    start, stride = (
        np.array([float(v) for v in ends], dtype=np.float64) for ends in zip(*((f.start, f.stride) for f in schema.features), strict=True)
    )
    return start + stride * places


def _random(schema: Schema, count: int, rng: np.random.Generator) -> Places:
    return np.stack([rng.integers(0, len(f.values), count) for f in schema.features], axis=1)


def _climb(evaluate: Evaluate, schema: Schema, seed: int, score: Callable[[Values, Values], Values]) -> Pair:
    """Return the pair of the greatest score that a search finds for the two values of the one protected feature."""
    rng = np.random.default_rng(seed)
    (protected,) = ([f.name for f in schema.features].index(p) for p in schema.protected)

    def scored(places: Places) -> Values:
        sides: list[Values] = []
        for side in (0, 1):
            row = places.copy()
            row[:, protected] = side
            sides.append(evaluate(numbers(schema, row)))
        return score(*sides)

    rows = _random(schema, RANDOM, rng)
    rows = rows[np.argsort(-scored(rows))[:KEPT]]
    for _ in range(SWEEPS):
        for k in rng.permutation(len(schema.features)):
            values = len(schema.features[k].values)
            tried = np.arange(values) if values <= TRIED else np.concatenate([[0, values - 1], rng.integers(0, values, TRIED)])
            moved = np.repeat(rows[:, None], len(tried) + 1, axis=1)
            moved[:, 1:, k] = tried
            best = scored(moved.reshape(-1, rows.shape[1])).reshape(len(rows), -1).argmax(axis=1)
            rows = moved[np.arange(len(rows)), best]
    best = rows[int(scored(rows).argmax())]
    return _words(schema, best, protected, 0), _words(schema, best, protected, 1)


def _words(schema: Schema, places: Places, protected: int, side: int) -> dict[str, Word]:
    return {f.name: f.values[side if k == protected else int(places[k])] for k, f in enumerate(schema.features)}
