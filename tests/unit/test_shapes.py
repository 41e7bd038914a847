"""Arrays of users are never read in another layout: every way in refuses a misfit with both shapes, and takes what is unambiguous."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qspec as qs
from qspec.arithmetic.shapes import batch_axes, check_labelled, check_one
from qspec.cli import main
from qspec.errors import FormatError, QspecError, ShapeError, SpecError
from qspec.quantization.accuracy import accuracy

SHAPE = (3, 3, 2)
Act = Callable[[np.ndarray], object]


def image_network() -> qs.Network:
    """Return a network whose class 0 sums the first nine elements of the flat image, and class 1 the others."""
    kernel = np.zeros((18, 2), int)
    kernel[:9, 0] = 1
    kernel[9:, 1] = 1
    return qs.Sequential(qs.Input(SHAPE, qs.Fixed(5, 0)), qs.Flatten(), qs.Dense(qs.Tensor(kernel, qs.Fixed(2, 0))))


NET = image_network()
REAL = NET.real()
CENTRE = qs.parameter("c", SHAPE)
CHW = np.zeros((2, 3, 3), int)
CHW[0] = 9  # channel 0 is bright
HWC = CHW.transpose(1, 2, 0)
LAYOUTS = (HWC, HWC.reshape(-1), HWC[None], HWC.reshape(1, 18))
MISFITS = (
    CHW,
    CHW[None],
    HWC.transpose(1, 0, 2)[..., :1],
    HWC.reshape(9, 2),
    HWC.reshape(3, 6),
    HWC.reshape(2, 9),
    HWC.reshape(18, 1),
    np.array(9),
    HWC[None, None],
)
PERTURBED = NET.perturb(weights=1)
REAL_PERTURBED = REAL.perturb(rho="1/100")
X = NET.input("x")

WAYS: dict[str, Act] = {
    "evaluate": lambda a: NET.evaluate(a),
    "real evaluate": lambda a: REAL.evaluate(a),
    "enclose": lambda a: REAL.enclose(a),
    "apply": lambda a: NET(a),
    "apply real": lambda a: REAL(a),
    "local_robustness": lambda a: qs.properties.local_robustness(NET, a, 1, 0),
    "targeted_robustness": lambda a: qs.properties.targeted_robustness(NET, a, 1, 1),
    "parameter_robustness": lambda a: qs.properties.parameter_robustness(PERTURBED, a, 0),
    "bit_flip_robustness": lambda a: qs.properties.bit_flip_robustness(NET, a, 0),
    "quantization_error": lambda a: qs.real.properties.quantization_error(NET, REAL, 1, centre=a),
    "local_deviation": lambda a: qs.real.properties.local_deviation(REAL_PERTURBED, a, 1),
    "local_label": lambda a: qs.real.properties.local_label(REAL_PERTURBED, a),
    "parameter": lambda a: qs.verify(qs.properties.local_robustness(NET, CENTRE, 0, 0).at(c=a)),
    "parameter in a formula": lambda a: qs.verify(qs.forall(X, given=qs.all(X.code == CENTRE), then=qs.argmax(NET(X)) == 0).at(c=a)),
    "lower": lambda a: NET.input("x", lower=a),
    "upper": lambda a: NET.input("x", upper=a),
    "real lower": lambda a: REAL.input("x", lower=a, upper=10),
    "error_bounds": lambda a: qs.error_bounds(NET, REAL, lower=a, upper=a),
    "certify": lambda a: qs.certify(NET, np.asarray(a), [0], 0),
    "accuracy": lambda a: accuracy(NET, (a, [0])),
}
ONE_NUMBER = ("lower", "upper", "real lower", "error_bounds")
"""Where one number stands for all elements."""
BATCHES = ("evaluate", "real evaluate")
SAMPLES = ("certify", "accuracy")


@pytest.mark.parametrize("way", WAYS)
def test_another_layout_is_refused_with_both_shapes(way: str) -> None:
    for array in MISFITS:
        if (array.ndim == 0 and way in ONE_NUMBER) or (array.shape == (1, 1, *SHAPE) and way in BATCHES):
            continue
        with pytest.raises(ShapeError) as caught:
            WAYS[way](array)
        assert str(array.shape) in str(caught.value), way
        assert "3, 3, 2" in str(caught.value), way


@pytest.mark.parametrize("way", WAYS)
def test_an_array_is_taken_as_it_is_flat_or_as_a_batch_of_one(way: str) -> None:
    for array in LAYOUTS:
        if way not in SAMPLES or array.shape[0] == 1:
            WAYS[way](array)


def test_the_array_that_needs_transposing_is_told_how() -> None:
    with pytest.raises(ShapeError, match=r"array\.transpose\(1, 2, 0\)"):
        qs.properties.local_robustness(NET, CHW, 1, 0)
    with pytest.raises(ShapeError, match=r"array\.transpose\(0, 2, 3, 1\)"):
        NET.evaluate(CHW[None])
    gray = qs.Sequential(qs.Input((4, 4, 1), qs.Fixed(4, 0)), qs.Flatten())
    with pytest.raises(ShapeError, match=r"array\[\.\.\., None\]"):
        gray.evaluate(np.zeros((4, 4), int))


def test_the_verdict_is_about_the_image_that_was_given() -> None:
    assert NET.evaluate(HWC).tolist() == [45, 36]
    for array in LAYOUTS:
        assert qs.verify(qs.properties.local_robustness(NET, array, 1, 0)).verdict is qs.Verdict.VIOLATED
        assert qs.verify(qs.properties.local_robustness(NET, CENTRE, 1, 0).at(c=array)).verdict is qs.Verdict.VIOLATED


def test_every_shape_of_a_small_size_is_taken_only_if_it_keeps_the_order() -> None:
    """Of all shapes of twelve elements with up to four axes, only four mean an image (2, 2, 3)."""
    taken: list[tuple[int, ...]] = []
    for rank in range(1, 5):
        for given in np.ndindex(*(12,) * rank):
            shape = tuple(k + 1 for k in given)
            if np.prod(shape) == 12:
                try:
                    check_one(shape, (2, 2, 3), "x")
                except ShapeError:
                    continue
                taken.append(shape)
    assert taken == [(12,), (1, 12), (2, 2, 3), (1, 2, 2, 3)]


def test_axes_of_batches() -> None:
    assert batch_axes((3, 3, 2), SHAPE, "x") == ()
    assert batch_axes((5, 4, 18), SHAPE, "x") == (5, 4)
    assert batch_axes((5, 3, 3, 2), SHAPE, "x") == (5,)
    for given in ((2, 3, 3), (5, 2, 3, 3), (9,), ()):
        with pytest.raises(ShapeError):
            batch_axes(given, SHAPE, "x")


@pytest.mark.parametrize("labels", [(5, 1), (1, 5), (), (0,), (4,), (5, 10)])
def test_labels_are_one_number_for_each_sample(labels: tuple[int, ...]) -> None:
    check_labelled((5, 3, 3, 2), (5,), SHAPE)
    check_labelled((5, 18), (5,), SHAPE)
    with pytest.raises(ShapeError):
        check_labelled((5, 3, 3, 2), labels, SHAPE)


def test_tables_and_labels() -> None:
    table = qs.load("iris-4bit")
    for centre in ([[50, 30], [14, 2]], [[50], [30], [14], [2]], [50, 30, 14], 50):
        with pytest.raises(ShapeError):
            qs.properties.local_robustness(table, centre, 1, 0)
        with pytest.raises(ShapeError):
            qs.verify(qs.properties.local_robustness(table, qs.parameter("c", 4), 1, 0).at(c=centre))
    label = qs.properties.local_robustness(table, [50, 30, 14, 2], 1, qs.parameter("label"))
    with pytest.raises(ShapeError):
        qs.verify(label.at(label=[0, 1]))
    with pytest.raises(SpecError):
        qs.verify(label.at(label=3))


def test_networks_with_different_outputs_are_not_compared_by_broadcasting() -> None:
    x = qs.Input((2,), qs.Fixed(4, 0))
    three, one = (qs.Sequential(x, qs.Dense(qs.Tensor(np.ones((2, n), int), qs.Fixed(4, 0)))) for n in (3, 1))
    with pytest.raises(SpecError, match="different outputs"):
        qs.properties.equivalence(three, one, tolerance=1)
    with pytest.raises(ShapeError, match="different outputs"):
        qs.real.properties.quantization_error(three, one.real(), 1)


@pytest.mark.parametrize("vector", ["bias", "gamma", "beta", "mean", "variance"])
@pytest.mark.parametrize("values", [[2.0], 2.0, [1.0, 2.0, 3.0], [[1.0, 2.0]]])
def test_batch_normalisation_takes_a_number_for_each_channel(vector: str, values: object) -> None:
    given: dict[str, object] = {name: [1.0, 2.0] for name in ("bias", "gamma", "beta", "mean", "variance")}
    with pytest.raises(ShapeError, match=vector):
        qs.fold_batch_norm(np.ones((3, 2)), **{**given, vector: values}, epsilon=1e-3)


def test_batch_normalisation_is_told_its_epsilon() -> None:
    ones: dict[str, Any] = {name: [1.0] for name in ("gamma", "beta", "mean")}
    with pytest.raises(TypeError, match="epsilon"):
        qs.fold_batch_norm([[1.0]], [0.0], variance=[0.001], **ones)
    for epsilon, factor in ((1e-3, 22.360680), (1e-5, 31.465838)):
        kernel, _ = qs.fold_batch_norm([[1.0]], [0.0], variance=[0.001], epsilon=epsilon, **ones)
        assert kernel[0, 0] == pytest.approx(factor, rel=1e-6)
    with pytest.raises(FormatError):
        qs.fold_batch_norm([[1.0]], [0.0], variance=[0.0], epsilon=0.0, **ones)


def test_the_command_line_reads_no_other_layout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "spec.py").write_text(
        "import numpy as np, qspec as qs\nk = np.zeros((18, 2), int); k[:9, 0] = 1; k[9:, 1] = 1\n"
        "net = qs.Sequential(qs.Input((3, 3, 2), qs.Fixed(5, 0)), qs.Flatten(), qs.Dense(qs.Tensor(k, qs.Fixed(2, 0))))\n"
        'robust = qs.properties.local_robustness(net, qs.parameter("c", (3, 3, 2)), 1, 0)\n'
    )
    spec = str(tmp_path / "spec.py")
    for name, array, ended in (("chw", CHW, 2), ("hwc", HWC, 1), ("flat", HWC.reshape(-1), 1)):
        np.save(tmp_path / f"{name}.npy", array)
        assert main(["verify", spec, "--param", f"c=@{tmp_path / name}.npy"]) == ended
        (tmp_path / f"{name}.json").write_text(json.dumps([{"c": array.tolist()}]))
        assert main(["verify-many", spec, "--over", str(tmp_path / f"{name}.json"), "--workers", "1"]) == ended
    assert "(2, 3, 3)" in "".join(capsys.readouterr())


def test_a_stored_counterexample_in_another_layout_is_refused(tmp_path: Path) -> None:
    from qspec.cli.replay import StoredResult, _codes

    spec = qs.properties.local_robustness(NET, HWC, 1, 0)
    for codes, fits in ((HWC.tolist(), True), (CHW.tolist(), False)):
        stored = StoredResult("robust", {"x": codes}, {}, {}, "")
        if fits:
            assert np.array_equal(_codes(stored, spec)["x"], HWC)
        else:
            with pytest.raises(QspecError):
                _codes(stored, spec)


def test_byte_order_marks_are_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tables, JSON, specifications and stored results as editors on Windows write them."""
    spec, mark = tmp_path / "spec.py", "\ufeff"
    spec.write_text(
        f'{mark}import qspec as qs\nnet = qs.load("iris-4bit")\n'
        'robust = qs.properties.local_robustness(net, [50, 30, 14, 2], qs.parameter("radius"), qs.parameter("label"))\n',
        encoding="utf-8",
    )
    tables = {"t.csv": "radius,label\n1,0\n", "t.json": '[{"radius": 1, "label": 0}]', "radius.json": "1"}
    for name, text in tables.items():
        (tmp_path / name).write_text(mark + text, encoding="utf-8")
    for table in ("t.csv", "t.json"):
        assert main(["verify-many", str(spec), "--over", str(tmp_path / table), "--workers", "1"]) == 0
    assert main(["verify", str(spec), "--param", f"radius=@{tmp_path / 'radius.json'}", "--param", "label=0"]) == 0
    stored = tmp_path / "r.json"
    assert main(["verify", str(spec), "--param", "radius=20", "--param", "label=0", "--json", str(stored)]) == 1
    stored.write_text(mark + stored.read_text(encoding="utf-8"), encoding="utf-8")
    assert main(["replay", str(stored), str(spec)]) == 1
    assert "VIOLATED" in capsys.readouterr().out
