"""The fewest bits for each layer, against enumeration of every choice on a small network."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qspec as qs
from qspec.errors import SpecError
from qspec.extremes.layer_bits import parameter_bits
from qspec.passes import Pipeline
from qspec.show.figures.pareto import frontier
from qspec.solver import Answer, Reason
from qspec.verify.result import Verdict
from tests.unit.fake_solvers.in_process import Fake

RNG = np.random.default_rng(22)
HIDDEN = qs.real.Dense(RNG.normal(size=(2, 5)), RNG.normal(size=5) / 4, qs.ReLU())
REAL = qs.real.Sequential(qs.real.Input((2,)), HIDDEN, qs.real.Dense(RNG.normal(size=(5, 2))), name="small")
CODES = np.array(list(product(range(8), range(8))))
CALIBRATED = REAL.calibrate(CODES / 8, input=qs.Fixed(3, 3, signed=False), per="tensor")
FIRST, LAST = CALIBRATED.layers
CLASSES = REAL.evaluate(CODES / 8).argmax(axis=1)
WIDTHS = range(2, 8)
CENTRE, LABEL = qs.parameter("centre", 2), qs.parameter("label")


def robust(codes: np.ndarray, label: int) -> bool:
    """Whether the real network gives all neighbours of a point its class; such points are worth asking about."""
    near = np.abs(CODES - codes).max(axis=1) <= 1
    return bool((CLASSES[near] == label).all())


CHOSEN = [k for k in range(len(CODES)) if robust(CODES[k], CLASSES[k])][::3]
SAMPLES = qs.together(centre=CODES[CHOSEN], label=CLASSES[CHOSEN])


def share(bits: dict[str, int]) -> float:
    """The share of samples whose every neighbour has their class, one by one."""
    classes = CALIBRATED.quantized(bits).evaluate(CODES).argmax(axis=1)
    good = [(classes[np.abs(CODES - CODES[k]).max(axis=1) <= 1] == CLASSES[k]).all() for k in CHOSEN]
    return float(np.mean(good))


def found(**options: Any) -> qs.LayerWidths:
    chosen: dict[str, Any] = {"layers": CALIBRATED.layers, "bits": WIDTHS, "samples": SAMPLES, "solver": "enumerate", **options}
    return qs.fewest_bits(CALIBRATED, lambda net: qs.properties.local_robustness(net, CENTRE, 1, LABEL), **chosen)


@pytest.fixture(scope="module")
def full() -> qs.LayerWidths:
    return found(every=True, labelled=(CODES, CLASSES))


@pytest.mark.parametrize("every", [False, True])
def test_what_it_ends_at_holds_and_no_layer_can_lose_a_bit(full: qs.LayerWidths, every: bool) -> None:
    made = full if every else found()
    assert made.fewest is not None
    assert share(dict(made.fewest)) == 1.0
    uniform = next(w for w in WIDTHS if share({FIRST: w, LAST: w}) == 1.0)
    assert sum(made.fewest.values()) < 2 * uniform  # or this example shows nothing
    for name in CALIBRATED.layers:
        assert made.fewest[name] == WIDTHS[0] or share({**made.fewest, name: made.fewest[name] - 1}) < 1.0
    assert made.certain
    for choice in made.table:
        assert (choice.verdict is Verdict.HOLDS) == (share(dict(choice.bits)) == 1.0)
        assert choice.certified == (share(dict(choice.bits)) if every or choice.verdict is Verdict.HOLDS else choice.certified)
    assert "fewest bits proved" in str(made)


def test_choices_tell_their_size_and_accuracy(full: qs.LayerWidths) -> None:
    for choice in full.table:
        first, last = choice.bits.values()
        assert choice.stored == parameter_bits(choice.network) == first * (2 * 5 + 5) + last * 5 * 2
        assert choice.accuracy == np.mean(choice.network.evaluate(CODES).argmax(axis=1) == CLASSES)


def test_nothing_may_do() -> None:
    made = found(bits=[2])
    assert made.fewest is None
    assert made.certain
    assert "none of these" in str(made)


def test_a_choice_that_is_unknown_leaves_doubt() -> None:
    silent = Fake(lambda problem: Answer("unknown", reason=Reason.TIMEOUT))
    made = found(bits=[4], solver=silent, without=[p.name for p in Pipeline().passes], attack=False)
    assert (made.fewest, made.certain, made.table[0].certified) == (None, False, 0.0)
    assert "unknown" in str(made)


def test_the_plot_is_written(full: qs.LayerWidths, tmp_path: Path) -> None:
    figure = qs.plot(full, tmp_path / "pareto.png")
    assert [axis.get_ylabel() for axis in figure.axes] == ["certified, %", "accuracy, %"]
    assert (tmp_path / "pareto.png").stat().st_size > 1000


def test_the_frontier_is_what_nothing_beats() -> None:
    points = [(3, 50), (1, 10), (2, 60), (2, 20), (4, 60), (5, 70)]
    assert frontier(points) == [(1, 10), (2, 60), (5, 70)]


@pytest.mark.parametrize(
    ("layers", "match"), [([], "no layers"), (["a", "a"], "no layers"), ("dense", "list of names"), (["other"], "not the bits")]
)
def test_layers_that_are_none_are_refused(layers: Any, match: str) -> None:
    with pytest.raises(SpecError, match=match):
        found(layers=layers)
