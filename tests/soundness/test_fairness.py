"""Fairness: verdicts and largest gaps over schemas equal those of trying every pair of rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest

import qspec as qs
from qspec.errors import SpecError
from qspec.extremes import fairness

Row = Mapping[str, str | int]
TABLE = qs.Schema(
    (
        qs.Categorical("job", ("baker", "nurse", "none")),
        qs.Categorical("sex", ("female", "male"), onehot=False),
        qs.Whole("age", 20, 50, step=10, scale=Fraction(1, 20), shift=Fraction(20)),
        qs.Ordinal("school", ("low", "middle", "high"), first=1),
    ),
    protected=("sex",),
    links=(qs.Link({"job": ["baker"], "sex": ["male"]}, {"school": ["low", "high"]}), qs.Link({"age": [20]}, {"job": ["none"]})),
)


def network(seed: int, outputs: int = 1) -> qs.Network:
    """Return a small network on a grid so coarse that outputs of zero and equal gaps occur."""
    rng, fmt = np.random.default_rng(seed), qs.Fixed(4, 1)
    kernels = [qs.quantize(rng.normal(0, 1.5, s), fmt) for s in ((6, 3), (3, outputs))]
    hidden = qs.Dense(kernels[0], qs.quantize(rng.normal(0, 1, 3), fmt), qs.ReLU(), qs.Fixed(4, 1, signed=False))
    return qs.Sequential(
        qs.Input((6,), qs.Fixed(6, 2)), hidden, qs.Dense(kernels[1], qs.quantize(rng.normal(0, 1, outputs), fmt), output=qs.Fixed(6, 1))
    )


def alike(a: Row, b: Row, delta: Mapping[str, Any]) -> bool:
    """Say in plain Python what `delta` means."""
    if not all(TABLE.allows(r) for r in (a, b)):
        return False
    for name in ("job", "age", "school"):
        allowed = delta.get(name, 0)
        levels = [TABLE.feature(name).values.index(r[name]) * (10 if name == "age" else 1) for r in (a, b)]
        if allowed is not None and abs(levels[0] - levels[1]) > allowed:
            return False
    return True


def pairs(delta: Mapping[str, Any]) -> Iterator[tuple[Row, Row]]:
    names = [f.name for f in TABLE.features]
    rows = [dict(zip(names, values, strict=True)) for values in product(*(f.values for f in TABLE.features))]
    return ((a, b) for a in rows for b in rows if alike(a, b, delta))


@pytest.mark.parametrize(("seed", "delta"), [(5, {}), (4, {"age": 10, "school": 1}), (6, {"job": None})], ids=str)
def test_verdicts_and_gaps_are_those_of_every_pair(seed: int, delta: dict[str, object]) -> None:
    """The seeds are those for which links and outputs of zero change the answers."""
    net = network(seed)
    known = {tuple(TABLE.encode(r).tolist()): fairness.outputs(net, TABLE, r)[0] for p in pairs(delta) for r in p}
    values = [(known[tuple(TABLE.encode(a).tolist())], known[tuple(TABLE.encode(b).tolist())]) for a, b in pairs(delta)]
    top = max(abs(f - g) for f, g in values)
    found = qs.optimize(fairness.largest_gap(net, TABLE, delta=delta), solver="enumerate")
    assert found.closed
    assert found.lower == top
    assert qs.verify(fairness.close_values(net, TABLE, top, delta=delta), solver="enumerate").verdict is qs.Verdict.HOLDS
    flips = {"excluded": any(f < 0 < g for f, g in values), "accepted": any(f < 0 <= g for f, g in values)}
    for ties in ("excluded", "accepted"):
        result = qs.verify(fairness.same_decision(net, TABLE, delta=delta, ties=ties), solver="enumerate")
        assert (result.verdict is qs.Verdict.VIOLATED) == flips[ties]
        if result.codes is not None:
            rows = fairness.in_words(net, TABLE, result.codes)
            assert alike(rows["a"], rows["b"], delta)


def test_the_native_engine_says_the_same() -> None:
    net, table = network(1), qs.Schema((qs.Categorical("job", ("a", "b", "c", "d")), *TABLE.features[1:3]), ("sex",))
    rows = [dict(zip(("job", "age"), v, strict=True)) for v in product("abcd", (20, 30, 40, 50))]
    values = [[fairness.outputs(net, table, {**r, "sex": sex})[0] for sex in ("female", "male")] for r in rows]
    top = max(abs(f - g) for f, g in values)
    assert qs.verify(fairness.close_values(net, table, top)).verdict is qs.Verdict.HOLDS
    wide = qs.verify(fairness.close_values(net, table, top - Fraction(1, 1000)))
    assert wide.verdict is qs.Verdict.VIOLATED
    assert wide.codes is not None
    words = fairness.in_words(net, table, wide.codes)
    assert {name for name in words["a"] if words["a"][name] != words["b"][name]} == {"sex"}
    first, second = (fairness.outputs(net, table, words[name])[0] for name in ("a", "b"))
    assert abs(first - second) == top


@pytest.mark.parametrize(("delta", "top"), [({}, Fraction(3, 8)), ({"age": 10, "school": 1}, Fraction(3, 8) + Fraction(1, 2) * 2 + 1)])
def test_of_a_real_network_the_rows_are_those_of_the_table(delta: dict[str, object], top: Fraction) -> None:
    table = qs.Schema((TABLE.features[1], qs.Whole("age", 20, 50, step=10, scale=Fraction(1, 5)), TABLE.features[3]), ("sex",))
    net = qs.real.Sequential(qs.real.Input((3,)), qs.real.Dense(np.array([[0.375], [-0.5], [1.0]])))
    assert qs.verify(fairness.close_values(net, table, top + Fraction(1, 1000), delta=delta)).verdict is qs.Verdict.HOLDS
    wide = qs.verify(fairness.close_values(net, table, top - Fraction(1, 1000), delta=delta))
    assert wide.verdict is qs.Verdict.VIOLATED
    assert wide.codes is not None
    words = fairness.in_words(net, table, wide.codes)
    first, second = (fairness.outputs(net, table, words[name])[0] for name in ("a", "b"))
    assert abs(first - second) == top


def test_of_several_outputs_the_class_counts() -> None:
    net = network(4, outputs=3)
    classes = {n: [net.evaluate(_codes(net, r)).argmax() for r in p] for n, p in enumerate(pairs({}))}
    result = qs.verify(fairness.same_decision(net, TABLE), solver="enumerate")
    assert (result.verdict is qs.Verdict.VIOLATED) == any(a != b for a, b in classes.values())


def _codes(net: qs.Network, row: Row) -> Any:
    return np.array([int(Fraction(v) * 4) for v in TABLE.encode(row).tolist()])


def test_a_worst_pair_is_shown_in_words() -> None:
    net = network(0)
    found = qs.optimize(fairness.largest_gap(net, TABLE), solver="enumerate")
    assert found.witness is not None
    lines = fairness.explain(net, TABLE, found.witness).splitlines()
    assert [line.split()[0] for line in lines] == ["a", "job", "sex", "age", "school", "output"]
    assert [line.split()[0] for line in lines if line.endswith("←")] == ["sex"]
    assert {*lines[2].split()} == {"sex", "female", "male", "←"}
    shown = [Fraction(v) for v in lines[-1].split()[1:]]
    assert abs(shown[0] - shown[1]) == found.lower


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: fairness.largest_gap(network(0), qs.Schema(TABLE.features)), "protects nobody"),
        (lambda: fairness.largest_gap(network(0), qs.Schema(TABLE.features[1:], ("sex",))), "other columns"),
        (lambda: fairness.largest_gap(network(0), TABLE, delta={"job": 1}), "'job' cannot differ"),
        (lambda: fairness.largest_gap(network(0), TABLE, delta={"age": -1}), "'age' cannot differ"),
        (lambda: fairness.largest_gap(network(0), TABLE, delta={"agee": 1}), "no such feature"),
        (lambda: fairness.same_decision(network(0), TABLE, ties="any"), "output of zero"),  # pyright: ignore[reportArgumentType]
        (
            lambda: fairness.largest_gap(
                network(0), qs.Schema((*TABLE.features[:2], qs.Whole("age", 0, 9, scale=Fraction(1, 8)), TABLE.features[3]), ("sex",))
            ),
            "cannot hold a number of feature 'age'",
        ),
    ],
)
def test_errors_name_what_is_wrong(make: object, told: str) -> None:
    assert callable(make)
    with pytest.raises(SpecError, match=told):
        make()
