"""Connectives, cases, rankings, norms, powers, remainders, functions of numpy: by both semantics, on every point of small domains."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import prod
from typing import Any

import numpy as np
import pytest

import qspec as qs
from qspec.compile.query import compile_property
from qspec.ir.reference import satisfies
from qspec.language.interpret import Interpreter

NET = qs.Sequential(qs.Input((3,), qs.Fixed(3, 1)), qs.Requantize(qs.Fixed(3, 1)), name="same")
X: Any = NET.input("x", lower=-2, upper=1)
POINTS: list[Any] = [np.array(p) for p in product(range(-2, 2), repeat=3)]
Y: Any = NET(X)
HALF = {"codes": np.array(POINTS), "values": np.array(POINTS) / 2}


def truths(formula: Any) -> list[bool]:
    """Return the truth of a formula at every point, on which interpreter and compiled query agree."""
    spec = qs.exists(X, then=formula)
    compiled = compile_property(spec)
    ((name, node),) = compiled.query.inputs.items()
    found: list[bool] = []
    for point in POINTS:
        said = Interpreter({"x": point}).truth(spec.then)
        free = {name: (point + 2) if np.all(node.lower == 0) else point}
        assert satisfies(compiled.query, free) is said, point
        found.append(said)
    return found


def numbers(e: Any) -> list[Any]:
    """Return the values of an expression at every point."""
    values = [Interpreter({"x": p}).values(e) for p in POINTS]
    for number in {v.item() for v in values} if e.size == 1 else ():
        assert truths(e == number) == [v.item() == number for v in values]
    return [v.tolist() for v in values]


A, B = X[0] >= 0, Y[1] > X[2]
NESTED: Any = qs.exists(X, then=A)


@pytest.mark.parametrize(
    ("formula", "meaning"),
    [
        (A >> B, lambda a, b: not a or b),
        (qs.implies(A, B), lambda a, b: not a or b),
        (A ^ B, lambda a, b: a != b),
        (qs.xor(A, B), lambda a, b: a != b),
        (qs.iff(A, B), lambda a, b: a == b),
        (~(A ^ B) >> (A & B), lambda a, b: a != b or (a and b)),
    ],
)
def test_connectives(formula: object, meaning: Callable[[bool, bool], bool]) -> None:
    assert truths(formula) == [meaning(bool(p[0] >= 0), bool(p[1] > p[2])) for p in POINTS]


@pytest.mark.parametrize("relation", ["__ge__", "__gt__", "__le__", "__lt__", "__eq__", "__ne__"])
def test_where_follows_numpy(relation: str) -> None:
    here = numbers(qs.where(getattr(X, relation)("1/2"), X * 2, 7))
    assert np.array_equal(np.array(here, dtype=float), np.where(getattr(HALF["values"], relation)(0.5), HALF["codes"], 7))


def test_where_of_formulas() -> None:
    condition = ((X[0] > 0) & ~(X[1] == 0)) | qs.all(X == 1)
    told = [(p[0] > 0 and p[1] != 0) or all(p == 2) for p in POINTS]
    assert numbers(qs.where(condition, X[2], -1)) == [p[2] / 2 if t else -1 for p, t in zip(POINTS, told, strict=True)]
    assert numbers(qs.indicator(qs.any(X >= 1))) == [int(max(p) >= 2) for p in POINTS]


def order(point: Any, ties: str) -> list[int]:
    """Return the classes of a point, the greatest first."""
    return sorted(range(len(point)), key=lambda k: (-point[k], k if ties == "first" else -k))


@pytest.mark.parametrize("ties", ["first", "last"])
def test_rankings(ties: Any) -> None:
    for k, label in product(range(1, 4), range(3)):
        expected = [label in order(p, ties)[:k] for p in POINTS]
        assert truths(qs.in_top(Y, label, k, ties=ties)) == expected
        given = qs.exists(X, then=qs.in_top(Y, qs.parameter("label"), k, ties=ties))
        counted = qs.verify(given.at(label=label), solver="enumerate").violations
        assert counted == (sum(expected) if k < 3 else None)  # all three: bounds tell, and nothing is counted
    ranking = qs.ranking(Y, ties=ties)
    assert truths(ranking == [2, 0, 1]) == [order(p, ties) == [2, 0, 1] for p in POINTS]
    assert truths(ranking.starts_with([1, 2])) == [order(p, ties)[:2] == [1, 2] for p in POINTS]
    shifted = qs.ranking(qs.join([Y[0] + 1, Y[1], Y[2]]), ties=ties)
    assert truths(ranking == shifted) == [order(p, ties) == order(p + np.array([2, 0, 0]), ties) for p in POINTS]
    assert truths(ranking != shifted) == [order(p, ties) != order(p + np.array([2, 0, 0]), ties) for p in POINTS]


def test_the_euclidean_norm_is_exact() -> None:
    norm = qs.l2(X.code - [1, 0, -1])
    square = [int(((p - [1, 0, -1]) ** 2).sum()) for p in POINTS]
    for r in (0, 1, 2, 3):
        assert truths(norm <= r) == [s <= r * r for s in square]
        assert truths(norm < r) == [s < r * r for s in square]
        assert truths(norm >= r) == [s >= r * r for s in square]
        assert truths(norm > r) == [s > r * r for s in square]
    assert truths(norm <= "7/5") == [s <= 1 for s in square]  # the root of 2 is greater
    assert truths(norm <= "71/50") == [s <= 2 for s in square]
    assert truths(norm <= qs.l2(X.code)) == [s <= int((p**2).sum()) for s, p in zip(square, POINTS, strict=True)]
    assert numbers(norm.squared) == square


def test_powers_and_remainders_are_those_of_python() -> None:
    for n in (2, 3, -3):
        assert numbers(X.code[0] // n) == [p[0] // n for p in POINTS]
        assert numbers(X.code[0] % n) == [p[0] % n for p in POINTS]
    assert numbers(X[0] % "3/4") == [(p[0] / 2) % 0.75 for p in POINTS]
    assert numbers(X[0] ** 3) == [(p[0] / 2) ** 3 for p in POINTS]
    assert numbers(X.code[0] ** 2) == [p[0] ** 2 for p in POINTS]


def test_python_and_numpy_functions() -> None:
    values = HALF["values"]
    for here, there in (
        (sum(X), values.sum(axis=1)),
        (X.sum(), values.sum(axis=1)),
        (X.max(), values.max(axis=1)),
        (X.min(), values.min(axis=1)),
        (np.sum(X), values.sum(axis=1)),
        (np.max(np.abs(X)), abs(values).max(axis=1)),
        (np.min(X), values.min(axis=1)),
        (np.add.reduce(X), values.sum(axis=1)),
        (np.dot([1, 2, 3], X), values @ [1, 2, 3]),
        (np.sum(np.square(X)), (values**2).sum(axis=1)),
        (np.sum(np.maximum(X, [0, 1, 0])), np.maximum(values, [0, 1, 0]).sum(axis=1)),
        (np.sum(np.clip(X, -1, 0)), np.clip(values, -1, 0).sum(axis=1)),
        (np.sum(np.floor(X)), np.floor(values).sum(axis=1)),
        (np.sum(np.where(X >= 0, X, 0)), np.where(values >= 0, values, 0).sum(axis=1)),
        (np.concatenate([X, X])[4], values[:, 1]),
        (np.sum(np.array([1, 2, 3]) * X - np.array([1, 0, 0])), values @ [1, 2, 3] - 1),
        (np.int64(2) * X[0] + np.float64(1.0), 2 * values[:, 0] + 1),
    ):
        assert [float(v) for v in numbers(here)] == there.tolist()
    assert truths(np.all(np.array([0, 0, 0]) <= X)) == (values >= 0).all(axis=1).tolist()
    assert truths(np.any(X > 0)) == (values > 0).any(axis=1).tolist()
    assert truths(np.argmax(X) == 1) == (values.argmax(axis=1) == 1).tolist()
    assert len(X) == 3


SHAPES = [(), (1,), (3,), (2, 3), (1, 3), (3, 2), (2, 2, 3)]
WIDE = qs.Sequential(qs.Input((12,), qs.Fixed(5, 0)), qs.Requantize(qs.Fixed(5, 0))).input("x")
CODES = np.array([3, 1, 4, -1, 5, -9, 2, 6, -5, -3, 7, 0])


def same_as_numpy(call: Callable[..., Any], *shapes: tuple[int, ...]) -> bool:
    """Return whether a function of numpy is answered and not refused, with the shape and the values that numpy gives."""
    cut = [prod(s) for s in shapes]
    try:
        found = call(*(WIDE[:n].reshape(*s) for n, s in zip(cut, shapes, strict=True)))
    except qs.QspecError:
        return False
    expected = np.asarray(call(*(CODES[:n].reshape(s) for n, s in zip(cut, shapes, strict=True))))
    assert found.shape == expected.shape
    assert Interpreter({"x": CODES}).values(found).tolist() == expected.tolist()
    return True


@pytest.mark.parametrize(
    "call",
    [
        np.add.reduce,
        np.maximum.reduce,
        np.minimum.reduce,
        lambda a: np.add.reduce(a, axis=-1),
        lambda a: np.maximum.reduce(a, axis=None),
        np.sum,
        lambda a: np.sum(a, axis=0),
        lambda a: np.max(a, axis=1),
        np.ravel,
        lambda a: np.reshape(a, (1, -1)),
    ],
)
def test_numpy_functions_give_the_shapes_of_numpy_or_are_refused(call: Callable[[Any], Any]) -> None:
    answered = [shape for shape in SHAPES if same_as_numpy(call, shape)]
    assert answered


def test_arrays_are_concatenated_where_numpy_does() -> None:
    for a, b in product(SHAPES, repeat=2):
        assert same_as_numpy(lambda *parts: np.concatenate(parts), a, b) is (bool(a and b) and a[1:] == b[1:])


def test_layers_of_an_applied_network() -> None:
    iris = qs.load("iris-4bit")
    y = iris(iris.input("x"))
    assert repr(y["dense_1"]) == "iris-4bit(x).dense_1 (8)"
    assert repr(y.layer("dense_2", "accumulator")[0]) == "iris-4bit(x).dense_2 (accumulator)[0]"
    real = iris.real()
    assert repr(real(real.input("r", lower=0, upper=9))["dense_1"][1]) == "iris-4bit(r).dense_1[1]"
    with pytest.raises(qs.NetworkError, match="no such layer"):
        y["hidden"]


@pytest.mark.parametrize(
    ("says", "call"),
    [
        ("numpy's sin is not in the language", lambda: np.sin(X)),
        ("numpy's add.accumulate", lambda: np.add.accumulate(X)),
        ("numpy's linspace|numpy's median", lambda: np.median(X)),
        ("along|all elements or the last axis", lambda: np.sum(X.reshape(3, 1), axis=0)),
        ("with dtype", lambda: np.add(X, 1, dtype=int)),
        ("no numbers yet", lambda: np.asarray(X)),
        ("a power is a product", lambda: X ** qs.q("1/2")),
        ("a power is a product", lambda: X**9),
        ("division is by constants", lambda: X % X),
        ("no such class", lambda: qs.in_top(Y, 3, 1)),
        ("k is out of range", lambda: qs.in_top(Y, 0, 4)),
        ("no such class", lambda: qs.ranking(Y).starts_with([3])),
        ("no ranking of classes", lambda: qs.ranking(Y).starts_with([1, 1])),
        ("no ranking of all classes", lambda: qs.ranking(Y) == [0, 1]),
        ("not a comparison", lambda: qs.where(qs.argmax(Y) == 1, 0, 1)),
        ("quantifiers do not nest", lambda: qs.forall(X, then=NESTED)),
        ("a distance is never below zero", lambda: qs.verify(qs.forall(X, given=qs.l2(X) <= qs.parameter("r"), then=A).at(r=-1))),
        ("no such class", lambda: qs.verify(qs.forall(X, then=qs.in_top(Y, qs.parameter("label"), 2)).at(label=3))),
    ],
)
def test_what_is_refused(says: str, call: Callable[[], object]) -> None:
    with pytest.raises(qs.QspecError, match=says):
        call()


def test_whole_parts_of_reals_are_refused() -> None:
    real = NET.real()
    r = real.input("r", lower=0, upper=1)
    with pytest.raises(qs.UnsupportedError, match="whole parts have no meaning on reals"):
        qs.verify(qs.forall(r, then=r[0] % 2 <= 1))
