"""Random properties of random tiny networks, over all layers, formats and activations and most of the language.

`random_property(seed)` makes one; the same seed gives the same. Thresholds are values that the network takes, so that about half of the
properties hold. Every space of variables has at most `max_points` points.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from math import prod
from operator import and_, or_

import numpy as np

import qspec as qs
from qspec.arithmetic.formats import code_range
from qspec.errors import SpecError
from qspec.face import Network
from qspec.language.connectives import Formula
from qspec.language.domains import Range
from qspec.language.expressions import Expression
from qspec.language.interpret import Interpreter
from qspec.language.variables import Variable
from qspec.network.layers import Conv2D, Dense, Input
from qspec.testing.examples.parts import mlp
from tests.unit.random_networks import Dice, random_network


def random_property(seed: int, *, max_points: int = 200) -> qs.Property:
    """Return a random property without parameters."""
    r = Dice(seed)
    net = random_network(seed)
    spec = None
    if r.random() < 0.3:
        spec = _no_overflow(r, net, max_points)
    elif r.random() < 0.2:
        spec = _perturbed(r, net, max_points)
    elif r.random() < 0.3:
        spec = _two_copies(r, net, max_points)
    return spec or _plain(r, net, max_points)


def random_classes(seed: int, *, max_points: int = 40) -> qs.Property:
    """Return a random property of the classes of two tiny networks on one input, one a coarser copy of the other as often as not."""
    r = Dice(seed)
    classes = r.randint(2, 4)
    seeds = [r.randrange(1000)] * 2 if r.random() < 0.5 else r.sample(range(1000), 2)
    formats = r.sample([qs.Fixed(2, 0), qs.Fixed(3, 0), qs.Fixed(4, 1), None], 2)
    a, b = (mlp(outputs=classes, seed=seed, output=output) for seed, output in zip(seeds, formats, strict=True))
    xs = narrowed(r, a, "", max_points)
    scores = [a(*xs), b(*xs)]
    given = _about_classes(r, xs, scores, r.choice([0, 1])) if r.random() < 0.4 else None
    then = _about_classes(r, xs, scores, r.choice([0, 0, 1, 2, 3, 4]))
    return (qs.forall if r.random() < 0.7 else qs.exists)(*xs, given=given, then=then, name="classes")


def _about_classes(r: Dice, variables: Sequence[Variable], scores: Sequence[Expression], depth: int) -> Formula:
    if depth == 0:
        y, z = r.sample(list(scores), 2)
        own, others = r.choice([(qs.argmax(y), qs.argmax(z)), (qs.argmax(y, ties="last"), qs.argmax(z, ties="last"))])
        some = r.sample(range(y.size), r.randint(1, y.size))
        few = r.choice([own == others, own == others, own != others, own == some[0], own != some[0], own.isin(some), ~own.isin(some)])
        return few if r.random() < 0.7 else _comparison(r, variables, [*scores, variables[0].flatten()])
    parts = [_about_classes(r, variables, scores, depth - 1) for _ in range(r.randint(2, 3))]
    joined = reduce(r.choice([and_, or_]), parts)
    return ~joined if r.random() < 0.4 else joined


def narrowed(r: Dice, net: Network, suffix: str, max_points: int) -> list[Variable]:
    """Return a variable for each input of a network, narrowed at random until there are at most so many points."""
    found: list[Variable] = []
    budget = max_points
    for stage in net.inputs:
        assert isinstance(stage.layer, Input)
        low, high = code_range(stage.layer.format, stage.layer.shape)
        start, stop = low.copy(), high.copy()
        for k in r.sample(range(low.size), low.size):
            width = min(int(high[k] - low[k]), max(0, min(budget, r.choice([1, 2, 4, 16, 256])) - 1))
            start[k] = r.choice([int(low[k]), r.randint(int(low[k]), int(high[k]) - width), int(high[k]) - width])
            stop[k] = start[k] + width
            budget //= width + 1
        found.append(net.input(f"{stage.name}{suffix}", of=stage.name, lower=start, upper=stop))
    return found


def _plain(r: Dice, net: Network, max_points: int) -> qs.Property:
    xs = narrowed(r, net, "", max_points)
    outputs = net.outputs_of(*xs)
    signals: list[Expression] = [e.flatten() for e in (*outputs, *outputs, *xs)]
    then = _formula(r, xs, signals, r.choice([0, 0, 1, 2]))
    given = _formula(r, xs, [x.flatten() for x in xs], r.choice([0, 1])) if r.random() < 0.4 else None
    quantified = qs.forall if r.random() < 0.7 else qs.exists
    return quantified(*xs, given=given, then=then, name="plain")


def _two_copies(r: Dice, net: Network, max_points: int) -> qs.Property:
    """Two inputs that are near each other, or agree in some elements, and outputs that are near each other."""
    side = max(2, int(max_points**0.5))
    a, b = narrowed(r, net, "a", side), narrowed(r, net, "b", side)
    if r.random() < 0.6:
        b = [net.input(f"{s.name}b", of=s.name, lower=_lowest(v), upper=_highest(v)) for s, v in zip(net.inputs, a, strict=True)]
    free = [r.randrange(a[0].size)]
    given = qs.same(a[0], b[0], except_for=free) if r.random() < 0.6 else qs.linf(a[0].code - b[0].code) <= r.randint(1, 3)
    gap = qs.linf(net(*a) - net(*b))
    return qs.forall(a, b, given=given, then=gap <= _attained(r, [*a, *b], gap), name="two copies")


def _lowest(v: Variable) -> np.ndarray:
    return _range(v).start


def _highest(v: Variable) -> np.ndarray:
    return _lowest(v) + _range(v).count


def _range(v: Variable) -> Range:
    (piece,) = v.domain.pieces
    assert isinstance(piece, Range)
    return piece


def _perturbed(r: Dice, net: Network, max_points: int) -> qs.Property | None:
    """Stored parameters within one LSB, or with a bit flipped; None if there are none, or too many."""
    layers = [s.name for s in net.stages if isinstance(s.layer, Dense | Conv2D)]
    if not layers:
        return None
    name = r.choice(layers)
    layer = net.stage(name).layer
    assert isinstance(layer, Dense | Conv2D)
    bits = r.random() < 0.3
    try:
        freed = net.flip_bits(1, layers=[name]) if bits else net.perturb(weights=1, biases=r.randint(0, 1), layers=[name])
    except qs.NetworkError:
        return None
    points = freed.parameters[0].size + 1 if bits else 3 ** sum(p.size for p in freed.parameters)
    if points > max_points:
        return None
    xs = narrowed(r, net, "", max(1, max_points // points))
    out = freed(*xs).flatten()
    return qs.forall(xs, freed.parameters, then=_comparison(r, [*xs, *freed.parameters], [out]), name="flipped" if bits else "perturbed")


def _no_overflow(r: Dice, net: Network, max_points: int) -> qs.Property | None:
    try:
        spec = qs.properties.no_overflow(net, saturation=r.random() < 0.5) if len(net.inputs) == 1 else None
    except SpecError:
        return None
    if spec is None:
        return None
    (x,) = spec.variables
    (smaller,) = narrowed(r, net, "", max_points)
    inside = qs.all(x.code >= _lowest(smaller).reshape(x.shape)) & qs.all(x.code <= _highest(smaller).reshape(x.shape))
    total = prod(high - low + 1 for low, high in zip(_lowest(x).tolist(), _highest(x).tolist(), strict=True))
    return qs.forall(x, given=inside, then=spec.then, name="no overflow") if total <= 20 * max_points else None


def _formula(r: Dice, variables: Sequence[Variable], signals: Sequence[Expression], depth: int) -> Formula:
    if depth == 0:
        return _comparison(r, variables, signals)
    parts = [_formula(r, variables, signals, depth - 1) for _ in range(2)]
    return r.choice([parts[0] & parts[1], parts[0] | parts[1], ~parts[0] & parts[1], parts[0].implies(parts[1])])


def _comparison(r: Dice, variables: Sequence[Variable], signals: Sequence[Expression]) -> Formula:
    y = r.choice(list(signals))
    if y.size > 1 and r.random() < 0.25:
        winner = qs.argmax(y, ties=r.choice(["first", "last"]))
        return r.choice([winner == r.randrange(y.size), winner.isin([0, y.size - 1]), winner != 0])
    e = _term(r, y, r.choice(list(signals)))
    limit = _attained(r, variables, e)
    if e.size > 1:
        return r.choice([qs.all(e <= limit), qs.any(e > limit), qs.all(e != limit), qs.any(e == limit)])
    return r.choice([e <= limit, e < limit, e >= limit, e > limit, e == limit, e != limit])


def _term(r: Dice, y: Expression, z: Expression) -> Expression:
    weights = [r.randint(-3, 3) for _ in range(y.size)]
    return r.choice(
        [
            lambda: qs.dot(weights, y),
            lambda: qs.dot(weights, y) - qs.max(z),
            lambda: qs.max(y),
            lambda: qs.min(y) + qs.l1(z),
            lambda: qs.linf(y - z[0]),
            lambda: qs.l0(y) + z[0] * 0,
            lambda: y[0] * z[-1],
            lambda: abs(y) - z[0],
            lambda: qs.clip(y, -1, "3/2"),
            lambda: y,
        ]
    )()


def _attained(r: Dice, variables: Sequence[Variable], e: Expression) -> Expression:
    """Return a value that an element of the expression takes somewhere, often an extreme one among a few."""
    values: list[object] = []
    for _ in range(4):
        codes = {v.name: _sample(r, v) for v in variables}
        values += Interpreter(codes).values(e).reshape(-1).tolist()
    values.sort()  # pyright: ignore[reportCallIssue]
    return qs.q(r.choice([values[0], values[-1], values[-1], r.choice(values)]))


def _sample(r: Dice, v: Variable) -> np.ndarray:
    if not isinstance(v.domain.pieces[0], Range):
        codes = [0] * v.size
        codes[r.randrange(v.size)] = r.randint(0, 1)
        return np.array(codes)
    corner = r.choice(["low", "high", "inside"])
    low, high = _lowest(v).tolist(), _highest(v).tolist()
    chosen = [lo if corner == "low" else hi if corner == "high" else r.randint(lo, hi) for lo, hi in zip(low, high, strict=True)]
    return np.array(chosen).reshape(v.shape)
