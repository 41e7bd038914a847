"""Expressions and formulas: what they mean (compiler and interpreter against plain Python), and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest

import qspec as qs
from qspec.arithmetic.integers import integers
from qspec.compile.query import Compiler, compile_property
from qspec.errors import QspecError
from qspec.ir.integer import Input, Query
from qspec.ir.reference import evaluate
from qspec.language.connectives import Formula
from qspec.language.domains import Range
from qspec.language.expressions import Expression
from qspec.language.interpret import Interpreter, in_domain
from qspec.language.property import bind, parameter_names
from qspec.language.traversal import networks
from qspec.testing import census
from qspec.testing.examples.parts import mlp
from tests.soundness.random_queries import solutions

QUARTERS = qs.Fixed(4, 2)
NET = qs.Sequential(qs.Input((2, 2), QUARTERS), qs.Requantize(qs.Fixed(3, 0)))
FLAT = qs.Sequential(qs.Input((3,), qs.Fixed(3, 1)), qs.Requantize(qs.Fixed(3, 0)))
SKEWED = qs.Sequential(qs.Input((2,), qs.Affine(3, False, (Fraction(1, 3), Fraction(1, 2)), (2, 5))), qs.Requantize(qs.Fixed(4, 1)))
V = np.vectorize(Fraction, otypes=[object])


def nearest(values: np.ndarray) -> np.ndarray:
    """Round half up, as `Fixed` does unless told otherwise."""
    return np.vectorize(lambda a: Fraction((2 * a + 1) // 2), otypes=[object])(values)


def winner(values: list[Any]) -> int:
    return values.index(max(values))


VALUES: list[tuple[str, Callable[[Expression], Any], Callable[[np.ndarray], object]]] = [
    ("sum", lambda x: x + x, lambda v: v + v),
    ("difference of a constant", lambda x: 1 - x, lambda v: 1 - v),
    ("difference", lambda x: x - "1/3", lambda v: v - Fraction(1, 3)),
    ("negation", lambda x: -x, lambda v: -v),
    ("multiple", lambda x: 3 * x * "2/7", lambda v: v * Fraction(6, 7)),
    ("quotient", lambda x: x / 4, lambda v: v / 4),
    ("quotient by an array", lambda x: x / [2, -3], lambda v: v / V([2, -3])),
    ("product", lambda x: x * x[0], lambda v: v * v[0]),
    ("absolute", lambda x: abs(x - 1), lambda v: abs(v - 1)),
    ("element", lambda x: x[1, 0], lambda v: v[1, 0]),
    ("row", lambda x: x[1], lambda v: v[1]),
    ("column backwards", lambda x: x[::-1, 1], lambda v: v[::-1, 1]),
    ("new axis", lambda x: x[:, None] + x, lambda v: v[:, None] + v),
    ("index array", lambda x: x[[1, 0, 1]], lambda v: v[[1, 0, 1]]),
    ("mask", lambda x: x[np.array([[True, False], [True, True]])], lambda v: v[np.array([[True, False], [True, True]])]),
    ("reshape", lambda x: x.reshape(4, 1), lambda v: v.reshape(4, 1)),
    ("flatten", lambda x: x.flatten(), lambda v: v.reshape(-1)),
    ("broadcast row", lambda x: x + np.array([1, Fraction(1, 2)]), lambda v: v + V([1, Fraction(1, 2)])),
    ("broadcast column", lambda x: x * np.array([[1], [-2]]), lambda v: v * V([[1], [-2]])),
    ("array on the left", lambda x: np.array([[1.5, 2], [0, 0.25]]) - x, lambda v: V([[1.5, 2], [0, 0.25]]) - v),
    ("matrix", lambda x: np.array([[1, 2, 0, -1], [0, 0, 3, 1]]) @ x.flatten(), lambda v: V([[1, 2, 0, -1], [0, 0, 3, 1]]) @ v.reshape(-1)),
    ("dot", lambda x: qs.dot(["1/2", 0, -1, 2], x.flatten()), lambda v: V([Fraction(1, 2), 0, -1, 2]) @ v.reshape(-1)),
    ("total", qs.sum, lambda v: v.sum()),
    ("total of rows", lambda x: qs.sum(x, axis="last"), lambda v: v.sum(axis=1)),
    ("maximum", qs.max, lambda v: v.max()),
    ("maximum of rows", lambda x: qs.max(x, axis="last"), lambda v: v.max(axis=1)),
    ("maximum of several", lambda x: qs.max(x, -x, 0), lambda v: np.maximum(np.maximum(v, -v), 0)),
    ("minimum", qs.min, lambda v: v.min()),
    ("minimum of several", lambda x: qs.min(x, x[0], ["1/2", 1]), lambda v: np.minimum(np.minimum(v, v[0]), V([Fraction(1, 2), 1]))),
    ("clip", lambda x: qs.clip(x, -1, "1/2"), lambda v: np.clip(v, V(-1), V("1/2"))),
    ("join", lambda x: qs.join([x[0], 3, x]), lambda v: np.concatenate([v[0], V([3]), v.reshape(-1)])),
    ("l-infinity", lambda x: qs.linf(x - 1), lambda v: abs(v - 1).max()),
    ("l1", qs.l1, lambda v: abs(v).sum()),
    ("l0", lambda x: qs.l0(x - "1/4"), lambda v: V(np.count_nonzero(v != Fraction(1, 4)))),
    ("code", lambda x: x.code, lambda v: v * 4),  # pyright: ignore[reportAttributeAccessIssue]
    ("network", lambda x: NET(x), lambda v: np.clip(nearest(v), -4, 3)),
    ("network of an expression", lambda x: NET(qs.clip(-x, -2, "7/4")), lambda v: nearest(np.minimum(-v, V("7/4")))),
]  # fmt: skip


@pytest.mark.parametrize(("build", "meaning"), [c[1:] for c in VALUES], ids=[c[0] for c in VALUES])
@pytest.mark.parametrize("codes", [[[0, 3], [-8, 7]], [[-1, 1], [5, -6]], [[7, 7], [-8, -8]]], ids=str)
def test_an_expression_has_the_values_of_plain_arithmetic(build, meaning, codes) -> None:
    x = NET.input("x")
    e = build(x)
    expected = np.asarray(meaning(V(codes) / 4), dtype=object)
    assert e.shape == expected.shape
    assert e.size == expected.size
    assert np.array_equal(Interpreter({"x": integers(codes)}).values(e), expected)
    assert np.array_equal(compiled_values(e, x, codes), expected)


def compiled_values(e: Expression, x, codes: object) -> np.ndarray:
    compiler = Compiler(qs.forall(x, then=qs.all(x == x)))
    lowered = compiler.lower(e)
    values = evaluate(compiler.builder.program, {"x": integers(codes).reshape(-1)})
    return (values[lowered.node].astype(object) * lowered.unit).reshape(e.shape)


def test_affine_values_have_scale_and_zero_point_of_their_channel() -> None:
    x = SKEWED.input("x")
    for codes in product(range(8), repeat=2):
        expected = V([Fraction(codes[0] - 2, 3), Fraction(codes[1] - 5, 2)])
        assert np.array_equal(Interpreter({"x": integers(codes)}).values(x), expected)
        assert np.array_equal(compiled_values(x, x, codes), expected)


TRUTHS: list[tuple[str, Callable[[Expression], Formula], Callable[[list[Fraction]], bool]]] = [
    ("at least", lambda x: qs.all(x >= "1/2"), lambda v: all(a >= Fraction(1, 2) for a in v)),
    ("above", lambda x: qs.all(x > "1/2"), lambda v: all(a > Fraction(1, 2) for a in v)),
    ("at most", lambda x: qs.any(x <= -1), lambda v: any(a <= -1 for a in v)),
    ("below", lambda x: qs.any(x < -1), lambda v: any(a < -1 for a in v)),
    ("every equal", lambda x: qs.all(x == x[0]), lambda v: v[0] == v[1] == v[2]),
    ("some equal", lambda x: qs.any(x[1:] == x[0]), lambda v: v[0] in v[1:]),
    ("every apart", lambda x: qs.all(x[1:] != x[0]), lambda v: v[0] not in v[1:]),
    ("some apart", lambda x: qs.any(x[1:] != x[0]), lambda v: v[1:] != [v[0]] * 2),
    ("and", lambda x: (x[0] > 0) & (x[1] <= x[2]), lambda v: v[0] > 0 and v[1] <= v[2]),
    ("or", lambda x: (x[0] > 0) | (x[1] <= x[2]), lambda v: v[0] > 0 or v[1] <= v[2]),
    ("not", lambda x: ~((x[0] > 0) & (x[1] == x[2])), lambda v: not (v[0] > 0 and v[1] == v[2])),
    ("not every", lambda x: ~qs.all(x >= 0), lambda v: min(v) < 0),
    ("not some", lambda x: ~qs.any(x != 1), lambda v: v == [1, 1, 1]),
    ("implies", lambda x: (x[0] < x[1]).implies(x[1] < x[2]), lambda v: v[0] >= v[1] or v[1] < v[2]),
    ("distance at most", lambda x: qs.linf(x - [1, 0, "1/2"]) <= 1, lambda v: 0 <= v[0] <= 2 and abs(v[1]) <= 1 and 2 * v[2] >= -1),
    ("distance above", lambda x: qs.linf(x) > "3/2", lambda v: max(map(abs, v)) > Fraction(3, 2)),
    ("sum of distances", lambda x: qs.l1(x) + x[0] <= 2, lambda v: sum(map(abs, v)) + v[0] <= 2),
    ("at most one", lambda x: qs.l0(x) <= 1, lambda v: sum(a != 0 for a in v) <= 1),
    ("minus a maximum", lambda x: 2 - 3 * qs.max(x) >= qs.min(x), lambda v: 2 - 3 * max(v) >= min(v)),
    ("rows of maxima", lambda x: qs.all(qs.max(x, [0, 1, 0]) <= 1), lambda v: max(v[0], v[2]) <= 1 and v[1] <= 1),
    ("minus scaled distances", lambda x: qs.all(1 - abs(x[[0, 2]]) * [1, "1/2"] > 0), lambda v: abs(v[0]) < 1 and abs(v[2]) < 2),
    ("product", lambda x: x[0] * x[1] > x[2], lambda v: v[0] * v[1] > v[2]),
    ("argmax", lambda x: qs.argmax(x) == 1, lambda v: v[1] > v[0] and v[1] >= v[2]),
    ("argmax, last of ties", lambda x: qs.argmax(x, ties="last") == 1, lambda v: v[1] >= v[0] and v[1] > v[2]),
    ("not the argmax", lambda x: qs.argmax(x) != 2, lambda v: max(v[:2]) >= v[2]),
    ("argmax in", lambda x: qs.argmax(x).isin([0, 2]), lambda v: winner(v) in (0, 2)),
    ("argmax at most", lambda x: qs.argmax(x) <= 1, lambda v: winner(v) <= 1),
    ("argmax above", lambda x: qs.argmax(x) > 0, lambda v: winner(v) > 0),
    ("argmax in none", lambda x: qs.argmax(x).isin([]), lambda v: False),
    ("same argmax", lambda x: qs.argmax(x) == qs.argmax(FLAT(x)), lambda v: winner(v) == winner([(2 * a + 1) // 2 for a in v])),
]  # fmt: skip


@pytest.mark.parametrize(("build", "meaning"), [c[1:] for c in TRUTHS], ids=[c[0] for c in TRUTHS])
def test_a_formula_is_true_where_plain_python_says_so(build, meaning) -> None:
    x = FLAT.input("x")
    expected = {c for c in product(range(-4, 4), repeat=3) if meaning([Fraction(a, 2) for a in c])}
    assert {tuple(row) for row in solutions(compile_property(qs.exists(x, then=build(x))).query).tolist()} == expected
    run = {c for c in product(range(-4, 4, 3), repeat=3) if Interpreter({"x": integers(c)}).truth(build(x))}
    assert run == {c for c in expected if set(c) <= {-4, -1, 2}}


def test_a_universal_property_asks_for_its_negation_under_the_assumption() -> None:
    x = FLAT.input("x")
    compiled = compile_property(qs.forall(x, given=x[0] == 1, then=x[1] <= x[2]))
    found = {tuple(row) for row in solutions(compiled.query).tolist()}
    assert found == {(2, b, c) for b in range(-4, 4) for c in range(-4, 4) if b > c}
    assert len(solutions(compiled.assumption)) == 64


def test_equal_copies_are_shared_and_only_where_their_domains_agree() -> None:
    a, b = FLAT.input("a"), FLAT.input("b", lower=[-4, -4, 0])
    spec = qs.forall(a, b, given=qs.same(a, b, except_for=[0]), then=a[0] <= b[0] + b[2])
    compiled = compile_property(spec)
    inputs = {n.name: n.lower.size for n in compiled.query.program if isinstance(n, Input)}
    assert inputs == {"a": 3, "b": 2}
    assert {tuple(r) for r in lifted(spec)} == census(spec).solutions
    shared = compile_property(qs.forall(a, FLAT.input("c"), given=qs.same(a, FLAT.input("c")), then=a[0] <= 0))
    assert [n.name for n in shared.query.program if isinstance(n, Input)] == ["a"]


def lifted(spec: qs.Property) -> set[tuple[int, ...]]:
    compiled = compile_property(spec)
    found: set[tuple[int, ...]] = set()
    for row in solutions(compiled.query):
        sizes = np.cumsum([n.lower.size for n in compiled.query.inputs.values()])[:-1]
        values = compiled.lift(dict(zip(compiled.query.inputs, np.split(row, sizes), strict=True)))
        found.add(tuple(int(c) for v in spec.variables for c in values[v.name]))
    return found


def test_chains_of_copies_keep_every_equality() -> None:
    small = qs.Sequential(qs.Input((2,), qs.Fixed(2, 0)), qs.Requantize(qs.Fixed(2, 0)))
    a, b, c = (small.input(n) for n in "abc")
    for given in (
        qs.same(a, b) & qs.same(b, c),
        qs.same(c, b) & qs.same(a, c, except_for=[1]),
        qs.same(a, b) & qs.same(a, b, except_for=[0]),
    ):
        spec = qs.exists(a, b, c, given=given, then=a[0] + b[1] > c[0])
        assert lifted(spec) == census(spec).solutions


@pytest.mark.parametrize("negated", [False, True])
def test_equality_that_is_not_assumed_is_not_shared(negated: bool) -> None:
    small = qs.Sequential(qs.Input((1,), qs.Fixed(2, 0)), qs.Requantize(qs.Fixed(2, 0)))
    a, b = small.input("a"), small.input("b")
    given = ~qs.same(a, b) if negated else qs.same(a, b) | (a[0] < b[0])
    spec = qs.exists(a, b, given=given, then=a[0] <= 0)
    assert lifted(spec) == census(spec).solutions


def test_features_are_named_columns() -> None:
    features = (qs.Feature("age", -1, 2), qs.Feature("job", categories=("a", "b", "c")))
    net = qs.Sequential(qs.Input((4,), qs.Affine(4, True, Fraction(1, 2), -1), features=features), qs.Requantize(qs.Fixed(3, 0)))
    x = net.input("x")
    assert x["age"].shape == ()
    assert x["job"].shape == (3,)
    points = {tuple(row) for row in lifted(qs.exists(x, then=x["age"] >= -5))}
    on, off = 1, -1
    hot = [(on, off, off), (off, on, off), (off, off, on)]
    assert points == {(2 * age - 1, *h) for age in range(-1, 3) for h in hot}
    assert in_domain(x.domain, integers([-3, 1, -1, -1]))
    assert not in_domain(x.domain, integers([-2, 1, -1, -1]))
    assert not in_domain(x.domain, integers([-3, 1, 1, -1]))


def test_parameters_are_given_at_the_end() -> None:
    x = FLAT.input("x")
    c, k, r = qs.parameter("c", 3), qs.parameter("k"), qs.parameter("r")
    spec = qs.exists(x, given=qs.linf(x.code - c) <= r * 2, then=qs.argmax(x) == k)
    assert parameter_names(spec) == {"c": (3,), "k": (), "r": ()}
    for image, radius, label in (([0, 0, 0], "1/2", 2), (np.array([[3, -4, 1]]), 0, 0)):
        bound = bind(spec.at(c=image, r=radius, k=label))
        assert parameter_names(bound) == {}
        assert lifted(bound) == census(bound).solutions != set()


def test_networks_of_a_property_are_found_once() -> None:
    a, b = mlp(seed=1), mlp(seed=2)
    x = a.input("x")
    assert networks(qs.forall(x, given=qs.all(a(x) == a(x)), then=qs.argmax(b(x)) == qs.argmax(a(x)))) == [a, b]


def test_a_network_applied_twice_to_one_value_is_lowered_once() -> None:
    net = mlp(seed=1)
    x = net.input("x")
    once, twice = (compile_property(qs.forall(x, then=f)).query for f in (net(x)[0] <= 0, net(x)[0] + 0 * net(x)[1] <= 0))
    assert staircases(once) == staircases(twice)


def staircases(query: Query) -> int:
    return sum(type(n).__name__ == "Staircase" for n in query.program)


X = FLAT.input("x")
OTHER = NET.input("y")

REFUSED: list[tuple[str, Callable[[], object], str]] = [
    ("bare float", lambda: X + 0.1, r'given:\s+0\.1\n.*\n.*qs\.q\("0\.1"\)'),  # pyright: ignore[reportOperatorIssue]
    ("text that is no number", lambda: X + "a", "'?a'?"),
    ("NaN", lambda: X + np.array([np.nan, 0, 0]), "nan"),
    ("shapes", lambda: X + np.array([1, 2]), r"\(3,\), \(2,\)"),
    ("matrix and vector", lambda: qs.dot([[1, 2]], X), r"\(1, 2\), \(3,\)"),
    ("index too large", lambda: X[3], r"given:\s+3\n.*shape \(3,\)"),
    ("too many indices", lambda: X[0, 0], r"shape \(3,\)"),
    ("reshape", lambda: X.reshape(2, 2), r"\(2, 2\)\n.*3 elements"),
    ("feature of an input without", lambda: X["age"], "age\n.*no features"),
    ("division by zero", lambda: X / 0, "not zero"),
    ("division by a variable", lambda: X / X, "by constants"),
    ("truth of a comparison", lambda: bool(X[0] > 0), "&, \\|, ~"),
    ("chained comparison", lambda: -1 <= X[0] <= 1, "a <= x"),
    ("truth of an expression", lambda: bool(X), "no truth value"),
    ("iteration", lambda: list(X[0]), "a single number cannot be iterated"),
    ("array of comparisons", lambda: (X > 0) & (X < 1), r"shape \(3,\)\n.*\n.*qs.all"),
    ("array as property", lambda: qs.forall(X, then=X > 0), "qs.all"),
    ("python truth in a formula", lambda: qs.forall(X, then=True), "not a formula\n.*True"),  # pyright: ignore[reportArgumentType]
    ("truth joined with a formula", lambda: (X[0] > 0) & True, "not a formula\n.*True"),  # pyright: ignore[reportOperatorIssue]
    ("nothing quantified", lambda: qs.forall(then=X[0] > 0), "quantifies nothing"),
    ("nothing stated", lambda: qs.forall(X), "states nothing"),
    ("quantified network", lambda: qs.forall(FLAT, then=X[0] > 0), "only variables"),
    ("one name twice", lambda: qs.forall(X, FLAT.input("x"), then=X[0] > 0), "distinct names"),
    ("unquantified variable", lambda: compile_property(qs.forall(X, then=qs.all(FLAT.input("z") == X))), "given:\\s+z"),
    ("class out of range", lambda: qs.argmax(X) == 3, "0 to 2"),
    ("class in no order", lambda: qs.argmax(X) <= qs.parameter("k"), "whole numbers only"),
    ("class that is a truth", lambda: qs.argmax(X) == True, "no such class"),  # noqa: E712
    ("tie rule", lambda: qs.argmax(X, ties="random"), "random"),  # pyright: ignore[reportArgumentType]
    ("two tie rules", lambda: qs.argmax(X) == qs.argmax(X, ties="last"), "same tie rule"),
    ("same of two types", lambda: qs.same(X, OTHER), "one network"),
    ("empty domain", lambda: FLAT.input("x", lower=2, upper=1), r"2\.\.1"),
    ("bounds of another shape", lambda: FLAT.input("x", lower=[1, 2]), "wrong shape"),
    ("no such input", lambda: FLAT.input("x", of="image"), "image"),
    ("too many values for a network", lambda: FLAT(X, X), "2 values"),
    ("wrong shape for a network", lambda: FLAT(X[:2]), r"\(2,\)"),
    ("values outside the input's format", lambda: compile_property(qs.forall(X, then=qs.all(FLAT(X + 1) >= 0))), "qs.clip"),
    ("values finer than the input's format", lambda: compile_property(qs.forall(X, then=qs.all(FLAT(X / 2) >= 0))), "finer"),
    ("parameter without a name", lambda: qs.parameter("two words"), "identifier"),
    ("parameter without a value", lambda: compile_property(qs.forall(X, then=X[0] <= qs.parameter("p"))), "p=…"),
    ("unknown parameter", lambda: compile_property(qs.forall(X, then=X[0] <= qs.parameter("p")).at(p=1, r=2)), r"given:\s+r\b"),
    ("misshapen parameter", lambda: compile_property(qs.forall(X, then=qs.all(qs.parameter("p", 3) <= X)).at(p=[1, 2])), r"\(2,\)"),
    ("two shapes", lambda: parameter_names(qs.forall(X, then=qs.all(qs.parameter("p", 3) <= X + qs.parameter("p")))), "one shape"),
    ("label that is no class", lambda: compile_property(qs.forall(X, then=qs.argmax(X) == qs.parameter("p")).at(p=3)), "0 to 2"),
    ("label that is not whole", lambda: compile_property(qs.forall(X, then=qs.argmax(X) == qs.parameter("p")).at(p="1/2")), "1/2"),
    ("no such layer", lambda: FLAT.signal(X, layer="dense"), "no such layer"),
    ("no accumulator", lambda: compile_property(qs.forall(X, then=qs.all(FLAT.signal(X, layer="requantize_1", tap="held") >= 0))), "held"),
    ("extremes of two shapes", lambda: qs.max(X, [1, 2]), r"\(3,\), \(2,\)"),
    ("numbered axis", lambda: qs.sum(X, axis=-1), 'given:\\s+-1\n.*"last"'),  # pyright: ignore[reportArgumentType]
    ("axis of several", lambda: qs.max(X, 0, axis="last"), "elementwise"),
    ("nothing to reduce", lambda: qs.max(X[:0]), "at least one element"),
]  # fmt: skip


@pytest.mark.parametrize(("build", "message"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED])
def test_a_mistake_is_an_error_that_says_what_was_given(build, message) -> None:
    with pytest.raises(QspecError, match=message):
        build()


def test_narrowing_a_box_of_features_keeps_the_values_inside() -> None:
    features = (qs.Feature("age", -3, 3), qs.Feature("size", 0, 2))
    net = qs.Sequential(qs.Input((2,), qs.Fixed(6, 1), features=features), qs.Dense(qs.Tensor(integers([[1], [1]]), qs.Fixed(3, 0))))
    (piece,) = net.input("x", lower=-3, upper=[3, 2]).domain.pieces
    assert isinstance(piece, Range)
    # Whole values only: codes are multiples of two, from -6 to 6 for the age and from 0 to 4 for the size.
    assert (piece.start.tolist(), piece.stride.tolist(), piece.count.tolist()) == ([-2, 0], [2, 2], [2, 1])
    with pytest.raises(qs.SpecError, match="no value in the box"):
        net.input("x", lower=[7, 0], upper=[8, 1])


def test_every_layer_that_wraps_is_looked_at() -> None:
    wrap = qs.Fixed(4, 0, overflow=qs.Overflow.WRAP)
    x = qs.apply(qs.Input((2, 2, 1), qs.Fixed(4, 0)))
    ends = (
        qs.apply(qs.Add(output=wrap, name="end"), x, x),
        qs.apply(qs.Requantize(qs.Fixed(3, 0, overflow=qs.Overflow.WRAP), name="end"), x),
        qs.apply(qs.AveragePool2D((1, 1), output=qs.Fixed(3, 0, overflow=qs.Overflow.SAT_ZERO), name="end"), x),
        qs.apply(qs.Concat(output=qs.Fixed(3, 0, overflow=qs.Overflow.WRAP), name="end"), x, x),
    )
    for end in ends:
        spec = qs.properties.no_overflow(qs.Network.of(end), layers=["end"])
        assert qs.verify(spec, solver="enumerate").verdict is qs.Verdict.VIOLATED


@pytest.mark.parametrize("form", [qs.Fixed(8, 0, signed=False), qs.int8(1, -128)])
def test_one_hot_groups_fit_where_zero_is_the_lowest_code(form: qs.Fixed | qs.Affine) -> None:
    features = (qs.Feature("sex", 0, 1), qs.Feature("job", categories=("none", "blue", "white")))
    kernel = qs.Tensor(np.array([[1], [2], [3], [5]]), qs.Fixed(4, 0))
    net = qs.Sequential(qs.Input((4,), form, features=features), qs.Dense(kernel))
    fair = qs.verify(qs.properties.individual_fairness(net, ["job"], 3), solver="enumerate")
    unfair = qs.verify(qs.properties.individual_fairness(net, ["job"], 2), solver="enumerate")
    assert (fair.verdict, unfair.verdict) == (qs.Verdict.HOLDS, qs.Verdict.VIOLATED)


def test_a_string_is_no_list_of_names() -> None:
    net = qs.Sequential(qs.Input((2,), qs.Fixed(3, 0)), qs.Dense(qs.Tensor(np.array([[1], [2]]), qs.Fixed(3, 0))))
    spec = qs.forall(x := net.input("x"), then=qs.all(net(x) <= 99))
    for call in (
        lambda: net.perturb(weights=1, layers="dense_1"),
        lambda: qs.compare(spec, solvers="z3"),
        lambda: qs.verify(spec, without="box"),
        lambda: qs.Feature("a", categories="xyz"),  # pyright: ignore[reportArgumentType]
        lambda: qs.compare(spec, solvers=[]),
    ):
        with pytest.raises(qs.SpecError):
            call()


def test_verify_refuses_what_is_no_property_and_no_theory() -> None:
    net = qs.Sequential(qs.Input((2,), qs.Fixed(3, 0)), qs.Dense(qs.Tensor(np.array([[1], [2]]), qs.Fixed(3, 0))))
    spec = qs.forall(x := net.input("x"), then=qs.all(net(x) <= 99))
    with pytest.raises(qs.SpecError, match="not a property"):
        qs.verify(net)  # pyright: ignore[reportArgumentType]
    with pytest.raises(qs.UnsupportedError, match="does not decide"):
        qs.verify(spec, theory="QF_FOO")
    with pytest.raises(qs.SpecError, match="not a number"):
        qs.verify(spec, timeout="5")  # pyright: ignore[reportArgumentType]
    with pytest.raises(qs.SolverMissingError, match="not a solver"):
        qs.verify(spec, solver=7)  # pyright: ignore[reportArgumentType]


def single(width: int = 8, frac: int = 4) -> qs.Network:
    kernel = qs.Tensor(np.array([[1], [1]]), qs.Fixed(8, 0))
    return qs.Sequential(qs.Input((2,), qs.Fixed(width, frac)), qs.Dense(kernel, output=qs.Fixed(16, 4)))


def test_a_network_of_values_is_not_that_of_codes() -> None:
    net = single()
    x = net.input("x", lower=-7, upper=7)
    spec = qs.forall(x, then=qs.all(net(x) == net(x.code)))
    assert qs.verify(spec).verdict is qs.Verdict.VIOLATED
    with pytest.raises(qs.SpecError, match="may leave its format"):
        qs.verify(qs.forall(y := net.input("y"), then=qs.all(net(y) == net(y.code))))


def test_inputs_of_like_names_stay_apart() -> None:
    groups = qs.Sequential(
        qs.Input((2,), qs.Fixed(8, 0), features=(qs.Feature("b", categories=("u", "v")),)), qs.Dense(qs.Tensor(np.eye(2), qs.Fixed(2, 0)))
    )
    plain = qs.Sequential(qs.Input((1,), qs.Fixed(2, 0, signed=False)), qs.Dense(qs.Tensor(np.array([[1]]), qs.Fixed(2, 0))))
    a, b = groups.input("a"), plain.input("a.b")
    assert qs.verify(qs.forall(a, b, then=qs.all(plain(b) <= 1) | qs.any(groups(a) >= 2))).verdict is qs.Verdict.VIOLATED


def test_a_variable_of_the_same_name_is_another_variable() -> None:
    net = single()
    narrow, wide = net.input("x", lower=0, upper=3), net.input("x")
    with pytest.raises(qs.SpecError, match="one name"):
        qs.verify(qs.forall(narrow, then=qs.all(net(wide) <= 1)))
    with pytest.raises(qs.SpecError, match="one name"):
        qs.verify(qs.forall(narrow, then=qs.all(single(8, 0)(single(8, 0).input("x")) <= 6)))
    with pytest.raises(qs.SpecError, match="not quantified"):
        qs.verify(qs.forall(narrow, then=qs.all(net(net.input("z")) <= 1)))
    again = net.input("x", lower=0, upper=3)
    assert qs.verify(qs.forall(narrow, then=qs.all(net(again) <= 1))).verdict is qs.Verdict.HOLDS


def test_long_chains_stay_flat_and_deep_sums_are_refused() -> None:
    kernel = qs.Tensor(np.ones((1200, 1), dtype=np.int64), qs.Fixed(2, 0))
    net = qs.Sequential(qs.Input((1200,), qs.Fixed(2, 0)), qs.Dense(kernel))
    x = net.input("x")
    chain: Formula = x[0] <= 1
    for k in range(1, 1200):
        chain = chain & (x[k] <= 1)
    bind(qs.forall(x, then=chain))
    deep: Expression = qs.q(0)
    for k in range(1200):
        deep = deep + abs(x[k])
    with pytest.raises(qs.SpecError, match="nested too deeply"):
        qs.verify(qs.forall(x, then=deep <= 6000))


def test_extremes_of_formats_do_not_overflow() -> None:
    net = single()
    wide = net.perturb(weights=2**70)
    assert wide.parameters[0].domain.pieces
    assert "1" in str(qs.Affine(8, True, qs.q("1e400").values.item()))
    tall = qs.Sequential(
        qs.Input((1,), qs.Fixed(64, 0, signed=False)),
        qs.Dense(qs.Tensor(np.array([[2]]), qs.Fixed(8, 0)), output=qs.Affine(64, False, qs.q(3).values.item())),
    )
    h = tall.input("h", lower=2**64 - 100)
    spec = qs.forall(h, then=qs.all(tall(h).code <= (2 * (2**64 - 50)) // 3))
    verdicts = {qs.verify(spec, attack=False, without=("linear",), solver=s).verdict for s in ("bitwuzla", "z3")}
    assert verdicts == {qs.Verdict.VIOLATED}


# Parameters and their values

OPTIONS = ("solver", "theory", "timeout", "memory", "seed", "attack", "without", "split", "presolve", "delta", "spec", "self", "step")


@pytest.mark.parametrize("name", OPTIONS)
def test_a_parameter_can_be_called_as_an_option(name: str) -> None:
    spec = qs.forall(X, then=X[0] <= qs.parameter(name))
    results = [qs.verify(spec.at(**{name: value}), timeout=20) for value in (100, -100)]
    assert [r.verdict.name for r in results] == ["HOLDS", "VIOLATED"]
    assert results[0].parameters == {name: 100}


def test_parameters_get_their_values_in_steps() -> None:
    spec = qs.forall(X, given=X[0] >= qs.parameter("least"), then=X[0] <= qs.parameter("most"))
    assert spec.parameters == {"least": (), "most": ()}
    half = spec.at(most=2)
    assert (half.parameters, half.values, spec.values) == ({"least": ()}, {"most": 2}, {})
    assert qs.verify(half.at(least=3)).verdict is qs.verify(spec.at(least=3, most=2)).verdict
    with pytest.raises(QspecError, match=r"a parameter has no value\n\s+given:\s+least, most\n\s+expected: spec.at\(least=…, most=…\)"):
        qs.verify(spec)
    with pytest.raises(QspecError, match=r"no such parameter\n\s+given:\s+much\n\s+expected: least\b"):
        half.at(much=1)


def test_one_value_holds_all_options() -> None:
    options: qs.Options = {"solver": "z3", "timeout": 20, "attack": False}
    spec = qs.forall(X, then=X[0] <= 100)
    result = qs.verify(spec, **options)
    assert (result.solver, result.limits.seconds) == ("z3", 20)
    with pytest.raises(QspecError, match=r"no such option\n\s+given:\s+time\n\s+expected: .*timeout(.|\n)*spec.at\(time=…\)"):
        qs.verify(spec, time=3)  # pyright: ignore[reportCallIssue]
