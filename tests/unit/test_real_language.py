"""Expressions and formulas over reals: compiler, interpreter and plain arithmetic agree, and what has no meaning is refused."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest

import qspec as qs
from qspec.compile.real_query import compile_real
from qspec.ir.enclosure import satisfies
from qspec.ir.real import exact
from qspec.language.connectives import Formula
from qspec.language.expressions import Expression
from qspec.language.real_interpret import RealInterpreter, witnesses
from qspec.language.text import describe

V = np.vectorize(Fraction, otypes=[object])
KERNEL, BIAS = np.array([[1.0, -2.0], [0.5, 0.25]]), np.array([0.125, -1.0])
NET = qs.real.Sequential(qs.real.Input((2,)), qs.real.Dense(KERNEL, BIAS, qs.ReLU()), name="net")
FINE = qs.real.Sequential(qs.real.Input((2,)), qs.real.Dense(KERNEL, BIAS, qs.real.Softmax()), name="fine")
FIXED = qs.Sequential(qs.Input((2,), qs.Fixed(4, 2)), qs.Requantize(qs.Fixed(3, 0)), name="fixed")
POINTS = [V(p) for p in product(["-1", "-1/3", "0", "1/2", "1"], repeat=2)]


def net_of(v: np.ndarray) -> np.ndarray:
    return np.maximum(V(KERNEL).T @ v + V(BIAS), V(0))


VALUES: list[tuple[str, Callable[[Expression], object], Callable[[np.ndarray], object]]] = [
    ("sum and difference", lambda x: x + x[0] - "1/3", lambda v: v + v[0] - Fraction(1, 3)),
    ("multiples", lambda x: 3 * x / 7 - x * [1, "1/2"], lambda v: v * Fraction(3, 7) - v * V([1, Fraction(1, 2)])),
    ("product", lambda x: x * x[1], lambda v: v * v[1]),
    ("absolute", lambda x: abs(x - "1/4"), lambda v: abs(v - Fraction(1, 4))),
    ("backwards", lambda x: x[::-1], lambda v: v[::-1]),
    ("matrix", lambda x: np.array([[1, 2], [0, -1], [3, 1]]) @ x, lambda v: V([[1, 2], [0, -1], [3, 1]]) @ v),
    ("maximum", lambda x: qs.max(x, 0, [1, "-1/2"]), lambda v: np.maximum(np.maximum(v, V(0)), V([1, Fraction(-1, 2)]))),
    ("minimum of all", qs.min, lambda v: v.min()),
    ("clip and join", lambda x: qs.join([qs.clip(x, "-1/2", "1/4"), 1]), lambda v: V([*np.clip(v, V("-1/2"), V("1/4")), 1])),
    ("norms", lambda x: qs.linf(x) + qs.l1(x), lambda v: abs(v).max() + abs(v).sum()),
    ("relu", qs.relu, lambda v: np.maximum(v, V(0))),
    ("network", NET, net_of),
    ("network of a network", lambda x: NET(NET(x)), lambda v: net_of(net_of(v))),
    ("network of an expression", lambda x: NET(x * 2 - x[0]), lambda v: net_of(v * 2 - v[0])),
    ("inner layer", lambda x: NET.signal(x, layer="x"), lambda v: v),
    ("of constants", lambda x: NET([1, "1/3"]) + 0 * x, lambda v: net_of(V([1, Fraction(1, 3)]))),
]  # fmt: skip


@pytest.mark.parametrize(("build", "meaning"), [c[1:] for c in VALUES], ids=[c[0] for c in VALUES])
def test_an_expression_has_the_values_of_plain_arithmetic(build, meaning) -> None:
    x = NET.input("x", lower=-1, upper=1)
    e = build(x)
    for v in POINTS[::3]:
        expected = np.asarray(meaning(v), dtype=object)
        assert e.shape == expected.shape
        found = RealInterpreter({}, {"x": v}).values(e).reshape(-1)
        assert [(f.lower, f.upper) for f in found] == [(w, w) for w in expected.flat]
        spec = qs.exists(x, then=qs.all(e.flatten() == list(expected.flat)))
        assert satisfies(compile_real(spec).query, {"x": exact(v)}) is True


FUNCTIONS: list[tuple[Callable[[Expression], Expression], Callable[[np.ndarray], np.ndarray]]] = [
    (qs.exp, np.exp),
    (qs.tanh, np.tanh),
    (qs.sigmoid, lambda v: 1 / (1 + np.exp(-v))),
    (qs.softplus, lambda v: np.log1p(np.exp(v))),
    (qs.softmax, lambda v: np.exp(v) / np.exp(v).sum()),
    (FINE, lambda v: (e := np.exp(KERNEL.T @ v + BIAS)) / e.sum()),
    (lambda x: FINE(qs.tanh(x)), lambda v: (e := np.exp(KERNEL.T @ np.tanh(v) + BIAS)) / e.sum()),
]


@pytest.mark.parametrize(("build", "meaning"), FUNCTIONS)
def test_functions_are_enclosed_alike_by_compiler_and_interpreter(build, meaning) -> None:
    x = NET.input("x", lower=-1, upper=1)
    e = build(x)
    for v in POINTS[::4]:
        expected = meaning(v.astype(np.float64))
        found = RealInterpreter({}, {"x": v}).values(e)
        for f, w in zip(found, expected, strict=True):
            assert float(f.lower) - 1e-12 < w < float(f.upper) + 1e-12
        for k, w in enumerate(expected):
            for end, true in ((w - 1e-9, True), (w + 1e-9, False)):
                spec = qs.exists(x, then=e[k] >= qs.q(end))
                assert satisfies(compile_real(spec).query, {"x": exact(v)}) is true
                assert witnesses(spec, {}, {"x": v}) is true


def winner(v: list[Any]) -> int:
    return v.index(max(v))


TRUTHS: list[tuple[str, Callable[[Expression], Formula], Callable[[list[Fraction]], bool]]] = [
    ("at least", lambda x: qs.all(x >= "1/2"), lambda v: min(v) >= Fraction(1, 2)),
    ("above", lambda x: qs.any(x > "1/2"), lambda v: max(v) > Fraction(1, 2)),
    ("below", lambda x: qs.all(x < "1/2"), lambda v: max(v) < Fraction(1, 2)),
    ("equal", lambda x: x[0] == x[1], lambda v: v[0] == v[1]),
    ("some equal", lambda x: qs.any(x == "1/2"), lambda v: Fraction(1, 2) in v),
    ("every equal", lambda x: qs.all(x == "1/2"), lambda v: set(v) == {Fraction(1, 2)}),
    ("apart", lambda x: x[0] != x[1], lambda v: v[0] != v[1]),
    ("every apart", lambda x: qs.all(x != "1/2"), lambda v: Fraction(1, 2) not in v),
    ("some apart", lambda x: qs.any(x != "1/2"), lambda v: set(v) != {Fraction(1, 2)}),
    ("not", lambda x: ~((x[0] > 0) & (x[1] == 1)), lambda v: not (v[0] > 0 and v[1] == 1)),
    ("not every", lambda x: ~qs.all(x >= 0), lambda v: min(v) < 0),
    ("or", lambda x: (x[0] > 0) | (x[1] <= x[0]), lambda v: v[0] > 0 or v[1] <= v[0]),
    ("implies", lambda x: (x[0] >= 0).implies(x[1] >= 0), lambda v: v[0] < 0 or v[1] >= 0),
    ("distance at most", lambda x: qs.linf(x - ["1/2", 0]) <= "1/2", lambda v: 0 <= v[0] <= 1 and abs(v[1]) <= Fraction(1, 2)),
    ("distance above", lambda x: qs.linf(x) > "1/2", lambda v: max(map(abs, v)) > Fraction(1, 2)),
    ("rows of maxima", lambda x: qs.all(qs.max(x, [0, "1/2"]) <= "1/2"), lambda v: max(v) <= Fraction(1, 2)),
    ("argmax", lambda x: qs.argmax(x) == 1, lambda v: v[1] > v[0]),
    ("argmax, last of ties", lambda x: qs.argmax(x, ties="last") == 1, lambda v: v[1] >= v[0]),
    ("not the argmax", lambda x: qs.argmax(x) != 1, lambda v: v[0] >= v[1]),
    ("argmax in", lambda x: qs.argmax(qs.join([x, 0])).isin([0, 2]), lambda v: winner([*v, 0]) in (0, 2)),
    ("same argmax", lambda x: qs.argmax(x) == qs.argmax(NET(x)), lambda v: winner(v) == winner(list(net_of(np.array(v))))),
    ("constant", lambda x: NET([1, 1])[0] > 1, lambda v: True),
]  # fmt: skip


@pytest.mark.parametrize(("build", "meaning"), [c[1:] for c in TRUTHS], ids=[c[0] for c in TRUTHS])
def test_a_formula_is_true_where_plain_python_says_so(build, meaning) -> None:
    x = NET.input("x", lower=-1, upper=1)
    yes, no = qs.exists(x, then=build(x)), qs.forall(x, then=build(x))
    queries = compile_real(yes).query, compile_real(no).query
    for v in POINTS:
        true = meaning(list(v))
        assert satisfies(queries[0], {"x": exact(v)}) is true is witnesses(yes, {}, {"x": v})
        assert satisfies(queries[1], {"x": exact(v)}) is not true
        assert witnesses(no, {}, {"x": v}) is not true


def test_points_outside_the_box_solve_nothing() -> None:
    x = NET.input("x", lower=-1, upper=1)
    spec = qs.exists(x, then=x[0] > 0)
    assert witnesses(spec, {}, {"x": V([2, 0])}) is False
    assert satisfies(compile_real(spec).query, {"x": exact([2, 0])}) is False


def test_bounds_of_inputs_become_the_box_and_strict_ones_stay() -> None:
    x = NET.input("x", lower=-1, upper=1)
    loose = compile_real(qs.forall(x, given=qs.linf(x - ["1/2", 0]) <= "1/4", then=qs.max(NET(x)) <= 1)).query
    assert list(loose.inputs["x"].lower) == [0.25, -0.25]
    assert list(loose.inputs["x"].upper) == [0.75, 0.25]
    strict = compile_real(qs.exists(x, given=x[0] > "1/4", then=x[0] <= "1/4")).query
    assert satisfies(strict, {"x": exact(["1/4", 0])}) is False
    assert compile_real(qs.exists(x, then=x[0] >= 2)).query.inputs["x"].upper[0] == 1


def test_fixed_point_is_read_by_value_next_to_reals() -> None:
    z, x = FIXED.input("z"), NET.input("x", lower=-1, upper=1)
    e = NET(z) + FIXED(z) * x - z.code
    for codes, v in (([3, -2], V(["1/3", 1])), ([7, -8], V([-1, "1/2"]))):
        values = V(codes) / 4
        rounded = V([Fraction((2 * a + 1) // 2) for a in values])
        expected = net_of(values) + rounded * v - V(codes)
        found = RealInterpreter({"z": np.array(codes)}, {"x": v}).values(e)
        assert [f.lower for f in found] == list(expected)
        spec = qs.exists(z, x, then=qs.all(e == [expected[0], expected[1]]))
        compiled = compile_real(spec, assignment={"z": np.array(codes)})
        assert satisfies(compiled.query, {"x": exact(v)}) is True
        assert witnesses(spec, {"z": np.array(codes)}, {"x": v}) is True


def test_the_relaxation_of_fixed_point_keeps_every_solution() -> None:
    """Every code has errors for which the relaxed query holds; z3 finds them where the codes are pinned."""
    z = FIXED.input("z", lower=-3, upper=3)
    for codes in product((-3, -1, 2), repeat=2):
        y = FIXED.evaluate(codes)
        spec = qs.exists(z, given=qs.all(z.code == codes), then=qs.all(NET(FIXED(z)) == NET([int(c) for c in y])))
        assert qs.verify(spec, solver="z3").verdict is qs.Verdict.HOLDS


def box(name: str, upper: int = 1):
    return NET.input(name, lower=0, upper=upper)


REFUSED: list[tuple[str, Callable[[], object], str]] = [
    ("unquantified", lambda: qs.verify(qs.forall(box("x"), then=box("y")[0] >= 0)), "not quantified"),
    ("other of one name", lambda: qs.verify(qs.forall(box("x"), then=box("x", 2)[0] >= 0)), "one name"),
    ("two of one name", lambda: qs.forall(box("x"), FIXED.input("x"), then=NET(FIXED.input("x"))[0] >= 0), "one name"),
    ("wrong size", lambda: NET(box("x")[0]), "wrong shape"),
    ("two values", lambda: NET(1, 2), "one value per input"),
    ("reals into fixed point", lambda: qs.verify(qs.forall(v := box("v"), then=FIXED(v)[0] >= 0)), "applied to reals"),
    ("missing parameter", lambda: qs.verify(qs.forall(v := box("v"), then=v[0] >= qs.parameter("t"))), "no value"),
    ("counting", lambda: qs.verify(qs.forall(v := box("v"), then=qs.l0(v) >= 0)), "no meaning on reals"),
    ("compiled to integers", lambda: qs.query(qs.forall(v := box("v"), then=v[0] >= 0)), "no query of integers"),
    ("a bare float", lambda: box("v") + 0.1, "bare float"),  # pyright: ignore[reportOperatorIssue]
    ("features of reals", lambda: qs.same(box("a"), box("b"), except_for=["sex"]), "do not compare"),
]  # fmt: skip


@pytest.mark.parametrize(("build", "message"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED])
def test_what_has_no_meaning_is_refused(build: Callable[[], object], message: str) -> None:
    with pytest.raises(qs.QspecError, match=message):
        build()


def test_parameters_are_given_and_same_means_equal() -> None:
    a, b = (NET.input(n, lower=0, upper=1) for n in "ab")
    spec = qs.forall(a, b, given=qs.same(a, b, except_for=[1]), then=abs(a[1] - b[1]) + abs(a[0] - b[0]) <= qs.parameter("most"))
    assert qs.verify(spec.at(most=1), solver="z3").verdict is qs.Verdict.HOLDS
    assert qs.verify(spec.at(most="0.99")).verdict is qs.Verdict.VIOLATED


def test_a_property_about_reals_is_described() -> None:
    x = NET.input("x", lower=-1, upper=1)
    text = describe(qs.forall(x, given=qs.linf(x) <= "1/2", then=qs.all(NET(qs.tanh(x)) <= qs.sigmoid(x))))
    assert "x (2, real)" in text
    assert "sigmoid(x) ≥ net(tanh(x))" in text
