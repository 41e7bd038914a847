"""Forms contain every value, judged in exact rationals, and are narrower than intervals where inputs cancel."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

import qspec as qs
from qspec.compile.real_query import compile_real
from qspec.engines.delta import affine_forms, tensor_program
from qspec.engines.delta.tensor_program import plan
from qspec.errors import UnsupportedError
from qspec.ir.enclosure import evaluate
from qspec.ir.real import Affine, Apply, Entries, Function, Input, Query, Truth, exact
from tests.soundness.delta_queries import random_query


def _boxes(query: Query, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return random boxes within the box of a query, the first being the whole, the last a point."""
    made = plan(query)
    share = np.sort(rng.random((count, 2, made.lower.size)), axis=1)
    share[0, 0], share[0, 1], share[-1, 1] = 0.0, 1.0, share[-1, 0]
    wide = made.upper - made.lower
    ends = np.clip(made.lower + share * wide[None, None], made.lower, made.upper)
    return ends[:, 0], ends[:, 1]


@pytest.mark.parametrize("seed", range(60))
def test_forms_contain_exact_values(seed: int) -> None:
    query = random_query(seed)
    made, rng = plan(query), np.random.default_rng(seed)
    lower, upper = _boxes(query, rng, 6)
    with np.errstate(all="ignore"):
        sharp = affine_forms.enclose(made, lower, upper)
    for box in range(len(lower)):
        for _ in range(4):
            x = np.clip(
                lower[box] + rng.choice([0.0, 1.0, rng.random()], lower.shape[1]) * (upper[box] - lower[box]), lower[box], upper[box]
            )
            point = {n.name: exact(x[made.place[k]]) for k, n in enumerate(query.program) if isinstance(n, Input)}
            try:
                found = evaluate(query.program, point)
            except UnsupportedError:
                continue
            for enclosure, values in zip(sharp, found, strict=True):
                for low, high, v in zip(enclosure.lower[box].tolist(), enclosure.upper[box].tolist(), values, strict=True):
                    assert low == -np.inf or Fraction(low) <= v.upper
                    assert high == np.inf or Fraction(high) >= v.lower


@pytest.mark.parametrize("function", [qs.ReLU(), qs.Tanh()])
def test_deep_networks_are_contained(function: qs.ReLU | qs.Tanh) -> None:
    """Five layers, so that the later ones are bounded backwards; exact outputs at random doubles of random boxes."""
    rng = np.random.default_rng(3)
    sizes = (3, 8, 8, 8, 8, 2)
    numbers = [(rng.normal(size=s), rng.normal(size=s[1])) for s in pairwise(sizes)]
    layers = [qs.real.Dense(w, b, function) for w, b in numbers[:-1]]
    network = qs.real.Sequential(qs.real.Input((3,)), *layers, qs.real.Dense(*numbers[-1]))
    x = network.input("x", lower=-1, upper=1)
    query = compile_real(qs.forall(x, then=qs.all(network(x) >= 0))).query
    made = plan(query)
    assert affine_forms._deep(query.program)
    lower, upper = _boxes(query, rng, 8)
    found = affine_forms.enclose(made, lower, upper)
    plain = tensor_program.enclose(np, made, lower, upper)
    assert np.sum([v.upper - v.lower for v in found[-2:]]) < np.sum([v.upper - v.lower for v in plain[-2:]])
    for box in range(len(lower)):
        for _ in range(3):
            point = lower[box] + rng.random(3) * (upper[box] - lower[box])
            values = evaluate(query.program, {"x": exact(np.clip(point, lower[box], upper[box]))})
            for enclosure, exactly in zip(found, values, strict=True):
                assert all(Fraction(low) <= v.upper for low, v in zip(enclosure.lower[box].tolist(), exactly, strict=True))
                assert all(Fraction(high) >= v.lower for high, v in zip(enclosure.upper[box].tolist(), exactly, strict=True))


def test_what_cancels_is_seen() -> None:
    """Intervals say |x - relu(x)| <= 1 for 0 <= x <= 1; forms know that it is zero."""
    one = np.ones(1)
    difference = Affine(
        ((Entries(1, 1, np.zeros(1, int), np.zeros(1, int), one), 0), (Entries(1, 1, np.zeros(1, int), np.zeros(1, int), -one), 1)),
        np.zeros(1),
    )
    query = Query((Input("x", np.zeros(1), one), Apply(0, Function.RELU), difference), Truth(True))
    made = plan(query)
    found = affine_forms.enclose(made, made.lower[None], made.upper[None])[2]
    assert -1e-12 < found.lower[0, 0] <= 0 <= found.upper[0, 0] < 1e-12


def test_many_inputs_are_left_to_intervals() -> None:
    size = affine_forms.MOST_INPUTS + 1
    query = Query((Input("x", np.zeros(size), np.ones(size)), Apply(0, Function.RELU)), Truth(True))
    made = plan(query)
    assert np.array_equal(affine_forms.enclose(made, made.lower[None], made.upper[None])[1].upper, np.ones((1, size)))
