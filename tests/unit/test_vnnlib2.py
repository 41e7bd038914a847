"""VNN-LIB 2: a text says what one of 1.0 says, two networks are two, and everything that is not read is refused with its line."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import qspec as qs
from qspec.cli import main
from qspec.errors import ModelFileError, QspecError, SpecError, UnsupportedError
from qspec.readers import vnnlib2_text
from qspec.readers.vnnlib import parse_vnnlib
from tests.unit.test_onnx_real import node, write
from tests.unit.test_vnnlib import copy, small

HEAD = "(vnnlib-version <2.0>)\n(declare-network f\n (declare-input X Real [1,2])\n (declare-output Y Real [2]))\n"
BOX = "(assert (and (<= -0.5 X[0,0]) (<= X[0,0] 0.1)))\n(assert (and (>= X[0, 1] -0.1) (<= X [0,1] 1)))\n"
TWIN = "(declare-network g (equal-to f) (declare-input X2 Real [1,2]) (declare-output Y2 Real [2]))\n"
BOX2 = BOX.replace("X", "X2")


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("(>= Y[0] 0.1)", "VIOLATED"),
        ("(> Y[0] 0.1)", "HOLDS"),
        ("(== Y[1] (+ X[0,0] 0.25 X[0,0]))", "VIOLATED"),
        ("(or (and (<= Y[0] -0.6)) (and (<= Y[0] 0) (> Y[1] 1)))", "HOLDS"),
        ("(>= (- (* 2 Y[0] 3) (* Y[1] -2) (- X[0,0] (- X[0,0]))) 2.4)", "VIOLATED"),
        ("(>= (- (* 2 Y[0] 3) (* Y[1] -2) (- X[0,0] (- X[0,0]))) 2.400001)", "HOLDS"),
        ("(!= Y[0] X[0,0])", "HOLDS"),
    ],
)
def test_verdicts_on_the_identity(condition: str, expected: str) -> None:
    spec = parse_vnnlib(f"{HEAD}{BOX}(assert {condition})").property(copy())
    assert qs.verify(spec, solver="z3", timeout=30).verdict.name == expected


def test_an_element_is_that_of_1_0() -> None:
    """Row by row: the same text in both versions has the same conditions."""
    new = parse_vnnlib(
        "(declare-network f (declare-input A real [2,1,3]) (declare-output B Real []))(assert (<= A[1,0,2] B))(assert (< A[0,0,1] 0.1))"
    )
    old = "".join(f"(declare-const X_{k} Real)" for k in range(6)) + "(declare-const Y_0 Real)"
    assert new.assertions == parse_vnnlib(f"{old}(assert (<= X_5 Y_0))(assert (< X_1 0.1))").assertions
    assert (new.inputs, new.outputs) == (6, 1)
    one = new.applications[0]
    assert [one.input.element(k) for k in (1, 5)] == ["A[0,0,1]", "A[1,0,2]"]
    assert one.output.element(0) == "B"


def test_a_network_twice_is_a_relation() -> None:
    """Monotone in one weight's sign: found by the two copies, and by sampling."""
    weights = np.array([[1.0, -1.0], [0.5, 2.0]])
    network = qs.real.Sequential(qs.real.Input((2,)), qs.real.Dense(weights, np.zeros(2), qs.ReLU()))
    same = "(assert (== X[0,1] X2[0,1])) (assert (<= X[0,0] X2[0,0]))"
    for output, expected in ((0, "HOLDS"), (1, "VIOLATED")):
        query = parse_vnnlib(f"{HEAD}{TWIN}{BOX}{BOX2}{same}(assert (> Y[{output}] Y2[{output}]))")
        result = qs.verify(query.property(network), solver="z3", timeout=30)
        assert result.verdict.name == expected
        if result.point is not None:
            points = [[Fraction(v) for v in result.point[name].tolist()] for name in ("X", "X2")]
            values = [v for p in points for v in network.enclose(p)[0].tolist()]
            assert query.meets([v for p in points for v in p], values)


@pytest.mark.parametrize("relation", ["", "(isomorphic-to f)"])
def test_networks_are_found_by_name(relation: str, tmp_path: Path) -> None:
    text = HEAD + TWIN.replace("(equal-to f)", relation) + BOX + BOX2
    text += "(assert (== X[0,0] X2[0,0])) (assert (== X[0,1] X2[0,1])) (assert (>= Y[0] (+ Y2[0] 0.25)))"
    shifted = qs.real.Sequential(qs.real.Input((2,)), qs.real.Dense(np.eye(2), np.array([0.25, 0])))
    place = tmp_path / "two.vnnlib"
    place.write_text(text, encoding="utf-8")
    for f, g, expected in ((copy(), shifted, "HOLDS"), (shifted, copy(), "VIOLATED")):
        spec = qs.read_property(place, {"f": f, "g": g})
        assert qs.verify(spec, solver="z3", timeout=30).verdict.name == expected
    for wrong in ({"f": copy()}, {"f": copy(), "h": copy()}, copy()):
        with pytest.raises(SpecError, match="networks"):
            qs.read_property(place, wrong)


