"""Figures: counterexamples as images and as bars, and what can be said of results as pictures."""

from __future__ import annotations

import importlib.util
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qspec as qs
from qspec.errors import PackageMissingError, SpecError
from qspec.show.figures.bars import bars
from qspec.show.figures.cactus import LEAST, cactus
from qspec.show.figures.style import svg
from qspec.show.figures.training import curves
from qspec.show.solution import shown
from qspec.verify.result import Evidence, Result, Verdict


def violated(codes: dict[str, Any], networks: tuple[qs.Network, ...] = (), **parameters: Any) -> Result:
    arrays = {k: np.array(v) for k, v in codes.items()}
    return Result(Verdict.VIOLATED, "forall", "p", Evidence.ATTACK, codes=arrays, parameters=parameters, networks=networks)


@pytest.mark.parametrize(
    ("shape", "size"), [((4, 5), (4, 5)), ((4, 4, 1), (4, 4)), ((49,), (7, 7)), ((48,), None), ((36,), None), ((3,), None)]
)
def test_what_is_drawn_as_an_image(shape: tuple[int, ...], size: tuple[int, int] | None) -> None:
    (found,) = shown({"x": np.zeros(shape, dtype=np.int64)}, None, {})
    assert found.picture == size


def test_codes_are_compared_with_the_parameter_of_their_size() -> None:
    parameters = {"label": 3, "other": [1, 2], "half": ["1/2", "1/2", "1/2"], "image": [[1], [2], [3]], "name": "abc"}
    (x,) = shown({"x": [1, 5, 3]}, None, parameters)
    assert x.before_name == "image"
    assert x.changed == 1
    (y,) = shown(None, {"y": ["1/3", 2, "-7/2"]}, parameters)
    assert y.before is None
    assert y.text == ("1/3", "2", "-7/2")
    assert y.values.tolist() == [float(Fraction(1, 3)), 2.0, -3.5]


def test_an_image_is_drawn_beside_what_it_was_changed_from(tmp_path: Path) -> None:
    after = np.full((8, 8), 3)
    after[2, 5] = 7
    figure = qs.plot(violated({"x": after}, image=np.full(64, 3)), tmp_path / "x.png")
    titles = [axis.get_title() for axis in figure.axes[:3]]
    assert titles == ["image", "x", "change, 1 pixel"]
    change = figure.axes[2].images[0].get_array()
    assert change is not None
    assert (np.argmax(change), change.max(), np.count_nonzero(change)) == (2 * 8 + 5, 4, 1)
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_other_inputs_are_bars_with_the_names_of_features() -> None:
    features = (qs.Feature("age", 0, 7), qs.Feature("colour", categories=("red", "green")))
    weight = qs.Fixed(4, 0)
    net = qs.Sequential(qs.Input((3,), weight, features=features), qs.Dense(qs.quantize([[1], [1], [1]], weight)), name="n")
    figure = qs.plot(violated({"a": [5, 1, 0], "b": [5, 0, 1]}, (net,)))
    axis = figure.axes[0]
    assert [t.get_text() for t in axis.get_yticklabels()] == ["age", "colour = red", "colour = green"]
    assert [p.get_width() for p in axis.patches] == [5, 1, 0, 5, 0, 1]  # pyright: ignore[reportAttributeAccessIssue]


def test_ticks_between_whole_codes_are_left_out() -> None:
    axis = qs.plot(violated({"x": [-4, -3, -2]})).axes[0]
    assert all(float(t).is_integer() for t in axis.get_xticks())


def test_of_many_elements_those_that_changed_most_are_drawn() -> None:
    before = np.arange(120)
    after = before.copy()
    after[[3, 77]] += (9, -8)
    axis = qs.plot(violated({"x": after}, centre=before)).axes[0]
    labels = [t.get_text() for t in axis.get_yticklabels()]
    assert len(labels) == 40
    assert {"3", "77"} <= set(labels)
    assert "40 of 120" in axis.get_xlabel()


def test_there_must_be_something_to_draw_and_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpecError, match="nothing to draw"):
        qs.plot(Result(Verdict.HOLDS, "forall", "p", Evidence.PROOF))
    find = importlib.util.find_spec
    monkeypatch.setattr("qspec.support.optional.find_spec", lambda name: None if name == "matplotlib" else find(name))
    with pytest.raises(PackageMissingError, match=r"qspec-verify\[plot\]"):
        qs.plot(violated({"x": [1]}))


def test_a_cactus_has_a_point_for_each_decided_query() -> None:
    (line,) = cactus({"a": [0.5, 0.0, 0.1]}).axes[0].lines
    assert np.asarray(line.get_xdata()).tolist() == [1, 2, 3]
    assert np.asarray(line.get_ydata()).tolist() == [LEAST, 0.1, 0.5]


def test_bars_are_shares() -> None:
    axis = bars({"1": {Verdict.HOLDS: 3, Verdict.VIOLATED: 1}, "2": {}}, "radius").axes[0]
    heights = [p.get_height() for p in axis.patches]  # pyright: ignore[reportAttributeAccessIssue]
    assert heights == [75, 0, 25, 0, 0, 0]


def test_svg_is_the_same_each_time_and_escapes_text() -> None:
    first, again = (svg(cactus({"<b>$x^{$": [0.5]})) for _ in range(2))
    assert first == again
    assert first.startswith("<svg")
    assert "<b>" not in first
    assert "&lt;b&gt;$x^{$" in first


def test_curves_of_trainings_go_on_from_phase_to_phase() -> None:
    rows = [(0, 5, 1.0, 0.5, 0.0), (0, 10, 0.8, 0.6, 0.1), (1, 5, 0.9, 0.7, 0.4), (2, 3, 0.4, 0.8, 0.6)]
    shares, losses = curves({"a": rows, "b": rows}).axes
    clean, certified = shares.lines[:2]
    assert list(clean.get_xdata()) == list(certified.get_xdata()) == [5, 10, 15, 18]  # pyright: ignore[reportArgumentType]
    assert list(certified.get_ydata()) == [0, 10, 40, 60]  # pyright: ignore[reportArgumentType]
    assert [line.get_label() for line in shares.lines[:4]] == ["a, clean", "a, certified", "b, clean", "b, certified"]
    assert {line.get_xdata()[0] for line in losses.lines[2:]} == {10, 15}  # pyright: ignore[reportIndexIssue]
    with pytest.raises(SpecError, match=r"no progress(.|\n)*'b'"):
        curves({"a": rows, "b": []})
