"""What people are shown: exact numbers, properties as text, counterexamples, pictures."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import qspec as qs
from qspec.arithmetic.text import exact, summary
from qspec.language.connectives import Formula
from qspec.language.expressions import Expression
from qspec.language.property import bind
from qspec.language.text import describe, formula_text, text_of
from qspec.show import png
from qspec.show.counterexample import centre_of, code_limits, explain
from qspec.show.picture import Block, beside, change, grey, is_image
from qspec.verify.feature_rows import in_words, rows_of

UNSIGNED = qs.Fixed(3, 0, signed=False)


def tensor(codes: list[list[int]]) -> qs.Tensor:
    return qs.Tensor(np.array(codes), qs.Fixed(4, 1))


PAIR = qs.Sequential(qs.Input((2,), UNSIGNED), qs.Dense(tensor([[1, 2], [3, -1]])), name="pair")
IMAGE = qs.Sequential(qs.Input((4, 4, 1), UNSIGNED), qs.Flatten(), qs.Dense(tensor([[1, -1]] * 16)), name="image")
PEOPLE = qs.Sequential(
    qs.Input(
        (4,),
        qs.Fixed(8, 0, signed=False),
        features=(qs.Feature("age", 18, 90), qs.Feature("sex", categories=("f", "m")), qs.Feature("mark", 0, 9)),
    ),
    qs.Dense(tensor([[1], [2], [3], [1]])),
    name="grade",
)
X = PAIR.input("x")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(0), "0"),
        (Fraction(-7), "-7"),
        (Fraction(1, 2), "0.5"),
        (Fraction(-1, 16), "-0.0625"),
        (Fraction(1, 3), "1/3"),
        (Fraction(1, 2**20), "1/1048576"),
        (Fraction(10**20), "100000000000000000000"),
        (12, "12"),
    ],
)
def test_numbers_are_exact_or_ratios(value: Fraction, text: str) -> None:
    assert exact(value) == text
    assert Fraction(text) == value


def test_long_arrays_are_summarised() -> None:
    assert summary(np.array([3, 3, 3, 3, 3])) == "3"
    assert summary(np.array([3, 1])) == "[3, 1]"
    assert summary(np.arange(10).reshape(2, 5)) == "[2×5 numbers 0..9]"


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (X, "x"),
        (X.code, "x.code"),
        (X[1], "x[1]"),
        (X[[1, 0]], ""),
        (X - 1, "x − 1"),
        (-(X[0] + X[1]), "-(x[0] + x[1])"),
        (2 * X[0] - X[1] * X[1], "2·x[0] − x[1]·x[1]"),
        ([-1, 2] * X, "[-1, 2]·x"),
        (qs.linf(X.code - [1, 2]), "max|x.code − [1, 2]|"),
        (qs.l1(X), "sum|x|"),
        (qs.l0(X), "sum([x ≠ 0])"),
        (PAIR(X)[0], "pair(x)[0]"),
        (qs.max(X), "max(x)"),
        (PAIR.signal(X, layer="dense_1", tap="accumulator"), "pair(x).dense_1 (accumulator)"),
    ],
)
def test_expressions_read_as_they_were_written(expression: Expression, text: str) -> None:
    assert not text or text_of(expression) == text


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        (X[0] <= 3, "x[0] ≤ 3"),
        (X[0] > 3, "x[0] > 3"),
        (X[0] < X[1], "x[1] > x[0]"),
        (X[0] + 1 >= 0, "x[0] + 1 ≥ 0"),
        (X[0] >= -1, "x[0] ≥ -1"),
        (X[0] == 2, "x[0] = 2"),
        (qs.all(X <= 3), "all(x ≤ 3)"),
        (qs.any(X != 3), "some(x ≠ 3)"),
        (~(X[0] <= 3), "not x[0] ≤ 3"),
        ((X[0] <= 3) & (X[1] <= 3), "x[0] ≤ 3 and x[1] ≤ 3"),
        (((X[0] <= 3) & (X[1] <= 3)) | (X[0] == X[1]), "(x[0] ≤ 3 and x[1] ≤ 3) or x[0] = x[1]"),
        (qs.argmax(PAIR(X)) == 1, "argmax(pair(x)) = 1"),
        (qs.argmax(PAIR(X)) != 1, "argmax(pair(x)) ≠ 1"),
        (qs.argmax(PAIR(X), ties="last").isin([0, 1]), "argmax(pair(x), ties to the last) ∈ {0, 1}"),
        (qs.argmax(PAIR(X)) == qs.argmax(X), "argmax(pair(x)) = argmax(x)"),
    ],
)
def test_formulas_read_as_they_were_written(formula: Formula, text: str) -> None:
    assert formula_text(formula) == text


def test_a_property_says_what_is_still_to_be_given() -> None:
    spec = qs.properties.local_robustness(IMAGE, qs.parameter("centre", 16), qs.parameter("radius"), qs.parameter("label"))
    assert describe(spec).splitlines() == [
        "local_robustness: for all x (4×4×1)",
        "  given   max|x.code − centre| ≤ radius",
        "  then    argmax(image(x)) = label",
        "  to give radius (one number), centre (16), label (one number)",
    ]


def test_named_features_are_called_by_name() -> None:
    lines = describe(qs.properties.monotonicity(PEOPLE, "age"), name="rises").splitlines()
    assert lines[0] == "rises: for all a (4), b (4)"
    assert lines[1:3] == ["  given   a = b except for age", "  and     b['age'] ≥ a['age']"]


def test_expressions_nested_too_deeply_are_cut() -> None:
    deep = X[0] * X[1]
    for _ in range(50):
        deep = deep * deep
    line = describe(qs.forall(X, then=deep <= 1)).splitlines()[1]
    assert line.endswith("…")
    assert len(line) < 300


def test_features_are_shown_by_value_and_differences_marked() -> None:
    spec = bind(qs.properties.individual_fairness(PEOPLE, ["sex"], 0))
    text = explain(spec, {"a": np.array([30, 1, 0, 4]), "b": np.array([30, 0, 1, 4])})
    lines = text.splitlines()
    assert lines[0].split() == ["feature", "a", "b"]
    assert lines[1].split() == ["age", "30", "30"]
    assert lines[2].split() == ["sex", "f", "m", "←"]
    assert "grade(a) = 18" in text
    assert "grade(b) = 18.5" in text


def test_what_is_no_row_has_no_words() -> None:
    a = PEOPLE.input("a")
    spread, parameters = np.array([30, 1, 1, 4]), {"person": [30, 1, 1, 4], "weight": 2}
    assert in_words(a, spread) == {"age": 30, "sex": "1 1", "mark": 4}
    assert rows_of([a], {"a": np.array([30, 1, 0, 4])}, parameters) == {"a": {"age": 30, "sex": "f", "mark": 4}}
    parameters["person"] = [90, 0, 1, 9]
    assert list(rows_of([a], {"a": np.array([30, 1, 0, 4])}, parameters)) == ["person", "a"]
    assert rows_of([a, X], {"x": np.array([0, 0])}, parameters) == rows_of([a], None, {}) == {}


def test_the_image_that_the_assumption_names_is_found() -> None:
    centre = np.arange(16) % 8
    spec = bind(qs.properties.local_robustness(IMAGE, centre, 1, 0))
    x = spec.variables[0]
    found = centre_of(spec, x)
    assert found is not None
    assert np.array_equal(found.reshape(-1), centre)
    assert code_limits(x) == (0, 7)
    text = explain(spec, {"x": np.clip(centre + 1, 0, 7)})
    assert "change in LSB: 14 pixels" in text
    assert text.splitlines()[1].endswith("+1 +1 +1 +1")
    assert centre_of(bind(qs.forall(x, then=qs.argmax(IMAGE(x)) == 0)), x) is None


def test_ties_are_named() -> None:
    spec = bind(qs.forall(X, then=qs.argmax(PAIR(X)) == 0))
    assert "greatest at 0 and 1" in explain(spec, {"x": np.array([0, 0])})


def test_shades_go_from_nothing_to_full() -> None:
    codes = np.array([[0, 1, 2, 3, 4]] * 4)
    block = grey("ink", codes, 0, 4)
    assert block.lines == ("  ░░▒▒▓▓██",) * 4
    assert block.width == 10


def test_wide_images_take_a_character_for_two_rows() -> None:
    codes = np.zeros((28, 28), dtype=np.int64)
    codes[0] = 8
    block = grey("mnist", codes, 0, 8)
    assert (len(block.lines), block.width) == (14, 28)
    assert block.lines[0] == "▒" * 28
    signs = change("change", np.zeros_like(codes), codes - codes.T)
    assert signs.lines[0][:2] == "-+"
    assert signs.lines[1][:2] == "-·"


def test_colour_is_half_blocks_of_grey() -> None:
    block = grey("ink", np.array([[0, 7]] * 4).repeat(2, axis=1), 0, 7, colour=True)
    assert len(block.lines) == 2
    assert block.lines[0].startswith("\x1b[38;5;232m\x1b[48;5;232m▀")
    assert "\x1b[38;5;255m" in block.lines[0]
    assert block.lines[0].endswith("\x1b[0m")


def test_blocks_that_do_not_fit_go_below() -> None:
    block = Block("title", ("x" * 30,), 30)
    assert len(beside([block, block], columns=63).splitlines()) == 2
    assert len(beside([block, block], columns=62).splitlines()) == 5


@pytest.mark.parametrize(
    ("shape", "image"), [((8, 8), True), ((8, 8, 1), True), ((8, 8, 3), False), ((64,), False), ((2, 2), False), ((500, 8), False)]
)
def test_what_counts_as_an_image(shape: tuple[int, ...], image: bool) -> None:
    assert is_image(shape) is image
    if not image:
        with pytest.raises(qs.ShapeError, match="not an image"):
            grey("x", np.zeros(shape, dtype=np.int64), 0, 1)


def test_a_picture_file_is_written(tmp_path: Path) -> None:
    assert png.available()
    codes = np.arange(16).reshape(4, 4)
    png.save_comparison(tmp_path / "x.png", {"before": (codes, (0, 15)), "after": (codes.T, (0, 15))}, ("change", codes.T - codes))
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
