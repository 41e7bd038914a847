"""Elements of inputs that a goal equates are one: solutions stay solutions, in both directions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import qspec as qs
from qspec.compile.real_equal import joined
from qspec.ir.enclosure import satisfies
from qspec.ir.real import FALSE, Affine, All, And, Apply, Entries, Function, Input, Matrix, Maximum, Product, Query, exact, fractions
from qspec.readers.vnnlib import parse_vnnlib


def pair(low: tuple[object, ...] = (-1, 0, 1), high: tuple[object, ...] = (2, 3, 4)) -> Query:
    """Return a query about x and y of three elements: x0 = y1 and x1 = x2, in one comparison, and others about all of them."""
    on_x = Entries(5, 3, np.array([0, 1, 2, 2, 3, 3, 4]), np.array([0, 0, 1, 2, 1, 2, 2]), exact([1, -1, 1, -1, -1, 1, 1]))
    on_y = Entries(5, 3, np.array([0, 1, 4]), np.array([1, 1, 0]), exact([-1, 1, 1]))
    program = (
        Input("x", exact([-1, 0, "1/3"]), exact([1, 2, 3])),
        Input("y", exact(list(low)), exact(list(high))),
        Affine(((on_x, 0), (on_y, 1)), exact([0, 0, 0, 0, "1/7"])),
        Apply(1, Function.RELU),
        Product(0, 3),
        Affine(((Matrix(exact([[1, -2, 1], [0, 1, 1]])), 4), (Matrix(exact([[1, 1, 1], [2, 0, 1]])), 1)), exact([0, "-1/2"])),
        Maximum(1, np.array([[0, 1], [2, -1]])),
    )
    return Query(program, And((All(2), All(5, strict=True), All(6))))


def test_solutions_correspond() -> None:
    query = pair()
    one = joined(query)
    free = {name: node.lower.size for name, node in one.query.inputs.items()}
    assert free == {"x": 2, "y": 2}  # of six elements, two are equal to others
    assert one.query.inputs["x"].lower.tolist() == [0, Fraction(1, 3)]  # x0 is at least 0, as y1 is; x1 at least a third, as x2 is
    rng, solutions = np.random.default_rng(3), 0
    for _ in range(200):
        point = {n.name: exact([Fraction(int(rng.integers(-8, 25)), 8) for _ in range(n.lower.size)]) for n in one.query.inputs.values()}
        whole = one.lifted(point)
        found = satisfies(one.query, point)
        assert satisfies(query, whole) == found
        x, y = fractions(whole["x"]), fractions(whole["y"])
        assert (x[0], x[1]) == (y[1], x[2])
        solutions += bool(found)
    assert solutions > 3


def test_boxes_that_do_not_meet_leave_no_solution() -> None:
    assert joined(pair(low=(-1, 2, 1), high=(2, 3, 4))).query.goal == FALSE


def test_a_query_without_equations_is_as_it_was() -> None:
    query = pair()
    assert joined(Query(query.program, All(5))).query.program is query.program


@pytest.mark.parametrize(("less", "verdict"), [("(< Y[0] V[0])", "VIOLATED"), ("(< Y[1] (- V[1] 0.25))", "HOLDS")])
def test_monotonicity_of_two_copies_is_decided(less: str, verdict: str) -> None:
    """As `monotonic_acasxu` of VNN-COMP 2026 is written: the second input has no bounds but equations, and the comparison is strict."""
    net = qs.real.Sequential(
        qs.real.Input((3,)),
        qs.real.Dense(exact([[1, -1], [2, 1], [-1, "0.5"]]), exact([0, "0.1"]), qs.ReLU()),
        qs.real.Dense(exact([[1, 1], [1, -3]])),
    )
    names = "".join(
        f"(declare-network {n} {equal}(declare-input {x} Real [3])(declare-output {y} Real [2]))"
        for n, equal, x, y in (("f", "", "X", "Y"), ("g", "(equal-to f) ", "U", "V"))
    )
    box = "".join(f"(assert (and (<= -1.0 X[{k}]) (<= X[{k}] 1.0)))" for k in range(3))
    rest = "(assert (and (>= X[0] U[0]) (>= U[0] -1.0)))(assert (== X[1] U[1]))(assert (== U[2] X[2]))"
    found = qs.verify(parse_vnnlib(f"(vnnlib-version <2.0>){names}{box}{rest}(assert {less})").property(net), timeout=20)
    assert found.verdict.name == verdict
    if found.point is not None:
        x, u = found.point["X"].tolist(), found.point["U"].tolist()
        assert x[0] > u[0]
        assert x[1:] == u[1:]


def test_bounds_that_rows_imply_are_bounds() -> None:
    text = "".join(f"(declare-const X_{k} Real)" for k in range(3)) + "(declare-const Y_0 Real)"
    rows = "(assert (= X_1 X_0))(assert (>= X_2 (- X_1 1)))(assert (<= (+ X_2 X_0) 3))"
    net = qs.real.Sequential(qs.real.Input((3,)), qs.real.Dense(exact([[1], [1], [1]])))
    spec = parse_vnnlib(f"{text}(assert (>= X_0 -1))(assert (<= X_0 2)){rows}(assert (>= Y_0 0))").property(net)
    assert [[*end] for end in (spec.reals[0].lower, spec.reals[0].upper)] == [[-1, -1, -2], [2, 2, 4]]
