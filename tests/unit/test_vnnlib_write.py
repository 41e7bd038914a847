"""Properties written as VNN-LIB: read back, they mean at every point what they meant, and what cannot be said is refused by name."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

import qspec as qs
from qspec.cli import main
from qspec.errors import SpecError, UnsupportedError
from qspec.language.real_interpret import witnesses
from qspec.readers.onnx import import_onnx
from qspec.readers.vnnlib import parse_vnnlib
from tests.unit.test_onnx_real import node, write
from tests.unit.test_vnnlib import copy, small

Version = Literal["1.0", "2.0"]
GRID = [Fraction(k, 3) for k in range(-2, 3)]


def properties(net: qs.real.Network) -> dict[str, qs.Property]:
    """Return properties of one network on a box that ends in thirds, with everything that is written."""
    x = net.input("x", lower=Fraction(-2, 3), upper=Fraction(3, 4))
    y = net(x)
    third = Fraction(1, 3)
    return {
        "row": qs.forall(x, given=x[0] >= third * x[1], then=2 * y[0] - third * y[1] + x[1] < Fraction(7, 5)),
        "connectives": qs.forall(x, given=(x[0] > 0) | (x[1] <= Fraction(-1, 4)), then=(y[0] >= y[1]).implies(~(x[0] == x[1]))),
        "absolute": qs.forall(x, then=abs(y[0]) - qs.max(y) + qs.min(abs(x)) <= 1),
        "class": qs.forall(x, given=qs.sum(x) != 0, then=qs.argmax(y) == 1),
        "all": qs.forall(x, then=qs.all(y >= -1)),
        "exists": qs.exists(x, given=x[0] >= x[1], then=qs.any(y > 1)),
        "never": qs.forall(x, given=x[0] > 5, then=y[0] > y[0]),
        "constant": qs.forall(x, then=y[0] - y[0] >= 0),
    }


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("name", list(properties(small())))
def test_what_is_read_back_means_the_same_at_every_point(name: str, version: Version) -> None:
    net = small(4)
    spec = properties(net)[name]
    back = parse_vnnlib(qs.to_vnnlib(spec, version=version))
    again = back.property(net)
    found: dict[bool, int] = {True: 0, False: 0}
    for point in product(GRID, repeat=2):
        outputs = net.enclose(point)[0].tolist()
        expected = witnesses(spec, {}, {"x": np.array(point, dtype=object)})
        assert expected is not None
        assert back.meets(point, outputs) is expected
        assert witnesses(again, {}, {"x": np.array(point, dtype=object)}) is expected
        found[expected] += 1
    assert (found[True] > 0) is (name not in ("never", "constant"))
    if spec.kind == "forall":
        verdicts = [qs.verify(s, solver="z3", timeout=30).verdict for s in (spec, again)]
        assert verdicts[0] is verdicts[1]


def test_ties_of_classes_are_those_of_the_language() -> None:
    net = copy()
    x = net.input("x", lower=-1, upper=1)
    for c, expected in ((0, True), (1, False)):
        spec = qs.exists(x, then=qs.argmax(net(x)) == c)
        back = parse_vnnlib(qs.to_vnnlib(spec))
        tie = (Fraction(1, 2), Fraction(1, 2))
        assert back.meets(tie, tie) is expected is witnesses(spec, {}, {"x": np.array(tie, dtype=object)})


def test_a_network_twice_and_two_on_one_input() -> None:
    """2.0 says both: a copy is equal to the first; an input that two networks share is two inputs that are equal."""
    f, g = small(1), replace(small(2), name="g")
    a, b = f.input("a", lower=-1, upper=1), f.input("b", lower=-1, upper=1)
    twice = qs.forall(a, b, given=a[0] <= b[0], then=f(a)[0] <= f(b)[0] + f(a)[1])
    text = qs.to_vnnlib(twice, version="2.0")
    assert "(declare-network f2 (equal-to f1)" in text
    shared = qs.forall(a, then=f(a)[0] + a[1] <= g(a)[1])
    assert "; f1 is 'g' on 'a'" in qs.to_vnnlib(shared, version="2.0")
    back, both = parse_vnnlib(text), parse_vnnlib(qs.to_vnnlib(shared, version="2.0"))
    assert (back.models, both.models) == (("f1",), ("f1", "f2"))
    rng = np.random.default_rng(0)
    for _ in range(40):
        p, q = ([Fraction(int(k), 4) for k in rng.integers(-4, 5, 2)] for _ in range(2))
        values = f.enclose(p)[0].tolist(), f.enclose(q)[0].tolist(), g.enclose(p)[0].tolist()
        point = {"a": np.array(p, dtype=object), "b": np.array(q, dtype=object)}
        assert back.meets([*p, *q], [*values[0], *values[1]]) is witnesses(twice, {}, point)
        assert both.meets([*p, *p], [*values[2], *values[0]]) is witnesses(shared, {}, point)
        assert p == q or not both.meets([*p, *q], [*values[2], *values[0]])
    for spec in (twice, shared):
        with pytest.raises(UnsupportedError, match="one network on one input"):
            qs.to_vnnlib(spec)


def test_elements_are_those_of_the_file(tmp_path: Path) -> None:
    """A network of an image counts its elements as ONNX does: channels first."""
    file = write(
        tmp_path / "c.onnx",
        [node("Conv", "x w", "c"), node("Flatten", "c", "y")],
        {"w": np.arange(1, 13, dtype=np.float32).reshape(2, 3, 1, 2)},
        (1, 3, 1, 3),
    )
    net = import_onnx(file).network
    x = net.input("x", lower=-1, upper=1)
    spec = qs.exists(x, then=(net(x).flatten()[1] > Fraction(1, 2)) & (x.flatten()[1] > 0) & (x.flatten()[5] < 0))
    back = parse_vnnlib(qs.to_vnnlib(spec, version="2.0"))
    again = back.property(net)
    rng = np.random.default_rng(1)
    answers: set[bool | None] = set()
    for _ in range(60):
        point = {"x": np.array([Fraction(int(k), 2) for k in rng.integers(-2, 3, 9)], dtype=object).reshape(x.shape)}
        answers.add(witnesses(spec, {}, point))
        assert witnesses(spec, {}, point) is witnesses(again, {}, point)
    assert answers == {True, False}


def test_numbers_are_exact_decimals() -> None:
    net = copy()
    x = net.input("x", lower="0.1", upper=Fraction(1, 3))
    text = qs.to_vnnlib(qs.forall(x, then=net(x)[0] < net(x)[1]))
    assert "(assert (>= X_0 0.1))" in text
    assert "(assert (<= (* X_0 3.0) 1.0))" in text
    assert "(assert (>= Y_0 Y_1))" in text
    assert not re.search(r"[0-9]/[0-9]|[0-9]e", text)
    with pytest.raises(UnsupportedError, match="too long"):
        qs.to_vnnlib(qs.forall(x, then=net(x)[0] < Fraction(1, 2**500)))


def test_what_is_not_said_is_refused_by_name() -> None:
    net = small()
    x, p = net.input("x", lower=-1, upper=1), qs.parameter("p")
    y = net(x)
    for spec, message in (
        (qs.forall(x, then=y[0] * y[1] >= 0), "a product of variables"),
        (qs.forall(x, then=qs.tanh(y[0]) >= 0), "an expression is not written"),
        (qs.forall(x, then=net(x * Fraction(1, 2))[0] >= 0), "a network applied to something else"),
        (qs.forall(x, then=x[0] >= 0), "an input of no network"),
    ):
        with pytest.raises(UnsupportedError, match=message):
            qs.to_vnnlib(spec, version="2.0")
    with pytest.raises(SpecError, match="p"):
        qs.to_vnnlib(qs.forall(x, then=y[0] >= p))
    with pytest.raises(SpecError, match="no such version"):
        qs.to_vnnlib(qs.forall(x, then=y[0] >= 0), version="3.0")  # pyright: ignore[reportArgumentType]
    fixed = qs.load("iris-4bit")
    z = fixed.input("z")
    with pytest.raises(UnsupportedError, match="a fixed-point input"):
        qs.to_vnnlib(qs.forall(z, then=fixed(z)[0] >= 0))


@pytest.mark.parametrize(("format", "begins"), [("vnnlib", "(declare-const X_0 Real)"), ("vnnlib2", "(vnnlib-version <2.0>)")])
def test_the_command_writes_it(format: str, begins: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "s.py"
    place.write_text(
        "import numpy as np\nimport qspec as qs\nnet = qs.real.Sequential(qs.real.Input((2,)), qs.real.Dense(np.eye(2)))\n"
        'x = net.input("x", lower=0, upper=1)\nspec = qs.forall(x, then=net(x)[0] <= 1)\n',
        encoding="utf-8",
    )
    assert main(["export", str(place), "--format", format]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[1] == begins
    assert "sat means VIOLATED" in out
    assert qs.verify(parse_vnnlib(out).property(copy()), solver="z3", timeout=30).verdict is qs.Verdict.HOLDS
