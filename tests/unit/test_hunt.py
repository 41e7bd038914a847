"""Simple means find what is easy to find, by numbers of evaluations and not by the clock, and floats see what the reference sees."""

from __future__ import annotations

import typing
from collections.abc import Callable
from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qspec.arithmetic.integers import IntArray
from qspec.arithmetic.rounding import Rounding
from qspec.attack import falsify as module
from qspec.attack.aims import FREE
from qspec.attack.descents import descents
from qspec.attack.falsify import falsify, turns
from qspec.attack.flat_inputs import FlatBox
from qspec.attack.hunt import Hunt
from qspec.attack.linear_floats import in_floats
from qspec.attack.means import Scene
from qspec.attack.operations import rounded
from qspec.attack.smooth import Smooth
from qspec.bounds.interval import bound
from qspec.deadline import NEVER, Deadline
from qspec.engines.dual import branch_and_bound
from qspec.engines.dual.branch_and_bound import HURRY
from qspec.engines.dual.root_bounds import root_domain
from qspec.ir.integer import All, And, Any, Formula, Query, formula_nodes, multiplications
from qspec.ir.integer_builder import Builder
from qspec.ir.linear import Convolution, Dense, LinearMap, selection, sparse
from qspec.ir.linear import apply as applied
from qspec.ir.reference import evaluate, holds, satisfies
from tests.soundness.random_queries import random_query


def ask(builder: Builder, goal: Formula) -> Query:
    """Return the query whether a goal, built just now, can be true."""
    return Query(builder.program, goal)


def saturated(seed: int, *, radius: int = 10) -> Query:
    """Ask whether another class wins near an image: 6 bits, 48-16-12-6, outputs of which most are clipped at their lowest code."""
    rng = np.random.default_rng(seed)
    b = Builder()
    centre = rng.integers(0, 256, 48)
    x = b.input("x", np.maximum(centre - radius, 0), np.minimum(centre + radius, 255))
    maps = [rng.integers(-31, 32, shape) for shape in ((16, 48), (12, 16), (6, 12))]
    h = b.rescale(b.affine([(Dense(maps[0]), x)]), 1, 256, Rounding.RND, lower=0, upper=63)
    h = b.rescale(b.affine([(Dense(maps[1]), h)]), 1, 32, Rounding.RND, lower=0, upper=63)
    y = b.rescale(b.affine([(Dense(maps[2]), h)], -600), 1, 8, Rounding.RND, lower=-32, upper=31)
    best = int(np.argmax(evaluate(b.program, {"x": centre})[y]))
    rivals = np.array([k for k in range(6) if k != best])
    differences = np.zeros((5, 6), dtype=np.int64)
    differences[np.arange(5), rivals], differences[:, best] = 1, -1
    return ask(b, Any(b.affine([(Dense(differences), y)], -(rivals > best).astype(np.int64))))


def unfair(seed: int, offset: int) -> Query:
    """Ask for two rows of 20 columns, one of 0 to 20 000 beside flags, that differ in a flag and get opposite signs; one layer of 5."""
    rng = np.random.default_rng(seed)
    b = Builder()
    upper = np.array([20_000, *rng.integers(1, 12, 18)])
    x = b.input("x", np.zeros(19), upper)
    weights, own = rng.integers(-31, 32, (5, 19)), rng.integers(-24, 25, 5)
    weights[:, 0] = rng.integers(-2, 3, 5)
    last = rng.integers(-31, 32, (1, 5))
    outputs: list[int] = []
    for flag in (0, 1):
        hidden = b.affine([(Dense(weights), x)], flag * own + rng.integers(0, 1))
        outputs.append(b.affine([(Dense(last), b.rescale(hidden, 1, 16, Rounding.RND, lower=0, upper=63))], offset))
    return ask(b, And((All(b.scale(outputs[0], 1, -1)), All(b.scale(outputs[1], -1, -1)))))


def hunted(query: Query, looks: int) -> bool:
    """Return whether simple means find a solution within so many evaluations; what they find is one."""
    hunt = Hunt.of(query, bound(query.program), sum(multiplications(query.program)), 0)
    assert hunt is not None
    found = None
    while found is None and hunt.scene.looks < looks:
        found = hunt.run(NEVER, 1)
    assert found is None or satisfies(query, found)
    return found is not None


def sampled(query: Query, count: int) -> int:
    """Return how many of so many random points are solutions."""
    box, rng = FlatBox.of(query), np.random.default_rng(1)
    points = rng.integers(box.lower, box.upper + 1, (count, box.size))
    return int(np.count_nonzero(holds(query.goal, evaluate(query.program, box.split(points)))))


