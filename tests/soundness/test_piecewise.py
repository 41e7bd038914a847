"""Dual bounds of piecewise-linear real queries: exact maxima by enumeration, and what no rounding may hide."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from qspec.engines.piecewise import search as searching
from qspec.engines.piecewise.bound import Domains, backward
from qspec.engines.piecewise.network import network
from qspec.engines.piecewise.root import bounded
from qspec.ir.enclosure import evaluate
from qspec.ir.real import Affine, All, Apply, Function, Input, Matrix, Product, Query, exact, fractions
from qspec.ir.relus import bends, with_relus
from tests.soundness.piecewise_agreement import check_seed, steps
from tests.soundness.piecewise_queries import largest, random_network

SEEDS = range(20)


@pytest.mark.parametrize("few", [0, 10], ids=["relus first", "inputs first"])
def test_verdicts_are_those_of_enumeration(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "FEW", few)
    decided = 0
    for seed in SEEDS:
        counts, wrong = check_seed(seed, looks=150)
        assert not wrong
        decided += not any(name.endswith("unknown") for name in counts)
    assert decided >= 12  # the others are ties, which rounding leaves open


def test_any_multipliers_bound_the_exact_largest_value() -> None:
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        query = random_network(seed)
        program = query.program
        net = network(with_relus(query))
        top = len(net.plan.program) - 1
        domains = bounded(net, net.plan.lower[None], net.plan.upper[None])
        slopes, shifts = rng.uniform(-1, 2, (4, net.elements)), rng.normal(size=(4, net.elements))
        shifts[0] = 0.0
        seeds = {top: np.tile(np.eye(net.plan.sizes[top])[:1] * -1, (4, 1))}
        proved = backward(net, seeds, domains, slopes, shifts).proved
        most = largest(program, 0)
        assert all(Fraction(float(v)) <= -most for v in proved)


def test_bounds_of_what_relus_read_hold_at_points() -> None:
    for seed in SEEDS:
        query = with_relus(random_network(seed))
        net = network(query)
        domains = bounded(net, net.plan.lower[None], net.plan.upper[None])
        box = query.inputs["x"]
        low, high = fractions(box.lower), fractions(box.upper)
        for share in (Fraction(0), Fraction(1, 3), Fraction(1)):
            values = evaluate(query.program, {"x": exact(low + share * (high - low))})
            for k in net.relus:
                z = [v.lower for v in values[net.argument(k)]]
                ends = zip(domains.low[0, net.place[k]].tolist(), z, domains.high[0, net.place[k]].tolist(), strict=True)
                assert all(Fraction(a) <= v <= Fraction(b) for a, v, b in ends)


def test_a_bound_that_rounding_alone_makes_positive_proves_nothing() -> None:
    """The fact is exactly zero at one corner, so its refutation would need a positive bound that only rounding can give."""
    third = exact([Fraction(1, 3)])
    nodes = (
        Input("x", exact([0.0] * 12), exact([1.0] * 12)),
        Affine(((Matrix(exact([[Fraction(1, 3)] * 12])), 0),), third),
        Apply(1, Function.RELU),
        Affine(((Matrix(exact([[Fraction(-3)]])), 2),), exact([1])),
    )
    assert searching.search(Query(nodes, All(3)), steps(100)).status != "unsat"
    assert searching.search(Query(nodes, All(3, strict=True)), steps(100)).status != "sat"


@pytest.mark.parametrize("few", [0, 10], ids=["relus first", "inputs first"])
def test_inputs_that_doubles_can_only_enclose_are_not_halved_for_ever(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fact is zero at the only point of the box, which no double is."""
    monkeypatch.setattr(searching, "FEW", few)
    third = exact([Fraction(1, 3)] * 3)
    nodes = (
        Input("x", third, third),
        Affine(((Matrix(exact([[1, 1, 1], [1, -1, 0]])), 0),), exact([Fraction(-1, 7), 1])),
        Apply(1, Function.RELU),
        Affine(((Matrix(exact([[1, 1]])), 2),), exact([Fraction(-13, 7)])),
    )
    outcome = searching.search(Query(nodes, All(3)), steps(300))
    assert (outcome.status, outcome.ended) == ("unknown", "stuck")


def test_products_and_smooth_functions_are_left_to_others() -> None:
    x = Input("x", exact([0.0]), exact([1.0]))
    assert not bends(Query((x, Product(0, 0)), All(1)))
    assert not bends(Query((x, Apply(0, Function.TANH)), All(1)))
    assert not bends(Query((x,), All(0)))
    assert bends(Query((x, Apply(0, Function.RELU)), All(1)))


def test_a_domain_of_one_row_serves_a_batch() -> None:
    net = network(with_relus(random_network(3)))
    one = bounded(net, net.plan.lower[None], net.plan.upper[None])
    many = Domains(*(np.repeat(v, 3, axis=0) for v in (one.lower, one.upper, one.low, one.high)))
    top = len(net.plan.program) - 1
    seeds = {top: -np.ones((3, net.plan.sizes[top]))}
    slopes = np.full((3, net.elements), 0.5)
    assert np.array_equal(backward(net, seeds, one, slopes).proved, backward(net, seeds, many, slopes).proved)