def test_a_network_of_other_sizes_is_refused() -> None:
    query = parse_vnnlib(f"{HEAD}{BOX}(assert (<= Y[0] 0))".replace("[2]", "[3]"))
    with pytest.raises(SpecError, match="3 outputs of f"):
        query.property(small())
    with pytest.raises(SpecError, match=r"X\[0,1\] has no lower bound"):
        parse_vnnlib(f"{HEAD}(assert (>= X[0,0] 0)) (assert (<= X[0,0] 1)) (assert (<= X[0,1] 1))").property(small())


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (HEAD.replace("Real [1,2]", "float32 [1,2]"), UnsupportedError, "line 3: tensors of the element type float32"),
        (HEAD.replace("Real [2]", "int8 [2]"), UnsupportedError, "line 4: tensors of the element type int8"),
        (HEAD.replace("2.0", "3.0"), UnsupportedError, "line 1: VNN-LIB of this version"),
        (HEAD.replace("<2.0>", "2.0"), ModelFileError, "line 1: a malformed vnnlib-version"),
        (HEAD + "(vnnlib-version <2.0>)", ModelFileError, "line 5: a malformed vnnlib-version"),
        ("(vnnlib-version <2.0>)", ModelFileError, "no network is declared"),
        (HEAD.replace("(declare-output", '(declare-hidden H Real [3] "h") (declare-output'), UnsupportedError, "line 4: declare-hidden"),
        (HEAD.replace("(declare-output", "(declare-input Z Real [3]) (declare-output"), UnsupportedError, "line 2: a network of these"),
        (HEAD.replace("[2])", '[2] "y")'), UnsupportedError, "line 4: names of nodes"),
        (HEAD.replace("[1,2]", "[1 2]"), ModelFileError, "line 3: not a shape"),
        (HEAD.replace("[1,2]", "[0,2]"), ModelFileError, "line 3: not a shape"),
        (HEAD.replace("[1,2]", "[99999,99999]"), ModelFileError, "line 3: a tensor is too large"),
        (HEAD.replace("Y Real", "X Real"), ModelFileError, "line 4: a name is declared twice"),
        (HEAD.replace("X Real", "X.1 Real"), ModelFileError, "line 3: not a name"),
        (HEAD + TWIN.replace("to f", "to h"), ModelFileError, "line 5: equal-to names no network"),
        (HEAD + TWIN.replace("[1,2]", "[2,1]"), ModelFileError, "line 5: equal-to with other shapes"),
        (HEAD + TWIN.replace("equal-to", "like"), UnsupportedError, "line 5: like is not read"),
        (HEAD + "(assert (<= X[0,0] 1))\n" + TWIN, ModelFileError, "line 6: a network is declared after"),
        (HEAD + "(check-sat)", UnsupportedError, "line 5: the command check-sat"),
        (HEAD + "(declare-const X_0 Real)", UnsupportedError, "line 5: the command declare-const"),
        (HEAD + "(assert (= X[0,0] 1))", UnsupportedError, "line 5: = is not read"),
        (HEAD + "(assert (not (<= X[0,0] 1)))", UnsupportedError, "line 5: not is not read"),
        (HEAD + "(assert (<= 0 X[0,0] 1))", ModelFileError, "line 5: <= with a wrong number"),
        (HEAD + "(assert (or))", ModelFileError, "line 5: or with a wrong number"),
        (HEAD + "(assert (<= X[0,2] 1))", ModelFileError, "line 5: no element of X"),
        (HEAD + "(assert (<= X[0] 1))", ModelFileError, "line 5: no element of X"),
        (HEAD + "(assert (<= X 1))", ModelFileError, "line 5: no element of X"),
        (HEAD + "(assert (<= X[0,0 1))", ModelFileError, "line 5: (neither|<= with)"),
        (HEAD + "(assert (<= X[0 0] 1))", ModelFileError, "line 5: neither"),
        (HEAD + "(assert (<= Y[0 1] 1))", ModelFileError, "line 5: neither"),
        (HEAD + "(assert (<= Z[0] 1))", ModelFileError, "line 5: a variable is not declared"),
        (HEAD + "(assert (<= (* X[0,0] Y[0]) 1))", UnsupportedError, "line 5: a product of variables"),
        (HEAD + "(assert (<= (/ X[0,0] 2) 1))", UnsupportedError, "line 5: / is not read"),
        (HEAD + "(assert (<= NaN 1))", ModelFileError, "line 5: a variable is not declared"),
        (HEAD + "(assert)", ModelFileError, "line 5: a malformed assert"),
    ],
)
def test_what_is_not_read_is_refused_with_its_line(text: str, error: type[QspecError], message: str) -> None:
    with pytest.raises(error, match=message):
        parse_vnnlib(text)


def test_the_command_prints_values_as_the_standard_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "f.onnx", [node("MatMul", "x w", "y")], {"w": np.eye(2, dtype=np.float32)}, (1, 2))
    place = tmp_path / "a.vnnlib"
    place.write_text(f"{HEAD}{TWIN}{BOX}{BOX2}(assert (>= Y[0] 0.1)) (assert (<= Y2[1] -0.1))", encoding="utf-8")
    assert main(["vnnlib", str(file), str(place), "--solver", "z3"]) == 1
    lines = capsys.readouterr().out.split("\n\n", 1)[1].splitlines()
    assert [line for line in lines if "Real" in line] == ["X Real [1,2]", "Y Real [2]", "X2 Real [1,2]", "Y2 Real [2]"]
    assert len(lines) == 12
    assert lines[1] == "1/10"


def test_the_page_has_the_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "readers.md").read_text(encoding="utf-8")
    assert "\n".join(vnnlib2_text.table()) in page