@settings(max_examples=100)
@given(seed=st.integers(0, 2**32))
def test_floats_see_what_the_reference_sees(seed: int) -> None:
    rng = np.random.default_rng(seed)
    query = random_query(rng, max_points=5000)
    box = FlatBox.of(query)
    smooth = Smooth.of(query, bound(query.program), box)
    points = box.listed(0, min(200, box.points))
    expected = np.broadcast_to(holds(query.goal, evaluate(query.program, box.split(points))), (len(points),))
    floats = points.astype(smooth.dtype)
    np.testing.assert_array_equal(smooth.solved(floats), expected)
    looked = smooth.look(floats, slopes=True)
    np.testing.assert_array_equal(looked.solved, expected)
    assert looked.slopes is not None
    assert looked.slopes.shape == floats.shape
    assert np.all(np.isfinite(looked.slopes))


def maps() -> list[LinearMap]:
    rng = np.random.default_rng(0)
    return [
        Dense(rng.integers(-9, 10, (5, 12))),
        selection([3, -1, 7, 3], 12),
        sparse(6, 12, rng.integers(0, 6, 30), rng.integers(0, 12, 30), rng.integers(1, 9, 30)),
        sparse(200, 12, rng.integers(0, 200, 30), rng.integers(0, 12, 30), rng.integers(1, 9, 30)),
        Convolution(rng.integers(-9, 10, (2, 2, 1, 4)), (3, 2, 2), (2, 1), ((1, 0), (0, 1)), (1, 1), 2),
        Convolution(rng.integers(-9, 10, (2, 1, 2, 3)), (3, 2, 2), (1, 1), ((0, 1), (1, 0)), (2, 1)),
    ]


@pytest.mark.parametrize("which", range(6))
def test_maps_in_floats_and_their_transposes(which: int) -> None:
    m = maps()[which]
    rng = np.random.default_rng(1)
    x, c = rng.integers(-9, 10, (7, m.inputs)), rng.integers(-9, 10, (7, m.outputs))
    forward, backward = in_floats(m, np.float32)
    np.testing.assert_array_equal(forward(x.astype(np.float32)), applied(m, x))
    np.testing.assert_array_equal((backward(c.astype(np.float32)) * x).sum(axis=1), (applied(m, x) * c).sum(axis=1))


def test_rounding_in_floats() -> None:
    y = np.arange(-12, 13) / 4
    for mode in Rounding:
        b = Builder()
        z = b.rescale(b.input("x", [-12], [12]), 1, 4, mode)
        np.testing.assert_array_equal(rounded(y, mode), evaluate(b.program, {"x": np.arange(-12, 13)[:, None]})[z][:, 0])


def test_slopes_lead_where_outputs_are_clipped() -> None:
    query = saturated(0)
    smooth = Smooth.of(query, bound(query.program), FlatBox.of(query))
    points = FlatBox.of(query).lower[None].astype(np.float32)
    outputs = evaluate(query.program, {"x": points.astype(np.int64)})[6]
    clipped = int(np.argmin(outputs))
    assert outputs[0, clipped] == -32
    looked = smooth.look(points, np.array([[max(0, clipped - 1)]]), slopes=True)
    assert looked.slopes is not None
    assert np.count_nonzero(looked.slopes) > 24


@pytest.mark.parametrize("seed", range(4))
def test_a_hidden_layer_is_no_last_step_though_exact_sums_follow(seed: int) -> None:
    """Where the last sums are not rounded, the score is that of the goal itself: the rectifiers before them count."""
    query = unfair(seed, 0)
    box = FlatBox.of(query)
    smooth = Smooth.of(query, bound(query.program), box)
    points = np.random.default_rng(seed).integers(box.lower, box.upper + 1, (400, box.size))
    values = evaluate(query.program, box.split(points))
    parts = np.concatenate([values[n] * smooth.scales[n] for n in formula_nodes(query.goal)], axis=1)
    parts += np.minimum(parts, 0)
    scores = smooth.look(points.astype(smooth.dtype)).scores
    np.testing.assert_allclose(scores, parts.min(axis=1) + np.minimum(parts, 0).mean(axis=1), rtol=1e-6)


def test_saturating_networks_of_two_hidden_layers_are_violated() -> None:
    assert all(hunted(saturated(seed), 1500) for seed in (1, 3, 8, 9, 11, 13, 16, 17, 18, 20, 22, 23))
    assert not any(sampled(saturated(seed), 3000) for seed in (3, 13, 16, 17, 18, 20))


@pytest.mark.parametrize(("seed", "offset"), [(0, 400), (1, -400), (1, 0)])
def test_rare_unfair_rows_are_found(seed: int, offset: int) -> None:
    query = unfair(seed, offset)
    assert 0 < sampled(query, 20_000) < 10
    assert hunted(query, 40_000)


def test_aims_are_dealt_to_every_open_member() -> None:
    query = saturated(1)
    hunt = Hunt.of(query, bound(query.program), 1000, 0)
    assert hunt is not None
    (members,) = hunt.scene.smooth.options
    assert set(hunt.scene.aims(12)[:, 0].tolist()) == {*members.tolist(), FREE}


def impossible() -> Query:
    """Ask for a number of which the double is odd."""
    b = Builder()
    x = b.input("x", np.zeros(8), np.full(8, 255))
    y = b.affine([(Dense(np.ones((1, 8), dtype=np.int64)), x)])
    return ask(b, And((All(b.scale(y, 2, -1001)), All(b.scale(y, -2, 1001)))))


def test_a_prover_is_left_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now, asked = [0.0], list[float]()

    def simply(_search: module.Falsification, work: float = np.inf, seconds: float = np.inf) -> None:
        asked.append(min(work, seconds))
        now[0] += min(seconds, 1.0)

    monkeypatch.setattr(module.Falsification, "simply", simply)
    turn = turns(impossible(), Deadline(1e9, lambda: now[0]), seed=0)
    assert [turn() for _ in range(5)] == [None] * 5
    assert asked == [module.FIRST_WORK]  # the first turn took a second, and the prover none yet
    now[0] += 8
    assert turn() is None
    assert asked[1:] == [1.0]


def test_a_search_that_lasts_ends_with_its_deadline() -> None:
    clock = count()
    assert falsify(impossible(), Deadline(20, clock.__next__)) is None
    assert 20 <= next(clock) <= 40


@pytest.mark.parametrize("left", [HURRY / 2, 2 * HURRY])
def test_with_little_time_left_the_attack_comes_before_the_bounds(left: float, monkeypatch: pytest.MonkeyPatch) -> None:
    query, order = saturated(1), list[str]()
    solution = falsify(query)

    def bounded(*given: typing.Any) -> typing.Any:
        order.append("bounds")
        return root_domain(*given)

    def attack(boxed: Query) -> Callable[[], dict[str, IntArray] | None]:
        order.append("attack")
        assert solution is not None
        assert satisfies(boxed, solution)
        return lambda: solution

    monkeypatch.setattr(branch_and_bound, "root_domain", bounded)
    assert branch_and_bound.prove(query, Deadline(left, lambda: 0.0), None, attack).solution is not None
    assert order[0] == ("attack" if left < HURRY else "bounds")


def test_searches_follow_slopes_through_staircases_that_no_double_holds() -> None:
    """Additions of TensorFlow Lite Micro multiply by 2**50 before they shift, for which slopes once were given up."""
    b = Builder()
    rng = np.random.default_rng(0)
    x = b.input("x", np.full(200, -1), np.full(200, 1))
    wide = b.rescale(x, 3 << 50, 1, Rounding.TRN)
    h = b.rescale(wide, 1, 1 << 50, Rounding.RND_INF)
    signs = 2 * rng.integers(0, 2, (1, 200)) - 1
    query = ask(b, All(b.affine([(Dense(signs), h)], -599)))
    assert hunted(query, 50)


def test_searches_straight_through_roundings_reach_a_corner_that_chance_does_not() -> None:
    b = Builder()
    rng = np.random.default_rng(1)
    x = b.input("x", np.full(300, -4), np.full(300, 4))
    weights = rng.integers(-9, 10, (20, 300))
    h = b.rescale(b.affine([(Dense(weights), x)]), 1, 64, Rounding.RND, lower=0, upper=127)
    y = b.affine([(Dense(rng.integers(-9, 10, (1, 20))), h)])
    best = sorted(int(v) for v in evaluate(b.program, {"x": np.sign(weights) * 4})[y][:, 0])[-1]
    query = ask(b, All(b.affine([(Dense(np.ones((1, 1), dtype=np.int64)), y)], -best)))
    box = FlatBox.of(query)
    stream = descents(Scene(Smooth.of(query, bound(query.program), box), box, 1, np.random.default_rng(0)))
    found = next(points for points in (next(stream) for _ in range(400)) if points is not None)
    assert any(satisfies(query, box.split(p.astype(np.int64))) for p in found)
    assert sampled(query, 20000) == 0
